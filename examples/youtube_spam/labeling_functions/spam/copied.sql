{{ config(tags=['repetition'], description='The same text of some length was posted more than once.') }}
-- Not row-local: this looks at all comments, so it runs as a query of its own. Short texts repeat by chance ("Nice song"),
-- long ones because somebody pastes them under every video. Digits are ignored: pasted texts often differ by a number.
select comment_id, 'spam' as label
from (
  select
    comment_id,
    count(*) over (partition by regexp_replace(lower(text), '[^\p{L}]+', '', 'g')) as copies,
    length(regexp_replace(text, '[^\p{L}]+', '', 'g')) as letters
  from {{ ref('comments') }}
  where not regexp_matches(text, '{{ own_videos() }}') -- the share button's title and link of the video itself
) as counted
where copies > 1 and letters >= 30
