{# The HTML entities that comments hold, and line breaks. &amp; comes last: '&amp;lt;' stands for '&lt;'. #}
{% macro unescape_html(column) -%}
replace(replace(replace(replace(replace(
  regexp_replace({{ column }}, '<br\s*/?>', ' ', 'g'),
  '&#39;', ''''), '&quot;', '"'), '&lt;', '<'), '&gt;', '>'), '&amp;', '&')
{%- endmacro %}

{# A comment ready to be read: entities resolved, one space between words, none around them. #}
{% macro clean_text(column) -%}
trim(regexp_replace({{ unescape_html(column) }}, '\s+', ' ', 'g'))
{%- endmacro %}

{# How many words a text has. Numbers count, emoji do not. #}
{% macro word_count(column) -%}
len(regexp_extract_all({{ column }}, '[\p{L}\p{M}\p{N}''’]+'))
{%- endmacro %}

{# What two copies of a text have in common: its first letters, without case, digits, signs and spaces. #}
{% macro first_letters(column, length=60) -%}
left(regexp_replace(lower({{ column }}), '[^\p{L}\p{M}]+', '', 'g'), {{ length }})
{%- endmacro %}

{# A web address, also one without https. '.example' is the ending of invented sites, as in this template's data. #}
{% macro has_link(column) -%}
regexp_matches({{ column }}, '(?i)https?://|\bwww\.|(^|[^@\w.-])[a-z0-9][\w.-]*\.(com|org|net|info|io|tv|app|shop|example)\b')
{%- endmacro %}

{# The vocabulary of asking for something, in the languages that occur. Rules for ham use it to know when to stay silent. #}
{% macro asks(column) -%}
({{ has_link(column) }} or regexp_matches(
  {{ column }},
  '(?i)s[uo]b?s?cri|\bsubs?\b|abonn|inscrev|abone\b|channel|\bchanel|\bcanal\b|kanal|chaîne|登録|सब्सक्राइब'
  || '|profile?\b|profil\b|perfil|\bmy (page|bio|blog|shop|video|new|first|newest|cover|account|stuff|server)|\bour (page|first|channel)'
  || '|\b(vote|donate|download|sign up|sign my|search for|look up|write me)\b|\b(click|follow|visit|check|check out|find) (here|it|me|my|us|our|on|@)|\bgive it a\b'
  || '|whatsapp|telegram|\binsta|\bdm\b|@\w+_example|\w@\w|\+\d\d'
  || '|\b(free|gratis|kostenlos|grátis|earn|gana|ganhe|cheap|prices?|sell|selling|vendo|verkauft|compra|promo|code|gift|win)\b'
  || '|\bshare this\b|\bsend this\b|\bpaste\b|\bcopy this\b'
))
{%- endmacro %}
