"""Label models on real votes, and how long they take: ours beside crowd-kit's and Snorkel's.

    pip install .[bench]                       # or an interpreter of their own: --peer-python peers/bin/python
    python benchmarks/label_models.py real                # accuracy, macro F1, Brier score, log-loss, time, memory
    python benchmarks/label_models.py speed               # fit and predict at 100,000 x 20 and 1,000,000 x 50
    python benchmarks/label_models.py made                # votes that are made: skewed, sparse, spammers, copies, ...
    python benchmarks/label_models.py gold                # what 50 items of gold teach about all others: ours alone

Real votes are read from the folder that ``TEACHKIT_DATA`` names and from each ``--data``: a folder with ``answer.csv``
(question, worker, answer) and ``truth.csv`` (question, truth) is a crowd; one with ``train|valid|test.csv`` (id, text,
gold, a column for each function) or with WRENCH's ``train|valid|test.json`` is labeling functions, taken on test.
``--csv FILE`` writes the table as CSV. Models are fitted without gold, with their defaults; ours are told what
silence says (functions: informative, people: at random), as a build tells it. Items without a vote count, with the
likeliest label; ties go to the first label.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

OURS = ("auto", "majority", "weighted", "one_coin", "dawid_skene", "mace", "glad", "metal", "triplet", "wawa", "kos")
RUNS = 5
"""So often is measured how long a model takes."""
PEERS = ("crowd-kit majority", "crowd-kit DawidSkene", "crowd-kit GLAD", "crowd-kit MACE", "snorkel LabelModel")


@dataclass(frozen=True)
class VoteSet:
    """Votes [N, V], -1 for abstain; the truth [N] where it is known; whether they are of people."""

    name: str
    votes: Any
    truth: Any
    labels: int
    people: bool

    def save(self, path: Path) -> None:
        """As one file."""
        np.savez(path, votes=self.votes, truth=self.truth, labels=self.labels, people=self.people, name=self.name)

    @classmethod
    def load(cls, path: Path) -> VoteSet:
        """From such a file."""
        with np.load(path) as data:
            return cls(str(data["name"]), data["votes"], data["truth"], int(data["labels"]), bool(data["people"]))


@dataclass(frozen=True)
class Found:
    """How one model did on one set; figures of probabilities are None for models that give labels alone."""

    set: str
    model: str
    accuracy: float
    macro_f1: float
    brier: float | None
    log_loss: float | None
    seconds: float
    megabytes: float


# ---------------------------------------------------------------------------- votes


def sets_of(folder: Path) -> Iterator[VoteSet]:
    """The sets in a folder, or the one that it is."""
    if (folder / "answer.csv").is_file():
        yield crowd(folder)
    elif any((folder / f"test.{form}").is_file() for form in ("csv", "json")):
        found = functions(folder)
        if found is not None:
            yield found
    else:
        for inner in sorted(p for p in folder.iterdir() if p.is_dir()):
            yield from sets_of(inner)


def crowd(folder: Path) -> VoteSet:
    """People's answers."""
    answers, truths = rows(folder / "answer.csv"), rows(folder / "truth.csv")
    items = {row["question"]: i for i, row in enumerate(truths)}
    labels = sorted({row["answer"] for row in answers} | {row["truth"] for row in truths})
    workers = {name: i for i, name in enumerate(sorted({row["worker"] for row in answers}))}
    code = {name: i for i, name in enumerate(labels)}
    votes = np.full((len(items), len(workers)), -1, dtype=np.int16)
    for row in answers:
        if row["question"] in items:
            votes[items[row["question"]], workers[row["worker"]]] = code[row["answer"]]
    truth = np.array([code[row["truth"]] for row in truths])
    return VoteSet(folder.name, votes, truth, len(labels), people=True)


