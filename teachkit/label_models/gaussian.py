"""Numbers of voters that each have a bias and a spread of their own, about a true value for each item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.value_base import Z95, Predicted, ValueModel, check_at_least, number_or_none, sums, total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.label_models.base import Abstain
    from teachkit.votes.answers import Answers

_STEPS = 500
_TOLERANCE = 1e-9  # of the spread of all answers
_HALF = 1e-9  # so near to one half of the weight is a half
_MAD = 1.482602218505602  # from the median absolute deviation to the standard deviation of a normal distribution
_MEDIAN = 1.5707963267948966  # how much less sure a median is than a mean: its variance is pi / 2 times as great


@dataclass(frozen=True, slots=True)
class _Truth:
    """What is believed of the items: ``mean`` and ``variance`` [N], ``precision`` [N] (of answers alone ``told``)."""

    mean: Any
    variance: Any
    precision: Any


class Gaussian(ValueModel):
    """Answer = true value of the item + bias of the voter + noise of the voter's variance; all of them normal.

    The true values have a normal prior, whose mean and variance are learned. Fitted by EM (expectation, conditional
    maximisation) from the items' means, as the regression of Raykar et al. (Learning From Crowds, JMLR 11, 2010,
    section 5) without features, with priors that hold where votes are few:

    * A voter's bias is drawn to 0 by ``strength`` answers without bias. Where 0 is, votes cannot tell, for all voters
      may be off alike: it is where the middle one of the biases is (voters of few votes, and noisy ones, count less),
      so that one voter that is far off (another unit, a slip) moves nothing; gold outvotes that.
    * A voter's variance is drawn to that of the population by ``strength`` answers. An estimate from n answers has a
      relative error of about sqrt(2 / n): from 4, the default, it is 70 %, so that a voter's own votes count as much
      as the population only where they begin to say something. The population's is the harmonic mean of the voters'
      variances, those of few votes counting less: the likeliest scale of the inverse gamma prior that this is.
    * The variance of the true values is drawn to that of all answers, as strongly.
    * EM starts from means in which a voter counts as it goes along with the others (its squared correlation with their
      means): rules that always say the same, or nearly so, agree with each other better than any measurement does, and
      a fit that starts from plain means may take what they say for the truth.
    * No variance is less than what rounding makes: a twelfth of the square of the smallest gap between two answers.

    The spread of an item's posterior holds the uncertainty of the prior's mean, of the biases and of where 0 is beside
    that of the item itself. Where no item has two answers (nor gold), noise and truth cannot be told apart: then labels
    are the answers, and their spread is that of all answers, which is the most that it can be.
    """

    name: ClassVar[str] = "gaussian"
    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("number",)
    measure: ClassVar[str] = "weight"

    bias_: Any
    variance_: Any
    bias_variance_: Any
    prior_mean_: float
    prior_variance_: float
    prior_mean_variance_: float
    shift_variance_: float

    def __init__(self, *, strength: float = 4.0, n_iter: int = _STEPS, threads: int = 1) -> None:
        self.strength = strength
        self.n_iter = n_iter
        self.threads = threads

    def fit(self, answers: Answers, *, gold: Any | None = None, abstain: Abstain = None) -> Self:
        """Learn each voter's bias and variance, and what the true values are like."""
        check_at_least("strength", self.strength, 0.5)
        check_at_least("n_iter", self.n_iter, 1)
        known = self._to_fit(answers, gold)
        n, v = answers.n_items, len(answers.voters)
        per = np.bincount(answers.voter, minlength=v).astype(np.float64)
        spread, least = _spread(answers.value), _rounding(answers.value)
        self._start(answers, spread, v)
        compared = (answers.votes_per_item > 1) | (~np.isnan(known) & (answers.votes_per_item > 0))
        identified = bool(compared.any()) and spread > 0
        steps, change = 0, 0.0
        if identified:
            steps, change = self._learn(answers, known, per, spread, least)
        else:
            self.prior_variance_ = np.inf if spread > 0 else np.nan
            self.variance_[:] = spread if spread > 0 else np.nan
        self._report(answers, known, per)
        self.diagnostics_ = {
            "iterations": steps,
            "converged": change <= _TOLERANCE,
            "max_change": change,
            "identified": identified,
            "items_compared": int(compared.sum()),
            "weak_voters": _weak(answers, known) if n else {},
            "conflict_rate": float(answers.conflicting.mean()) if n else 0.0,
        }
        return self

    def _start(self, answers: Answers, spread: float, voters: int) -> None:
        self.bias_, self.bias_variance_ = np.zeros(voters), np.zeros(voters)
        self.variance_ = np.full(voters, spread)
        self.prior_mean_ = total(answers.value) / len(answers.value) if len(answers.value) else np.nan
        self.prior_variance_, self.prior_mean_variance_, self.shift_variance_ = spread, 0.0, 0.0

    def _learn(self, answers: Answers, known: Any, per: Any, spread: float, least: float) -> tuple[int, float]:
        """Steps of EM, two and two with a leap along the line that they take (SQUAREM, Varadhan and Roland 2008).

        A leap from which a step leads farther than the steps before it is taken back.
        """
        self.variance_ = np.maximum(_within(answers) / _in_step(answers, self.strength), least)
        scale, there = float(np.sqrt(spread)), (answers.votes_per_item > 0) | ~np.isnan(known)

        def step() -> Any:
            return self._step(answers, known, per, spread, least)[there]

        change, steps, labels = np.inf, 0, step()
        while steps < self.n_iter and change > _TOLERANCE:
            before, start = labels, self._state(scale)
            labels = step()
            one = self._state(scale)
            change, steps = float(np.abs(labels - before).max()) / scale, steps + 1
            if change <= _TOLERANCE or steps >= self.n_iter:
                break
            before, labels = labels, step()
            two = self._state(scale)
            change, steps = float(np.abs(labels - before).max()) / scale, steps + 1
            move, bend = one - start, two - 2 * one + start
            length = float(np.sqrt(total(move**2) / total(bend**2))) if bend.any() else 1.0
            if change > _TOLERANCE and length > 1:
                leap = start + 2 * length * move + length**2 * bend
                self._set_state(leap, scale, least)
                after = step()
                if total((self._state(scale) - leap) ** 2) > total(move**2):
                    self._set_state(two, scale, least)
                else:
                    labels = after
                steps += 1
        return steps, change

    def _state(self, scale: float) -> Any:
        """What the steps change, in one array without a unit."""
        prior = (self.prior_mean_ / scale, self.prior_variance_ / scale**2)
        return np.concatenate([self.bias_ / scale, self.variance_ / scale**2, prior])

    def _set_state(self, state: Any, scale: float, least: float) -> None:
        size = len(self.bias_)
        self.bias_ = state[:size] * scale
        self.variance_ = np.maximum(state[size : 2 * size] * scale**2, least)
        self.prior_mean_ = float(state[-2]) * scale
        self.prior_variance_ = max(float(state[-1]) * scale**2, least)

    def _step(self, answers: Answers, known: Any, per: Any, spread: float, least: float) -> Any:
        """One step of EM; the labels [N] that it is made from."""
        item, voter = answers.item, answers.voter
        truth = self._truth(answers, known)
        residual = answers.value - truth.mean[item]
        counted = per + self.strength
        self.bias_ = sums(voter, residual, len(per)) / counted
        self.bias_variance_ = self.variance_ / counted
        square = (residual - self.bias_[voter]) ** 2 + truth.variance[item] + self.bias_variance_[voter]
        trust = per / counted
        pooled = max(total(trust) / total(trust / self.variance_), least)
        own = sums(voter, square, len(per)) + self.strength * pooled
        self.variance_ = np.maximum(own / counted, least)
        truth = self._centre(answers, known, truth, per, pooled)
        there = (answers.votes_per_item > 0) | ~np.isnan(known)
        self._learn_prior(truth, there, spread, least)
        return truth.mean

    def _centre(self, answers: Answers, known: Any, truth: _Truth, per: Any, pooled: float) -> _Truth:
        """The shift that all biases have in common, of which only gold and their prior say anything: to its optimum.

        EM alone would creep there.
        """
        voted = per > 0
        biases = self.bias_[voted]
        trust = (per / (per + self.strength) * pooled / (pooled + self.variance_))[voted]
        middle = _median(biases, trust)
        spread = max((_MAD * _median(np.abs(biases - middle), trust)) ** 2, pooled / self.strength)
        weight = total(trust) ** 2 / total(trust**2) / (_MEDIAN * spread)  # as many voters as weigh alike
        judged = ~np.isnan(known[answers.item])
        of, off = answers.voter[judged], answers.value[judged] - known[answers.item[judged]]
        telling = 1 / self.variance_[of]
        whole = weight + total(telling)
        shift = (weight * middle - total(telling * (off - self.bias_[of]))) / whole
        self.shift_variance_ = 1 / whole
        self.bias_ = np.where(voted, self.bias_ - shift, self.bias_)
        self.prior_mean_ += shift
        return replace(truth, mean=np.where(np.isnan(known), truth.mean + shift, known))

    def _learn_prior(self, truth: _Truth, there: Any, spread: float, least: float) -> None:
        """The prior's mean by the items' own precisions, then its variance."""
        mean, variance = truth.mean[there], truth.variance[there]
        # What an item's answers say alone has this precision; one that is known has no limit to it.
        with np.errstate(divide="ignore"):
            told = np.maximum(1 / variance - 1 / self.prior_variance_, 0.0)
            error = np.where(told > 0, 1 / told, np.inf)
        weight = 1 / (self.prior_variance_ + error)
        alone = np.where(told > 0, mean + (mean - self.prior_mean_) * error / self.prior_variance_, self.prior_mean_)
        alone = np.where(np.isfinite(alone), alone, mean)
        whole = total(weight)
        if whole > 0:
            self.prior_mean_ = total(weight * alone) / whole
            self.prior_mean_variance_ = 1 / whole
        square = (mean - self.prior_mean_) ** 2 + variance
        found = (total(square) + self.strength * spread) / (len(square) + self.strength)
        self.prior_variance_ = max(found, least)

    def _truth(self, answers: Answers, known: Any | None = None) -> _Truth:
        """The posterior of each item by the present parameters; known items are what they are."""
        weight = 1 / self.variance_[answers.voter]
        told = sums(answers.item, weight, answers.n_items)
        said = sums(answers.item, weight * (answers.value - self.bias_[answers.voter]), answers.n_items)
        flat = np.isinf(self.prior_variance_)
        prior = 0.0 if flat or self.prior_variance_ == 0 else 1 / self.prior_variance_
        precision = told + prior
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (said + prior * self.prior_mean_) / precision
            variance = 1 / precision
        if known is not None:
            given = ~np.isnan(known)
            mean, variance = np.where(given, known, mean), np.where(given, 0.0, variance)
        return _Truth(mean, variance, precision)

    def predict(self, answers: Answers, *, tie_policy: str = "abstain") -> Predicted:
        """The posterior's mean, its standard deviation and 95 % interval; without answers no label, and the prior."""
        answers = self._known(answers)
        voted = answers.votes_per_item > 0
        if np.isnan(self.prior_variance_):  # nothing is known of any spread: all answers are the same
            mean = sums(answers.item, answers.value, answers.n_items) / np.maximum(answers.votes_per_item, 1)
            mean, sd = np.where(voted, mean, self.prior_mean_), np.full(answers.n_items, np.nan)
        else:
            truth = self._truth(answers)
            weight = 1 / self.variance_[answers.voter] / truth.precision[answers.item]
            biases = sums(answers.item, weight**2 * self.bias_variance_[answers.voter], answers.n_items)
            with np.errstate(divide="ignore", invalid="ignore"):
                of_prior = np.where(np.isinf(self.prior_variance_), 0.0, 1 / (self.prior_variance_ * truth.precision))
            sd = np.sqrt(truth.variance + biases + of_prior**2 * self.prior_mean_variance_ + self.shift_variance_)
            mean = np.where(np.isfinite(truth.mean), truth.mean, self.prior_mean_)
            sd = np.where(np.isfinite(sd), sd, np.nan)
        posterior = {"mean": mean, "sd": sd, "low": mean - Z95 * sd, "high": mean + Z95 * sd}
        return Predicted(np.where(voted, mean, np.nan), np.full(answers.n_items, np.nan), posterior)

    def contributions(self, answers: Answers, item: int) -> dict[str, float]:
        """The weight of each answer, less its voter's bias, in the label; the rest is of the prior's mean."""
        one = self._known(answers).one_item(item)
        if not len(one.item):
            return {}
        variance = self.variance_[one.voter]
        weight = np.ones(len(variance)) if np.isnan(variance).any() else 1 / variance
        whole = total(weight) + (0.0 if not 0 < self.prior_variance_ < np.inf else 1 / self.prior_variance_)
        return {one.voters[int(v)]: float(w / whole) for v, w in zip(one.voter, weight, strict=True)}

    def prior_weight(self, answers: Answers, item: int) -> float | None:
        """The weight of the prior's mean in the label."""
        return 1.0 - sum(self.contributions(answers, item).values())

    def _report(self, answers: Answers, known: Any, per: Any) -> None:
        """Bias and standard deviation of each voter, with 95 % intervals (that of a deviation is approximate).

        An answer says less of its voter's spread the more of its item's mean it is itself.
        """
        freedom = np.zeros(len(per))
        if len(answers.item) and not np.isnan(self.prior_variance_):
            truth = self._truth(answers)
            own = 1 / self.variance_[answers.voter] / truth.precision[answers.item]
            own = np.where(np.isnan(known[answers.item]), own, 0.0)
            freedom = sums(answers.voter, 1 - own, len(per))
        self.learned_ = [
            self._of_voter(name, int(per[v]), float(freedom[v]), v) for v, name in enumerate(answers.voters)
        ]

    def _of_voter(self, name: str, answers: int, freedom: float, v: int) -> dict[str, Any]:
        sd = number_or_none(np.sqrt(self.variance_[v]))
        found: dict[str, Any] = {"voter": name, "answers": answers, "bias": float(self.bias_[v]), "sd": sd}
        if sd is None or not answers:
            return {**found, "sd": None, "bias_low": None, "bias_high": None, "sd_low": None, "sd_high": None}
        off = Z95 * float(np.sqrt(self.bias_variance_[v] + self.shift_variance_))
        factor = 1 + Z95 / float(np.sqrt(2 * (freedom + self.strength)))
        return {
            **found,
            "bias_low": found["bias"] - off,
            "bias_high": found["bias"] + off,
            "sd_low": sd / factor,
            "sd_high": sd * factor,
        }

    def _exact(self) -> dict[str, Any]:
        return {
            "bias": hexed(self.bias_),
            "variance": hexed(self.variance_),
            "bias_variance": hexed(self.bias_variance_),
            "prior": hexed((self.prior_mean_, self.prior_variance_, self.prior_mean_variance_)),
            "shift_variance": float(self.shift_variance_).hex(),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.bias_, self.variance_, self.bias_variance_ = (
            unhexed(parameters[name]) for name in ("bias", "variance", "bias_variance")
        )
        self.prior_mean_, self.prior_variance_, self.prior_mean_variance_ = map(float.fromhex, parameters["prior"])
        self.shift_variance_ = float.fromhex(parameters["shift_variance"])


def _spread(values: Any) -> float:
    """The variance of all answers."""
    if len(values) < 2:
        return 0.0
    mean = total(values) / len(values)
    return total((values - mean) ** 2) / (len(values) - 1)


def _in_step(answers: Answers, strength: float) -> Any:
    """How far each voter goes along with the others, 0.01 to 1 [V]; drawn to 1 where it shares few items with them."""
    size, per = len(answers.voters), answers.votes_per_item[answers.item]
    shared = per > 1
    voter, value, others = answers.voter[shared], answers.value[shared], (per[shared] - 1).astype(np.float64)
    whole = sums(answers.item, answers.value, answers.n_items)[answers.item[shared]]
    rest = (whole - value) / others
    count = sums(voter, np.ones(len(voter)), size)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = value - (sums(voter, value, size) / count)[voter]
        other = rest - (sums(voter, rest, size) / count)[voter]
        product = np.maximum(sums(voter, off * other, size), 0.0)
        square = product**2 / (sums(voter, off**2, size) * sums(voter, other**2, size))
    square = np.where(np.isfinite(square), square, 0.0)
    return np.clip((strength + count * square) / (strength + count), 0.01, 1.0)


def _median(values: Any, weight: Any) -> float:
    """The value with half of the weight on either side; between two such values their mean."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order]) / total(weight)
    first, last = np.searchsorted(below, (0.5 - _HALF, 0.5 + _HALF))
    return float((values[order[first]] + values[order[last]]) / 2)


def _rounding(values: Any) -> float:
    """The variance that rounding to the smallest gap between two answers makes."""
    distinct = np.unique(values)
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-9 * max(1e-300, float(distinct[-1] - distinct[0]))] if len(gaps) else gaps
    return float(gaps.min()) ** 2 / 12 if len(gaps) else 0.0


def _within(answers: Answers) -> float:
    """The variance of answers about the mean of their item, over all items with two or more."""
    per = answers.votes_per_item
    mean = sums(answers.item, answers.value, answers.n_items) / np.maximum(per, 1)
    free = int((per - 1)[per > 1].sum())
    return total((answers.value - mean[answers.item]) ** 2) / free if free else 0.0


def _weak(answers: Answers, known: Any) -> dict[str, str]:
    """Voters of whose bias and spread the votes say nothing, and why."""
    compared = (answers.votes_per_item > 1) | ~np.isnan(known)
    per = np.bincount(answers.voter, minlength=len(answers.voters))
    with_others = sums(answers.voter, compared[answers.item].astype(np.float64), len(answers.voters))
    weak = {}
    for v, name in enumerate(answers.voters):
        if not per[v]:
            weak[name] = "no votes"
        elif not with_others[v]:
            weak[name] = "shares items with no other voter"
    return weak
