"""What a build would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.testing import test_key, unit_test_key
from teachkit.errors import TeachkitError

if TYPE_CHECKING:
    from teachkit.build.execute import Executor
    from teachkit.graph import Node


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One node: ``run``, ``reuse``, or ``maybe`` where that depends on what comes out upstream."""

    id: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order in which they would run. An upper bound: early cutoff makes it less."""

    steps: tuple[PlanStep, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"steps": [{"id": s.id, "action": s.action, "reason": s.reason} for s in self.steps]}


def make_plan(run: Executor, wanted: set[str]) -> Plan:
    """Look in the store for each wanted node, as far as keys can be known before anything runs."""
    needed = wanted | {up for node in wanted for up in run.graph.upstream(node)}
    steps = []
    for node in run.graph:
        if node.id not in needed:
            continue
        action, reason = _step(run, node.id)
        if node.id in wanted:
            steps.append(PlanStep(node.id, action, reason))
    return Plan(tuple(steps))


def _test_step(run: Executor, node: Node) -> tuple[str, str]:
    key = unit_test_key(run, node) if node.kind == "unit_test" else test_key(run, node)
    if key is None:
        return "run", "it looks at more than its inputs: the clock, the lock or another node"
    if run.options.full_refresh:
        return "run", "--full-refresh"
    return ("reuse", "its outcome is in the store") if run.store.has(key) else ("run", "new, or what it reads changed")


def _step(run: Executor, node_id: str) -> tuple[str, str]:
    node = run.graph[node_id]
    waiting = [i for i in node.inputs if i not in run.outputs]
    if waiting:
        return "maybe", f"depends on what comes out of {waiting[0]}"
    if node.kind in ("test", "unit_test"):
        return _test_step(run, node)
    if node.kind == "export":
        return "maybe", "kept if its file is there as written"
    before = run.published["nodes"].get(node_id)
    try:
        found = None if run.options.full_refresh else run.find(node)
    except TeachkitError as error:
        return "run", error.message
    if found is not None:
        run.outputs[node_id] = found
        if run.is_news(node, found):
            return "run", "new" if before is None else "its content changed"
        return "reuse", "in the store"
    if run.options.full_refresh:
        return "run", "--full-refresh"
    if before is None:
        return "run", "new"
    return "run", "its definition changed" if before["definition"] != node.own else "what it reads changed"
