"""Voters: the votes of labeling functions on each part of a dataset, and people's judgments."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.keys import content, node_key, output_of
from teachkit.errors import FileChanged, NotUtf8, SourceChanged, TeachkitError
from teachkit.hashing import digest, digest_bytes
from teachkit.store.objects import part_content

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta


@dataclass(slots=True)
class Ballot:
    """One labeling function while it votes: the objects of its parts, and what went wrong."""

    node: Node
    keys: list[str]
    metas: list[ObjectMeta | None]
    seconds: float = 0.0
    error: TeachkitError | None = None
    fresh: bool = True
    """Whether there was anything to do."""

    @property
    def output(self) -> Output:
        """The votes, whole."""
        return output_of([m for m in self.metas if m is not None])


def find_votes(run: Executor, node: Node) -> Output | None:
    """The stored votes of a labeling function on all parts."""
    found = [run.store.meta(key) for key in vote_keys(run, node)]
    return output_of([m for m in found if m is not None]) if all(found) else None


def vote_keys(run: Executor, node: Node) -> list[str]:
    """The key of the votes on each part of the dataset: the voter's meaning, the content of what it reads there."""
    task = run.graph.tasks[node.task or ""]
    parts = run.outputs[task.dataset].parts
    if node.spec.mode == "select":
        whole = node_key(node, run.outputs)
        return [digest(["votes", whole, i]) for i in range(len(parts))]
    more, read = [], node.spec.columns
    if node.kind == "prompt":
        from teachkit.build.asking.prompts import what_it_reads

        more, read = what_it_reads(run, node), node.reads[task.dataset] or ()  # what its redaction reads, too
    columns = [*read, *([task.text] if task.text else [])]
    return [digest(["votes", node.own, part_content(part, columns), *more]) for part in parts]


def cast(run: Executor, nodes: Sequence[Node]) -> list[Ballot]:
    """Let the labeling functions of one task vote on every part that has no votes of theirs yet.

    The row-local ones in SQL share one scan of a part. One that fails does so alone.
    """
    task = run.graph.tasks[nodes[0].task or ""]
    ballots = [_ballot(run, node) for node in nodes]
    parts = run.outputs[task.dataset].parts
    for number, part in enumerate(parts):
        todo = {b.node.id: b for b in ballots if b.error is None and b.metas[number] is None}
        begun = time.perf_counter()
        for node, codes, error in _vote(run, [b.node for b in todo.values()], part, task):
            ballot = todo[node.id]
            if task.text and codes is not None:
                from teachkit.build.valued.offsets import misplaced

                error = misplaced(run, node, part, codes["value"], task)
                codes = codes if error is None else None
            ballot.error = error
            if codes is not None:
                try:
                    ballot.metas[number] = run.put(ballot.keys[number], _votes_table(codes), node, number)
                except SourceChanged as changed:
                    ballot.error = changed
            now = time.perf_counter()
            ballot.seconds += now - begun
            begun = now
    for ballot in [b for b in ballots if b.node.kind == "prompt"]:
        _ask(run, ballot, task)
    return ballots


def votes_now(run: Executor, node: Node) -> dict[str, Any]:
    """The codes of a labeling function over all items, by column of its votes: from the store or cast now, not kept.

    The dataset is resolved.

    Raises:
        TeachkitError: it fails.
    """
    import numpy as np

    task = run.graph.tasks[node.task or ""]
    found: list[dict[str, Any]] = []
    for part, key in zip(run.outputs[task.dataset].parts, vote_keys(run, node), strict=True):
        if run.store.has(key):
            found.append({name: column.to_numpy() for name, column in _columns(run.store.read(key))})
            continue
        for _, codes, error in _vote(run, [node], part, task):
            if error is not None:
                raise error
            found.append(dict(codes))
    names = sorted({name for codes in found for name in codes})
    rows = [len(next(iter(codes.values()))) for codes in found]
    return {
        name: np.concatenate([c.get(name, np.full(n, -1, np.int8)) for c, n in zip(found, rows, strict=True)])
        for name in names
    }


def _columns(table: pa.Table) -> Iterator[tuple[str, Any]]:
    return zip(table.column_names, table.columns, strict=True)


def _ask(run: Executor, ballot: Ballot, task: TaskInfo) -> None:
    """Let a prompt vote."""
    from teachkit.build.asking.prompts import vote

    begun = time.perf_counter()
    try:
        ballot.error = vote(run, ballot.node, ballot.keys, ballot.metas, task)
    except TeachkitError as error:
        ballot.error = error
    ballot.seconds += time.perf_counter() - begun


def _ballot(run: Executor, node: Node) -> Ballot:
    keys = vote_keys(run, node)
    if node.kind == "prompt":
        from teachkit.build.asking.prompts import finished_parts

        metas = finished_parts(run, keys)
    else:
        metas = [None if run.options.full_refresh else run.store.meta(key) for key in keys]
    return Ballot(node, keys, metas, fresh=None in metas)


