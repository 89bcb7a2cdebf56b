"""Label models: from votes to posteriors. numpy and numba only; one file for each algorithm."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.label_models.base import LabelModel
    from teachkit.label_models.dawid_skene import DawidSkene
    from teachkit.label_models.majority import Majority
    from teachkit.label_models.one_coin import OneCoin
    from teachkit.label_models.weighted import Weighted

VERSIONS = {"majority": 1, "weighted": 1, "one_coin": 1, "dawid_skene": 1}
"""The version of each algorithm: raised when its results change, part of a label set's fingerprint."""

__all__ = ["VERSIONS", "DawidSkene", "LabelModel", "Majority", "OneCoin", "Weighted"]

__getattr__ = lazy_names(
    __name__,
    {
        "majority": ("Majority",),
        "weighted": ("Weighted",),
        "one_coin": ("OneCoin",),
        "dawid_skene": ("DawidSkene",),
        "base": ("LabelModel",),
    },
)  # numba takes a quarter of a second to import
