"""Votes and the arithmetic on them: patterns, analysis, agreement, intervals. numpy only (kernels: numba, on use)."""

from teachkit.votes.label_data import SPLITS, LabelData
from teachkit.votes.votes import Votes

__all__ = ["SPLITS", "LabelData", "Votes"]
