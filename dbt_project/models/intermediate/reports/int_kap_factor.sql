-- True KAP = reported KAP x factor, by room, plane and local date of the study; no row of kap_calibration.csv = 1.
with study_rooms as (
    select * from {{ ref('int_study_room') }}
),

calibrations as (
    select * from {{ ref('stg_kap_calibration') }}
),

planes as (
    select unnest(['single', 'A', 'B']) as plane
),

candidates as (
    select
        study_rooms.study_key,
        study_rooms.room_id,
        planes.plane,
        calibrations.kap_factor,
        calibrations.plane = planes.plane as is_own_plane,
        calibrations.valid_from_date
    from study_rooms
    cross join planes
    left join calibrations
        on
            study_rooms.room_id = calibrations.room_id
            and {{ is_valid_on('calibrations', 'study_rooms.study_date') }}
            -- A row for a single plane serves planes A and B where these have none.
            and calibrations.plane in (planes.plane, 'single')
),

final as (
    select
        study_key,
        room_id,
        plane,
        cast(coalesce(kap_factor, 1) as decimal(12, 9)) as kap_factor,
        kap_factor is not null as is_kap_calibrated
    from candidates
    qualify row_number() over (
        partition by study_key, room_id, plane order by is_own_plane desc nulls last, valid_from_date desc nulls last
    ) = 1
)

select * from final
