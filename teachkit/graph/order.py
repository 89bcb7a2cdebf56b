"""Topological order, and the fingerprints that follow from it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from teachkit.errors import BadValue, Cycle, ProjectErrors, Where
from teachkit.graph.node import Graph, Node, TaskInfo
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def finish(nodes: Mapping[str, Node], tasks: Mapping[str, TaskInfo]) -> Graph:
    """The graph: nodes in order, with their own digests and fingerprints.

    Raises:
        ProjectErrors: for a cycle.
        BadValue: for a value that has no canonical form.
    """
    places = {n.id: n.where for n in nodes.values()}
    order = topological({n.id: n.inputs for n in nodes.values()}, places)
    final: dict[str, Node] = {}
    for node_id in order:
        node = nodes[node_id]
        own = _own(node)
        fingerprint = fingerprint_of(node, own, [final[i].fingerprint for i in node.inputs])
        final[node_id] = dataclasses.replace(node, own=own, fingerprint=fingerprint)
    children: dict[str, list[str]] = {}
    for node in final.values():
        for parent in node.inputs:
            children.setdefault(parent, []).append(node.id)
    return Graph(final, dict(tasks), {k: tuple(v) for k, v in children.items()})


def fingerprint_of(node: Node, own: str, of_inputs: Sequence[str]) -> str:
    """The fingerprint of a node of this meaning, made of inputs with these fingerprints."""
    return digest([own, list(of_inputs), sorted((k, v) for k, v in node.reads.items())])


def topological(inputs: Mapping[str, Iterable[str]], places: Mapping[str, Where]) -> list[str]:
    """The nodes, each after its inputs; ``ProjectErrors`` with a ``Cycle`` that lists its path."""
    order: list[str] = []
    state: dict[str, int] = {}

    def visit(node: str, path: tuple[str, ...]) -> None:
        if state.get(node) == 2:
            return
        if state.get(node) == 1:
            circle = [*path[path.index(node) :], node]
            raise ProjectErrors([Cycle(places.get(node), path=" -> ".join(circle))])
        state[node] = 1
        for parent in inputs.get(node, ()):
            if parent in inputs:
                visit(parent, (*path, node))
        state[node] = 2
        order.append(node)

    for node in inputs:
        visit(node, ())
    return order


def _own(node: Node) -> str:
    try:
        return digest(node.canonical)
    except (TypeError, ValueError) as error:
        advice = "put dates in quotes; leave out what is not a number"
        raise BadValue(
            node.where, key=node.name, problem=f"a value has no plain form: {error}", advice=advice
        ) from error
