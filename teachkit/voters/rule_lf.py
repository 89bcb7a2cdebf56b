"""Labeling functions in YAML: one rule, compiled to the SQL expression that means the same and runs fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import BadDictionary, BadRegex, BadRule, UnknownColumn, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.names import fold
from teachkit.graph.render import in_template
from teachkit.voters.rules import Rule, check_regex, compile_rule, read_dictionary, rule_canonical
from teachkit.voters.sql_lf import boolean_spec, expression_of, known_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.graph.sql import Expression
    from teachkit.project import Definition
    from teachkit.project.models import RuleLF

_BESIDE_SQL = frozenset({"name", "label", "description", "sql", "tags", "enabled", "abstain"})


def compile_rule_lf(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile one entry of ``labeling_functions/<task>/*.yml``."""
    config: RuleLF = definition.config
    known_label(config.label, context.task, definition.at("label"))
    meaning: dict[str, object]
    if config.sql is not None:
        found = _expression(config.sql, definition, context)
        sql, columns, meaning = found.sql, found.columns, {"expression": found.canonical}
    else:
        rule = _rule(definition, context)
        sql, columns, meaning = f"({compile_rule(rule)})", (rule.column,), {"rule": rule_canonical(rule)}
    abstain = config.abstain or context.defaults.abstain or "informative"
    spec = boolean_spec(sql, columns, config.label, context.task, abstain)
    return [
        Voter(
            config.name,
            definition.where,
            spec,
            {**meaning, "label": config.label},
            {context.task.dataset: columns},
            tuple(config.tags),
            config.description,
            _text(config, definition),
            sql,
            config.enabled,
        )
    ]


def _expression(sql: str, definition: Definition, context: VoterContext) -> Expression:
    config: RuleLF = definition.config
    used = [key for key in config.model_fields_set if key not in _BESIDE_SQL]
    if used:
        place, problem = definition.at(used[0], key=True), f"'sql' stands beside '{used[0]}'"
        advice = "write one of them, or two labeling functions"
        raise BadRule(place, name=config.name, problem=problem, advice=advice)
    rendered = context.render(sql, definition.text_at("sql"))
    with in_template(sql, rendered.text, definition.text_at("sql")):
        return expression_of(rendered.text, context, definition.text_at("sql"))


def _rule(definition: Definition, context: VoterContext) -> Rule:
    config: RuleLF = definition.config
    if context.columns and fold(config.column) not in context.columns:
        hint = did_you_mean(config.column, context.columns)
        owner = f"the dataset of task '{context.task.name}'"
        raise UnknownColumn(
            definition.at("column"), column=config.column, owner=owner, known=listing(context.columns, 30), hint=hint
        )
    if not any(getattr(config, key) for key in ("any_of", "all_of", "regex", "dictionary")):
        advice = "give one of: any_of, all_of, regex, dictionary, sql"
        raise BadRule(definition.where, name=config.name, problem="it says nothing about when to vote", advice=advice)
    words = read_dictionary(definition.text) if config.dictionary else ()
    if config.dictionary and not words:
        raise BadDictionary(
            definition.at("dictionary"),
            dictionary=config.dictionary,
            problem="it holds no word",
            advice="write one word or phrase a line",
        )
    if config.regex is not None:
        problem = context.remember("regex", [config.regex], lambda: check_regex(config.regex or ""))
        if problem:
            advice = "RE2 has no look-around and no back references; write (?i) in front for any case"
            raise BadRegex(definition.at("regex"), pattern=config.regex, problem=problem, advice=advice)
    rule = Rule(
        column=fold(config.column),
        any_of=tuple(config.any_of),
        all_of=tuple(config.all_of),
        none_of=tuple(config.none_of),
        regex=config.regex,
        words=words,
        min_hits=config.min_hits,
        case_sensitive=config.case_sensitive,
        word_boundaries=config.word_boundaries,
    )
    _check_hits(rule, definition)
    return rule


def _check_hits(rule: Rule, definition: Definition) -> None:
    """More hits than there are words would never come."""
    there = len(rule_canonical(rule)["any_of"])
    if rule.min_hits > max(there, 1):
        problem = f"min_hits is {rule.min_hits}, but there are only {there} different words"
        if not there:
            problem = "min_hits counts words of any_of and dictionary, and there are none"
        raise BadRule(definition.at("min_hits"), name=definition.name, problem=problem, advice="lower it")


def _text(config: RuleLF, definition: Definition) -> str:
    from teachkit.hashing import canonical_json

    text = canonical_json(config.model_dump(mode="json", exclude_defaults=True))
    return f"{text}\n{definition.text}" if definition.text else text
