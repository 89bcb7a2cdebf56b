"""Label models: from votes to posteriors. numpy and numba only; one file for each algorithm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.label_models.averages import Mean, Median
    from teachkit.label_models.base import LabelModel
    from teachkit.label_models.bradley_terry import BradleyTerry
    from teachkit.label_models.dawid_skene import DawidSkene
    from teachkit.label_models.gaussian import Gaussian
    from teachkit.label_models.majority import Majority
    from teachkit.label_models.medoid import Medoid
    from teachkit.label_models.normalised_majority import NormalisedMajority
    from teachkit.label_models.one_coin import OneCoin
    from teachkit.label_models.plackett_luce import PlackettLuce
    from teachkit.label_models.value_base import Predicted, ValueModel
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
    sides: bool = False
    """Whether it wants to know what the items of a pairwise task compare (``teachkit.votes.Comparisons``)."""


_NUMBER, _TEXT = Algorithm(kinds=("number",)), Algorithm(kinds=("text",))

ALGORITHMS = {
    "majority": Algorithm(),
    "weighted": Algorithm(),
    "one_coin": Algorithm(),
    "dawid_skene": Algorithm(),
    "bradley_terry": Algorithm(kinds=("pairwise",), sides=True),
    "gaussian": _NUMBER,
    "mean": _NUMBER,
    "median": _NUMBER,
    "medoid": _TEXT,
    "normalised_majority": _TEXT,
    "plackett_luce": Algorithm(kinds=("ranking",)),
}

DEFAULTS = {
    "choice": "dawid_skene",
    "multichoice": "dawid_skene",
    "ordinal": "dawid_skene",
    "pairwise": "bradley_terry",
    "number": "gaussian",
    "text": "medoid",
    "ranking": "plackett_luce",
}
"""Kind of task -> the algorithm that ``type: auto`` stands for."""

__all__ = [
    "ALGORITHMS",
    "CODED",
    "DEFAULTS",
    "Algorithm",
    "BradleyTerry",
    "DawidSkene",
    "Gaussian",
    "LabelModel",
    "Majority",
    "Mean",
    "Median",
    "Medoid",
    "NormalisedMajority",
    "OneCoin",
    "PlackettLuce",
    "Predicted",
    "ValueModel",
    "Weighted",
]

__getattr__ = lazy_names(
    __name__,
    {
        "majority": ("Majority",),
        "weighted": ("Weighted",),
        "one_coin": ("OneCoin",),
        "dawid_skene": ("DawidSkene",),
        "bradley_terry": ("BradleyTerry",),
        "base": ("LabelModel",),
        "gaussian": ("Gaussian",),
        "averages": ("Mean", "Median"),
        "medoid": ("Medoid",),
        "normalised_majority": ("NormalisedMajority",),
        "plackett_luce": ("PlackettLuce",),
        "value_base": ("Predicted", "ValueModel"),
    },
)  # numba takes a quarter of a second to import
