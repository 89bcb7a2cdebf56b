-- The WRENCH split, one row for each of its 1,956 texts. Texts repeat, also across the splits ("Check out my channel"),
-- so copies of a text are numbered here and in comments.sql, and the n-th meets the n-th.
select
  bare_text,
  row_number() over (partition by bare_text order by part, number) as copy,
  case part when 'valid' then 'tune' else part end as split
from (
  select
    {{ bare_text('text') }} as bare_text,
    split_part(id, '-', 1) as part,
    cast(split_part(id, '-', 2) as integer) as number
  from {{ source('youtube', 'wrench') }}
) as texts
