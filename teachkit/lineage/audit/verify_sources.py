"""Whether the sources give the same labels: all is made again in a store of its own, nothing reused or published."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor
from teachkit.build.keys import output_of
from teachkit.build.record import source_files
from teachkit.build.run import BAD, BuildOptions, quiet
from teachkit.build.workspace import Workspace, compile_files
from teachkit.lineage.audit.chain import Broken, DoesNotHold
from teachkit.lineage.audit.verify_labels import first_difference
from teachkit.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.run import Output
    from teachkit.graph import Graph, Node
    from teachkit.lineage.audit.chain import Chain
    from teachkit.lineage.audit.stored_labels import StoredLabels
    from teachkit.project import ProjectFiles
    from teachkit.store import EnvironmentNode


def check_sources(
    chain: Chain, project: ProjectFiles, all_labels: Sequence[StoredLabels], published: Mapping[str, EnvironmentNode]
) -> int:
    """Make everything again that the label sets rest on, from the files of ``project``, and compare node by node.

    Returns how many nodes.

    Prompts are answered from what is kept and what is recorded; where neither is there, the node fails.

    Raises:
        DoesNotHold: a node cannot be made again, or comes out otherwise.
        TeachkitError: the project cannot be compiled.
    """
    with tempfile.TemporaryDirectory(prefix="teachkit-audit-") as folder:
        target = project.target.model_copy(update={"store": folder})
        files = replace(project, target=target)
        _copy_answers(chain.store.root, Path(folder))
        with Store.open(Path(folder)) as store:
            graph = compile_files(files, store)
            wanted = _wanted(chain, graph, all_labels)
            run = Executor(files, graph, store, BuildOptions(llm="kept"), quiet)
            try:
                run.run(wanted)
                _compare(chain, Workspace(files, store, graph), run, _expected(all_labels, published), wanted)
            finally:
                run.close()
            return len(wanted)


def _wanted(chain: Chain, graph: Graph, all_labels: Sequence[StoredLabels]) -> set[str]:
    wanted: set[str] = set()
    for labels in all_labels:
        if labels.id not in graph.nodes:
            problem = f"the project makes no label set '{labels.name}' any more"
            raise DoesNotHold(Broken(step="sources", label_set=labels.name, problem=problem))
        wanted |= {labels.id, *graph.upstream(labels.id)}
    return wanted


def _copy_answers(store: Path, folder: Path) -> None:
    """A copy of the answers that are kept: what reads them may mend the file, which must not happen to the original."""
    answers = store / "llm" / "responses.sqlite"
    if not answers.is_file():
        return
    (folder / "llm").mkdir(parents=True)
    with (
        closing(sqlite3.connect(f"{answers.resolve().as_uri()}?mode=ro", uri=True)) as kept,
        closing(sqlite3.connect(folder / "llm" / "responses.sqlite")) as copy,
    ):
        try:
            kept.backup(copy)
        except sqlite3.DatabaseError as error:
            path = "llm/responses.sqlite"
            problem = f"the answers of language models cannot be read: {error}"
            raise DoesNotHold(Broken(step="sources", path=path, problem=problem)) from error


def _expected(
    all_labels: Sequence[StoredLabels], published: Mapping[str, EnvironmentNode]
) -> Mapping[str, Mapping[str, Any]]:
    """From nodes to the digest and objects that they should have: as published with the labels, else as recorded."""
    found: dict[str, Mapping[str, Any]] = {}
    for labels in all_labels:
        now = published.get(labels.id)
        if now is not None and now["digest"] == labels.output.digest:
            found |= published
    for labels in all_labels:
        for node_id, about in labels.inputs.items():
            found.setdefault(node_id, {"objects": about["objects"], "digest": None})
        keys = [p.key for p in labels.output.parts]
        found[labels.id] = {"objects": keys, "digest": labels.output.digest, "made": labels.made}
    return found


def _compare(
    chain: Chain, work: Workspace, run: Executor, expected: Mapping[str, Mapping[str, Any]], wanted: set[str]
) -> None:
    for node in work.graph:
        if node.id not in wanted:
            continue
        result = run.results[node.id]
        about: dict[str, Any] = {"step": "sources", "node": node.id, "path": node.where.path, "line": node.where.line}
        if result.status in BAD:
            raise DoesNotHold(Broken(**about, problem=f"{node.id} cannot be made again: {result.message}"))
        before = expected.get(node.id)
        if before is None or node.id not in run.outputs:
            continue
        metas = [chain.store.meta(key) for key in before["objects"]]
        stored = output_of([m for m in metas if m is not None])
        if run.outputs[node.id].digest == (before["digest"] or stored.digest):
            continue
        if node.kind == "source":
            about |= _changed_file(chain, work, node)
        raise DoesNotHold(Broken(**{**about, **_difference(chain, work, run, node, stored)}))


def _changed_file(chain: Chain, work: Workspace, node: Node) -> dict[str, Any]:
    """The file of a source that is another one than the newest run saw."""
    records = (run.record.get("sources", {}) for run in chain.runs)
    known: Mapping[str, str] = next((sources[node.id] for sources in records if node.id in sources), {})
    now = source_files(work, node.id)
    changed = sorted(path for path in {**known, **now} if known.get(path) != now.get(path))
    return {"path": changed[0], "line": None} if changed else {}


def _difference(chain: Chain, work: Workspace, run: Executor, node: Node, stored: Output) -> dict[str, Any]:
    """What differs, with the first row where that can be said."""
    problem = f"{node.id} comes out otherwise from the sources"
    made = run.outputs[node.id]
    rows = [sum(p.rows for p in output.parts) for output in (stored, made)]
    if not stored.parts or not made.parts:
        return {"problem": f"{problem}: its files, or its definition, are other ones"}
    if rows[0] != rows[1] or len(stored.parts) != len(made.parts):
        return {"problem": f"{problem}: {rows[1]:,} rows instead of {rows[0]:,}"}
    for number, (old, new) in enumerate(zip(stored.parts, made.parts, strict=True)):
        if old.digest == new.digest:
            continue
        before, after = chain.store.read(old.key), work.store.read(new.key)
        if before.schema.names != after.schema.names or before.num_rows != after.num_rows:
            return {
                "problem": f"{problem}: part {number} has other columns, or another number of rows",
                "object": old.key,
            }
        found = first_difference(before, after)
        if found is None:
            continue
        item = _item(work, run, node, number, found.row)
        problem = f"{problem}: part {number}, row {found.row}, column '{found.column}' is another value"
        said: dict[str, Any] = {"problem": problem, "object": old.key, "item": item, "column": found.column}
        if node.kind in ("lf", "prompt", "annotations", "label_set"):  # codes and labels; texts of rows are not shown
            said |= {"stored": found.stored, "derived": found.derived}
        return said
    return {"problem": problem}


def _item(work: Workspace, run: Executor, node: Node, part: int, row: int) -> Any:
    """The key of the item that a row of a task's dataset, or of what is said of it, is about; else None."""
    task = work.graph.tasks.get(node.task or "")
    task = task or next((t for t in work.graph.tasks.values() if t.dataset == node.id), None)
    about = node.id if node.kind in ("label_set", "enrichment") else task.dataset if task else None
    if task is None or about is None or node.kind == "annotations":
        return None
    meta = run.outputs[about].parts[part]
    name = next(c for c in meta.columns if c.lower() == task.key)
    return work.store.read(meta.key, [name]).column(0)[row].as_py()
