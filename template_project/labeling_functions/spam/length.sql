{{ config(tags=['length'], description='A few words that ask for nothing are ham; many words that ask are spam.') }}
-- Without `label` in config() the expression gives the label itself; NULL (no ELSE) abstains.
case
  when {{ word_count('text') }} <= 6 and not {{ asks('text') }} then 'ham'
  when {{ word_count('text') }} >= 12 and {{ asks('text') }} then 'spam'
end
