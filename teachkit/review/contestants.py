"""Of a pairwise task: what is compared and how good it is, and which voters lean to one side."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import sides_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import TaskInfo


@dataclass(frozen=True, slots=True)
class SideRow:
    """How often a voter says that the left one is better: a ``LeftShare``, and what the label model learned.

    ``left`` is the share among its ``decided`` votes, with its Wilson interval. ``swapped``: so many of these are on
    two things that it was shown in both orders, each order counting the same; ``swapped_left`` is the share among them,
    which is one half without bias. ``left_bias`` is what the label model learned: log-odds of left against right.
    """

    voter: str
    decided: int
    left: float | None
    low: float | None
    high: float | None
    swapped: int
    swapped_left: float | None
    swapped_low: float | None
    swapped_high: float | None
    left_bias: float | None
    left_bias_low: float | None
    left_bias_high: float | None


def side_rows(run: Executor, task: TaskInfo, cast: Cast, learned: Sequence[Any]) -> list[SideRow]:
    """A row for each voter of a pairwise task; none of other tasks. ``learned``: parameters of its label model."""
    if task.sides is None:
        return []
    from teachkit.votes import Comparisons
    from teachkit.votes.positions import left_shares

    votes = Comparisons.of(cast.votes[0], *sides_of(run, task, task.sides))
    biases: Mapping[str, Mapping[str, Any]] = {b["voter"]: b for p in learned for b in (p or {}).get("sides", ())}
    rows = []
    for found in left_shares(votes):
        bias = biases.get(found.voter, {})
        said: dict[str, Any] = {"left_bias": bias.get("left_bias")}
        said |= {f"left_bias_{end}": bias.get(end) for end in ("low", "high")}
        rows.append(SideRow(**asdict(found), **said))
    return rows


def scores(learned: Sequence[Any]) -> list[dict[str, Any]]:
    """What is compared, the best first (see ``BradleyTerry``); none where the label model gives no scores."""
    return [dict(score) for p in learned for score in (p or {}).get("scores", ())]
