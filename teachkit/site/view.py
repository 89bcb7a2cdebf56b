"""What all pages are made from: the project with its outputs, how its last run went, what to keep back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import TeachkitError
from teachkit.site.discretion import discretion
from teachkit.site.names import node_page, task_page, test_anchor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.build.execute import Executor
    from teachkit.graph import Graph, Node
    from teachkit.site.discretion import Discretion

TESTS = ("test", "unit_test")
KINDS = {
    "source": "source",
    "transform": "transform",
    "enrichment": "table of a prompt",
    "lf": "labeling function",
    "prompt": "prompt",
    "annotations": "annotations",
    "label_set": "label set",
    "export": "export",
    "test": "test",
    "unit_test": "unit test",
}
_BAD_FIRST = ("error", "failed", "warned", "skipped")


@dataclass(frozen=True, slots=True)
class View:
    """A project looked at.

    ``states``: for each node ``current`` (built as it is defined now), ``older`` (what is there was made of an earlier
    definition or of other inputs) or ``missing``. ``results``: of the last run, by node id; ``last``: the whole of
    ``run_results.json``, None if there is none.
    """

    run: Executor
    states: Mapping[str, str]
    last: Mapping[str, Any] | None
    results: Mapping[str, Mapping[str, Any]]
    hide: Discretion

    @property
    def graph(self) -> Graph:
        """The project's nodes."""
        return self.run.graph

    def reference(self, node_id: str) -> dict[str, Any]:
        """What a page needs to name a node and lead to it."""
        node = self.graph[node_id]
        page = test_anchor(node_id) if node.kind in TESTS else node_page(node_id)
        return {"id": node_id, "name": node.name, "kind": node.kind, "href": page, "state": self.states[node_id]}

    def task_reference(self, name: str | None) -> dict[str, Any] | None:
        """What a page needs to name a task and lead to it."""
        return None if name is None else {"name": name, "href": task_page(name)}

    def rows(self, node_id: str) -> int | None:
        """How many rows a node has, None if it is not built or only DuckDB knows."""
        output = self.run.outputs.get(node_id)
        return sum(p.rows for p in output.parts) if output is not None and output.parts else None

    def tests_of(self, node_id: str) -> list[dict[str, Any]]:
        """The tests of a node, those that went wrong first."""
        tests = [self.graph[i] for i in self.graph.children.get(node_id, ()) if self.graph[i].kind in TESTS]
        return sorted((self.test(t) for t in tests if _about(t) == node_id), key=_order)

    def test(self, node: Node) -> dict[str, Any]:
        """A test with its result in the last run."""
        result = self.results.get(node.id)
        status = result["status"] if result else "not run"
        message = self.hide.text(str(result["message"])) if result else ""
        place = f"{node.where.path}:{node.where.line}" if node.where.line else node.where.path
        severity = node.spec.severity if node.kind == "test" else "error"
        about = _about(node)
        return {
            **self.reference(node.id),
            "status": status,
            "message": message,
            "failures": result["failures"] if result else None,
            "place": place,
            "severity": severity,
            "about": self.reference(about) if about is not None and about in self.graph.nodes else None,
        }


def look(run: Executor) -> View:
    """Find what there is of every node; nothing is built, and what is missing stays so."""
    states: dict[str, str] = {}
    for node in run.graph:
        found = _state(run, node)
        of_earlier = found == "current" and any(states[i] != "current" for i in node.inputs if i in states)
        states[node.id] = "older" if of_earlier else found
    last = _last_run(run)
    results = {r["id"]: r for r in last["results"]} if last else {}
    return View(run, states, last, results, discretion(run.files))


def _state(run: Executor, node: Node) -> str:
    before = run.published["nodes"].get(node.id)
    if node.kind in (*TESTS, "export"):
        if before is None:
            return "missing"
        return "current" if before["fingerprint"] == node.fingerprint else "older"
    try:
        found = run.resolve(node, of_any_items=True)
        made_now = run.find(node)
    except TeachkitError:
        return "missing"
    same = made_now is not None and [p.key for p in made_now.parts] == [p.key for p in found.parts]
    return "current" if same else "older"


def _last_run(run: Executor) -> Mapping[str, Any] | None:
    try:
        found = json.loads((run.files.target_path / "run_results.json").read_bytes())
        results = [
            {"id": r["id"], "status": r["status"], "message": "", "failures": None, **r} for r in found["results"]
        ]
        return {
            "command": "",
            "run_id": None,
            "passed": None,
            "published": None,
            "message": "",
            **found,
            "results": results,
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, or another tool's file: as if nothing had run


def _about(test: Node) -> str | None:
    """The node that a test is about."""
    if test.kind == "unit_test":
        return str(test.spec.voter)
    return str(test.spec.target or test.inputs[0]) if test.inputs else None


def _order(test: Mapping[str, Any]) -> tuple[int, str]:
    status = test["status"]
    return (_BAD_FIRST.index(status) if status in _BAD_FIRST else len(_BAD_FIRST), test["id"])


def bad_first(tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tests in the order in which one wants to see them."""
    return sorted(tests, key=_order)
