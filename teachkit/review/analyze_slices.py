"""Slices: conditions in ``slices/<task>/*.sql`` that pick items to look at on their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadSql, NotUtf8, UnknownSlice, Where, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo


@dataclass(frozen=True, slots=True)
class Slice:
    """A condition over the columns of a task's dataset, true for the items of the slice."""

    name: str
    sql: str
    where: Where


@dataclass(frozen=True, slots=True)
class SliceRow:
    """A slice: its ``items``, the share of them with a vote and with a conflict, the label set's accuracy there.

    ``correct`` of ``gold`` items with gold (without a label: wrong), with the Wilson interval at 95 %; ``balance``: the
    share of each label among the labeled items, none where the label set is not built. Of a multichoice task ``gold``
    and ``correct`` count each label of an item.
    """

    slice: str
    items: int
    coverage: float
    conflicts: float
    gold: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None
    balance: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SlicesSection:
    """The slices of a task in order of their names, after all items."""

    slices: Sequence[SliceRow]
    note: str = ""


_CONDITION = "a slice is a condition over the columns, true for its items: write what would stand behind WHERE"


def slices_of(run: Executor, task: TaskInfo) -> list[Slice]:
    """The slices of a task, checked against the columns of its dataset.

    Raises:
        BadSql, BadTemplate, UnknownColumn, NotUtf8: a file holds no condition.
    """
    from teachkit.graph.sql import understand_expression

    folder = run.files.root / run.files.config.paths.slices / task.name
    parts = run.outputs[task.dataset].parts
    columns = list(run.graph[task.dataset].columns or (parts[0].columns if parts else ()))
    found = []
    for path in sorted(p for p in folder.glob("*") if p.suffix.lower() == ".sql"):
        where = Where(path.relative_to(run.files.root).as_posix(), 1)
        data = path.read_bytes()
        try:
            text = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise NotUtf8.of(where.path, data, error) from error
        text = run.files.templates.render(text, where)
        if not text.strip():
            raise BadSql(where, problem="the file is empty", advice=_CONDITION)
        condition = understand_expression(text, task.dataset, columns, where, instead=_CONDITION)
        found.append(Slice(path.stem, condition.sql, where))
    return found


def slice_named(run: Executor, task: TaskInfo, name: str) -> Slice:
    """The slice of a task with this name."""
    there = {s.name: s for s in slices_of(run, task)}
    if name not in there:
        folder = f"{run.files.config.paths.slices}/{task.name}"
        advice = f"write one of: {listing(sorted(there), 30)}.{did_you_mean(name, there)}"
        if not there:
            advice = f"it has none: write a condition into {folder}/<name>.sql"
        raise UnknownSlice(None, task=task.name, name=name, advice=advice)
    return there[name]


def items_of(run: Executor, task: TaskInfo, chosen: Slice) -> Any:
    """Which items of the dataset a slice holds [N]; those of which the condition is NULL are not in it.

    Raises:
        BadSql: DuckDB cannot work it out, or it is no condition.
    """
    import duckdb
    import numpy as np

    from teachkit.engine.session import parquet

    masks = [np.zeros(0, dtype=bool)]
    for part in run.outputs[task.dataset].parts:
        relation = parquet([run.store.path(part.key)], row_number=True)
        sql = f"select coalesce({chosen.sql}, false) as holds from {relation} order by file_row_number"
        try:
            column = run.session.table(sql).column(0)
        except duckdb.Error as error:
            advice = "write a condition that DuckDB can work out for every item"
            raise BadSql(chosen.where, problem=str(error).splitlines()[0], advice=advice) from error
        if str(column.type) != "bool":
            problem, advice = f"it gives {column.type}, not true or false", "write a condition: length(text) < 20"
            raise BadSql(chosen.where, problem=problem, advice=advice)
        masks.append(column.to_numpy(zero_copy_only=False).astype(bool))
    return np.concatenate(masks)


def narrowed(cast: Cast, chosen: Any) -> Cast:
    """The votes on some items: a mask [N]."""
    from dataclasses import replace

    import numpy as np

    return replace(
        cast,
        votes=tuple(votes.regrouped(np.arange(votes.n_patterns), votes.pattern_of[chosen]) for votes in cast.votes),
    )


def slices_section(run: Executor, task: TaskInfo, node: Node | None, cast: Cast, gold: Any) -> SlicesSection:
    """Look at each slice of a task; ``gold`` as of ``gold_for``, ``node`` a label set that is built, or None."""
    if not task.coded:
        return SlicesSection([], f"not for tasks of the kind '{task.kind}', whose answers are values")
    slices = slices_of(run, task)
    if not slices:
        folder = run.files.config.paths.slices
        return SlicesSection([], f"there are none: write a condition into {folder}/{task.name}/<name>.sql")
    import numpy as np

    from teachkit.build.stored_votes import codes_of

    labels = codes_of(run, node, task) if node is not None else None
    every = np.ones(cast.votes[0].n_items, dtype=bool)
    rows = [_row(task, "all items", every, cast, gold, labels)]
    rows += [_row(task, one.name, items_of(run, task, one), cast, gold, labels) for one in slices]
    return SlicesSection(rows, "" if labels is not None else "no label set is built, so there is no accuracy")


def _row(task: TaskInfo, name: str, chosen: Any, cast: Cast, gold: Any, labels: Any) -> SliceRow:
    from teachkit.votes.analysis import conflict_rate
    from teachkit.votes.intervals import quality

    some = narrowed(cast, chosen).votes
    n = int(chosen.sum())
    covered = some[0].votes_per_item > 0
    for votes in some[1:]:
        covered |= votes.votes_per_item > 0
    conflicts = sum(conflict_rate(v) for v in some) / len(some)
    if labels is None:
        return SliceRow(name, n, float(covered.mean()) if n else 0.0, conflicts, 0, 0, None, None, None, {})
    mine = labels[chosen]
    found = quality(mine.ravel(), gold[chosen].ravel(), 2 if task.multi else len(task.labels))
    there = (mine >= 0).any(axis=1) if task.multi else mine >= 0
    said = int(there.sum())
    holds = [(mine[:, c] == 1) if task.multi else (mine == c) for c in range(len(task.labels))]
    balance = {label: float(h.sum() / said) for label, h in zip(task.labels, holds, strict=True)} if said else {}
    return SliceRow(
        name,
        n,
        float(covered.mean()) if n else 0.0,
        conflicts,
        found.n,
        found.correct,
        found.accuracy,
        found.low,
        found.high,
        balance,
    )
