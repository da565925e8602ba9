{#
  The date that a text 'DD/MM/YYYY' writes; null for any other text, also for days that do not exist
  (31/02/2020). One bad text must not stop the night, so nothing is handed to a cast that can fail.
#}
{% macro european_date(text) -%}
    {{ return(adapter.dispatch('european_date')(text)) }}
{%- endmacro %}

{% macro default__european_date(text) -%}
    {%- set month_start -%}
        make_date(
            cast(substring({{ text }} from 7 for 4) as integer),
            cast(substring({{ text }} from 4 for 2) as integer),
            1
        )
    {%- endset -%}
    {%- set days -%} cast(substring({{ text }} from 1 for 2) as integer) - 1 {%- endset -%}
    case
        when {{ text }} ~ '^(0[1-9]|[12][0-9]|3[01])/(0[1-9]|1[0-2])/[12][0-9]{3}$' then
            case
                when date_trunc('month', {{ month_start }} + {{ days }}) = {{ month_start }}
                    then {{ month_start }} + {{ days }}
            end
    end
{%- endmacro %}
