{# Chance of exactly so many hits in n independent trials of probability p. #}
{% macro binomial_probability(hits, n, p) -%}
    exp(lgamma({{ n }} + 1) - lgamma({{ hits }} + 1) - lgamma({{ n }} - {{ hits }} + 1))
    * pow({{ p }}, {{ hits }}) * pow(1 - {{ p }}, {{ n }} - {{ hits }})
{%- endmacro %}

{# Natural logarithm as a DECIMAL: sums of it are exact and the same in any order. #}
{% macro logarithm(value) -%}
    cast(ln(cast({{ value }} as double)) as decimal(18, 15))
{%- endmacro %}

{# Statistics of a place (the column that names it) by role group, quantity and calendar period, beside those of the same period
   a year before: the CTEs measured and final, from dose_values and thresholds. Logarithms are those of the values above 0. #}
{% macro statistics_with_last_year(place, period) -%}
measured as (
    select
        {{ place }},
        role_group,
        cast(date_trunc('{{ period }}', procedure_date) as date) as period_begin,
        quantity,
        count(*) as n,
        count(distinct operator_id) as n_operators,
        count(distinct patient_key) as n_patients,
        quantile_cont(quantity_value, 0.25) as q1,
        median(quantity_value) as median,
        quantile_cont(quantity_value, 0.75) as q3,
        count(log_value) as n_above_0,
        avg(log_value order by procedure_id, operator_id) as log_mean,
        var_samp(log_value order by procedure_id, operator_id) / n_above_0 as squared_error
    from dose_values
    group by {{ place }}, role_group, period_begin, quantity
),

final as (
    select
        measured.* exclude (n_above_0, log_mean, squared_error),
        measured.log_mean - last_year.log_mean as log_change,
        sqrt(measured.squared_error + last_year.squared_error) as standard_error,
        pow(measured.squared_error + last_year.squared_error, 2)
        / nullif(
            pow(measured.squared_error, 2) / (measured.n_above_0 - 1)
            + pow(last_year.squared_error, 2) / (last_year.n_above_0 - 1),
            0
        ) as degrees_of_freedom
    from measured
    cross join thresholds
    left join measured as last_year
        on
            measured.{{ place }} = last_year.{{ place }}
            and measured.role_group = last_year.role_group
            and measured.quantity = last_year.quantity
            and measured.period_begin = last_year.period_begin + interval '1 year'
            and thresholds.min_change_rows <= least(measured.n_above_0, last_year.n_above_0)
)
{%- endmacro %}
