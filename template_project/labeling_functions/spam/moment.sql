{{ config(label='ham', tags=['topic'], description='Points at a moment of the video, such as 2:13, and asks for nothing.') }}
regexp_matches(text, '(^|[^\d:])\d{1,2}:[0-5]\d([^\d:]|$)')
and not {{ asks('text') }}
