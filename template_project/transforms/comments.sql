-- The items to label: readable text, no empty comments. Gold and split go along; rules may not read gold.
select
  comment_id,
  author,
  posted_at,
  video,
  {{ clean_text('content') }} as text,
  class,
  split
from {{ source('site', 'comments') }}
where {{ clean_text('content') }} <> ''
