"""Answers that point into a text: offsets beyond its end are an error of whoever gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.errors import BadAnnotation, LabelingFunctionFailed, ProjectErrors, Where, shown_key
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta


def lengths_of(run: Executor, parts: Sequence[ObjectMeta], task: TaskInfo) -> list[int | None]:
    """How many code points the text of each item of some parts has."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    if not parts:
        return []
    relation = parquet([run.store.path(part.key) for part in parts])
    found = run.session.table(f"select length(cast({quote(task.text or '')} as varchar)) as n from {relation}")
    return found.column("n").to_pylist()  # type: ignore[no-any-return]


def misplaced(run: Executor, node: Node, part: ObjectMeta, values: pa.Array, task: TaskInfo) -> TeachkitError | None:
    """What is wrong with the places that a labeling function marks on a part."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    try:
        task.answers.within(task.answers.values(values), lengths_of(run, [part], task))
    except NotAnAnswer as error:
        relation = parquet([run.store.path(part.key)], row_number=True)
        sql = f"select {quote(task.key)} from {relation} where file_row_number = {error.row or 0}"
        key, problem = shown_key(run.session.rows(sql)[0][0]), f"gives an answer that {error.problem},"
        return LabelingFunctionFailed(node.where, name=node.name, problem=problem, key=key, advice=error.advice)
    return None


def refuse_misplaced(run: Executor, table: Any, path: str, task: TaskInfo) -> None:
    """Refuse judgments with places beyond the text of their item.

    Raises:
        ProjectErrors: there are some, each with its line.
    """
    parts = run.outputs[task.dataset].parts
    lengths = {number: lengths_of(run, [part], task) for number, part in enumerate(parts)}
    errors: list[TeachkitError] = []
    values = task.answers.values(table.column("value"))
    columns = (table.column(name).to_pylist() for name in ("part", "row", "line"))
    for part, row, line, value in zip(*columns, values, strict=True):
        try:
            task.answers.within([value], [lengths[part][row]])
        except NotAnAnswer as error:
            errors.append(BadAnnotation(Where(path, line), problem=f"the label {error.problem}", advice=error.advice))
    if errors:
        raise ProjectErrors(errors[:20])
