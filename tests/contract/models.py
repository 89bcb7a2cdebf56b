"""What the contract tests of label models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from teachkit import registry

if TYPE_CHECKING:
    from teachkit.votes import Votes


def new(name: str, **parameters: Any) -> Any:
    return registry.load("label_model", name)(**parameters)


def assert_probabilities(posterior: Any, votes: Votes) -> None:
    assert posterior.shape == (votes.n_items, votes.n_labels)
    assert posterior.dtype == np.float64
    assert (posterior >= 0).all()
    assert posterior.sum(axis=1) == pytest.approx(np.ones(votes.n_items), abs=1e-12)
