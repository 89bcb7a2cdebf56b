"""A hidden Markov model over the pieces that all proposed spans cut a text into.

After P. Lison, J. Barnes and A. Hubin, "skweak: Weak supervision made easy for NLP" (ACL 2021): the true labels of
neighbouring pieces are a Markov chain, each voter says something of each piece, and what a voter says depends on the
true label alone. Here a piece is not a token but a run of text between two neighbouring ends of proposals: within it
all voters say the same, so that tokens would add nothing but a notion of a word, which not all languages have. Text
that nobody marks is outside of all spans; each run of touching or overlapping proposals is a chain of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.span_base import Place, Proposed, Ranked, SpanModel, proposals
from teachkit.label_models.value_base import check_at_least

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

OUT, BEGIN, INSIDE = 0, 1, 2
RATES = np.array([[6.0, 1.0, 1.0], [2.0, 5.0, 1.0], [2.0, 1.0, 5.0]])
"""Pseudo-counts of what a voter says [true: outside, begin, inside; said: nothing, begin, inside]: it is right five
times as often as it takes a beginning for a middle or the other way round, and is silent on a part of all spans."""
MOVES = np.array([[5.0, 5.0, 0.0], [4.5, 1.0, 4.5], [4.5, 1.0, 4.5]])
"""Pseudo-counts of steps from [outside, begin, inside] to them: after a piece of a span it ends as often as it goes on;
that the next one begins at once is rare, for something stands between most."""
RIGHT_LABEL = (4.0, 1.0)
_SHOWN = 0.01
_TIGHT = 1e-8

Said = tuple[tuple[int, int, int], ...]
"""Of one piece: voter, begin or inside (or outside: silent where that says something), label."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Pieces that touch each other: their ends, and what was said of each."""

    item: int
    ends: tuple[int, ...]
    said: tuple[Said, ...]


