"""Datasets before and after: rows that are new, gone or changed, by the key of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.diff.result import DataDiff

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.diff.sides import Side


def compare_data(before: Side, after: Side) -> list[DataDiff]:
    """The datasets of tasks whose rows are not the same."""
    if before.run is None or after.run is None:
        return []
    return list(_compare(before.run, after.run))


def _compare(before: Executor, after: Executor) -> Iterator[DataDiff]:
    seen: set[str] = set()
    for name, task in after.graph.tasks.items():
        old = before.graph.tasks.get(name)
        was = before.outputs.get(old.dataset) if old is not None else None
        now = after.outputs.get(task.dataset)
        if was is None or now is None or task.dataset in seen or was.digest == now.digest or old is None:
            continue
        seen.add(task.dataset)
        yield _dataset(after, task.dataset, (was, now), (old.key, task.key))


def _dataset(run: Executor, node: str, outputs: tuple[Output, Output], keys: tuple[str, str]) -> DataDiff:
    was, now = (sum(p.rows for p in output.parts) for output in outputs)
    columns = [_columns(output) for output in outputs]
    added = [c for c in columns[1] if c not in columns[0]]
    removed = [c for c in columns[0] if c not in columns[1]]
    shared = [c for c in columns[1] if c in columns[0] and c not in keys]
    if keys[0] != keys[1]:
        note = f"the key was '{keys[0]}' and is '{keys[1]}': rows are not compared"
        return DataDiff(node, was, now, columns_added=added, columns_removed=removed, note=note)
    new, gone, changed, other = _count(run, outputs, keys[1], shared)
    return DataDiff(node, was, now, new, gone, changed, other, added, removed)


def _columns(output: Output) -> list[str]:
    return [c.lower() for c in output.parts[0].columns] if output.parts else []


def _count(
    run: Executor, outputs: tuple[Output, Output], key: str, shared: Sequence[str]
) -> tuple[int, int, int, list[str]]:
    """Rows new, gone and changed, and the columns that changed in any."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    relations = [parquet([run.store.path(p.key) for p in output.parts]) for output in outputs]
    name = quote(key)
    differ = [f"b.{quote(c)} is distinct from a.{quote(c)}" for c in shared]
    each = "".join(f", count(*) filter (b.{name} is not null and a.{name} is not null and {d})" for d in differ)
    whole = f"count(*) filter (b.{name} is not null and a.{name} is not null and ({' or '.join(differ) or 'false'}))"
    sql = (
        f"select count(*) filter (b.{name} is null), count(*) filter (a.{name} is null), {whole}{each} "
        f"from {relations[0]} b full join {relations[1]} a on cast(b.{name} as varchar) = cast(a.{name} as varchar)"
    )
    row: tuple[Any, ...] = run.session.rows(sql)[0]
    return row[0], row[1], row[2], [c for c, n in zip(shared, row[3:], strict=True) if n]
