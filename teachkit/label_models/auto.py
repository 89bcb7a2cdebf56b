"""The default: one model for labeling functions, prompts, people and all at once, that is hard to break."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from teachkit.label_models import dependence
from teachkit.label_models.base import Abstain, LabelModel, Learned, class_prior, entries, item_weights
from teachkit.label_models.diagnostics import flips, identifiability, learned
from teachkit.label_models.exact import hexed, unhexed
from teachkit.label_models.hierarchy import COMMON, all_silent, chance_to_vote, rows_said, weigh_evidence
from teachkit.label_models.kernels import exp_all, log_all, rights
from teachkit.label_models.likelihood import policies_of
from teachkit.label_models.squarem import fixed_point
from teachkit.label_models.start import majority_start, weighted_start
from teachkit.label_models.sweep import Sweep

if TYPE_CHECKING:
    from teachkit.votes import Votes

ROUGH, MOST = 8, 200
"""Steps of the first fit, which only shows which labeling functions depend on each other; of the second at most."""
CHOOSING = 6
"""In so many steps the strengths of the priors are chosen anew; then they stand, so that the steps converge."""
FEW_GOLD, ENOUGH_GOLD = 5, 10
"""From so many votes on gold a voter is known; so many items with gold tell which way round the labels are."""
GOLD_AGAINST = 10.0
"""How many items the class prior of labeling functions is worth against gold."""
MARGIN = 1e-6
"""What is nearer to a bound than this does not cross it: the last bits depend on the order of voters."""
SWALLOWED, FLIPPED, REVERSED = 0.1, 0.5, 0.5
"""A fit is not believed where a label keeps less of its majority items, more items flip, more votes are by voters that
are believed to be worse than chance."""


class Auto(LabelModel):
    """One Bayesian model for all voters at once, fitted by accelerated EM from a majority start.

    A voter is one-sided (a labeling function for one label), or votes for several; its silence is informative or at
    random. See ``hierarchy`` for what is believed of each kind and why, and ``dependence`` for voters that copy each
    other: their evidence is shared. Those of one source (``kin``) are taken for dependent from the start.

    Where labeling functions speak, part of the expected votes (``anchor``) stays with the majority: at about one vote
    for each item, EM alone drifts from the class to another split of the data. The class prior is then drawn half-way
    to uniform, since how often labeling functions vote for a label says how many were written for it; where people
    speak it is learned. Gold holds labels fixed and speaks for the class prior.

    A fit that swallows a label, turns voters or most labels around, or has fewer than three voters to go by is not
    believed: votes then count the same (copies still together), and ``diagnostics_["fallback"]`` says why.

    Args:
        class_prior: ``learned`` as above, ``uniform``, or given [K].
        anchor: How much of the majority stays in expected votes of labeling functions, 0 to 1.
        silence_weight: How much their silence counts: 1 as if they were independent.
        discount: Whether dependent voters share their evidence.
        kin: From voters to what they have in common, such as the language model that prompts ask. Of voters
            ``name[…]``, bands of one voter's scores, ``name`` is enough.
        tolerance: The fit ends when no posterior changes by more in a step.
        n_iter: Steps at most.
        threads: How many work at once; it changes no bit.
    """

    name: ClassVar[str] = "auto"
    version: ClassVar[int] = 2

    evidence_: Any
    informative_: Any
    log_prior_: Any
    say_: Any
    learned_: list[Learned]

    def __init__(
        self,
        *,
        class_prior: Any = "learned",
        anchor: float = 0.3,
        silence_weight: float = 0.25,
        discount: bool = True,
        kin: Mapping[str, str] | None = None,
        n_iter: int | None = None,
        tolerance: float = 1e-5,
        threads: int = 1,
    ) -> None:
        self.class_prior = class_prior
        self.anchor = anchor
        self.silence_weight = silence_weight
        self.discount = discount
        self.kin = kin
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.threads = threads

    def fit(self, votes: Any, gold: Any | None = None, *, abstain: Abstain = None) -> Self:
        """Learn from votes.

        Args:
            votes: ``Votes``, or a matrix of codes [N, V] with -1 for abstain.
            gold: Codes [N], -1 where unknown; known labels are held fixed.
            abstain: What silence says: ``informative`` or ``at_random``, for all voters or by name. Where nothing is
                said, ``informative`` for voters of one label if most votes are by such (so are those of labeling
                functions), else ``at_random``.
        """
        self._check()
        folded, clamp = self._to_fit(votes, gold)
        said = folded.said(self.threads)[0]
        own = np.where((said > 0).sum(axis=1) == 1, said.argmax(axis=1), -1)  # of voters that say one label only
        self.informative_ = _policies(abstain, self.voters_, said.sum(axis=1), own)
        weight = item_weights(folded, clamp, self.informative_)
        sweep = Sweep(folded, clamp, weight, threads=self.threads)
        _Fit(self, sweep, said, np.where(self.informative_, own, -1)).run()
        return self

    def _check(self) -> None:
        super()._check()
        if self.n_iter is not None and self.n_iter < 0:
            raise ValueError(f"n_iter is 0 or more, not {self.n_iter}")
        if not (0 <= self.anchor <= 1 and self.silence_weight >= 0):
            raise ValueError("anchor is between 0 and 1, silence_weight 0 or more")
        kin = {} if self.kin is None else self.kin
        if not isinstance(kin, Mapping) or not all(isinstance(name, str) for pair in kin.items() for name in pair):
            raise ValueError(f"kin is a mapping from voters to the name of what they have in common, not {kin!r}")

    def tables(self) -> tuple[Any, Any]:
        """What ``kernels.score`` adds up."""
        return tables_of(self.log_prior_, self.evidence_)

    def pattern_proba(self, votes: Votes) -> Any:
        """Posterior of each pattern [P, K]; the class prior where nobody votes."""
        sweep = Sweep(votes, threads=self.threads)
        sweep.infer(*self.tables())
        sweep.posterior[votes.votes_per_pattern == 0] = self.prior_
        return sweep.posterior

    def contributions(self, votes: Votes, pattern: int) -> dict[str, Any]:
        """Log-likelihood [K] that each voter adds: those that voted, and those whose silence says something.

        Prior (``log_prior``) plus all of them is the log posterior up to a constant. Empty where nobody votes.
        """
        said = {int(v): int(c) for v, c in entries(votes, pattern)}
        out = {}
        for index, voter in enumerate(self.voters_ if said else ()):
            if index in said:
                out[voter] = self.evidence_[index, said[index]]
            elif self.informative_[index]:
                out[voter] = self.evidence_[index, -1]
        return out

    @property
    def log_prior(self) -> Any:
        """[K] logarithm of the class prior that votes are weighed against."""
        return self.log_prior_

    def voter_report(self) -> list[Learned]:
        """What was learned of each voter: expected share of right votes with its interval, confusion with support."""
        return self.learned_

    def _exact(self) -> dict[str, Any]:
        return {
            "informative": [bool(i) for i in self.informative_],
            "say": hexed(self.say_),
            "prior": hexed(self.prior_),
            "log_prior": hexed(self.log_prior_),
            "shape": list(self.evidence_.shape),
            "evidence": hexed(self.evidence_),
        }

    def _restore(self, parameters: Mapping[str, Any]) -> None:
        self.informative_ = np.array(parameters["informative"], dtype=bool)
        self.say_ = unhexed(parameters["say"])
        self.prior_, self.log_prior_ = unhexed(parameters["prior"]), unhexed(parameters["log_prior"])
        self.evidence_ = unhexed(parameters["evidence"]).reshape(parameters["shape"])


def tables_of(log_prior: Any, evidence: Any) -> tuple[Any, Any]:
    """Log prior with all silence added [K]; log-odds of votes less those of silence [V K, K]."""
    base = all_silent(log_prior, evidence)
    return base, np.ascontiguousarray(evidence[:, :-1] - evidence[:, -1:]).reshape(-1, len(base))


class _Fit:
    """The steps of one fit; what is learned is written to the model."""

    def __init__(self, model: Auto, sweep: Sweep, said: Any, own: Any) -> None:
        votes = sweep.votes
        self.model, self.sweep, self.votes, self.said, self.own = model, sweep, votes, said, own
        self.one_sided = own >= 0
        self.speakers = np.flatnonzero(~self.one_sided).astype(np.int64)
        self.firing = np.flatnonzero(model.informative_).astype(np.int64)
        self.majority = majority_start(sweep)
        total = int(said.sum())
        self.spoken = int(said[self.speakers].sum()) / total if total else 0.0
        self.silent = np.flatnonzero((votes.votes_per_pattern == 0) & (sweep.clamp < 0))
        self.gold_sums, self.gold_mass = sweep.known()
        self.refuted = _refuted(self.gold_sums.sum(axis=1), own)

    def run(self) -> None:
        """Fit, look for dependence, fit again; doubt the outcome."""
        model, voters = self.model, len(self.votes.voters)
        self.say, pairs, found = np.ones(voters), None, np.zeros((0, 0))
        if model.discount and voters > 1:
            pairs = dependence.pairs_of(self.votes, self.said, model.threads)
            sides = self.one_sided[pairs.chosen]
            graded = dependence.excess_of_graded(pairs, sides)
            alike = dependence.excess_of_one_sided(pairs, sides, None, None)
            kin = dependence.excess_of_kin(pairs, _sources(self.votes.voters, model.kin or {}))
            self.say, found = dependence.say_of(pairs, voters, graded, alike, kin, 3.0), graded + alike
            if sides.any():
                self._converge(ROUGH)
                chance, mass = self._chance_by_label(pairs.chosen)
                alike = dependence.excess_of_one_sided(pairs, sides, chance, mass)
                self.say, found = dependence.say_of(pairs, voters, graded, alike, kin, 1.0), graded + alike
        steps, change = self._converge(MOST if model.n_iter is None else model.n_iter)
        doubt = self._doubt()
        if doubt:
            self._count_alike()
        self._publish(steps, change, doubt, _dependent(self.votes.voters, pairs, found))

    # one step

    def _converge(self, limit: int) -> tuple[int, float | None]:
        """Iterate from the majority; the last posteriors and sums are the sweep's."""
        sweep, labels = self.sweep, self.votes.n_labels
        self.weighted_majority = weighted_start(sweep, self.say)
        sweep.count()
        self.start = (sweep.sums, sweep.mass)  # counted into new ones from here on
        self.strengths, self.learnt = np.array([4.0, 3.0]), 0
        size = (len(self.votes.voters), labels + 1, labels)
        first = self._learn()

        def step(point: Any) -> tuple[Any, float]:
            change, _ = sweep.step(*tables_of(point[:labels], point[labels:].reshape(size)))
            return self._learn(), change

        point, steps, change = fixed_point(step, first, tolerance=self.model.tolerance, limit=limit, warm_up=CHOOSING)
        self.log_prior, self.evidence = point[:labels], point[labels:].reshape(size)
        _, self.scored = sweep.step(*tables_of(self.log_prior, self.evidence))
        return steps, change

    def _learn(self) -> Any:
        """Log prior and evidence, as one array, from the sweep's sums."""
        sweep, model, labels = self.sweep, self.model, self.votes.n_labels
        voters = len(self.votes.voters)
        prior = self._prior()
        rows, chance = np.zeros((voters, labels, labels)), np.full((voters, labels), 0.5)
        if labels > 1 and len(self.speakers):
            self.learnt += 1
            rows_said(sweep.sums, self.speakers, self.strengths, self.learnt <= CHOOSING, rows)
        if len(self.firing):
            keep = model.anchor
            sums = (1.0 - keep) * sweep.sums + keep * self.start[0]
            mass = (1.0 - keep) * sweep.mass + keep * self.start[1]
            chance_to_vote(sums, mass, self.gold_sums, self.gold_mass, self.firing, self.own, prior, chance)
        log_prior = log_all(np.maximum(prior, 1e-300))
        base, evidence = log_prior.copy(), np.zeros((voters, labels + 1, labels))
        silence = float(model.silence_weight)
        weigh_evidence(rows, chance, model.informative_, self.own, self.refuted, self.say, silence, base, evidence)
        return np.concatenate([log_prior, evidence.ravel()])

    def _prior(self) -> Any:
        """The class prior that votes are weighed against [K]."""
        model, labels = self.model, self.votes.n_labels
        if not isinstance(model.class_prior, str) or model.class_prior != "learned":
            return class_prior(model.class_prior, np.ones(labels), 0.0)
        people = class_prior("learned", self._voted_mass(self.sweep.posterior), 1.0)
        rules = 0.5 * (people + 1.0 / labels)
        known = math.fsum(self.gold_mass)
        if known:
            rules = (GOLD_AGAINST * rules + self.gold_mass) / (GOLD_AGAINST + known)
        return self.spoken * people + (1.0 - self.spoken) * rules

    def _voted_mass(self, posterior: Any) -> Any:
        """Expected items of each label [K] among those with a vote or with gold."""
        silent = self.sweep.weight[self.silent, None] * posterior[self.silent]
        return np.maximum(self.sweep.mass - silent.sum(axis=0), 0.0)

    def _chance_by_label(self, chosen: Any) -> tuple[Any, Any]:
        """P(votes | y) [V, K] of some voters, and the expected items [K], by the present posteriors, as counted."""
        _, _, votes = rights(self.sweep.sums)
        mass = self.sweep.mass
        total = max(math.fsum(mass), 1.0)
        rate = votes[chosen].sum(axis=1, keepdims=True) / total
        return (votes[chosen] + 0.5 * rate) / (mass + 0.5), mass

    # doubts

    def _doubt(self) -> str | None:
        """Why the fit is not believed."""
        votes, sweep = self.votes, self.sweep
        _, per_voter, _ = rights(sweep.sums)
        known = self.gold_sums.sum(axis=(1, 2)) >= FEW_GOLD
        if int((per_voter > 0).sum()) < 3 and not known.any():
            return "fewer than three voters vote, so nothing shows how far to trust each"
        if votes.n_labels == 1 or math.fsum(self.gold_mass) >= ENOUGH_GOLD:
            return None
        before, after = self._voted_mass_of_start(), self._voted_mass(sweep.posterior)
        least = max(FEW_GOLD, 0.02 * math.fsum(before))
        lost = [k for k in range(votes.n_labels) if before[k] > least and after[k] < SWALLOWED * before[k]]
        if lost:
            return "the fit all but loses a label that the majority gives"
        decided = float(votes.counts[self.majority >= 0].sum())
        turned = flips(self.weighted_majority, sweep)
        if decided and turned > FLIPPED * decided:
            return f"the fit turns around {turned / decided:.0%} of the labels that the majority gives"
        right, total, _ = rights(sweep.sums)
        worse = right < total / votes.n_labels * (1.0 - MARGIN)
        weight = self.say * total
        if math.fsum(weight[worse]) > REVERSED * math.fsum(weight) * (1.0 + MARGIN):
            return "the fit takes voters for worse than chance that give most of the votes"
        return None

    def _voted_mass_of_start(self) -> Any:
        kept = np.zeros(self.votes.n_labels)
        decided = self.weighted_majority >= 0
        np.add.at(kept, self.weighted_majority[decided], self.sweep.weight[decided])
        return kept

    def _count_alike(self) -> None:
        """Evidence of voters that all have one accuracy, with a uniform prior."""
        labels = self.votes.n_labels
        right, wrong = log_all([COMMON, (1.0 - COMMON) / max(labels - 1, 1)])
        self.evidence = np.zeros((len(self.votes.voters), labels + 1, labels))
        self.evidence[:, :-1] = self.say[:, None, None] * np.where(np.eye(labels, dtype=bool), right, wrong)
        given = self.model.class_prior
        prior = np.full(labels, 1.0 / labels) if isinstance(given, str) else class_prior(given, np.ones(labels), 0.0)
        self.log_prior = log_all(np.maximum(prior, 1e-300))
        _, self.scored = self.sweep.step(*tables_of(self.log_prior, self.evidence))

    # outcome

    def _publish(self, steps: int, change: float | None, doubt: str | None, dependent: list[list[Any]]) -> None:
        model, sweep, votes = self.model, self.sweep, self.votes
        model.log_prior_, model.evidence_, model.say_ = self.log_prior, self.evidence, self.say
        model.prior_ = exp_all(self.log_prior)
        model.learned_ = self._report()
        model.diagnostics_ = {
            "iterations": steps,
            "converged": change is not None and change <= model.tolerance,
            "max_change": change,
            "log_likelihood": self.scored if np.isfinite(self.scored) else None,
            "flips_against_majority": flips(self.majority, sweep),
            "fallback": doubt,
            "dependent": dependent,
            "voter_weights": {v: float(s) for v, s in zip(votes.voters, self.say, strict=True) if s < 0.95},
            "strengths": [float(s) for s in self.strengths],
            **identifiability(votes, model.informative_, model.threads),
        }

    def _report(self) -> list[Learned]:
        sweep, informative = self.sweep, self.model.informative_
        _, _, support = rights(sweep.sums)
        out = []
        for v, found in enumerate(learned(sweep)):
            items = sweep.mass if informative[v] else support[v]
            rows = (sweep.sums[v] + 0.5) / (items + 0.5 * self.votes.n_labels)  # [codes, true]
            if informative[v]:
                rows = np.vstack([rows, np.maximum(1.0 - rows.sum(axis=0), 0.0)])
            rows = rows / rows.sum(axis=0)
            out.append(
                replace(found, confusion=[[float(x) for x in r] for r in rows.T], support=[float(x) for x in items])
            )
        return out


