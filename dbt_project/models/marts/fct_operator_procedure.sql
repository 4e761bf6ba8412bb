with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

operators as (
    select * from {{ ref('stg_operator') }}
),

lens_factors as (
    select * from {{ ref('lens_dose_factors') }}
),

final as (
    select
        operator_procedures.procedure_id,
        operator_procedures.operator_id,
        operator_procedures.role,
        operator_procedures.role_group,
        operator_procedures.worn_at,
        operator_procedures.dosimeter_serial,
        cast(operator_procedures.hp10_usv as double) as hp10_usv,
        cast(operator_procedures.hp10_apportioned_usv as double) as hp10_apportioned_usv,
        cast(operator_procedures.other_over_apron_usv as double) as other_over_apron_usv,
        operator_procedures.peak_rate_usv_per_h,
        cast(operator_procedures.hp10_usv as double)
        / nullif(cast(operator_procedures.kap_gy_cm2 as double), 0) as hp10_per_kap_usv_per_gy_cm2,
        60 * cast(operator_procedures.hp10_usv as double)
        / nullif(cast(operator_procedures.fluoro_time_s as double), 0) as hp10_per_fluoro_min_usv,
        100 * cast(operator_procedures.hp10_usv as double)
        / nullif(cast(operator_procedures.c_arm_dose_usv as double), 0) as hp10_to_c_arm_percent,
        cast(operator_procedures.hp10_usv * lens_factors.value as double) as hp3_estimate_usv,
        operator_procedures.link_method,
        operator_procedures.link_confidence,
        operator_procedures.badge_status,
        case when operator_procedures.hp10_usv is not null then cast(lens_factors.value as double) end as hp3_factor,
        case when operator_procedures.hp10_usv is not null then lens_factors.method end as hp3_method
    from operator_procedures
    left join operators on operator_procedures.operator_id = operators.operator_id
    left join lens_factors
        on
            operator_procedures.worn_at = lens_factors.worn_at
            and coalesce(operators.wears_lead_glasses, false) = lens_factors.wears_lead_glasses
)

select * from final
