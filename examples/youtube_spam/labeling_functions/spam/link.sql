{{ config(label='spam', tags=['elsewhere'], description='A link, a bare domain or a YouTube path; not a moment of this video.') }}
-- Domains are also written as 'moneygq . com' to get past filters. Links with '&t=' or '#t=' jump within a video.
regexp_matches(
  text,
  '(?i)https?\s?://|\bwww\b|watch\?v=|youtu ?\.?be\b/|\b[a-z0-9-]+ ?\. ?(com|net|org|info|co\.uk|tv|ly|me|co|de|pl|ru|nu|gl|be)\b'
)
and not regexp_matches(text, '[&?#;]t=\d')
and not regexp_matches(text, '{{ own_videos() }}')
