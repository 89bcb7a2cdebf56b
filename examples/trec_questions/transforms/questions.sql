-- The items: readable questions, and a few columns that rules about questions need again and again. They describe the
-- form of the question and know nothing of its answer, so rules may read them.
--
--   asks   the question word, with the word after "how": 'who', 'where', 'how many', 'what', ...
--   bare   whether the question is "what is X?" and no more
--   focus  the noun phrase that "what", "which" or "name" asks for: 'famed library' in
--          "what famed library can you reach by dialing 22-287-5?"; empty if there is none or the question is bare
--   head   its last word: 'library'
select
  question_id,
  text,
  asks,
  bare,
  focus,
  regexp_extract(focus, '(\S+)$', 1) as head,
  split,
  gold
from (
  select
    question_id, text, asks, bare, split, gold,
    case
      when bare then ''
      -- "what is president nixon's birthdate" asks for a birthdate, "what city's district ..." for a city
      when is_about then regexp_replace(regexp_extract(named, '{{ noun_phrase() }}', 1), '^.*''s?\s', '')
      else regexp_extract(named, '{{ noun_phrase("''s?\\b") }}', 1)
    end as focus
  from (
    select
      *,
      -- "the name of the director" asks for a director
      regexp_replace(
        rest,
        '^\s*(?:(?:the|a|an|some|other|common|real|full|first|last|original|proper|given) )*(?:name|names|title|type|types|kind|kinds|sort|sorts|one|some|example|examples|member|members|group) (?:of|for|given to) ',
        ''
      ) as named
    from (
      select
        *,
        regexp_extract(text, '\b(who|whom|whose|where|when|why|how(?: \w+)?|what|which|name)\b', 1) as asks,
        regexp_extract(text, '\b(?:what|which|name|list)\b(?:\s*(?:is|are|was|were|''s)\b)?(.*)$', 1) as rest,
        regexp_matches(text, '\b(?:what|which)\s*(?:is|are|was|were|''s)\b') as is_about,
        regexp_matches(text, '^what(''s| is| are| was| were) (an? |the )?"?[\w.-]+"?( [\w.-]+){0,2}"?\s?\?$')
        and not regexp_matches(text, '\b(\w{2,}est|most|name|his|her|your|its|of|fear|first|last|called|average|minimum|current|word|population|capital)\b')
        as bare
      from (
        select
          id as question_id,
          {{ join_tokens('text') }} as text,
          case split_part(id, '-', 1) when 'valid' then 'tune' else split_part(id, '-', 1) end as split,
          gold
        from {{ source('trec', 'questions') }}
      ) as tokens
    ) as words
  ) as names
) as phrases
