"""Pairs of voters: how often they agree, whether that is more than the labels explain, who repeats whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.stored_votes import Cast
    from teachkit.graph import TaskInfo

REPEATS = 0.95
"""A voter of whose votes so many are another's, too, adds nothing to it."""
ENOUGH = 10
"""Votes that it takes to say so."""


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two voters that share items (of a multichoice task: about one ``label``).

    ``shared`` items on which both vote, ``same`` the share of these on which they say the same, ``conflicts`` the
    others. ``dependence`` (0 to 1) is agreement beyond what the labels explain, None where it is not worked out.
    ``first_in_second`` is the share of all votes of the first that the second gives, too.
    """

    label: str | None
    first: str
    second: str
    shared: int
    same: float
    conflicts: int
    dependence: float | None
    first_in_second: float
    second_in_first: float


@dataclass(frozen=True, slots=True)
class Redundant:
    """A voter of whose ``votes`` the share ``repeated`` is also given by ``by``; ``copy``: and the other way round."""

    label: str | None
    voter: str
    by: str
    votes: int
    repeated: float
    copy: bool


@dataclass(frozen=True, slots=True)
class PairsSection:
    """All pairs of voters that share items, and the voters that merely repeat another one."""

    pairs: Sequence[PairRow]
    redundant: Sequence[Redundant]
    note: str = ""


def pairs_section(task: TaskInfo, cast: Cast, models: Sequence[Any]) -> PairsSection:
    """Look at pairs of voters; ``models`` are the fitted label models, None where there is none to ask."""
    if not task.coded:
        return PairsSection([], [], f"not for tasks of the kind '{task.kind}', whose answers are values")
    pairs: list[PairRow] = []
    redundant: list[Redundant] = []
    note = ""
    for number, votes in enumerate(cast.votes):
        label = task.labels[number] if task.multi else None
        model = models[number] if number < len(models) else None
        found, repeats, lacking = _of(label, votes, model)
        pairs, redundant, note = pairs + found, redundant + repeats, note or lacking
    return PairsSection(pairs, redundant, note)


def _of(label: str | None, votes: Any, model: Any) -> tuple[list[PairRow], list[Redundant], str]:
    from teachkit.votes.pairs import left_out, pair_tables

    tables, depend = pair_tables(votes), dependence_of(votes, model)
    shared, agreed, total = tables.shared, tables.agreed, tables.votes
    names = [votes.voters[v] for v in tables.chosen]
    rows, repeats = [], []
    for u in range(len(names)):
        by: tuple[float, int] | None = None
        for v in range(len(names)):
            part = float(agreed[u, v] / total[u])
            if u != v and total[u] >= ENOUGH and part >= REPEATS and (by is None or part > by[0]):
                by = (part, v)
            if v > u and shared[u, v]:
                rows.append(
                    PairRow(
                        label,
                        names[u],
                        names[v],
                        int(shared[u, v]),
                        float(agreed[u, v] / shared[u, v]),
                        int(shared[u, v] - agreed[u, v]),
                        depend.get((names[u], names[v])),
                        part,
                        float(agreed[u, v] / total[v]),
                    )
                )
        if by is not None:
            back = float(agreed[u, by[1]] / total[by[1]]) >= REPEATS
            repeats.append(Redundant(label, names[u], names[by[1]], int(total[u]), by[0], back))
    return rows, repeats, left_out(votes, tables)


def dependence_of(votes: Any, model: Any) -> Mapping[tuple[str, str], float]:
    """Dependence of each pair of voters, as ``teachkit.label_models.dependence`` has it.

    Against the labels that ``model`` expects; without one, voters of one label are held against how often they vote.
    """
    import numpy as np

    from teachkit.label_models import dependence

    said = votes.said()[0]
    pairs = dependence.pairs_of(votes, said)
    sides = (said[pairs.chosen] > 0).sum(axis=1) == 1
    chance = mass = None
    if model is not None:
        weight = model.pattern_proba(votes) * votes.counts[:, None]
        mass = weight.sum(axis=0)
        entries = votes.entry_pattern
        each = [
            np.bincount(votes.voter, weights=weight[entries, y], minlength=len(votes.voters))
            for y in range(votes.n_labels)
        ]
        chance = np.stack(each, axis=1)[pairs.chosen] / np.maximum(mass, 1e-12)
    found = dependence.excess_of_graded(pairs, sides) + dependence.excess_of_one_sided(pairs, sides, chance, mass)
    names = [votes.voters[v] for v in pairs.chosen]
    return {(names[u], names[v]): float(found[u, v]) for u in range(len(names)) for v in range(u + 1, len(names))}
