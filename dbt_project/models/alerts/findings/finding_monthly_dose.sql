-- A month whose warning dose reaches an investigation level: over the apron (for the lens), or effective dose from it.
with months as (
    select * from {{ ref('fct_operator_month') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

levels as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'monthly_dose'
),

doses as (
    select
        operator_id,
        month,
        'over_apron' as level_name,
        hp10_over_apron_warning_usv as dose_usv,
        hp10_over_apron_warning_high_usv as high_usv,
        'Hp(10) over the apron' as dose_name
    from months
    union all
    select
        operator_id,
        month,
        'effective' as level_name,
        effective_dose_low_usv as dose_usv,
        effective_dose_high_usv as high_usv,
        'Effective dose estimate (' || effective_dose_method || ')' as dose_name
    from months
),

fired as (
    select
        site.site_id,
        doses.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        levels.step,
        doses.month as period_date,
        least(last_day(doses.month), {{ as_of() }}) as occurred_on,
        case levels.name when 'over_apron' then 'hp10' else 'effective' end as quantity,
        doses.dose_usv as finding_value,
        levels.threshold_value as threshold,
        levels.unit,
        cast(null as bigint) as n_reference,
        levels.severity,
        levels.audience,
        levels.rule_version,
        format(
            '{} of {:.1f} µSv{} in {}, investigation level {:.0f} µSv.',
            doses.dose_name,
            doses.dose_usv,
            {{ at_most('doses.dose_usv', 'doses.high_usv') }},
            strftime(doses.month, '%Y-%m'),
            levels.threshold_value
        ) as message
    from doses
    cross join site
    inner join levels on doses.level_name = levels.name and doses.dose_usv >= levels.threshold_value
),

final as (
    select
        {{ operator_finding('monthly_dose') }}
    from fired
)

select * from final
