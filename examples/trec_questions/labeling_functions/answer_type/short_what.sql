{{ config(tags=['shape'], description='What is X? and no more: an abbreviation if X is letters only, else a definition.') }}
-- Label-valued: one expression that votes for two labels. The data is in lower case, so it is letters without a vowel,
-- or with points between, that tell an abbreviation.
case
  when regexp_matches(text, '^what(''s| is| are) (an? |the )?"?([bcdfghjklmnpqrstvwxz]{2,5}|([a-z]\.){2,})"?( in .*| on .*)?\?$')
    or regexp_matches(text, '^what does (the )?(abbreviation |word |letters? )?"?([bcdfghjklmnpqrstvwxz]{2,5}|([a-z]\.){2,})"? mean')
    then 'ABBREVIATION'
  when bare then 'DESCRIPTION'
end
