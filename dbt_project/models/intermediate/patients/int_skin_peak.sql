-- Where the beams of a procedure overlap on the skin: around the direction of each irradiation event the Ka,r of all events, of
-- both planes, within a cap. Directions are compared on the great circle.
{{ config(**incremental_by_date('procedure_date', 'int_skin_day')) }}
with procedures as (
    select * from {{ ref('int_procedure') }}
    where {{ is_in_batch('procedure_date') }}
),

events as (
    select * from {{ ref('int_event') }}
    where ka_r_mgy is not null
),

-- Of the report whose values count: patient, table and field.
sent as (
    select * from {{ ref('stg_irradiation_event') }}
),

caps as (
    select cast(value as double) as cap_deg
    from {{ ref('skin_factor') }}
    where name = 'cap_deg'
),

-- A difference of exactly the cap is within it, despite the rounding of a cosine.
edges as (
    select
        cap_deg,
        cos(radians(cap_deg)) - 1e-9 as least_cosine
    from caps
),

irradiations as (
    select
        procedures.procedure_id,
        procedures.procedure_date,
        events.ka_r_mgy,
        events.primary_angle_deg,
        events.secondary_angle_deg,
        events.primary_angle_deg is not null and events.secondary_angle_deg is not null as has_direction,
        coalesce(
            greatest(
                abs(sent.primary_end_angle_deg - events.primary_angle_deg),
                abs(sent.secondary_end_angle_deg - events.secondary_angle_deg)
            ) > edges.cap_deg,
            false
        ) as is_rotation,
        coalesce(sent.patient_table_relationship != 'headfirst', false)
        or coalesce(sent.patient_orientation != 'recumbent', false)
        or coalesce(sent.patient_orientation_modifier != 'supine', false) as is_turned,
        sent.patient_table_relationship is not null
        and sent.patient_orientation_modifier is not null as has_orientation,
        sent.table_longitudinal_mm is not null
        and sent.table_lateral_mm is not null
        and sent.table_height_mm is not null as has_table_position,
        sent.collimated_field_area_cm2 is not null as has_field_size,
        sent.patient_equivalent_thickness_mm is not null as has_patient_size
    from events
    inner join procedures on events.study_key = procedures.study_key and events.room_id = procedures.room_id
    inner join sent on events.load_seq = sent.load_seq and events.event_no = sent.event_no
    cross join edges
),

directions as (
    select
        procedure_id,
        primary_angle_deg,
        secondary_angle_deg,
        radians(cast(primary_angle_deg as double)) as primary_angle,
        radians(cast(secondary_angle_deg as double)) as secondary_angle,
        sum(ka_r_mgy) as ka_r_mgy,
        count(*) as n_events
    from irradiations
    where has_direction
    group by procedure_id, primary_angle_deg, secondary_angle_deg
),

capped as (
    select
        centre.procedure_id,
        centre.primary_angle_deg,
        centre.secondary_angle_deg,
        sum(other.ka_r_mgy) as peak_ka_r_mgy,
        sum(other.n_events) as n_events_in_cap
    from directions as centre
    inner join directions as other on centre.procedure_id = other.procedure_id
    cross join edges
    where
        cos(centre.secondary_angle) * cos(other.secondary_angle) * cos(centre.primary_angle - other.primary_angle)
        + sin(centre.secondary_angle) * sin(other.secondary_angle) >= edges.least_cosine
    group by centre.procedure_id, centre.primary_angle_deg, centre.secondary_angle_deg
),

peaks as (
    select *
    from capped
    qualify row_number() over (
        partition by procedure_id
        order by
            peak_ka_r_mgy desc,
            abs(primary_angle_deg) asc,
            primary_angle_deg asc,
            abs(secondary_angle_deg) asc,
            secondary_angle_deg asc
    ) = 1
),

totals as (
    select
        procedure_id,
        procedure_date,
        sum(ka_r_mgy) as total_ka_r_mgy,
        bool_or(is_turned) as is_turned,
        concat_ws(
            ', ',
            case when not bool_and(has_direction) then 'angles of some events' end,
            case when bool_or(is_rotation) then 'path of rotations' end,
            case when not bool_and(has_orientation) then 'orientation' end,
            case when not bool_and(has_table_position) then 'table position' end,
            case when not bool_and(has_field_size) then 'field size' end,
            case when not bool_and(has_patient_size) then 'patient size' end
        ) as missing
    from irradiations
    group by procedure_id, procedure_date
),

final as (
    select
        totals.procedure_id,
        totals.procedure_date,
        cast(totals.total_ka_r_mgy as decimal(28, 12)) as total_ka_r_mgy,
        totals.is_turned,
        totals.missing,
        cast(peaks.peak_ka_r_mgy as decimal(28, 12)) as peak_ka_r_mgy,
        peaks.primary_angle_deg,
        peaks.secondary_angle_deg,
        cast(peaks.n_events_in_cap as bigint) as n_events_in_cap
    from totals
    inner join peaks on totals.procedure_id = peaks.procedure_id
)

select * from final
