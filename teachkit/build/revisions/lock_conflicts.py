"""``teachkit.lock`` after a merge: resolved from what git keeps of each side, or from the marks in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.build.revisions.git import merge_as_text, unmerged_stages
from teachkit.errors import BadLock, TeachkitError, Where
from teachkit.store import Lock, read_lock, write_lock
from teachkit.store.lock_merge import MergedLock, has_marks, merge_marked, merge_texts

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "teachkit.lock"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The lock as it stands now; ``merged`` is None where there was nothing to resolve."""

    lock: Lock | None
    merged: MergedLock | None = None


def resolve_lock(root: Path) -> Resolution:
    """Resolve the lock of the project in ``root`` and write it; git is told nothing.

    Raises:
        BadLock, LockTooNew: a side cannot be read; the file stays as it is.
    """
    path = root / _NAME
    text, stages = _read(path), unmerged_stages(root, _NAME)
    if stages is not None and (text is None or has_marks(text) or None in stages[1:]):
        merged = merge_texts(*map(_decoded, stages))
    elif text is not None and has_marks(text):
        merged = merge_marked(text)
    else:  # no conflict, or one that was resolved already
        return Resolution(read_lock(path))
    write_lock(path, merged.lock)
    return Resolution(merged.lock, merged)


def merge_files(base: Path, ours: Path, theirs: Path) -> MergedLock:
    """Merge three files, and write over ``ours`` what comes of it, as git wants it.

    Raises:
        BadLock, LockTooNew: a side cannot be read; ``ours`` then holds what git makes of it without a driver.
    """
    try:
        merged = merge_texts(*map(_read, (base, ours, theirs)))
    except TeachkitError:
        merge_as_text(base, ours, theirs)
        raise
    write_lock(ours, merged.lock)
    return merged


def _read(path: Path) -> str | None:
    try:
        return _plain(path.read_bytes().decode())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadLock(Where(path.name), problem=str(error)) from error


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else _plain(data.decode(errors="replace"))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n")
