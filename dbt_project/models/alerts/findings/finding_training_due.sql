-- The training in radiation protection of a person at work ends soon or has ended: one finding, for the last step reached. People
-- with no row in training.csv are judged by the date of operators.csv alone (data_quality, training_expired).
with people as (
    select * from {{ ref('fct_training_status') }}
    where is_at_work and n_trainings != 0
),

site as (
    select * from {{ ref('stg_site') }}
),

steps as (
    select * from {{ ref('int_alert_threshold') }}
    where rule = 'training_due'
),

fired as (
    select
        site.site_id,
        people.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        steps.step,
        people.valid_until as period_date,
        people.valid_until - cast(steps.threshold_value as integer) as occurred_on,
        'days_left' as quantity,
        cast(people.days_left as double) as finding_value,
        steps.threshold_value as threshold,
        steps.unit,
        cast(null as bigint) as n_reference,
        steps.severity,
        steps.audience,
        steps.rule_version,
        people.validity_source as detail,
        concat_ws(
            ' ',
            format(
                'The training{} of {} {} {}.',
                coalesce(' «' || people.course || '»', ' by operators.csv'),
                people.operator_id,
                case when people.valid_until < {{ as_of() }} then 'was valid until' else 'is valid until' end,
                people.valid_until
            ),
            case
                when people.validity_source = 'requirement'
                    then format('The date follows from {}.', people.validity_citation)
            end,
            case when people.validity_status = 'must_confirm' then 'This term is not confirmed.' end
        ) as message
    from people
    cross join site
    inner join steps on people.days_left <= steps.threshold_value
    qualify row_number() over (partition by people.operator_id order by steps.threshold_value) = 1
),

final as (
    select
        {{ operator_finding('training_due', sets=['detail']) }}
    from fired
)

select * from final
