{#
  The two-letter code (ISO 3166-1) of a country that people wrote as a code in either case or as an
  English or local name; null if it is neither. Names are added here when the data bring them.
#}
{% macro country_code(text) -%}
    {%- set names = {
        'germany': 'DE', 'deutschland': 'DE', 'austria': 'AT', 'switzerland': 'CH',
        'france': 'FR', 'italy': 'IT', 'spain': 'ES', 'netherlands': 'NL', 'belgium': 'BE',
        'poland': 'PL', 'portugal': 'PT', 'denmark': 'DK', 'sweden': 'SE', 'norway': 'NO',
        'finland': 'FI', 'ireland': 'IE', 'united kingdom': 'GB', 'great britain': 'GB',
        'uk': 'GB', 'united states': 'US', 'usa': 'US', 'canada': 'CA',
    } -%}
    case lower(trim({{ text }}))
        {%- for name, code in names.items() %}
        when '{{ name }}' then '{{ code }}'
        {%- endfor %}
        else case when length(trim({{ text }})) = 2 then upper(trim({{ text }})) end
    end
{%- endmacro %}
