"""Which change makes which label flip: each is applied to the base alone, and the label model is fitted again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from teachkit.diff.mixing import Mixer
from teachkit.errors import TeachkitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.diff.mixing import Unit
    from teachkit.diff.sides import Side
    from teachkit.graph import Node

INTERACTION = "interaction"


@dataclass(frozen=True, slots=True)
class Cause:
    """What a change does to the labels of items that are in both; ``interaction`` is what no change alone does.

    ``change``: added, removed, modified, or data (what is read is other). A change of data may stand for several nodes.
    """

    node: str
    change: str
    nodes: tuple[str, ...]
    flips: int = 0
    gained: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Attribution:
    """``causes`` of a label set's changed labels, and for each changed item [C] which of them it is."""

    causes: Sequence[Cause]
    cause_of: Any
    note: str = ""


def attribute(base: Side, head: Side, before: Node, after: Node, labels: tuple[Any, Any], compared: Any) -> Attribution:
    """Say for each changed label which change makes it: alone, on top of the base, with the label model fitted again.

    Where several changes would each make it, it counts for the one that makes most; where none does, for their
    interaction.
    """
    import numpy as np

    changed = compared.changed
    mixer = Mixer(base, head, before, after, labels, compared)
    units, reason = mixer.units()
    nothing = np.full(len(changed), -1, dtype=np.int32)
    if len(units) == 1 and not reason:
        return _counted([_cause(units[0])], nothing + 1, compared)
    if not units:
        return _counted([], nothing, compared, reason or "nothing that teachkit knows of has changed")
    makes = np.zeros((len(units), len(changed)), dtype=bool)
    if not reason and len(changed):
        try:
            for number, unit in enumerate(units):
                makes[number] = mixer.agrees(unit)[changed]
        except TeachkitError as error:
            makes[:] = False
            reason = f"causes cannot be told apart: {error.message}"
    order = sorted(range(len(units)), key=lambda u: (-int(makes[u].sum()), units[u].node))
    found = nothing.copy()
    for place, unit_number in enumerate(order):
        found[(found < 0) & makes[unit_number]] = place
    return _counted([_cause(units[u]) for u in order], found, compared, reason)


def _cause(unit: Unit) -> Cause:
    return Cause(unit.node, unit.change, unit.nodes)


def _counted(causes: Sequence[Cause], cause_of: Any, compared: Any, note: str = "") -> Attribution:
    """Causes with their counts, the interaction at the end if there is any; it is -1 in ``cause_of`` before."""
    together = Cause(INTERACTION, INTERACTION, tuple(n for c in causes for n in c.nodes))
    cause_of = cause_of.copy()
    left = cause_of < 0
    cause_of[left] = len(causes)
    changed = compared.changed
    found = []
    for number, cause in enumerate([*causes, together] if left.any() else causes):
        mine = changed[cause_of == number]
        counts = [int(kind[mine].sum()) for kind in (compared.flips, compared.gained, compared.lost)]
        found.append(replace(cause, flips=counts[0], gained=counts[1], lost=counts[2]))
    return Attribution(found, cause_of, note)