def functions(folder: Path) -> VoteSet | None:
    """The votes of labeling functions on a test split; None where the folder holds something else."""
    name = folder.parent.name if folder.name == "wrench" else folder.name
    if (folder / "test.json").is_file():
        items = json.loads((folder / "test.json").read_text(encoding="utf-8"))
        votes = np.array([item["weak_labels"] for item in items.values()], dtype=np.int16)
        truth = np.array([item["label"] for item in items.values()])
        return VoteSet(name, votes, truth, int(max(votes.max(), truth.max())) + 1, people=False)
    splits = [
        rows(folder / f"{split}.csv") for split in ("train", "valid", "test") if (folder / f"{split}.csv").is_file()
    ]
    if "gold" not in splits[-1][0]:
        return None
    labels = sorted({row["gold"] for split in splits for row in split})
    code = {"": -1} | {label: i for i, label in enumerate(labels)}
    names = [key for key in splits[-1][0] if key not in ("id", "text", "gold")]
    votes = np.array([[code[row[key]] for key in names] for row in splits[-1]], dtype=np.int16)
    return VoteSet(name, votes, np.array([code[row["gold"]] for row in splits[-1]]), len(labels), people=False)


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people(
    name: str, n: int, workers: int, labels: int, each: int, accuracy: Sequence[float], *, seed: int, **more: Any
) -> VoteSet:
    """Votes of made people: ``spam`` of them guess, ``lean`` spreads their leanings, ``prior`` skews the labels."""
    random = np.random.default_rng(seed)
    prior = np.array(more.get("prior", np.ones(labels)), dtype=float)
    truth = random.choice(labels, n, p=prior / prior.sum())
    votes = np.full((n, workers), -1, dtype=np.int16)
    confusion = np.zeros((workers, labels, labels))
    for worker in range(workers):
        right = random.uniform(*accuracy)
        confusion[worker] = (1 - right) / (labels - 1) + (right - (1 - right) / (labels - 1)) * np.eye(labels)
        if random.random() < more.get("spam", 0.0):
            confusion[worker] = random.dirichlet(np.ones(labels))
        elif more.get("lean"):
            confusion[worker] *= 0.2 + random.dirichlet(np.ones(labels) / more["lean"])
            confusion[worker] /= confusion[worker].sum(axis=1, keepdims=True)
    for item in range(n):
        for worker in random.choice(workers, min(each, workers), replace=False):
            votes[item, worker] = random.choice(labels, p=confusion[worker, truth[item]])
    return VoteSet(name, votes, truth, labels, people=True)


def rules(
    name: str,
    n: int,
    many: int,
    labels: int,
    coverage: Sequence[float],
    lift: Sequence[float],
    *,
    seed: int,
    **more: Any,
) -> VoteSet:
    """Votes of made functions for one label each: precision is ``lift`` of the way from the label's share to 1.

    ``together`` (0 to 1) makes those of one label fire on the same easy items; ``copies`` repeats the first.
    """
    random = np.random.default_rng(seed)
    prior = np.array(more.get("prior", np.ones(labels)), dtype=float)
    prior /= prior.sum()
    truth = random.choice(labels, n, p=prior)
    easy = random.random(n)
    columns = []
    for function in range(many):
        label = function % labels
        fires = float(np.exp(random.uniform(*np.log(coverage))))
        precision = prior[label] + random.uniform(*lift) * (1 - prior[label])
        fires = min(fires, 0.95 * prior[label] / precision)
        chance = np.where(
            truth == label, fires * precision / prior[label], fires * (1 - precision) / (1 - prior[label])
        )
        own = np.where(random.random(n) < more.get("together", 0.0), easy, random.random(n))
        columns.append(np.where(own < chance, label, -1))
    columns += [columns[0]] * more.get("copies", 0)
    return VoteSet(name, np.stack(columns, axis=1).astype(np.int16), truth, labels, people=False)


