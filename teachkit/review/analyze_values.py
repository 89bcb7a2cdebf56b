"""The analysis of voters whose answers are values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from teachkit.build.stored_votes import Cast

_SAID_OTHERWISE = ("voter", "answers")


def value_rows(cast: Cast, gold: Any, learned: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each voter what ``VoterRow`` holds.

    An answer is right if it is the same as gold, as the kind has it; of numbers that says nothing, and is not counted.

    Args:
        cast: The answers.
        gold: Known answers [N], those that are not to be looked at left out.
        learned: Voter -> what the label model learned of it.
    """
    from teachkit.votes.intervals import wilson

    answers = cast.votes[0]
    kind, per, differ = answers.of, answers.votes_per_item, answers.conflicting
    n = answers.n_items
    for number, voter in enumerate(answers.voters):
        mine = answers.voter == number
        item, value = answers.item[mine], answers.value[mine]
        judged = ~kind.missing(gold[item])
        right, known = int(kind.same(value[judged], gold[item][judged]).sum()), int(judged.sum())
        if kind.name in ("number", "span"):
            right = known = 0
        low, high = wilson(right, known) or (None, None)
        yield {
            "voter": voter,
            "kind": cast.kinds[voter].partition(".")[0],
            "label": None,
            "polarity": [],
            "votes": len(item),
            "coverage": len(item) / n if n else 0.0,
            "overlaps": float((per[item] > 1).sum()) / n if n else 0.0,
            "conflicts": float(differ[item].sum()) / n if n else 0.0,
            "correct": right,
            "incorrect": known - right,
            "accuracy": right / known if known else None,
            "low": low,
            "high": high,
            "learned": None,
            "learned_low": None,
            "learned_high": None,
            "figures": {
                **{name: v for name, v in _quality(kind, value, gold[item]).items() if name != "labeled"},
                **{f"learned_{k}": v for k, v in learned.get(voter, {}).items() if k not in _SAID_OTHERWISE},
            },
        }


def _quality(kind: Any, value: Any, gold: Any) -> Mapping[str, Any]:
    there = np.flatnonzero(~kind.missing(gold))
    found: Mapping[str, Any] = kind.quality(value[there], gold[there])
    return found
