"""Where a prompt was wrong: its answers on items of the tune split, beside gold; never those of the test split."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import md5
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import ask_votes
from teachkit.build.asking.examples import gold_of
from teachkit.build.asking.prompting import items, mode_of, prompt_rows, recording_of, requests, response_store
from teachkit.build.asking.trying import gold_label, labels_of
from teachkit.build.asking.vectors import Forecast
from teachkit.build.gold import rows_with_gold
from teachkit.graph.names import fold
from teachkit.llm.schema import ABSTAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo

Cell = tuple[str, str]
"""What is right and what was said; of a multichoice task, the labels that were missed and those that do not hold."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong answer: the columns of its item as the prompt shows them, gold, what was said instead, the reason."""

    key: str
    item: Mapping[str, Any]
    gold: Any
    said: Any
    reason: str | None
    cell: Cell


@dataclass(frozen=True, slots=True)
class Mistakes:
    """``wrong`` of ``judged`` answers; ``cells``: how many in each; ``shown``: some of them, of each cell as many."""

    judged: int
    wrong: int
    cells: Mapping[Cell, int]
    shown: Sequence[Mistake]


def mistakes(run: Executor, node: Node, most: int) -> Mistakes:
    """The wrong answers among those that are there; at most ``most`` are shown. A model that abstains is wrong.

    Items that the prompt's front matter gives as examples are left out: it knows their labels.

    Raises:
        TeachkitError: the items were not built; a recording may not be written.
    """
    import pyarrow as pa

    task = run.graph.tasks[node.task or ""]
    table = pa.concat_tables(list(prompt_rows(run, node)))
    gold = gold_of(run, task)
    rows = _answered(run, node, table, task, _tune_rows(run, node, table, gold))
    chosen: pa.Table = table.take(pa.array(rows, pa.int64()))
    tally = ask_votes(run, node, chosen, task)
    codes, item_of = tally.codes(), items(run, node, chosen)
    keys, said = chosen.column("__key").to_pylist(), labels_of(codes, task, len(rows))
    found, judged = [], 0
    for index, row in enumerate(rows):
        if tally.status_of(index) != "ok":
            continue
        judged += 1
        true, label = gold_label(gold, row, codes, task), said[index]
        if label != true:
            label = ABSTAIN if label is None else label
            cell = _cell(true, label)
            found.append(Mistake(keys[index], item_of(index), true, label, tally.reason_of(index), cell))
    counts = Counter(mistake.cell for mistake in found)
    cells = dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    return Mistakes(judged, len(found), cells, _balanced(found, list(cells))[:most])


def _tune_rows(run: Executor, node: Node, table: pa.Table, gold: Any) -> list[int]:
    """The items of the tune split that have gold and are no fixed examples."""
    rows: list[int] = rows_with_gold(gold, "tune").tolist()
    examples = node.spec.config.examples
    if not isinstance(examples, list) or not examples:
        return rows
    given = [{fold(name): value for name, value in example.items()} for example in examples]
    shown = [tuple(str(example.get(column)) for column in node.spec.columns) for example in given]
    item_of = items(run, node, table)
    return [row for row in rows if tuple(str(value) for value in item_of(row).values()) not in shown]


def _answered(run: Executor, node: Node, table: pa.Table, task: TaskInfo, rows: list[int]) -> list[int]:
    """The rows whose answers are there; none is asked for."""
    made = list(requests(run, node, table, task, rows=rows, vectors=Forecast(run)))
    if mode_of(run) == "replay":
        recording = recording_of(run, node)
        known = {request.key for request in made if recording.get(request) is not None}
    else:
        with response_store(run) as store:
            known = set(store.get_many([request.key for request in made]))
    return [row for row, request in zip(rows, made, strict=True) if request.key in known]


def _cell(true: Any, said: Any) -> Cell:
    if not isinstance(true, list):
        return true, said
    if said == ABSTAIN:
        return ", ".join(true), ABSTAIN
    missed, added = ([label for label in a if label not in b] for a, b in ((true, said), (said, true)))
    return ", ".join(missed), ", ".join(added)


def _balanced(found: Sequence[Mistake], cells: Sequence[Cell]) -> list[Mistake]:
    """One of each cell in turn, the largest first; within a cell in an order that looks like chance."""
    of_cell: dict[Cell, Iterator[Mistake]] = {
        cell: iter(sorted((m for m in found if m.cell == cell), key=lambda m: _rank(m.key))) for cell in cells
    }
    order: list[Mistake] = []
    while of_cell:
        for cell in list(of_cell):
            mistake = next(of_cell[cell], None)
            if mistake is None:
                del of_cell[cell]
            else:
                order.append(mistake)
    return order


def _rank(key: str) -> bytes:
    return md5(key.encode(), usedforsecurity=False).digest()
