"""The labels that a ``teachkit.lock`` names, found in the store by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.store import Store


def stored_label_set(store: Store, node_id: str, digest: str, target: str | None = None) -> Sequence[str] | None:
    """The objects of a label set whose content has a digest, None if this store does not hold them.

    Looked for in the environment of ``target``, then in the records of all runs, the newest first.
    """
    for found in _made(store, node_id, target):
        if found["digest"] == digest and all(store.has(key) for key in found["objects"]):
            return list(found["objects"])
    return None


def _made(store: Store, node_id: str, target: str | None) -> Iterator[dict]:  # type: ignore[type-arg]
    if target is not None:
        published = store.read_environment(target)["nodes"].get(node_id)
        if published is not None:
            yield dict(published)
    for run in store.runs():
        made = run.record.get("outputs", {}).get(node_id)
        if made:
            yield made