def made() -> list[VoteSet]:
    """Votes of all sorts that models can trip over; three of each."""
    out = []
    for seed in range(3):
        of = {"seed": seed}
        out += [
            people("people", 500, 40, 2, 5, (0.5, 0.95), **of),
            people("people, 40 % spammers", 500, 40, 2, 5, (0.5, 0.95), spam=0.4, **of),
            people("people that lean", 500, 30, 2, 7, (0.5, 0.95), lean=0.7, **of),
            people("people, few votes each", 800, 200, 4, 3, (0.5, 0.95), **of),
            people("people, 7 labels", 500, 30, 7, 5, (0.5, 0.95), spam=0.2, lean=0.3, **of),
            people("people, labels 92 to 8", 800, 40, 2, 5, (0.5, 0.95), prior=(92, 8), **of),
            people("seven people, 5 labels", 300, 7, 5, 7, (0.4, 0.8), **of),
            rules("functions", 2000, 10, 2, (0.02, 0.3), (0.2, 0.9), **of),
            rules("functions, labels 90 to 10", 2000, 10, 2, (0.02, 0.3), (0.2, 0.9), prior=(90, 10), **of),
            rules("functions, one vote an item", 2000, 8, 2, (0.02, 0.12), (0.2, 0.9), **of),
            rules("functions, 7 labels", 1500, 14, 7, (0.02, 0.12), (0.2, 0.9), **of),
            rules("75 functions, 6 labels", 3000, 75, 6, (0.002, 0.06), (0.1, 0.9), prior=(6, 5, 4, 3, 2, 1), **of),
            rules("weak functions", 2000, 10, 2, (0.02, 0.3), (0.02, 0.5), **of),
            rules("functions that fire together", 2000, 10, 2, (0.02, 0.3), (0.2, 0.9), together=0.6, **of),
            rules("functions, one of them 6 times", 2000, 9, 2, (0.02, 0.3), (0.2, 0.9), copies=5, **of),
        ]
    return out


def large(n: int, voters: int, labels: int, coverage: float) -> VoteSet:
    """Independent voters of one accuracy, hardly two items alike."""
    random = np.random.default_rng(1)
    truth = random.integers(0, labels, n)
    votes = np.full((n, voters), -1, dtype=np.int8)
    for voter in range(voters):
        there = np.flatnonzero(random.random(n) < coverage)
        wrong = (truth[there] + random.integers(1, labels, len(there))) % labels
        votes[there, voter] = np.where(random.random(len(there)) < 0.75, truth[there], wrong)
    return VoteSet(f"{n:,} x {voters}, {labels} labels", votes, truth, labels, people=False)


# ---------------------------------------------------------------------------- models


def ours(name: str, threads: int) -> Callable[[VoteSet], Any]:
    """One of our models: votes in memory to posteriors."""
    from teachkit import registry

    def run(found: VoteSet) -> Any:
        from teachkit.votes import Votes

        votes = Votes.from_matrix(found.votes, found.labels, threads=threads)
        model = registry.load("label_model", name)(threads=threads)
        return model.fit(votes, abstain="at_random" if found.people else "informative").predict_proba(votes)

    return run


def crowdkit(name: str) -> Callable[[VoteSet], Any]:
    """One of crowd-kit's: probabilities where it gives them, else the labels; items without votes are left out."""

    def run(found: VoteSet) -> Any:
        import crowdkit.aggregation as kit
        import pandas as pd

        item, worker = np.nonzero(found.votes >= 0)
        frame = pd.DataFrame({"task": item, "worker": worker, "label": found.votes[item, worker]})
        model = {"majority": kit.MajorityVote, "DawidSkene": kit.DawidSkene, "GLAD": kit.GLAD, "MACE": kit.MACE}[name]()
        if name == "MACE":
            model.random_state = 0
        share = np.bincount(found.votes[found.votes >= 0], minlength=found.labels)
        out = np.tile(share / share.sum(), (len(found.votes), 1))
        if name == "DawidSkene":
            probas = model.fit(frame).probas_
            rest = out[np.ix_(probas.index.to_numpy(), [c for c in range(found.labels) if c not in probas.columns])]
            out[probas.index.to_numpy()] = 0.0
            out[np.ix_(probas.index.to_numpy(), probas.columns.to_numpy())] = probas.to_numpy()
            return out + 0.0 * rest.sum()
        labels = model.fit_predict(frame)
        out[labels.index.to_numpy()] = np.eye(found.labels)[labels.to_numpy().astype(int)]
        return out

    return run


def snorkel(found: VoteSet) -> Any:
    """Snorkel's label model, with its defaults."""
    from snorkel.labeling.model import LabelModel

    model = LabelModel(cardinality=found.labels, verbose=False)
    model.fit(found.votes.astype(int), seed=0, progress_bar=False)
    return model.predict_proba(found.votes.astype(int))


def peer(name: str) -> Callable[[VoteSet], Any]:
    """A peer by its name."""
    return snorkel if name.startswith("snorkel") else crowdkit(name.removeprefix("crowd-kit "))


