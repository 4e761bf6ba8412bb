-- Which named method turns the badges over and under the apron into effective dose on a day. The days of a month under one
-- under-apron result are a segment: they take a method for two badges, or for the one under the apron where none is worn over
-- it; the other days one for the badge over the apron. Of several methods the jurisdiction's first is taken. Effective dose
-- equivalent is a quantity of its own, with methods of its own.
with days as (
    select * from {{ ref('int_operator_day') }}
    where place in ('over_apron', 'under_apron')
),

assigned as (
    select * from {{ ref('int_assigned_place') }}
    where place = 'over_apron'
),

site as (
    select * from {{ ref('stg_site') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

methods as (
    select * from {{ ref('effective_dose_methods') }}
),

choices as (
    select * from {{ ref('jurisdiction_methods') }}
),

badge_days as (
    select
        operator_id,
        dose_date,
        bool_or(place = 'under_apron') as has_under_apron,
        bool_or(place = 'over_apron') as has_over_apron,
        any_value(result_key) filter (place = 'under_apron') as result_key
    from days
    group by all
),

worn_days as (
    select
        badge_days.*,
        -- A badge without a record gives no electronic row; its assignment shows that it is worn.
        badge_days.has_over_apron or assigned.operator_id is not null as wears_over_apron
    from badge_days
    left join assigned on badge_days.operator_id = assigned.operator_id and badge_days.dose_date = assigned.dose_date
),

segments as (
    select
        operator_id,
        dose_date,
        has_under_apron,
        -- An electronic badge under the apron has a result each day.
        bool_or(wears_over_apron) over (
            partition by
                operator_id,
                date_trunc('month', dose_date),
                has_under_apron,
                result_key,
                case when result_key is null then dose_date end
        ) as has_over_apron
    from worn_days
),

final as (
    select
        segments.operator_id,
        segments.dose_date,
        methods.quantity,
        methods.method,
        methods.under_apron_factor,
        methods.over_apron_factor
    from segments
    inner join operators on segments.operator_id = operators.operator_id
    inner join methods
        on
            (methods.badges = 'over' or segments.has_under_apron)
            and (methods.badges = 'under' or segments.has_over_apron)
            -- Not known to wear a thyroid collar: the factors without it, which are the higher ones.
            and coalesce(methods.with_thyroid_collar = coalesce(operators.wears_thyroid_collar, false), true)
    cross join site
    inner join choices
        on
            site.jurisdiction = choices.jurisdiction
            and methods.quantity = choices.quantity
            and methods.method = choices.method
    qualify row_number() over (
        partition by segments.operator_id, segments.dose_date, methods.quantity
        -- Two badges, else the one over the apron; the one under it alone only where none is worn over it.
        order by
            methods.badges != 'both',
            methods.badges = 'under' and segments.has_over_apron,
            choices.method_rank
    ) = 1
)

select * from final
