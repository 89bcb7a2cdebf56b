"""Digests of source files, not computed again while a file's size, times and inode stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from teachkit.hashing import digest_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from teachkit.store.cache import Cache

_RACY_NS = 2_000_000_000


def file_digests(paths: Iterable[Path], cache: Cache) -> dict[Path, str]:
    """Return the sha256 of each file's bytes.

    A file changed in the last two seconds may change again within its clock's tick and keep its signature, so
    its digest is computed and not kept (git calls such a file racy).

    Raises:
        OSError: a file is not there or cannot be read.
    """
    signatures = {path: signature(path) for path in dict.fromkeys(paths)}
    known = cache.get_many(signatures.values())
    digests = {path: known.get(found) or digest_file(path) for path, found in signatures.items()}
    fresh = {}
    for path, before in signatures.items():
        if before not in known and _settled(path) and signature(path) == before:
            fresh[before] = digests[path]
    cache.put_many(fresh)
    return digests


def signature(path: Path) -> str:
    """What becomes another when a file is written, moved or replaced: nobody can set the time of its last change."""
    stat = path.stat()
    return f"file {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino} {path.resolve()!a}"


def _settled(path: Path) -> bool:
    stat = path.stat()
    return max(stat.st_mtime_ns, stat.st_ctime_ns) < time.time_ns() - _RACY_NS
