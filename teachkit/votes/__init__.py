"""Votes and the arithmetic on them: patterns, analysis, agreement, intervals. numpy only (kernels: numba, on use)."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names
from teachkit.votes.splits import SPLITS

if TYPE_CHECKING:
    from teachkit.votes.comparisons import Comparisons
    from teachkit.votes.label_data import LabelData
    from teachkit.votes.votes import Votes

__all__ = ["SPLITS", "Comparisons", "LabelData", "Votes"]
__getattr__ = lazy_names(
    __name__, {"comparisons": ("Comparisons",), "label_data": ("LabelData",), "votes": ("Votes",)}
)
