"""Work on long arrays by several threads, in the order that its parts have, whoever does them."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LEAST = 4_096
"""Fewer are not shared out."""
MOST_HELPERS = 64


def in_parts(work: Callable[[int, int], T], count: int, threads: int, *, least: int = LEAST) -> list[T]:
    """``work(start, stop)`` on as many parts of ``range(count)`` as there are threads; the results in order.

    For sums of whole numbers and for separate places: the parts depend on the number of threads, so a sum of floats
    over them would too.
    """
    if threads < 2 or count < least:
        return [work(0, count)]
    ends = [(count * i // threads, count * (i + 1) // threads) for i in range(threads)]
    return in_turns(lambda part: work(*ends[part]), threads, threads)


def in_turns(work: Callable[[int], T], count: int, threads: int) -> list[T]:
    """``work(i)`` for each number below ``count``; the results in order. Every thread takes the next that is left.

    The caller works, too, and waits for no thread that has not begun: work may hand out work of its own. After an
    error, and after Ctrl-C, nothing more is begun.
    """
    done: list[Any] = [None] * count
    turns = iter(range(count))

    def take_turns() -> None:
        try:
            for turn in turns:
                done[turn] = work(turn)
        finally:
            deque(turns, maxlen=0)  # nobody takes what an error left

    helpers = [_helpers().submit(take_turns) for _ in range(min(threads, count) - 1)]
    try:
        take_turns()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        failed = [helper.exception() for helper in begun]  # waits for each
    for problem in failed:
        if problem is not None:
            raise problem
    return done


@cache
def _helpers() -> ThreadPoolExecutor:
    """Threads that stay: to start one takes as long as to go through 100,000 votes. They are made when first needed."""
    return ThreadPoolExecutor(MOST_HELPERS, thread_name_prefix="teachkit")


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # a forked process has none of these threads
