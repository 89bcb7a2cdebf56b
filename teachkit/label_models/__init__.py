"""Label models: from votes to posteriors. numpy and numba only; one file for each algorithm."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.label_models.auto import Auto
    from teachkit.label_models.averages import Mean, Median
    from teachkit.label_models.base import LabelModel
    from teachkit.label_models.bradley_terry import BradleyTerry
    from teachkit.label_models.calibrated import Calibrated
    from teachkit.label_models.candidate_spans import CandidateSpans
    from teachkit.label_models.contract import check_label_model, label_model_checks
    from teachkit.label_models.dawid_skene import DawidSkene
    from teachkit.label_models.gaussian import Gaussian
    from teachkit.label_models.glad import Glad
    from teachkit.label_models.hmm import Hmm
    from teachkit.label_models.kos import Kos
    from teachkit.label_models.mace import Mace
    from teachkit.label_models.majority import Majority
    from teachkit.label_models.medoid import Medoid
    from teachkit.label_models.metal import Metal
    from teachkit.label_models.normalised_majority import NormalisedMajority
    from teachkit.label_models.one_coin import OneCoin
    from teachkit.label_models.ordinal_dawid_skene import OrdinalDawidSkene
    from teachkit.label_models.plackett_luce import PlackettLuce
    from teachkit.label_models.summary import lf_summary
    from teachkit.label_models.triplet import Triplet
    from teachkit.label_models.value_base import Predicted, ValueModel
    from teachkit.label_models.wawa import Wawa
    from teachkit.label_models.weighted import Weighted
    from teachkit.label_models.zero_based_skill import ZeroBasedSkill

CODED = ("choice", "multichoice", "ordinal", "pairwise")
"""The kinds of task whose votes are codes of labels."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What the compiler must know of an algorithm without importing it.

    ``version`` is raised when its results change, and is part of a label set's fingerprint; ``parameters`` are those of
    its class but ``threads``; ``kinds`` are the kinds of task that it decides.
    """

    version: int = 1
    parameters: tuple[str, ...] = ()
    kinds: tuple[str, ...] = CODED
    sides: bool = False
    """Whether it wants to know what the items of a pairwise task compare (``teachkit.votes.Comparisons``)."""


_PRIOR = ("class_prior",)
_ROUNDS = ("n_iter", "tolerance")
_CONFUSIONS = ("prior_strength", "row_strength", "accuracy_strength", "silence_weight")
_SPREADS = ("score_spread", "reliability_spread", "bias_spread")

ALGORITHMS = {
    "auto": Algorithm(2, (*_PRIOR, "anchor", "silence_weight", "discount", "kin", *_ROUNDS)),
    "majority": Algorithm(1, _PRIOR),
    "weighted": Algorithm(1, ("weights", *_PRIOR, "prior_strength")),
    "one_coin": Algorithm(1, (*_PRIOR, "prior_strength", "accuracy_strength", "silence_weight", *_ROUNDS)),
    "dawid_skene": Algorithm(1, (*_PRIOR, *_CONFUSIONS, *_ROUNDS)),
    "bradley_terry": Algorithm(1, (*_SPREADS, "silence_weight", *_ROUNDS), kinds=("pairwise",), sides=True),
    "wawa": Algorithm(1, _PRIOR),
    "zero_based_skill": Algorithm(1, (*_PRIOR, "rate", *_ROUNDS)),
    "mace": Algorithm(1, (*_PRIOR, "alpha", "beta", "smoothing", *_ROUNDS)),
    "glad": Algorithm(1, (*_PRIOR, *_ROUNDS)),
    "metal": Algorithm(3, (*_PRIOR, "precision", "l2", "strength", *_ROUNDS)),
    "triplet": Algorithm(2, (*_PRIOR, "strength")),
    "kos": Algorithm(1, (*_PRIOR, *_ROUNDS)),
    "ordinal_dawid_skene": Algorithm(1, (*_PRIOR, *_CONFUSIONS, *_ROUNDS), kinds=("ordinal", "choice")),
    "gaussian": Algorithm(1, ("strength", "n_iter"), kinds=("number",)),
    "mean": Algorithm(kinds=("number",)),
    "median": Algorithm(kinds=("number",)),
    "medoid": Algorithm(2, ("strength", "n_iter"), kinds=("text",)),
    "normalised_majority": Algorithm(kinds=("text",)),
    "plackett_luce": Algorithm(1, ("reliability_spread", "n_iter"), kinds=("ranking",)),
    "candidate_spans": Algorithm(1, ("decode", "anchor", "strength", *_ROUNDS), kinds=("span",)),
    "hmm": Algorithm(1, ("decode", "strength", *_ROUNDS), kinds=("span",)),
}

DEFAULTS = {
    "choice": "auto",
    "multichoice": "auto",
    "ordinal": "auto",
    "pairwise": "bradley_terry",
    "number": "gaussian",
    "text": "medoid",
    "ranking": "plackett_luce",
    "span": "candidate_spans",
}
"""Kind of task -> the algorithm that ``type: auto`` stands for."""

__all__ = [
    "ALGORITHMS",
    "CODED",
    "DEFAULTS",
    "Algorithm",
    "Auto",
    "BradleyTerry",
    "Calibrated",
    "CandidateSpans",
    "DawidSkene",
    "Gaussian",
    "Glad",
    "Hmm",
    "Kos",
    "LabelModel",
    "Mace",
    "Majority",
    "Mean",
    "Median",
    "Medoid",
    "Metal",
    "NormalisedMajority",
    "OneCoin",
    "OrdinalDawidSkene",
    "PlackettLuce",
    "Predicted",
    "Triplet",
    "ValueModel",
    "Wawa",
    "Weighted",
    "ZeroBasedSkill",
    "check_label_model",
    "label_model_checks",
    "lf_summary",
]

__getattr__ = lazy_names(
    __name__,
    {
        "auto": ("Auto",),
        "averages": ("Mean", "Median"),
        "base": ("LabelModel",),
        "bradley_terry": ("BradleyTerry",),
        "candidate_spans": ("CandidateSpans",),
        "dawid_skene": ("DawidSkene",),
        "gaussian": ("Gaussian",),
        "glad": ("Glad",),
        "hmm": ("Hmm",),
        "kos": ("Kos",),
        "mace": ("Mace",),
        "majority": ("Majority",),
        "medoid": ("Medoid",),
        "metal": ("Metal",),
        "normalised_majority": ("NormalisedMajority",),
        "one_coin": ("OneCoin",),
        "ordinal_dawid_skene": ("OrdinalDawidSkene",),
        "plackett_luce": ("PlackettLuce",),
        "triplet": ("Triplet",),
        "value_base": ("Predicted", "ValueModel"),
        "wawa": ("Wawa",),
        "weighted": ("Weighted",),
        "zero_based_skill": ("ZeroBasedSkill",),
        "calibrated": ("Calibrated",),
        "summary": ("lf_summary",),
        "contract": ("check_label_model", "label_model_checks"),
    },
)  # numba takes a quarter of a second to import
