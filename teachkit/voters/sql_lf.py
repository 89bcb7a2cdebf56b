"""Labeling functions in SQL: a boolean expression, a label-valued expression, or a SELECT of (key, label)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import BadSql, BadValue, UnknownLabel, Where, did_you_mean, listing
from teachkit.graph.config import config_place, read_config
from teachkit.graph.kinds import Rendered, Voter, VoterContext
from teachkit.graph.node import TaskInfo, VoterSpec
from teachkit.graph.render import in_template
from teachkit.graph.sql import (
    NO_CONDITION,
    Expression,
    Select,
    check_labels,
    check_results,
    fold,
    is_select,
    literal,
    parse_one,
    quote,
    understand_expression,
    understand_select,
)
from teachkit.project.models import SqlConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.project import Definition

VERSION = 1


def compile_sql(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile ``labeling_functions/<task>/<name>.sql``."""
    where = definition.where
    rendered = context.render(definition.text, where)
    config = read_config(SqlConfig, rendered.config, where, definition.text)
    if config.label is not None:
        place = config_place(definition.text, "label", where)
        refuse_label(config.label, context.task, place)
        known_label(config.label, context.task, place)
    with in_template(definition.text, rendered.text, where):
        query = context.remember("sql_lf", [rendered.text], lambda: is_select(parse_one(rendered.text, where)))
        make = _select if query else _expression
        spec, canonical, reads = make(rendered, config, context, where)
    return [
        Voter(
            definition.name,
            where,
            spec,
            canonical,
            reads,
            tuple(config.tags),
            config.description,
            definition.text,
            rendered.text,
            config.enabled,
        )
    ]


def known_label(label: str, task: TaskInfo, where: Where) -> int:
    """The code of a label; ``UnknownLabel`` if the task does not have it."""
    if label not in task.labels:
        raise UnknownLabel(
            where, label=label, task=task.name, known=listing(task.labels, 30), hint=did_you_mean(label, task.labels)
        )
    return task.labels.index(label)


def refuse_label(label: str, task: TaskInfo, where: Where) -> None:
    """Refuse a label to vote for where an answer is a value."""
    if not task.coded:
        problem = f"task '{task.name}' is of the kind '{task.kind}': a vote is {task.answers.noun}, not '{label}'"
        raise BadValue(where, key="label", problem=problem, advice="leave it out, and let it result in the answer")


def value_spec(sql: str, columns: tuple[str, ...], abstain: str) -> VoterSpec:
    """A voter that answers what ``sql`` results in; NULL abstains."""
    return VoterSpec("expression", columns, sql, abstain=abstain)


def expression_of(sql: str, context: VoterContext, where: Where) -> Expression:
    """Understand an expression over the task's dataset, once for equal inputs."""
    dataset = context.task.dataset
    inputs = [sql, dataset, list(context.columns)]
    return Expression.from_plain(
        context.remember(
            "expression", inputs, lambda: understand_expression(sql, dataset, context.columns, where).plain()
        )
    )


def condition_of(sql: str, context: VoterContext, where: Where) -> Expression:
    """Understand a condition over the task's dataset; DuckDB would take any number but 0 for true."""
    found = expression_of(sql, context, where)
    if found.is_number:
        raise BadSql(where, problem="this results in a number, not true or false", advice=NO_CONDITION)
    return found


def boolean_spec(
    sql: str, columns: tuple[str, ...], label: str, task: TaskInfo, abstain: str, *, condition: str = ""
) -> VoterSpec:
    """A voter that says ``label`` where ``sql``, an expression in parentheses, is true.

    ``condition`` is ``sql`` where a user wrote it, and its type is not known before it runs.
    """
    code = task.labels.index(label)
    sqls = {code: f"case when {sql} then 1 else -1 end"} if task.multi else {}
    one = "" if task.multi else f"case when {sql} then {code} else -1 end"
    return VoterSpec("expression", columns, one, sqls, label, abstain, condition=condition)


def _expression(
    rendered: Rendered, config: SqlConfig, context: VoterContext, where: Where
) -> tuple[VoterSpec, object, dict[str, tuple[str, ...] | None]]:
    task = context.task
    understood = expression_of if config.label is None else condition_of
    found = understood(rendered.text, context, where)
    abstain = config.abstain or context.defaults.abstain or context.task.silence(looks_at_all=False)
    reads: dict[str, tuple[str, ...] | None] = {task.dataset: found.columns}
    if config.label is not None:
        return (
            boolean_spec(found.sql, found.columns, config.label, task, abstain, condition=found.sql),
            {"expression": found.canonical, "label": config.label, "version": VERSION},
            reads,
        )
    if not task.coded:
        canonical = {"value_of": found.canonical, "version": VERSION}
        return value_spec(found.sql, found.columns, abstain), canonical, reads
    checked = [rendered.text, task.name, list(task.labels)]
    context.remember("labels", checked, lambda: check_labels(rendered.text, task.labels, task.name, where))
    canonical = {"labels_of": found.canonical, "version": VERSION}
    value = found.sql
    if task.multi:
        sqls = _label_sqls(_as_list(value, found.is_list), task.labels)
        spec = VoterSpec("expression", found.columns, sqls=sqls, abstain=abstain, answer=value)
        return spec, canonical | {"checked": True}, reads
    branches = " ".join(f"when {literal(name)} then {code}" for code, name in enumerate(task.labels))
    sql = f"case when {value} is null then -1 else case cast({value} as varchar) {branches} else -2 end end"
    return VoterSpec("expression", found.columns, sql, abstain=abstain, answer=value), canonical, reads


