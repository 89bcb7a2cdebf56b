"""Matrices of votes for property tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

repeatable = settings(derandomize=True, deadline=None, max_examples=50)
"""The same examples in every run; no deadline, as the first call may compile."""


@st.composite
def matrices(draw: Any, *, most_items: int = 12, most_voters: int = 5, most_labels: int = 4) -> tuple[Any, int]:
    """Codes [N, V] and K."""
    n, v = draw(st.integers(0, most_items)), draw(st.integers(0, most_voters))
    k = draw(st.integers(2, most_labels))
    flat = draw(st.lists(st.integers(-1, k - 1), min_size=n * v, max_size=n * v))
    return np.array(flat, dtype=np.int64).reshape(n, v), k
