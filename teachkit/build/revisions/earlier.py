"""Label sets as another lock names them: the one in the project's folder, or that of a git revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.build.revisions.git import base_revision, commit_of
from teachkit.build.revisions.locked import LOCK, lock_at, stored_label_set
from teachkit.store import Lock, read_lock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node


@dataclass(frozen=True, slots=True)
class Earlier:
    """A label set that a lock names, found in this store. ``lock``: what messages call that lock."""

    lock: str
    task: str
    digest: str
    objects: Sequence[str]


@dataclass(frozen=True, slots=True)
class EarlierLock:
    """A lock, what messages call it, and the revision that it is of (None: the file in the project's folder)."""

    name: str
    lock: Lock
    revision: str | None = None


def earlier_lock(run: Executor, against: str) -> EarlierLock:
    """The lock that ``against`` means: ``lock``, ``base`` or a git revision.

    Raises:
        GitError: git does not know the revision.
        BadLock: the revision's lock cannot be read.
        LookupError: the revision has no lock.
    """
    root = run.files.root
    if against == "lock":
        return EarlierLock(LOCK, read_lock(run.files.lock_path) or Lock())
    revision = (run.options.base or base_revision(root)) if against == "base" else against
    commit = commit_of(root, revision)
    name = f"{LOCK} of " + (commit[:10] if commit.startswith(revision) else f"{revision} ({commit[:10]})")
    lock = lock_at(root, commit, name=name)
    if lock is None:
        raise LookupError(f"there is no {name}: run 'teachkit build' there, and commit {LOCK}")
    return EarlierLock(name, lock, revision)


def earlier_labels(run: Executor, node: Node, against: str) -> Earlier | None:
    """The label set as the lock that ``against`` means names it; None if that lock has no such label set.

    Raises:
        GitError, BadLock, LookupError: as ``earlier_lock``; also if this store does not hold the labels.
    """
    found = earlier_lock(run, against)
    entry = found.lock.label_sets.get(node.name)
    if entry is None:
        return None
    objects = locked_objects(run, node, entry.digest)
    if objects is None:
        missing = f"the labels that {found.name} names (digest {entry.digest[:12]}) are not in this store"
        build = f": run 'teachkit diff --base {found.revision}', which builds them" if found.revision else ""
        raise LookupError(missing + build)
    return Earlier(found.name, entry.task, entry.digest, objects)


def locked_objects(run: Executor, node: Node, digest: str) -> Sequence[str] | None:
    """The objects of a label set whose content has this digest; None if this store does not hold them."""
    made = run.outputs.get(node.id)
    if made is not None and made.digest == digest:
        return [p.key for p in made.parts]
    return stored_label_set(run.store, node.id, digest, run.files.target_name)
