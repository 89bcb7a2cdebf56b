"""A prompt tried on a few items: what it answers, at what cost, how it agrees with gold and with other voters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from hashlib import md5
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import ask_votes
from teachkit.build.asking.examples import gold_of
from teachkit.build.asking.prompting import prompt_rows
from teachkit.build.execute import Executor, looking_at
from teachkit.build.stored_votes import votes_column
from teachkit.build.valued.stored import values_column
from teachkit.errors import NodeFailed, TeachkitError
from teachkit.graph.node import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node, TaskInfo
    from teachkit.project.llm_models import LlmMode


@dataclass(frozen=True, slots=True)
class TriedItem:
    """One item: what the model said (None: it abstains, or has no answer, see ``status``), and its gold if known."""

    item: str
    label: Any
    status: str
    gold: Any
    reason: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """``right`` of ``judged`` labels agree with gold: ``accuracy``, with its 95 % Wilson interval.

    Judged are items with a label and gold. ``agreement``: for each other voter, (equal, both voted). Costs are in USD.
    """

    voter: str
    model: str
    items: list[TriedItem]
    cost: float
    paid: float
    right: int
    judged: int
    accuracy: float | None
    low: float | None
    high: float | None
    agreement: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """Where answers are values: their quality on the items with gold, by name."""

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def try_prompt(work: Workspace, node: Node, limit: int, mode: LlmMode | None) -> Trial:
    """Ask about ``limit`` items: those of the tune split with gold first, else any but those of the test split.

    Of a task without splits all gold is for testing, and items without gold are asked about. The answers are kept: a
    build asks for them no more. Nothing is published.

    Raises:
        NotBuilt: the items have not been built.
        NodeFailed: all items are for testing.
        TeachkitError: the provider cannot be used.
    """
    with looking_at(work, llm=mode) as run:
        return _try(run, node, limit)


def _try(run: Executor, node: Node, limit: int) -> Trial:
    import pyarrow as pa

    task = run.graph.tasks[node.task or ""]
    table = pa.concat_tables(list(prompt_rows(run, node)))
    gold = gold_of(run, task)
    known = gold.known
    keys = table.column("__key").to_pylist()
    rank = {row: (not known[row], md5(keys[row].encode(), usedforsecurity=False).digest()) for row in range(len(keys))}
    rows = sorted(_allowed(node, task, gold), key=lambda row: rank[row])[:limit]
    chosen: pa.Table = table.take(pa.array(rows, pa.int64()))  # typed: there may be none
    tally = ask_votes(run, node, chosen, task)
    codes = tally.codes()
    said = labels_of(codes, task, len(rows))
    truth = [gold_label(gold, row, codes, task) if known[row] else None for row in rows]
    items = [
        TriedItem(keys[row], label, tally.status_of(index), true, tally.reason_of(index))
        for index, (row, label, true) in enumerate(zip(rows, said, truth, strict=True))
    ]
    agreement = {} if task.multi else _agreement(run, node, task, rows, codes)
    found = _trial(node, items, float(tally.cost.sum()), run.paid.get(node.id, 0.0), agreement)
    return found if task.coded else _with_figures(found, codes, gold.values[rows], task)


def _allowed(node: Node, task: TaskInfo, gold: Any) -> list[int]:
    """The rows that are not for testing."""
    import numpy as np

    from teachkit.votes import SPLITS

    splits = task.has_splits
    found: list[int] = np.flatnonzero(gold.split != SPLITS.index("test") if splits else ~gold.known).tolist()
    if not found and len(gold.split):
        why = "are of the test split" if splits else "have gold, which is for testing where a task has no splits"
        problem = f"prompt '{node.name}' cannot be tried: all {len(gold.split):,} items of task '{task.name}' {why}"
        advice = f"let 'splits' of task '{task.name}' leave some items to tune or train"
        raise NodeFailed(node.where, problem=problem, advice=advice)
    return found


def _with_figures(found: Trial, codes: Mapping[str, Any], truth: Any, task: TaskInfo) -> Trial:
    from teachkit.votes.intervals import wilson

    said = task.answers.values(codes["value"])
    judged = ~task.answers.missing(said) & ~task.answers.missing(truth)
    right, n = int(task.answers.same(said[judged], truth[judged]).sum()), int(judged.sum())
    low, high = wilson(right, n) or (None, None)
    figures = task.answers.quality(said[judged], truth[judged])
    return replace(found, right=right, accuracy=right / n if n else None, low=low, high=high, figures=figures)


def _trial(
    node: Node, items: list[TriedItem], cost: float, paid: float, agreement: Mapping[str, tuple[int, int]]
) -> Trial:
    from teachkit.votes.intervals import wilson

    judged = [item for item in items if item.gold is not None and item.label is not None]
    right = sum(item.label == item.gold for item in judged)
    low, high = wilson(right, len(judged)) or (None, None)
    share = right / len(judged) if judged else None
    return Trial(node.id, node.spec.model, items, cost, paid, right, len(judged), share, low, high, agreement)


def labels_of(codes: Mapping[str, Any], task: TaskInfo, rows: int) -> list[Any]:
    """The label of each row, of a multichoice task a list of those that hold; None where nothing was said."""
    if not task.coded:
        return list(codes["value"].to_pylist())
    if not task.multi:
        return [task.labels[c] if c >= 0 else None for c in codes["vote"].tolist()]
    columns = {name: codes[f"v{c}"] for c, name in enumerate(task.labels) if f"v{c}" in codes}
    return [
        None if all(v[row] < 0 for v in columns.values()) else [name for name, v in columns.items() if v[row] == 1]
        for row in range(rows)
    ]


def gold_label(gold: Any, row: int, codes: Mapping[str, Any], task: TaskInfo) -> Any:
    """Gold of an item in the form of ``labels_of``: of a multichoice task, of those labels that are voted on."""
    if not task.coded:
        return task.answers.plain(gold.values[row])
    truth = gold.codes[row]
    if not task.multi:
        return task.labels[int(truth)]
    return [name for c, name in enumerate(task.labels) if f"v{c}" in codes and truth[c] == 1]


def _agreement(
    run: Executor, node: Node, task: TaskInfo, rows: list[int], codes: Mapping[str, Any]
) -> dict[str, tuple[int, int]]:
    """With each other voter whose votes are there: on how many of these items both voted, and said the same."""
    found = {}
    for other in run.graph.of(*FUNCTIONS):
        if other.task != task.name or other.id == node.id:
            continue
        try:
            run.resolve(other)
        except TeachkitError:
            continue
        if task.coded:
            said, theirs = codes["vote"], votes_column(run, other.id, None)[rows]
            both, same = (theirs >= 0) & (said >= 0), theirs == said
        else:
            said, theirs = task.answers.values(codes["value"]), values_column(run, other.id, task)[rows]
            both = ~task.answers.missing(said) & ~task.answers.missing(theirs)
            same = task.answers.same(said, theirs)
        if both.any():
            found[other.name] = (int((both & same).sum()), int(both.sum()))
    return found
