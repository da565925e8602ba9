{#
  The same word however people typed it: lower case, no spaces around, one space between, and
  `_`, `-` read as spaces. Empty text is null.
#}
{% macro spelling(text) -%}
    nullif(trim(lower(replace(replace({{ text }}, '_', ' '), '-', ' '))), '')
{%- endmacro %}
