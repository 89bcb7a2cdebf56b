{{ config(label='spam', tags=['elsewhere'], description='Holds a web address.') }}
-- One boolean expression over the columns of the task's dataset: where it is true, the rule votes for `label`.
-- has_link() is a macro, see macros/text.sql.
{{ has_link('text') }}
