from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from teachkit.votes.parts import in_parts, in_turns

if TYPE_CHECKING:
    from collections.abc import Callable


def test_work_is_shared_out_whole() -> None:
    assert in_parts(lambda start, stop: (start, stop), 10, 4) == [(0, 10)]
    assert in_parts(lambda start, stop: stop - start, 10_000, 3) == [3333, 3333, 3334]
    assert in_parts(lambda start, stop: stop - start, 3, 2, least=2) == [1, 2]


@pytest.mark.parametrize("threads", [1, 2, 5, 200])
def test_results_come_in_order_whoever_does_the_work(threads: int) -> None:
    assert in_turns(lambda turn: turn * turn, 97, threads) == [turn * turn for turn in range(97)]
    assert in_turns(lambda turn: turn, 0, threads) == []


def test_two_work_at_once() -> None:
    both = threading.Barrier(2, timeout=60)
    assert sorted(in_turns(lambda _: both.wait(), 2, 2)) == [0, 1]


def test_work_that_hands_out_work_ends_though_all_threads_are_busy() -> None:
    def nested(depth: int) -> Callable[[int], int]:
        return lambda turn: sum(in_turns(nested(depth - 1), 4, 4)) if depth else turn

    assert sum(in_turns(nested(3), 4, 100)) == 4 * 4 * 4 * 6


@pytest.mark.parametrize("bad", [0, 7])
def test_an_error_ends_the_work_and_leaves_the_threads(bad: int) -> None:
    def work(turn: int) -> int:
        if turn == bad:
            raise KeyError(turn)
        return turn

    with pytest.raises(KeyError):
        in_turns(work, 8, 3)
    assert in_turns(lambda turn: turn, 8, 3) == list(range(8))


@pytest.mark.parametrize("threads", [2, 5])
def test_after_an_error_no_work_is_begun(threads: int) -> None:
    begun, all_work = [], threading.Barrier(threads, timeout=60)

    def work(turn: int) -> None:
        begun.append(turn)
        if turn < threads:
            all_work.wait()
        if turn == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)  # until that is known

    with pytest.raises(KeyboardInterrupt):
        in_turns(work, 500, threads)
    assert len(begun) < 250


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    assert in_turns(lambda turn: turn, 4, 2) == [0, 1, 2, 3]
    child = os.fork()
    if not child:
        os._exit(0 if in_turns(lambda turn: turn, 4, 2) == [0, 1, 2, 3] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
