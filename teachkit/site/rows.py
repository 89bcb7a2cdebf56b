"""Rows of a task's dataset as pages show them: chosen ones, as text, without what tells gold of the test split."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from teachkit.errors import ReadsGold
from teachkit.graph.gold import check_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import Graph, Node, TaskInfo
    from teachkit.site.view import View

_LONG = 8_000  # characters of a value on the page of an item
_SNIPPET = 160


def keys_of(view: View, task: TaskInfo) -> list[str]:
    """The keys of the dataset's rows as text [N]."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    paths = [view.run.store.path(p.key) for p in view.run.outputs[task.dataset].parts]
    key = f"cast({quote(task.key)} as varchar)"
    table = view.run.session.table(f"select {key} as k from {parquet(paths)}")
    return table.column("k").to_pylist()  # type: ignore[no-any-return]


def rows_of(view: View, node: Node, task: TaskInfo, keys: Sequence[str], rows: int) -> tuple[Sequence[str], Any]:
    """The keys of a label set's rows, and the dataset's row of each."""
    import numpy as np

    if rows == len(keys) and view.states[node.id] == "current":
        return keys, np.arange(rows)
    own, place = _keys(view, node, task.key), {key: row for row, key in enumerate(keys)}
    return own, np.array([place.get(key, -1) for key in own], dtype=np.int64)


def _keys(view: View, node: Node, key: str) -> list[str]:
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    paths = [view.run.store.path(p.key) for p in view.run.outputs[node.id].parts]
    table = view.run.session.table(f"select cast({quote(key)} as varchar) as k from {parquet(paths)}")
    return table.column("k").to_pylist()  # type: ignore[no-any-return]


def counts_of(values: Sequence[str]) -> dict[str, int]:
    """How many labels are of whom."""
    return {name: found for name in ("model", "gold", "curator", "none") if (found := values.count(name))}


def shuffled(keys: Sequence[str]) -> Any:
    """A rank [N] that depends on each key alone: a sample by it stays the same while other items come and go."""
    import numpy as np

    hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    order = sorted(range(len(keys)), key=hashes.__getitem__)
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys))
    return ranks


def snippets(view: View, task: TaskInfo, rows: Sequence[int]) -> dict[int, str]:
    """The start of what a person sees of some rows."""
    columns = [c for c in task.show if c != task.key] or _readable(view, task)
    found = {}
    for row, values in _take(view, task, rows, columns[:3]).items():
        texts = [as_text(v) for v in values.values() if v is not None]
        found[row] = " · ".join(" ".join(text.split()) for text in texts)[:_SNIPPET]
    return found


def _readable(view: View, task: TaskInfo) -> list[str]:
    """Where a task does not say what to show: the columns that tell nothing of gold."""
    columns = [c.lower() for c in view.run.outputs[task.dataset].parts[0].columns]
    secret = gold_columns(view.graph, task, columns)
    return [c for c in columns if c not in secret and c not in (task.key, task.split_column)]


def _take(view: View, task: TaskInfo, rows: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    start, wanted = 0, sorted(set(rows))
    for part in view.run.outputs[task.dataset].parts:
        here = [row for row in wanted if start <= row < start + part.rows]
        names = [next((c for c in part.columns if c.lower() == column), column) for column in columns]
        if here and names:
            table = view.run.store.read(part.key, names).take([row - start for row in here])
            found.update(zip(here, table.to_pylist(), strict=True))
        start += part.rows
    return found


def gold_columns(graph: Graph, task: TaskInfo, columns: Sequence[str]) -> set[str]:
    """Those of the dataset's columns that hold gold, or what gold is made of or makes."""
    found = set()
    for column in columns:
        try:
            check_shown(column.lower(), task, graph.nodes, task.where)
        except ReadsGold:
            found.add(column)
    return found


def as_text(value: Any) -> str:
    """A value of a row as text, as long as a page can hold."""
    match value:
        case None:
            return ""
        case float():
            text = f"{value:g}" if value == value else "NaN"
        case bytes():
            text = value.hex()
        case list():
            text = ", ".join(as_text(v) for v in value)
        case dict():
            text = ", ".join(f"{k}: {as_text(v)}" for k, v in value.items())
        case _:
            text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text) - _LONG:,} more characters)"


def shown_row(row: Mapping[str, Any], hidden: set[str]) -> list[dict[str, Any]]:
    """The columns of a row in order: name, value as text, whether it is kept back."""
    return [
        {"name": name, "value": None if name in hidden or value is None else as_text(value), "hidden": name in hidden}
        for name, value in row.items()
    ]
