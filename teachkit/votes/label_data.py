"""A label set as arrays, beside its gold: what tests and figures are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.votes.votes import Votes

SPLITS = ("train", "tune", "test")


@dataclass(frozen=True, slots=True)
class LabelData:
    """Labels and gold of N items, L labels.

    ``decided`` and ``gold``: codes [N], -1 for none; multichoice: [N, L] of 1, 0, -1. ``split`` [N]: index in
    ``SPLITS``. ``posterior`` [N, L].
    """

    labels: tuple[str, ...]
    multi: bool
    decided: Any
    gold: Any
    split: Any
    posterior: Any
    votes: Callable[[], Votes]
