"""How well the voters of a task agree beyond chance: people, labeling functions and prompts, and all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import TaskInfo
    from teachkit.votes.agreement import Agreement

RESAMPLES, LEAST_RESAMPLES, WORK = 200, 20, 20_000_000
_NAMES = {"annotations": "people", "lf": "labeling functions", "prompt": "prompts"}


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient of the ``voters`` of one sort, with its bootstrap interval; or the ``reason`` why there is none.

    ``units``: items (of multichoice: or pairs of item and label) with two votes or more.
    """

    of: str
    voters: int
    coefficient: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    units: int
    reason: str


@dataclass(frozen=True, slots=True)
class Kappa:
    """Two voters: on how many items both vote, the share of these on which they agree, Cohen's kappa."""

    first: str
    second: str
    units: int
    same: float
    kappa: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class AgreementSection:
    """Coefficients of each sort of voter, kappas of all pairs that share items; ``note``: what is not there, and why.

    ``weights``: how kappa weighs a disagreement of ordered labels, else None.
    """

    coefficients: Sequence[Coefficient]
    pairs: Sequence[Kappa]
    weights: str | None
    note: str = ""


def agreement_section(run: Executor, task: TaskInfo, cast: Cast, people: Sequence[str]) -> AgreementSection:
    """Measure agreement; ``people`` are the annotations nodes among the voters."""
    if task.kind == "number":
        return AgreementSection([_of_numbers(cast)], [], None, "kappa is for labels: numbers have no pairs here")
    if not task.coded:
        return AgreementSection([], [], None, f"no coefficient is defined here for tasks of the kind '{task.kind}'")
    groups = _groups(cast.kinds)
    if not groups:
        return AgreementSection([], [], None, "there are no voters")
    found: list[Coefficient] = []
    if task.multi and "people" in groups:
        found += _of_sets(run, task, people, len(groups["people"]))
    from teachkit.votes.pairs import dropped, left_out, pair_tables, stacked

    votes = stacked(cast.votes) if len(cast.votes) > 1 else cast.votes[0]
    metric = "ordinal" if task.ordered else "nominal"
    for name, voters in groups.items():
        chosen = dropped(votes, [voter not in voters for voter in votes.voters])
        found += _coefficients(name, chosen, metric)
    tables, weights = pair_tables(votes), "linear" if task.ordered else None
    pairs = []
    shared, agreed, names = tables.shared, tables.agreed, [votes.voters[v] for v in tables.chosen]
    for u in range(len(names)):
        for v in range(u + 1, len(names)):
            if shared[u, v]:
                kappa = tables.kappa(u, v, weights=weights)
                same = float(agreed[u, v] / shared[u, v])
                pairs.append(Kappa(names[u], names[v], int(shared[u, v]), same, kappa.value, kappa.reason))
    note = left_out(votes, tables)
    return AgreementSection(found, pairs, weights, f"pairs: {note}" if note else "")


def _groups(kinds: Mapping[str, str]) -> dict[str, list[str]]:
    """Voters by sort; all of them, too, if there are several sorts."""
    groups: dict[str, list[str]] = {}
    for voter, node in kinds.items():
        kind = node.partition(".")[0]
        groups.setdefault(_NAMES.get(kind, kind), []).append(voter)
    if len(groups) > 1:
        groups["all"] = list(kinds)
    return groups


def _coefficients(name: str, votes: Any, metric: str) -> list[Coefficient]:
    from teachkit.votes.agreement import fleiss_kappa, krippendorff_alpha

    resamples = max(LEAST_RESAMPLES, min(RESAMPLES, WORK // max(1, len(votes.code))))
    measures: list[tuple[str, str, Callable[[], Agreement]]] = [
        ("krippendorff", metric, lambda: krippendorff_alpha(votes, metric=metric, bootstrap=resamples)),
        ("fleiss", "nominal", lambda: fleiss_kappa(votes, bootstrap=resamples)),
    ]
    return [_row(name, len(votes.voters), which, how, measure()) for which, how, measure in measures]


def _of_sets(run: Executor, task: TaskInfo, people: Sequence[str], count: int) -> list[Coefficient]:
    from teachkit.build.stored_votes import people_sets
    from teachkit.votes.agreement import SET_METRICS, krippendorff_alpha

    votes, sets = people_sets(run, people, task)
    return [
        _row(
            "people, sets of labels",
            count,
            "krippendorff",
            metric,
            krippendorff_alpha(votes, metric=metric, sets=sets, bootstrap=RESAMPLES),
        )
        for metric in SET_METRICS
    ]


def _of_numbers(cast: Cast) -> Coefficient:
    from teachkit.votes.agreement import alpha_of_numbers

    answers = cast.votes[0]
    return _row("all", len(answers.voters), "krippendorff", "interval", alpha_of_numbers(answers, bootstrap=RESAMPLES))


def _row(of: str, voters: int, coefficient: str, metric: str, found: Agreement) -> Coefficient:
    reason = "there is one voter only" if voters < 2 else found.reason
    return Coefficient(of, voters, coefficient, metric, found.value, found.low, found.high, found.n, reason)
