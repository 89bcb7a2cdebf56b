"""Known answers, where these are values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import splits_of
from teachkit.build.stored_votes import standing_rows
from teachkit.build.valued.offsets import lengths_of
from teachkit.errors import NodeFailed, shown_key
from teachkit.graph import quote
from teachkit.votes import SPLITS
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import TaskInfo
    from teachkit.votes.values.kind import ValueKind


@dataclass(frozen=True, slots=True)
class ValueGold:
    """``values`` [N] as the kind of answer has them (NaN or None: unknown); ``split`` [N], an index in ``SPLITS``."""

    kind: ValueKind
    values: Any
    split: Any

    @property
    def known(self) -> Any:
        """Which items have gold [N]."""
        return ~self.kind.missing(self.values)

    def of_split(self, name: str, label: int | None = None) -> Any:
        """The answers of one split, those of others taken away."""
        found = self.values.copy()
        elsewhere = self.split != SPLITS.index(name)
        found[elsewhere] = self.kind.empty(int(elsewhere.sum()))
        return found


def read_value_gold(run: Executor, task: TaskInfo, annotations: Sequence[str]) -> ValueGold:
    """Gold of the task's column and of annotation files with the role gold (which win).

    Raises:
        NodeFailed: the column holds something that is no answer.
    """
    from teachkit.engine.session import parquet

    kind = task.answers
    parts = run.outputs[task.dataset].parts
    relation = parquet([run.store.path(p.key) for p in parts])
    n = sum(p.rows for p in parts)
    values = kind.empty(n)
    if task.gold is not None and n:
        values = _of_column(run, task, relation)
    for table in standing_rows(run, annotations, task):
        said = kind.values(table.column("value"))
        there = ~kind.missing(said)
        values[table.column("row").to_numpy()[there]] = said[there]
    return ValueGold(kind, values, splits_of(run, task, relation, n))


def _of_column(run: Executor, task: TaskInfo, relation: str) -> Any:
    if task.gold is None:
        raise AssertionError("only a task with a gold column has one to read")
    column = quote(task.gold.column.lower())
    if task.answers.json_texts and "JSON" in run.session.types({"v": column}, relation)["v"]:
        # DuckDB reads a list of numbers and texts as JSON within a list
        column = f"cast(to_json({column}) as varchar)"
    table = run.session.table(f"select {column} as v, {quote(task.key)} as key from {relation}")
    try:
        found = task.answers.values(task.answers.column(table.column("v").combine_chunks(), task.labels))
        if task.text:
            task.answers.within(found, lengths_of(run, run.outputs[task.dataset].parts, task))
        return found
    except NotAnAnswer as error:
        key = table.column("key")[error.row or 0].as_py()
        problem = (
            f"gold of task '{task.name}' (column '{task.gold.column}') of the item {shown_key(key)} {error.problem}"
        )
        raise NodeFailed(task.where, problem=problem, advice=error.advice) from error
