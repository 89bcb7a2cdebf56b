"""Prompts of a task side by side, on the same items with gold: who is right, at what cost, is the difference real."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor, looking_at
from teachkit.build.looks import record_look
from teachkit.build.stored_votes import stacked_votes
from teachkit.errors import BadOption
from teachkit.review.analyze import check_gold_name, gold_for
from teachkit.votes.intervals import mcnemar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.graph import Node, TaskInfo


@dataclass(frozen=True, slots=True)
class PromptQuality:
    """One prompt. ``accuracy`` is over all items with gold (no answer is a wrong one), with its 95 % Wilson interval.

    ``cost`` is what its answers about all items cost, in USD; ``cost_per_right`` that of one right answer on gold.
    ``scores``: with ``confidence``, how its scores were calibrated and how good they are on tune, and what its cascade
    promises.
    """

    id: str
    model: str
    items: int
    answered: int
    right: int
    accuracy: float | None
    low: float | None
    high: float | None
    accuracy_answered: float | None
    cost: float
    cost_per_right: float | None
    scores: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two prompts on the items with gold. ``p_value``: exact McNemar test of one being right more often than the other.

    ``agreement`` is the share of the items on which both answered that they answered alike.
    """

    a: str
    b: str
    both_right: int
    only_a: int
    only_b: int
    neither: int
    p_value: float
    agreement: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Prompts of one task, best first. ``test_looks``: which look at its test split this is, None if it is none."""

    task: str
    gold: str
    prompts: Sequence[PromptQuality]
    pairs: Sequence[Pair]
    test_looks: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def compare(work: Workspace, nodes: Sequence[Node], gold: str | None) -> Comparison:
    """Compare prompts by the votes that are there; nothing is asked.

    Raises:
        BadOption: they are of several tasks, or there are none.
        NotBuilt: one has not voted yet.
    """
    check_gold_name(gold)
    tasks = sorted({node.task or "" for node in nodes})
    if len(tasks) != 1:
        problem = (
            "there is no prompt to compare" if not tasks else f"the prompts are of several tasks: {', '.join(tasks)}"
        )
        raise BadOption(None, option="compare", problem=problem, advice="name prompts of one task")
    with looking_at(work) as run:
        return _compare(run, nodes, work.graph.tasks[tasks[0]], gold)


def _compare(run: Executor, nodes: Sequence[Node], task: TaskInfo, wanted: str | None) -> Comparison:
    import numpy as np

    for node in nodes:
        run.resolve_upstream(node.id)
        run.resolve(node)
    if not task.coded:
        problem = f"it counts right labels, and task '{task.name}' is of the kind '{task.kind}'"
        raise BadOption(None, option="compare", problem=problem, advice="see 'teachkit analyze' for the voters' errors")
    codes, splits, test_gold = gold_for(run, task, wanted)
    truth = codes if task.multi else codes[:, None]
    known = np.flatnonzero((truth >= 0).all(axis=1))
    said = {node.id: stacked_votes(run, node.id, task)[known] for node in nodes}
    right = {i: (votes == truth[known]).all(axis=1) for i, votes in said.items()}
    answered = {i: (votes >= 0).all(axis=1) for i, votes in said.items()}
    found = [_quality(run, node, right[node.id], answered[node.id]) for node in nodes]
    found.sort(key=lambda one: (-(one.accuracy or 0.0), one.cost, one.id))
    names = [one.id for one in found]
    pairs = [_pair(a, b, said, right, answered) for a, b in combinations(names, 2)]
    look = record_look(run, task.name, nodes, by="llm compare", gold=splits) if test_gold else None
    return Comparison(task.name, splits, found, pairs, look)


def _quality(run: Executor, node: Node, right: Any, answered: Any) -> PromptQuality:
    from teachkit.votes.intervals import wilson

    items, hits, said = len(right), int(right.sum()), int(answered.sum())
    interval = wilson(hits, items)
    cost = sum(p.extra.get("cost", 0.0) for p in run.outputs[node.id].parts)
    rows = sum(p.rows for p in run.outputs[node.id].parts)
    return PromptQuality(
        node.id,
        node.spec.model,
        items,
        said,
        hits,
        hits / items if items else None,
        interval[0] if interval else None,
        interval[1] if interval else None,
        hits / said if said else None,
        cost,
        cost * items / rows / hits if hits and rows else None,
        next((p.extra["scores"] for p in run.outputs[node.id].parts if "scores" in p.extra), None),
    )


def _pair(a: str, b: str, said: Any, right: Any, answered: Any) -> Pair:

    only_a, only_b = int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())
    both = answered[a] & answered[b]
    alike = (said[a] == said[b]).all(axis=1) & both
    return Pair(
        a,
        b,
        int((right[a] & right[b]).sum()),
        only_a,
        only_b,
        int((~right[a] & ~right[b]).sum()),
        mcnemar(only_a, only_b),
        float(alike.sum() / both.sum()) if both.any() else None,
    )
