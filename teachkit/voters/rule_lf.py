"""Labeling functions in YAML: one rule, compiled to the SQL expression that means the same and runs fastest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadDictionary, BadRegex, BadRule, BadValue, UnknownColumn, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.names import fold, literal, quote
from teachkit.graph.render import in_template
from teachkit.voters.rules import (
    Rule,
    check_group,
    check_regex,
    compile_rule,
    matches_nothing,
    read_dictionary,
    rule_canonical,
)
from teachkit.voters.span_rules import MARKING, span_expression
from teachkit.voters.sql_lf import boolean_spec, condition_of, expression_of, known_label, refuse_label, value_spec
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.graph.node import TaskInfo, VoterSpec
    from teachkit.graph.sql import Expression
    from teachkit.project import Definition
    from teachkit.project.models import RuleLF

_BESIDE_SQL = frozenset({"name", "label", "value", "description", "sql", "tags", "enabled", "abstain"})


def compile_rule_lf(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile one entry of ``labeling_functions/<task>/*.yml``."""
    config: RuleLF = definition.config
    if not context.task.coded:
        return compile_value_rule(definition, context)
    label = _label(definition, context.task)
    meaning: dict[str, object]
    condition = ""
    if config.sql is not None:
        found = _expression(config.sql, definition, context)
        sql, columns, meaning = found.sql, found.columns, {"expression": found.canonical}
        condition = found.sql
    else:
        rule = _rule(definition, context)
        sql, columns, meaning = f"({compile_rule(rule)})", (rule.column,), {"rule": rule_canonical(rule)}
    abstain = config.abstain or context.defaults.abstain or context.task.silence(looks_at_all=False)
    spec = boolean_spec(sql, columns, label, context.task, abstain, condition=condition)
    return [_voter(definition, context, spec, {**meaning, "label": label}, columns, sql)]


def _label(definition: Definition, task: TaskInfo) -> str:
    config: RuleLF = definition.config
    for key in ("value", "group"):
        if key in config.model_fields_set:
            problem = f"'{key}' is for tasks whose answers are values, and '{task.name}' is of the kind '{task.kind}'"
            place, advice = definition.at(key, key=True), "write 'label:'"
            raise BadRule(place, name=config.name, problem=problem, advice=advice)
    if config.label is None:
        advice = f"write 'label:' with one of: {listing(task.labels, 30)}"
        raise BadRule(definition.where, name=config.name, problem="it says no 'label' to vote for", advice=advice)
    known_label(config.label, task, definition.at("label"))
    return config.label


def _voter(
    definition: Definition,
    context: VoterContext,
    spec: VoterSpec,
    canonical: object,
    columns: tuple[str, ...],
    sql: str,
) -> Voter:
    config: RuleLF = definition.config
    return Voter(
        config.name,
        definition.where,
        spec,
        canonical,
        {context.task.dataset: columns},
        tuple(config.tags),
        config.description,
        _text(config, definition),
        sql,
        config.enabled,
    )


# ---------------------------------------------------------------------------- answers that are values


