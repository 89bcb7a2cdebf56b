"""Which definitions and sources are not the same in two revisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.diff.result import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.build.execute import Executor
    from teachkit.diff.sides import Side
    from teachkit.graph import Node

_SHORT = 16
_NO_LABELS = ("test", "unit_test", "export")


def changed_nodes(before: Side, after: Side) -> list[Change]:
    """The nodes that are not the same, in the order of the graph of the head; what is gone last.

    Tests and exports are among them, last of all: they change no labels.
    """
    if before.run is None or after.run is None:
        return []
    return sorted(_changes(before.run, after.run), key=lambda c: c.kind in _NO_LABELS)


def _changes(before: Executor, after: Executor) -> Iterator[Change]:
    was, now = before.graph.nodes, after.graph.nodes
    for node in after.graph:
        old = was.get(node.id)
        if old is None:
            yield _change(node, "added", None, node)
        elif is_modified(old, node):
            yield _change(node, "modified", old, node)
        elif node.kind == "source" and _content(before, node.id) != _content(after, node.id):
            yield _change(node, "data", old, node)
    for node in before.graph:
        if node.id not in now:
            yield _change(node, "removed", node, None)


def is_modified(old: Node, new: Node) -> bool:
    """Whether a node means something else; a label set not just because a voter came or went."""
    if new.kind != "label_set":
        return old.own != new.own
    return old.text != new.text or {**old.canonical, "abstain": None} != {**new.canonical, "abstain": None}


def _content(run: Executor, node_id: str) -> str | None:
    output = run.outputs.get(node_id)
    return output.digest if output is not None else None


def _change(node: Node, change: str, old: Node | None, new: Node | None) -> Change:
    before, after = (n.own[:_SHORT] if n is not None else None for n in (old, new))
    return Change(node.id, node.kind, change, node.where.path, node.where.line, before, after)
