"""What a build that passed makes visible: the environment and ``teachkit.lock``, together."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import gold_content, gold_files
from teachkit.build.looks import note_look
from teachkit.build.run import Output
from teachkit.errors import LockedDiffers
from teachkit.graph.node import FUNCTIONS
from teachkit.hashing import canonical_json, digest
from teachkit.store import Environment, EnvironmentNode, Lock, LockedLabels, differences, read_lock, write_lock
from teachkit.store.objects import items_digest

if TYPE_CHECKING:
    from teachkit.build.execute import Executor
    from teachkit.graph import Node


def new_lock(run: Executor, wanted: set[str]) -> Lock:
    """The lock as it would be: label sets that were wanted as they came out, the others as they stand."""
    before = read_lock(run.files.lock_path) or Lock()
    there = {n.name for n in run.graph.of("label_set")}
    kept = {name: entry for name, entry in before.label_sets.items() if name in there}
    made = [n for n in run.graph.of("label_set") if n.id in wanted and n.id in run.outputs]
    return Lock({**kept, **{n.name: _entry(run, n) for n in made}})


def measured_lock(run: Executor, lock: Lock, wanted: set[str]) -> dict[str, Any]:
    """The entries of the lock that this run came to, and the objects that their quality was measured with."""
    found = {}
    for node in run.graph.of("label_set"):
        if node.id in wanted and node.id in run.outputs:
            entry = lock.label_sets[node.name]
            task = run.graph.tasks[node.task or ""]
            with_gold = [task.dataset, *(n.id for n in gold_files(run.graph, task) if n.id in run.outputs)]
            measured = {i: [p.key for p in run.outputs[i].parts] for i in with_gold} if entry.quality else {}
            found[node.name] = {**asdict(entry), "measured": measured}
    return found


def check_locked(run: Executor, lock: Lock, wanted: set[str]) -> None:
    """Raise ``LockedDiffers`` if the labels are not what ``teachkit.lock`` names."""
    before = read_lock(run.files.lock_path) or Lock()
    chosen = {n.name for n in run.graph.of("label_set") if n.id in wanted}
    there = {n.name for n in run.graph.of("label_set")}
    expected = Lock({k: v for k, v in before.label_sets.items() if k in chosen or k not in there})
    found = differences(expected, Lock({k: v for k, v in lock.label_sets.items() if k in chosen}))
    if found:
        raise LockedDiffers(None, differences="\n".join(f"  {line}" for line in found))


def publish(
    run: Executor, lock: Lock, wanted: set[str], run_id: str, *, whole: bool, keep_lock: bool
) -> tuple[bool, bool]:
    """Move the environment, then the lock; which of them changed. ``whole``: nodes that are gone are forgotten."""
    mine = {i: _published(run, i) for i in wanted}

    def change(before: Environment) -> Environment:
        kept = {} if whole else {i: n for i, n in before["nodes"].items() if i in run.graph.nodes}
        nodes = {**kept, **mine}
        same = nodes == before["nodes"] and before["run"] is not None
        return Environment(run=before["run"] if same else run_id, nodes=nodes)

    moved = run.store.update_environment(run.files.target_name, change)["run"] == run_id
    return moved, False if keep_lock else write_lock(run.files.lock_path, lock)


def _published(run: Executor, node_id: str) -> EnvironmentNode:
    """A node as published; a test or an export has no objects, and is there so that ``state:`` knows it."""
    node, output = run.graph[node_id], run.outputs.get(node_id, Output((), ""))
    made = run.made_as(node_id)
    return EnvironmentNode(
        fingerprint=made.fingerprint,
        definition=made.definition,
        objects=[p.key for p in output.parts],
        digest=output.digest,
        items=_items(run, node),
    )


def _items(run: Executor, node: Node) -> str | None:
    """Of which items the rows of a voter are."""
    if node.kind not in (*FUNCTIONS, "annotations"):
        return None
    task = run.graph.tasks[node.task or ""]
    dataset = run.outputs.get(task.dataset)
    return items_digest(dataset.parts, task.key) if dataset is not None else None


def _entry(run: Executor, node: Node) -> LockedLabels:
    output = run.outputs[node.id]
    classes: dict[str, int] = {}
    for part in output.parts:
        for label, count in part.extra["classes"].items():
            classes[label] = classes.get(label, 0) + count
    return LockedLabels(
        task=node.task or "",
        fingerprint=run.made_as(node.id).fingerprint,
        digest=output.digest,
        rows=sum(p.rows for p in output.parts),
        labeled=sum(p.extra["labeled"] for p in output.parts),
        classes=classes,
        quality=_quality(run, node),
        cost=answers_cost(run, node),
        doubt=_doubt(run, output),
    )


def _doubt(run: Executor, output: Output) -> str:
    """Why the fit of a label set's model was not believed; empty if it was."""
    meta = run.store.meta(output.parts[0].extra["parameters"]) if output.parts else None
    return str(meta.extra.get("doubt", "")) if meta is not None else ""


def answers_cost(run: Executor, node: Node) -> float:
    """What the answers of all prompts cost that a label set rests on, in USD."""
    read = [run.outputs[i] for i in sorted(run.graph.upstream(node.id)) if i in run.outputs]
    return float(sum(part.extra.get("cost", 0.0) for output in read for part in output.parts))


def _quality(run: Executor, node: Node) -> dict[str, dict[str, Any]]:
    """Quality on the gold splits; worked out once for equal labels and gold."""
    task = run.graph.tasks[node.task or ""]
    gold = [n.id for n in gold_files(run.graph, task) if n.id in run.outputs]
    if not task.secret_columns and not gold:
        return {}
    key = "quality:" + digest([run.outputs[node.id].digest, *gold_content(run, task, task.key)])
    found = run.store.cache.get_many([key]).get(key)
    if found is not None:
        return json.loads(found)  # type: ignore[no-any-return]
    from teachkit.build.testing import label_data

    data = label_data(run, node)
    figures = {split: data.figures(split) for split in ("tune", "test")}
    kept = {split: dict(found) for split, found in figures.items() if found["n"]}
    if "test" in kept:
        note_look(run, node)
    run.store.cache.put_many({key: canonical_json(kept)})
    return kept
