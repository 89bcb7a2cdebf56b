"""No voter may see the gold of its task: not as a column, not through transforms, not by which rows there are.

What counts. The gold column of the dataset and the columns that it is computed from are secret. A voter sees what can
change its votes: the columns that it reads, all that they are made of, the conditions of joins and the rows under
aggregates on the way; and of a relation other than its dataset also which rows it has (``where class = 1`` in a
transform tells a voter that reads the transform). Which rows the dataset itself has tells a voter nothing about one
of them, so a dataset may be filtered on gold (``where class is not null``).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from teachkit.errors import ReadsGold
from teachkit.graph.sql import ALL, ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from teachkit.errors import Where
    from teachkit.graph.node import Node, Reads, TaskInfo

Pair = tuple[str, str]


def check_voter(voter: Node, task: TaskInfo, nodes: Mapping[str, Node]) -> None:
    """Raise ``ReadsGold`` if a labeling function can see the gold of its task."""
    seen = list(_seen(voter.reads, task.dataset))
    noun = "prompt" if voter.kind == "prompt" else "labeling function"
    _check(f"{noun} '{voter.name}'", seen, task, nodes, voter.where, getattr(voter.spec, "places", {}))


def check_shown(column: str, task: TaskInfo, nodes: Mapping[str, Node], where: Where) -> None:
    """Raise ``ReadsGold`` if a column that people are shown holds gold."""
    _check("'show'", [(task.dataset, column)], task, nodes, where)


def _seen(reads: Reads, dataset: str) -> Iterator[Pair]:
    for relation, columns in reads.items():
        yield from ((relation, c) for c in ((ALL,) if columns is None else columns))
        if relation != dataset:
            yield relation, ROWS


def _check(
    voter: str,
    seen: Iterable[Pair],
    task: TaskInfo,
    nodes: Mapping[str, Node],
    where: Where,
    places: Mapping[str, Where] = MappingProxyType({}),
) -> None:
    secret = _secret(task, nodes)
    if not secret:
        return
    for start in seen:
        way = _way(start, secret, nodes)
        if way is not None:
            via = " <- ".join(_shown(pair) for pair in way)
            column = start[1] if start[1] not in (ROWS, ALL) else start[0].partition(".")[2]
            place = places.get(start[1], where) if start[0] == task.dataset else where
            raise ReadsGold(place, voter=voter, column=column, task=task.name, via=via)


def _secret(task: TaskInfo, nodes: Mapping[str, Node]) -> set[Pair]:
    """The gold column, and what its values are computed from."""
    found = {(task.dataset, column) for column in task.secret_columns}
    queue = list(found)
    while queue:
        relation, column = queue.pop()
        for origin in _origins(nodes.get(relation), column):
            if origin not in found:
                found.add(origin)
                queue.append(origin)
    return found


def _origins(node: Node | None, column: str) -> Iterable[Pair]:
    if node is None:
        return ()
    if node.columns is None:  # only DuckDB knows what the columns are: those of the same name, as a star would give
        return [(i, column) for i in node.inputs]
    return node.lineage.get(column, ())


def _way(start: Pair, secret: set[Pair], nodes: Mapping[str, Node]) -> list[Pair] | None:
    """How a pair depends on a secret one: the pairs from it to there; None if it does not."""
    before: dict[Pair, Pair | None] = {start: None}
    queue = [start]
    for pair in queue:
        if pair in secret or (pair[1] == ALL and any(s[0] == pair[0] for s in secret)):
            way: list[Pair] = []
            step: Pair | None = pair
            while step is not None:
                way.insert(0, step)
                step = before[step]
            return way
        for found in _influences(pair, nodes.get(pair[0])):
            if found not in before:
                before[found] = pair
                queue.append(found)
    return None


def _influences(pair: Pair, node: Node | None) -> Iterable[Pair]:
    if node is None or node.kind == "source":
        return ()
    _, column = pair
    if column in node.influences and node.columns is not None:
        return node.influences[column]
    return [found for pairs in node.influences.values() for found in pairs]


def _shown(pair: Pair) -> str:
    relation, column = pair
    if column == ROWS:
        return f"the rows of {relation}"
    return f"all columns of {relation}" if column == ALL else f"column '{column}' of {relation}"
