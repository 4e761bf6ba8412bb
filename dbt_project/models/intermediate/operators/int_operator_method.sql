-- Which named method turns the badges of a person into effective dose in a month: the jurisdiction's first that needs no
-- badge without a result in that month. Effective dose equivalent is a quantity of its own, with methods of its own.
with days as (
    select * from {{ ref('int_operator_day') }}
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

months as (
    select
        operator_id,
        cast(date_trunc('month', dose_date) as date) as month,
        bool_or(place = 'under_apron') as has_under_apron,
        bool_or(place = 'over_apron') as has_over_apron
    from days
    group by all
),

final as (
    select
        months.operator_id,
        months.month,
        methods.quantity,
        methods.method,
        methods.under_apron_factor,
        methods.over_apron_factor
    from months
    inner join operators on months.operator_id = operators.operator_id
    inner join methods
        on
            (methods.badges = 'over' or months.has_under_apron)
            and (methods.badges = 'under' or months.has_over_apron)
            -- Not known to wear a thyroid collar: the factors without it, which are the higher ones.
            and coalesce(methods.with_thyroid_collar = coalesce(operators.wears_thyroid_collar, false), true)
    cross join site
    inner join choices
        on
            site.jurisdiction = choices.jurisdiction
            and methods.quantity = choices.quantity
            and methods.method = choices.method
    qualify row_number() over (
        partition by months.operator_id, months.month, methods.quantity order by choices.method_rank
    ) = 1
)

select * from final
