"""Bradley–Terry: scores of what is compared, beside reliable and one-sided voters."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models import comparison_kernels as kernels
from teachkit.label_models.diagnostics import flips, identifiability
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.likelihood import FEW_STEPS, MANY_STEPS, LikelihoodModel
from teachkit.label_models.start import majority_start
from teachkit.label_models.sweep import Sweep
from teachkit.votes.comparisons import Comparisons
from teachkit.votes.parts import in_turns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.label_models.base import Abstain
    from teachkit.votes import Votes

_CHUNK = 64
_95 = 1.959963984540054
_START = 0.8472978603872034  # log(0.7 / 0.3): voters are right in seven of ten votes, before anything is known
_TIE_SPREAD, _SILENCE_SPREAD = 2.0, 4.0
_MEAN_SPREAD = 0.5


@dataclass(frozen=True, slots=True)
class ContestantScore:
    """How good one of the things compared is.

    ``score``: log-odds to win against a contestant with the mean score, if there is no tie; 95 % interval ``low`` to
    ``high``. ``comparisons`` that anybody voted on, and what is expected to have come of them.
    """

    contestant: str
    score: float
    low: float
    high: float
    comparisons: int
    wins: float
    losses: float
    ties: float


@dataclass(frozen=True, slots=True)
class SideBias:
    """How much a voter leans to one side: log-odds of the left against the right, with a 95 % interval.

    ``reliability``: log-odds of the better side against the worse one, without that bias.
    """

    voter: str
    reliability: float
    left_bias: float
    low: float
    high: float


class BradleyTerry(LikelihoodModel):
    """Comparisons: R. A. Bradley, M. E. Terry (Biometrika 39, 1952), ties as in R. R. Davidson (JASA 65, 1970).

    Who wins follows from two scores: P(left) : P(right) : P(tie) = e^(d/2) : e^(-d/2) : e^t, d the left's score less
    the right's. Voters see who wins more or less reliably, as in X. Chen et al. (Pairwise ranking aggregation in a
    crowdsourced setting, WSDM 2013), and each may lean to one side: P(vote c | outcome y) is proportional to
    e^(-r |c - y| + b c), outcomes being places (left 1/2, tie 0, right -1/2), r the voter's reliability, b its bias
    to the left in log-odds; a tie, and silence that is informative, have log-odds of their own. Learned together by
    EM from a majority start, each part of an M-step by Newton's method.

    Priors are normal, so few comparisons never give certainty, and contestants that nothing connects stay comparable:
    scores around 0 (``score_spread``: of two contestants one wins between 6 % and 94 % of comparisons), reliabilities
    around the mean of all voters (``reliability_spread``; the mean around 70 % right), biases around 0.

    ``fit`` and the others take ``teachkit.votes.Comparisons``.
    """

    name: ClassVar[str] = "bradley_terry"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("pairwise",)

    scores_: list[ContestantScore]
    sides_: list[SideBias]

    def __init__(
        self,
        *,
        score_spread: float = 1.0,
        reliability_spread: float = 1.0,
        bias_spread: float = 1.0,
        silence_weight: float = 0.25,
        n_iter: int | None = None,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        super().__init__(n_iter=n_iter, tolerance=tolerance, threads=threads)
        self.score_spread = score_spread
        self.reliability_spread = reliability_spread
        self.bias_spread = bias_spread
        self.silence_weight = silence_weight

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn from ``Comparisons``; ``gold`` and ``abstain`` are as for all models."""
        return super().fit(_comparisons(votes), gold=gold, abstain=abstain)

    def _check(self) -> None:
        super()._check()
        for name in ("score_spread", "reliability_spread", "bias_spread"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is more than 0")

    def _fit(self, votes: Votes, clamp: Any) -> None:
        votes = _comparisons(votes)
        weight = self._weight(votes, clamp)
        limit = self.n_iter if self.n_iter is not None else FEW_STEPS if self._mostly_silent(votes) else MANY_STEPS
        game = _Game(votes, np.where((votes.votes_per_pattern > 0) | (clamp >= 0), weight, 0.0))
        weights = np.zeros((len(self.voters_), kernels.WEIGHTS))
        weights[:, 0] = _START
        done, change, scored = 0, None, math.nan
        sweep = _PairSweep(votes, game.pair, clamp, weight, threads=self.threads)
        majority = majority_start(sweep)
        sweep.count()
        self._learn_all(game, sweep, weights)
        while done < limit and (change is None or change > self.tolerance):
            if done:
                self._learn_all(game, sweep, weights)
            change, scored = sweep.step(*self._tables())
            done += 1
        self.learned_ = self._report(votes, sweep)
        self.prior_ = game.mean_shares()
        self.scores_ = game.report(sweep.posterior, _precision(self.score_spread), self.threads)
        self.sides_ = self._side_biases(sweep, weights)
        self.diagnostics_ = {
            "iterations": done,
            "converged": change is not None and change <= self.tolerance,
            "max_change": change,
            "log_likelihood": scored if np.isfinite(scored) else None,
            "flips_against_majority": flips(majority, sweep),
            "contestant_groups": game.groups(),
            **identifiability(votes, self.informative_, self.threads),
        }

    def _mostly_silent(self, votes: Votes) -> bool:
        """Whether a voter whose silence says something is silent on most items.

        On few votes for each item EM drifts to another split of the data, so it stops early.
        """
        spoken = np.bincount(votes.voter, weights=votes.counts[votes.entry_pattern], minlength=len(votes.voters))
        return bool((self.informative_ & (2 * spoken < votes.n_items)).any())

    def _learn_all(self, game: _Game, sweep: _PairSweep, weights: Any) -> None:
        """The M-step: scores by the expected outcomes, then each voter, then the mean of their reliabilities."""
        game.fit(sweep.posterior, _precision(self.score_spread))
        self.contestants_, self.score_of_, self.tie_ = game.votes.contestants, game.scores, game.tie
        sweep.logs = game.logs
        seen, middle, pull = self._seen(sweep, weights)
        kernels.fit_voters(seen, self.informative_, middle, pull, weights)
        self.likelihood_ = np.empty_like(seen)
        kernels.voter_likelihood(weights, self.informative_, self.likelihood_)

    def _seen(self, sweep: _PairSweep, weights: Any) -> tuple[Any, Any, Any]:
        """Expected outcomes of each voter by truth [V, K + 1, K]; centre and precision [W] of its weights' prior."""
        labels = len(sweep.mass)
        seen = np.zeros((len(self.voters_), labels + 1, labels))
        seen[:, :labels] = sweep.sums
        spoken = np.zeros((len(self.voters_), labels))
        for code in range(labels):
            spoken += sweep.sums[:, code]
        seen[:, labels] = np.where(self.informative_[:, None], np.maximum(sweep.mass[None, :] - spoken, 0.0), 0.0)
        spread = np.array([self.reliability_spread, self.bias_spread, _TIE_SPREAD, _SILENCE_SPREAD])
        return seen, np.array([self._mean_reliability(weights, spoken), 0.0, 0.0, 0.0]), 1 / (spread * spread)

    def _side_biases(self, sweep: _PairSweep, weights: Any) -> list[SideBias]:
        """What was learned of each voter's bias, the outcomes being as unsure as they are."""
        votes, size = sweep.votes, len(self.voters_)
        lost, variance = np.zeros((size, kernels.WEIGHTS, kernels.WEIGHTS)), np.empty((size, kernels.WEIGHTS))
        rows = votes.indptr, votes.voter, votes.code, sweep.weight, sweep.posterior
        kernels.unseen(*rows, weights, self.informative_, lost)
        seen, middle, pull = self._seen(sweep, weights)
        kernels.voter_spreads(seen, self.informative_, middle, pull, weights, lost, variance)
        found = []
        for voter, weight, spread in zip(self.voters_, weights.tolist(), variance.tolist(), strict=True):
            by = _95 * math.sqrt(spread[1])
            found.append(SideBias(voter, weight[0], weight[1], weight[1] - by, weight[1] + by))
        return found

    def _mean_reliability(self, weights: Any, spoken: Any) -> float:
        """The mean of the voters that vote, drawn to that before anything is known."""
        active = [float(r) for r, n in zip(weights[:, 0], spoken.sum(axis=1), strict=True) if n > 0]
        own, before = _precision(self.reliability_spread), _precision(_MEAN_SPREAD)
        return (math.fsum(active) * own + _START * before) / (len(active) * own + before)

    def _tables(self) -> tuple[Any, Any]:
        from teachkit.label_models.kernels import tables

        even = np.ones(self.likelihood_.shape[2])  # the prior is that of each pair
        return tables(self.likelihood_, even, self.informative_, float(self.silence_weight))

    def _priors(self, votes: Comparisons) -> tuple[Any, Any, Any]:
        """The pair of each pattern [P], and each pair's log chances and chances of outcomes [Q, K].

        A contestant that the fit did not see has the score 0.
        """
        known = dict(zip(self.contestants_, self.score_of_, strict=True))
        scores = np.array([known.get(name, 0.0) for name in votes.contestants], dtype=np.float64)
        left, right, pair = _pairs(votes)
        logs, shares = np.empty((len(left), votes.n_labels)), np.empty((len(left), votes.n_labels))
        kernels.outcomes(left, right, scores, self.tie_, logs, shares)
        return pair, logs, shares

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]; where nobody votes, what the scores say."""
        votes = _comparisons(votes)
        pair, logs, shares = self._priors(votes)
        sweep = _PairSweep(votes, pair, threads=self.threads)
        sweep.logs = logs
        sweep.infer(*self._tables())
        silent = votes.votes_per_pattern == 0
        sweep.posterior[silent] = shares[pair[silent]]
        return sweep.posterior

    def log_prior_of(self, votes: Votes, pattern: int) -> Any:
        """[K] logarithm of the chance of each outcome of what a pattern compares, before any vote."""
        alone = _comparisons(votes).regrouped(np.array([pattern]), np.zeros(1, dtype=np.int64))
        pair, logs, _ = self._priors(alone)
        return logs[pair[0]]

    @property
    def log_prior(self) -> Any:
        """There is none for all items: see ``log_prior_of``."""
        raise AttributeError("the prior of a comparison is that of its two sides: log_prior_of(votes, pattern)")

    def _known(self, given: Any) -> Votes:
        return super()._known(_comparisons(given))

    def _exact(self) -> dict[str, Any]:
        """Scores and the tie's log-odds exactly, and the same for people to read."""
        return {
            **super()._exact(),
            "contestants": list(self.contestants_),
            "score_of": hexed(self.score_of_),
            "tie": float(self.tie_).hex(),
            "scores": [asdict(score) for score in self.scores_],
            "sides": [asdict(side) for side in self.sides_],
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        super()._restore(parameters)
        self.contestants_ = tuple(parameters["contestants"])
        self.score_of_ = unhexed(parameters["score_of"])
        self.tie_ = float.fromhex(parameters["tie"])
        self.scores_ = [ContestantScore(**score) for score in parameters["scores"]]
        self.sides_ = [SideBias(**side) for side in parameters["sides"]]

    contestants_: tuple[str, ...]
    score_of_: Any
    tie_: float


class _Game:
    """What is compared in some votes, and the scores that follow from expected outcomes."""

    def __init__(self, votes: Comparisons, weight: Any) -> None:
        self.votes, self.weight = votes, weight
        self.left, self.right, self.pair = _pairs(votes)
        self.scores, self.tie = np.zeros(len(votes.contestants)), 0.0
        size = (len(self.left), votes.n_labels)
        self.logs, self.shares, self.counts = np.empty(size), np.empty(size), np.zeros(size)

    def fit(self, posterior: Any, pull: float) -> None:
        """The most likely scores, ``posterior`` [P, K] being how each pattern came out."""
        self.counts[:] = 0.0
        kernels.count_pairs(self.pair, self.weight, posterior, self.counts)
        pulls = pull, _precision(_TIE_SPREAD)
        self.tie = kernels.fit_scores(self.left, self.right, self.counts, *pulls, self.scores, self.tie)
        kernels.outcomes(self.left, self.right, self.scores, self.tie, self.logs, self.shares)

    def mean_shares(self) -> Any:
        """How often each outcome is expected over all comparisons [K]; uniform without any."""
        items = np.bincount(self.pair, weights=self.weight, minlength=len(self.left))
        found = [math.fsum((items * column).tolist()) for column in self.shares.T]
        total = math.fsum(found)
        return np.array(found) / total if total > 0 else np.full(len(found), 1 / len(found))

    def report(self, posterior: Any, pull: float, threads: int) -> list[ContestantScore]:
        """Each contestant, the best first."""
        self.counts[:] = 0.0
        kernels.count_pairs(self.pair, self.weight, posterior, self.counts)
        known, variance = np.zeros(len(self.left)), np.empty(len(self.scores))
        graph = self.left, self.right, known, pull
        kernels.known_weight(self.shares, posterior, self.pair, self.weight, known)
        ends = [(start, min(start + _CHUNK, len(variance))) for start in range(0, len(variance), _CHUNK)]
        in_turns(lambda turn: kernels.spreads(*ends[turn], *graph, variance), len(ends), threads)
        tally = self._tally()
        found = [
            ContestantScore(name, score, score - by, score + by, round(wins + losses + ties), wins, losses, ties)
            for name, score, by, (wins, losses, ties) in zip(
                self.votes.contestants, self.scores.tolist(), (_95 * np.sqrt(variance)).tolist(), tally, strict=True
            )
        ]
        return sorted(found, key=lambda one: (-one.score, one.contestant))

    def _tally(self) -> list[list[float]]:
        """Of each contestant the expected wins, losses and ties against others."""
        other = self.left != self.right
        out = np.zeros((3, len(self.scores)))
        for outcome, (of_left, of_right) in enumerate(((0, 1), (1, 0), (2, 2))[: self.counts.shape[1]]):
            counts = np.where(other, self.counts[:, outcome], 0.0)
            out[of_left] += np.bincount(self.left, weights=counts, minlength=len(self.scores))
            out[of_right] += np.bincount(self.right, weights=counts, minlength=len(self.scores))
        return out.T.tolist()

    def groups(self) -> int:
        """How many groups of contestants nothing compares with each other: across them only the prior speaks."""
        group = list(range(len(self.scores)))

        def head(c: int) -> int:
            while group[c] != c:
                group[c] = group[group[c]]
                c = group[c]
            return c

        for a, b, count in zip(self.left, self.right, self.counts.sum(axis=1), strict=True):
            if count > 0:
                one, other = sorted((head(int(a)), head(int(b))))
                group[other] = one
        return len({head(c) for c in range(len(group))})


class _PairSweep(Sweep):
    """Passes over patterns, the prior of each being that of its pair: ``logs`` [Q, K] of ``pair`` [P]."""

    logs: Any

    def __init__(
        self, votes: Votes, pair: Any, clamp: Any | None = None, weight: Any | None = None, *, threads: int = 1
    ) -> None:
        super().__init__(votes, clamp, weight, threads=threads)
        self.pair = pair

    def _scored(self, chunk: tuple[int, int], scores: Any, base: Any, table: Any) -> None:
        super()._scored(chunk, scores, base, table)
        kernels.add_priors(*chunk, self.pair, self.logs, scores)


def _precision(spread: float) -> float:
    return 1 / (spread * spread)


def _comparisons(votes: Any) -> Comparisons:
    if not isinstance(votes, Comparisons) or not len(votes.left) == len(votes.right) == votes.n_patterns:
        raise ValueError("bradley_terry needs to know what is compared: Comparisons.of(votes, left, right)")
    return votes


def _pairs(votes: Comparisons) -> tuple[Any, Any, Any]:
    """The different pairs (left [Q], right [Q]) in the order of their names, and the pair of each pattern [P]."""
    count = max(1, len(votes.contestants))
    found, pair = np.unique(votes.left * count + votes.right, return_inverse=True)
    return found // count, found % count, pair.ravel().astype(np.int64)
