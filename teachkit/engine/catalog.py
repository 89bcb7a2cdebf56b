"""Views over an environment: ``data.*``, ``votes.*``, ``labels.*``, ``audit.*``, for any DuckDB client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import duckdb

from teachkit.engine.scores import scores_sql
from teachkit.engine.session import parquet
from teachkit.engine.sources import open_source
from teachkit.errors import TeachkitError
from teachkit.graph.node import FUNCTIONS
from teachkit.graph.sql import literal, quote
from teachkit.store.atomic import writing
from teachkit.store.objects import items_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from teachkit.graph.node import Graph, Node, TaskInfo
    from teachkit.project import ProjectFiles
    from teachkit.store import Store

_JOINED = 50  # voters in one query: DuckDB takes no expression, and no chain of joins, that is 1,000 deep


def catalog_path(store: Store) -> Path:
    """The DuckDB file with the views; made anew by each build that changed something."""
    return store.root / "teachkit.duckdb"


def write_catalog(store: Store, graph: Graph, files: ProjectFiles) -> None:
    """Write the views to a DuckDB file, in place of the one before: a client that has that open is not disturbed."""
    path = catalog_path(store)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(temporary)) as connection:
            create_views(connection, store, graph, files)
        with writing(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)


def create_views(connection: duckdb.DuckDBPyConnection, store: Store, graph: Graph, files: ProjectFiles) -> None:
    """Create the views of the target's environment in a connection."""
    nodes = store.read_environment(files.target_name)["nodes"]
    for schema in ("data", "votes", "labels", "audit"):
        connection.execute(f"create schema if not exists {schema}")
    there = [n for n in graph if n.id in nodes and all(store.has(k) for k in nodes[n.id]["objects"])]
    paths = {n.id: [store.path(k) for k in nodes[n.id]["objects"]] for n in there}
    for node in there:
        relation = _relation(connection, node, paths[node.id], files)
        if relation:
            connection.execute(f"create or replace view {relation[0]} as select * from {relation[1]}")
    for name, sql in _scores(store, graph, there, nodes):
        connection.execute(f"create or replace view labels.{quote(name)} as {sql}")
    for task in graph.tasks.values():
        dataset = paths.get(task.dataset)
        items = _items(store, nodes[task.dataset]["objects"], task.key) if dataset else None
        voters = [n for n in there if n.kind in FUNCTIONS and n.task == task.name and paths[n.id]]
        voters = [n for n in voters if nodes[n.id]["items"] in (items, None)]  # others stand beside other rows
        if dataset and voters:
            sql = _votes(task, dataset, [(n, paths[n.id]) for n in voters])
            connection.execute(f"create or replace view votes.{quote(task.name)} as {sql}")
        for node in voters if dataset else ():
            answers = _answers(store, nodes[node.id]["objects"]) if node.kind == "prompt" else []
            if answers:
                sql = _answered(task, dataset or [], node, paths[node.id], answers)
                connection.execute(f"create or replace view votes.{quote(f'{task.name}_{node.name}')} as {sql}")
    for name, sql in _audit(store):
        connection.execute(f"create or replace view audit.{name} as {sql}")


def _items(store: Store, objects: Sequence[str], key: str) -> str:
    return items_digest([meta for meta in map(store.meta, objects) if meta is not None], key)


def _relation(
    connection: duckdb.DuckDBPyConnection, node: Node, paths: Sequence[Path], files: ProjectFiles
) -> tuple[str, str] | None:
    match node.kind:
        case "transform" | "enrichment" if paths:
            return f"data.{quote(node.name)}", parquet(paths)
        case "source":
            name = f"data.{quote(node.name.replace('.', '_'))}"
            if paths:
                return name, parquet(paths)
            if node.spec.table.database is not None:
                return None  # a view would need the other database to be attached
            try:
                return name, open_source(connection, node.spec, files.root, node.name, node.where)
            except TeachkitError:
                return None
        case "label_set" if paths:
            return f"labels.{quote(node.name)}", parquet(paths)
        case "annotations" if paths:
            return f"votes.{quote(f'{node.task}_{node.name}')}", parquet(paths)
    return None