def _vote(
    run: Executor, nodes: Sequence[Node], part: ObjectMeta, task: TaskInfo
) -> Iterator[tuple[Node, Any, TeachkitError | None]]:
    if not nodes:
        return
    from teachkit.engine.scan import scan

    path = run.store.path(part.key)
    expressions = [n for n in nodes if n.spec.mode == "expression"]
    if expressions:
        for voted in scan(run.session, expressions, path, task):
            yield voted.node, voted.codes, voted.error
    for node in nodes:
        if node.spec.mode == "select":
            yield _select(run, node, part, task)
    python = [n for n in nodes if n.spec.mode == "python"]
    if python:
        from teachkit.build.python_votes import vote_in_python

        yield from vote_in_python(run, python, part.rows, _relation(run, part), task)


def _select(run: Executor, node: Node, part: ObjectMeta, task: TaskInfo) -> tuple[Node, Any, TeachkitError | None]:
    from teachkit.engine.scan import select_votes

    try:
        for parent in node.inputs:
            run.view(parent)
        return node, select_votes(run.session, node, run.store.path(part.key), task), None
    except TeachkitError as error:
        return node, None, error


def _relation(run: Executor, part: ObjectMeta) -> str:
    from teachkit.engine.session import parquet

    return parquet([run.store.path(part.key)])


def _votes_table(codes: Mapping[str, Any]) -> pa.Table:
    from teachkit.engine.scan import votes_table

    return votes_table(codes)


# ---------------------------------------------------------------------------- people


def find_annotations(run: Executor, node: Node) -> Output | None:
    """The stored judgments of an annotations file."""
    meta = run.store.meta(_annotations_key(run, node))
    return output_of([meta]) if meta else None


def make_annotations(run: Executor, node: Node) -> Output:
    """Read an annotations file and find the rows that it speaks of."""
    from teachkit.voters.annotations import judgments_table, read_judgments

    task = run.graph.tasks[node.task or ""]
    judgments = read_judgments(annotations_text(run, node), node.spec.path, node.name, node.spec.meta, task)
    rows = _rows_of(run, {j.item for j in judgments}, task)
    if run.options.sample is not None:
        judgments = [j for j in judgments if j.item in rows]
    alike = _keys_alike(run, {j.item for j in judgments} - rows.keys(), task)
    table = judgments_table(judgments, rows, node.spec.path, task, alike)
    if task.text:
        from teachkit.build.valued.offsets import refuse_misplaced

        refuse_misplaced(run, table, node.spec.path, task)
    return output_of([run.put(_annotations_key(run, node), table, node, 0)])


def annotations_text(run: Executor, node: Node) -> str:
    """What stands in an annotations file: what stood there when the project was read, as its key says.

    Raises:
        FileChanged: it was written since.
        NotUtf8: it is in another encoding.
    """
    from teachkit.voters.annotations import as_committed

    data = as_committed((run.files.root / node.spec.path).read_bytes())
    if digest_bytes(data) != node.spec.digest:
        raise FileChanged(node.where, file=f"'{node.spec.path}'")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8.of(node.spec.path, data, error) from error


def _annotations_key(run: Executor, node: Node) -> str:
    task = run.graph.tasks[node.task or ""]
    columns = [task.key, *([task.text] if task.text else [])]
    return digest(["annotations", node.own, content(run.outputs[task.dataset], columns)])


def _keys_alike(run: Executor, items: set[str], task: TaskInfo) -> dict[str, str]:
    """Item without a row -> the key that it may mean: programs for tables make 1 of 001, and people type spaces."""
    found: dict[str, str] = {}
    bare = "ltrim(regexp_replace(trim(lower({})), '\\.0*$', ''), '0')"
    for _, item, key, _ in _matches(run, items, task, bare) if items else ():
        found[item] = min(found.get(item, key), key)
    return found


def _rows_of(run: Executor, items: set[str], task: TaskInfo) -> dict[str, tuple[int, int]]:
    """Item key, as text -> (part, row in it)."""
    return {item: (part, row) for part, item, _, row in _matches(run, items, task, "{}")}


def _matches(run: Executor, items: set[str], task: TaskInfo, bare: str) -> Iterator[tuple[int, str, str, int]]:
    """(part, item, key, row in the part) where an item and a row's key are the same text, in the form ``bare``."""
    import pyarrow as pa

    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    key = f"cast(d.{quote(task.key)} as varchar)"
    run.session.connection.register("__items", pa.table({"item": pa.array(sorted(items), type=pa.string())}))
    for number, part in enumerate(run.outputs[task.dataset].parts):
        relation = parquet([run.store.path(part.key)], row_number=True)
        matching = f"{relation} d join __items i on {bare.format('i.item')} = {bare.format(key)}"
        for item, text, row in run.session.rows(f"select i.item, {key}, d.file_row_number from {matching}"):
            yield number, item, text, row
    run.session.connection.unregister("__items")
