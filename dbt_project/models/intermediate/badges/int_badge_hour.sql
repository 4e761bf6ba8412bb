-- Records of a badge in an hour that differ in nothing but their times and doses. Who wore which badge when, where it was and
-- what it showed is then read from some ten rows a procedure instead of some five hundred records.
{{ config(**incremental_by_date('measured_date', 'int_dose_day')) }}
with doses as (
    select * from {{ ref('int_dose_evidence') }}
    where {{ is_in_batch('measured_date') }}
),

marked as (
    select
        *,
        -- A step of 0 over missing readings is no evidence of the time between them.
        dose_usv = 0 and layout in ('hourly_totals', 'counter_log') as is_zero_total,
        coalesce(is_zero_total and (is_gap or layout = 'counter_log'), false) as is_silent_between,
        case when sample_group is not null then epoch_us(ended_at) - epoch_us(started_at) end as length_us
    from doses
),

final as (
    select
        measured_date,
        source_id,
        layout,
        dosimeter_serial,
        badge_key,
        quantity,
        operator_id,
        worn_at,
        c_arm_room_id,
        hub,
        evident_room_id,
        evident_room_ids,
        clock_basis,
        is_not_occupational,
        token,
        sample_group,
        length_us,
        is_zero_total,
        is_silent_between,
        -- The two readings of a silent step count, so it has a row of its own.
        case when is_silent_between then dose_key else epoch_us(started_at) // 3600000000 end as nth_hour,
        count(*) as n_records,
        {{ dose_sum('dose_usv') }} as dose_usv,
        min(started_at) as first_started_at,
        max(ended_at) as last_ended_at
    from marked
    group by all
)

select * from final
