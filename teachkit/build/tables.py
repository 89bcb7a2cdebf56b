"""Sources and transforms: tables of the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from teachkit.build.keys import node_key, output_of
from teachkit.build.run import Output
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.execute import Executor
    from teachkit.engine.source_content import Content
    from teachkit.graph import Node
    from teachkit.store import ObjectMeta


def find_source(run: Executor, node: Node) -> Output | None:
    """What a source gives now, if that needs no reading: the digest of its files, its rows where a task labels them."""
    from teachkit.engine.sources import check_there
    from teachkit.engine.tables import stored_parts

    check_there(node.spec, run.files.root, node.name, node.where)
    content = _content(run, node)
    if content is None:
        return None
    known = _key(run, node, content)
    if not _is_stored(run, node):
        return Output((), known, content)
    parts = stored_parts(run.store, known)
    return replace(output_of(parts), content=content) if parts else None


def make_source(run: Executor, node: Node) -> Output:
    """Read a source into the store: it is a task's dataset, has no digest to be known by, or a sample is wanted."""
    import duckdb

    from teachkit.engine.sources import check_there, open_source, unreadable

    check_there(node.spec, run.files.root, node.name, node.where)
    content = _content(run, node)
    known = None if content is None else _key(run, node, content)
    if known is not None and not _is_stored(run, node):
        return Output((), known, content)
    keyed = _task_key(run, node)

    def check() -> None:
        if content is not None:
            check_source(run, node, content)

    sample = run.options.sample
    try:
        relation = open_source(run.session.connection, node.spec, run.files.root, node.name, node.where)
        limit = f" limit {sample}" if sample is not None else ""
        sql = f"select * from {relation}{limit}"
        parts = _materialise(run, node, sql, known, check=check, split_by=keyed, keeps_order=True, serial=False)
        return replace(output_of(parts), content=content)
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
        how = {"split_by": spec.key, "keeps_order": spec.keeps_order, "serial": spec.aggregates}
        parts = _materialise(run, node, spec.sql, key, check=lambda: run.check_sources(node), **how)
    except duckdb.Error as error:
        raise run.session.failure(error, node) from error
    return output_of(parts)


def check_source(run: Executor, node: Node, content: Content) -> None:
    """Raise ``SourceChanged`` if a source that has been read may have been other than ``content`` by then."""
    from teachkit.engine.source_content import check_same

    check_same(content, node.spec, run.files.root, run.store, node.name, node.where)


def _content(run: Executor, node: Node) -> Content | None:
    """What a source holds, None if it must be read to know."""
    from teachkit.engine.source_content import content_of

    return content_of(node.spec, run.files.root, run.store, node.name, node.where)


def _key(run: Executor, node: Node, content: Content) -> str:
    sample = [] if run.options.sample is None else ["sample", run.options.sample]
    return digest([node.own, content.key, *sample])


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
