{# The models whose yml declares a key (meta: key) and whose key no other model's proves (meta: key_tested_with). #}
{% macro keyed_models() %}
    {% set keyed = [] %}
    {% if execute %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' %}
            {% if node.config.meta.key and not node.config.meta.key_tested_with %}{% do keyed.append(node) %}{% endif %}
        {% endfor %}
    {% endif %}
    {% do return(keyed) %}
{% endmacro %}
