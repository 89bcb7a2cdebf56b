"""Label sets as nodes: which voters each has, by which algorithm, and what its labels depend on."""

from __future__ import annotations

import ast
import fnmatch
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.errors import BadValue, UnknownKey, UnknownType, UnknownVoter, Where, did_you_mean, listing
from teachkit.graph.known import known_label
from teachkit.graph.names import fold
from teachkit.graph.node import FUNCTIONS, LabelSetSpec, Node, TaskInfo, entry_text
from teachkit.graph.python import PythonFile, package_versions, parse_python, project_modules, python_text
from teachkit.graph.sql import ALL, ROWS
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from teachkit.project import Definition
    from teachkit.project.models import LabelModelConfig

CALIBRATION_VERSION = 2  # 1: with gold in the fit, the order of the items decided which were held out together
INTERVALS_VERSION = 1
TAUGHT_VERSION = 1
"""Raised when results change; part of the fingerprints of label sets that ask for them."""
FILES_VERSION = 2  # 1: of one annotator's judgments in several files the last by the file's name counted
"""The same, part of all fingerprints."""
LABEL_SET_COLUMNS = ("label", "confidence", "posterior", "decided_by", "votes", "model_label")
SCORES = {
    "contestant": "varchar",
    "score": "double",
    "low": "double",
    "high": "double",
    "comparisons": "bigint",
    "wins": "double",
    "losses": "double",
    "ties": "double",
}
"""The columns of the scores of what is compared, with their types, where a label model gives any."""


def label_set_columns(key: str, kind: str) -> tuple[str, ...]:
    """The columns of a label set of a task of this ``kind``, whose items are named by ``key``."""
    return (fold(key), *_decided_columns(kind))


def _decided_columns(kind: str) -> tuple[str, ...]:
    """All columns but the key: where labels are ordered, the expected position stands beside the label."""
    return (*LABEL_SET_COLUMNS, "position") if kind == "ordinal" else LABEL_SET_COLUMNS


