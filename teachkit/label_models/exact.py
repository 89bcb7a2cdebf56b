"""Learned numbers as text that gives the same bits again."""

from __future__ import annotations

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
