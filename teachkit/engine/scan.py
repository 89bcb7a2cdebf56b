"""Votes of labeling functions that are SQL: many expressions in one scan, or one SELECT joined by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import duckdb
import numpy as np
import pyarrow as pa

from teachkit.engine.conditions import is_condition, no_conditions
from teachkit.engine.scan_values import scan_values, select_values
from teachkit.engine.session import Session, parquet
from teachkit.engine.voted import Voted
from teachkit.errors import LabelingFunctionFailed, TeachkitError, listing, shown_key
from teachkit.graph.sql import literal, quote

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.graph.node import Node, TaskInfo, VoterSpec

UNKNOWN = -2
_AT_ONCE = 128

Codes = Mapping[str, Any]
"""Column of the votes object -> codes in row order: ``vote``, or ``v<code>`` for each label of a multichoice task.

Where answers are values: ``value``, an Arrow column of them, NULL where the voter abstains.
"""


def vote_type(labels: int) -> str:
    """The SQL type that holds the codes of so many labels."""
    return "TINYINT" if labels <= 127 else "SMALLINT"


def vote_dtype(labels: int) -> type[np.signedinteger]:
    """The numpy type that holds the codes of so many labels."""
    return np.int8 if labels <= 127 else np.int16


def fused_sql(voters: Sequence[Node], relation: str, labels: int) -> str:
    """One SELECT with a small integer column for each voter (and label): the scan that votes."""
    columns = []
    for index, node in enumerate(voters):
        spec: VoterSpec = node.spec
        for name, sql in _columns(spec):
            columns.append(f"  cast({sql} as {vote_type(labels)}) as {quote(f'{index}:{name}')}")
    return "select\n" + ",\n".join(columns) + f"\nfrom {relation}"


def _columns(spec: VoterSpec) -> list[tuple[str, str]]:
    return [(f"v{code}", sql) for code, sql in sorted(spec.sqls.items())] if spec.sqls else [("vote", spec.sql)]


def scan(session: Session, voters: Sequence[Node], part: Path, task: TaskInfo) -> Iterator[Voted]:
    """Run the expressions of ``voters`` over one part in one pass; a voter whose SQL fails fails alone."""
    run = _scan if task.coded else scan_values
    for start in range(0, len(voters), _AT_ONCE):
        yield from run(session, voters[start : start + _AT_ONCE], part, task)


def _scan(session: Session, voters: Sequence[Node], part: Path, task: TaskInfo) -> Iterator[Voted]:
    relation = parquet([part])
    try:
        wrong = no_conditions(session, voters, relation)
        good = [node for node in voters if node.id not in wrong]
        table = session.table(fused_sql(good, relation, len(task.labels))) if good else pa.table({})
    except duckdb.Error as error:
        if len(voters) == 1:
            yield Voted(voters[0], error=session.failure(error, voters[0]))
            return
        for voter in voters:
            yield from _scan(session, [voter], part, task)
        return
    for node in voters:
        if node.id in wrong:
            yield Voted(node, error=wrong[node.id])
    for index, node in enumerate(good):
        codes = {name: _numpy(table.column(f"{index}:{name}")) for name, _ in _columns(node.spec)}
        bad = next((np.flatnonzero(c == UNKNOWN) for c in codes.values() if (c == UNKNOWN).any()), None)
        if bad is None:
            yield Voted(node, codes)
        else:
            yield Voted(node, error=_unknown(session, node, part, task, int(bad[0])))


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return cast("np.ndarray", array.to_numpy(zero_copy_only=False))


def _unknown(session: Session, node: Node, part: Path, task: TaskInfo, row: int) -> TeachkitError:
    relation = parquet([part], row_number=True)
    found = session.rows(f"select {quote(task.key)} from {relation} where file_row_number = {row}")
    advice = f"let it result in one of: {', '.join(task.labels[:20])}, or NULL to abstain"
    if is_condition(session, node, relation):
        advice += "; or say which label it votes for where it is true: {{ config(label='…') }}"
    return LabelingFunctionFailed(
        node.where,
        name=node.name,
        problem="results in something that is no label of the task",
        key=shown_key(found[0][0] if found else row),
        advice=advice,
    )


def select_votes(session: Session, node: Node, part: Path, task: TaskInfo) -> Codes:
    """Votes of a SELECT of (key, label) on the rows of one part.

    Raises:
        TeachkitError: the SQL fails, a label is unknown, a key is voted on twice with different labels.
    """
    if not task.coded:
        return select_values(session, node, part, task)
    spec: VoterSpec = node.spec
    key, label = (quote(c) for c in spec.select_columns)
    chosen = f"select {key} as key, cast({label} as varchar) as label from (\n{spec.sql}\n) where {label} is not null"
    try:
        session.rows(f"create or replace temp table __votes as {chosen}")
        _check_votes(session, node, task)
        rows = f"{parquet([part], row_number=True)} d join __votes v on v.key = d.{quote(task.key)}"
        found = session.table(f"select distinct d.file_row_number as row, v.label from {rows}")
        total = session.rows(f"select count(*) from {parquet([part])}")[0][0]
    except duckdb.Error as error:
        raise session.failure(error, node) from error
    row = _numpy(found.column("row")) if found.num_rows else np.zeros(0, np.int64)
    code = np.array([task.labels.index(v) for v in found.column("label").to_pylist()], dtype=np.int16)
    return as_codes(row, code, total, task)


def _check_votes(session: Session, node: Node, task: TaskInfo) -> None:
    known = ", ".join(literal(name) for name in task.labels)
    bad = session.rows(f"select key from __votes where label not in ({known}) order by key limit 1")
    if bad:
        raise LabelingFunctionFailed(
            node.where,
            name=node.name,
            problem="results in something that is no label of the task",
            key=shown_key(bad[0][0]),
            advice=f"write one of: {listing(task.labels, 20)}",
        )
    several = "select key from __votes group by key having count(distinct label) > 1 order by key limit 1"
    twice = None if task.multi else session.rows(several)
    if twice:
        raise LabelingFunctionFailed(
            node.where,
            name=node.name,
            problem="votes for two labels",
            key=shown_key(twice[0][0]),
            advice="let the SELECT give one label for each key",
        )


def as_codes(row: np.ndarray, code: np.ndarray, total: int, task: TaskInfo) -> Codes:
    """Rows and codes of a sparse voter as columns of a votes object."""
    kind = vote_dtype(len(task.labels))
    if not task.multi:
        votes = np.full(total, -1, dtype=kind)
        votes[row] = code
        return {"vote": votes}
    columns: dict[str, np.ndarray] = {}
    for label in sorted({int(c) for c in code}):
        votes = np.full(total, -1, dtype=np.int8)
        votes[row[code == label]] = 1
        columns[f"v{label}"] = votes
    return columns or {"v0": np.full(total, -1, dtype=np.int8)}


def votes_table(codes: Codes) -> pa.Table:
    """Codes, or values, as the table that a votes object holds."""
    return pa.table({name: _arrow(values) for name, values in sorted(codes.items())})


def _arrow(values: Any) -> Any:
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
