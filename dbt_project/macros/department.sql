{# What the department's copy may show (docs/physicist/department.md): when a group is large enough, and how exact a number is. #}

{% macro is_large_enough() -%}
    count(distinct procedure_id) >= {{ var('department_min_procedures') }}
    and count(distinct operator_id) >= {{ var('department_min_persons') }}
    and count(distinct patient_key) >= {{ var('department_min_persons') }}
{%- endmacro %}

{# Two significant digits. #}
{% macro two_digits(value) -%}
    case
        when {{ value }} != 0 then round({{ value }}, 1 - cast(floor(log10(abs({{ value }}))) as integer)) else {{ value }}
    end
{%- endmacro %}

{# A count, down to two digits and never finer than tens: a difference of two such counts is no count. #}
{% macro down_to_tens(count) -%}
    {{ count }} - {{ count }} % cast(power(10, greatest(1, floor(log10({{ count }})) - 1)) as bigint)
{%- endmacro %}

{# A quantile of those who have a value, if they are themselves enough procedures and persons. #}
{% macro shown_quantile(value, share, person) -%}
    case
        when
            count(distinct procedure_id) filter (where {{ value }} is not null) >= {{ var('department_min_procedures') }}
            and count(distinct {{ person }}) filter (where {{ value }} is not null) >= {{ var('department_min_persons') }}
            then {{ two_digits('quantile_cont(' ~ value ~ ', ' ~ share ~ ')') }}
    end
{%- endmacro %}
