"""Answers that no label may contradict: what curators decided, and gold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import latest_judgments
from teachkit.build.gold import gold_files, read_gold
from teachkit.votes import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo


@dataclass(frozen=True, slots=True)
class Protected:
    """An answer about one item: its row in the dataset, codes as in ``LabelData``, whose it is, its split."""

    row: int
    codes: Any
    by: str
    gold: bool
    split: str


def protected_answers(run: Executor, task: TaskInfo, kinds: Sequence[str], splits: Sequence[str]) -> list[Protected]:
    """Answers of the chosen kinds (``curator``, ``gold``), one an item for each kind; of gold only some splits."""
    gold_nodes = [n for n in gold_files(run.graph, task) if n.id in run.outputs]
    gold = read_gold(run, task, [n.id for n in gold_nodes])
    found: list[Protected] = []
    if "curator" in kinds:
        found += _by_curators(run, task, gold.split)
    if "gold" in kinds:
        found += (p for p in _by_gold(run, task, gold, gold_nodes) if p.split in splits)
    return found


def _by_curators(run: Executor, task: TaskInfo, split: Any) -> Iterator[Protected]:
    nodes = [n.id for n in run.graph.of("annotations") if n.task == task.name and n.spec.meta.role == "curator"]
    codes, ruled, by = latest_judgments(run, [n for n in nodes if n in run.outputs], task, len(split))
    for row in ruled.nonzero()[0].tolist():
        yield Protected(row, codes[row], f"curator {by[row]}", False, SPLITS[split[row]])


def _by_gold(run: Executor, task: TaskInfo, gold: Any, nodes: Sequence[Node]) -> Iterator[Protected]:
    """Gold as it counts: that of files stands above that of the column."""
    by = _lines_of_gold(run, task, nodes)
    column = f"gold column '{task.gold.column}'" if task.gold else ""
    for row in gold.known.nonzero()[0].tolist():
        yield Protected(
            row, gold.codes[row] if task.coded else gold.values[row], by.get(row, column), True, SPLITS[gold.split[row]]
        )


def _lines_of_gold(run: Executor, task: TaskInfo, nodes: Sequence[Node]) -> dict[int, str]:
    from teachkit.build.stored_votes import annotation_rows

    by: dict[int, str] = {}
    for node in nodes:
        table = annotation_rows(run, node.id, task)
        columns = (table.column(c).to_pylist() for c in ("row", "annotator", "line", "code"))
        for row, annotator, line, code in zip(*columns, strict=True):
            if code >= 0:
                by[row] = f"gold {annotator} ({node.spec.path}:{line})"
    return by
