"""What a source held when it was looked at, by which a build knows whether it has changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from teachkit.engine.sources import SQLITE_LOG, files_of_content, is_remote, open_source, unreadable
from teachkit.errors import SourceChanged, Where, listing
from teachkit.graph.sql import not_fixed
from teachkit.hashing import digest
from teachkit.project.root import name_below
from teachkit.store.files import signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.graph.node import SourceSpec
    from teachkit.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """What a source held when it was looked at.

    ``key`` names it: by the digests of its local ``files``, or the answer to its declared ``version`` query.
    """

    key: str
    files: Mapping[Path, str]
    signatures: Mapping[Path, str]
    version: str | None = None


def content_of(spec: SourceSpec, root: Path, store: Store, name: str, where: Where) -> Content | None:
    """What a source holds now, None if it must be read to know."""
    if spec.table.version is not None:
        answer = _version(spec, root, name, where)
        return Content(digest(["version", answer]), {}, {}, answer)
    if is_remote(spec):
        return None
    try:
        signatures = _signatures(spec, root)
        files = store.file_digests(signatures)
    except FileNotFoundError as error:  # it was there a moment ago
        raise SourceChanged(where, source=name, changed=name_below(Path(str(error.filename)), root)) from error
    return Content(digest(list(files.values())), files, signatures)


def check_same(content: Content, spec: SourceSpec, root: Path, store: Store, name: str, where: Where) -> None:
    """Look again at a source that has been read: what was read is ``content`` only if it still is.

    Raises:
        SourceChanged: it is not, or was written and put back meanwhile.
    """
    if content.version is not None:
        if not_fixed(str(spec.table.version)) is not None:
            return  # the clock or chance: another content with each build, as is wanted
        if _version(spec, root, name, where) != content.version:
            raise SourceChanged(where, source=name, changed="'version' has another answer")
        return
    now = content_of(spec, root, store, name, where)
    if now == content:
        return
    before, after = ({(f, c.signatures[f], c.files[f]) for f in c.files} if c else set() for c in (content, now))
    changed = sorted({name_below(file, root) for file, *_ in before ^ after})
    raise SourceChanged(where, source=name, changed=listing(changed, 3))


def _signatures(spec: SourceSpec, root: Path) -> dict[Path, str]:
    return {file: _signature(file) for file in files_of_content(spec, root)}


def _signature(file: Path) -> str:
    """Of SQLite's log without the time of its last change: who reads as root gives it its owner anew."""
    if not file.name.endswith(SQLITE_LOG):
        return signature(file)
    stat = file.stat()
    return f"log {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"


def _version(spec: SourceSpec, root: Path, name: str, where: Where) -> str:
    import duckdb

    asked = dataclasses.replace(spec, table=spec.table.model_copy(update={"query": spec.table.version, "table": None}))
    with duckdb.connect() as connection:
        try:
            relation = open_source(connection, asked, root, name, where)
            return repr(connection.execute(f"select * from {relation}").fetchall())
        except duckdb.Error as error:
            raise unreadable(error, name, where) from error
