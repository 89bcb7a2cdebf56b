"""Items that a labeling function matches, right and wrong ones, and items that it should match and does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.review.excerpts import Excerpt, excerpt, first_of, order_of, rows_of, rule_of, shown_columns, spans_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.review.standing import Standing


@dataclass(frozen=True, slots=True)
class Example:
    """An item. ``label`` is what is said of it, or of a miss what should be; of gold's labels the one that tells.

    ``verdict``: ``right``, ``wrong``, ``missed`` or None if nothing tells; ``by``: ``gold`` or ``posterior``;
    ``probability``: the posterior of ``label``.
    """

    item: str
    label: str
    verdict: str | None
    by: str | None
    gold: str | None
    probability: float | None
    texts: Mapping[str, Excerpt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is tried over N items: codes ``said`` [N] (multichoice [N, L] of 1, 0, -1), gold alike, the belief.

    ``always``: the code of the label that is shown even if it is never said. ``belief`` is a text where there is none.
    ``shown``: which items may be examples [N].
    """

    task: TaskInfo
    said: Any
    always: int | None
    gold: Any
    splits: str
    test_gold: bool
    belief: Standing | str
    shown: Any

    @property
    def voted(self) -> Any:
        """Which items it votes on [N]."""
        return (self.said >= 0).any(axis=1) if self.task.multi else self.said >= 0

    def claims(self) -> list[tuple[int, bool, Any]]:
        """What is said: (code, whether it holds, items [N])."""
        import numpy as np

        if not self.task.multi:
            there = set(np.unique(self.said[self.said >= 0]).tolist())
            always = set() if self.always is None else {self.always}
            return [(code, True, self.said == code) for code in sorted(there | always)]
        votes = ((code, yes) for code in range(len(self.task.labels)) for yes in (True, False))
        found = ((code, yes, self.said[:, code] == int(yes)) for code, yes in votes)
        return [one for one in found if one[2].any() or (one[1] and one[0] == self.always)]

    def truth(self, code: int, *, yes: bool) -> tuple[Any, Any]:
        """Of which items gold tells whether a claim is true, and of which it is [N]."""
        gold = self.gold[:, code] if self.task.multi else self.gold
        known = gold >= 0
        return known, known & (gold == (int(yes) if self.task.multi else code))

    def belief_in(self, code: int, *, yes: bool) -> tuple[Any, Any]:
        """On which items the label set has heard a voter, and its posterior of a claim [N]."""
        import numpy as np

        if isinstance(self.belief, str):
            return np.zeros(len(self.said), dtype=bool), np.zeros(len(self.said))
        shares = self.belief.posterior[:, code]
        return self.belief.informed & ~np.isnan(shares), shares if yes else 1 - shares


def examples(run: Executor, task: TaskInfo, node: Node, seen: Seen, limit: int) -> tuple[list[Example], list[Example]]:
    """Up to ``limit`` hits, half of them wrong ones if there are so many, and as many misses; gold tells first.

    Of several that would do, those whose keys have the smallest hashes: the same each time. Items of the test split are
    left out unless gold of that split is asked for.
    """
    if limit == 0 or len(seen.said) == 0:
        return [], []
    order = order_of(run, task)
    hits = _hits(seen, order, limit)
    misses = _misses(seen, order, limit)
    return _shown(run, task, node, seen, hits, misses)


_Chosen = list[tuple[int, int, bool, "str | None", "str | None"]]
"""Row, code, whether the label is said to hold, verdict, by what."""