def _as_list(sql: str, is_list: bool | None) -> str:
    """A list of texts of what an expression results in, a list or one value: by its JSON if only DuckDB knows which."""
    if is_list is not None:
        return sql if is_list else f"[{sql}]"
    json = f"to_json({sql})"
    one, many = f"[{json} ->> '$']", f"""from_json({json}, '["VARCHAR"]')"""
    return f"(case when json_type({json}) = 'ARRAY' then {many} else {one} end)"


def _label_sqls(values: str, labels: Sequence[str]) -> dict[int, str]:
    """A vote for each label of a multichoice task; the first one says as well whether all values are labels."""
    sqls = {
        c: f"case when list_contains({values}, {literal(name)}) then 1 else -1 end" for c, name in enumerate(labels)
    }
    known = ", ".join(literal(name) for name in labels)
    return sqls | {0: f"case when not list_has_all([{known}], {values}) then -2 else {sqls[0]} end"}


def _select(
    rendered: Rendered, config: SqlConfig, context: VoterContext, where: Where
) -> tuple[VoterSpec, object, dict[str, tuple[str, ...] | None]]:
    task = context.task
    schemas = {ref: context.schemas.get(ref) for ref in rendered.refs}
    inputs = [rendered.text, sorted(schemas.items())]
    select = Select.from_plain(
        context.remember("select", inputs, lambda: understand_select(rendered.text, schemas, where).plain())
    )
    columns = select.columns or ()
    if config.label is not None:
        if task.key not in columns:
            advice = f"select {task.key}; every row selected votes '{config.label}'"
            raise BadSql(
                where, problem=f"this SELECT has no column '{task.key}', the key of task '{task.name}'", advice=advice
            )
        sql = f"select {quote(task.key)}, {literal(config.label)} as label from (\n{select.sql}\n)"
        names = (task.key, "label")
    else:
        others = [c for c in columns if c != task.key]
        spans = _spans_of_rows(select.sql, columns, task)
        if spans is not None:
            others, columns = ["spans"], (task.key, "spans")
        if task.key not in columns or len(others) != 1 or len(columns) != 2:
            what = "label" if task.coded else "answer"
            advice = f"select {task.key} and one column with the {what} (here: {listing(c or '?' for c in columns)})"
            raise BadSql(
                where,
                problem=f"a labeling function that is a SELECT gives two columns: the key '{task.key}' and the {what}",
                advice=advice,
            )
        if not others[0]:
            problem = "the label of this SELECT has no name"
            raise BadSql(where, problem=problem, advice="give it one: … as label")
        sql, names = spans or select.sql, (task.key, others[0])
        inputs = [rendered.text, others[0], context.task.name, list(context.task.labels)]
        if task.coded:
            context.remember(
                "labels", inputs, lambda: _check_labels_of_select(rendered.text, others[0], context, where)
            )
    abstain = config.abstain or context.defaults.abstain or context.task.silence(looks_at_all=False)
    spec = VoterSpec("select", (), sql, label=config.label, abstain=abstain, select_columns=names)
    reads = dict(select.reads)
    dataset = reads.get(task.dataset, ())
    reads[task.dataset] = None if dataset is None else tuple(sorted({*dataset, task.key}))
    return spec, {"select": select.canonical, "label": config.label, "version": VERSION}, reads


def _spans_of_rows(sql: str, columns: Sequence[str], task: TaskInfo) -> str | None:
    """A SELECT of a row for each span, with key, start, end and (unless the task has one) label, as one of lists."""
    named = set(columns) - {task.key}
    if (
        task.text is None
        or not {"start", "end"} <= named <= {"start", "end", "label"}
        or len(columns) != len(named) + 1
    ):
        return None
    label = quote("label") if "label" in named else "null"
    key, parts = quote(task.key), f'"start" := {quote("start")}, "end" := {quote("end")}, "label" := {label}'
    order = ", ".join(quote(name) for name in ("start", "end", "label") if name in named)
    chosen = f"list(struct_pack({parts}) order by {order}) as spans"
    return f"select {key}, {chosen} from (\n{sql}\n) where {quote('start')} is not null group by {key}"


def _check_labels_of_select(sql: str, column: str, context: VoterContext, where: Where) -> bool:
    """Check string literals that the label column of a SELECT, or of each part of a UNION, may be."""
    from sqlglot import exp

    queue = [parse_one(sql, where)]
    index: int | None = None
    while queue:
        tree = queue.pop(0)
        if isinstance(tree, exp.SetOperation):
            queue[:0] = [tree.this, tree.expression]
        elif isinstance(tree, exp.Subquery):
            queue.insert(0, tree.this)
        elif isinstance(tree, exp.Select):
            names = [fold(p.alias_or_name) for p in tree.selects]
            index = names.index(column) if column in names else index
            if index is not None and index < len(tree.selects):
                inner = tree.selects[index].unalias()
                check_results(inner, sql, context.task.labels, context.task.name, where)
    return True
