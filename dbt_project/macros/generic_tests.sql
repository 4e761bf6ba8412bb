{# The generic tests that this project needs; hospitals' networks are closed, so no package is used. #}

{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{% test always_zero(model, column_name) %}
select *
from {{ model }}
where {{ column_name }} is distinct from 0
{% endtest %}
