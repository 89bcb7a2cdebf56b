-- One row for each of the 1,956 comments, with a key and with readable text.
--
-- COMMENT_ID alone is no key: three comments stand twice in the files. They are kept, since the published counts and
-- the split of WRENCH count them. The second copy gets '-2' after its id. Copies are equal in every column, so it
-- does not matter which of them is called the second, and the key does not depend on the order of files or rows.
-- CLASS is not in the ordering: the key would then come from gold, and no rule that selects it would be accepted.
-- Aliases give the columns, which the files call AUTHOR and CLASS, names in lower case.
select
  comment_id || case when copy > 1 then '-' || copy else '' end as comment_id,
  author as author,
  try_cast(date as timestamp) as posted_at,
  {{ clean_text('content') }} as text,
  {{ bare_text('content') }} as bare_text,
  class as class
from (
  select
    comment_id, author, date, content, class,
    row_number() over (partition by comment_id order by author, date, content) as copy
  from {{ source('youtube', 'comments') }}
) as numbered
