"""Votes and the arithmetic on them: patterns, analysis, agreement, intervals. numpy only (kernels: numba, on use)."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names
from teachkit.votes.splits import SPLITS

if TYPE_CHECKING:
    from teachkit.votes.answers import Answers
    from teachkit.votes.comparisons import Comparisons
    from teachkit.votes.label_data import LabelData
    from teachkit.votes.value_data import ValueData
    from teachkit.votes.votes import Votes

__all__ = ["SPLITS", "Answers", "Comparisons", "LabelData", "ValueData", "Votes"]
__getattr__ = lazy_names(
    __name__,
    {
        "answers": ("Answers",),
        "comparisons": ("Comparisons",),
        "label_data": ("LabelData",),
        "value_data": ("ValueData",),
        "votes": ("Votes",),
    },
)