def measure(found: VoteSet, name: str, run: Callable[[VoteSet], Any], *, labels_alone: bool) -> Found:
    """Run a model on a set, and compare with the truth."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    posterior = run(found)
    seconds = time.perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    label, one = posterior.argmax(axis=1), np.eye(found.labels)[found.truth]
    scores = []
    for k in range(found.labels):
        said, true = label == k, found.truth == k
        if said.any() or true.any():
            scores.append(2 * (said & true).sum() / (said.sum() + true.sum()))
    brier = None if labels_alone else float(((posterior - one) ** 2).sum(axis=1).mean())
    own = posterior[np.arange(len(label)), found.truth]
    log_loss = None if labels_alone else float(-np.log(np.maximum(own, 1e-15)).mean())
    right = float((label == found.truth).mean())
    return Found(found.name, name, right, float(np.mean(scores)), brier, log_loss, seconds, max(grown, 0.0))


def run_one(path: Path, name: str, threads: int) -> None:
    """In a process of its own, so that memory is its own: print what was found as JSON."""
    warnings.filterwarnings("ignore")
    found = VoteSet.load(path)
    run = ours(name, threads) if name in OURS else peer(name)
    small = people("warm-up", 40, 5, found.labels, 3, (0.6, 0.9), seed=0)
    run(VoteSet("warm-up", small.votes, small.truth, found.labels, people=found.people))  # imports, compiled kernels
    alone = name in ("crowd-kit majority", "crowd-kit GLAD", "crowd-kit MACE")
    print("found", json.dumps(asdict(measure(found, name, run, labels_alone=alone))))


def run_all(sets: Sequence[VoteSet], models: Sequence[str], options: argparse.Namespace) -> list[Found]:
    """Every model on every set, each in a process of its own."""
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for number, one in enumerate(sets):
            path = Path(folder) / f"{number}.npz"
            one.save(path)
            for name in models:
                python = options.peer_python if name in PEERS and options.peer_python else sys.executable
                command = [str(python), __file__, "one", str(path), name, "--threads", str(options.threads)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                line = next((x for x in done.stdout.splitlines() if x.startswith("found ")), None)
                if line is None:
                    print(f"{one.name}: {name} did not run: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                else:
                    out.append(Found(**json.loads(line.removeprefix("found "))))
    return out


# ---------------------------------------------------------------------------- tables


def table(found: Sequence[Found], figure: str) -> None:
    """Sets by models, and the mean over those sets that all models did; equal names are one line."""
    models, names = list(dict.fromkeys(f.model for f in found)), list(dict.fromkeys(f.set for f in found))
    width = max(len(name) for name in names)
    print(
        f"\n{figure.replace('_', ' ')}\n{'':{width}}  "
        + "  ".join(f"{m.replace('crowd-kit ', 'ck ')[:11]:>11}" for m in models)
    )
    lines = []
    for name in names:
        values = [[getattr(f, figure) for f in found if f.set == name and f.model == m] for m in models]
        known = [[v for v in of if v is not None] for of in values]
        lines.append([float(np.mean(of)) if of else None for of in known])
        print(f"{name:{width}}  " + "  ".join(f"{'':>11}" if v is None else f"{v:11.3f}" for v in lines[-1]))
    whole = [line for line in lines if None not in line]
    if len(whole) > 1:
        means = np.mean(np.array(whole, dtype=float), axis=0)
        print(f"{f'mean of {len(whole)}':{width}}  " + "  ".join(f"{m:11.3f}" for m in means))


def quality(sets: Sequence[VoteSet], options: argparse.Namespace) -> None:
    """Ours and the peers' on some sets."""
    chosen = [*(options.models or OURS), *(PEERS if options.peers else ())]
    found = run_all(sets, chosen, options)
    for figure in ("accuracy", "macro_f1", "brier", "log_loss", "seconds", "megabytes"):
        table(found, figure)
    if options.csv:
        with options.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(found[0])))
            writer.writeheader()
            writer.writerows(asdict(one) for one in found)


