"""The first page: what the project is, how its last run went, what failed, how good each label set is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.revisions.git import git_state
from teachkit.site.view import KINDS, TESTS, bad_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.site.view import View

_COUNTED = (
    "source",
    "transform",
    "enrichment",
    "lf",
    "prompt",
    "annotations",
    "label_set",
    "export",
    "test",
    "unit_test",
)
_PLURAL = {"table of a prompt": "tables of prompts", "annotations": "files of annotations"}


def overview_values(view: View, tasks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the first page shows."""
    files, graph = view.run.files, view.graph
    git = git_state(files.root)
    counts = {kind: sum(1 for _ in graph.of(kind)) for kind in _COUNTED}
    shown = [n for n in graph if n.kind not in (*TESTS, "export")]
    return {
        "version": files.config.version,
        "target": files.target_name,
        "commit": git.commit[:10] if git.commit else None,
        "dirty": git.dirty,
        "counts": [[_plural(KINDS[kind], n), n] for kind, n in counts.items() if n],
        "tasks": list(tasks),
        "last": _last(view),
        "failing": [t for t in all_tests(view) if t["status"] in ("error", "failed", "warned")],
        "broken": _broken(view),
        "missing": [view.reference(n.id) for n in shown if view.states[n.id] == "missing"],
        "older": [view.reference(n.id) for n in shown if view.states[n.id] == "older"],
        "built": any(view.states[n.id] != "missing" for n in shown if n.kind != "source"),
    }


def all_tests(view: View) -> list[dict[str, Any]]:
    """All tests with their results in the last run, those that went wrong first."""
    return bad_first([view.test(n) for n in view.graph.of(*TESTS)])


def _last(view: View) -> dict[str, Any] | None:
    """The last run: what ``target/run_results.json`` says, and when it was, as the store's record has it."""
    if view.last is None:
        return None
    counts: dict[str, int] = {}
    for result in view.last["results"]:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    run_id = view.last["run_id"]
    record = next((r.record for r in view.run.store.runs() if r.run_id == run_id), {}) if run_id else {}
    return {
        "command": view.last["command"],
        "run_id": run_id,
        "started": str(record.get("started", ""))[:16].replace("T", " "),
        "seconds": view.last.get("seconds"),
        "cost": view.last.get("cost"),
        "passed": view.last["passed"],
        "published": view.last["published"],
        "message": view.hide.text(str(view.last["message"])),
        "counts": sorted(counts.items()),
    }


def _broken(view: View) -> list[dict[str, Any]]:
    """Nodes that failed in the last run."""
    found = []
    for node_id, result in view.results.items():
        if result["status"] == "error" and node_id in view.graph.nodes and view.graph[node_id].kind not in TESTS:
            found.append({**view.reference(node_id), "message": view.hide.text(str(result["message"]))})
    return found


def _plural(name: str, count: int) -> str:
    return name if count == 1 else _PLURAL.get(name, f"{name}s")
