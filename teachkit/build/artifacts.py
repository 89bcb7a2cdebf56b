"""Files for people and other tools: ``target/manifest.json``, ``run_results.json``, ``junit.xml``, ``compiled/``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from teachkit.errors import writable
from teachkit.store import write_bytes_atomic
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from teachkit.build.run import NodeResult, Run
    from teachkit.graph import Graph, Node
    from teachkit.project import ProjectFiles

MADE = frozenset(
    {
        *("manifest.json", "partial_parse.json", "run_results.json", "junit.xml", "compiled", "sample", "ci"),
        *("docs", "docs.new", "docs.old", "docs.lock"),
    }
)
"""What teachkit writes into the target folder; ``clean`` removes no folder that holds anything else."""


def write_artifacts(files: ProjectFiles, graph: Graph, run: Run) -> None:
    """Write what describes the project and its last run."""
    target = files.target_path
    write_json(target / "manifest.json", manifest(files, graph))
    write_json(target / "run_results.json", run.as_dict())
    write_bytes_atomic(target / "junit.xml", junit(run).encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON for people, whole or not at all; a file that says the same already is left alone."""
    data = to_json(value, indent=1) + b"\n"
    if not path.is_file() or path.read_bytes() != data:
        write_bytes_atomic(path, data)


def manifest(files: ProjectFiles, graph: Graph) -> dict[str, Any]:
    """The project as compiled: nodes, code, fingerprints, columns, edges."""
    return {
        "schema_version": 1,
        "teachkit_version": __version__,
        "project": files.config.name,
        "project_version": files.config.version,
        "target": files.target_name,
        "nodes": {n.id: node_dict(n) for n in graph},
        "tasks": {
            t.name: {
                "kind": t.kind,
                "labels": list(t.labels),
                "dataset": t.dataset,
                "key": t.key,
                "description": t.description,
            }
            for t in graph.tasks.values()
        },
        "children": {i: list(c) for i, c in sorted(graph.children.items())},
    }


def node_dict(node: Node) -> dict[str, Any]:
    """A node as plain values."""
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "task": node.task,
        "path": node.where.path,
        "line": node.where.line,
        "description": node.description,
        "tags": list(node.tags),
        "inputs": list(node.inputs),
        "reads": {k: None if v is None else list(v) for k, v in sorted(node.reads.items())},
        "columns": None if node.columns is None else list(node.columns),
        "column_lineage": {c: [f"{r}.{o}" for r, o in found] for c, found in sorted(node.lineage.items())},
        "definition": node.own,
        "fingerprint": node.fingerprint,
        "compiled": node.compiled,
    }


def junit(run: Run) -> str:
    """The run's tests, and nodes that failed, in the format that CI servers read."""
    shown = [r for r in run.results if r.kind in ("test", "unit_test") or r.status in ("error", "skipped")]
    bad = sum(r.status == "failed" for r in shown)
    errors, skipped = (sum(r.status == s for r in shown) for s in ("error", "skipped"))
    head = f'tests="{len(shown)}" failures="{bad}" errors="{errors}" skipped="{skipped}" time="{run.seconds:.3f}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="teachkit" {head}>',
        f'<testsuite name="teachkit" {head}>',
    ]
    lines += [_case(r) for r in shown]
    return "\n".join([*lines, "</testsuite>", "</testsuites>"]) + "\n"


def _case(result: NodeResult) -> str:
    from xml.sax.saxutils import escape, quoteattr

    place = f" file={quoteattr(result.where.path)}" if result.where else ""
    if result.where and result.where.line:
        place += f' line="{result.where.line}"'
    start = (
        f'<testcase classname={quoteattr(result.kind)} name={quoteattr(result.id)}{place} time="{result.seconds:.3f}"'
    )
    message = writable(result.message)
    tag = {"failed": "failure", "error": "error", "skipped": "skipped"}.get(result.status)
    if tag is None:
        return f"{start}><system-out>{escape(message)}</system-out></testcase>" if message else f"{start}/>"
    first = message.split("\n", 1)[0]
    return f"{start}><{tag} message={quoteattr(first)}>{escape(message)}</{tag}></testcase>"


def write_compiled(files: ProjectFiles, graph: Graph) -> dict[str, str]:
    """Write readable SQL to ``target/compiled/``: each SQL node, and for each task the scan that its rules share.

    Returns:
        What was written, by node id (a task's scan: ``scan.<task>``). Files of nodes that are gone are removed.
    """
    from teachkit.engine.scan import fused_sql
    from teachkit.graph import pretty, quote

    texts: dict[str, str] = {}
    base, paths = files.target_path / "compiled", {}
    for node in graph:
        name = f"{node.kind}s/{node.task + '/' if node.task else ''}{node.name}.sql"
        sql = sql_of(node)
        if sql:
            texts[node.id] = pretty(sql)
            paths[node.id] = base / name
    for task in graph.tasks.values():
        voters = [n for n in graph.of("lf") if n.task == task.name and n.spec.mode == "expression"]
        if voters:
            head = "".join(f"-- {i}: {n.id} ({n.where})\n" for i, n in enumerate(voters))
            scan = fused_sql(voters, quote(task.dataset), len(task.labels))
            texts[f"scan.{task.name}"] = head + pretty(scan)
            paths[f"scan.{task.name}"] = base / f"scans/{task.name}.sql"
    for old in set(base.rglob("*.sql")) - set(paths.values()):
        old.unlink()
    for name, text in texts.items():
        write_bytes_atomic(paths[name], text.encode())
    return texts


def sql_of(node: Node) -> str:
    """The SQL that a node runs, empty if it runs none."""
    if node.kind == "lf" and node.spec.mode == "expression":
        return node.spec.sql or "\n".join(node.spec.sqls.values())
    if node.kind in ("transform", "lf", "test") and getattr(node.spec, "sql", None):
        return str(node.spec.sql)
    return ""
