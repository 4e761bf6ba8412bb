-- A passive badge result that does not agree with the electronic badge at the same place, or, under the apron, with the badges
-- over it. The first two are judged for the result alone and for the last results together.
with results as (
    select * from {{ ref('int_passive_result') }}
),

site as (
    select * from {{ ref('stg_site') }}
),

-- Exact, as doses are: a dose just at a limit does not depend on how a fraction is rounded.
rules as (
    select
        *,
        cast(threshold_value as decimal(12, 3)) as limit_value
    from {{ ref('int_alert_threshold') }}
    where rule = 'badge_mismatch'
),

limits as (
    select
        max(limit_value) filter (where name = 'passive_low') as min_electronic_usv,
        max(limit_value) filter (where name = 'passive_share') / 100 as passive_share,
        max(limit_value) filter (where name = 'electronic_low') as min_passive_usv,
        max(limit_value) filter (where name = 'passive_ratio') as passive_ratio,
        max(limit_value) filter (where name = 'assigned_share') / 100 as assigned_share,
        max(limit_value) filter (where name = 'under_above_over') as min_under_usv,
        max(limit_value) filter (where name = 'under_ratio') as under_ratio,
        max(limit_value) filter (where name = 'assumed_lod') as assumed_lod_usv,
        max(limit_value) filter (where name = 'last_results') as last_results,
        max(limit_value) filter (where name = 'repeats') as repeats,
        max(severity) filter (where name = 'repeats') as repeated_severity
    from rules
    having max(rule) is not null
),

-- A result below detection is taken as high as it may be: the limit of detection, or the one of the rule where none is
-- stated.
numbered as (
    select
        results.*,
        limits.last_results,
        coalesce(
            results.passive_high_usv,
            {{ share_of_part('limits.assumed_lod_usv', 'results.n_days', '0', 'results.n_period_days') }}
        ) as compared_usv,
        row_number() over (
            partition by results.operator_id, results.place order by results.end_date, results.begin_date
        ) as nth_result
    from results
    cross join limits
),

spans as (
    select
        operator_id,
        place,
        nth_result,
        unnest([1, cast(last_results as integer)]) as n_results
    from numbered
),

-- Each result alone, and together with those before it if there are as many.
compared as (
    select
        spans.operator_id,
        spans.place,
        spans.nth_result,
        spans.n_results,
        min(numbered.begin_date) as begin_date,
        arg_max(numbered.begin_date, numbered.nth_result) as period_date,
        max(numbered.end_date) as end_date,
        {{ dose_sum('numbered.compared_usv') }} as passive_usv,
        {{ dose_sum('numbered.electronic_usv') }} as electronic_usv,
        {{ dose_sum('numbered.over_apron_warning_usv') }} as over_apron_warning_usv,
        sum(numbered.n_days) as n_days,
        sum(numbered.n_electronic_assigned_days) as n_electronic_assigned_days,
        bool_or(numbered.wears_over_apron) as wears_over_apron,
        bool_or(numbered.is_below_detection) as is_below_detection,
        bool_or(numbered.passive_high_usv is null) as is_lod_assumed
    from spans
    inner join numbered
        on
            spans.operator_id = numbered.operator_id
            and spans.place = numbered.place
            and spans.nth_result - spans.n_results < numbered.nth_result
            and spans.nth_result >= numbered.nth_result
    group by all
    having count(*) = spans.n_results
),

