"""What a label model is.

A class of a user's own is a label model if it has ``fit(votes, *, gold=None, abstain=None)``, returning itself, and
``predict_proba(votes)`` giving [N, K]; ``votes`` is ``teachkit.votes.Votes``. Contributions are then computed by
leaving one vote out (``leave_one_out``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from teachkit.votes import Votes
from teachkit.votes.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

TIE = 1e-9
TIE_POLICIES = ("abstain", "prior", "first")

Abstain = Mapping[str, str] | Literal["informative", "at_random"] | None
"""What a voter's silence says: for each voter (``informative`` where it is not named), or for all."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model learned of a voter: how often its votes are right, with an interval; confusion [true, outcome].

    ``support`` is the expected number of items behind each row of the confusion.
    """

    voter: str
    accuracy: float | None
    low: float | None
    high: float | None
    confusion: list[list[float]] | None
    support: list[float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def confusion_intervals(self) -> list[list[tuple[float, float] | None]] | None:
        """The Wilson interval of each cell of the confusion; None where no item is expected to have the label."""
        if self.confusion is None or self.support is None:
            return None
        return [[wilson(share * n, n) for share in row] for row, n in zip(self.confusion, self.support, strict=True)]


class LabelModel:
    """A label model on the contract of scikit-learn: learned values end in an underscore.

    ``votes`` may be ``Votes`` or, as Snorkel has them, a matrix of integers [N, V] with -1 for abstain.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("choice", "multichoice")

    class_prior: Any
    prior_: Any
    diagnostics_: dict[str, Any]
    voters_: tuple[str, ...]

    def fit(self, votes: Any, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn from votes; ``gold`` codes [N] (-1 unknown) are held fixed; ``abstain``: what silence says."""
        raise TypeError(f"{type(self).__name__} does not define fit")

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]."""
        raise TypeError(f"{type(self).__name__} does not define pattern_proba")

    def predict_proba(self, votes: Any) -> Any:
        """Posterior of each item [N, K]; without votes, the class prior."""
        votes = self._known(votes)
        return self.pattern_proba(votes)[votes.pattern_of]

    def predict(self, votes: Any, *, tie_policy: str = "abstain") -> Any:
        """The label of each item [N]; -1 without votes, and for ties under the policy ``abstain``."""
        votes = self._known(votes)
        codes = decide(self.pattern_proba(votes), votes.votes_per_pattern, self.prior_, tie_policy)
        return codes[votes.pattern_of]

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """What each voter that voted adds, [K] log-odds to each label (up to a constant)."""
        raise TypeError(f"{type(self).__name__} does not define contributions")

    def voter_report(self) -> list[Learned]:
        """What was learned of each voter."""
        raise TypeError(f"{type(self).__name__} does not define voter_report")

    def parameters(self) -> dict[str, Any]:
        """All that is needed to give the same posteriors, JSON-able and exact."""
        raise TypeError(f"{type(self).__name__} does not define parameters")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again: its posteriors have the same bits."""
        raise TypeError(f"{cls.__name__} does not define from_parameters")

    def _to_fit(self, votes: Any, gold: Any | None) -> tuple[Votes, Any]:
        """The votes, with patterns split by gold, and the known label of each pattern (-1: none)."""
        if not isinstance(votes, Votes):
            votes = Votes.from_matrix(votes, self._least_labels(np.asarray(votes), gold))
        self.voters_ = votes.voters
        return with_gold(votes, gold)

    def _least_labels(self, matrix: Any, gold: Any | None) -> int:
        """K of a matrix: as many labels as votes, gold or a given class prior have, two at least."""
        known = -1 if gold is None else int(np.asarray(gold).max(initial=-1))
        given = 0 if isinstance(self.class_prior, str) else len(self.class_prior)
        return max(2, int(matrix.max(initial=-1)) + 1, known + 1, given)

    def _known(self, given: Any) -> Votes:
        """The votes, if they are of the voters and on the labels that were fitted."""
        if isinstance(given, Votes):
            votes = given
        else:
            matrix = np.asarray(given)
            names = self.voters_ if matrix.ndim == 2 and matrix.shape[1] == len(self.voters_) else None
            votes = Votes.from_matrix(matrix, len(self.prior_), names)
        if votes.voters != self.voters_:
            raise ValueError(f"fitted on the voters {list(self.voters_)}, not on {list(votes.voters)}")
        if votes.n_labels != len(self.prior_):
            raise ValueError(f"fitted on {len(self.prior_)} labels, not on {votes.n_labels}")
        return votes


def class_prior(declared: Any, mass: Any, strength: float) -> Any:
    """The class prior [K]: ``learned`` from expected items ``mass`` [K], ``uniform``, or as given.

    Learned shares are drawn to uniform by ``strength`` items of each label.
    """
    k = len(mass)
    if isinstance(declared, str):
        if declared not in ("learned", "uniform"):
            raise ValueError(f"class_prior is 'learned', 'uniform' or {k} numbers, not '{declared}'")
        total = math.fsum(mass) + strength * k
        uniform = declared == "uniform" or total <= 0.0
        return np.full(k, 1.0 / k) if uniform else (mass + strength) / total
    prior = np.asarray(declared, dtype=np.float64)
    if prior.shape != (k,):
        raise ValueError(f"class_prior has {prior.size} numbers for {k} labels")
    if not (np.isfinite(prior).all() and (prior >= 0).all() and (prior > 0).any()):
        raise ValueError("class_prior has numbers from 0 up, not all 0")
    return prior / math.fsum(prior)


def decide(posterior: Any, voted: Any, prior: Any, tie_policy: str) -> Any:
    """Labels [P] from posteriors [P, K]: by the greatest; ties by the declared policy, never by chance or row.

    Where nobody voted (``voted`` [P], how many did) there is none: -1.

    ``abstain`` gives -1, ``prior`` the label with the greater prior (-1 if that ties too), ``first`` the first label.
    """
    if tie_policy not in TIE_POLICIES:
        raise ValueError(f"tie_policy is one of {', '.join(TIE_POLICIES)}, not '{tie_policy}'")
    from teachkit.label_models.kernels import greatest

    codes = np.full(len(posterior), -1, dtype=np.int16)
    rows, weights = np.ascontiguousarray(posterior, np.float64), np.array(prior, dtype=np.float64)
    greatest(rows, np.asarray(voted, np.int64), weights, TIE, TIE_POLICIES.index(tie_policy), codes)
    return codes


def with_gold(votes: Votes, gold: Any | None) -> tuple[Votes, Any]:
    """Votes whose patterns are split by known gold, and the label to hold fixed for each (-1: none)."""
    if gold is None:
        return votes, np.full(votes.n_patterns, -1, dtype=np.int64)
    gold = np.maximum(np.asarray(gold, dtype=np.int64), -1)
    if gold.shape != (votes.n_items,):
        raise ValueError(f"gold has {gold.size} codes for {votes.n_items} items")
    if gold.max(initial=-1) >= votes.n_labels:
        raise ValueError(f"gold is not within -1..{votes.n_labels - 1}")
    found, pattern_of = np.unique(votes.pattern_of * (votes.n_labels + 1) + gold + 1, return_inverse=True)
    old, clamp = found // (votes.n_labels + 1), found % (votes.n_labels + 1) - 1
    return votes.regrouped(old, pattern_of), clamp


def leave_one_out(model: Any, votes: Votes, pattern: int) -> dict[str, Any]:
    """For models without contributions: the change of each posterior [K] that a voter's vote makes."""
    said = list(entries(votes, pattern))
    one = votes.regrouped(np.array([pattern]), np.zeros(1, np.int64))
    whole = _single(model, one, said)
    return {votes.voters[int(v)]: whole - _single(model, one, [e for e in said if e[0] != v]) for v, _ in said}


def entries(votes: Votes, pattern: int) -> Any:
    """(voter, code) of each vote of a pattern."""
    part = slice(int(votes.indptr[pattern]), int(votes.indptr[pattern + 1]))
    return zip(votes.voter[part], votes.code[part], strict=True)


def _single(model: Any, votes: Votes, said: Sequence[Any]) -> Any:
    """The posterior [K] of the one item of ``votes``, had it these votes."""
    rows = np.array([e[0] for e in said], np.int32), np.array([e[1] for e in said], np.int16)
    one = replace(votes, indptr=np.array([0, len(said)]), voter=rows[0], code=rows[1])
    return np.asarray(model.predict_proba(one))[0]
