{{ config(label='spam', tags=['length'], description='Advertisements explain themselves at length.') }}
-- Words, not characters: a row of forty hearts is no advertisement.
len(regexp_extract_all(text, '\p{L}+')) >= 40
