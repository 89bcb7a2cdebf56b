{{ config(label='spam', tags=['self'], description='Speaks of the channel, videos or music of the writer.') }}
-- "my favorite song" and "my childhood" are talk about this video; what is one's own has up to three plain adjectives.
regexp_matches(
  text,
  '(?i)\b(my|our|mine)\s+'
  || '((own|new|first|other|latest|official|youtube|you tube|original|cover|music|gaming|rap|funny|dance|acoustic|\w+ing) ){0,3}'
  || '(chann?els?|chane?ls?|vid(eo)?s?|videoclips?|music|songs?|raps?|page|profile|site|web ?site|blog|covers?|band|playlists?'
  || '|mixtape|album|beats?|remix(es)?|stuff|account|company|project|single|ep|instagram|facebook|twitter|fb|app|game'
  || '|tutorials?|parody|freestyles?)\b'
)
and not regexp_matches(text, '(?i)\bfav(ou?rite)?\b')