def label_set_node(definition: Definition, task: TaskInfo, of_task: Sequence[Node], root: Path) -> Node:
    """The node of one label model.

    Args:
        definition: What the file says.
        task: Its task.
        of_task: The nodes of the task, of which it chooses its voters.
        root: The project's folder, where a model in Python is found.

    Raises:
        UnknownType: no algorithm of this name.
        UnknownVoter: a pattern that chooses nothing.
        UnknownKey: a parameter that the algorithm does not have.
        UnknownLabel: a class prior for a label that the task does not have.
        BadValue: a class prior that does not fit, a Python class that is not there.
    """
    config: LabelModelConfig = definition.config
    name, algorithm = _algorithm(config, task, definition, root)
    lfs = [n for n in of_task if n.kind in FUNCTIONS]
    people = [n for n in of_task if n.kind == "annotations"]
    annotators = [n for n in people if n.spec.meta.role == "annotator"]
    chosen = _choose(config.voters, [*lfs, *annotators], task, definition)
    curators = tuple(n.id for n in people if n.spec.meta.role == "curator") if config.curators else ()
    gold = tuple(n.id for n in people if n.spec.meta.role == "gold")
    gold_columns = [*task.secret_columns, *(column for column in (task.split_column, task.text) if column)]
    taught = _is_taught(config, name, task, has_gold=task.gold is not None or bool(gold))
    uses_gold = taught or config.prefer_gold or config.calibrate is not None
    _check_own(config, task, definition)
    if config.calibrate is not None and not task.gold and not gold:
        advice = "declare 'gold:' in the task, or an annotations file with 'role: gold'"
        problem = f"calibration is fitted to gold of the tune split, and task '{task.name}' has no gold"
        raise BadValue(definition.at("calibrate"), key="calibrate", problem=problem, advice=advice)
    _check_abstain(config, chosen, task, definition)
    abstain = {n.id: _abstain(n, config) for n in chosen}
    parameters = {
        **config.parameters,
        **({"class_prior": config.class_prior} if config.class_prior is not None else {}),
    }
    parameters = _prior_in_order(parameters, task, definition)
    _check_parameters(name, definition)
    if name == "auto" and "kin" not in parameters and (kin := _kin(chosen)):
        parameters["kin"] = kin
    sides = task.sides if _wants_sides(name) else None
    spec = LabelSetSpec(
        config,
        name,
        tuple(n.id for n in chosen if n.kind in FUNCTIONS),
        tuple(n.id for n in chosen if n.kind == "annotations"),
        curators,
        gold if uses_gold else (),
        abstain,
        parameters,
        sides,
        taught,
    )
    canonical = {
        "algorithm": algorithm,
        "parameters": parameters,
        "tie_policy": config.tie_policy,
        "gold": ["tune", TAUGHT_VERSION] if taught else "ignore",
        "prefer_gold": config.prefer_gold,
        "unlabeled": config.unlabeled,
        "labels": task.labels,
        "kind": task.meaning,
        "abstain": abstain,
        "curators": config.curators,
        "splits": _splits(task) if uses_gold else None,
        **({"sides": sides} if sides else {}),
        **({"candidates": task.candidates} if task.candidates else {}),
        "files": FILES_VERSION,
    }
    if config.calibrate is not None:
        canonical["calibrate"] = [config.calibrate, CALIBRATION_VERSION]
    if config.intervals != "information":
        canonical["intervals"] = [config.intervals, INTERVALS_VERSION]
    inputs = tuple(dict.fromkeys((task.dataset, *(n.id for n in chosen), *curators, *spec.gold)))
    reads: dict[str, tuple[str, ...] | None] = dict.fromkeys(inputs)
    asked = (*(sides or ()), *([task.candidates] if task.candidates else []))
    reads[task.dataset] = tuple(dict.fromkeys((task.key, *(gold_columns if uses_gold else ()), *asked)))
    lineage = {task.key: ((task.dataset, task.key),)}
    seen = {(r, c) for n in chosen for r, columns in n.reads.items() for c in columns or (ALL,)}
    seen |= {(task.dataset, c) for c in (*(gold_columns if uses_gold else ()), *asked)}
    decided = dict.fromkeys(_decided_columns(task.kind), tuple(sorted(seen)))
    influences = {ROWS: lineage[task.key], **decided, **lineage}
    return Node(
        f"label_set.{config.name}",
        "label_set",
        config.name,
        definition.where,
        spec,
        canonical,
        inputs,
        reads,
        label_set_columns(task.key, task.kind),
        lineage,
        task.name,
        (*task.tags, *config.tags),
        config.description,
        entry_text(definition),
        influences=influences,
    )


def _is_taught(config: LabelModelConfig, algorithm: str, task: TaskInfo, *, has_gold: bool) -> bool:
    """Whether the fit sees gold of tune: where it is asked for; of itself ``auto`` does, if there can be any."""
    if config.gold is not None:
        return config.gold == "tune"
    return algorithm == "auto" and has_gold and task.has_splits


def with_voters(
    node: Node,
    dataset: str,
    abstain: Mapping[str, str],
    annotations: Collection[str],
    curators: Sequence[str],
    gold: Sequence[str],
) -> Node:
    """A label set by the algorithm of ``node``, over other voters; its fingerprint is not worked out.

    Args:
        node: Whose configuration and parameters it has.
        dataset: The node of the items.
        abstain: Its voters, each with what its silence means.
        annotations: Which of them are files of judgments.
        curators: Files that decide above the label model.
        gold: Files of gold that the fit sees.
    """
    functions = tuple(i for i in sorted(abstain) if i not in annotations)
    people = tuple(i for i in sorted(abstain) if i in annotations)
    spec = replace(
        node.spec, voters=functions, annotations=people, curators=tuple(curators), gold=tuple(gold), abstain=abstain
    )
    canonical = {**node.canonical, "abstain": dict(abstain)}
    inputs = tuple(dict.fromkeys((dataset, *sorted(abstain), *curators, *gold)))
    columns = node.reads[node.inputs[0]]
    reads = {**dict.fromkeys(inputs), dataset: columns}
    return replace(node, spec=spec, canonical=canonical, own=digest(canonical), inputs=inputs, reads=reads)


