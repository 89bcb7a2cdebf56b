"""Label models: from votes to posteriors. numpy and numba only; one file for each algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.label_models.base import LabelModel
    from teachkit.label_models.dawid_skene import DawidSkene
    from teachkit.label_models.majority import Majority
    from teachkit.label_models.one_coin import OneCoin
    from teachkit.label_models.weighted import Weighted

VERSIONS = {"majority": 1, "weighted": 1, "one_coin": 1, "dawid_skene": 1}
"""The version of each algorithm: raised when its results change, part of a label set's fingerprint."""

_PLACES = {
    "Majority": "majority",
    "Weighted": "weighted",
    "OneCoin": "one_coin",
    "DawidSkene": "dawid_skene",
    "LabelModel": "base",
}

__all__ = ["VERSIONS", "DawidSkene", "LabelModel", "Majority", "OneCoin", "Weighted"]


def __getattr__(name: str) -> Any:
    """Load an algorithm on use: numba takes a quarter of a second to import."""
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"teachkit.label_models.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'teachkit.label_models' has no attribute '{name}'")
