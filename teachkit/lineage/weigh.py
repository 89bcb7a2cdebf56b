"""How much each vote on an item moved its label, by the fitted label models."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import has_likelihood, log_prior_of, model_answers
from teachkit.votes.values import value_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.votes import Votes


@dataclass(frozen=True, slots=True)
class Vote:
    """What one voter said of the item: a label, or (``yes`` is false) that it is not this label."""

    voter: str
    kind: str
    label: Any
    node: str
    yes: bool
    line: int | None = None
    at: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    """Of a prompt: what is kept of the model's answer."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A fitted label model that does not say what a vote moves: it is asked again without the vote."""

    model: Any
    voters_: Sequence[str]

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """The change of each posterior [K] that each vote makes."""
        from teachkit.label_models.base import leave_one_out

        return leave_one_out(self.model, votes, pattern)


@dataclass(frozen=True, slots=True)
class Weighed:
    """How much each vote, by (voter, label), and each silence moved the result."""

    toward: str | None
    against: str | None
    measure: str
    prior: float | None
    contributions: Mapping[tuple[str, Any], float]
    silence: Mapping[str, float]
    diagnostics: Mapping[str, Any]
    calibration: float | None = None
    """What calibration adds to the log-odds; None where posteriors are not calibrated."""


BY_THE_MODEL = ("lf", "prompt", "annotator")


def weigh_choice(
    models: Sequence[Any],
    votes: Sequence[Vote],
    posterior: Mapping[str, float],
    labels: Sequence[str],
    sides: tuple[str, str] | None = None,
) -> Weighed:
    """How much each vote moved the odds of the likeliest label against the next; ``sides``: what the item compares."""
    ranked = sorted(range(len(labels)), key=lambda k: (-posterior[labels[k]], k))
    toward, against = ranked[0], ranked[1]
    model = models[0]
    if model is None:
        return Weighed(labels[toward], labels[against], "none", None, {}, {}, {})
    codes = {v.voter: labels.index(v.label) for v in votes if v.kind in BY_THE_MODEL}
    item = _item(model, codes, len(labels), sides)
    moved = model.contributions(item, 0)
    if isinstance(model, LeftOut):
        said = {(v.voter, v.label): float(moved[v.voter][toward]) for v in votes if v.kind in BY_THE_MODEL}
        return Weighed(labels[toward], None, "left_out", None, said, {}, {})
    before = log_prior_of(model, item, 0)
    if before is not None:
        odds = {voter: float(found[toward] - found[against]) for voter, found in moved.items()}
        prior = float(before[toward] - before[against])
        measure = "log_odds"
    else:
        odds = {voter: float(found[toward]) for voter, found in moved.items()}
        prior, measure = None, "share"
    said = {(v.voter, v.label): odds[v.voter] for v in votes if v.voter in odds and v.kind in BY_THE_MODEL}
    silence = {voter: value for voter, value in odds.items() if voter not in codes}
    calibration = _calibration(model, item, posterior[labels[toward]], posterior[labels[against]], (toward, against))
    return Weighed(labels[toward], labels[against], measure, prior, said, silence, model.diagnostics_, calibration)


def _calibration(model: Any, item: Votes, likeliest: float, next_one: float, places: tuple[int, int]) -> float | None:
    """The log-odds of two calibrated posteriors, less those of the model's own."""
    if not hasattr(model, "raw_pattern_proba"):
        return None
    raw, other = (float(model.raw_pattern_proba(item)[0][place]) for place in places)
    if not (raw and other and likeliest and next_one):
        return None
    return math.log(likeliest) - math.log(next_one) - (math.log(raw) - math.log(other))


def weigh_multichoice(
    models: Sequence[Any], votes: Sequence[Vote], posterior: Mapping[str, float], labels: Sequence[str]
) -> Weighed:
    """For each label on its own: how much each vote for it moved the odds of yes against no."""
    said: dict[tuple[str, str], float] = {}
    measure = "none"
    for label, model in zip(labels, models, strict=True):
        if model is None:
            continue
        codes = {v.voter: int(v.yes) for v in votes if v.kind in BY_THE_MODEL and v.label == label}
        measure = _measure(model)
        for voter, found in model.contributions(_item(model, codes, 2), 0).items():
            if voter in codes:
                said[voter, label] = float(found[1] - found[0]) if measure == "log_odds" else float(found[1])
    return Weighed(None, None, measure, None, said, {}, {})


