"""Dawid–Skene over the spans that anybody proposes: of each it asks whether it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.auto import Auto
from teachkit.label_models.base import entries
from teachkit.label_models.span_base import Place, Proposed, SpanModel, overlap, proposals
from teachkit.votes.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

NO, YES = 0, 1
NOWHERE = (-1, -1, "")
"""A place that somebody could have marked by mistake, and nobody did."""


@dataclass(frozen=True, slots=True)
class Units:
    """All different proposed spans, each an item of a binary task: of which item (``items``) it is which place."""

    votes: Votes
    items: Any
    places: Sequence[Place]


class CandidateSpans(SpanModel):
    """The binary model ``auto`` on units: the different spans that anybody proposes on an item.

    Votes on a unit. Who proposes it says yes. Who answered the item and did not propose it says no if its silence is
    informative (people and prompts: they read all of the text). Else (labeling functions) it says no where it marked
    something else that overlaps, unless that lies within the unit and has the same label: a rule that knows a part of
    a name has seen that something is there, and knows nothing of how far it reaches, as "cancer" does not speak
    against "breast cancer"; who marks the whole does speak against a part. All others abstain.

    The model is that of choices: it learns how right the yes and the no of each voter are, and takes all units for
    independent given the truth. That spans of an item exclude each other comes in when the answer is decoded. It also makes votes
    on neighbouring units depend on each other in all voters, so that copies are not looked for here.

    A unit is there because somebody proposed it: of all places that could be marked by mistake those are missing that
    nobody did mark. Taken for all there are, they would make marking a wrong place look frequent, and two who agree
    little better than one. The fit is therefore given as many places that all readers of the item passed over as the
    item has units: as if of places that somebody could mistake half are mistaken by somebody.

    Args:
        decode: What the spans of an answer have to have most of: ``log_odds`` (the most probable of all answers without
            overlap) or ``probability``.
        n_iter: Steps at most.
        threads: How many work at once; it changes no bit.
    """

    name: ClassVar[str] = "candidate_spans"
    version: ClassVar[int] = 1

    binary_: Auto

    def __init__(self, *, decode: str = "log_odds", n_iter: int | None = None, threads: int = 1) -> None:
        self.decode = decode
        self.n_iter = n_iter
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn how right each voter is; silence is at random where ``abstain`` says nothing else."""
        known = self._to_fit(answers, gold)
        self._policies(answers, abstain)
        units = self._units(answers, passed_over=True)
        truth = [
            -1 if known[i] is None or p is NOWHERE else int(p in known[i])
            for i, p in zip(units.items, units.places, strict=True)
        ]
        self.binary_ = Auto(discount=False, n_iter=self.n_iter, threads=self.threads)
        self.binary_.fit(units.votes, gold=np.array(truth, dtype=np.int64), abstain="at_random")
        learned = [{"accuracy": found.accuracy} for found in self.binary_.voter_report()]
        self._learn(answers, known, learned)
        conflict = float(answers.conflicting.mean()) if answers.n_items else 0.0
        self.diagnostics_ = {
            **self.binary_.diagnostics_,
            "candidates": sum(place is not NOWHERE for place in units.places),
            "conflict_rate": conflict,
        }
        return self

    def _units(self, answers: Answers, *, passed_over: bool = False) -> Units:
        items: list[int] = []
        places: list[Place] = []
        unit, voter, code = [], [], []
        for one in proposals(answers):
            for place in one.places:
                for who, said in self._said(one, place):
                    unit.append(len(places))
                    voter.append(who)
                    code.append(said)
                items.append(one.item)
                places.append(place)
            readers = [who for who in one.voters if self.informative_[who]] if passed_over else []
            for _ in one.places if readers else ():
                unit += [len(places)] * len(readers)
                voter += readers
                code += [NO] * len(readers)
                items.append(one.item)
                places.append(NOWHERE)
        votes = Votes.from_long(
            np.array(unit, dtype=np.int64),
            np.array(voter, dtype=np.int64),
            np.array(code, dtype=np.int64),
            voters=answers.voters,
            n_items=len(places),
            n_labels=2,
        )
        return Units(votes, items, places)

    def _said(self, one: Proposed, place: Place) -> list[tuple[int, int]]:
        found = []
        for who, spans in zip(one.voters, one.spans, strict=True):
            if place in spans:
                found.append((who, YES))
            elif self.informative_[who] or any(_against(span, place) for span in spans):
                found.append((who, NO))
        return found

    def _probabilities(self, answers: Answers) -> dict[int, list[tuple[Place, float]]]:
        units = self._units(answers)
        found: dict[int, list[tuple[Place, float]]] = {i: [] for i in np.flatnonzero(answers.votes_per_item).tolist()}
        sure = self.binary_.predict_proba(units.votes)[:, YES] if units.places else []
        for item, place, p in zip(units.items, units.places, sure, strict=True):
            found[item].append((place, float(p)))
        return found

    def _evidence(self, answers: Answers) -> dict[str, float]:
        """Log-odds for the spans of the label and against those that are not in it, where they are that."""
        weight = {answers.voters[int(v)]: 0.0 for v in answers.voter}
        units, label = self._units(answers), set(self.predict(answers).label[0])
        for number, place in enumerate(units.places):
            pattern = int(units.votes.pattern_of[number])
            said = {answers.voters[int(v)] for v, _ in entries(units.votes, pattern)}
            for name, odds in self.binary_.contributions(units.votes, pattern).items():
                if name in said:
                    speaks = float(odds[YES] - odds[NO])
                    weight[name] += max(0.0, speaks if place in label else -speaks)
        return weight

    def _exact(self) -> dict[str, Any]:
        return {
            "decode": self.decode,
            "informative": [bool(i) for i in self.informative_],
            "binary": self.binary_.parameters(),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.decode = parameters["decode"]
        self.informative_ = np.array(parameters["informative"], dtype=bool)
        self.binary_ = Auto.from_parameters(parameters["binary"])


def _against(span: Place, place: Place) -> bool:
    """Whether who marks ``span``, and may be silent at random, speaks against ``place``."""
    within = place[0] <= span[0] and span[1] <= place[1] and span[2] == place[2]
    return overlap(span, place) and not within
