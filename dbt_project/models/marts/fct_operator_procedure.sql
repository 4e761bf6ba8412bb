with operator_procedures as (
    select * from {{ ref('int_operator_procedure') }}
),

final as (
    select
        procedure_id,
        operator_id,
        role,
        worn_at,
        dosimeter_serial,
        cast(hp10_usv as double) as hp10_usv,
        cast(hp10_apportioned_usv as double) as hp10_apportioned_usv,
        cast(other_over_apron_usv as double) as other_over_apron_usv,
        peak_rate_usv_per_h,
        cast(hp10_usv as double) / nullif(cast(kap_gy_cm2 as double), 0) as hp10_per_kap_usv_per_gy_cm2,
        100 * cast(hp10_usv as double) / nullif(cast(c_arm_dose_usv as double), 0) as hp10_to_c_arm_percent,
        cast(null as double) as hp3_estimate_usv,
        link_method,
        link_confidence,
        badge_status
    from operator_procedures
)

select * from final