def _hits(seen: Seen, order: Any, limit: int) -> _Chosen:
    groups: dict[str | None, _Chosen] = {"wrong": [], "right": [], None: []}
    claims = seen.claims()
    for by in ("gold", "posterior"):
        for verdict in ("wrong", "right"):
            for code, yes, mask in claims:
                told, true = _told(seen, code, yes=yes, by=by)
                chosen = mask & seen.shown & told & (true if verdict == "right" else ~true)
                groups[verdict] += [(row, code, yes, verdict, by) for row in first_of(chosen, order, limit)]
    for code, yes, mask in claims:
        told = _told(seen, code, yes=yes, by="gold")[0] | _told(seen, code, yes=yes, by="posterior")[0]
        groups[None] += [(row, code, yes, None, None) for row in first_of(mask & seen.shown & ~told, order, limit)]
    wrong, right, open_ones = (_in_turn(groups[g], order) for g in ("wrong", "right", None))
    half = limit // 2
    taken = wrong[: max(half, limit - len(right) - len(open_ones))]
    taken += right[: limit - len(taken)]
    return taken + open_ones[: limit - len(taken)]


def _misses(seen: Seen, order: Any, limit: int) -> _Chosen:
    found: _Chosen = []
    for by in ("gold", "posterior"):
        for code, yes, mask in seen.claims():
            if not yes and seen.task.multi:
                continue
            told, true = _told(seen, code, yes=yes, by=by)
            silent = seen.said[:, code] < 0 if seen.task.multi else seen.said < 0
            missed = ~mask & silent & seen.shown & told & true
            found += [(row, code, yes, "missed", by) for row in first_of(missed, order, limit)]
    return _in_turn(found, order)[:limit]


def _told(seen: Seen, code: int, *, yes: bool, by: str) -> tuple[Any, Any]:
    """Which items gold, or else the posterior, tells something about, and of which it says that a claim is true."""
    known, true = seen.truth(code, yes=yes)
    if by == "gold":
        return known, true
    informed, shares = seen.belief_in(code, yes=yes)
    return informed & ~known, shares >= 0.5


def _in_turn(found: _Chosen, order: Any) -> _Chosen:
    """What gold tells first, then by the hash of the key."""
    return sorted(found, key=lambda one: (one[4] != "gold", order[one[0]], one[1]))


def _shown(
    run: Executor, task: TaskInfo, node: Node, seen: Seen, hits: _Chosen, misses: _Chosen
) -> tuple[list[Example], list[Example]]:
    columns = shown_columns(task, node, run.graph[task.dataset].columns or ())
    rows = rows_of(run, task, sorted({one[0] for one in (*hits, *misses)}), columns)
    rule = rule_of(node)
    texts = _excerpts(run, rows, columns, rule)
    return [_example(seen, one, rows, texts) for one in hits], [_example(seen, one, rows, texts) for one in misses]


def _excerpts(
    run: Executor, rows: Mapping[int, Mapping[str, Any]], columns: Sequence[str], rule: Any
) -> dict[int, dict[str, Excerpt]]:
    found: dict[int, dict[str, Excerpt]] = {row: {} for row in rows}
    for column in columns:
        there = [row for row in rows if rows[row][column] is not None]
        values = [rows[row][column] for row in there]
        spans = spans_of(run, rule if rule is not None and rule.column == column else None, values)
        for row, value, marks in zip(there, values, spans, strict=True):
            found[row][column] = excerpt(value, marks)
    return found


def _example(
    seen: Seen, one: tuple[int, int, bool, str | None, str | None], rows: Mapping[int, Any], texts: Mapping[int, Any]
) -> Example:
    row, code, yes, verdict, by = one
    informed, shares = seen.belief_in(code, yes=yes)
    name = seen.task.labels[code]
    return Example(
        item=str(rows[row]["key"]),
        label=name if yes else f"not {name}",
        verdict=verdict,
        by=by,
        gold=_gold(seen, row, code),
        probability=float(shares[row]) if informed[row] else None,
        texts=texts[row],
    )


def _gold(seen: Seen, row: int, code: int) -> str | None:
    """Gold of an item; of a multichoice task about one label."""
    if seen.task.multi:
        known = int(seen.gold[row, code])
        return None if known < 0 else seen.task.labels[code] if known else f"not {seen.task.labels[code]}"
    known = int(seen.gold[row])
    return None if known < 0 else seen.task.labels[known]
