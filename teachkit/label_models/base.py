"""What a label model is, and what those with a likelihood have in common.

A class of a user's own is a label model if it has ``fit(votes, *, gold=None, abstain=None)``, returning itself, and
``predict_proba(votes)`` giving [N, K]; ``votes`` is ``teachkit.votes.Votes``. Contributions are then computed by
leaving one vote out (``leave_one_out``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.kernels import em_step, log_all
from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model learned of a voter: how often its votes are right, with an interval; confusion [true label, outcome]."""

    voter: str
    accuracy: float | None
    low: float | None
    high: float | None
    confusion: list[list[float]] | None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def as_votes(votes: Any) -> Votes:
    """``Votes`` as they are; a matrix of codes [N, V] with -1 for abstain, folded."""
    return votes if isinstance(votes, Votes) else Votes.from_matrix(votes)


class LabelModel:
    """A label model on the contract of scikit-learn: learned values end in an underscore."""

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("choice", "multichoice")

    prior_: Any
    diagnostics_: dict[str, Any]
    voters_: tuple[str, ...]

    def fit(self, votes: Any, *, gold: Any | None = None, abstain: Mapping[str, str] | None = None) -> Self:
        """Learn from votes; ``gold`` codes [N] (-1 unknown) are held fixed; ``abstain`` maps voters to policies."""
        raise TypeError(f"{type(self).__name__} does not define fit")

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]."""
        raise TypeError(f"{type(self).__name__} does not define pattern_proba")

    def predict_proba(self, votes: Any) -> Any:
        """Posterior of each item [N, K]; without votes, the class prior."""
        votes = as_votes(votes)
        return self.pattern_proba(votes)[votes.pattern_of]

    def predict(self, votes: Any, *, tie_policy: str = "abstain") -> Any:
        """The label of each item [N]; -1 without votes, and for ties under the policy ``abstain``."""
        votes = as_votes(votes)
        codes = decide(self.pattern_proba(votes), votes, self.prior_, tie_policy)
        return codes[votes.pattern_of]

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """What each voter that voted adds, [K] log-odds to each label (up to a constant)."""
        raise TypeError(f"{type(self).__name__} does not define contributions")

    def parameters(self) -> dict[str, Any]:
        """All that is needed to give the same posteriors, JSON-able and exact."""
        raise TypeError(f"{type(self).__name__} does not define parameters")


def decide(posterior: Any, votes: Votes, prior: Any, tie_policy: str) -> Any:
    """Labels [P] from posteriors: by the greatest; ties by the declared policy, never by chance or row."""
    if len(posterior) == 0:
        return np.zeros(0, np.int16)
    top = posterior.max(axis=1)
    tied = posterior >= (top * (1 - TIE))[:, None]
    codes = tied.argmax(axis=1).astype(np.int16)
    several = tied.sum(axis=1) > 1
    if tie_policy == "abstain":
        codes[several] = -1
    elif tie_policy == "prior":
        weighted = np.where(tied, np.asarray(prior)[None, :], -1.0)
        best = weighted >= weighted.max(axis=1)[:, None] * (1 - TIE)
        codes[several] = np.where(best.sum(axis=1) > 1, -1, best.argmax(axis=1))[several]
    codes[votes.votes_per_pattern == 0] = -1
    return codes


def majority_shares(votes: Votes) -> Any:
    """The share of each label among the votes of a pattern [P, K]; zeros without votes."""
    k = votes.n_labels
    flat = np.bincount(votes.entry_pattern * k + votes.code, minlength=votes.n_patterns * k).reshape(-1, k)
    return flat / np.maximum(flat.sum(axis=1), 1)[:, None]


def with_gold(votes: Votes, gold: Any | None) -> tuple[Votes, Any]:
    """Votes whose patterns are split by known gold, and the label to hold fixed for each (-1: none)."""
    if gold is None or not (np.asarray(gold) >= 0).any():
        return votes, np.full(votes.n_patterns, -1, dtype=np.int64)
    pair = votes.pattern_of * (votes.n_labels + 1) + (np.asarray(gold, dtype=np.int64) + 1)
    found, pattern_of, counts = np.unique(pair, return_inverse=True, return_counts=True)
    old, clamp = found // (votes.n_labels + 1), found % (votes.n_labels + 1) - 1
    lengths = votes.votes_per_pattern[old]
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths) + np.repeat(votes.indptr[old], lengths)
    split = Votes(
        votes.voters,
        votes.n_labels,
        indptr,
        votes.voter[entries],
        votes.code[entries],
        counts.astype(np.int64),
        pattern_of,
    )
    return split, clamp.astype(np.int64)


class LikelihoodModel(LabelModel):
    """Models in which each vote multiplies the odds of the labels; subclasses say what is learned from expected votes.

    ``likelihood_`` [V, K + 1, K]: probability of each outcome (a label, or silence last) given the true label. For a
    voter whose silence is ``at_random`` the outcomes are given that it votes, and silence has probability 1.
    """

    likelihood_: Any
    informative_: Any

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        prior_strength: float = 1.0,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        self.class_prior = class_prior
        self.prior_strength = prior_strength
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, votes: Any, *, gold: Any | None = None, abstain: Mapping[str, str] | None = None) -> Self:
        """Maximum a posteriori by EM from a majority start."""
        votes = as_votes(votes)
        policies = abstain or {}
        self.voters_ = votes.voters
        default = "informative" if abstain is not None else "at_random"
        self.informative_ = np.array([policies.get(v, default) == "informative" for v in votes.voters], dtype=bool)
        folded, clamp = with_gold(votes, gold)
        self._fit(folded, clamp)
        return self

    def _fit(self, votes: Votes, clamp: Any) -> None:
        k = votes.n_labels
        share = majority_shares(votes)
        silent = votes.votes_per_pattern == 0
        start = np.where(silent[:, None], share[~silent].mean(axis=0)[None, :] if (~silent).any() else 1.0 / k, share)
        start[clamp >= 0] = np.eye(k)[clamp[clamp >= 0]]
        weight = start * votes.counts[:, None]
        sums = np.zeros((len(votes.voters), k, k))
        np.add.at(sums, (votes.voter, votes.code), weight[votes.entry_pattern])
        mass = weight.sum(axis=0)
        self._learn(sums, mass, votes)
        posterior, done, change, likelihood = start, 0, float("inf"), None
        limit = self.n_iter if self.n_iter is not None else self._iterations(votes)
        for done in range(1, limit + 1):
            before = posterior
            posterior, sums, mass, likelihood = em_step(votes, clamp, *self._tables(), threads=self.threads)
            change = float(np.abs(posterior - before).max(initial=0.0))
            if change <= self.tolerance or done == limit:
                break
            self._learn(sums, mass, votes)
        self.sums_ = sums
        majority, mine = decide(share, votes, self.prior_, "abstain"), decide(posterior, votes, self.prior_, "abstain")
        flips = int(votes.counts[(majority >= 0) & (mine >= 0) & (majority != mine)].sum())
        self.diagnostics_ = {
            "iterations": done,
            "converged": change <= self.tolerance,
            "max_change": change,
            "log_likelihood": likelihood,
            "flips_against_majority": flips,
        }

    def _iterations(self, votes: Votes) -> int:
        """How many EM steps: to convergence where people overlap; few where labeling functions hardly do.

        With about one vote per item EM drifts from the class to another split of the data.
        """
        return 3 if self.informative_.any() else 100

    def _learn(self, sums: Any, mass: Any, votes: Votes) -> None:
        self.prior_ = self._class_prior(mass)
        self.likelihood_ = self._likelihood(sums, mass)

    def _class_prior(self, mass: Any) -> Any:
        k = len(mass)
        if isinstance(self.class_prior, str):
            if self.class_prior == "uniform":
                return np.full(k, 1.0 / k)
            strength = self.prior_strength
            total = mass.sum() + strength * k
            return (mass + strength) / total if total > 0 else np.full(k, 1.0 / k)
        prior = np.asarray(self.class_prior, dtype=np.float64)
        return prior / prior.sum()

    def _likelihood(self, sums: Any, mass: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define _likelihood")

    def _tables(self) -> tuple[Any, Any]:
        logs = log_all(np.ascontiguousarray(self.likelihood_).ravel()).reshape(self.likelihood_.shape)
        silence = np.where(self.informative_[:, None], logs[:, -1, :], 0.0)
        base = log_all(np.ascontiguousarray(self.prior_, dtype=np.float64))
        for row in silence:
            base = base + row
        return base, np.ascontiguousarray(logs[:, :-1, :] - silence[:, None, :])

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]; the class prior where nobody votes."""
        clamp = np.full(votes.n_patterns, -1, dtype=np.int64)
        posterior = em_step(votes, clamp, *self._tables(), threads=self.threads)[0]
        posterior[votes.votes_per_pattern == 0] = self.prior_
        return posterior

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """Log-likelihood [K] that each voter adds: those that voted, and those whose silence says something.

        Prior (``log_prior``) plus all of them is the log posterior up to a constant.
        """
        logs = log_all(np.ascontiguousarray(self.likelihood_).ravel()).reshape(self.likelihood_.shape)
        said = {int(v): int(c) for v, c in _entries(votes, pattern)}
        out = {}
        for index, voter in enumerate(votes.voters):
            if index in said:
                out[voter] = logs[index, said[index]]
            elif self.informative_[index]:
                out[voter] = logs[index, -1]
        return out

    @property
    def log_prior(self) -> Any:
        """[K] logarithm of the class prior."""
        return log_all(np.ascontiguousarray(self.prior_, dtype=np.float64))

    def voter_report(self) -> list[Learned]:
        """What was learned of each voter: expected share of right votes, a Wilson interval on the expected counts."""
        out = []
        for index, voter in enumerate(self.voters_):
            right, total = float(np.trace(self.sums_[index])), float(self.sums_[index].sum())
            interval = wilson(right + self.prior_strength, total + 2 * self.prior_strength)
            accuracy = right / total if total > 0 else None
            rows = self.likelihood_[index].T if self.informative_[index] else self.likelihood_[index, :-1].T
            low, high = interval if interval and total > 0 else (None, None)
            out.append(Learned(voter, accuracy, low, high, [[float(x) for x in row] for row in rows]))
        return out

    def parameters(self) -> dict[str, Any]:
        """Prior and likelihoods, as exact hexadecimal numbers."""
        return {
            "model": self.name,
            "version": self.version,
            "voters": list(self.voters_),
            "informative": [bool(i) for i in self.informative_],
            "prior": [float(x).hex() for x in self.prior_],
            "shape": list(self.likelihood_.shape),
            "likelihood": [float(x).hex() for x in self.likelihood_.ravel()],
            "diagnostics": self.diagnostics_,
            "learned": [found.as_dict() for found in self.voter_report()],
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again: its posteriors have the same bits."""
        model = cls()
        model.voters_ = tuple(parameters["voters"])
        model.informative_ = np.array(parameters["informative"], dtype=bool)
        model.prior_ = np.array([float.fromhex(x) for x in parameters["prior"]])
        model.likelihood_ = np.array([float.fromhex(x) for x in parameters["likelihood"]]).reshape(parameters["shape"])
        model.diagnostics_ = dict(parameters["diagnostics"])
        return model


def _entries(votes: Votes, pattern: int) -> Any:
    part = slice(int(votes.indptr[pattern]), int(votes.indptr[pattern + 1]))
    return zip(votes.voter[part], votes.code[part], strict=True)


def leave_one_out(model: Any, votes: Votes, pattern: int) -> dict[str, Any]:
    """For models without contributions: the change of each posterior [K] that a voter's vote makes."""
    said = list(_entries(votes, pattern))
    whole = _single(model, votes, said)
    return {votes.voters[int(v)]: whole - _single(model, votes, [e for e in said if e[0] != v]) for v, _ in said}


def _single(model: Any, votes: Votes, entries: Sequence[Any]) -> Any:
    one = Votes(
        votes.voters,
        votes.n_labels,
        np.array([0, len(entries)]),
        np.array([e[0] for e in entries], np.int32),
        np.array([e[1] for e in entries], np.int16),
        np.ones(1, np.int64),
        np.zeros(1, np.int64),
    )
    return np.asarray(model.predict_proba(one))[0]
