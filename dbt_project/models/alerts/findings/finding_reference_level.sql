-- The whole site's median of a class above the diagnostic reference level; one finding a class, quantity and year.
with reference_levels as (
    select * from {{ ref('fct_reference_level') }}
    where room_id is null
),

site as (
    select * from {{ ref('stg_site') }}
),

steps as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'reference_level' and name = 'min_reference'
),

fired as (
    select
        site.site_id,
        concat_ws('/', steps.step, reference_levels.quantity, reference_levels.procedure_type) as step,
        reference_levels.procedure_type as detail,
        'site' as subject_type,
        cast(null as varchar) as operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as patient_key,
        cast(null as varchar) as room_id,
        {{ as_of() }} as occurred_on,
        cast(year(occurred_on) as varchar) as period,
        reference_levels.quantity,
        reference_levels.median as finding_value,
        reference_levels.drl_value as threshold,
        case reference_levels.quantity
            when 'kap' then 'Gy.cm2'
            when 'fluoro_time' then 's'
            when 'dlp' then 'mGy.cm'
            else 'mGy'
        end as unit,
        reference_levels.n as n_reference,
        format(
            'The median {} of {} ({:.6g} {}, n = {}) is above the {} diagnostic reference level of {:.6g} {}{}.',
            reference_levels.quantity,
            reference_levels.procedure_type,
            reference_levels.median,
            unit,
            reference_levels.n,
            case reference_levels.drl_scope
                when 'site' then 'site''s'
                when 'european' then 'European'
                else 'national'
            end,
            reference_levels.drl_value,
            unit,
            coalesce(' (' || reference_levels.drl_citation || ')', '')
        ) as message,
        steps.severity,
        steps.audience,
        steps.rule_version
    from reference_levels
    inner join steps
        on reference_levels.n >= steps.threshold_value and reference_levels.median > reference_levels.drl_value
    cross join site
),

final as (
    {{ findings_of('reference_level', sets=['detail']) }}
)

select * from final
