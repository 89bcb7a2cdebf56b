"""What label models of spans share: the proposed spans, and how an answer is made of their probabilities."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.label_models.likelihood import policies_of
from teachkit.label_models.value_base import Predicted, ValueModel, check_tie_policy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

Place = tuple[int, int, str]
Ranked = tuple[Place, float, float]
"""A place, its probability, and how probable it would be if nothing overlapped it: what a choice goes by."""

DECODERS = ("probability", "log_odds")
_TIE = 1e-9
_SURE = 1e-12


@dataclass(frozen=True, slots=True)
class Proposed:
    """The answers on one item: of each voter that answered its spans; ``places`` are all of them, sorted."""

    item: int
    voters: Sequence[int]
    spans: Sequence[tuple[Place, ...]]
    places: Sequence[Place]


def proposals(answers: Answers) -> Iterator[Proposed]:
    """Each item that somebody answered."""
    voters, starts = answers.voter.tolist(), answers.starts.tolist()
    for item in np.flatnonzero(answers.votes_per_item).tolist():
        part = slice(starts[item], starts[item + 1])
        spans = answers.value[part].tolist()
        yield Proposed(item, voters[part], spans, sorted({span for said in spans for span in said}))


class SpanModel(ValueModel):
    """A model that gives every proposed span a probability, and decides an item by the best spans without overlap.

    The label holds spans without overlap whose sum of ``decode`` is greatest: of ``log_odds`` (the most probable of all
    sets), or of ``probability`` less 1/2. What is summed is of a span as if no other overlapped it, so that of two
    rivals the better one is in the label though neither has a probability above 1/2. Found by dynamic programming over
    the ends (weighted interval scheduling). A span of exactly 1/2 is in it under the tie policy ``first`` alone; of
    sets that are as good the one that ends first, and has the longer spans. An item that anybody answered has a label,
    be it one without spans.

    Confidence is the least of the probabilities of the label's spans and, for spans that are left out though they
    overlap none of it, of 1 minus theirs; an item without proposals has none.
    """

    kinds: ClassVar[tuple[str, ...]] = ("span",)
    measure: ClassVar[str] = "share"

    informative_: Any
    decode: str
    threads: int

    def _policies(self, answers: Answers, abstain: Abstain) -> None:
        """Which voters say no where they mark nothing on an item that they answered [V]; by default none."""
        if self.decode not in DECODERS:
            raise ValueError(f"decode is one of {', '.join(DECODERS)}, not '{self.decode}'")
        self.informative_ = policies_of(abstain, answers.voters, "at_random") == "informative"

    def _probabilities(self, answers: Answers) -> dict[int, list[Ranked]]:
        """Of each item that was answered the places that come into question, sorted."""
        raise TypeError(f"{type(self).__name__} does not define _probabilities")

    def _evidence(self, answers: Answers) -> dict[str, float]:
        """What each voter speaks for the label of the only item; see ``contributions``."""
        raise TypeError(f"{type(self).__name__} does not define _evidence")

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The spans of each item; the posterior has all that were proposed."""
        check_tie_policy(tie_policy)
        answers = self._known(answers)
        label = answers.of.empty(answers.n_items)
        confidence = np.full(answers.n_items, np.nan)
        posterior: list[list[dict[str, Any]]] = [[] for _ in range(answers.n_items)]
        found = self._probabilities(answers)
        for item, ranked in found.items():
            label[item] = chosen = best_spans(ranked, self.decode, ties=tie_policy == "first")
            if ranked:
                confidence[item] = _confidence(ranked, chosen)
            posterior[item] = [{"start": s, "end": e, "label": name, "probability": p} for (s, e, name), p, _ in ranked]
        return Predicted(label, confidence, posterior)

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """What part of all that speaks for the label is of each voter: they sum to 1."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        weight = self._evidence(one)
        whole = sum(weight.values())
        return {name: w / whole if whole > 0 else 1 / len(weight) for name, w in weight.items()}

    def _learn(self, answers: Answers, gold: Any, more: Sequence[dict[str, Any]]) -> None:
        """How often the spans of each voter are those of the labels (of gold, where known), and what else is known."""
        label = self.predict(answers).label
        right, found, spans = np.zeros((3, len(answers.voters)), dtype=np.int64)
        for voter, item, said in zip(answers.voter.tolist(), answers.item.tolist(), answers.value, strict=True):
            truth = set(label[item] if gold[item] is None else gold[item])
            right[voter] += len(truth.intersection(said))
            found[voter] += len(said)
            spans[voter] += len(truth)
        counts = np.bincount(answers.voter, minlength=len(answers.voters))
        self.learned_ = [
            {
                "voter": name,
                "answers": int(counts[v]),
                "spans": int(found[v]),
                "precision": float(right[v] / found[v]) if found[v] else None,
                "recall": float(right[v] / spans[v]) if spans[v] else None,
                **more[v],
            }
            for v, name in enumerate(answers.voters)
        ]


def best_spans(ranked: Sequence[Ranked], decode: str, *, ties: bool) -> tuple[Place, ...]:
    """Spans without overlap whose worth is greatest; of equal ones those that end first, and the longer, are taken."""
    least = 0.5 - _TIE if ties else 0.5 + _TIE
    chosen = sorted((end, start, name, q) for (start, end, name), _, q in ranked if q > least)
    ends = [one[0] for one in chosen]
    worth = [0.0]
    before = [bisect_right(ends, start, hi=i) for i, (_, start, _, _) in enumerate(chosen)]
    for i, (_, _, _, q) in enumerate(chosen):
        worth.append(max(worth[-1], worth[before[i]] + _worth(q, decode)))
    out, i = [], len(chosen)
    while i:
        if worth[i] > worth[i - 1] + _SURE / 2:
            end, start, name, _ = chosen[i - 1]
            out.append((start, end, name))
            i = before[i - 1]
        else:
            i -= 1
    return tuple(reversed(out))


def _worth(sure: float, decode: str) -> float:
    if decode == "probability":
        return max(sure - 0.5, _SURE)
    inside = min(max(sure, _SURE), 1 - _SURE)
    return max(float(np.log(inside) - np.log1p(-inside)), _SURE)


def _confidence(ranked: Sequence[Ranked], chosen: Sequence[Place]) -> float:
    inside = set(chosen)
    found = [1.0]
    for place, p, _ in ranked:
        if place in inside:
            found.append(p)
        elif not any(overlap(place, other) for other in chosen):
            found.append(1 - p)
    return min(found)


def overlap(one: Place, other: Place) -> bool:
    """Whether two spans share a character."""
    return one[0] < other[1] and other[0] < one[1]
