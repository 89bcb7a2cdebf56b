"""Rows of a node, and queries over the environment."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor, looking_at
from teachkit.build.run import quiet
from teachkit.errors import BadOption, BadSql, OfOtherItems, ProjectError, SqlFailed, Where
from teachkit.graph.node import FUNCTIONS

if TYPE_CHECKING:
    import pyarrow as pa

    from teachkit.build import Workspace
    from teachkit.build.run import Reporter
    from teachkit.graph import Node, TaskInfo


_VOTES = re.compile(r"vote|value|v\d+")  # and not what a prompt's object holds beside


def show(work: Workspace, node: Node, limit: int | None, report: Reporter = quiet) -> pa.Table:
    """Some rows of a node: of a table its rows, of a voter its votes, of a test the failures that were kept.

    Rows that a build has made and not published are shown, too; ``report`` hears of it.
    """
    with looking_at(work, report=report) as run:
        with suppress(OfOtherItems):  # a label set is shown as it was published
            run.resolve_upstream(node.id)
        if node.kind == "label_set" and not run.is_published(run.resolve(node), node):
            run.note(
                f"these labels of {node.name} are not the published ones: the project has changed since, "
                "or the build failed"
            )
        return run.session.table(_select(run, node) + (f" limit {limit}" if limit is not None and limit >= 0 else ""))


def _select(run: Executor, node: Node) -> str:
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    if node.kind in ("source", "transform", "enrichment", "label_set"):
        run.resolve(node)
        run.view(node.id)
        return f"select * from {quote(node.id)}"
    if node.kind in (*FUNCTIONS, "annotations"):
        run.resolve(node)
        return votes_sql(run, node, run.graph.tasks[node.task or ""])
    if node.kind == "test":
        from teachkit.build.testing import test_key

        key = test_key(run, node, keep=True)
        if key is None or not run.store.has(key):
            why = "it looks at the clock or at the lock" if key is None else "the rows that fail were not asked for"
            problem = f"no rows of this test were kept: {why}"
            advice = f"run 'teachkit test --store-failures --select {node.id}' first" if key else "see its message"
            raise BadOption(None, option=node.id, problem=problem, advice=advice)
        return f"select * from {parquet([run.store.path(key)])}"
    problem = f"a {node.kind.replace('_', ' ')} has no rows"
    advice = "name a source, transform, voter, label model or test"
    raise BadOption(None, option=node.id, problem=problem, advice=advice)


def votes_sql(run: Executor, node: Node, task: TaskInfo) -> str:
    """The votes of a voter beside the keys of its items; abstentions and "not this label" are left out."""
    from teachkit.engine.session import parquet
    from teachkit.graph import literal, quote

    dataset = run.outputs[task.dataset].parts
    labels = "[" + ", ".join(literal(label) for label in task.labels) + "]"
    if node.kind == "annotations":
        rows = " union all ".join(
            f"select {number} as part, file_row_number as row, {quote(task.key)} from "
            f"{parquet([run.store.path(part.key)], row_number=True)}"
            for number, part in enumerate(dataset)
        )
        votes = parquet([run.store.path(p.key) for p in run.outputs[node.id].parts])
        said = f"case when v.code >= 0 and v.yes then {labels}[v.code + 1] end as label"
        if not task.coded:
            said = "v.value as label"
        return (
            f"select d.{quote(task.key)}, v.annotator, {said}, v.at, v.seconds, v.line from {votes} v "
            f"join ({rows}) d on d.part = v.part and d.row = v.row order by v.line"
        )
    found = []
    for items, cast in zip(dataset, run.outputs[node.id].parts, strict=True):
        for column in [c for c in cast.columns if _VOTES.fullmatch(c)]:
            said, condition = "v.value", "v.value is not null"
            if task.coded:
                said = f"{labels}[v.vote + 1]" if column == "vote" else literal(task.labels[int(column[1:])])
                condition = "v.vote >= 0" if column == "vote" else f"v.{column} = 1"
            relation = f"{parquet([run.store.path(items.key)])} d "
            relation += f"positional join {parquet([run.store.path(cast.key)])} v"
            found.append(f"select d.{quote(task.key)}, {said} as label from {relation} where {condition}")
    return f"select * from ({' union all '.join(found)})" if found else "select null as label limit 0"


def query(work: Workspace, sql: str) -> pa.Table:
    """Run one SELECT over the target's environment: ``data.*``, ``votes.*``, ``labels.*``, ``audit.*``, or ``ref()``.

    Raises:
        SqlFailed: it is not one SELECT, or DuckDB cannot run it.
    """
    import duckdb

    from teachkit.engine.catalog import create_views

    try:
        rendered = _render(work, sql)
        _check_reads_only(rendered)
    except ProjectError as error:
        raise SqlFailed(None, problem=error.message, advice=error.advice) from error
    target = work.files.target
    config: dict[str, Any] = {"threads": str(target.threads), "memory_limit": target.memory.replace(" ", "")}
    with duckdb.connect(config=config) as connection:
        create_views(connection, work.store, work.graph, work.files)
        try:
            return connection.sql(rendered).to_arrow_table()
        except duckdb.Error as error:
            problem = str(error).splitlines()[0]
            advice = "'teachkit sql \"show all tables\"' lists what there is"
            raise SqlFailed(None, problem=problem, advice=advice) from error


def _check_reads_only(sql: str) -> None:
    from sqlglot import exp

    from teachkit.graph.sql import parse_one

    tree = parse_one(sql, Where("<query>", 1))
    if not isinstance(tree, exp.Query | exp.Describe | exp.Show | exp.Summarize):
        problem = "only a SELECT (or SHOW, DESCRIBE, SUMMARIZE) is run here"
        raise BadSql(Where("<query>", 1), problem=problem, advice="teachkit changes data by builds alone")


def _render(work: Workspace, sql: str) -> str:
    """Jinja in a query: ``ref`` and ``source`` name views of the environment."""
    from teachkit.graph import quote

    labels = {n.name for n in work.graph.of("label_set")}

    def ref(name: str) -> str:
        return f"{'labels' if name in labels else 'data'}.{quote(name)}"

    def source(group: str, table: str) -> str:
        return f"data.{quote(f'{group}_{table}')}"

    return work.files.templates.render(sql, Where("<query>", 1), ref=ref, source=source)
