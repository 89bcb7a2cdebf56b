"""The drawing of the graph: what stands where; the browser draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.site.layout import layers
from teachkit.site.names import node_page
from teachkit.site.nodes import is_voter
from teachkit.site.view import TESTS

if TYPE_CHECKING:
    from teachkit.site.view import View

FOLDED_ABOVE = 60
"""More voters of one task than this are drawn as one box, which opens when it is clicked."""
_WORST = ("error", "failed", "warned")


def dag_values(view: View) -> dict[str, Any]:
    """All nodes but tests, layer by layer in drawing order, and the edges between them, as numbers of nodes.

    Returns:
        ``nodes``: name, kind, page, number of the layer, group (or None), state, worst result of its tests, id.
        ``edges``: pairs (from, to). ``groups``: names.
    """
    graph = view.graph
    ids = [n.id for n in graph if n.kind not in TESTS]
    drawn = layers(ids, {i: graph[i].inputs for i in ids})
    groups = _groups(view, drawn)
    number = {node_id: i for i, node_id in enumerate(i for row in drawn for i in row)}
    nodes = [
        [graph[i].name, graph[i].kind, node_page(i), layer, groups.get(i), view.states[i], _worst(view, i), i]
        for layer, row in enumerate(drawn)
        for i in row
    ]
    edges = [[number[p], number[i]] for i in number for p in dict.fromkeys(graph[i].inputs) if p in number]
    return {"nodes": nodes, "edges": edges}


def _groups(view: View, drawn: list[list[str]]) -> dict[str, str]:
    """For each voter that is not drawn by itself the name of its group: the voters of a task in a layer."""
    found: dict[str, str] = {}
    for row in drawn:
        by_task: dict[str, list[str]] = {}
        for node_id in row:
            node = view.graph[node_id]
            if is_voter(node):
                by_task.setdefault(node.task or "", []).append(node_id)
        for task, members in by_task.items():
            if len(members) > FOLDED_ABOVE:
                found |= dict.fromkeys(members, f"{len(members)} voters of {task}")
    return found


def _worst(view: View, node_id: str) -> str | None:
    """The worst result of a node in the last run, its tests included."""
    statuses = {t["status"] for t in view.tests_of(node_id)}
    if node_id in view.results:
        statuses.add(view.results[node_id]["status"])
    return next((status for status in _WORST if status in statuses), None)
