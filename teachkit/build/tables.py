"""Sources and transforms: tables of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.keys import node_key, output_of
from teachkit.build.run import Output
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node
    from teachkit.store import ObjectMeta


def find_source(run: Executor, node: Node) -> Output | None:
    """What a source gives now, if that needs no reading: the digest of its files, its rows where a task labels them."""
    from teachkit.engine.sources import check_there
    from teachkit.engine.tables import stored_parts

    check_there(node.spec, run.files.root, node.name, node.where)
    known = _content(run, node)
    if known is None:
        return None
    if not _is_stored(run, node):
        return Output((), known)
    parts = stored_parts(run.store, known)
    return output_of(parts) if parts else None


def make_source(run: Executor, node: Node) -> Output:
    """Read a source into the store: it is a task's dataset, has no digest to be known by, or a sample is wanted."""
    import duckdb

    from teachkit.engine.sources import check_there, open_source, unreadable

    check_there(node.spec, run.files.root, node.name, node.where)
    known = _content(run, node)
    if known is not None and not _is_stored(run, node):
        return Output((), known)
    keyed = _task_key(run, node)
    sample = run.options.sample
    try:
        relation = open_source(run.session.connection, node.spec, run.files.root, node.name, node.where)
        limit = f" limit {sample}" if sample is not None else ""
        sql = f"select * from {relation}{limit}"
        return output_of(_materialise(run, node, sql, known, split_by=keyed, keeps_order=True, serial=False))
    except duckdb.Error as error:
        raise unreadable(error, node.name, node.where) from error


def find_transform(run: Executor, node: Node) -> Output | None:
    """The stored rows of a transform."""
    from teachkit.engine.tables import stored_parts

    parts = stored_parts(run.store, _transform_key(run, node))
    return output_of(parts) if parts else None


def make_transform(run: Executor, node: Node) -> Output:
    """Run a transform's SELECT and store its rows."""
    import duckdb

    spec = node.spec
    try:
        for parent in node.inputs:
            run.view(parent)
        key = _transform_key(run, node)
        parts = _materialise(
            run, node, spec.sql, key, split_by=spec.key, keeps_order=spec.keeps_order, serial=spec.aggregates
        )
    except duckdb.Error as error:
        raise run.session.failure(error, node) from error
    return output_of(parts)


def _content(run: Executor, node: Node) -> str | None:
    """The digest of what a source holds, None if it must be read to know."""
    from teachkit.engine.sources import content_key

    found = content_key(node.spec, run.files.root, run.store, node.name, node.where)
    if found is None:
        return None
    sample = [] if run.options.sample is None else ["sample", run.options.sample]
    return digest([node.own, found, *sample])


def _is_stored(run: Executor, node: Node) -> bool:
    return run.options.sample is not None or _task_key(run, node) is not None


def _task_key(run: Executor, node: Node) -> str | None:
    return next((t.key for t in run.graph.tasks.values() if t.dataset == node.id), None)


def _transform_key(run: Executor, node: Node) -> str:
    return node_key(node, run.outputs, node.spec.key, run.files.config.part_rows)


def _materialise(run: Executor, node: Node, sql: str, key: str | None, **options: Any) -> Sequence[ObjectMeta]:
    from teachkit.engine.tables import materialise

    return materialise(
        run.session,
        run.store,
        sql,
        key=key,
        node=node.id,
        part_rows=run.files.config.part_rows,
        replace=run.options.full_refresh,
        **options,
    )