def weigh_values(model: Any, votes: Sequence[Vote], kind: str) -> Weighed:
    """What part in the label each answer has, by (voter, None)."""
    from teachkit.votes import Answers

    if model is None or isinstance(model, LeftOut) or not hasattr(model, "contributions"):
        return Weighed(None, None, "none", None, {}, {}, {})
    voters = model.voters_
    about = value_kind(kind)
    said = {v.voter: about.hashable(v.label) for v in votes if v.kind in BY_THE_MODEL and v.voter in voters}
    places = [voters.index(voter) for voter in said]
    answers = Answers.from_long(
        kind, [0] * len(said), places, about.made(list(said.values())), voters=voters, n_items=1
    )
    moved = model.contributions(answers, 0)
    contributions = {(voter, None): float(part) for voter, part in moved.items()}
    return Weighed(None, None, model.measure, model.prior_weight(answers, 0), contributions, {}, model.diagnostics_)


def _measure(model: Any) -> str:
    if isinstance(model, LeftOut):
        return "left_out"
    return "log_odds" if has_likelihood(model) else "share"


def _item(model: Any, codes: Mapping[str, int], k: int, sides: tuple[str, str] | None = None) -> Votes:
    """These votes on one item."""
    return _as_votes(model, [codes], k, sides)


def _as_votes(model: Any, items: Sequence[Mapping[str, int]], k: int, sides: tuple[str, str] | None = None) -> Votes:
    """Items with these codes, by voter; all compare the same ``sides``."""
    import numpy as np

    from teachkit.votes import Comparisons, Votes

    columns = [np.array([item.get(voter, -1) for item in items], dtype=np.int16) for voter in model.voters_]
    votes = Votes.from_columns(model.voters_, columns, k, n_items=len(items))
    if sides is None:
        return votes
    return Comparisons.of(votes, [sides[0]] * len(items), [sides[1]] * len(items))


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the label model would answer if a voter had abstained, with all that it learned as it is."""

    label: Any
    confidence: float | None
    posterior: Mapping[str, float]
    changes: bool
    """Whether it is another label than the model gives now."""


def without_each(
    models: Sequence[Any],
    votes: Sequence[Vote],
    labels: Sequence[str],
    tie_policy: str,
    *,
    multi: bool,
    sides: tuple[str, str] | None = None,
) -> dict[str, WhatIf]:
    """For each voter of an item, what the label models would answer without it; nothing where they are not known.

    The label is by the models alone, whoever decided. A voter that abstains is silent, which may say something itself.
    """
    voters = list(dict.fromkeys(v.voter for v in votes if v.kind in BY_THE_MODEL))
    if not voters or None in models:
        return {}
    cases: list[str | None] = [None, *voters]
    if multi:
        of_label = [
            {v.voter: int(v.yes) for v in votes if v.label == name and v.kind in BY_THE_MODEL} for name in labels
        ]
    else:
        of_label = [{v.voter: labels.index(v.label) for v in votes if v.kind in BY_THE_MODEL}]
    stacked = [
        _as_votes(
            model, [{w: c for w, c in said.items() if w != gone} for gone in cases], 2 if multi else len(labels), sides
        )
        for model, said in zip(models, of_label, strict=True)
    ]
    plain = [model.model if isinstance(model, LeftOut) else model for model in models]
    posterior, codes = model_answers(stacked, plain, tie_policy, multi=multi)
    found = [_label_of(codes[i], posterior[i], labels, multi=multi) for i in range(len(cases))]
    return {
        voter: WhatIf(label, sure, dict(zip(labels, map(float, posterior[i]), strict=True)), label != found[0][0])
        for i, (voter, (label, sure)) in enumerate(zip(voters, found[1:], strict=True), start=1)
    }


def _label_of(codes: Any, posterior: Any, labels: Sequence[str], *, multi: bool) -> tuple[Any, float | None]:
    """A label by name, or the list of labels of a multichoice item, and how sure the model is of it."""
    if not multi:
        return (None, None) if codes < 0 else (labels[int(codes)], float(posterior[int(codes)]))
    if (codes < 0).any():
        return None, None
    sure = [float(p) if yes else 1 - float(p) for yes, p in zip(codes, posterior, strict=True)]
    return [name for name, yes in zip(labels, codes, strict=True) if yes], min(sure)