class Hmm(SpanModel):
    """See the module.

    States are outside, and of each label begin and inside. Of each voter it is learned how often it says begin, inside
    or nothing in each of the three, and how often its label is right; steps between the three, and how frequent labels
    are, are common to all. Silence of a voter counts where it is informative and the voter answered the item. Fitted by
    Baum-Welch with the priors of this module, from these alone; chains that are the same are gone through once.

    A span that nobody proposed may be found: the union of what several did. The posterior has all spans between ends
    of proposals that have a probability of .01 or were proposed.

    Args:
        decode: See ``SpanModel``.
        strength: How many times the pseudo-counts of the priors count.
        n_iter: Steps at most.
        tolerance: The fit ends when the log-likelihood of a chain changes by less in the mean.
        threads: For the contract: it changes nothing.
    """

    name: ClassVar[str] = "hmm"
    version: ClassVar[int] = 1

    labels_: tuple[str, ...]
    rates_: Any
    moves_: Any
    share_: Any
    right_: Any

    def __init__(
        self,
        *,
        decode: str = "log_odds",
        strength: float = 1.0,
        n_iter: int = 50,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        self.decode = decode
        self.strength = strength
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how voters mark; silence is at random where ``abstain`` says nothing else."""
        check_at_least("strength", self.strength, 0.01)
        check_at_least("n_iter", self.n_iter, 0)
        known = self._to_fit(answers, gold)
        self._policies(answers, abstain)
        truth = [spans for spans in known if spans]
        self.labels_ = tuple(sorted({span[2] for spans in (*answers.value, *truth) for span in spans}))
        size = len(answers.voters)
        folded = Counter((c.said, _states(c, known[c.item], self.labels_)) for c in self._chains(answers))
        chains = sorted(folded.items(), key=lambda pair: (pair[0][0], pair[0][1] or ()))
        passed = self._passed_over(answers)
        self.rates_ = np.tile(RATES / RATES.sum(axis=1, keepdims=True), (size, 1, 1))
        self.moves_ = MOVES / MOVES.sum(axis=1, keepdims=True)
        self.share_ = np.full(len(self.labels_), 1.0 / max(1, len(self.labels_)))
        self.right_ = np.full(size, RIGHT_LABEL[0] / sum(RIGHT_LABEL))
        total, last, steps, change = max(1, sum(folded.values())), -np.inf, 0, np.inf
        while steps < self.n_iter and change > self.tolerance and chains:
            likelihood = self._step(chains, passed)
            change, last, steps = abs(likelihood - last) / total, likelihood, steps + 1
        self._learn(answers, known, [self._of_voter(v) for v in range(size)])
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        self.diagnostics_ = {
            "iterations": steps,
            "converged": not chains or change <= self.tolerance,
            "log_likelihood": float(last) if np.isfinite(last) else None,
            "chains": len(chains),
            "conflict_rate": conflict,
        }
        return self

    def _of_voter(self, voter: int) -> dict[str, Any]:
        rates = self.rates_[voter]
        return {
            "marks_outside": float(1 - rates[OUT, 0]),
            "begins_right": float(rates[BEGIN, 1]),
            "label_right": float(self.right_[voter]),
        }

    # -- chains

    def _chains(self, answers: Answers) -> Iterator[Chain]:
        number = {name: i for i, name in enumerate(self.labels_)}
        for one in proposals(answers):
            for low, high in _runs(one.places):
                inside = sorted({end for s, e, _ in one.places if low <= s and e <= high for end in (s, e)})
                pieces = pairwise(inside)
                yield Chain(one.item, tuple(inside), tuple(self._said(one, piece, number) for piece in pieces))

    def _said(self, one: Proposed, piece: tuple[int, int], number: Mapping[str, int]) -> Said:
        found = []
        for voter, spans in zip(one.voters, one.spans, strict=True):
            here = next(((s, name) for s, e, name in spans if s <= piece[0] and piece[1] <= e), None)
            if here is not None and here[1] in number:
                found.append((voter, BEGIN if here[0] == piece[0] else INSIDE, number[here[1]]))
            elif here is None and self.informative_[voter]:
                found.append((voter, OUT, -1))
        return tuple(sorted(found))

    def _passed_over(self, answers: Answers) -> Any:
        """How often each voter whose silence counts passed over a piece that nobody marked [V].

        As many are taken to be there as chains: see ``CandidateSpans``.
        """
        found = np.zeros(len(answers.voters))
        for one in proposals(answers):
            readers = [voter for voter in one.voters if self.informative_[voter]]
            found[readers] += sum(1 for _ in _runs(one.places))
        return found

    # -- the model

    def _emission(self, said: Sequence[Said]) -> Any:
        """Log-likelihood of what was said of each piece in each state [T, 1 + 2 L]."""
        several = len(self.labels_)
        out = np.zeros((len(said), 1 + 2 * several))
        with np.errstate(divide="ignore"):
            rates, right = np.log(self.rates_), np.log(self.right_)
            wrong = np.log((1 - self.right_) / max(1, several - 1))
        for t, votes in enumerate(said):
            for voter, what, label in votes:
                out[t, 0] += rates[voter, OUT, what]
                out[t, 1::2] += rates[voter, BEGIN, what]
                out[t, 2::2] += rates[voter, INSIDE, what]
                if what != OUT and several > 1:
                    out[t, 0] -= np.log(several)
                    out[t, 1:] += wrong[voter]
                    out[t, 1 + 2 * label : 3 + 2 * label] += right[voter] - wrong[voter]
        return out

    def _steps(self) -> Any:
        """Probability of each step between states [K, K]; a chain begins and ends outside."""
        several = len(self.labels_)
        found = np.zeros((1 + 2 * several, 1 + 2 * several))
        for kind, rows in ((OUT, [0]), (BEGIN, range(1, 1 + 2 * several, 2)), (INSIDE, range(2, 1 + 2 * several, 2))):
            for row in rows:
                found[row, 0] = self.moves_[kind, OUT]
                found[row, 1::2] = self.moves_[kind, BEGIN] * self.share_
                if row:
                    found[row, 2 * ((row - 1) // 2) + 2] = self.moves_[kind, INSIDE]
        return found

    def _through(self, said: Sequence[Said], states: Sequence[int] | None, steps: Any) -> tuple[Any, Any, Any, float]:
        """Scaled forward and backward [T, K], emissions [T, K], log-likelihood; with known ``states`` these alone."""
        log = self._emission(said)
        if states is not None:
            held = np.full_like(log, -np.inf)
            held[np.arange(len(said)), states] = log[np.arange(len(said)), states]
            log = held
        peak = log.max(axis=1, keepdims=True)
        emit = np.exp(log - peak)
        forward, backward = np.zeros_like(emit), np.ones_like(emit)
        likelihood, previous = float(peak.sum()), None
        for t in range(len(said)):
            row = (steps[0] if previous is None else _times(previous, steps)) * emit[t]
            scale = float(np.cumsum(row)[-1])
            likelihood += float(np.log(scale))
            forward[t] = previous = row / scale
        backward[-1] = steps[:, 0]
        likelihood += float(np.log(np.cumsum(forward[-1] * steps[:, 0])[-1]))
        for t in range(len(said) - 2, -1, -1):
            row = _times(emit[t + 1] * backward[t + 1], steps.T)
            backward[t] = row / row.max()
        return forward, backward, emit, likelihood

    def _step(self, chains: Sequence[tuple[tuple[tuple[Said, ...], Any], int]], passed: Any) -> float:
        """One step of Baum-Welch over different chains and how often each is there; the log-likelihood before it."""
        steps, several = self._steps(), len(self.labels_)
        rates, moves = np.tile(RATES, (len(self.rates_), 1, 1)) * self.strength, MOVES * self.strength
        rates[:, OUT, OUT] += passed
        share = np.full(several, self.strength)
        right = np.tile(np.array(RIGHT_LABEL), (len(self.right_), 1)) * self.strength
        whole = 0.0
        kinds = np.array([OUT, *([BEGIN, INSIDE] * several)])
        for (said, states), count in chains:
            forward, backward, emit, likelihood = self._through(said, states, steps)
            whole += count * likelihood
            sure = _rows(forward * backward)
            pairs = np.zeros((3, 3))
            for t in range(len(said) - 1):
                joint = forward[t][:, None] * steps * (emit[t + 1] * backward[t + 1])[None, :]
                np.add.at(pairs, (kinds[:, None], kinds[None, :]), joint / np.cumsum(joint)[-1])
            np.add.at(pairs[OUT], kinds, sure[0])
            np.add.at(pairs[:, OUT], kinds, sure[-1])
            moves += count * pairs
            share += count * sure[:, 1::2].sum(axis=0)
            state = np.stack([sure[:, 0], sure[:, 1::2].sum(axis=1), sure[:, 2::2].sum(axis=1)], axis=1)
            for t, votes in enumerate(said):
                spoke = {voter: (what, label) for voter, what, label in votes}
                for voter in _present(said):
                    what, label = spoke.get(voter, (OUT, -1))
                    rates[voter, :, what] += count * state[t]
                    if what != OUT:
                        hit = float(sure[t, 1 + 2 * label] + sure[t, 2 + 2 * label])
                        right[voter] += count * np.array([hit, max(0.0, 1 - float(sure[t, 0]) - hit)])
        self.rates_ = rates / rates.sum(axis=2, keepdims=True)
        self.moves_ = moves / moves.sum(axis=1, keepdims=True)
        self.share_ = share / np.cumsum(share)[-1]
        self.right_ = right[:, 0] / right.sum(axis=1)
        return whole

    # -- what it says

    def _probabilities(self, answers: Answers) -> dict[int, list[Ranked]]:
        proposed = {one.item: set(one.places) for one in proposals(answers)}
        found: dict[int, list[Ranked]] = {item: [] for item in proposed}
        steps, kept = self._steps(), dict[Any, Any]()
        for chain in self._chains(answers):
            if chain.said not in kept:
                kept[chain.said] = self._spans(chain.said, steps)
            for (first, last, label), p in kept[chain.said].items():
                place = (chain.ends[first], chain.ends[last + 1], self.labels_[label])
                if p >= _SHOWN or place in proposed[chain.item]:
                    found[chain.item].append((place, p, p))
        for item, places in proposed.items():  # of labels that the fit never saw
            there = {place for place, *_ in found[item]}
            found[item] = sorted([*found[item], *((place, 0.0, 0.0) for place in places - there)])
        return found

    def _spans(self, said: Sequence[Said], steps: Any) -> dict[tuple[int, int, int], float]:
        """The probability of each span from one piece to another [first, last, label]."""
        forward, backward, emit, _ = self._through(said, None, steps)
        found = {}
        size = len(said)
        for label in range(len(self.labels_)):
            begin, inside = 1 + 2 * label, 2 + 2 * label
            for first in range(size):
                whole = float(np.cumsum(forward[first] * backward[first])[-1])
                path = float(forward[first, begin]) / whole  # then times what follows, scaled as ``backward`` is
                for last in range(first, size):
                    state = begin if last == first else inside
                    if last + 1 < size:
                        ahead = emit[last + 1] * backward[last + 1]
                        ways = steps[state] * ahead
                        after = float(np.cumsum(ways)[-1]) - float(ways[inside])
                        scale = float(_times(ahead, steps.T).max())
                    else:
                        after, scale = float(steps[state, 0]), 1.0
                    found[first, last, label] = min(1.0, max(0.0, path * after / scale))
                    if last + 1 < size:
                        path *= float(steps[state, inside] * emit[last + 1, inside]) / scale
        return found

    def _evidence(self, answers: Answers) -> dict[str, float]:
        """By how much each voter raises the log-probability of the label."""
        label = self.predict(answers).label[0]
        steps = self._steps()
        weight = {answers.voters[int(v)]: 0.0 for v in answers.voter}
        for chain in self._chains(answers):
            states = _states(chain, label, self.labels_)
            with_all = self._log_share(chain.said, states, steps)
            for voter in _present(chain.said):
                rest = [tuple(vote for vote in votes if vote[0] != voter) for votes in chain.said]
                moved = with_all - self._log_share(rest, states, steps)
                weight[answers.voters[voter]] += max(0.0, moved)
        return weight

    def _log_share(self, said: Sequence[Said], states: Any, steps: Any) -> float:
        return self._through(said, states, steps)[3] - self._through(said, None, steps)[3]

    def _exact(self) -> dict[str, Any]:
        return {
            "decode": self.decode,
            "informative": [bool(i) for i in self.informative_],
            "labels": list(self.labels_),
            "rates": hexed(self.rates_),
            "moves": hexed(self.moves_),
            "share": hexed(self.share_),
            "right": hexed(self.right_),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.decode = parameters["decode"]
        self.informative_ = np.array(parameters["informative"], dtype=bool)
        self.labels_ = tuple(parameters["labels"])
        self.rates_ = unhexed(parameters["rates"]).reshape(-1, 3, 3)
        self.moves_ = unhexed(parameters["moves"]).reshape(3, 3)
        self.share_, self.right_ = unhexed(parameters["share"]), unhexed(parameters["right"])


def _runs(places: Sequence[Place]) -> Iterator[tuple[int, int]]:
    """Where spans, sorted, touch or overlap: the first start and the last end of each such run."""
    low = high = -1
    for start, end, _ in places:
        if start > high:
            if high >= 0:
                yield low, high
            low, high = start, end
        high = max(high, end)
    if high >= 0:
        yield low, high


def _states(chain: Chain, spans: Any, labels: Sequence[str]) -> tuple[int, ...] | None:
    """The state of each piece where the spans are known: of a piece that one covers in part, as if it did in whole."""
    if spans is None:
        return None
    found = [0] * len(chain.said)
    for start, end, name in spans:
        covered = [t for t in range(len(found)) if chain.ends[t] < end and start < chain.ends[t + 1]]
        for t in covered:
            found[t] = 2 * labels.index(name) + (1 if t == covered[0] else 2)
    return tuple(found)


def _present(said: Sequence[Said]) -> list[int]:
    return sorted({voter for votes in said for voter, _, _ in votes})


def _times(row: Any, matrix: Any) -> Any:
    """A row times a matrix, summed from first to last: a library's own order may depend on the machine."""
    return np.cumsum(row[:, None] * matrix, axis=0)[-1]


def _rows(values: Any) -> Any:
    return values / np.cumsum(values, axis=1)[:, -1:]