def with_gold(sets: Sequence[VoteSet], options: argparse.Namespace) -> None:
    """Accuracy on items with a vote and without gold: fitted without any, and with 50 that are drawn, eight times."""
    print(f"{'set':32} {'model':9} without   with: mean  least  greatest change in points")
    for found in sets:
        draws = [np.random.default_rng(seed).permutation(len(found.truth)) for seed in range(8)]
        drawn = [draw[: min(50, len(draw) // 2)] for draw in draws]
        for name in options.models or ("auto", "metal", "triplet"):
            without, *after = [right(found, name, gold, options.threads) for gold in (drawn[0][:0], *drawn)]
            voted = (found.votes >= 0).any(axis=1)
            changes = []
            for one, gold in zip(after, drawn, strict=True):
                others = voted & ~np.isin(np.arange(len(voted)), gold)
                changes.append(100 * (one[others].mean() - without[others].mean()))
            figures = f"{np.mean(changes):+9.1f} {min(changes):+6.1f} {max(changes):+6.1f}"
            print(f"{found.name:32} {name:9} {without[voted].mean():7.3f} {figures}", flush=True)


def right(found: VoteSet, name: str, gold: Any, threads: int) -> Any:
    """Which items a model has right [N] that knows the truth of some of them: ``gold``, their numbers."""
    from teachkit import registry
    from teachkit.votes import Votes

    votes, known = Votes.from_matrix(found.votes, found.labels, threads=threads), np.full(len(found.truth), -1)
    known[gold] = found.truth[gold]
    model = registry.load("label_model", name)(threads=threads)
    fitted = model.fit(votes, known if len(gold) else None, abstain="at_random" if found.people else "informative")
    return fitted.predict_proba(votes).argmax(axis=1) == found.truth


def speed(options: argparse.Namespace) -> None:
    """Votes in memory to posteriors: auto and metal beside Snorkel, a step of EM beside crowd-kit's, a large crowd.

    Of several runs, each in a process of its own, the one that takes the median time.
    """
    for n, voters in ((100_000, 20), (1_000_000, 50)):
        one = large(n, voters, 2, 0.24)
        names = ["auto", "metal", *(["snorkel LabelModel"] if options.peers else [])]
        runs = [f for _ in range(RUNS) for f in run_all([one], names, options)]  # in turn: a busy minute hits all alike
        found = {n: sorted((f for f in runs if f.model == n), key=lambda f: f.seconds)[RUNS // 2] for n in names}
        print(f"\n{one.name}: {one.votes.nbytes / 2**20:.0f} MB of votes")
        reference = found.get("snorkel LabelModel")
        for name, f in found.items():
            ratio = f"   {reference.seconds / f.seconds:6.1f} x" if reference and f is not reference else ""
            print(f"  {name:20} {f.seconds:7.2f} s  {f.megabytes:7.0f} MB  accuracy {f.accuracy:.4f}{ratio}")
    steps(options)
    sparse(options)
    analysis(options)


def steps(options: argparse.Namespace) -> None:
    """Seconds of one step of Dawid-Skene."""
    from teachkit.label_models import DawidSkene
    from teachkit.votes import Votes

    one = large(100_000, 20, 3, 0.3)
    votes = Votes.from_matrix(one.votes, 3)

    def run(count: int) -> float:
        start = time.perf_counter()
        DawidSkene(n_iter=count, tolerance=-1.0, prior_strength=0, threads=options.threads).fit(
            votes, abstain="at_random"
        )
        return time.perf_counter() - start

    run(1)
    mine = min((run(21) - run(1)) / 20 for _ in range(3))
    print(f"\na step of Dawid-Skene, {one.name}: {mine * 1e3:.1f} ms")
    if options.peers:
        code = (
            "import sys, time, numpy as np, pandas as pd\n"
            "from crowdkit.aggregation import DawidSkene\n"
            "v = np.load(sys.argv[1])['votes']; i, w = np.nonzero(v >= 0)\n"
            "f = pd.DataFrame({'task': i, 'worker': w, 'label': v[i, w]})\n"
            "def run(k):\n"
            "    t = time.perf_counter()\n"
            "    DawidSkene(n_iter=k, tol=-np.inf).fit(f)\n"
            "    return time.perf_counter() - t\n"
            "run(1); print(min((run(6) - run(1)) / 5 for _ in range(2)))\n"
        )
        theirs = _outside(code, one, options)
        if theirs is not None:
            print(f"  crowd-kit: {theirs * 1e3:.1f} ms, {theirs / mine:.0f} x")


def sparse(options: argparse.Namespace) -> None:
    """10,000 people, 1,000,000 votes."""
    from teachkit.label_models import Auto
    from teachkit.votes import Votes

    random = np.random.default_rng(0)
    n, workers, many = 200_000, 10_000, 1_000_000
    item, voter, truth = random.integers(0, n, many), random.integers(0, workers, many), random.integers(0, 2, n)
    right = random.random(many) < random.uniform(0.55, 0.95, workers)[voter]
    code = np.where(right, truth[item], 1 - truth[item])
    votes = Votes.from_long(item, voter, code, voters=[str(w) for w in range(workers)], n_items=n, n_labels=2)
    Auto().fit(np.array([[0, 1, 1], [1, 1, 0]]), abstain="at_random")
    start = time.perf_counter()
    model = Auto(threads=options.threads).fit(votes, abstain="at_random")
    posterior = model.predict_proba(votes)
    seconds, steps_ = time.perf_counter() - start, model.diagnostics_["iterations"]
    accuracy = (posterior.argmax(axis=1) == truth).mean()
    print(f"\n10,000 people, 1,000,000 votes: {seconds:.2f} s, {steps_} steps, accuracy {accuracy:.4f}")


def analysis(options: argparse.Namespace) -> None:
    """The analysis of labeling functions."""
    from teachkit.label_models import lf_summary

    one = large(1_000_000, 20, 3, 0.3)
    matrix = one.votes.astype(np.int64)
    lf_summary(matrix[:100])
    best = []
    for truth in (None, one.truth):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            lf_summary(matrix, truth)
            times.append(time.perf_counter() - start)
        best.append(min(times))
    print(f"\nlf_summary, {one.name}: {best[0] * 1e3:.0f} ms, with gold {best[1] * 1e3:.0f} ms")
    if options.peers:
        code = (
            "import sys, time, numpy as np\nfrom snorkel.labeling import LFAnalysis\n"
            "d = np.load(sys.argv[1]); v, y = d['votes'].astype(int), d['truth']\n"
            "t = time.perf_counter(); LFAnalysis(v).lf_summary(); a = time.perf_counter() - t\n"
            "t = time.perf_counter(); LFAnalysis(v).lf_summary(y); print(a, time.perf_counter() - t)\n"
        )
        theirs = _outside(code, one, options, several=True)
        if theirs is not None:
            ratios = [theirs[i] / best[i] for i in (0, 1)]
            print(f"  Snorkel: {theirs[0]:.2f} s, with gold {theirs[1]:.2f} s: {ratios[0]:.0f} x, {ratios[1]:.0f} x")


def _outside(code: str, one: VoteSet, options: argparse.Namespace, *, several: bool = False) -> Any:
    """What a peer prints, in its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.npz"
        one.save(path)
        python = str(options.peer_python or sys.executable)
        done = subprocess.run(
            [python, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        print(f"  the peer did not run: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    numbers = [float(x) for x in done.stdout.split()[-2:]]
    return numbers if several else numbers[-1]


def main() -> None:
    """Read the options; run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("real", "made", "gold", "speed", "one"), nargs="?", default="real")
    parser.add_argument("one", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, action="append", default=[], help="a folder of votes, or of such folders")
    parser.add_argument("--csv", type=Path, help="a file for the table")
    parser.add_argument("--models", nargs="+", choices=OURS, help="some of ours")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="ours alone")
    parser.add_argument("--peer-python", type=Path, help="an interpreter that has crowd-kit and Snorkel")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.what == "one":
        run_one(Path(options.one[0]), options.one[1], options.threads)
    elif options.what == "speed":
        speed(options)
    elif options.what == "made":
        quality(made(), options)
    else:
        folders = [*([Path(os.environ["TEACHKIT_DATA"])] if os.environ.get("TEACHKIT_DATA") else []), *options.data]
        sets = [found for folder in folders for found in sets_of(folder)]
        if not sets:
            parser.error("no votes: set TEACHKIT_DATA, or name a folder with --data")
        (with_gold if options.what == "gold" else quality)(sets, options)


if __name__ == "__main__":
    main()
