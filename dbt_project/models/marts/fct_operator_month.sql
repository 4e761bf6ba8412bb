with days as (
    select
        *,
        cast(date_trunc('month', dose_date) as date) as month
    from {{ ref('int_operator_day') }}
),

quantities as (
    select
        *,
        cast(date_trunc('month', dose_date) as date) as month
    from {{ ref('int_operator_quantity') }}
),

operator_procedures as (
    select
        *,
        cast(date_trunc('month', procedure_date) as date) as month
    from {{ ref('int_operator_procedure') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

lens_factors as (
    select * from {{ ref('lens_dose_factors') }}
),

-- One row of an export is one result, with any number of quantities.
below_detection as (
    select distinct
        operator_id,
        load_seq,
        line,
        coalesce(period_begin_date, measured_date) as begin_date,
        coalesce(period_end_date, measured_date) as end_date
    from {{ ref('int_dose_evidence') }}
    where operator_id is not null and token = 'below_detection'
),

-- A result is counted in every month that it covers.
undetected as (
    select
        operator_id,
        cast(unnest(generate_series(date_trunc('month', begin_date), end_date, interval 1 month)) as date) as month
    from below_detection
),

undetected_months as (
    select
        operator_id,
        month,
        count(*) as n_below_detection
    from undetected
    group by all
),

badge_months as (
    select
        days.operator_id,
        days.month,
        sum(days.electronic_usv) filter (days.place = 'over_apron') as hp10_over_apron_usv,
        sum(days.electronic_usv) filter (days.place = 'under_apron') as hp10_under_apron_usv,
        sum(days.passive_usv) filter (days.place = 'over_apron') as badge_hp10_over_apron_usv,
        sum(days.passive_usv) filter (days.place = 'under_apron') as badge_hp10_under_apron_usv,
        sum(days.electronic_usv) filter (
            days.place = 'over_apron' and days.passive_usv is not null
        ) as electronic_beside_passive_usv,
        sum(days.dose_usv) filter (days.place = 'over_apron') as over_apron_of_record_usv,
        sum(days.warning_usv) filter (days.place = 'over_apron') as hp10_over_apron_warning_usv,
        case
            when bool_and(days.warning_high_usv is not null) filter (days.place = 'over_apron')
                then sum(days.warning_high_usv) filter (days.place = 'over_apron')
        end as hp10_over_apron_warning_high_usv,
        sum(days.dose_usv) filter (days.place = 'under_apron') as under_apron_of_record_usv,
        sum(days.dose_usv) filter (days.place = 'eye') as hp3_measured_usv,
        sum(days.dose_usv * lens_factors.value) as hp3_estimate_usv,
        -- The higher hand, never both.
        greatest(
            sum(days.dose_usv) filter (days.place = 'left_hand'),
            sum(days.dose_usv) filter (days.place = 'right_hand')
        ) as hp007_hand_usv,
        bool_or(days.dose_source = 'passive') as has_passive,
        bool_or(days.dose_source = 'electronic') as has_electronic
    from days
    inner join operators on days.operator_id = operators.operator_id
    left join lens_factors
        on
            days.place = 'over_apron'
            and days.worn_at = lens_factors.worn_at
            and coalesce(operators.wears_lead_glasses, false) = lens_factors.wears_lead_glasses
    group by days.operator_id, days.month
),

effective_months as (
    select
        operator_id,
        month,
        sum(warning_usv) as effective_dose_low_usv,
        {{ sum_if_all_known('warning_high_usv') }} as effective_dose_high_usv,
        sum(dose_usv) filter (dose_source = 'external') as external_effective_usv,
        coalesce(
            string_agg(distinct method, ', ' order by method) filter (dose_source != 'external'), 'external'
        ) as effective_dose_method
    from quantities
    where quantity = 'effective'
    group by all
),

procedure_months as (
    select
        operator_id,
        month,
        count(*) as procedures,
        count(*) filter (badge_status != 'missing') as procedures_with_badge,
        sum(hp10_usv) as hp10_linked_usv,
        sum(kap_gy_cm2) as kap_gy_cm2
    from operator_procedures
    group by all
),

months as (
    select
        operator_id,
        month
    from badge_months
    union
    select
        operator_id,
        month
    from effective_months
    union
    select
        operator_id,
        month
    from procedure_months
    union
    select
        operator_id,
        month
    from undetected_months
),

final as (
    select
        months.operator_id,
        months.month,
        coalesce(procedure_months.procedures, 0) as procedures,
        coalesce(procedure_months.procedures_with_badge, 0) as procedures_with_badge,
        cast(badge_months.hp10_over_apron_usv as double) as hp10_over_apron_usv,
        cast(procedure_months.hp10_linked_usv as double) as hp10_linked_usv,
        cast(badge_months.hp10_under_apron_usv as double) as hp10_under_apron_usv,
        cast(badge_months.hp007_hand_usv as double) as hp007_hand_usv,
        -- Below detection adds 0; the other end of what is possible is in a column of its own.
        cast(effective_months.effective_dose_low_usv as double) as effective_dose_estimate_usv,
        effective_months.effective_dose_method,
        cast(badge_months.hp3_estimate_usv as double) as hp3_estimate_usv,
        cast(badge_months.badge_hp10_over_apron_usv as double) as badge_hp10_over_apron_usv,
        cast(badge_months.badge_hp10_under_apron_usv as double) as badge_hp10_under_apron_usv,
        case
            when
                badge_months.has_passive and badge_months.has_electronic
                or badge_months.operator_id is not null and effective_months.external_effective_usv is not null
                then 'mixed'
            when badge_months.has_passive then 'passive'
            when badge_months.has_electronic then 'electronic'
            when effective_months.external_effective_usv is not null then 'external'
        end as dose_source,
        coalesce(undetected_months.n_below_detection, 0) as n_below_detection,
        cast(badge_months.electronic_beside_passive_usv as double)
        / nullif(cast(badge_months.badge_hp10_over_apron_usv as double), 0) as epd_to_badge_ratio,
        cast(procedure_months.kap_gy_cm2 as double) as kap_gy_cm2,
        cast(badge_months.over_apron_of_record_usv as double) as over_apron_of_record_usv,
        cast(badge_months.under_apron_of_record_usv as double) as under_apron_of_record_usv,
        cast(badge_months.hp3_measured_usv as double) as hp3_measured_usv,
        cast(effective_months.external_effective_usv as double) as external_effective_usv,
        cast(badge_months.hp10_over_apron_warning_usv as double) as hp10_over_apron_warning_usv,
        cast(badge_months.hp10_over_apron_warning_high_usv as double) as hp10_over_apron_warning_high_usv,
        cast(effective_months.effective_dose_low_usv as double) as effective_dose_low_usv,
        cast(effective_months.effective_dose_high_usv as double) as effective_dose_high_usv
    from months
    left join badge_months
        on months.operator_id = badge_months.operator_id and months.month = badge_months.month
    left join effective_months
        on months.operator_id = effective_months.operator_id and months.month = effective_months.month
    left join procedure_months
        on months.operator_id = procedure_months.operator_id and months.month = procedure_months.month
    left join undetected_months
        on months.operator_id = undetected_months.operator_id and months.month = undetected_months.month
)

select * from final
