"""Keys of outputs: what a node means, and the content of just the columns that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.run import Output
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import Node
    from teachkit.store import ObjectMeta


def output_of(parts: Sequence[ObjectMeta]) -> Output:
    """Parts with the digest of them all."""
    return Output(tuple(parts), digest([p.digest for p in parts]))


def content(output: Output, columns: Sequence[str] | None) -> Any:
    """The content of some columns of an output (None: of all): equal exactly when they are."""
    if not output.parts:
        return output.digest
    return [part_content(part, columns) for part in output.parts]


def part_content(part: ObjectMeta, columns: Sequence[str] | None) -> Any:
    """The content of some columns of one part."""
    if columns is None:
        return part.digest
    wanted = set(columns)
    return [part.rows, sorted((n.lower(), d) for n, d in part.columns.items() if n.lower() in wanted)]


def node_key(node: Node, outputs: Mapping[str, Output], *more: Any) -> str:
    """The key of a node's output: its own meaning and the content of what it reads."""
    inputs = [[parent, content(outputs[parent], node.reads.get(parent))] for parent in node.inputs]
    return digest([node.kind, node.own, inputs, *more])
