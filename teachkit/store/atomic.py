"""Files that are either the old or the new ones, whatever dies in between."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from teachkit.errors import StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "free some space and build again: what is finished is kept",
    errno.EDQUOT: "free some space and build again: what is finished is kept",
    errno.EROFS: "this file system is read-only: name another folder ('store:' in profiles.yml)",
    errno.EACCES: "check who owns the folder, or name another one ('store:' in profiles.yml)",
    errno.EPERM: "check who owns the folder, or name another one ('store:' in profiles.yml)",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away",
    errno.EEXIST: "a file stands where a folder is needed: move it away",
    errno.EISDIR: "a folder stands where a file is needed: move it away",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into ``StoreUnwritable``: the path, and what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the disk, or name another folder ('store:' in profiles.yml)")
        problem = error.strerror or str(error)
        raise StoreUnwritable(path=error.filename or path, problem=problem, advice=advice) from error


def write_bytes_atomic(path: Path, data: bytes, *, temporary_in: Path | None = None) -> None:
    """Replace ``path`` by ``data``: a crash at any moment leaves the old bytes or all of the new ones.

    The temporary file lies in ``temporary_in`` (same file system), or beside ``path``.

    Raises:
        StoreUnwritable: the disk is full or the place is read-only; the old file is untouched.
    """
    temporary = temporary_path(temporary_in or path.parent, f".{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def temporary_path(folder: Path, name: str) -> Path:
    """Return a path in ``folder`` that no other process or thread uses."""
    return folder / f"{name}.{os.getpid()}-{os.urandom(6).hex()}.tmp"


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``: one process, and one thread in it, at a time. A killed holder frees it."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with writing(path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def would_wait(path: Path) -> bool:
    """Whether another process or thread holds the lock file ``path`` now."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
