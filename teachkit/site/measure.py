"""Figures of a task's voters on what may be looked at: never on gold of the test split."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import gold_files, read_gold
from teachkit.errors import TeachkitError
from teachkit.graph.node import FUNCTIONS
from teachkit.review.analyze import voter_rows, voters_of
from teachkit.votes import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo
    from teachkit.review.analyze import VoterRow
    from teachkit.site.view import View


@dataclass(frozen=True, slots=True)
class Measured:
    """A task's votes and gold, in the order of the dataset's rows [N].

    ``codes`` is gold without that of the test split (-1; multichoice [N, L]; values, where answers are), ``split`` [N]
    an index in ``SPLITS``; ``in_split`` how many items with gold each split has. ``rows``: figures by voter's node;
    ``by_class``: from (voter, label the row is about) to how many votes each answer has. ``covered``, ``conflicts``:
    shares of the items. ``gold_in_fit``: ``label_set``, whose learned accuracies ``rows`` have, was told gold of tune.
    """

    task: TaskInfo
    items: int
    codes: Any
    split: Any
    in_split: Mapping[str, int]
    problem: str
    rows: Mapping[str, Sequence[VoterRow]]
    by_class: Mapping[tuple[str, str | None], Sequence[int]]
    covered: float | None
    conflicts: float | None
    label_set: str | None
    gold_in_fit: bool
    missing: Sequence[str] = field(default=())

    @property
    def has_gold(self) -> bool:
        """Whether any item outside the test split has gold."""
        return bool(self.in_split.get("train") or self.in_split.get("tune"))

    @property
    def known(self) -> Any:
        """Which items have gold that may be looked at [N]."""
        if not self.task.coded:
            return ~self.task.answers.missing(self.codes)
        return (self.codes >= 0).all(axis=1) if self.task.multi else self.codes >= 0


def measure(view: View, task: TaskInfo) -> Measured | None:
    """Read a task's votes and gold; None where its dataset is not built."""
    run = view.run
    if task.dataset not in run.outputs:
        return None
    items = view.rows(task.dataset) or 0
    codes, split, in_split, problem = _gold(view, task, items)
    label_set = next((n for n in run.graph.of("label_set") if n.task == task.name), None)
    found, missing = voters_of(run, task, label_set)
    voters = [v for v in found if fits(view, v, task)]
    missing = [*missing, *(v.id for v in found if v not in voters)]
    rows: dict[str, list[VoterRow]] = {}
    by_class: dict[tuple[str, str | None], Sequence[int]] = {}
    covered = conflicts = None
    if voters:
        cast, figures = voter_rows(run, task, label_set, voters, codes)
        covered, conflicts = _shares(cast, items)
        _take(cast, figures, task, rows, by_class)
    others = [v for v in _others(view, task) if v not in voters and v.id in run.outputs and fits(view, v, task)]
    if others:
        _take(
            *voter_rows(run, task, None, [*voters, *others], codes), task, rows, by_class, only={v.id for v in others}
        )
    return Measured(
        task=task,
        items=items,
        codes=codes,
        split=split,
        in_split=in_split,
        problem=problem,
        rows=rows,
        by_class=by_class,
        covered=covered,
        conflicts=conflicts,
        label_set=label_set.name if label_set else None,
        gold_in_fit=label_set is not None and label_set.spec.taught and bool(in_split.get("tune")),
        missing=tuple(missing),
    )


def fits(view: View, voter: Node, task: TaskInfo) -> bool:
    """Whether a voter's votes are about the rows that the dataset has: earlier ones may be about others."""
    if view.states[voter.id] == "current":
        return True
    if view.states[voter.id] == "missing" or view.states[task.dataset] == "current":
        return False
    if view.run.of_other_items(voter):
        return False
    items, votes = view.run.outputs[task.dataset].parts, view.run.outputs[voter.id].parts
    return voter.kind == "annotations" or [p.rows for p in items] == [p.rows for p in votes]


def _gold(view: View, task: TaskInfo, items: int) -> tuple[Any, Any, dict[str, int], str]:
    """Gold without the test split, splits, how many items with gold each has, and what is wrong with it."""
    import numpy as np

    files = [n for n in gold_files(view.graph, task) if n.id in view.run.outputs and fits(view, n, task)]
    try:
        gold = read_gold(view.run, task, [n.id for n in files])
    except TeachkitError as error:
        nothing = np.full((items, len(task.labels)) if task.multi else items, -1, dtype=np.int16)
        if not task.coded:
            nothing = task.answers.empty(items)
        return nothing, np.full(items, SPLITS.index("test"), dtype=np.int8), {}, view.hide.text(error.message)
    in_split = {name: int((gold.known & (gold.split == i)).sum()) for i, name in enumerate(SPLITS)}
    tests = gold.split == SPLITS.index("test")
    if not task.coded:
        return np.where(tests, task.answers.empty(1), gold.values), gold.split, in_split, ""
    return np.where(tests[:, None] if task.multi else tests, -1, gold.codes), gold.split, in_split, ""


def _others(view: View, task: TaskInfo) -> list[Node]:
    """The task's voters, whether a label set takes them or not."""
    there = [n for n in view.graph.of(*FUNCTIONS, "annotations") if n.task == task.name]
    return [n for n in there if n.kind in FUNCTIONS or n.spec.meta.role == "annotator"]


def _shares(cast: Cast, items: int) -> tuple[float | None, float | None]:
    from teachkit.votes.analysis import conflict_rate

    if not items:
        return None, None
    spoken: Any = sum(votes.votes_per_item for votes in cast.votes)
    return float((spoken > 0).mean()), sum(conflict_rate(v) for v in cast.votes) / len(cast.votes)


def _take(
    cast: Cast,
    found: Sequence[VoterRow],
    task: TaskInfo,
    rows: dict[str, list[VoterRow]],
    by_class: dict[tuple[str, str | None], Sequence[int]],
    only: set[str] | None = None,
) -> None:
    """Sort figures by the voters' nodes, and count their votes by class."""
    import numpy as np

    for row in found:
        node_id = cast.kinds[row.voter]
        if only is None or node_id in only:
            rows.setdefault(node_id, []).append(row)
    for number, votes in enumerate(cast.votes if task.coded else ()):
        about = task.labels[number] if task.multi else None
        k, weights = votes.n_labels, votes.counts[votes.entry_pattern].astype(np.float64)
        size = len(votes.voters) * k
        counts = np.bincount(votes.voter.astype(np.int64) * k + votes.code, weights=weights, minlength=size)
        for voter, line in zip(votes.voters, counts.reshape(-1, k).astype(int).tolist(), strict=True):
            if only is None or cast.kinds[voter] in only:
                by_class[voter, about] = line
