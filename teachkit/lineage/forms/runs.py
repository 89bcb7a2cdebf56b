"""What a run of the chain was about: its nodes as they were defined then, and what each of them gave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.record import shape
from teachkit.errors import NoRun, UnknownRun, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.store import RunRecord

COMMANDS = ("build", "run", "test")
"""The commands whose records hold nodes; looks at the test split are in the chain too."""

_SHOWN = 5

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RanNode:
    """A node as a run had it.

    ``known`` says where its definition is from: ``project`` (it is still the same), ``store`` (the project's node is
    another one by now), ``changed`` (the same, but the store holds no shape of the old one: the fields are those of the
    project's node), ``unproven`` (the chain does not say which definition it was: the fields are the project's) or
    ``gone`` (nothing but its id is known). ``status`` is empty where the run left it alone, ``objects`` None where the
    chain does not say what it gave. ``message``, ``seconds`` and ``cost`` (USD) come from ``run_results.json``, if that
    is about this run.
    """

    id: str
    kind: str
    status: str
    rows: int | None
    known: str
    definition: str | None = None
    objects: tuple[str, ...] | None = None
    digest: str | None = None
    path: str | None = None
    line: int | None = None
    text: str = ""
    name: str = ""
    task: str | None = None
    description: str = ""
    inputs: tuple[str, ...] = ()
    reads: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    lineage: Mapping[str, Pairs] = field(default_factory=dict)
    influences: Mapping[str, Pairs] = field(default_factory=dict)
    sql: str = ""
    test: Mapping[str, Any] | None = None
    message: str = ""
    seconds: float | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class RanProject:
    """A run with its nodes, in the order in which they were done, and those upstream that it left alone."""

    run: RunRecord
    nodes: Mapping[str, RanNode]
    around: Mapping[str, RanNode]

    @property
    def known(self) -> Mapping[str, RanNode]:
        """All of them."""
        return {**self.around, **self.nodes}

    @property
    def failed(self) -> bool:
        """Whether the run ended with an error, or a node or test of severity error failed."""
        bad = any(n.status in ("failed", "error") for n in self.nodes.values())
        return bad or self.run.record["error"] is not None


def find_run(work: Workspace, name: str | None = None) -> RunRecord:
    """The run of an id, or of the number that the id starts with; without one, the newest that published here.

    Raises:
        UnknownRun: the chain has no such run.
        NoRun: nothing was ever published in this target.
    """
    target = work.files.target_name
    recent = []
    for run in work.store.runs():
        if run.record["command"] not in COMMANDS:
            continue
        if name is None:
            if run.record["published"] and run.record["target"] == target:
                return run
        elif name == run.run_id or (name.isdecimal() and int(name) == run.number):
            return run
        recent.append(run.run_id)
    if name is None:
        raise NoRun(None, target=target)
    raise UnknownRun(None, run=name, known=listing(recent, _SHOWN), hint=did_you_mean(name, recent))


def ran_project(work: Workspace, run: RunRecord) -> RanProject:
    """A run's nodes, as they were then: from its record, the records before it, and the definitions in the store."""
    statuses = {node_id: (status, rows) for node_id, status, rows in run.record["results"]}
    above = {up for i in statuses if i in work.graph.nodes for up in work.graph.upstream(i)} - set(statuses)
    outputs = _outputs(work, run, set(statuses) | above)
    definitions = {**_published_definitions(work, run), **{i: str(o["definition"]) for i, o in outputs.items()}}
    more = _results(work, run)

    def node(node_id: str, status: str, rows: int | None) -> RanNode:
        output, result = outputs.get(node_id), more.get(node_id, {})
        known, about = _as_defined(work, node_id, definitions.get(node_id))
        return RanNode(
            id=node_id,
            status=status,
            rows=rows,
            known=known,
            definition=definitions.get(node_id),
            objects=None if output is None else tuple(output["objects"]),
            digest=output["digest"] if output else None,
            message=str(result.get("message") or ""),
            seconds=result.get("seconds"),
            cost=float(result.get("cost") or 0.0),
            **{"kind": node_id.partition(".")[0], **about},
        )

    nodes = {i: node(i, status, rows) for i, (status, rows) in statuses.items()}
    return RanProject(run, nodes, {i: node(i, "", None) for i in sorted(above)})


def _outputs(work: Workspace, run: RunRecord, wanted: set[str]) -> dict[str, Mapping[str, Any]]:
    """What each node gave. A record holds what was new against the environment; the rest is of the runs before it."""
    found = {i: o for i, o in run.record["outputs"].items() if i in wanted}
    failed = {i for i, status, _ in run.record["results"] if status in ("error", "skipped")}
    missing = wanted - set(found) - failed
    missing = {i for i in missing if not i.startswith(("test.", "unit_test.", "export."))}
    for before in _published_before(work, run):
        if not missing:
            break
        older = {i: o for i, o in before.record["outputs"].items() if i in missing}
        found |= older
        missing -= set(older)
    return found


def _published_before(work: Workspace, run: RunRecord) -> Iterator[RunRecord]:
    for before in work.store.runs():
        record = before.record
        if before.number < run.number and record.get("published") and record["target"] == run.record["target"]:
            yield before


def _published_definitions(work: Workspace, run: RunRecord) -> dict[str, str]:
    """The definitions of the environment, if it is what this run left: they include those of tests and exports."""
    environment = work.store.read_environment(run.record["target"])
    published = environment["run"]
    if published is None or not run.record["published"] or run.number < int(published.partition("-")[0]):
        return {}
    return {i: node["definition"] for i, node in environment["nodes"].items()}


def _results(work: Workspace, run: RunRecord) -> dict[str, Mapping[str, Any]]:
    """The messages, seconds and costs of ``run_results.json``, if it is about this run."""
    try:
        found = json.loads((work.files.target_path / "run_results.json").read_bytes())
        return {r["id"]: r for r in found["results"]} if found["run_id"] == run.run_id else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # another tool's file, or a torn one: the record alone must do


def _as_defined(work: Workspace, node_id: str, definition: str | None) -> tuple[str, dict[str, Any]]:
    """Where a node's definition is known from, and its fields."""
    node = work.graph.nodes.get(node_id)
    if node is not None and definition == node.own:
        return "project", _of_project(work, node_id)
    stored = work.store.definition(definition) if definition is not None else None
    if stored is not None and "inputs" in stored:
        return "store", {"path": stored["path"], "line": stored["line"], "kind": stored["kind"]} | _fields(stored)
    if node is not None:
        return ("unproven" if definition is None else "changed"), _of_project(work, node_id)
    about = {k: stored[k] for k in ("path", "line", "kind", "text")} if stored else {}
    return "gone", about


def _of_project(work: Workspace, node_id: str) -> dict[str, Any]:
    node = work.graph[node_id]
    place = {"path": node.where.path, "line": node.where.line, "kind": node.kind}
    return place | _fields({**shape(node), "text": node.text})


def _fields(shaped: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a node from their plain form."""
    columns = shaped["columns"]
    return {
        "text": shaped["text"],
        "name": shaped["name"],
        "task": shaped["task"],
        "description": shaped["description"],
        "inputs": tuple(shaped["inputs"]),
        "reads": shaped["reads"],
        "columns": None if columns is None else tuple(columns),
        "lineage": _pairs(shaped["lineage"]),
        "influences": _pairs(shaped["influences"]),
        "sql": shaped["sql"],
        "test": shaped["test"],
    }


def _pairs(found: Mapping[str, Any]) -> dict[str, Pairs]:
    return {column: tuple((str(r), str(c)) for r, c in pairs) for column, pairs in found.items()}
