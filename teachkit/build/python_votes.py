"""Votes of Python labeling functions; those marked ``memo`` are asked once for equal inputs, ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from teachkit.errors import FileChanged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node, TaskInfo
    from teachkit.voters.python_lf import PythonPool

    Codes = Mapping[str, Any]
    Voted = tuple[Node, Codes | None, TeachkitError | None]

_KEPT_EVERY = 1000  # inputs: so many answers at most are lost when a memoised function fails or the build is killed


def vote_in_python(
    run: Executor, nodes: Sequence[Node], rows: int, relation: str, task: TaskInfo
) -> Iterator[tuple[Node, Codes | None, TeachkitError | None]]:
    """Let Python labeling functions vote on the rows of a relation, in worker processes."""
    from teachkit.graph import quote
    from teachkit.voters.python_lf import PythonPool

    columns = sorted({task.key, *(c for n in nodes for c in n.spec.columns)})
    wanted = ", ".join(f"{quote(c)} as {quote(c)}" for c in columns)
    table = run.session.table(f"select {wanted} from {relation}")
    workers = min(run.files.target.threads, len(nodes))
    with PythonPool(run.files.root, workers=workers, timeout=run.files.config.python_timeout) as pool:
        files = run.python_files = run.python_files or Files(run.files.root)
        yield from _ask(pool, files, [n for n in nodes if not n.spec.memo], table, task)
        for node in nodes:
            if node.spec.memo:
                yield _remembered(run, pool, files, node, relation, table, task)


class Files:
    """Files that workers import: what was imported may not be what was compiled, if a file was written in between.

    After a function has voted its file is looked at, and all that this imports; again only where one was written since.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: dict[str, tuple[dict[str, str], dict[str, str | None]]] = {}

    def problem(self, node: Node) -> TeachkitError | None:
        """Why the votes of a function are not those of what was compiled."""
        from teachkit.voters.python_lf import meanings_now

        path = node.spec.python.path
        if path not in self._found or self._found[path][1] != self._signatures(self._found[path][1]):
            meanings, reached = meanings_now(self._root, path)
            self._found[path] = meanings, self._signatures(reached)
        if self._found[path][0].get(node.spec.python.function) == node.compiled:
            return None
        return FileChanged(node.where, file=f"'{path}', or what it imports,")

    def _signatures(self, paths: Iterable[str]) -> dict[str, str | None]:
        from teachkit.store.files import signature

        there = {path: self._root / path for path in paths}
        return {path: signature(file) if file.is_file() else None for path, file in there.items()}


def _ask(pool: PythonPool, files: Files, nodes: Sequence[Node], table: pa.Table, task: TaskInfo) -> Iterator[Voted]:
    """The votes of functions, as they come."""
    for node, codes, error in _asked(pool, nodes, table, task):
        changed = files.problem(node)
        yield (node, codes, error) if changed is None else (node, None, changed)


def _asked(pool: PythonPool, nodes: Sequence[Node], table: pa.Table, task: TaskInfo) -> Iterator[Voted]:
    import numpy as np

    if not nodes:
        return
    by_id = {n.id: n for n in nodes}
    jobs = [n.spec.python for n in nodes]
    kind = None if task.coded else task.answers
    for node_id, result in pool.run(jobs, table, key=task.key, labels=task.labels, multi=task.multi, answers=kind):
        if result.error is not None:
            yield by_id[node_id], None, result.error
        elif kind is not None:
            yield by_id[node_id], {"value": result.values}, None
        elif task.multi:
            answers = result.answers or {0: np.full(table.num_rows, -1, np.int8)}
            yield by_id[node_id], {f"v{code}": votes for code, votes in answers.items()}, None
        else:
            yield by_id[node_id], {"vote": result.codes}, None


def _remembered(
    run: Executor, pool: PythonPool, files: Files, node: Node, relation: str, table: pa.Table, task: TaskInfo
) -> Voted:
    """Ask a function about the inputs that it never saw, and look up the others."""
    inputs = _inputs(run, node, relation)
    first: dict[str, int] = {}
    for row, name in enumerate(inputs):
        first.setdefault(name, row)
    known = run.store.memo.get_many(first) if not run.options.full_refresh else {}
    unknown = [name for name in first if name not in known]
    for start in range(0, len(unknown), _KEPT_EVERY):
        asked = unknown[start : start + _KEPT_EVERY]
        ((_, codes, error),) = _ask(pool, files, [node], table.take([first[name] for name in asked]), task)
        if codes is None:
            return node, None, error
        columns = {c: v.tolist() if task.coded else v.to_pylist() for c, v in codes.items()}
        said = {name: json.dumps({c: v[i] for c, v in columns.items()}) for i, name in enumerate(asked)}
        run.store.memo.put_many(said)
        known |= said
    return node, _spread(inputs, {name: json.loads(said) for name, said in known.items()}, task), None


def _inputs(run: Executor, node: Node, relation: str) -> list[str]:
    """For each row what names its input: the voter's meaning, and a hash of the columns that it reads."""
    from teachkit.graph import literal, quote

    columns = ", ".join(f"{literal(c)}: {quote(c)}" for c in sorted(node.spec.columns))
    sql = f"select {literal(node.own + ':')} || md5(cast(to_json({{{columns}}}) as varchar)) from {relation}"
    return [name for (name,) in run.session.rows(sql)]


def _spread(inputs: Sequence[str], known: Mapping[str, Mapping[str, Any]], task: TaskInfo) -> Codes:
    """The votes of all rows, from the answers to their inputs; of multichoice a column for each label that occurs."""
    import numpy as np

    if not task.coded:
        return {"value": task.answers.array([known[name]["value"] for name in inputs])}

    from teachkit.engine.scan import vote_dtype

    columns = sorted({column for name in set(inputs) for column in known[name]}) or ["v0" if task.multi else "vote"]
    kind = vote_dtype(len(task.labels))
    return {c: np.array([known[name].get(c, -1) for name in inputs], dtype=kind) for c in columns}
