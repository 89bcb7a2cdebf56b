"""What a label set was made by, in plain values beside its parameters: enough to derive its labels without the project.

An audit of an old commit has the store and the lock, and no project as it was then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.errors import Where
from teachkit.graph import Graph, Node, TaskInfo
from teachkit.graph.node import AnnotationsSpec, LabelSetSpec
from teachkit.project.models import AnnotationMeta, Gold, HashSplits, LabelModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.store import ObjectMeta

_SAYS_NOTHING = {"tests", "description", "tags"}  # of how labels come about


def recipe_of(node: Node, task: TaskInfo) -> dict[str, Any]:
    """What decides the rows of a label set beside the objects that it reads."""
    spec: LabelSetSpec = node.spec
    return {
        "task": {
            "name": task.name,
            "kind": task.kind,
            "labels": list(task.labels),
            "dataset": task.dataset,
            "key": task.key,
            "candidates": task.candidates,
            "gold": task.gold.model_dump(mode="json") if task.gold else None,
            "split_column": task.split_column,
            "hash_splits": task.hash_splits.model_dump(mode="json") if task.hash_splits else None,
            **({"text": task.text} if task.text else {}),
        },
        "config": spec.config.model_dump(mode="json", exclude=_SAYS_NOTHING),
        "voters": list(spec.voters),
        "annotations": list(spec.annotations),
        "curators": list(spec.curators),
        "gold": list(spec.gold),
        "algorithm": spec.algorithm,
        "sides": list(spec.sides) if spec.sides else None,
        "taught": spec.taught,
        "abstain": dict(spec.abstain),
        "parameters": dict(spec.parameters),
        "reads": {parent: None if columns is None else list(columns) for parent, columns in node.reads.items()},
    }


def label_kind(parameters: ObjectMeta) -> str:
    """The kind of task of a label set, from what is recorded beside its parameters (by the first releases: nothing)."""
    recipe = parameters.extra.get("recipe")
    return str(recipe["task"]["kind"]) if recipe else "choice"


def graph_of(recipe: Mapping[str, Any], inputs: Mapping[str, Any], *, name: str, own: str) -> Graph:
    """The label set ``name`` and what it reads, as they were; ``inputs`` is the record beside the parameters."""
    task = _task(recipe["task"])
    places = {i: Where(about["path"], about["line"]) for i, about in inputs.items()}
    nodes = {i: input_node(i, about["name"], task.name, places[i]) for i, about in inputs.items()}
    spec = LabelSetSpec(
        LabelModelConfig.model_validate(recipe["config"]),
        recipe["algorithm"],
        tuple(recipe["voters"]),
        tuple(recipe["annotations"]),
        tuple(recipe["curators"]),
        tuple(recipe["gold"]),
        recipe["abstain"],
        recipe["parameters"],
        _sides(recipe),
        recipe.get("taught", False),
    )
    node = Node(
        id=f"label_set.{name}",
        kind="label_set",
        name=name,
        where=Where(f"label set {name}"),
        spec=spec,
        canonical=None,
        inputs=tuple(inputs),
        reads={parent: None if columns is None else tuple(columns) for parent, columns in recipe["reads"].items()},
        task=task.name,
        own=own,
    )
    return Graph({**nodes, node.id: node}, {task.name: task}, {})


def input_node(node_id: str, name: str, task: str, where: Where, role: str = "annotator") -> Node:
    """An input of a label set of which only its objects are needed; ``role`` of a file of annotations."""
    kind = node_id.partition(".")[0]
    spec = AnnotationsSpec(where.path, AnnotationMeta.model_validate({"role": role})) if kind == "annotations" else None
    return Node(node_id, kind, name, where, spec, None, task=task)


def _task(said: Mapping[str, Any]) -> TaskInfo:
    return TaskInfo(
        name=said["name"],
        kind=said["kind"],
        labels=tuple(said["labels"]),
        dataset=said["dataset"],
        key=said["key"],
        show=(),
        guideline="",
        gold=Gold.model_validate(said["gold"]) if said["gold"] else None,
        split_column=said["split_column"],
        hash_splits=HashSplits.model_validate(said["hash_splits"]) if said["hash_splits"] else None,
        where=Where(f"task {said['name']}"),
        candidates=said.get("candidates"),
        text=said.get("text"),
    )


def _sides(recipe: Mapping[str, Any]) -> tuple[str, str] | None:
    found = recipe.get("sides")
    return (found[0], found[1]) if found else None
