-- The limits in force at the site on as_of: its jurisdiction's, under its lens regime, and what the medical physicist confirmed or
-- replaced in reference/limits.csv. Limits of as_of are used for the whole window.
with site as (
    select * from {{ ref('stg_site') }}
),

seed_limits as (
    select * from {{ ref('dose_limits') }}
),

seed_regimes as (
    select * from {{ ref('lens_regimes') }}
),

site_limits as (
    select * from {{ ref('stg_limit') }}
),

-- The regime of site.yaml where the jurisdiction has it on as_of (check refuses another), else the jurisdiction's own.
regime as (
    select seed_regimes.lens_regime
    from seed_regimes
    inner join site on seed_regimes.jurisdiction = site.jurisdiction
    where
        {{ in_force('seed_regimes') }}
        and (seed_regimes.is_default or seed_regimes.lens_regime = site.lens_regime)
    order by seed_regimes.is_default
    limit 1
),

of_law as (
    select seed_limits.*
    from seed_limits
    inner join site on seed_limits.jurisdiction = site.jurisdiction
    left join regime on true
    where
        {{ in_force('seed_limits') }}
        and coalesce(seed_limits.lens_regime = coalesce(regime.lens_regime, ''), true)
        -- No badge measures the local dose of the skin; its limit is listed in docs/rules/limits.md.
        and seed_limits.quantity != 'skin'
),

of_site as (
    select site_limits.*
    from site_limits
    inner join site on site_limits.jurisdiction = site.jurisdiction
    where {{ in_force('site_limits') }}
),

-- A year by the calendar and 12 months on end are two windows of one limit: a row for one of them is for both, unless the other
-- has a row of its own.
twins as (
    select of_site.* replace (of_law.dose_window as dose_window)
    from of_site
    inner join of_law
        on
            of_site.quantity = of_law.quantity
            and of_site.category = of_law.applies_to
            and of_site.dose_window in ('calendar_year', 'rolling_12_months')
            and of_law.dose_window in ('calendar_year', 'rolling_12_months')
            and of_site.dose_window != of_law.dose_window
    anti join of_site as own
        on
            of_law.quantity = own.quantity
            and of_law.applies_to = own.category
            and of_law.dose_window = own.dose_window
),

stated as (
    select * from of_site
    union all
    select * from twins
),

together as (
    select
        coalesce(stated.quantity, of_law.quantity) as quantity,
        coalesce(stated.dose_window, of_law.dose_window) as dose_window,
        coalesce(stated.category, of_law.applies_to) as applies_to,
        cast(coalesce(stated.limit_msv, of_law.value) as decimal(18, 9)) as limit_msv,
        case when stated.limit_msv is null or stated.limit_msv = of_law.value then of_law.limit_rule end as limit_rule,
        of_law.below_age_years,
        of_law.pregnancy_window,
        of_law.after_dose_msv,
        case when stated.quantity is null then of_law.valid_from else stated.valid_from end as valid_from,
        case when stated.quantity is null then of_law.valid_to else stated.valid_to end as valid_to,
        coalesce(stated.citation, of_law.source) as limit_citation,
        case
            when stated.quantity is null then of_law.status
            when stated.confirmed_date <= {{ as_of() }} then 'confirmed'
            else 'must_confirm'
        end as limit_status
    from of_law
    full outer join stated
        on
            of_law.quantity = stated.quantity
            and of_law.dose_window = stated.dose_window
            and of_law.applies_to = stated.category
            and of_law.after_dose_msv is null
),

final as (
    select
        quantity,
        dose_window,
        -- A value of the site's own gets a name as in the seed.
        coalesce(
            limit_rule,
            concat_ws(
                '_',
                case
                    when applies_to in ('apprentice', 'category_b') then applies_to
                    when dose_window in ('calendar_year', 'rolling_12_months') then 'annual'
                    when dose_window = 'rolling_5_years' then 'five_year'
                    else dose_window
                end,
                rtrim(rtrim(cast(limit_msv as varchar), '0'), '.')
            )
        ) as limit_rule,
        applies_to,
        limit_msv,
        coalesce(below_age_years, max(below_age_years) over ()) as below_age_years,
        case when dose_window = 'pregnancy' then coalesce(pregnancy_window, 'from_declaration') end as pregnancy_window,
        after_dose_msv,
        valid_from,
        valid_to,
        limit_citation,
        limit_status
    from together
)

select * from final
