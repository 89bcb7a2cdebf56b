{# The five HTML entities that the files hold, and line breaks. &amp; comes last: '&amp;lt;' stands for '&lt;'. #}
{% macro unescape_html(column) -%}
replace(replace(replace(replace(replace(
  regexp_replace({{ column }}, '<br\s*/?>', ' ', 'g'),
  '&#39;', ''''), '&quot;', '"'), '&lt;', '<'), '&gt;', '>'), '&amp;', '&')
{%- endmacro %}

{# U+FEFF, which ends many comments, is no white space to DuckDB, so it must be named. #}
{% macro clean_text(column) -%}
trim(regexp_replace(replace({{ unescape_html(column) }}, chr(65279), ' '), '\s+', ' ', 'g'))
{%- endmacro %}

{# What is left of a text when only its letters and digits count: to match two copies of the same comment. #}
{% macro bare_text(column) -%}
regexp_replace(lower({{ clean_text(column) }}), '[^\p{L}\p{N}]+', '', 'g')
{%- endmacro %}
