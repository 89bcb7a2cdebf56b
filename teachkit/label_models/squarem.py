"""Fixed points of slow maps, such as EM, found faster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.jit import jit

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 64.0
"""The greatest step, in steps of the map."""


def fixed_point(
    step: Callable[[Any], tuple[Any, float]], first: Any, *, tolerance: float, limit: int, warm_up: int = 0
) -> tuple[Any, int, float | None]:
    """Iterate a map until it moves no more, by SQUAREM (R. Varadhan, C. Roland, Scand. J. Statist. 35, 2008, S3).

    Two steps show the direction and how fast it fades; the third starts further along it. A long step that ends
    farther from rest than it began is taken back, so the accelerated map ends where the plain one does.

    Args:
        step: The map: the next point, and how much it changed what it stands for.
        first: Where to start, a flat array.
        tolerance: The end: ``step`` changes no more than this.
        limit: Steps at most.
        warm_up: So many steps are plain.

    Returns:
        The last point, the steps taken, the last change (None without a step).
    """
    point, done, change = first, 0, None
    while done < limit:
        one, change = step(point)
        done += 1
        if change <= tolerance or done <= warm_up or limit - done < 2:
            point = one
            if change <= tolerance:
                break
            continue
        two, change = step(one)
        done += 1
        if change <= tolerance:
            point = two
            break
        rest = _norm(one - point)
        bend = _norm((two - one) - (one - point))
        length = min(rest / bend, LONGEST) if bend > 0.0 else LONGEST
        if length <= 1.0:
            point = two
            continue
        far = point + 2.0 * length * (one - point) + length * length * ((two - one) - (one - point))
        after, change = step(far)
        done += 1
        point = after if _norm(after - far) <= rest else two
    return point, done, change


@jit
def _norm(values: Any) -> float:  # pragma: no cover - compiled
    total = 0.0
    for x in values:
        total += x * x
    return np.sqrt(total)  # type: ignore[no-any-return]
