{# The findings of one rule: what every view alerts.<rule> is. #}
{% macro alert_view(rule) -%}
with alerts as (
    select * from {{ ref('alert') }}
),

final as (
    select * from alerts
    where rule = '{{ rule }}'
)

select * from final
{%- endmacro %}
