-- Rules compare with words in lower case, so no question may hold a capital letter. The raw test file does, the other
-- two do not: without lower() the rules would be silent on most of the test split.
select question_id
from {{ ref('questions') }}
where text <> lower(text)
