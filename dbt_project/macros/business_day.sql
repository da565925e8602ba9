{#
  The date of a moment in the business time zone (REPLICA_BUSINESS_ZONE, an IANA name; UTC if it is
  not set). A day of revenue is the shop's day, not the server's.
#}
{% macro business_day(moment) -%}
    {{ return(adapter.dispatch('business_day')(moment)) }}
{%- endmacro %}

{% macro default__business_day(moment) -%}
    cast({{ moment }} at time zone '{{ env_var("REPLICA_BUSINESS_ZONE", "UTC") }}' as date)
{%- endmacro %}
