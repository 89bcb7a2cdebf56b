"""Keys of outputs: what a node means, and the content of just the columns that it reads."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from teachkit.build.run import Output
from teachkit.errors import StoreDamaged
from teachkit.hashing import digest
from teachkit.store.objects import part_content

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.graph import Node
    from teachkit.store import ObjectMeta, Store


def output_of(parts: Sequence[ObjectMeta]) -> Output:
    """Parts with the digest of them all."""
    return Output(tuple(parts), digest([p.digest for p in parts]))


def content(output: Output, columns: Sequence[str] | None) -> Any:
    """The content of some columns of an output (None: of all): equal exactly when they are."""
    if not output.parts:
        return output.digest
    return [part_content(part, columns) for part in output.parts]


def node_key(node: Node, outputs: Mapping[str, Output], *more: Any) -> str:
    """The key of a node's output: its own meaning and the content of what it reads."""
    inputs = [[parent, content(outputs[parent], node.reads.get(parent))] for parent in node.inputs]
    return digest([node.kind, node.own, inputs, *more])


def beside(parts: Sequence[ObjectMeta]) -> list[str]:
    """The keys of the objects that belong to an output and hold none of its rows: parameters, answers."""
    named = (part.extra.get(kind) for part in parts for kind in ("parameters", "answers"))
    return list(dict.fromkeys(key for key in named if key))


def description_digest(meta: ObjectMeta) -> str:
    """The digest of all that is said of an object: what the chain of runs keeps of it."""
    return digest(json.loads(json.dumps(asdict(meta))))  # as it is read again: keys of mappings are texts


def described(store: Store, parts: Sequence[ObjectMeta]) -> list[str | None]:
    """The digests of the descriptions of an output's parts, then of what lies beside them; None of what is gone."""
    return [None if meta is None else description_digest(meta) for meta in [*parts, *_metas(store, beside(parts))]]


def _metas(store: Store, keys: Sequence[str]) -> Iterator[ObjectMeta | None]:
    for key in keys:
        try:
            yield store.meta(key)
        except StoreDamaged:
            yield None
