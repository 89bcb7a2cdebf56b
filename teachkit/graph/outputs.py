"""Exports and unit tests as nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadValue
from teachkit.graph.known import known_column, known_label
from teachkit.graph.label_sets import SCORES
from teachkit.graph.names import fold
from teachkit.graph.node import ExportSpec, Node, UnitTestSpec, entry_text
from teachkit.graph.sql import CONDITION, Expression, understand_expression
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.errors import Where
    from teachkit.graph.data_tests import Compiler
    from teachkit.graph.node import TaskInfo
    from teachkit.project import Definition

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def export_node(definition: Definition, compiler: Compiler) -> Node | None:
    """The node of one export; None if it is not enabled, or its label set has an error of its own.

    Raises:
        BadValue: not a label set, or another export writes the same file.
        UnknownColumn: a column that neither the label set nor its dataset has.
    """
    config = definition.config
    if not config.enabled:
        return None
    label_set = compiler.reference(config.label_set, definition.at("label_set"))
    if not label_set.startswith("label_set."):
        raise BadValue(
            definition.at("label_set"),
            key="label_set",
            problem=f"'{config.label_set}' is no label set",
            advice="name a label model: ref('…')",
        )
    if label_set not in compiler.nodes:
        return None  # its own error was reported
    task = compiler.tasks[compiler.nodes[label_set].task or ""]
    own, dataset_columns = tuple(compiler.schemas[label_set] or ()), compiler.schemas.get(task.dataset) or ()
    owner = f"'{config.label_set}' and its dataset"
    if config.rows == "scores":
        _check_scores(compiler.nodes[label_set], definition)
        own, dataset_columns, owner = tuple(SCORES), (), f"the scores of '{config.label_set}'"
    known = [*own, *dataset_columns]
    for index, column in enumerate(config.columns):
        known_column(column, known, owner, definition.at("columns", index))
    columns = tuple(fold(c) for c in config.columns)
    read = set(columns)
    where = None
    if config.where:
        place = definition.text_at("where")
        columns_known = tuple(dict.fromkeys(known))
        kept = compiler.remember(
            "expression",
            [config.where, label_set, columns_known],
            lambda: understand_expression(config.where, label_set, columns_known, place, instead=CONDITION).plain(),
        )
        found = Expression.from_plain(kept)
        read, where = read | set(found.columns), found.canonical
    path = compiler.renderer.value(config.path, definition.at("path"))
    _check_path(path, definition, compiler)
    compiler.schemas[f"export.{config.name}"] = columns or own
    form = config.format or _FORMATS.get(Path(path).suffix.lower(), "parquet")
    canonical = {"export": form, "columns": columns, "where": where}
    reads: dict[str, tuple[str, ...] | None] = {label_set: None}
    if config.rows == "labels":
        reads[task.dataset] = tuple(sorted((read - set(own)) | {task.key}))
    else:
        canonical["rows"] = config.rows
    return Node(
        f"export.{config.name}",
        "export",
        config.name,
        definition.where,
        ExportSpec(config, label_set, path, form),
        canonical,
        tuple(reads),
        reads,
        columns or own,
        {},
        task.name,
        tuple(config.tags),
        config.description,
        entry_text(definition),
    )


def _check_scores(label_set: Node, definition: Definition) -> None:
    if label_set.spec.algorithm != "bradley_terry":
        problem = f"'{label_set.name}' has no scores: its labels are decided by '{label_set.spec.algorithm}'"
        advice = "name a label set of a pairwise task with 'type: bradley_terry'"
        raise BadValue(definition.at("rows"), key="rows", problem=problem, advice=advice)


def _check_path(path: str, definition: Definition, compiler: Compiler) -> None:
    """A path names one file; two exports to one file would take turns in overwriting it."""
    if path.endswith("/") or not Path(path).name:
        problem = f"'{path}' is a folder"
        raise BadValue(definition.at("path"), key="path", problem=problem, advice="name a file in it")
    for other in (n for n in compiler.nodes.values() if n.kind == "export"):
        if Path(other.spec.path) == Path(path):
            place, problem = definition.at("path"), f"export '{other.name}' writes '{other.spec.path}' too"
            raise BadValue(place, key="path", problem=problem, advice="give each a path of its own")


def unit_test_node(definition: Definition, compiler: Compiler) -> Node:
    """The node of one unit test.

    Raises:
        UnknownNode: no voter of this name.
        UnknownColumn: a row has a key that is no column of the task's items.
        UnknownLabel: a label is expected that the task does not have.
    """
    unit = definition.config
    voter = compiler.find(unit.voter, ("lf",), "voter", definition.at("voter"))
    task = compiler.tasks[voter.task or ""]
    for index, expected in enumerate(unit.expect):
        _check_expected(expected, task, definition.at("expect", index))
    columns = compiler.schemas.get(task.dataset)
    for index, row in enumerate(unit.rows):
        for name in row if columns is not None else ():
            place = definition.at("rows", index, name, key=True)
            known_column(str(name), columns or (), f"the dataset '{task.dataset.partition('.')[2]}'", place)
    return Node(
        f"unit_test.{unit.name}",
        "unit_test",
        unit.name,
        definition.where,
        UnitTestSpec(unit, voter.id),
        {"rows": [_plain(r) for r in unit.rows], "expect": unit.expect},
        (voter.id,),
        {voter.id: ()},
        (),
        {},
        voter.task,
        tuple(unit.tags),
        unit.description,
        entry_text(definition),
    )


def _check_expected(expected: Any, task: TaskInfo, where: Where) -> None:
    """A vote that is expected is one that the task has."""
    if not task.coded:
        try:
            task.answers.read(expected, task.labels)
        except NotAnAnswer as error:
            raise BadValue(where, key="expect", problem=error.problem, advice=error.advice) from error
        return
    for label in expected if isinstance(expected, list) else [expected] if expected is not None else []:
        if not isinstance(label, str):
            raise BadValue(where, key="expect", problem=f"{label!r} is no text, as labels are", advice="quote it")
        known_label(label, task.labels, task.name, where)


def _plain(row: Mapping[str, Any]) -> dict[str, str]:
    return {k: repr(v) for k, v in sorted(row.items())}
