with limits as (
    select * from {{ ref('int_operator_limit') }}
),

final as (
    select
        operator_id,
        quantity,
        dose_window,
        limit_rule,
        window_begin,
        window_end,
        dose_msv,
        limit_msv,
        fraction_of_limit,
        warning_fraction,
        projected_fraction,
        is_estimate,
        dose_source,
        covered_days,
        covered_to_date,
        is_begin_unknown,
        limit_citation,
        limit_status,
        valid_from,
        valid_to,
        warning_dose_msv,
        dose_low_msv,
        dose_high_msv
    from limits
)

select * from final