def _policies(abstain: Abstain, voters: tuple[str, ...], votes: Any, own: Any) -> Any:
    """Whether silence is informative [V]; ``votes`` [V] of each voter, ``own`` [V] its only label, or -1."""
    given = policies_of(abstain, voters, "")
    by_rules = int(votes[own >= 0].sum()) * 2 >= int(votes.sum())
    return np.where(given == "", (own >= 0) & by_rules, given == "informative")


def _sources(voters: tuple[str, ...], kin: Mapping[str, str]) -> Any:
    """The number of each voter's source [V], -1 for one that has its own."""
    named = [kin.get(voter, kin.get(voter.partition("[")[0])) for voter in voters]
    numbers = {source: number for number, source in enumerate(dict.fromkeys(named)) if source is not None}
    return np.array([-1 if source is None else numbers[source] for source in named], dtype=np.int64)


def _refuted(true: Any, own: Any) -> Any:
    """Of which one-sided voters gold shows that another label is likelier than their own where they vote [V].

    ``true`` [V, K] are their votes on gold by its label. Shown is what is beyond two standard errors of the difference:
    a few items of gold that happen to be of another label shall not turn a voter of half the items around.
    """
    voter = np.arange(len(own))
    right = np.where(own >= 0, true[voter, own], np.inf)
    others = true.copy()
    others[voter, own] = -1.0
    rest = others.max(axis=1, initial=-1.0) if true.shape[1] else right
    return (rest > right) & ((rest - right) ** 2 > 4.0 * (rest + right))


def _dependent(voters: tuple[str, ...], pairs: Any, found: Any) -> list[list[Any]]:
    """Pairs of voters that say the same for another reason than the label, with their dependence; the strongest 50."""
    if pairs is None:
        return []
    first, second = np.nonzero(np.triu(found >= 0.1, 1))
    names = [(voters[pairs.chosen[u]], voters[pairs.chosen[v]]) for u, v in zip(first, second, strict=True)]
    listed = [[*sorted(pair), float(found[u, v])] for pair, u, v in zip(names, first, second, strict=True)]
    return sorted(listed, key=lambda one: (-one[2], one[0], one[1]))[:50]
