"""Right and wrong votes on gold that may be looked at, for the pages of voters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import annotation_rows, votes_column
from teachkit.site.values import EXAMPLES, value_examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.graph import Node
    from teachkit.site.measure import Measured
    from teachkit.site.view import View


def examples(view: View, measured: Measured, order: Any) -> dict[str, dict[str, list[tuple[int, str, str]]]]:
    """For each voter some of its ``right`` and ``wrong`` votes on gold outside the test split.

    ``order`` [N] ranks the items that are to be shown first. Each example is a row of the dataset, what the voter says,
    what gold says.
    """
    if not measured.has_gold:
        return {}
    if not measured.task.coded:
        return value_examples(view, measured, order)
    found: dict[str, dict[str, list[tuple[int, str, str]]]] = {}
    for node_id in measured.rows:
        right: list[tuple[int, str, str]] = []
        wrong: list[tuple[int, str, str]] = []
        for rows, said, truth, name, names in _judged(view, measured, view.graph[node_id]):
            hit = said == truth
            for into, chosen in ((right, hit), (wrong, ~hit)):
                best = sorted(rows[chosen].tolist(), key=lambda row: (int(order[row]), row))[:EXAMPLES]
                at = {int(row): i for i, row in enumerate(rows.tolist())}
                into += [(row, name(int(said[at[row]])), names(int(truth[at[row]]))) for row in best]
        found[node_id] = {"right": right[:EXAMPLES], "wrong": wrong[:EXAMPLES]}
    return found


def _judged(view: View, measured: Measured, node: Node) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
    """Rows with a vote and gold, the votes' codes, gold's codes, and what each code is called as a vote and as gold."""
    import numpy as np

    task, run = measured.task, view.run
    if node.kind == "annotations":
        table = annotation_rows(run, node.id, task)
        row, code = (table.column(c).to_numpy() for c in ("row", "code"))
        yes = table.column("yes").to_numpy(zero_copy_only=False).astype(np.int16)
        for label in range(len(task.labels)) if task.multi else [None]:
            chosen = code == label if label is not None else code >= 0
            yield _against(measured, row[chosen], (yes if label is not None else code)[chosen], label)
        return
    for label in range(len(task.labels)) if task.multi else [None]:
        codes = votes_column(run, node.id, label)
        rows = np.flatnonzero(codes >= 0)
        yield _against(measured, rows, codes[rows], label)


def _against(measured: Measured, rows: Any, said: Any, label: int | None) -> tuple[Any, Any, Any, Any, Any]:
    task = measured.task
    truth = (measured.codes if label is None else measured.codes[:, label])[rows]
    known = truth >= 0
    if label is None:
        return rows[known], said[known], truth[known], task.labels.__getitem__, task.labels.__getitem__
    name = task.labels[label]

    def told(code: int) -> str:
        return name if code else f"not {name}"

    return rows[known], said[known], truth[known], told, told
