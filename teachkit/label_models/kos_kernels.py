"""The compiled loop of KOS."""

from __future__ import annotations

from typing import Any

import numpy as np

from teachkit.votes.jit import jit


@jit
def votes_in_messages(
    indptr: Any, voter: Any, code: Any, weight: Any, clamp: Any, label: int, rounds: int, trust: Any
) -> float:  # pragma: no cover - compiled
    """The weight of each voter, to ``trust`` [V], where votes say ``label`` or not.

    Items of one pattern send and get the same messages, so each pattern has them once: ``weight`` [P] items. Returns by
    how much the last round moved a weight, the greatest being 1.
    """
    size, change, before = len(voter), 1.0, np.zeros(len(trust))
    to_item, to_voter = np.ones(size), np.zeros(size)
    for _ in range(max(rounds, 1)):
        for p in range(len(weight)):
            start, stop = indptr[p], indptr[p + 1]
            total = 0.0
            for i in range(start, stop):
                total += to_item[i] if code[i] == label else -to_item[i]
            if clamp[p] >= 0:  # known: it says so, as surely as all its voters could
                for i in range(start, stop):
                    to_voter[i] = (stop - start) * (1.0 if clamp[p] == label else -1.0)
                continue
            for i in range(start, stop):
                to_voter[i] = total - (to_item[i] if code[i] == label else -to_item[i])
        for v in range(len(trust)):
            trust[v] = 0.0
        for p in range(len(weight)):
            for i in range(indptr[p], indptr[p + 1]):
                trust[voter[i]] += weight[p] * (to_voter[i] if code[i] == label else -to_voter[i])
        most, change = 1e-300, 0.0
        for v in range(len(trust)):
            most = max(most, abs(trust[v]))
        for v in range(len(trust)):
            change = max(change, abs(trust[v] / most - before[v]))
            before[v] = trust[v] / most
        most = 0.0
        for p in range(len(weight)):
            for i in range(indptr[p], indptr[p + 1]):
                to_item[i] = trust[voter[i]] - (to_voter[i] if code[i] == label else -to_voter[i])
                most = max(most, abs(to_item[i]))
        for i in range(size):
            to_item[i] = to_item[i] / most if most > 0.0 else 1.0
    return change
