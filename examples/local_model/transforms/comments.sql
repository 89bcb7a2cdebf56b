-- Of the comments with gold some of each split, the same ones every time: as few as show a difference, since what the
-- model says of each is kept in git.
select comment_id, author, video, text, class, split
from (
  select
    comment_id,
    author,
    video,
    {{ clean_text('content') }} as text,
    class,
    split,
    row_number() over (partition by split order by md5(comment_id)) as place
  from {{ source('site', 'comments') }}
  where {{ clean_text('content') }} <> ''
) as numbered
where place <= case split when 'tune' then {{ var('tune') }} when 'test' then {{ var('test') }} else 0 end
