-- The steps of skin dose that procedures reach: alone, or as a sum to which the procedure adds. A sum fires a step only if
-- none of its procedures reached that step alone. Of the steps of one procedure, and of its sum, the highest counts; the
-- step of a year is one of its own.
with sums as (
    select * from {{ ref('int_skin_sum') }}
),

thresholds as (
    select * from {{ ref('int_rule_threshold') }}
    where rule = 'patient_dose' and is_enabled
),

-- The higher step first.
steps as (
    select
        *,
        case name
            when 'ka_r' then 1
            when 'kap' then 2
            when 'ka_r_notice' then 3
            when 'fluoro_time' then 4
            when 'ka_r_year' then 5
        end as step_rank,
        case when name in ('ka_r_notice', 'ka_r_year') then 'ka_r' else name end as quantity
    from thresholds
    where name in ('ka_r', 'kap', 'ka_r_notice', 'fluoro_time', 'ka_r_year')
),

own as (
    select
        procedure_id,
        ka_r_mgy,
        kap_gy_cm2,
        fluoro_time_s
    from sums
    where extent = 'one'
),

doses as (
    select
        sums.procedure_id,
        sums.extent,
        sums.extent_days,
        sums.body_region,
        sums.n_procedures,
        sums.n_unknown_region,
        sums.kap_gy_cm2 as kap_without_ka_r_gy_cm2,
        sums.n_kap as n_without_ka_r,
        steps.name,
        steps.step,
        steps.step_rank,
        steps.quantity,
        steps.threshold_value,
        steps.unit,
        steps.severity,
        steps.audience,
        steps.rule_version,
        case steps.quantity
            when 'ka_r' then sums.ka_r_mgy
            when 'kap' then sums.kap_gy_cm2
            -- Of a sum whose Ka,r or KAP is known, the time of fluoroscopy adds no information.
            when 'fluoro_time' then case when sums.n_ka_r = 0 and sums.n_kap = 0 then sums.fluoro_time_s end
        end as dose,
        case steps.quantity
            when 'ka_r' then sums.highest_ka_r_mgy
            when 'kap' then sums.highest_kap_gy_cm2
            when 'fluoro_time' then sums.highest_fluoro_time_s
        end as highest_dose,
        case steps.quantity
            when 'ka_r' then own.ka_r_mgy
            when 'kap' then own.kap_gy_cm2
            when 'fluoro_time' then own.fluoro_time_s
        end as own_dose
    from sums
    inner join own on sums.procedure_id = own.procedure_id
    cross join steps
    where sums.extent = 'one' or (sums.extent = 'year') = (steps.name = 'ka_r_year')
),

reached as (
    select
        *,
        extent = 'one' as is_of_one
    from doses
    where
        dose >= threshold_value
        and own_dose > 0
        and (extent = 'one' or (n_procedures > 1 and highest_dose < threshold_value))
),

final as (
    select
        procedure_id,
        case when is_of_one or name = 'ka_r_year' then step else step || '_of_days' end as step,
        is_of_one,
        body_region,
        extent_days,
        n_procedures,
        n_unknown_region,
        n_without_ka_r,
        kap_without_ka_r_gy_cm2,
        quantity,
        dose,
        threshold_value,
        unit,
        severity,
        audience,
        rule_version
    from reached
    qualify row_number() over (
        partition by procedure_id, extent, name = 'ka_r_year' order by step_rank asc, dose desc, body_region asc
    ) = 1
)

select * from final
