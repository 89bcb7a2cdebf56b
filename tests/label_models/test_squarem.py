"""Fixed points, found faster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from teachkit.label_models.squarem import fixed_point


def linear(rates: Any, rest: Any) -> Any:
    """A map that comes nearer to ``rest`` by ``rates`` in each step."""

    def step(point: Any) -> tuple[Any, float]:
        after = rest + rates * (point - rest)
        return after, float(np.abs(after - point).max())

    return step


def test_a_slow_map_ends_where_it_would_and_sooner() -> None:
    rates, rest = np.array([0.97, 0.9, 0.5]), np.array([1.0, -2.0, 3.0])
    plain, plainly, _ = fixed_point(linear(rates, rest), np.zeros(3), tolerance=1e-6, limit=5000, warm_up=5000)
    fast, soon, change = fixed_point(linear(rates, rest), np.zeros(3), tolerance=1e-6, limit=5000)
    assert plain == pytest.approx(rest, abs=1e-4)
    assert fast == pytest.approx(rest, abs=1e-4)
    assert soon < plainly / 5
    assert change is not None and change <= 1e-6


def test_the_limit_holds() -> None:
    for limit in range(8):
        _, steps, change = fixed_point(
            linear(np.array([0.99]), np.array([1.0])), np.zeros(1), tolerance=0.0, limit=limit
        )
        assert steps <= limit
        assert (change is None) == (limit == 0)


def test_a_step_too_long_is_taken_back() -> None:
    """A map whose far points fly off: only its plain steps come to rest."""

    def step(point: Any) -> tuple[Any, float]:
        after = np.where(np.abs(point) < 2.0, 1.0 + 0.9 * (point - 1.0), point * 10.0)
        return after, float(np.abs(after - point).max())

    found, _, _ = fixed_point(step, np.array([-1.9]), tolerance=1e-9, limit=2000)
    assert found == pytest.approx([1.0], abs=1e-7)


def test_a_map_at_rest_takes_one_step() -> None:
    found, steps, change = fixed_point(lambda p: (p, 0.0), np.ones(2), tolerance=0.0, limit=10)
    assert (found.tolist(), steps, change) == ([1.0, 1.0], 1, 0.0)