def compile_value_rule(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """A rule whose vote is a value: a constant, the text of a group of a regular expression, or an expression's."""
    config: RuleLF = definition.config
    if context.task.text is not None and config.sql is None:
        return _marking_rule(definition, context)
    if config.label is not None:
        refuse_label(config.label, context.task, definition.at("label"))
    given = "value" in config.model_fields_set
    if given and config.group is not None:
        problem, advice = "both 'value' and 'group' say what it answers", "write one of them"
        raise BadRule(definition.at("group", key=True), name=config.name, problem=problem, advice=advice)
    answer = _constant(definition, context.task) if given else None
    condition = ""
    if config.sql is not None:
        found = _expression(config.sql, definition, context)
        columns, meaning = found.columns, {"expression": found.canonical, "value": answer}
        sql = f"case when {found.sql} then {_as_sql(answer)} end" if given else found.sql
        condition = found.sql if given else ""
    else:
        rule = _rule(definition, context)
        columns = (rule.column,)
        meaning = {"rule": rule_canonical(rule), "value": answer, "group": config.group}
        said = _as_sql(answer) if given else _captured(definition, context, rule)
        sql = f"case when {compile_rule(rule)} then {said} end"
    abstain = config.abstain or context.defaults.abstain or context.task.silence(looks_at_all=False)
    spec = replace(value_spec(sql, columns, abstain), condition=condition)
    return [_voter(definition, context, spec, meaning, columns, sql)]


def _marking_rule(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """A rule that marks what it finds: the matches of its regular expression, else its words."""
    config, task, text = definition.config, context.task, context.task.text or ""
    if "value" in config.model_fields_set:
        problem, advice = "places differ from text to text: a constant answer marks none", "write 'regex' or 'any_of'"
        raise BadRule(definition.at("value", key=True), name=config.name, problem=problem, advice=advice)
    if "column" in config.model_fields_set and fold(config.column) != text:
        problem = f"it looks into '{config.column}', and the spans of task '{task.name}' are of '{text}'"
        raise BadRule(definition.at("column"), name=config.name, problem=problem, advice="leave 'column' out")
    label = config.label
    if label is None and len(task.labels) > 1:
        advice = f"write 'label:' with one of: {listing(task.labels, 30)}"
        raise BadRule(definition.where, name=config.name, problem="it says no 'label' for what it marks", advice=advice)
    label = task.labels[0] if label is None else label
    known_label(label, task, definition.at("label"))
    definition = replace(definition, config=config.model_copy(update={"column": text}))
    rule = _rule(definition, context)
    _check_marking(definition, context, rule)
    places = span_expression(rule, label, config.group)
    if places is None:
        problem = f"group {config.group} is not a part of every match, once, outside of other groups"
        advice = "let the regular expression be one sequence in which the group stands, or mark the whole match"
        raise BadRule(definition.at("group"), name=config.name, problem=problem, advice=advice)
    sql = f"case when {compile_rule(rule)} then {places} end"
    abstain = config.abstain or context.defaults.abstain or task.silence(looks_at_all=False)
    meaning = {"marks": rule_canonical(rule), "label": label, "group": config.group or 0, "version": MARKING}
    return [_voter(definition, context, value_spec(sql, (text,), abstain), meaning, (text,), sql)]


def _check_marking(definition: Definition, context: VoterContext, rule: Rule) -> None:
    """There is something to mark."""
    config, regex = definition.config, rule.regex
    if regex is None and not rule.any_of and not rule.words:
        problem, advice = "it says when to mark, not what", "write 'regex', 'any_of' or 'dictionary'"
        raise BadRule(definition.where, name=config.name, problem=problem, advice=advice)
    if regex is None and config.group is not None:
        problem, advice = "'group' is one of a regular expression", "leave it out, or write 'regex:'"
        raise BadRule(definition.at("group", key=True), name=config.name, problem=problem, advice=advice)
    if regex is None:
        return
    if context.remember("empty", [regex], lambda: matches_nothing(regex)):
        problem, advice = "the regular expression matches the empty text", "let it need a character: x+ instead of x*"
        raise BadRule(definition.at("regex"), name=config.name, problem=problem, advice=advice)
    group = config.group or 0
    problem = context.remember("group", [regex, group], lambda: check_group(regex, group))
    if problem:
        place, advice = definition.at("group"), "put what is to be marked in parentheses; group 1 is the first of them"
        raise BadRule(place, name=config.name, problem=problem, advice=advice)


def _constant(definition: Definition, task: TaskInfo) -> Any:
    """The answer under ``value``."""
    config: RuleLF = definition.config
    try:
        found = task.answers.read(config.value, task.labels)
    except NotAnAnswer as error:
        raise BadValue(definition.at("value"), key="value", problem=error.problem, advice=error.advice) from error
    if found is None:
        problem, advice = "an empty answer would never be a vote", f"write {task.answers.noun}"
        raise BadValue(definition.at("value"), key="value", problem=problem, advice=advice)
    return task.answers.plain(found)


def _as_sql(answer: Any) -> str:
    """A constant answer in SQL."""
    if isinstance(answer, list) and all(isinstance(one, str) for one in answer):
        return f"[{', '.join(literal(one) for one in answer)}]"
    if isinstance(answer, float):
        return f"cast({literal(repr(answer))} as double)"
    return literal(answer)


def _captured(definition: Definition, context: VoterContext, rule: Rule) -> str:
    """What a group of the regular expression has found; NULL where that is empty."""
    config: RuleLF = definition.config
    if config.regex is None or config.group is None:
        problem = (
            f"it does not say what it answers: a vote of task '{context.task.name}' is {context.task.answers.noun}"
        )
        advice = "write 'value: …', or 'regex:' with 'group: 1', or 'sql:' with an expression that results in it"
        raise BadRule(definition.where, name=config.name, problem=problem, advice=advice)
    regex, group = config.regex, config.group
    problem = context.remember("group", [regex, group], lambda: check_group(regex, group))
    if problem:
        place, advice = definition.at("group"), "put what is the answer in parentheses; group 1 is the first of them"
        raise BadRule(place, name=config.name, problem=problem, advice=advice)
    column = f"cast({quote(rule.column)} as varchar)"
    return f"nullif(regexp_extract({column}, {literal(regex)}, {group}), '')"


def _expression(sql: str, definition: Definition, context: VoterContext) -> Expression:
    config: RuleLF = definition.config
    used = [key for key in config.model_fields_set if key not in _BESIDE_SQL]
    if used:
        place, problem = definition.at(used[0], key=True), f"'sql' stands beside '{used[0]}'"
        advice = "write one of them, or two labeling functions"
        raise BadRule(place, name=config.name, problem=problem, advice=advice)
    rendered = context.render(sql, definition.text_at("sql"))
    votes_where_true = context.task.coded or "value" in config.model_fields_set
    understood = condition_of if votes_where_true else expression_of
    with in_template(sql, rendered.text, definition.text_at("sql")):
        return understood(rendered.text, context, definition.text_at("sql"))


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
        words = "is only 1 word" if there == 1 else f"are only {there} different words"
        problem = f"min_hits is {rule.min_hits}, but there {words}"
        if not there:
            problem = "min_hits counts words of any_of and dictionary, and there are none"
        raise BadRule(definition.at("min_hits"), name=definition.name, problem=problem, advice="lower it")


def _text(config: RuleLF, definition: Definition) -> str:
    from teachkit.hashing import canonical_json

    text = canonical_json(config.model_dump(mode="json", exclude_defaults=True))
    return f"{text}\n{definition.text}" if definition.text else text
