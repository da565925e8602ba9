{#
  The three-letter code (ISO 4217) of a currency in either case; 'XXX', ISO's own code for "no
  currency", if the text is not one. Amounts are never converted here.
#}
{% macro currency_code(text) -%}
    case when length(trim({{ text }})) = 3 then upper(trim({{ text }})) else 'XXX' end
{%- endmacro %}
