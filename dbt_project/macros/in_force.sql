{# Whether a row with valid_from and valid_to (dates, both included; NULL: no end that way) holds on as_of. #}
{% macro in_force(relation) -%}
    coalesce({{ relation }}.valid_from <= {{ as_of() }}, true) and coalesce({{ relation }}.valid_to >= {{ as_of() }}, true)
{%- endmacro %}

{# Whether a day lies within valid_from_date and valid_to_date of a row, both included; to NULL: no end. Rows made from others have
   no prefix. #}
{% macro is_valid_on(relation, day, prefix='valid_') -%}
    {{ day }} >= {{ relation }}.{{ prefix }}from_date
    and {{ day }} <= coalesce({{ relation }}.{{ prefix }}to_date, date '9999-12-31')
{%- endmacro %}