def _algorithm(config: LabelModelConfig, task: TaskInfo, definition: Definition, root: Path) -> tuple[str, Any]:
    """The name of the algorithm that decides, and what it means."""
    from teachkit.label_models import ALGORITHMS, DEFAULTS

    if ":" in config.type:
        return config.type, own_algorithm(config.type, definition.at("type"), root)
    name = DEFAULTS.get(task.kind, "auto") if config.type == "auto" else config.type
    known = registry.names("label_model")
    fit = [n for n in known if n not in ALGORITHMS or task.kind in ALGORITHMS[n].kinds]
    if name not in known:
        raise UnknownType(
            definition.at("type"),
            kind="label model",
            name=config.type,
            known=listing(["auto", *(n for n in fit if n != "auto")], 40),
            hint=did_you_mean(config.type, fit),
        )
    about = ALGORITHMS.get(name)  # None: another package's, which says itself what it cannot do
    if about is not None and task.kind not in about.kinds:
        problem = f"'{name}' does not decide tasks of the kind '{task.kind}', as '{task.name}' is"
        raise BadValue(
            definition.at("type"), key="type", problem=problem, advice=f"write auto, or one of: {listing(fit, 40)}"
        )
    return name, {"name": name, "version": about.version if about else 0}


def _check_own(config: LabelModelConfig, task: TaskInfo, definition: Definition) -> None:
    """A class of the project gives posteriors and no more; of an answer that is a value there is none for each label.

    Neither can be calibrated from outside.
    """
    if ":" not in config.type and task.coded:
        return
    problem, advice = f"'{config.type}' is a class of the project", "leave it out, or name an algorithm as 'type'"
    if not task.coded:
        problem, advice = f"task '{task.name}' is of the kind '{task.kind}': its answers are values", "leave it out"
    wanted = {"calibrate": config.calibrate is not None, "intervals": config.intervals != "information"}
    for key in (key for key, asked in wanted.items() if asked):
        raise BadValue(definition.at(key), key=key, problem=problem, advice=advice)


def _check_parameters(algorithm: str, definition: Definition) -> None:
    """An algorithm has the parameters that are given; those of a class from elsewhere are not known before it runs."""
    from teachkit.label_models import ALGORITHMS

    about = ALGORITHMS.get(algorithm)
    if about is None:
        return
    config = definition.config
    given = {name: definition.at("parameters", name, key=True) for name in config.parameters}
    if config.class_prior is not None:
        given.setdefault("class_prior", definition.at("class_prior", key=True))
    for name, place in given.items():
        if not about.parameters:
            raise BadValue(place, key=name, problem=f"'{algorithm}' has no parameters", advice="leave it out")
        if name not in about.parameters:
            owner, known = f"the parameters of '{algorithm}'", about.parameters
            raise UnknownKey(place, key=name, owner=owner, known=listing(known), hint=did_you_mean(name, known))


def _wants_sides(algorithm: str) -> bool:
    """Whether an algorithm looks at what is compared; a class of the user's own may, another package's says nothing."""
    from teachkit.label_models import ALGORITHMS

    about = ALGORITHMS.get(algorithm)
    return ":" in algorithm or (about is not None and about.sides)


def own_algorithm(written: str, where: Where, root: Path) -> Any:
    """A class of the project: its file's code and all that this reaches, and the packages that it imports."""
    path, _, name = written.partition(":")
    file = root / path
    if not file.is_file() or not name.isidentifier():
        problem = f"there is no file '{path}'" if not file.is_file() else f"'{name}' is no name of a class"
        raise BadValue(where, key="type", problem=problem, advice="write 'label_models/file.py:Class'")
    text = python_text(file, root)
    if not any(isinstance(n, ast.ClassDef) and n.name == name for n in parse_python(path, text).body):
        problem = f"'{path}' has no class '{name}'"
        raise BadValue(where, key="type", problem=problem, advice="write 'label_models/file.py:Class'")
    meaning = PythonFile(path, text, modules=project_modules(root)).meaning_of_all()
    return {"python": name, "code": meaning.text, "packages": package_versions(meaning.packages)}


