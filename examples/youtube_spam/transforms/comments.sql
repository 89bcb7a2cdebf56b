-- The items to label: every comment with its split. WRENCH dropped ids, authors and dates, so the text is what joins.
-- A test in _schema.yml proves that every comment found its split.
select
  c.comment_id,
  c.author,
  c.posted_at,
  c.text,
  c.class,
  s.split
from (
  select *, row_number() over (partition by bare_text order by comment_id) as copy
  from {{ ref('cleaned_comments') }}
) as c
left join {{ ref('wrench_split') }} as s
  on s.bare_text = c.bare_text and s.copy = c.copy
