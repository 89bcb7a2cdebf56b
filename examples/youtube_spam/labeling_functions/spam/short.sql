{{ config(label='ham', tags=['length'], description='A few words that ask for nothing and lead nowhere.') }}
len(regexp_extract_all(text, '\p{L}+')) <= 7
and not regexp_matches(text, '(?i)http|www|watch\?v|\.com|su[bs]+[cs]?[ck]?r[iy]b|sucscri|check|chann?el|\bmy\b|\bfollow|\bpl(ea)?[sz]|\bvisit|\bclick|\bshare|\bfree\b|\blike (if|this)|thumbs|@|playlist|\bhelp\b|\bvote\b|\.(org|net|pl|de|ru)\b|suscri|\bcanal\b|give it|\d{9}|\b(see|hear) (my|our)|sub ?me|instagram|facebook')
