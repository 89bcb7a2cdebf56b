"""What the fitted label models of a label set answer.

A fit that sees gold of tune knows the items that it is then judged on. So each of these is judged by a fit that was not
told its gold: that of its fold. Thus all that is measured on a label set (figures of quality, errors, suggestions, what
a voter is worth) is of labels that nobody told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.votes import Votes


@dataclass(frozen=True)
class Held:
    """The models of one fold, and the ``rows`` [M] of the items that they judge."""

    rows: Any
    load: Callable[[], Sequence[Any]]

    @cached_property
    def models(self) -> Sequence[Any]:
        """One model, for multichoice one for each label; made of stored parameters when they are first asked."""
        return self.load()

    @classmethod
    def of(cls, rows: Any, models: Sequence[Any]) -> Self:
        """A fold whose models are there."""
        return cls(rows, lambda: models)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The fitted ``models`` of a label set, one; of multichoice one for each label.

    ``held``: what judges the items whose gold the models were told; nothing where they were told none.
    """

    models: Sequence[Any]
    held: Sequence[Held] = ()

    def judges(self, n: int) -> Any:
        """What judges each of ``n`` items [n]: 0 ``models``, else what number of ``held``, from 1 on."""
        import numpy as np

        found = np.zeros(n, dtype=np.int64)
        for number, held in enumerate(self.held, start=1):
            found[held.rows] = number
        return found

    def judge_of(self, row: int) -> Held | None:
        """What judges an item in place of ``models``, if its gold is in their fit."""
        return next((held for held in self.held if (held.rows == row).any()), None)


def log_prior_of(model: Any, votes: Votes, pattern: int) -> Any:
    """What the posterior of a pattern has in log-odds [K] before anybody votes; None where a model has no likelihood.

    It is the class prior; of comparisons that of the two sides.
    """
    if hasattr(model, "log_prior_of"):
        return model.log_prior_of(votes, pattern)
    return getattr(model, "log_prior", None)


def has_likelihood(model: Any) -> bool:
    """Whether what a model's votes move is log-odds."""
    return hasattr(model, "log_prior_of") or hasattr(model, "log_prior")


class BadPosterior(Exception):
    """A class of a user's own gives what are no posteriors."""

    def __init__(self, advice: str) -> None:
        super().__init__("predict_proba must give rows of shares that sum to 1, one column for each label")
        self.advice = advice


def model_answers(votes_of: Sequence[Votes], models: Sequence[Any], tie_policy: str, *, multi: bool) -> tuple[Any, Any]:
    """Posterior [N, L] and the models' own codes [N] (multichoice: [N, L] of 1, 0, -1).

    Of a multichoice item that anybody spoke about, a label that nobody spoke about is what its posterior says: most
    voters name the labels that hold, and pass over the others.

    Raises:
        BadPosterior: a model does not give rows of probabilities.
    """
    import numpy as np

    found = [_answer(votes, model, tie_policy) for votes, model in zip(votes_of, models, strict=True)]
    if not multi:
        return found[0][0], found[0][1].astype(np.int16)
    posterior = np.stack([shares[:, 1] for shares, _ in found], axis=1)
    codes = np.stack([codes for _, codes in found], axis=1).astype(np.int16)
    spoken_of = np.stack([votes.votes_per_pattern[votes.pattern_of] > 0 for votes in votes_of], axis=1)
    passed_over = ~spoken_of & spoken_of.any(axis=1, keepdims=True)
    codes[passed_over] = (posterior > 0.5)[passed_over]
    return posterior, codes


def _answer(votes: Votes, model: Any, policy: str) -> tuple[Any, Any]:
    """Posterior [N, K] and decided codes [N] of one model."""
    import numpy as np

    from teachkit.label_models.base import decide

    if hasattr(model, "answers"):
        shares, codes = model.answers(votes, policy)
        return shares[votes.pattern_of], codes[votes.pattern_of]
    found = np.asarray(model.predict_proba(votes), dtype=np.float64)
    right = found.shape == (votes.n_items, votes.n_labels) and np.allclose(found.sum(axis=1), 1.0, atol=1e-6)
    if not right or (found < 0).any():
        raise BadPosterior(f"expected the shape {(votes.n_items, votes.n_labels)}")
    uniform = np.full(votes.n_labels, 1 / votes.n_labels)
    return found, decide(found, votes.votes_per_pattern[votes.pattern_of], uniform, policy)


def answers_of(votes_of: Sequence[Votes], fitted: Fitted, tie_policy: str, *, multi: bool) -> tuple[Any, Any]:
    """``model_answers``, where items whose gold is in the fit are judged by one that was not told it."""
    posterior, codes = model_answers(votes_of, fitted.models, tie_policy, multi=multi)
    for held in fitted.held:
        some = [votes.of_items(held.rows) for votes in votes_of]
        posterior[held.rows], codes[held.rows] = model_answers(some, held.models, tie_policy, multi=multi)
    return posterior, codes
