{# Tests of your own, used by name under `tests:` like those that come with teachkit. The rows selected are at fault. #}

{# No HTML entity is left, and no space before or after the text. #}
{% test is_clean_text(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} <> trim({{ column_name }})
   or regexp_matches({{ column_name }}, '&(amp|lt|gt|quot|#\d+);')
{% endtest %}
