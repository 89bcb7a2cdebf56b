{{ config(label='LOCATION', tags=['phrase'], description='The largest, highest, longest ... in the world: mostly places.') }}
regexp_matches(text, '\b(largest|highest|tallest|longest|deepest|smallest|biggest|richest|oldest|northernmost|southernmost|westernmost|easternmost)\b')
and regexp_matches(text, '\b(world|earth|u\.s\.|america|europe|africa|asia|australia|canada|country|city|state|island|lake|river|mountain|desert|ocean|sea|continent)\b')
and asks in ('what', 'which', 'name')
and not regexp_matches(text, '\b(animal|bird|fish|mammal|word|company|airline|insect|eyes|person|population|field|average)\b')
