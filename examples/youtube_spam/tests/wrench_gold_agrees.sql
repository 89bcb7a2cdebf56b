-- The gold of both publications must agree for every text: it would not if the texts were joined wrongly.
select bare_text
from (
  select bare_text, class from {{ ref('cleaned_comments') }}
  union all
  select {{ bare_text('text') }} as bare_text, case gold when 'spam' then 1 else 0 end as class
  from {{ source('youtube', 'wrench') }}
) as both_publications
group by bare_text
having count(distinct class) > 1
