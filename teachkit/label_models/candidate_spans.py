"""Dawid–Skene over the spans that anybody proposes: which of them are right, where no two that overlap can be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.span_base import Place, Proposed, Ranked, SpanModel, overlap, proposals
from teachkit.label_models.value_base import check_at_least, sums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

NO, YES = 0, 1
LEAST_VOTERS = 3
"""Of two voters who contradict each other nothing tells which one is right, unless there is gold."""
RIGHT, WRONG = 4.0, 1.0
"""Pseudo-votes of a voter on right and on wrong places: it is right four times of five, before anything is known."""

Said = tuple[tuple[int, int], ...]
"""Of one place: voter and yes or no."""


@dataclass(frozen=True, slots=True)
class Rivals:
    """Places that overlap, directly or by others between them, in the order of their ends.

    ``before`` says of each how many end before it begins; ``order`` puts them in the order of their starts, and
    ``after`` says of each at which place of that order those begin that start after its end.
    """

    said: tuple[Said, ...]
    before: tuple[int, ...]
    order: tuple[int, ...]
    after: tuple[int, ...]
    known: tuple[int, ...] | None = None


class CandidateSpans(SpanModel):
    """A yes or no about every proposed span, by voters whose yes and no are right to a different degree.

    Units are the different spans that anybody proposes on an item. Who proposes one says yes to it. Who answered the
    item and did not says no if its silence is informative (people and prompts: they read all of the text). Else
    (labeling functions) it says no where it marked something else that overlaps, unless that lies within the unit and
    has the same label: a rule that knows a part of a name has seen that something is there, and knows nothing of how
    far it reaches, as "cancer" does not speak against "breast cancer"; who marks the whole does speak against a part.
    All others abstain.

    Of each voter the share of yes is learned on right and on wrong places, of all units the share of right ones. Which
    units are right is not independent: spans do not overlap. The probability of a set of spans is in proportion to the
    product of their odds if no two overlap, else 0; that of a unit is the sum over all sets that hold it, worked out
    exactly by two passes over the ends. Fitted by EM with these probabilities, from voters that are all alike.

    A unit is there because somebody proposed it: of all places that could be marked by mistake those are missing that
    nobody did mark. Taken for all there are, they would make marking a wrong place look frequent, and two who agree
    little better than one. Each reader of an item is therefore said to have passed over as many wrong places as the
    item has units: as if of places that somebody could mistake half are mistaken by somebody.

    With fewer than three voters and no gold nothing is learned: all voters count the same.

    Args:
        decode: See ``SpanModel``.
        anchor: How much of the first probabilities, by voters that are all alike, stays in the expected votes, 0 to 1:
            at about two votes for each unit EM alone drifts to another split of the units (as in ``Auto``).
        strength: How many times the pseudo-votes of the prior count.
        n_iter: Steps at most.
        tolerance: The fit ends when no probability changes by more.
        threads: For the contract: it changes nothing.
    """

    name: ClassVar[str] = "candidate_spans"
    version: ClassVar[int] = 1

    yes_: Any
    """[V, 2] how likely each voter says yes to a wrong and to a right place, where it says anything."""

    prior_: float

    def __init__(
        self,
        *,
        decode: str = "log_odds",
        anchor: float = 0.3,
        strength: float = 1.0,
        n_iter: int = 100,
        tolerance: float = 1e-6,
        threads: int = 1,
    ) -> None:
        self.decode = decode
        self.anchor = anchor
        self.strength = strength
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how right each voter is; silence is at random where ``abstain`` says nothing else."""
        check_at_least("strength", self.strength, 0.01)
        check_at_least("anchor", self.anchor, 0)
        check_at_least("n_iter", self.n_iter, 0)
        known = self._to_fit(answers, gold)
        self._policies(answers, abstain)
        folded = Counter(rivals for _, _, rivals in self._rivals(answers, known))
        fit = _Fit(sorted(folded.items(), key=lambda pair: _key(pair[0])), len(answers.voters))
        passed = self._passed_over(answers)
        right, wrong = RIGHT * self.strength, WRONG * self.strength
        self.yes_ = np.tile(np.array([wrong, right]) / (right + wrong), (len(answers.voters), 1))
        self.prior_ = 0.5
        few = len(np.unique(fit.voter)) < LEAST_VOTERS and not any(r.known for r in folded)
        steps, change, last = 0, np.inf, fit.sure(self.yes_, self.prior_)
        start = last
        while not few and steps < self.n_iter and change > self.tolerance and len(last):
            held = self.anchor * start + (1 - self.anchor) * last
            yes, no = fit.votes(held)
            self.yes_ = np.stack(
                [
                    (yes[:, 0] + wrong) / (yes[:, 0] + no[:, 0] + passed + right + wrong),
                    (yes[:, 1] + right) / (yes[:, 1] + no[:, 1] + right + wrong),
                ],
                axis=1,
            )
            self.prior_ = fit.share(held, float(self.strength))
            sure = fit.sure(self.yes_, self.prior_)
            change, last, steps = float(np.abs(sure - last).max()), sure, steps + 1
        self._learn(answers, known, [self._of_voter(v) for v in range(len(answers.voters))])
        weak = {
            one["voter"]: "marks no span that another does, or speaks against"
            for one, alone in zip(self.learned_, fit.alone(), strict=True)
            if alone
        }
        self.diagnostics_ = {
            "iterations": steps,
            "fallback": "fewer than three voters: all count the same" if few else None,
            "converged": few or not len(last) or change <= self.tolerance,
            "candidates": int(sum(len(r.said) * n for r, n in folded.items())),
            "share_right": self.prior_,
            "weak_voters": weak,
            "conflict_rate": float(answers.conflicting.mean()) if answers.n_items else 0.0,
        }
        return self

    def _of_voter(self, voter: int) -> dict[str, Any]:
        return {"yes_to_right": float(self.yes_[voter, 1]), "yes_to_wrong": float(self.yes_[voter, 0])}

    def _passed_over(self, answers: Answers) -> Any:
        """How many wrong places each voter is said to have passed over that nobody marked [V]."""
        found = np.zeros(len(answers.voters))
        for one in proposals(answers):
            found[[who for who in one.voters if self.informative_[who]]] += len(one.places)
        return found

    # -- units

    def _rivals(self, answers: Answers, known: Any = None) -> Iterator[tuple[int, list[Place], Rivals]]:
        """Of each item the places that overlap, as they are and as the model sees them."""
        for one in proposals(answers):
            for places in _together(one.places):
                ends, starts = [p[1] for p in places], sorted(p[0] for p in places)
                order = sorted(range(len(places)), key=lambda i: places[i][0])
                gold = None if known is None else known[one.item]
                yield (
                    one.item,
                    places,
                    Rivals(
                        tuple(self._said(one, place) for place in places),
                        tuple(bisect_right(ends, place[0]) for place in places),
                        tuple(order),
                        tuple(bisect_left(starts, place[1]) for place in places),
                        None if gold is None else tuple(int(place in gold) for place in places),
                    ),
                )

    def _said(self, one: Proposed, place: Place) -> Said:
        found = []
        for who, spans in zip(one.voters, one.spans, strict=True):
            if place in spans:
                found.append((who, YES))
            elif self.informative_[who] or any(_against(span, place) for span in spans):
                found.append((who, NO))
        return tuple(found)

    def _probabilities(self, answers: Answers) -> dict[int, list[Ranked]]:
        found: dict[int, list[Ranked]] = {one.item: [] for one in proposals(answers)}
        kept = dict[Rivals, tuple[list[float], list[float]]]()
        odds = _log_odds(self.yes_)
        for item, places, rivals in self._rivals(answers):
            if rivals not in kept:
                own = [self._odds(said, odds) for said in rivals.said]
                kept[rivals] = _marginals(rivals, own), [_sigmoid(one) for one in own]
            found[item] += zip(places, *kept[rivals], strict=True)
        return {item: sorted(ranked) for item, ranked in found.items()}

    def _odds(self, said: Said, odds: Any) -> float:
        whole = float(np.log(self.prior_) - np.log1p(-self.prior_))
        for voter, code in said:
            whole += float(odds[voter, code])
        return whole

    def _evidence(self, answers: Answers) -> dict[str, float]:
        """Log-odds for the spans of the label and against those that are not in it, where they are that."""
        weight = {answers.voters[int(v)]: 0.0 for v in answers.voter}
        odds, label = _log_odds(self.yes_), set(self.predict(answers).label[0])
        for _, places, rivals in self._rivals(answers):
            for place, said in zip(places, rivals.said, strict=True):
                for voter, code in said:
                    speaks = float(odds[voter, code])
                    weight[answers.voters[voter]] += max(0.0, speaks if place in label else -speaks)
        return weight

    def _exact(self) -> dict[str, Any]:
        return {
            "decode": self.decode,
            "informative": [bool(i) for i in self.informative_],
            "yes": hexed(self.yes_),
            "prior": float(self.prior_).hex(),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.decode = parameters["decode"]
        self.informative_ = np.array(parameters["informative"], dtype=bool)
        self.yes_ = unhexed(parameters["yes"]).reshape(-1, 2)
        self.prior_ = float.fromhex(parameters["prior"])


class _Fit:
    """What a fit goes through in each step: different rivals, how often each is there, and their votes in a row."""

    def __init__(self, rivals: Sequence[tuple[Rivals, int]], voters: int) -> None:
        self.rivals, self.voters = [r for r, _ in rivals], voters
        self.weight = np.array([n for r, n in rivals for _ in r.said], dtype=np.float64)
        entries = [(u, v, c) for u, said in enumerate(s for r in self.rivals for s in r.said) for v, c in said]
        self.unit, self.voter, self.code = np.array(entries, dtype=np.int64).reshape(-1, 3).T

    def sure(self, yes: Any, prior: float) -> Any:
        """The probability of each unit."""
        odds = _log_odds(yes)
        whole = sums(self.unit, odds[self.voter, self.code], len(self.weight)) + np.log(prior) - np.log1p(-prior)
        out: list[float] = []
        for rivals in self.rivals:
            out += _marginals(rivals, whole[len(out) : len(out) + len(rivals.said)].tolist())
        return np.array(out, dtype=np.float64)

    def votes(self, sure: Any) -> tuple[Any, Any]:
        """Expected yes and no of each voter to wrong and right units [V, 2] each."""
        shares = np.stack([1 - sure, sure], axis=1) * self.weight[:, None]
        found = []
        for code in (YES, NO):
            mine = self.code == code
            found.append(
                np.stack([sums(self.voter[mine], shares[self.unit[mine], k], self.voters) for k in (0, 1)], axis=1)
            )
        return found[0], found[1]

    def share(self, sure: Any, strength: float) -> float:
        """How many of the units are right, drawn to a half."""
        right, whole = float(np.cumsum(sure * self.weight)[-1]), float(np.cumsum(self.weight)[-1])
        return (right + strength) / (whole + 2 * strength)

    def alone(self) -> list[bool]:
        """Of which voters no unit has a vote of another."""
        several = np.bincount(self.unit, minlength=len(self.weight))[self.unit] > 1
        return list(np.bincount(self.voter[several], minlength=self.voters) == 0)


def _marginals(rivals: Rivals, odds: Sequence[float]) -> list[float]:
    """The probability of each place, if sets without overlap are as probable as the product of their odds.

    Sums over all sets of those that end before a place, and that begin after it, in logarithms.
    """
    if rivals.known is not None:
        return [float(k) for k in rivals.known]
    size = len(odds)
    if size == 1:
        return [_sigmoid(odds[0])]
    left = [0.0] * (size + 1)
    for i in range(size):
        left[i + 1] = _log_sum(left[i], odds[i] + left[rivals.before[i]])
    right = [0.0] * (size + 1)
    for at in range(size - 1, -1, -1):
        i = rivals.order[at]
        right[at] = _log_sum(right[at + 1], odds[i] + right[rivals.after[i]])
    whole = left[size]
    return [
        min(1.0, float(np.exp(left[rivals.before[i]] + odds[i] + right[rivals.after[i]] - whole))) for i in range(size)
    ]


def _log_sum(one: float, other: float) -> float:
    return float(np.logaddexp(one, other))


def _sigmoid(odds: float) -> float:
    return float(1 / (1 + np.exp(-odds))) if odds >= 0 else float(np.exp(odds) / (1 + np.exp(odds)))


def _log_odds(yes: Any) -> Any:
    """What no and yes of each voter add to the log-odds [V, 2]."""
    no = np.log1p(-yes)
    return np.stack([no[:, 1] - no[:, 0], np.log(yes[:, 1]) - np.log(yes[:, 0])], axis=1)


def _together(places: Sequence[Place]) -> Iterator[list[Place]]:
    """Places that overlap, directly or by others between them; each group in the order of ends."""
    group: list[Place] = []
    high = -1
    for place in sorted(places):
        if group and place[0] >= high:
            yield sorted(group, key=lambda p: (p[1], p[0], p[2]))
            group = []
        group.append(place)
        high = max(high, place[1])
    if group:
        yield sorted(group, key=lambda p: (p[1], p[0], p[2]))


def _key(rivals: Rivals) -> Any:
    return rivals.said, rivals.before, rivals.order, rivals.after, rivals.known or ()


def _against(span: Place, place: Place) -> bool:
    """Whether who marks ``span``, and may be silent at random, speaks against ``place``."""
    within = place[0] <= span[0] and span[1] <= place[1] and span[2] == place[2]
    return overlap(span, place) and not within
