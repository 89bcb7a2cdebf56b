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

from teachkit.label_models.estimator import Estimator
from teachkit.votes import Votes
from teachkit.votes.intervals import Quality, quality, wilson
from teachkit.votes.parts import in_parts

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

TIE = 1e-9
TIE_POLICIES = ("abstain", "prior", "first")

Abstain = Mapping[str, str] | Literal["informative", "at_random"] | None
"""What a voter's silence says: for each voter (``informative`` where it is not named), or for all."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a model learned of a voter: how often its votes are right, with an interval; confusion [true, outcome].

    ``support`` is the expected number of items behind each row of the confusion. ``worth`` is how many votes of known
    truth would say as much of the accuracy as its ``votes`` do. ``spread`` holds the interval of each cell of the
    confusion where it was worked out (by ``LabelModel.bootstrap``).
    """

    voter: str
    accuracy: float | None
    low: float | None
    high: float | None
    confusion: list[list[float]] | None
    support: list[float] | None = None
    worth: float | None = None
    votes: float | None = None
    spread: list[list[list[float]]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def confusion_intervals(self) -> list[list[tuple[float, float] | None]] | None:
        """The interval of each cell of the confusion; None where no item is expected to have the label.

        That of the bootstrap where there was one, else Wilson's, for as many items as the voter's votes are worth.
        """
        if self.spread is not None:
            return [[(low, high) for low, high in row] for row in self.spread]
        if self.confusion is None or self.support is None:
            return None
        known = 1.0 if not self.votes or self.worth is None else min(self.worth / self.votes, 1.0)
        return [
            [
                wilson(share * n * known, n * known) if n * known > 0 else ((0.0, 1.0) if n > 0 else None)
                for share in row
            ]
            for row, n in zip(self.confusion, self.support, strict=True)
        ]


class LabelModel(Estimator):
    """A label model on the contract of scikit-learn: learned values end in an underscore.

    ``votes`` may be ``Votes``; as Snorkel has them, a matrix of integers [N, V] with -1 for abstain; or a long table
    (Arrow, a mapping of arrays, a data frame) with the columns ``item``, ``voter`` and ``label``: see
    ``Votes.from_table``, which also takes other names. Known labels are codes [N] (-1 unknown) or, for votes with
    names, a mapping from item to label.
    """

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("choice", "multichoice")

    class_prior: Any
    threads: int = 1
    prior_: Any
    diagnostics_: dict[str, Any]
    voters_: tuple[str, ...]
    learned_: list[Learned]
    labels_: tuple[Hashable, ...] | None = None
    """The names of the codes; None for votes without names."""

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn from votes; ``gold`` codes [N] (-1 unknown) are held fixed; ``abstain``: what silence says."""
        raise TypeError(f"{type(self).__name__} does not define fit")

    @property
    def classes_(self) -> Any:
        """The codes 0..K-1, in the order of the columns of posteriors."""
        return np.arange(len(self.prior_))

    @property
    def n_features_in_(self) -> int:
        """V, the number of voters."""
        return len(self.voters_)

    def fit_predict(
        self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None, tie_policy: str = "abstain"
    ) -> Any:
        """``fit`` and ``predict`` of the same votes."""
        self.fit(votes, gold, abstain=abstain)
        return self.predict(votes, tie_policy=tie_policy)

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]."""
        raise TypeError(f"{type(self).__name__} does not define pattern_proba")

    def predict_proba(self, votes: Any) -> Any:
        """Posterior of each item [N, K]; without votes, the class prior."""
        votes = self._known(votes)
        return np.take(self.pattern_proba(votes), votes.pattern_of, axis=0)

    def predict(self, votes: Any, *, tie_policy: str = "abstain") -> Any:
        """The label of each item [N]; -1 without votes, and for ties under the policy ``abstain``."""
        votes = self._known(votes)
        return np.take(self.answers(votes, tie_policy)[1], votes.pattern_of)

    def answers(self, votes: Votes, tie_policy: str) -> tuple[Any, Any]:
        """Posterior [P, K] and label [P] of each pattern, as in ``predict_proba`` and ``predict``."""
        found = self.pattern_proba(votes)
        return found, decide(found, votes.votes_per_pattern, self.prior_, tie_policy, self.threads)

    def bootstrap(self, votes: Any, gold: Any | None = None, *, replicates: int = 119, level: float = 0.95) -> Self:
        """Give what was learned of voters intervals by drawing items again: see ``teachkit.label_models.bootstrap``.

        Dearer than a fit, and wider than its own intervals, which take other voters as they are. ``votes`` and ``gold``
        are what was fitted.
        """
        from teachkit.label_models.bootstrap import bootstrap, with_intervals

        split, clamp = with_gold(self._known(votes), gold)
        informative = getattr(self, "informative_", np.ones(len(self.voters_), dtype=bool))
        spread = bootstrap(split, clamp, informative, replicates=replicates, level=level, threads=self.threads)
        self.learned_ = with_intervals(self.voter_report(), spread, informative)
        return self

    def quality(self, votes: Any, gold: Any, *, tie_policy: str = "abstain") -> Quality:
        """How labels compare with gold, over all items with gold and over the labeled ones, with coverage."""
        known = self._known(votes)
        truth = gold_codes(known, gold)
        return quality(
            self.predict(known, tie_policy=tie_policy), truth, max(known.n_labels, int(truth.max(initial=0)) + 1)
        )

    def score(
        self, votes: Any, gold: Any, *, over: Literal["all", "labeled"] = "all", tie_policy: str = "abstain"
    ) -> float:
        """Accuracy over all items with gold, where an item without a label is wrong, or over the ``labeled`` ones.

        NaN without such items. ``quality`` has both, with coverage and an interval.
        """
        if over not in ("all", "labeled"):
            raise ValueError(f"over is 'all' or 'labeled', not '{over}'")
        found = self.quality(votes, gold, tie_policy=tie_policy)
        value = found.accuracy if over == "all" else found.accuracy_labeled
        return math.nan if value is None else value

    def label_table(self, votes: Any, *, tie_policy: str = "abstain") -> Any:
        """An Arrow table with a row for each item: item, label (null if there is none), confidence, posterior, votes.

        Items and labels have the names that the votes have.
        """
        from teachkit.votes.tables import label_table

        known = self._known(votes)
        return label_table(known, self.predict(known, tie_policy=tie_policy), self.predict_proba(known))

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """What each voter that voted adds, [K] log-odds to each label (up to a constant)."""
        raise TypeError(f"{type(self).__name__} does not define contributions")

    def voter_report(self) -> list[Learned]:
        """What was learned of each voter."""
        raise TypeError(f"{type(self).__name__} does not define voter_report")

    def parameters(self) -> dict[str, Any]:
        """All that is needed to give the same posteriors, JSON-able and exact.

        Labels have their names where these are texts, whole numbers or booleans.
        """
        exact = self._exact()
        return {
            "model": self.name,
            "version": self.version,
            "voters": list(self.voters_),
            **({"labels": list(self.labels_ or ())} if _are_plain(self.labels_) else {}),
            **exact,
            "diagnostics": self.diagnostics_,
            "learned": [found.as_dict() for found in self.learned_],
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again: its posteriors have the same bits."""
        model = cls()
        model._restore(parameters)
        model.voters_ = tuple(parameters["voters"])
        model.labels_ = tuple(parameters["labels"]) if "labels" in parameters else None
        model.diagnostics_ = dict(parameters["diagnostics"])
        model.learned_ = [Learned(**found) for found in parameters["learned"]]
        return model

    def _exact(self) -> dict[str, Any]:
        """What ``parameters`` holds of this kind of model alone."""
        raise TypeError(f"{type(self).__name__} does not define parameters")

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        """Set again what ``_exact`` gave."""
        raise TypeError(f"{type(self).__name__} does not define from_parameters")

    def _to_fit(self, votes: Any, gold: Any | None) -> tuple[Votes, Any]:
        """The votes, with patterns split by gold, and the known label of each pattern (-1: none)."""
        given = as_votes(votes)
        if not isinstance(given, Votes):
            matrix, names = given
            given = Votes.from_matrix(matrix, self._least_labels(matrix, gold), names, threads=self.threads)
        self.voters_, self.labels_ = given.voters, given.labels
        return with_gold(given, gold)

    def _least_labels(self, matrix: Any, gold: Any | None) -> int:
        """K of a matrix: as many labels as votes, gold or a given class prior have, two at least."""
        given = 0 if isinstance(self.class_prior, str | Mapping) else np.size(self.class_prior)
        codes = [np.asarray(c) for c in (matrix, gold) if c is not None and not isinstance(c, Mapping)]
        return max(2, given, *(int(c.max()) + 1 for c in codes if c.size and c.dtype.kind in "iub"))

    def _known(self, given: Any) -> Votes:
        """The votes, if they are of the voters and on the labels that were fitted."""
        if not hasattr(self, "voters_"):
            raise ValueError(f"{type(self).__name__} is not fitted yet: call fit first")
        votes = as_votes(given, self.voters_, self.labels_)
        if not isinstance(votes, Votes):
            matrix, names = votes
            if names is None and matrix.ndim == 2 and matrix.shape[1] != len(self.voters_):
                raise ValueError(f"a matrix of {matrix.shape[1]} columns, but fitted on {len(self.voters_)} voters")
            votes = Votes.from_matrix(matrix, len(self.prior_), names or self.voters_, threads=self.threads)
        if votes.voters != self.voters_:
            raise ValueError(f"fitted on the voters {list(self.voters_)}, not on {list(votes.voters)}")
        if votes.n_labels != len(self.prior_):
            raise ValueError(f"fitted on {len(self.prior_)} labels, not on {votes.n_labels}")
        if None not in (votes.labels, self.labels_) and votes.labels != self.labels_:
            raise ValueError(f"fitted on the labels {list(self.labels_ or ())}, not on {list(votes.labels or ())}")
        return votes


def _are_plain(labels: tuple[Hashable, ...] | None) -> bool:
    """Whether there are names of labels that JSON gives back as they were."""
    return labels is not None and all(type(label) in (str, int, bool) for label in labels)


def as_votes(
    given: Any, voters: Sequence[str] | None = None, labels: Sequence[Hashable] | None = None
) -> Votes | tuple[Any, list[str] | None]:
    """Votes as they are, or of a long table; else a matrix, and the names that its columns have, if they are texts."""
    from teachkit.votes.tables import COLUMNS, column_names, is_long_table

    if isinstance(given, Votes):
        return given
    if is_long_table(given):
        return Votes.from_table(given, voters=voters, labels=labels)
    names = column_names(given)
    if names is not None and (isinstance(given, dict) or not hasattr(given, "__array__")):
        wanted = "', '".join(COLUMNS)
        raise ValueError(f"a table of votes has the columns '{wanted}' (others: Votes.from_table), not {names}")
    named = names is not None and all(isinstance(name, str) for name in names)
    return np.asarray(given), names if named else None


def gold_codes(votes: Votes, gold: Any) -> Any:
    """Known labels as codes [N], -1 unknown: from codes, or from labels by name of the item.

    Raises:
        ValueError: they are not integers, or not one for each item.
    """
    codes = votes.codes_of(gold) if isinstance(gold, Mapping) else np.asarray(gold)
    if codes.size and codes.dtype.kind not in "iub":
        raise ValueError(f"gold has integers, -1 where it is unknown, not {codes.dtype}")
    if codes.shape != (votes.n_items,):
        raise ValueError(f"gold has {codes.size} codes for {votes.n_items} items")
    return np.maximum(codes.astype(np.int64), -1)


def known_codes(votes: Votes, gold: Any) -> Any:
    """``gold_codes`` of labels that the votes have; ``ValueError`` for others."""
    codes = gold_codes(votes, gold)
    if codes.max(initial=-1) >= votes.n_labels:
        raise ValueError(f"gold is not within -1..{votes.n_labels - 1}")
    return codes


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
    if isinstance(declared, Mapping):
        raise ValueError(f"class_prior is 'learned', 'uniform' or {k} numbers in the order of the codes, not a mapping")
    prior = np.asarray(declared, dtype=np.float64)
    if prior.shape != (k,):
        raise ValueError(f"class_prior has {prior.size} numbers for {k} labels")
    if not (np.isfinite(prior).all() and (prior >= 0).all() and (prior > 0).any()):
        raise ValueError("class_prior has numbers from 0 up, not all 0")
    return prior / math.fsum(prior)


def decide(posterior: Any, voted: Any, prior: Any, tie_policy: str, threads: int = 1) -> Any:
    """Labels [P] from posteriors [P, K]: by the greatest; ties by the declared policy, never by chance or row.

    Where nobody voted (``voted`` [P], how many did) there is none: -1.

    ``abstain`` gives -1, ``prior`` the label with the greater prior (-1 if that ties too), ``first`` the first label.
    Only the second looks at ``prior`` [K].
    """
    if tie_policy not in TIE_POLICIES:
        raise ValueError(f"tie_policy is one of {', '.join(TIE_POLICIES)}, not '{tie_policy}'")
    from teachkit.label_models.kernels import greatest

    codes, rows = np.empty(len(posterior), dtype=np.int16), np.ascontiguousarray(posterior, np.float64)
    in_parts(lambda start, stop: greatest(start, stop, rows, TIE, codes), len(codes), threads)
    tied = np.flatnonzero(codes < 0)
    if tie_policy != "abstain" and len(tied):
        top = _greatest(rows[tied])
        if tie_policy == "prior":
            top = _greatest(np.where(top, np.asarray(prior), -1.0))
        codes[tied] = np.where((top.sum(axis=1) == 1) | (tie_policy == "first"), top.argmax(axis=1), -1)
    codes[np.asarray(voted) == 0] = -1
    return codes


def _greatest(rows: Any) -> Any:
    """Which numbers of each row are as great as its greatest, up to rounding."""
    return rows >= rows.max(axis=1, keepdims=True) * (1.0 - TIE)


def none_known(patterns: int) -> Any:
    """What label is held fixed for each of so many patterns where none is: kernels are compiled for this type alone."""
    return np.full(patterns, -1, dtype=np.int16)


def with_gold(votes: Votes, gold: Any | None) -> tuple[Votes, Any]:
    """Votes whose patterns are split by known gold, and the label to hold fixed for each (-1: none)."""
    if gold is None:
        return votes, none_known(votes.n_patterns)
    gold = known_codes(votes, gold)
    found, pattern_of = np.unique(votes.pattern_of * (votes.n_labels + 1) + gold + 1, return_inverse=True)
    old, clamp = found // (votes.n_labels + 1), found % (votes.n_labels + 1) - 1
    return votes.regrouped(old, pattern_of), clamp.astype(np.int16)


def leave_one_out(model: Any, votes: Votes, pattern: int) -> dict[str, Any]:
    """For models without contributions: the change of each posterior [K] that a voter's vote makes."""
    said = list(entries(votes, pattern))
    one = votes.regrouped(np.array([pattern]), np.zeros(1, np.int64))
    whole = _single(model, one, said)
    return {votes.voters[int(v)]: whole - _single(model, one, [e for e in said if e[0] != v]) for v, _ in said}


def entries(votes: Any, pattern: int) -> Any:
    """(voter, code) of each vote of a pattern.

    Raises:
        ValueError: a matrix has no patterns.
    """
    if not isinstance(votes, Votes):
        advice = "votes = Votes.from_matrix(matrix), and the pattern of an item is votes.pattern_of[item]"
        raise ValueError(f"contributions are of a pattern of Votes, not of a {type(votes).__name__}: {advice}")
    part = slice(int(votes.indptr[pattern]), int(votes.indptr[pattern + 1]))
    return zip(votes.voter[part], votes.code[part], strict=True)


def _single(model: Any, votes: Votes, said: Sequence[Any]) -> Any:
    """The posterior [K] of the one item of ``votes``, had it these votes."""
    rows = np.array([e[0] for e in said], votes.voter.dtype), np.array([e[1] for e in said], np.int16)
    one = replace(votes, indptr=np.array([0, len(said)]), voter=rows[0], code=rows[1])
    return np.asarray(model.predict_proba(one))[0]


def item_weights(votes: Votes, clamp: Any, informative: Any | None = None) -> Any:
    """How many items a pattern counts for [P]: where nobody's silence says anything, silent items say nothing.

    ``informative`` [V]: whose silence says something; None: nobody's.
    """
    weight = votes.counts.astype(np.float64)
    if informative is None or not informative.any():
        weight[(votes.votes_per_pattern == 0) & (clamp < 0)] = 0.0
    return weight
