-- What an operator's dose in a procedure is against the usual dose, and which factor explains most of it.
with factors as (
    select * from {{ ref('int_dose_factor') }}
),

thresholds as (
    select
        max(value) filter (where name = 'unusual_ratio') as unusual_ratio,
        max(value) filter (where name = 'clear_cause_ratio') as clear_cause_ratio,
        max(value) filter (where name = 'min_reference') as min_reference,
        to_days(cast(max(value) filter (where name = 'reference_days') as integer)) as reference_period
    from {{ ref('comparison_thresholds') }}
),

room_days as (
    select
        room_id,
        procedure_date,
        count(*) as n_rows,
        sum(cast(log_scatter_factor as decimal(18, 15))) as log_scatter_factor
    from factors
    group by room_id, procedure_date
),

-- Scatter of the room against that of other rooms with the same classes.
rooms as (
    select
        room_days.room_id,
        room_days.procedure_date,
        case
            when sum(room_days.n_rows) over days_before >= thresholds.min_reference
                then
                    exp(
                        cast(sum(room_days.log_scatter_factor) over days_before as double)
                        / sum(room_days.n_rows) over days_before
                    )
            else 1
        end as room_scatter_factor
    from room_days
    cross join thresholds
    window days_before as (
        partition by room_days.room_id
        order by room_days.procedure_date
        range between {{ frame_bound('thresholds.reference_period') }} preceding and interval '1 day' preceding
    )
),

compared as (
    select
        factors.procedure_id,
        factors.operator_id,
        factors.role_group,
        factors.n_reference,
        factors.usual_hp10_usv,
        cast(factors.hp10_usv as double) / factors.usual_hp10_usv as hp10_ratio,
        exp(factors.log_kap_factor) as kap_factor,
        exp(factors.log_scatter_factor) as scatter_factor,
        rooms.room_scatter_factor,
        exp(factors.log_protection_factor) as protection_factor,
        cast(factors.hp10_usv as double) as hp10_usv
    from factors
    inner join rooms on factors.room_id = rooms.room_id and factors.procedure_date = rooms.procedure_date
),

ranked as (
    select
        *,
        list_sort([kap_factor, scatter_factor, protection_factor], 'desc') as largest_factors
    from compared
),

final as (
    select
        ranked.procedure_id,
        ranked.operator_id,
        ranked.role_group,
        cast(ranked.n_reference as bigint) as n_reference,
        ranked.usual_hp10_usv,
        ranked.hp10_ratio,
        ranked.kap_factor,
        ranked.scatter_factor,
        ranked.room_scatter_factor,
        ranked.protection_factor,
        case
            when ranked.hp10_ratio < thresholds.unusual_ratio then 'none'
            when ranked.largest_factors[1] < thresholds.unusual_ratio then 'none'
            when ranked.largest_factors[1] < thresholds.clear_cause_ratio * ranked.largest_factors[2] then 'mixed'
            when ranked.largest_factors[1] = ranked.kap_factor then 'radiation'
            when ranked.largest_factors[1] = ranked.protection_factor then 'protection'
            when ranked.scatter_factor < thresholds.clear_cause_ratio * ranked.room_scatter_factor
                then 'c_arm_badge_or_room'
            else 'geometry'
        end as main_cause,
        ranked.hp10_usv * (1 - 1 / ranked.protection_factor) as excess_hp10_usv
    from ranked
    cross join thresholds
)

select * from final
