-- A test of its own: it fails if this SELECT gives a row. Here: a video under which all comments got the same label, or
-- none, which has always meant that something upstream was broken.
select c.video
from {{ ref('comments') }} as c
join {{ ref('spam_labels') }} as l on l.comment_id = c.comment_id
group by c.video
having count(distinct l.label) < 2
