{# The ids of the five videos under which the comments stand, as one regular expression. #}
{% macro own_videos() -%}
9bZkp7q19f0|CevxZvSJLk8|KQ6zr6kCPj8|uelHwf8o7_U|pRpeEdMmmQ0
{%- endmacro %}
