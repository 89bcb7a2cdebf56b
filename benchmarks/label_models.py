"""Dawid–Skene against crowd-kit, label models against Snorkel: time for one iteration, and how far posteriors differ.

The peers run in an interpreter of their own, so that this environment stays as it is:

    python3 -m venv peers
    peers/bin/pip install --no-deps crowd-kit snorkel
    peers/bin/pip install numpy pandas attrs scikit-learn scipy tqdm nltk networkx munkres torch
    python benchmarks/label_models.py --peer-python peers/bin/python

(``torch`` is for Snorkel only; without it, or without Snorkel, its lines are left out.) Real vote sets are read from
the folder that ``TEACHKIT_DATA`` names, if it is set: ``crowd_*/answer.csv`` with question, worker, answer.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ITERATIONS = 10
REPEATS = 3
SNORKEL_EPOCHS = 100


@dataclass(frozen=True)
class VoteSet:
    """Votes as long arrays [M]; ``truth`` [N] where it is known."""

    name: str
    item: Any
    voter: Any
    code: Any
    n_items: int
    n_voters: int
    n_labels: int
    truth: Any

    def save(self, folder: Path) -> None:
        """As one file that the peers read."""
        sizes = [self.n_items, self.n_voters, self.n_labels]
        np.savez(folder / f"{self.name}.npz", item=self.item, voter=self.voter, code=self.code, sizes=sizes)


def synthetic(n_items: int, n_voters: int, n_labels: int, coverage: float, accuracy: float = 0.75) -> VoteSet:
    """Independent voters of one accuracy, uniform errors, a seed that is fixed."""
    random = np.random.default_rng(1)
    truth = random.integers(0, n_labels, n_items)
    items, voters, codes = [], [], []
    for voter in range(n_voters):
        chosen = np.flatnonzero(random.random(n_items) < coverage)
        wrong = (truth[chosen] + random.integers(1, n_labels, len(chosen))) % n_labels
        codes.append(np.where(random.random(len(chosen)) < accuracy, truth[chosen], wrong))
        items.append(chosen)
        voters.append(np.full(len(chosen), voter))
    long = (np.concatenate(part) for part in (items, voters, codes))
    return VoteSet(f"{n_items}x{n_voters}x{n_labels}", *long, n_items, n_voters, n_labels, truth)


def real(folder: Path) -> Iterator[VoteSet]:
    """The crowds in a folder."""
    for name in ("crowd_bluebird", "crowd_dog", "crowd_sp"):
        with (folder / name / "answer.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = []
        for key in ("question", "worker", "answer"):
            values = sorted({row[key] for row in rows})
            index = {value: i for i, value in enumerate(values)}
            columns.append((np.array([index[row[key]] for row in rows]), len(values)))
        (item, n), (voter, v), (code, k) = columns
        yield VoteSet(name, item, voter, code, n, v, k, None)


def timed(work: Callable[[int], Any], few: int, many: int) -> tuple[float, float]:
    """Seconds for one more step, and for a run of ``few``: the best of some runs."""
    best = {steps: float("inf") for steps in (few, many)}
    for _ in range(REPEATS):
        for steps in best:
            start = time.perf_counter()
            work(steps)
            best[steps] = min(best[steps], time.perf_counter() - start)
    return (best[many] - best[few]) / (many - few), best[few]


# ---------------------------------------------------------------------------- the peers, in their own interpreter


def peer(folder: Path) -> None:
    """Fit crowd-kit and Snorkel on every file of a folder; write what was measured beside it."""
    import warnings

    warnings.filterwarnings("ignore")
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as data:
            item, voter, code, sizes = (data[key] for key in ("item", "voter", "code", "sizes"))
        found = {
            "crowdkit": crowdkit(path, item, voter, code, sizes),
            "snorkel": snorkel(path, item, voter, code, sizes),
        }
        path.with_suffix(".json").write_text(json.dumps(found))


def crowdkit(path: Path, item: Any, voter: Any, code: Any, sizes: Any) -> float:
    """Seconds for one iteration of Dawid-Skene; the posteriors after ``ITERATIONS`` go to a file."""
    import pandas as pd
    from crowdkit.aggregation.classification.dawid_skene import DawidSkene

    frame = pd.DataFrame({"task": item, "worker": voter, "label": code})
    step, _ = timed(lambda steps: DawidSkene(n_iter=steps, tol=-np.inf).fit(frame), 1, 1 + ITERATIONS)
    probas = DawidSkene(n_iter=ITERATIONS, tol=-np.inf).fit(frame).probas_
    posterior = np.full((sizes[0], sizes[2]), np.nan)
    posterior[np.ix_(probas.index.to_numpy(), probas.columns.to_numpy())] = probas.to_numpy()
    np.save(path.with_suffix(".crowdkit.npy"), posterior)
    return step


def snorkel(path: Path, item: Any, voter: Any, code: Any, sizes: Any) -> float | None:
    """Seconds to fit Snorkel's LabelModel and predict; None if it is not installed."""
    try:
        from snorkel.labeling.model import LabelModel
    except ImportError:
        return None
    matrix = np.full(sizes[:2], -1)
    matrix[item, voter] = code
    start = time.perf_counter()
    model = LabelModel(cardinality=int(sizes[2]), verbose=False)
    model.fit(matrix, n_epochs=SNORKEL_EPOCHS, seed=1, progress_bar=False)
    np.save(path.with_suffix(".snorkel.npy"), model.predict_proba(matrix))
    return time.perf_counter() - start


