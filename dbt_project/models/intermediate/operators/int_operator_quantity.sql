-- The quantities that limits are set for, by day: effective dose by the day's method, lens measured or estimated, hands, the
-- unborn child, and what other employers state; each by dose of record and by warning dose.
with days as (
    select * from {{ ref('int_operator_day') }}
),

methods as (
    select * from {{ ref('int_operator_method') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

lens_factors as (
    select * from {{ ref('lens_dose_factors') }}
),

external_doses as (
    select
        *,
        period_end_date - period_begin_date + 1 as n_days
    from {{ ref('stg_external_dose') }}
),

effective as (
    select
        days.operator_id,
        days.dose_date,
        methods.quantity,
        days.place,
        methods.method,
        case
            when days.place = 'under_apron' then methods.under_apron_factor else methods.over_apron_factor
        end as factor,
        days.dose_usv,
        days.warning_usv,
        days.warning_high_usv,
        days.dose_source
    from days
    inner join methods
        on
            days.operator_id = methods.operator_id
            and days.dose_date = methods.dose_date
    where days.place in ('under_apron', 'over_apron')
),

-- A measured Hp(3) takes the place of the estimate of that day.
measured_lens_days as (
    select
        operator_id,
        dose_date
    from days
    where place = 'eye'
),

lens_estimate as (
    select
        days.operator_id,
        days.dose_date,
        'lens' as quantity,
        days.place,
        lens_factors.method,
        lens_factors.value as factor,
        days.dose_usv,
        days.warning_usv,
        days.warning_high_usv,
        days.dose_source
    from days
    inner join operators on days.operator_id = operators.operator_id
    inner join lens_factors
        on
            days.worn_at = lens_factors.worn_at
            and coalesce(operators.wears_lead_glasses, false) = lens_factors.wears_lead_glasses
    anti join measured_lens_days
        on days.operator_id = measured_lens_days.operator_id and days.dose_date = measured_lens_days.dose_date
    where days.place = 'over_apron'
),

as_measured as (
    select
        operator_id,
        dose_date,
        case place when 'eye' then 'lens' when 'under_apron' then 'unborn_child' else 'extremity' end as quantity,
        place,
        case place when 'eye' then 'hp3' when 'under_apron' then 'hp10' else 'hp007' end as method,
        1 as factor,
        dose_usv,
        warning_usv,
        warning_high_usv,
        dose_source
    from days
    where place in ('eye', 'under_apron', 'left_hand', 'right_hand')
),

external_days as (
    select
        *,
        unnest(generate_series(1, n_days)) as nth_day
    from external_doses
),

stated as (
    select
        operator_id,
        period_begin_date + cast(nth_day - 1 as integer) as dose_date,
        quantity,
        -- Of a period that is not over at as_of the rest of the year is projected, one that is over is not projected.
        case when period_end_date <= {{ as_of() }} then 'external' else 'external_running' end as place,
        'external' as method,
        1 as factor,
        {{ dose_sum(share_of_day('dose_msv * 1000', 'nth_day', 'n_days')) }} as dose_usv,
        -- What another employer states is taken as it is.
        dose_usv as warning_usv,
        dose_usv as warning_high_usv,
        'external' as dose_source
    from external_days
    group by all
),

together as (
    select * from effective
    union all
    select * from lens_estimate
    union all
    select * from as_measured
    union all
    select * from stated
),

final as (
    select
        operator_id,
        dose_date,
        quantity,
        place,
        method,
        -- Not rounded: sums of many days stay exact.
        cast(factor as decimal(18, 12)) * dose_usv as dose_usv,
        cast(factor as decimal(18, 12)) * warning_usv as warning_usv,
        cast(factor as decimal(18, 12)) * warning_high_usv as warning_high_usv,
        dose_source
    from together
    where dose_date <= {{ as_of() }}
)

select * from final
