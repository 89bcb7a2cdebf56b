{{ config(label='ham', tags=['topic'], description='A link to one of the five videos themselves, or to a moment of them.') }}
regexp_matches(text, '{{ own_videos() }}') or regexp_matches(text, 'watch\?v=\S+[&?#;]t=\d')
