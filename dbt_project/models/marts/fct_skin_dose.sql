-- A rough estimate of the highest skin dose: uncertain by about a factor of 2, and never a dose of record.
with peaks as (
    select * from {{ ref('int_skin_peak') }}
),

procedures as (
    select * from {{ ref('int_procedure') }}
),

rooms as (
    select * from {{ ref('stg_room') }}
),

factors as (
    select
        max(value) filter (where name = 'air_to_tissue') as air_to_tissue,
        max(value) filter (where name = 'backscatter') as backscatter,
        max(value) filter (where name = 'table') as table_transmission,
        max(value) filter (where name = 'table_primary_angle_deg') as table_primary_angle_deg
    from {{ ref('skin_factor') }}
),

judged as (
    select
        peaks.*,
        peaks.total_ka_r_mgy * factors.air_to_tissue * factors.backscatter as upper_mgy,
        case
            when abs(peaks.primary_angle_deg) <= factors.table_primary_angle_deg
                then coalesce(rooms.table_attenuation, factors.table_transmission)
            else 1
        end as transmission,
        factors.air_to_tissue * factors.backscatter as skin_per_air
    from peaks
    inner join procedures on peaks.procedure_id = procedures.procedure_id
    left join rooms on procedures.room_id = rooms.room_id
    cross join factors
),

final as (
    select
        procedure_id,
        case when not is_turned then cast(peak_ka_r_mgy as double) end as peak_ka_r_mgy,
        case when not is_turned then cast(primary_angle_deg as double) end as primary_angle_deg,
        case when not is_turned then cast(secondary_angle_deg as double) end as secondary_angle_deg,
        case when not is_turned then cast(peak_ka_r_mgy as double) / nullif(cast(total_ka_r_mgy as double), 0) end
            as share_of_ka_r,
        case when not is_turned then n_events_in_cap end as n_events_in_cap,
        case
            when not is_turned
                then cast(peak_ka_r_mgy as double) * cast(skin_per_air as double) * cast(transmission as double)
        end as skin_dose_estimate_mgy,
        cast(upper_mgy as double) as skin_dose_upper_mgy,
        case when is_turned then 'total_only' else 'angles' end as method,
        nullif(missing, '') as missing
    from judged
)

select * from final
