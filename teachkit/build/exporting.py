"""Exports: files written from a label set and its dataset."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.build.keys import content
from teachkit.build.testing import stored_outcome
from teachkit.errors import BadValue, NodeFailed, StoreUnwritable
from teachkit.hashing import digest, digest_file

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo


def export(run: Executor, node: Node) -> bool:
    """Write an export; False if its file is there already, as it was written last time."""
    sample = run.options.sample is not None
    path = run.files.root / node.spec.path
    _check_place(run, node, path)
    _check_tested(run, node)
    if sample:
        path = run.files.target_path / "sample" / path.name
    read = {i: content(run.outputs[i], node.reads.get(i)) for i in node.inputs}
    if node.spec.config.rows == "scores":
        read["parameters"] = [part.extra["parameters"] for part in run.outputs[node.spec.label_set].parts[:1]]
    key = "export:" + digest([node.own, read, node.spec.path, sample])
    if not run.options.full_refresh and _is_there(run, key, path):
        return False
    _make(run, node, path)
    run.store.cache.put_many({key: json.dumps([path.stat().st_size, digest_file(path)])})
    return True


def _check_tested(run: Executor, node: Node) -> None:
    """Refuse labels that are not published, unless they have passed their tests: another build may have made them.

    Those that this build made, or that are published, are known to have.
    """
    labels = node.spec.label_set
    if labels in run.results or run.is_published(run.outputs[labels], run.graph[labels]):
        return
    for test in run.graph.of("test"):
        if labels not in test.inputs or test.spec.severity != "error":
            continue
        outcome = stored_outcome(run, test)
        if outcome is None or outcome.status == "failed":
            what = "failed" if outcome is not None else "was not run"
            name = run.graph[labels].name
            problem = f"the labels of '{name}' as the files say now are not published: {test.id} {what}"
            raise NodeFailed(
                node.where, problem=problem, advice=f"build them, too: teachkit build --select +{node.name}"
            )


def _make(run: Executor, node: Node, path: Path) -> None:
    import duckdb
    import pyarrow as pa

    task = run.graph.tasks[run.graph[node.spec.label_set].task or ""]
    try:
        for name in node.inputs:
            run.view(name)
        table = run.session.table(select_sql(run, node, task))
    except duckdb.Error as error:
        raise run.session.failure(error, node) from error
    try:
        _write(table, path, node.spec.format)
    except pa.ArrowException as error:
        problem = f"{node.spec.format} cannot hold this: {error}"
        raise NodeFailed(node.where, problem=problem, advice="cast the column to varchar in a transform") from error


def select_sql(run: Executor, node: Node, task: TaskInfo) -> str:
    """The SELECT of an export: columns of the label set first, those of the dataset beside them."""
    from teachkit.graph import quote

    config = node.spec.config
    where = f"where {config.where}" if config.where else ""
    if config.rows == "scores":
        wanted = ", ".join(quote(c.lower()) for c in config.columns) or "*"
        return f"select {wanted} from ({_scores_sql(run, node)}) {where} order by score desc, contestant"
    of_labels = run.graph[node.spec.label_set].columns or ()
    of_items = [c for c in run.outputs[task.dataset].parts[0].columns if c.lower() not in of_labels]
    joined = ", ".join(["l.*", *(f"d.{quote(c)}" for c in of_items)])
    labels, dataset, key = quote(node.spec.label_set), quote(task.dataset), quote(task.key)
    wanted = ", ".join(quote(c.lower()) for c in config.columns) or ", ".join(quote(c) for c in of_labels)
    rows = f"select {joined} from {labels} l join {dataset} d on l.{key} = d.{key}"
    return f"select {wanted} from ({rows}) {where} order by {key}"


def _scores_sql(run: Executor, node: Node) -> str:
    from teachkit.engine.scores import scores_sql

    first = run.outputs[node.spec.label_set].parts[0]
    return scores_sql(run.store.path(first.extra["parameters"]))


def _check_place(run: Executor, node: Node, path: Path) -> None:
    """Refuse a path at which something lies, or will lie, that this export did not make."""
    from teachkit.engine.sources import files_of_content

    root, place = run.files.root.resolve(), path.resolve()
    folders = run.files.config.paths.model_dump(exclude={"target"}).values()
    read = [f for n in run.graph.of("source") for f in files_of_content(n.spec, run.files.root)]
    own = {"teachkit.yml", "profiles.yml", "selectors.yml", run.files.lock_path.name}
    inside = (run.files.store_path, *(root / folder for folder in folders))
    if place in {f.resolve() for f in read} or (place.parent == root and place.name in own):
        problem = f"'{node.spec.path}' is a file that the project reads"
    elif any(place.is_relative_to(folder.resolve()) for folder in inside):
        problem = f"'{node.spec.path}' lies in a folder that the project reads, or in its store"
    else:
        return
    advice = "choose a place that nothing else uses, such as output/…"
    raise BadValue(node.where, key="path", problem=problem, advice=advice)


def _is_there(run: Executor, key: str, path: Path) -> bool:
    found = run.store.cache.get_many([key]).get(key)
    if found is None or not path.is_file():
        return False
    size, known = json.loads(found)
    return bool(path.stat().st_size == size and run.store.file_digest(path) == known)


def _write(table: Any, path: Path, kind: str) -> None:
    """The file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        registry.load("export", kind)(table, temporary)
        temporary.replace(path)
    except OSError as error:
        problem = error.strerror or str(error)
        raise StoreUnwritable(
            path=path, problem=problem, advice="check the folder, or change 'path:' of the export"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
