"""Work on long arrays by several threads, each on its part; for sums of whole numbers and for separate places."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LEAST = 4_096
"""So few are not shared out."""


def in_parts(work: Callable[[int, int], T], count: int, threads: int) -> list[T]:
    """``work(start, stop)`` on as many parts of ``range(count)`` as there are threads; the results in order.

    The parts depend on the number of threads: a sum of floats over them would too.
    """
    if threads < 2 or count < LEAST:
        return [work(0, count)]
    ends = [(count * i // threads, count * (i + 1) // threads) for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda part: work(*part), ends))
