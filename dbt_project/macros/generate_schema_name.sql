{#
  Everything of a build lands in the edition schema (REPLICA_EDITION_SCHEMA), whatever layer a
  model names: an edition is complete, or it is not published.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}
{%- endmacro %}
