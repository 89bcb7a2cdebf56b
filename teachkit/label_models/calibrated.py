"""A label model whose posteriors are calibrated on gold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from teachkit.label_models.base import TIE, Abstain, LabelModel, Learned, as_votes, known_codes, none_known
from teachkit.label_models.bootstrap import marks_of
from teachkit.label_models.kernels import log_all, normalise
from teachkit.votes import Votes
from teachkit.votes.calibration import Isotonic, Temperature, fit_isotonic, fit_temperature
from teachkit.votes.confident import folds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Method = Literal["isotonic", "temperature"]
METHODS = ("isotonic", "temperature")
_FLOOR = 1e-300  # what a posterior that vanished is taken for
LEAST = 50
"""Items of gold with a vote that calibration takes."""


class Calibrated(LabelModel):
    """A label model, and a calibration of its posteriors fitted to gold; labels stay what the model says.

    ``temperature`` divides all log-odds by one number. ``isotonic`` maps the posterior of the likeliest label to how
    often that is right, and scales the others to what is left; never so low that another label would be likelier. Items
    without votes keep the prior, ties stay ties. With fewer than ``least`` items of gold that somebody voted on,
    posteriors stay as they are, and ``diagnostics_["calibration"]`` says so.

    The model learns without gold, unless ``clamp``: then it is fitted again for each of ``folds`` parts of gold without
    that part, so that calibration is fitted to posteriors of items whose gold the model did not see.
    """

    name: ClassVar[str] = "calibrated"

    calibration_: Isotonic | Temperature | None
    model_: Any

    def __init__(
        self, model: Any, *, method: Method = "isotonic", clamp: bool = False, folds: int = 5, least: int = LEAST
    ) -> None:
        self.model = model
        self.method = method
        self.clamp = clamp
        self.folds = folds
        self.least = least

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Fit the model, then the calibration to ``gold`` (codes [N], -1 unknown)."""
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}, not '{self.method}'")
        if self.folds < 2:
            raise ValueError("there are at least 2 folds")
        given = as_votes(votes)
        if not isinstance(given, Votes):
            given = Votes.from_matrix(given[0], self.model._least_labels(given[0], gold), given[1])
        known = np.full(given.n_items, -1, dtype=np.int64) if gold is None else known_codes(given, gold)
        fitted = self._new().fit(given, gold=known if self.clamp else None, abstain=abstain)
        return self._around(fitted, given, known, lambda items: self._unseen(fitted, given, known, items, abstain))

    @classmethod
    def around(cls, fitted: Any, votes: Votes, gold: Any, unseen: Callable[[Any], Any], *, method: Method) -> Self:
        """Calibrate a fitted model: ``unseen`` gives the posteriors [M, K] of items by fits without their ``gold``."""
        return cls(fitted, method=method)._around(fitted, votes, gold, unseen)

    def over(self, fitted: Any) -> Self:
        """The same calibration of another fit."""
        other = type(self)(fitted, method=self.method)
        other.model_ = fitted
        other._wrap()
        other.calibration_ = self.calibration_
        other.diagnostics_ = {**fitted.diagnostics_, "calibration": self.diagnostics_["calibration"]}
        return other

    def _around(self, fitted: Any, votes: Votes, gold: Any, unseen: Callable[[Any], Any]) -> Self:
        self.model_ = fitted
        self._wrap()
        items = np.flatnonzero((gold >= 0) & (votes.votes_per_pattern > 0)[votes.pattern_of])
        if len(items) < self.least:
            problem: str | None = f"{len(items)} items have gold and a vote; calibration takes {self.least}"
        else:
            self.calibration_ = _fitted(self.method, unseen(items), gold[items])
            problem = "every item of gold is a tie" if self.calibration_ is None else None
        about = {"method": self.method, "items": len(items), "problem": problem}
        self.diagnostics_ = {**self.model_.diagnostics_, "calibration": about}
        return self

    def _new(self) -> Any:
        return type(self.model)(**self.model.get_params(deep=False))

    def _wrap(self) -> None:
        self.voters_, self.labels_, self.prior_ = self.model_.voters_, self.model_.labels_, self.model_.prior_
        self.calibration_, self.diagnostics_ = None, self.model_.diagnostics_

    def _unseen(self, fitted: Any, votes: Votes, gold: Any, items: Any, abstain: Abstain) -> Any:
        """Posteriors [M, K] of items of gold, by fits that did not see theirs."""
        if not self.clamp:
            return fitted.pattern_proba(votes)[votes.pattern_of[items]]
        marks = marks_of(votes, np.full(votes.n_patterns, -1))  # the order of items decides nothing
        fold = folds_of(gold[items], marks[votes.pattern_of[items]], self.folds)
        found, again = np.empty((len(items), votes.n_labels)), self._new()
        for held in range(min(self.folds, len(items))):
            out = items[fold == held]
            seen = gold.copy()
            seen[out] = -1
            again.fit(votes, gold=seen, abstain=abstain)
            found[fold == held] = again.pattern_proba(votes)[votes.pattern_of[out]]
        return found

    def answers(self, votes: Votes, tie_policy: str) -> tuple[Any, Any]:
        """Calibrated posteriors [P, K], and the labels [P] of the model itself."""
        raw, codes = self.model_.answers(votes, tie_policy)
        return self._calibrated(votes, raw), codes

    def pattern_proba(self, votes: Votes) -> Any:
        """Calibrated posterior of each pattern [P, K]."""
        return self._calibrated(votes, self.model_.pattern_proba(votes))

    def raw_pattern_proba(self, votes: Votes) -> Any:
        """The model's own posterior of each pattern [P, K]."""
        return self.model_.pattern_proba(votes)

    def _calibrated(self, votes: Votes, raw: Any) -> Any:
        voted = votes.votes_per_pattern > 0
        if self.calibration_ is None or not voted.any():
            return raw
        found = raw.copy()
        found[voted] = _applied(self.calibration_, raw[voted])
        return found

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """Those of the model: what calibration adds to them is the rest."""
        found: dict[str, Any] = self.model_.contributions(votes, pattern)
        return found

    def __getattr__(self, name: str) -> Any:
        """What else the fitted model has: its log prior, ``informative_``, if it has them."""
        if name in ("log_prior", "log_prior_of", "informative_", "class_prior") and "model_" in self.__dict__:
            return getattr(self.model_, name)
        return super().__getattr__(name)  # type: ignore[misc]

    def voter_report(self) -> list[Learned]:
        """What the model learned of each voter."""
        found: list[Learned] = self.model_.voter_report()
        return found

    def bootstrap(self, votes: Any, gold: Any | None = None, *, replicates: int = 119, level: float = 0.95) -> Self:
        """See ``LabelModel.bootstrap``; gold counts if the model saw it."""
        self.model_.bootstrap(votes, gold if self.clamp else None, replicates=replicates, level=level)
        return self

    def parameters(self) -> dict[str, Any]:
        """Those of the model, and the calibration; exact."""
        kept = None if self.calibration_ is None else _as_hex(self.calibration_.as_dict())
        return {**self.model_.parameters(), "diagnostics": self.diagnostics_, "calibration": kept}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> Self:
        """The fitted model again: its posteriors have the same bits."""
        from teachkit import registry

        own = {name: value for name, value in parameters.items() if name != "calibration"}
        made = registry.load("label_model", parameters["model"]).from_parameters(own)
        about = parameters["diagnostics"]["calibration"]
        model = cls(made, method=about["method"])
        model.model_ = made
        model._wrap()
        if parameters["calibration"] is not None:
            kept = _from_hex(parameters["calibration"])
            kind = Isotonic if about["method"] == "isotonic" else Temperature
            model.calibration_ = kind.from_dict(kept)
        return model


