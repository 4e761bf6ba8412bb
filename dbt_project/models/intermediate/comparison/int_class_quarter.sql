-- Distribution of doses of a procedure class by role group and quarter, and its change against the same quarter a year before.
with dose_values as (
    select
        *,
        case when quantity_value > 0 then ln(quantity_value) end as log_value
    from {{ ref('int_dose_value') }}
),

thresholds as (
    select max(value) filter (where name = 'min_change_rows') as min_change_rows
    from {{ ref('comparison_thresholds') }}
),

{{ statistics_with_last_year('procedure_type', 'quarter') }}

select * from final
