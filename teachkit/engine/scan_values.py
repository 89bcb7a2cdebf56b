"""Votes that are values, of labeling functions that are SQL: as ``scan`` does for labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from teachkit.engine.conditions import no_conditions
from teachkit.engine.session import Session, parquet
from teachkit.engine.voted import Voted
from teachkit.errors import BadSql, LabelingFunctionFailed, TeachkitError, shown_key
from teachkit.graph.sql import quote
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.graph.node import Node, TaskInfo

VALUE = "value"
"""The column of a votes object that holds values."""


def scan_values(session: Session, voters: Sequence[Node], part: Path, task: TaskInfo) -> Iterator[Voted]:
    """Run the expressions of some voters over one part in one pass; a voter whose SQL fails fails alone."""
    relation = parquet([part])
    expressions = [(node.spec.sql, f"{index}") for index, node in enumerate(voters)]
    try:
        no_condition = no_conditions(session, voters, relation)
        types = session.types({name: sql for sql, name in expressions}, relation)
        wrong = {name: kind for name, kind in types.items() if not task.answers.takes(kind)}
        good = [_tried(task, sql, name, types[name]) for sql, name in expressions if name not in wrong]
        table = session.table(f"select {', '.join(good)} from {relation}") if good else None
    except duckdb.Error as error:
        if len(voters) == 1:
            yield Voted(voters[0], error=session.failure(error, voters[0]))
            return
        for voter in voters:
            yield from scan_values(session, [voter], part, task)
        return
    for index, node in enumerate(voters):
        name = f"{index}"
        if node.id in no_condition:
            yield Voted(node, error=no_condition[node.id])
            continue
        if table is None or name in wrong:
            yield Voted(node, error=_wrong_type(node, wrong[name], task))
            continue
        try:
            yield Voted(node, {VALUE: _answers(session, node, table, name, part, task)})
        except TeachkitError as error:
            yield Voted(node, error=error)


def _tried(task: TaskInfo, sql: str, name: str, kind: str) -> str:
    """An expression of this type as the answer's, and whether there is a value that is none."""
    if task.answers.json_texts and kind in ("VARCHAR", "JSON"):
        return f"cast({sql} as varchar) as {quote(name)}, false as {quote(name + ':bad')}"
    tried = f"try_cast({sql} as {task.answers.sql_type})"
    return f"{tried} as {quote(name)}, ({sql} is not null and {tried} is null) as {quote(name + ':bad')}"


def _answers(session: Session, node: Node, table: pa.Table, name: str, part: Path, task: TaskInfo) -> pa.Array:
    """A voter's column as answers.

    Raises:
        LabelingFunctionFailed: a value is no answer.
    """
    import pyarrow.compute as pc

    bad = pc.index(table.column(f"{name}:bad"), True).as_py()
    try:
        if bad >= 0:
            raise NotAnAnswer(
                f"is not {task.answers.noun}", f"let it result in {task.answers.noun}, or NULL to abstain", bad
            )
        return task.answers.column(table.column(name).combine_chunks(), task.labels)
    except NotAnAnswer as error:
        row = error.row or 0
        sql = f"select {quote(task.key)} from {parquet([part], row_number=True)} where file_row_number = {row}"
        raise _failed(node, error, session.rows(sql)[0][0]) from error


def _failed(node: Node, error: NotAnAnswer, key: Any) -> TeachkitError:
    problem = f"gives an answer that {error.problem},"
    return LabelingFunctionFailed(node.where, name=node.name, problem=problem, key=shown_key(key), advice=error.advice)


def _wrong_type(node: Node, sql_type: str, task: TaskInfo) -> TeachkitError:
    problem = f"it results in {sql_type}, and an answer of task '{task.name}' is {task.answers.noun}"
    advice = f"let it result in {task.answers.noun}, as in: case when … then … end"
    return BadSql(node.where, problem=problem, advice=advice)


def select_values(session: Session, node: Node, part: Path, task: TaskInfo) -> Mapping[str, Any]:
    """Votes of a SELECT of (key, answer) on the rows of one part.

    Raises:
        TeachkitError: the SQL fails, a value is no answer, a key has two answers.
    """
    import pyarrow.compute as pc

    key, value = (quote(c) for c in node.spec.select_columns)
    dataset = parquet([part], row_number=True)
    try:
        kind = session.types({VALUE: value}, f"(\n{node.spec.sql}\n)")[VALUE]
        if not task.answers.takes(kind):
            raise _wrong_type(node, kind, task)
        answer = _tried(task, value, VALUE, kind)
        chosen = f"select {key} as key, {answer} from (\n{node.spec.sql}\n) where {value} is not null"
        session.rows(f"create or replace temp table __votes as {chosen}")
        table = session.table('select * from __votes order by key, "value:bad" desc')
        bad = pc.index(table.column(f"{VALUE}:bad"), True).as_py()
        if bad >= 0:
            advice = f"let it result in {task.answers.noun}, or NULL to abstain"
            raise _failed(node, NotAnAnswer(f"is not {task.answers.noun}", advice), table.column("key")[bad].as_py())
        several = "select key from __votes group by key having count(distinct value) > 1 order by key limit 1"
        twice = session.rows(several)
        if twice:
            advice = "let the SELECT give one answer for each key"
            problem = "gives two answers"
            raise LabelingFunctionFailed(
                node.where, name=node.name, problem=problem, key=shown_key(twice[0][0]), advice=advice
            )
        once, name = "(select key, any_value(value) as value from __votes group by key)", quote(task.key)
        found = session.table(
            f"select d.{name} as key, v.value from {dataset} d left join {once} v on v.key = d.{name} "
            "order by d.file_row_number"
        )
    except duckdb.Error as error:
        raise session.failure(error, node) from error
    try:
        return {VALUE: task.answers.column(found.column("value").combine_chunks(), task.labels)}
    except NotAnAnswer as error:
        raise _failed(node, error, found.column("key")[error.row or 0].as_py()) from error