def _fitted(method: str, shares: Any, truth: Any) -> Isotonic | Temperature | None:
    if method == "temperature":
        return fit_temperature(shares, truth, floor=_FLOOR)
    top, place, tied = _top(shares)
    return fit_isotonic(top[~tied], (place == truth)[~tied])


def _top(shares: Any) -> tuple[Any, Any, Any]:
    """The greatest share of each row, where it stands, and whether there is another as great."""
    top = shares.max(axis=1)
    return top, shares.argmax(axis=1), (shares >= (top * (1 - TIE))[:, None]).sum(axis=1) > 1


def _applied(calibration: Isotonic | Temperature, shares: Any) -> Any:
    """Calibrated shares [M, K]: the order of the labels, and ties, are as before."""
    if isinstance(calibration, Temperature):
        scores = (log_all(np.maximum(shares, _FLOOR).ravel()) / calibration.value).ravel()
        found = np.zeros_like(shares)
        normalise(0, len(shares), scores, np.zeros(len(shares)), none_known(len(shares)), found)
        return found
    top, place, tied = _top(shares)
    rows = np.arange(len(shares))
    rest = shares.copy()
    rest[rows, place] = 0.0
    left = rest.sum(axis=1)
    second = np.divide(rest.max(axis=1, initial=0.0), left, out=np.zeros_like(left), where=left > 0)
    even = np.where(left > 0, 1.0, 0.0)[:, None] * rest / np.where(left > 0, left, 1.0)[:, None]
    if shares.shape[1] > 1:  # nothing is left of a certain label: what calibration takes goes to all others alike
        others = 1.0 / (shares.shape[1] - 1)
        flat = np.full_like(shares, others)
        flat[rows, place] = 0.0
        even = np.where(left[:, None] > 0, even, flat)
        second = np.where(left > 0, second, others)
    least = second / (1 + second) * (1 + 4 * TIE)  # so much that the label stays the likeliest
    sure = np.maximum(calibration.apply(top), least)
    found = even * (1 - sure)[:, None]
    found[rows, place] = sure
    return np.where((tied | (shares.shape[1] == 1))[:, None], shares, found)


def _as_hex(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: [x.hex() for x in v] if isinstance(v, list) else float(v).hex() for n, v in values.items()}


def _from_hex(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: [float.fromhex(x) for x in v] if isinstance(v, list) else float.fromhex(v) for n, v in values.items()}
