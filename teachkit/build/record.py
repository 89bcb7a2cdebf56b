"""What the chain of runs keeps of an invocation, and the definitions of what ran in it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from teachkit.build.artifacts import sql_of
from teachkit.build.keys import described
from teachkit.project.root import name_below
from teachkit.version import __version__

if TYPE_CHECKING:
    from datetime import datetime

    from teachkit.build.execute import Executor
    from teachkit.build.revisions.git import GitState
    from teachkit.build.run import BuildOptions, NodeResult, Output
    from teachkit.build.workspace import Workspace
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node


def _keep_definition(work: Workspace, node_id: str, git: GitState) -> tuple[str, str | None]:
    """Keep the text of a node; its definition, and the digest of what is kept if it was not there."""
    node = work.graph[node_id]
    known = git.changed is not None and node.where.path not in git.changed
    meta = {
        "fingerprint": node.own,
        "id": node.id,
        "kind": node.kind,
        "path": node.where.path,
        "line": node.where.line,
        "commit": git.commit if known else None,
        "compiled": node.compiled,
        **shape(node),
    }
    return node.own, work.store.put_definition(node.text, meta)


def shape(node: Node) -> dict[str, Any]:
    """What lineage asks of a node that is no longer in the project as it was: as plain values."""
    test = node.spec if node.kind == "test" else None
    return {
        "name": node.name,
        "task": node.task,
        "description": node.description,
        "inputs": list(node.inputs),
        "reads": {i: None if found is None else list(found) for i, found in node.reads.items()},
        "columns": None if node.columns is None else list(node.columns),
        "lineage": {c: [list(pair) for pair in found] for c, found in node.lineage.items()},
        "influences": {c: [list(pair) for pair in found] for c, found in node.influences.items()},
        "sql": sql_of(node),
        "test": test and {k: getattr(test, k) for k in ("check", "target", "column", "severity")},
    }


def run_record(
    work: Workspace,
    options: BuildOptions,
    run: Executor,
    git: GitState,
    timing: tuple[datetime, float],
    *,
    published: bool,
    error: TeachkitError | None,
) -> dict[str, Any]:
    """What the chain of runs keeps of an invocation; the definitions of all nodes that ran are kept with it."""
    definitions = dict(_keep_definition(work, node_id, git) for node_id in run.results)
    fresh = {r.id for r in run.results.values() if r.status == "built"} | {n.id for n in run.graph.of("label_set")}
    read = _read_sources(run)
    outputs = {
        i: {
            **run.made_as(i)._asdict(),
            "objects": [p.key for p in o.parts],
            "digest": o.digest,
            "described": described(work.store, o.parts),
        }
        for i, o in sorted(run.outputs.items())
        if (i in fresh or _is_other(run, i)) and (i in read or run.graph[i].kind != "source")
    }
    return {
        "command": options.command,
        "target": work.files.target_name,
        "started": timing[0].isoformat(timespec="seconds"),
        "seconds": round(timing[1], 3),
        "commit": git.commit,
        "changed": None if git.changed is None else list(git.changed),
        "select": list(options.select),
        "exclude": list(options.exclude),
        "versions": versions(),
        "published": published,
        "error": str(error) if error else None,
        "results": [_short(r) for r in run.results.values()],
        "looks": run.looks,
        "outputs": outputs,
        "definitions": {own: kept for own, kept in definitions.items() if kept is not None},
        "sources": {i: _files_read(work, i, o) for i, o in run.outputs.items() if i in read},
    }


def _read_sources(run: Executor) -> set[str]:
    """The sources that a run took up, or made something of; what was found as published may be made of other rows."""
    made = (run.graph[r.id] for r in run.results.values() if r.status not in ("reused", "skipped"))
    taken = {*run.results, *(parent for node in made for parent in node.inputs)}
    return {i for i in run.outputs if i in taken and run.graph[i].kind == "source"}


def _is_other(run: Executor, node_id: str) -> bool:
    """Whether a node that was found in the store is not what was published: without it the chain would not say so."""
    before, output = run.published["nodes"].get(node_id), run.outputs[node_id]
    if before is None or before["definition"] != run.made_as(node_id).definition:
        return True
    return (before["objects"], before["digest"]) != ([p.key for p in output.parts], output.digest)


def _short(result: NodeResult) -> list[Any]:
    return [result.id, result.status, result.rows]


def _files_read(work: Workspace, node_id: str, output: Output) -> dict[str, str]:
    """The files of a source as the run took them: they may be others by now."""
    if output.content is None or not output.content.files:
        return source_files(work, node_id)
    return {name_below(path, work.files.root): found for path, found in output.content.files.items()}


def source_files(work: Workspace, node_id: str) -> dict[str, str]:
    """The digests of a source's files as they are now, by path."""
    from teachkit.engine.sources import files_of_content

    root = work.files.root
    digests = work.store.file_digests(files_of_content(work.graph[node_id].spec, root))
    return {name_below(path, root): found for path, found in digests.items()}


def versions() -> dict[str, str]:
    """What a run was made with; recorded, never part of a key."""
    from importlib.metadata import version

    packages = ("duckdb", "numba", "numpy", "pyarrow", "sqlglot")
    return {"teachkit": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}
