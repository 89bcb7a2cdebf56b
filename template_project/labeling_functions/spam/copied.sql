{{ config(tags=['repetition'], description='Several authors posted what is nearly the same text.') }}
-- Not row-local, so it is a SELECT of (key, label): a comment is judged by all the others. Only the first letters count,
-- since copies differ in emoji, case and the last words; short texts repeat by chance.
select comment_id, 'spam' as label
from (
  select
    comment_id,
    letters,
    count(distinct author) over (partition by letters) as authors
  from (
    select comment_id, author, {{ first_letters('text') }} as letters
    from {{ ref('comments') }}
  ) as texts
) as counted
where authors >= {{ var('copies') }} and length(letters) >= 30
