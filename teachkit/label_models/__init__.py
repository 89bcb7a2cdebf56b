"""Label models: from votes to posteriors. numpy and numba only; one file for each algorithm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.label_models.base import LabelModel
    from teachkit.label_models.calibrated import Calibrated
    from teachkit.label_models.contract import check_label_model, label_model_checks
    from teachkit.label_models.dawid_skene import DawidSkene
    from teachkit.label_models.majority import Majority
    from teachkit.label_models.one_coin import OneCoin
    from teachkit.label_models.summary import lf_summary
    from teachkit.label_models.weighted import Weighted

CODED = ("choice", "multichoice", "ordinal", "pairwise")
"""The kinds of task whose votes are codes of labels."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What the compiler must know of an algorithm without importing it.

    ``version`` is raised when its results change, and is part of a label set's fingerprint; ``kinds`` are the kinds of
    task that it decides.
    """

    version: int = 1
    kinds: tuple[str, ...] = CODED


ALGORITHMS = {"majority": Algorithm(), "weighted": Algorithm(), "one_coin": Algorithm(), "dawid_skene": Algorithm()}

DEFAULTS = {"choice": "dawid_skene", "multichoice": "dawid_skene", "ordinal": "dawid_skene", "pairwise": "dawid_skene"}
"""Kind of task -> the algorithm that ``type: auto`` stands for."""

__all__ = [
    "ALGORITHMS",
    "CODED",
    "DEFAULTS",
    "Algorithm",
    "Calibrated",
    "DawidSkene",
    "LabelModel",
    "Majority",
    "OneCoin",
    "Weighted",
    "check_label_model",
    "label_model_checks",
    "lf_summary",
]

__getattr__ = lazy_names(
    __name__,
    {
        "majority": ("Majority",),
        "weighted": ("Weighted",),
        "one_coin": ("OneCoin",),
        "dawid_skene": ("DawidSkene",),
        "base": ("LabelModel",),
        "calibrated": ("Calibrated",),
        "summary": ("lf_summary",),
        "contract": ("check_label_model", "label_model_checks"),
    },
)  # numba takes a quarter of a second to import