# ---------------------------------------------------------------------------- ours


def compare(found: VoteSet, folder: Path, threads: int) -> None:
    """Print ours beside the peers'."""
    from teachkit.label_models import DawidSkene
    from teachkit.votes import Votes

    names = [str(v) for v in range(found.n_voters)]
    votes = Votes.from_long(
        found.item, found.voter, found.code, voters=names, n_items=found.n_items, n_labels=found.n_labels
    )

    def classic(steps: int, width: int) -> Any:
        model = DawidSkene(prior_strength=0, n_iter=steps, tolerance=-1.0, threads=width)
        return model.fit(votes, abstain="at_random")

    ours = classic(ITERATIONS, 1).predict_proba(votes)
    theirs = np.load(folder / f"{found.name}.crowdkit.npy")
    apart = np.abs(ours - theirs)[~np.isnan(theirs)].max()
    peers = json.loads((folder / f"{found.name}.json").read_text())
    print(f"{found.name}: {len(found.code):,} votes, {votes.n_patterns:,} patterns of {votes.n_items:,} items")
    print(f"  crowd-kit DawidSkene       {peers['crowdkit'] * 1e3:9.2f} ms an iteration")
    for width in sorted({1, threads}):
        step, _ = timed(lambda steps, width=width: classic(steps, width), 1, 1 + ITERATIONS)
        ratio = peers["crowdkit"] / step
        print(f"  teachkit, {width} thread(s)      {step * 1e3:9.2f} ms an iteration   {ratio:6.1f} x")
    print(f"  posteriors after {ITERATIONS} iterations: greatest difference {apart:.1e}")
    if peers["snorkel"] is not None:
        against_snorkel(found, votes, folder, peers["snorkel"], threads)


def against_snorkel(found: VoteSet, votes: Any, folder: Path, seconds: float, threads: int) -> None:
    """Fit and predict, from votes to posteriors: these are different models, so accuracy stands beside time."""
    from teachkit.label_models import DawidSkene

    start = time.perf_counter()
    ours = DawidSkene(threads=threads).fit(votes, abstain="at_random").predict_proba(votes)
    mine = time.perf_counter() - start
    line = f"  fit and predict: teachkit {mine:.2f} s, Snorkel ({SNORKEL_EPOCHS} epochs) {seconds:.2f} s"
    if found.truth is not None:
        theirs = np.load(folder / f"{found.name}.snorkel.npy")
        right = [(p.argmax(axis=1) == found.truth).mean() for p in (ours, theirs)]
        line += f"; accuracy {right[0]:.4f} and {right[1]:.4f}"
    print(line)


def at_scale(threads: int) -> None:
    """Ours alone: a million items, fifty binary voters, a quarter of the votes, hardly two items alike."""
    from teachkit.label_models import DawidSkene
    from teachkit.votes import Votes

    found = synthetic(1_000_000, 50, 2, 0.25)
    names = [str(v) for v in range(found.n_voters)]
    columns = np.full((found.n_voters, found.n_items), -1, dtype=np.int8)
    columns[found.voter, found.item] = found.code
    start = time.perf_counter()
    votes = Votes.from_columns(names, list(columns), 2)
    print(f"1,000,000 x 50: folded to {votes.n_patterns:,} patterns in {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    Votes.from_long(found.item, found.voter, found.code, voters=names, n_items=found.n_items, n_labels=2)
    print(f"  the same from {len(found.code):,} single votes in {time.perf_counter() - start:.2f} s")
    for width in sorted({1, threads}):
        step, _ = timed(
            lambda steps, width=width: DawidSkene(n_iter=steps, tolerance=-1.0, threads=width).fit(votes), 1, 6
        )
        print(f"  EM, {width} thread(s): {step * 1e3:.1f} ms an iteration")


def main() -> None:
    """Read the options, run the peers, print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has crowd-kit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        peer(options.peer)
        return
    if options.peer_python:
        data = os.environ.get("TEACHKIT_DATA")
        sets = [synthetic(100_000, 20, 3, 0.3), *(real(Path(data)) if data else ())]
        with tempfile.TemporaryDirectory() as place:
            for found in sets:
                found.save(Path(place))
            subprocess.run([options.peer_python, __file__, "--peer", place], check=True)
            for found in sets:
                compare(found, Path(place), options.threads)
    else:
        print("no --peer-python: the peers are left out (see the head of this file)", file=sys.stderr)
    at_scale(options.threads)


if __name__ == "__main__":
    main()
