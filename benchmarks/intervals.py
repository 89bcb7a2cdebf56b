"""How often intervals of learned accuracies hold the true ones, on votes whose truth is known.

``python benchmarks/intervals.py [--data-sets 30] [--level 0.9] [VOTES …]``: for each sort of votes the share of voters
whose true accuracy lies within, the mean width, and seconds for a data set; of intervals by information and by drawing
items again, after a fit of ``auto`` and one of Dawid–Skene, with their defaults. ``real`` are the sets in the folder
that ``TEACHKIT_DATA`` names, one by one: the true accuracy is that on items with gold, of voters with 20 such votes.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from label_models import VoteSet, sets_of

from teachkit.label_models import Auto, DawidSkene, LabelModel, diagnostics
from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


MODELS: dict[str, type[LabelModel]] = {"auto": Auto, "dawid_skene": DawidSkene}
ENOUGH = 20


def of_real(found: VoteSet) -> Simulated:
    """Votes with the share of each voter's that are right."""
    votes = Votes.from_matrix(found.votes, found.labels)
    voted, right = found.votes >= 0, found.votes == found.truth[:, None]
    count = voted.sum(axis=0)
    accuracy = np.where(count >= ENOUGH, (right & voted).sum(axis=0) / np.maximum(count, 1), np.nan)
    return votes, accuracy, "at_random" if found.people else "informative"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "votes", nargs="*", choices=[*SORTS, "real", []], help="Sorts of votes; default: all made ones."
    )
    parser.add_argument("--data-sets", type=int, default=30)
    parser.add_argument("--level", type=float, default=0.9)
    options = parser.parse_args()
    z = statistics.NormalDist().inv_cdf((1 + options.level) / 2)
    diagnostics.wilson = lambda right, total: wilson(right, total, z)  # type: ignore[attr-defined]
    print(f"{'votes':21} {'model':12} {'intervals':12} held  width  seconds")
    for name in options.votes or SORTS:
        if name == "real":
            for found in sets_of(Path(os.environ["TEACHKIT_DATA"])):
                measure(found.name, [of_real(found)], options.level)
        else:
            seeds = range(1000, 1000 + options.data_sets)
            measure(name, [SORTS[name](np.random.default_rng(seed)) for seed in seeds], options.level)


def measure(name: str, data_sets: list[Simulated], level: float) -> None:
    """Print how often intervals of each model hold the accuracies of these votes, where they are known."""
    for model in MODELS:
        for kind in ("information", "bootstrap"):
            begun = time.perf_counter()
            reports = [report(model, votes, silence, kind, level) for votes, _, silence in data_sets]
            seconds = (time.perf_counter() - begun) / len(data_sets)
            known = [
                (low, high, true)
                for ends, (_, accuracy, _) in zip(reports, data_sets, strict=True)
                for (low, high), true in zip(ends, accuracy, strict=True)
                if low is not None and high is not None and not math.isnan(true)
            ]
            held = sum(low <= true <= high for low, high, true in known) / len(known)
            width = math.fsum(high - low for low, high, _ in known) / len(known)
            print(f"{name:21} {model:12} {kind:12} {held:.2f}  {width:.2f}   {seconds:.2f}", flush=True)


def report(model: str, votes: Votes, silence: Any, kind: str, level: float) -> Iterable[tuple[float | None, ...]]:
    """The interval of each voter."""
    fitted = MODELS[model]().fit(votes, abstain=silence)
    if kind == "bootstrap":
        fitted.bootstrap(votes, level=level)
    return [(found.low, found.high) for found in fitted.voter_report()]


if __name__ == "__main__":
    main()
