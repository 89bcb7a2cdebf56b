"""How often intervals of learned accuracies hold the true ones, on votes whose truth is known.

``python benchmarks/intervals.py [--data-sets 30] [--level 0.9] [VOTES …]``: for each sort of votes the share of voters
whose true accuracy lies within, the mean width, and seconds for a data set; of intervals by information and by drawing
items again, after a fit of Dawid–Skene with its defaults.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models import DawidSkene, diagnostics
from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Callable

Simulated = tuple[Votes, Any, Any]


def people(random: Any, items: int, accuracy: Any, labels: int, coverage: float) -> Simulated:
    """Who see a share of the items, and err evenly."""
    truth, size = random.integers(0, labels, items), (items, len(accuracy))
    wrong = (truth[:, None] + random.integers(1, labels, size)) % labels
    matrix = np.where(random.random(size) < accuracy, truth[:, None], wrong)
    matrix[random.random(size) >= coverage] = -1
    return Votes.from_matrix(matrix, labels), accuracy, "at_random"


def workers(random: Any, items: int, count: int, each: int, labels: int) -> Simulated:
    """Many, of whom ``each`` few see an item."""
    accuracy = random.beta(7, 3, count).clip(1 / labels, 0.98)
    truth, matrix = random.integers(0, labels, items), np.full((items, count), -1)
    for item in range(items):
        for worker in random.choice(count, each, replace=False):
            right = random.random() < accuracy[worker]
            matrix[item, worker] = truth[item] if right else (truth[item] + random.integers(1, labels)) % labels
    return Votes.from_matrix(matrix, labels), accuracy, "at_random"


def confused(random: Any, items: int, count: int, labels: int, coverage: float) -> Simulated:
    """Each with a confusion matrix of its own; labels are not equally frequent."""
    prior = random.dirichlet(np.ones(labels) * 5)
    truth, matrix, accuracy = random.choice(labels, items, p=prior), np.full((items, count), -1), np.zeros(count)
    for voter in range(count):
        rows = np.array([random.dirichlet(np.where(np.arange(labels) == k, 8, 2.0)) for k in range(labels)])
        for label in range(labels):
            of_label = truth == label
            matrix[of_label, voter] = random.choice(labels, int(of_label.sum()), p=rows[label])
        accuracy[voter] = float((prior * np.diag(rows)).sum())
    matrix[random.random(matrix.shape) >= coverage] = -1
    return Votes.from_matrix(matrix, labels), accuracy, "at_random"


def functions(random: Any, items: int, count: int, coverage: tuple[float, float], prior: list[float]) -> Simulated:
    """Labeling functions for one label each."""
    labels = len(prior)
    truth, matrix, accuracy = random.choice(labels, items, p=prior), np.full((items, count), -1), np.zeros(count)
    for voter in range(count):
        label, share, precision = voter % labels, random.uniform(*coverage), random.uniform(0.6, 0.95)
        right = min(share * precision / prior[label], 1)
        wrong = share * (1 - precision) / (1 - prior[label])
        accuracy[voter] = right * prior[label] / (right * prior[label] + wrong * (1 - prior[label]))
        matrix[random.random(items) < np.where(truth == label, right, wrong), voter] = label
    return Votes.from_matrix(matrix, labels), accuracy, "informative"


EVEN = [0.5, 0.5]
SORTS: dict[str, Callable[[Any], Simulated]] = {
    "people": lambda r: people(r, 1000, r.uniform(0.6, 0.95, 6), 2, 0.7),
    "people_4_labels": lambda r: people(r, 800, r.uniform(0.5, 0.9, 6), 4, 0.6),
    "people_100_items": lambda r: people(r, 100, r.uniform(0.6, 0.95, 8), 2, 0.8),
    "three_people": lambda r: people(r, 1000, r.uniform(0.6, 0.95, 3), 2, 1.0),
    "workers": lambda r: workers(r, 600, 60, 3, 2),
    "workers_4_labels": lambda r: workers(r, 500, 80, 5, 4),
    "confused": lambda r: confused(r, 1000, 7, 3, 0.6),
    "functions": lambda r: functions(r, 3000, 8, (0.1, 0.3), EVEN),
    "functions_broad": lambda r: functions(r, 3000, 12, (0.2, 0.4), EVEN),
    "functions_narrow": lambda r: functions(r, 2000, 8, (0.03, 0.12), EVEN),
    "functions_rare_label": lambda r: functions(r, 3000, 8, (0.05, 0.2), [0.8, 0.2]),
    "functions_4_labels": lambda r: functions(r, 3000, 12, (0.05, 0.15), [0.25] * 4),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("votes", nargs="*", choices=[*SORTS, []], help="Sorts of votes; default: all.")
    parser.add_argument("--data-sets", type=int, default=30)
    parser.add_argument("--level", type=float, default=0.9)
    options = parser.parse_args()
    z = statistics.NormalDist().inv_cdf((1 + options.level) / 2)
    diagnostics.wilson = lambda right, total: wilson(right, total, z)  # type: ignore[attr-defined]
    print(f"{'votes':21} {'intervals':12} held  width  seconds")
    for name in options.votes or SORTS:
        measure(name, options.data_sets, options.level)


def measure(name: str, data_sets: int, level: float) -> None:
    held: dict[str, list[bool]] = {"information": [], "bootstrap": []}
    widths: dict[str, list[float]] = {"information": [], "bootstrap": []}
    seconds = dict.fromkeys(held, 0.0)
    for seed in range(1000, 1000 + data_sets):
        votes, accuracy, silence = SORTS[name](np.random.default_rng(seed))
        for kind in held:
            begun = time.perf_counter()
            model = DawidSkene().fit(votes, abstain=silence)
            if kind == "bootstrap":
                model.bootstrap(votes, level=level)
            seconds[kind] += time.perf_counter() - begun
            for found, true in zip(model.voter_report(), accuracy, strict=True):
                if found.low is not None and found.high is not None:
                    held[kind].append(found.low <= true <= found.high)
                    widths[kind].append(found.high - found.low)
    for kind, found_all in held.items():
        mean = math.fsum(found_all) / len(found_all)
        width = math.fsum(widths[kind]) / len(found_all)
        print(f"{name:21} {kind:12} {mean:.2f}  {width:.2f}   {seconds[kind] / data_sets:.2f}", flush=True)


if __name__ == "__main__":
    main()