def _scores(store: Store, graph: Graph, there: Sequence[Node], nodes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of each label set that knows what is compared, the scores."""
    for node in there:
        if node.kind != "label_set" or node.spec.algorithm != "bradley_terry" or not nodes[node.id]["objects"]:
            continue
        meta = store.meta(nodes[node.id]["objects"][0])
        parameters = meta.extra["parameters"] if meta is not None else ""
        if store.has(parameters) and f"label_set.{node.name}_scores" not in graph.nodes:
            yield f"{node.name}_scores", scores_sql(store.path(parameters))


def _votes(task: TaskInfo, dataset: Sequence[Path], voters: Sequence[tuple[Node, Sequence[Path]]]) -> str:
    """One row for each item, one column for each voter: the label it said, NULL where it abstained."""
    groups, columns = [], []
    for number, start in enumerate(range(0, len(voters), _JOINED)):
        some = list(enumerate(voters[start : start + _JOINED]))
        labels = ", ".join(f"{_label(task, f'v{i}', paths)} as {quote(node.name)}" for i, (node, paths) in some)
        joins = " positional join ".join(f"{parquet(paths, union_by_name=True)} v{i}" for i, (_, paths) in some)
        groups.append(f"positional join (select {labels} from {joins}) g{number}")
        columns += [f"g{number}.{quote(node.name)}" for _, (node, _) in some]
    return f"select d.{quote(task.key)}, {', '.join(columns)} from {parquet(dataset)} d {' '.join(groups)}"


def _answers(store: Store, votes: Sequence[str]) -> list[Path]:
    """The objects with a prompt's answers, beside its votes; none if one is missing."""
    metas = [store.meta(key) for key in votes]
    keys = [meta.extra.get("answers") for meta in metas if meta is not None]
    return [store.path(key) for key in keys if key] if all(key and store.has(key) for key in keys) else []


def _answered(
    task: TaskInfo, dataset: Sequence[Path], node: Node, votes: Sequence[Path], answers: Sequence[Path]
) -> str:
    """One row for each item: what a prompt said, why, by which model, at what cost, how surely."""
    label = _label(task, "v", votes)
    scores = "".join(f", v.{name}" for name in ("raw_score", "probability") if _has(votes, name))
    said = f"{label} as label, a.status, a.reason{scores}, a.model, a.cost, a.request"
    others = f"positional join {parquet(votes, union_by_name=True)} v positional join {parquet(answers)} a"
    return f"select d.{quote(task.key)}, {said} from {parquet(dataset)} d {others}"


def _label(task: TaskInfo, votes: str, paths: Sequence[Path]) -> str:
    """SQL of the label, of multichoice the list of labels, that stands in the votes called ``votes``."""
    if not task.coded:
        return f"{votes}.value"
    names = "[" + ", ".join(literal(label) for label in task.labels) + "]"
    if not task.multi:
        return f"case when {votes}.vote >= 0 then {names}[{votes}.vote + 1] end"
    said = ", ".join(
        f"case when {votes}.v{code} = 1 then {literal(label)} end"
        for code, label in enumerate(task.labels)
        if _has(paths, f"v{code}")
    )
    return f"list_filter([{said}], lambda x: x is not null)"


def _has(paths: Sequence[Path], column: str) -> bool:
    import pyarrow.parquet as pq

    return any(column in pq.read_schema(path).names for path in paths)


def _audit(store: Store) -> Iterator[tuple[str, str]]:
    runs = store.root / "runs" / "*.json"
    if any(runs.parent.glob("*.json")):
        columns = "{number: 'bigint', previous: 'varchar', record: 'json'}"
        source = f"read_json({literal(str(runs))}, columns = {columns}, format = 'auto')"
        names = ("command", "target", "started", "seconds", "commit", "published")
        fields = ", ".join(f"record ->> '{name}' as {name}" for name in names)
        yield "runs", f"select number, {fields}, previous, record from {source}"
