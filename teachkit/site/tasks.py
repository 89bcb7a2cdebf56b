"""The page of a task: guideline, labels, data, gold, voters, and how good its labels were commit by commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.site.history import of_label_set
from teachkit.site.names import task_page
from teachkit.site.nodes import is_voter, voter_table
from teachkit.site.texts import definition_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.graph import Node, TaskInfo
    from teachkit.site.measure import Measured
    from teachkit.site.view import View


def task_values(
    view: View, task: TaskInfo, measured: Measured | None, history: Mapping[str, Any], locked: Mapping[str, Any]
) -> dict[str, Any]:
    """What the page of a task shows."""
    voters = [n for n in view.graph if n.task == task.name and is_voter(n)]
    label_sets = [n for n in view.graph.of("label_set") if n.task == task.name]
    others = [n for n in view.graph.of("annotations") if n.task == task.name and not is_voter(n)]
    return {
        "name": task.name,
        "href": task_page(task.name),
        "kind": task.kind,
        "description": view.hide.text(task.description),
        "tags": list(task.tags),
        "labels": [{"name": n, "description": task.label_descriptions.get(n, "")} for n in task.labels],
        "dataset": view.reference(task.dataset),
        "key": task.key,
        "show": list(task.show),
        "guideline": task.guideline,
        "text": definition_text(view.run.files.root, task.where, ""),
        "path": task.where.path,
        "line": task.where.line,
        "splits": _splits(task),
        "gold": _gold(view, task),
        "items": view.rows(task.dataset),
        "in_split": dict(measured.in_split) if measured else {},
        "split_sizes": _split_sizes(measured),
        "problem": measured.problem if measured else "",
        "covered": measured.covered if measured else None,
        "conflicts": measured.conflicts if measured else None,
        "measured_as": measured.label_set if measured else None,
        "gold_in_fit": bool(measured and measured.gold_in_fit),
        "voters": voter_table(view, measured, voters) if measured else [],
        "not_built": [view.reference(n.id) for n in [*voters, *label_sets] if view.states[n.id] == "missing"],
        "others": [{**view.reference(n.id), "role": n.spec.meta.role} for n in others],
        "label_sets": [label_set_summary(view, n, locked) for n in label_sets],
        "histories": [{"name": n.name, "points": of_label_set(dict(history), n.name)} for n in label_sets],
        "unreadable": history["unreadable"],
    }


def label_set_summary(view: View, node: Node, locked: Mapping[str, Any]) -> dict[str, Any]:
    """A label set in a line: counts from what is built, quality as the lock has it."""
    output = view.run.outputs.get(node.id)
    parts = output.parts if output else ()
    rows, labeled = sum(p.rows for p in parts), sum(int(p.extra.get("labeled", 0)) for p in parts)
    classes: dict[str, int] = {}
    for part in parts:
        for label, count in part.extra.get("classes", {}).items():
            classes[label] = classes.get(label, 0) + count
    quality = locked[node.name].quality if node.name in locked else {}
    in_lock = node.name in locked and output is not None and locked[node.name].digest == output.digest
    return {
        **view.reference(node.id),
        "type": node.spec.algorithm,
        "description": view.hide.text(node.description),
        "rows": rows if parts else None,
        "labeled": labeled if parts else None,
        "coverage": labeled / rows if rows else None,
        "classes": [[label, count] for label, count in classes.items()],
        "quality": {split: dict(figures) for split, figures in quality.items()},
        "locked": in_lock,
        "tests": view.tests_of(node.id),
    }


def _splits(task: TaskInfo) -> str:
    if task.split_column:
        return f"by the column '{task.split_column}'"
    if task.hash_splits:
        shares = ", ".join(f"{name} {share}" for name, share in task.hash_splits.hash.items())
        return f"by a hash of the key: {shares}, the rest train"
    return "none: all gold is test gold, so nothing here is measured on it"


def _gold(view: View, task: TaskInfo) -> list[str]:
    found = []
    if task.gold is not None:
        found.append(f"column '{task.gold.column}' of the dataset")
    files = [n for n in view.graph.of("annotations") if n.task == task.name and n.spec.meta.role == "gold"]
    return [*found, *(n.where.path for n in files)]


def _split_sizes(measured: Measured | None) -> list[list[Any]]:
    """How many items each split has."""
    import numpy as np

    from teachkit.votes import SPLITS

    if measured is None or not measured.items:
        return []
    counts = np.bincount(measured.split, minlength=len(SPLITS)).tolist()
    return [[name, count] for name, count in zip(SPLITS, counts, strict=True)]
