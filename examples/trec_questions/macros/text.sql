{# The files hold tokens with spaces between: `` dead man 's hand '' . This puts them together again, in lower case:
   train and valid come so, test does not. #}
{% macro join_tokens(column) -%}
trim(regexp_replace(
  replace(replace(replace(lower({{ column }}), '`` ', '"'), ' ''''', '"'), '` ', ''''),
  '\s+(''s\b|''t\b|[,?.:;!])', '\1', 'g'))
{%- endmacro %}

{# Words that end the noun phrase after "what": verbs, prepositions, pronouns. The '-' signs keep line breaks out. #}
{% macro phrase_enders() -%}
{{- 'is|are|was|were|be|been|did|does|do|has|have|had|can|could|will|would|should|might|may|must|of|in|on|' -}}
{{- 'at|to|for|from|with|by|about|as|into|than|after|before|during|between|among|under|over|near|without|' -}}
{{- 'through|out|up|that|which|who|whom|whose|when|where|if|you|i|we|he|she|it|they|the|a|an|this|there|' -}}
{{- 'and|or|not|once|also|ever|sometimes|always|its|his|her|their|itself|himself|called|named|known|used|' -}}
{{- 'made|given|won|said|saw|became|wrote|eat|make|mean|use|like|call|gave|came|got|took|hit|told|stole|' -}}
{{- 'held|sank|fought|led|sold|written|grew|began|ran|put|lie|stand|comes|makes|claims|covers|produces|' -}}
{{- 'surrounds|borders|owns|runs|flows|gives|separates|lies|calls|takes|tells|carries|sells|buys|deals|' -}}
{{- 'ends|opens|lives|sees|begins|stands|uses|means|features|boasts|contains|narrates|graces|occurs|' -}}
{{- 'causes|inspires|serves|represents|plays|marks|extends|attends|follows|appears|happens|goes|leads|' -}}
{{- 'symbolizes|holds|hosts|gets|share|follow|sells|sings|rode|uses|tabulates|wears|say|says|play|' -}}
{{- 'lends|finally|rather|only|so|such|wreaks|pushes|sparkles|spans|span|' -}}
{{- 'invent|attends|next|located' -}}
{%- endmacro %}

{# A regular expression whose group 1 is the noun phrase at the start of a text. It ends before those words, the past
   tense of a regular verb, punctuation, and `stop`. #}
{% macro noun_phrase(stop='$') -%}
^\s*(?:(?:the|a|an|some|your|one|two|three|four|five|ten|first|most|all|only|\d+) )*(.*?)\s*(?:\b(?:{{ phrase_enders() }})(?:\s|[?,]|$)|\s[a-z]+ed\b|[?,;:"]|\s-\s|\.$|$|{{ stop }})
{%- endmacro %}