def _prior_in_order(parameters: dict[str, Any], task: TaskInfo, definition: Definition) -> dict[str, Any]:
    prior = parameters.get("class_prior")
    if prior is not None and not task.coded:
        problem = f"an answer to task '{task.name}' is {task.answers.noun}: there are no classes"
        raise BadValue(definition.at("class_prior"), key="class_prior", problem=problem, advice="leave it out")
    if not isinstance(prior, dict):
        return parameters
    for label in prior:
        known_label(label, task.labels, task.name, definition.at("class_prior", label, key=True))
    if set(prior) != set(task.labels) or abs(sum(prior.values()) - 1) > 1e-6:
        raise BadValue(
            definition.at("class_prior"),
            key="class_prior",
            problem="it must name every label and sum to 1",
            advice=f"labels: {listing(task.labels)}",
        )
    return {**parameters, "class_prior": [prior[label] for label in task.labels]}


def _kin(chosen: Sequence[Node]) -> dict[str, str]:
    """From each prompt to the model that it asks, where others ask the same: they err alike."""
    models = {n.name: n.spec.model for n in chosen if n.kind == "prompt"}
    return {name: model for name, model in models.items() if list(models.values()).count(model) > 1}


def _choose(patterns: Sequence[str], voters: Sequence[Node], task: TaskInfo, definition: Definition) -> list[Node]:
    chosen: dict[str, Node] = {}
    for index, pattern in enumerate(patterns):
        out, wanted = pattern.startswith("-"), pattern.removeprefix("-")
        matching = [n for n in voters if _matches(n, wanted)]
        if not matching and wanted != "*" and not wanted.startswith("tag:"):
            known = [n.name for n in voters]
            raise UnknownVoter(
                definition.at("voters", index),
                pattern=pattern,
                task=task.name,
                known=listing(known, 40),
                hint=did_you_mean(wanted, known),
            )
        for node in matching:
            if out:
                chosen.pop(node.id, None)
            else:
                chosen[node.id] = node
    if not chosen:
        raise UnknownVoter(
            definition.at("voters"),
            pattern=", ".join(patterns),
            task=task.name,
            known=listing([n.name for n in voters]),
            hint="",
        )
    return sorted(chosen.values(), key=lambda n: n.id)


def _matches(node: Node, pattern: str) -> bool:
    if pattern.startswith("tag:"):
        return pattern[4:] in node.tags
    if pattern.startswith("kind:"):
        return pattern[5:] == node.kind
    return fnmatch.fnmatchcase(node.name, pattern) or ("." in pattern and fnmatch.fnmatchcase(node.id, pattern))


def _check_abstain(config: LabelModelConfig, voters: Sequence[Node], task: TaskInfo, definition: Definition) -> None:
    if config.abstain and not task.coded and task.text is None:
        problem = f"an answer to task '{task.name}' is {task.answers.noun}: silence says nothing of it"
        raise BadValue(definition.at("abstain"), key="abstain", problem=problem, advice="leave it out")
    for pattern in config.abstain:
        if not any(_matches(n, pattern) for n in voters):
            known = [n.name for n in voters]
            place, hint = definition.at("abstain", pattern, key=True), did_you_mean(pattern, known)
            raise UnknownVoter(place, pattern=pattern, task=task.name, known=listing(known, 40), hint=hint)


def _abstain(node: Node, config: LabelModelConfig) -> str:
    for pattern, policy in config.abstain.items():
        if _matches(node, pattern):
            return policy
    return str(node.spec.abstain)


def _splits(task: TaskInfo) -> Any:
    gold = task.gold.model_dump() if task.gold else None
    return {"column": task.split_column, "hash": task.hash_splits.hash if task.hash_splits else None, "gold": gold}
