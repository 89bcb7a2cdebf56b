"""Where the nodes of a graph stand in its drawing: layers from left to right, and an order within each.

Layers are those of longest paths; the order is found by sweeps of barycentres (Sugiyama, Tagawa, Toda, *Methods for
Visual Understanding of Hierarchical System Structures*, IEEE Trans. Syst. Man Cybern. 11, 1981).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SWEEPS = 4


def layers(nodes: Sequence[str], parents: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Layers of nodes, each in the order in which it is drawn; every node stands in a later layer than its parents.

    Args:
        nodes: In topological order.
        parents: For each node those that it reads; what is not in ``nodes`` is passed over.
    """
    known = set(nodes)
    above = {n: [p for p in dict.fromkeys(parents.get(n, ())) if p in known] for n in nodes}
    below: dict[str, list[str]] = {n: [] for n in nodes}
    layer: dict[str, int] = {}
    for node in nodes:
        layer[node] = 1 + max((layer[p] for p in above[node]), default=-1)
        for parent in above[node]:
            below[parent].append(node)
    found: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=-1))]
    for node in nodes:
        found[layer[node]].append(node)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in found if down else reversed(found):
            _arrange(row, found, above if down else below)
    return found


def _arrange(row: list[str], found: Sequence[Sequence[str]], beside: Mapping[str, Sequence[str]]) -> None:
    """Order a layer by the mean place of each node's neighbours on one side; who has none stays where it is."""
    place = {node: (i + 0.5) / len(other) for other in found for i, node in enumerate(other)}
    middle = {n: sum(place[b] for b in beside[n]) / len(beside[n]) if beside[n] else place[n] for n in row}
    row.sort(key=lambda node: middle[node])
