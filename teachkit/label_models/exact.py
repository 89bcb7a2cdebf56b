"""Learned numbers as text that gives the same bits again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def hexed(values: Any) -> list[str]:
    """Each number of an array, in C order, as exact hexadecimal text."""
    return [float(x).hex() for x in np.asarray(values).ravel()]


def unhexed(texts: Sequence[str]) -> Any:
    """The numbers again [n]."""
    return np.array([float.fromhex(x) for x in texts], dtype=np.float64)


def marks_of_names(names: Sequence[str]) -> Any:
    """A number [V] (uint64) for each name, as good as random and always the same."""
    return np.array([int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") for name in names], np.uint64)