mismatches as (
    select
        compared.*,
        limits.*,
        'passive_low' as rule_step,
        nullif(compared.place, 'over_apron') as other_place,
        compared.passive_usv as finding_value,
        limits.passive_share * compared.electronic_usv as threshold,
        'electronic badge ' || {{ dose_text('compared.electronic_usv') }} as other_badge,
        'perhaps the passive badge was not worn, perhaps the badges were exchanged' as possible_cause
    from compared
    cross join limits
    where
        compared.electronic_usv >= limits.min_electronic_usv
        and compared.passive_usv < limits.passive_share * compared.electronic_usv
    union all by name
    select
        compared.*,
        limits.*,
        'electronic_low' as rule_step,
        nullif(compared.place, 'over_apron') as other_place,
        compared.passive_usv as finding_value,
        limits.passive_ratio * compared.electronic_usv as threshold,
        'electronic badge ' || {{ dose_text('compared.electronic_usv') }} as other_badge,
        'perhaps the electronic badge was not worn, or the person works where no hub is' as possible_cause
    from compared
    cross join limits
    where
        compared.passive_usv >= limits.min_passive_usv
        and compared.passive_usv > limits.passive_ratio * compared.electronic_usv
        and compared.n_electronic_assigned_days >= limits.assigned_share * compared.n_days
    union all by name
    -- A badge below detection shows no dose under the apron, and without a badge over it there is nothing to compare.
    select
        compared.*,
        limits.*,
        'under_above_over' as rule_step,
        cast(null as varchar) as other_place,
        compared.passive_usv as finding_value,
        limits.under_ratio * compared.over_apron_warning_usv as threshold,
        'over the apron ' || {{ dose_text('compared.over_apron_warning_usv') }} as other_badge,
        'perhaps the badges were exchanged, or the one over the apron was not worn' as possible_cause
    from compared
    cross join limits
    where
        compared.place = 'under_apron'
        and compared.n_results = 1
        and compared.wears_over_apron
        and not compared.is_below_detection
        and compared.passive_usv >= limits.min_under_usv
        and compared.passive_usv > limits.under_ratio * compared.over_apron_warning_usv
),

-- One finding of a step for a result: by itself, else together with those before it.
found as (
    select * from mismatches
    qualify row_number() over (
        partition by operator_id, place, nth_result, rule_step order by n_results
    ) = 1
),

-- In how many of the last periods, this one among them.
repeated as (
    select
        *,
        count(*) over (
            partition by operator_id, place, rule_step
            order by nth_result
            range between {{ frame_bound('cast(last_results as bigint) - 1') }} preceding and current row
        ) as n_periods
    from found
),

fired as (
    select
        site.site_id,
        repeated.operator_id,
        cast(null as varchar) as study_name,
        cast(null as varchar) as procedure_id,
        cast(null as varchar) as room_id,
        -- The badge over the apron, which most results are of, needs no place in the name.
        concat_ws('/', rules.step, repeated.other_place) as step,
        repeated.place as detail,
        repeated.period_date,
        repeated.end_date as occurred_on,
        repeated.rule_step as quantity,
        cast(repeated.finding_value as double) as finding_value,
        cast(repeated.threshold as double) as threshold,
        rules.unit,
        cast(repeated.n_results as bigint) as n_reference,
        case
            when repeated.n_periods >= repeated.repeats then repeated.repeated_severity else rules.severity
        end as severity,
        rules.audience,
        rules.rule_version,
        format(
            'Passive badge {} ({}) {}{}, {} from {} to {}: {}.',
            replace(replace(repeated.place, '_apron', ' the apron'), '_', ' '),
            case repeated.n_results when 1 then 'one result' else repeated.n_results || ' results' end,
            {{ dose_text('repeated.passive_usv') }},
            case
                when repeated.is_lod_assumed
                    then
                        ', of which below detection (limit not stated) counts as '
                        || {{ dose_text('repeated.assumed_lod_usv') }}
                when repeated.is_below_detection then ', of which below detection counts as the limit of detection'
                else ''
            end,
            repeated.other_badge,
            repeated.begin_date,
            repeated.end_date,
            repeated.possible_cause
        ) as message
    from repeated
    cross join site
    inner join rules on repeated.rule_step = rules.step
),

final as (
    select
        {{ operator_finding('badge_mismatch', sets=['detail']) }}
    from fired
)

select * from final
