"""``teachkit.lock`` of a git revision, and the labels that a lock names, found in the store by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.revisions.git import show_file
from teachkit.errors import BadLock, Where
from teachkit.store import parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from teachkit.store import Lock, Store

LOCK = "teachkit.lock"


def lock_at(root: Path, revision: str, *, name: str = LOCK) -> Lock | None:
    """``teachkit.lock`` as a revision has it, None if it has none; ``name`` is what messages call it.

    Raises:
        NoGit, UnknownRevision, ShallowClone: git does not have the revision.
        BadLock: it cannot be read.
    """
    data = show_file(root, revision, LOCK)
    if data is None:
        return None
    try:
        return parse_lock(data.decode().replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise BadLock(Where(LOCK), problem=f"{name} is not UTF-8") from error


def stored_label_set(store: Store, node_id: str, digest: str, target: str | None = None) -> Sequence[str] | None:
    """The objects of a label set whose content has a digest, None if this store does not hold them.

    Looked for in the environment of ``target``, then in the records of all runs, the newest first.
    """
    for found in _made(store, node_id, target):
        if found["digest"] == digest and all(store.has(key) for key in found["objects"]):
            return list(found["objects"])
    return None


def _made(store: Store, node_id: str, target: str | None) -> Iterator[Mapping[str, Any]]:
    published = store.read_environment(target)["nodes"].get(node_id) if target is not None else None
    if published is not None:
        yield published
    for run in store.runs():
        made = run.record.get("outputs", {}).get(node_id)
        if made:
            yield made
