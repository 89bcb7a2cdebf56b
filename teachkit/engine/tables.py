"""Tables of the store: a SELECT's result as immutable parts."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from teachkit.engine.session import Session, parquet
from teachkit.graph.sql import literal, quote
from teachkit.hashing import digest, digest_file
from teachkit.store.atomic import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from teachkit.store import ObjectMeta, Store


_PARQUET = "format parquet, compression zstd, preserve_order true"


def part_key(key: str, part: int) -> str:
    """The key of one part of a node's output."""
    return digest(["part", key, part])


def stored_parts(store: Store, key: str) -> list[ObjectMeta] | None:
    """The parts of an output, None if it is not there whole (part 0 is written last)."""
    first = store.meta(part_key(key, 0))
    if first is None:
        return None
    parts = [first, *(store.meta(part_key(key, i)) for i in range(1, int(first.extra.get("parts", 1))))]
    return None if any(p is None for p in parts) else [p for p in parts if p is not None]


def materialise(
    session: Session,
    store: Store,
    sql: str,
    *,
    key: str | None,
    check: Callable[[], None],
    node: str,
    split_by: str | None,
    part_rows: int,
    keeps_order: bool,
    serial: bool,
    replace: bool = False,
) -> list[ObjectMeta]:
    """Run a SELECT and store its rows; above ``part_rows`` rows in parts by a hash of the column ``split_by``.

    The rows keep the order of the one table that a plain projection reads; any other query's are sorted by all
    columns, so that the same rows are always stored in the same order. Without a ``key`` they are stored under the
    digest of their content. ``check`` is called between reading and storing: what it raises keeps rows from the store.
    """
    sql = _storable(session, sql)
    ordered = sql if keeps_order else f"select * from (\n{sql}\n) order by all"
    run = session.serially if serial else session.rows
    scratch = store.root / "objects" / "tmp" / f"{os.getpid()}-{uuid.uuid4().hex}.parquet"
    with writing(scratch):
        scratch.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(f"copy (\n{ordered}\n) to {literal(str(scratch))} ({_PARQUET})")
        check()
        key = key or digest([node, digest_file(scratch)])
        rows = session.rows(f"select count(*) from {parquet([scratch])}")[0][0]
        parts = _part_count(rows, part_rows) if split_by else 1
        if replace:
            for part in range(parts):
                store.discard(part_key(key, part))
        if parts == 1:

            def move(path: Path) -> None:
                scratch.replace(path)

            return [store.write_file(part_key(key, 0), move, node=node, part=0, extra={"parts": 1})]
        metas = []
        for part in reversed(range(parts)):
            chosen = f"select * from {parquet([scratch])} where {part_of(split_by or '', parts)} = {part}"

            def write(path: Path, chosen: str = chosen) -> None:
                session.rows(f"copy ({chosen}) to {literal(str(path))} ({_PARQUET})")

            metas.append(store.write_file(part_key(key, part), write, node=node, part=part, extra={"parts": parts}))
        return metas[::-1]
    finally:
        scratch.unlink(missing_ok=True)


def _storable(session: Session, sql: str) -> str:
    """The same rows in types that Parquet holds: DuckDB would write whole numbers of 128 bits as floats."""
    columns = session.rows(f"describe (\n{sql}\n)")
    wide = [name for name, kind, *_ in columns if kind in ("HUGEINT", "UHUGEINT")]
    if not wide:
        return sql
    casts = ", ".join(f"cast({quote(name)} as decimal(38, 0)) as {quote(name)}" for name in wide)
    return f"select * replace ({casts}) from (\n{sql}\n)"


def part_of(column: str, parts: int) -> str:
    """The SQL of a row's part: by md5 of the key, the same in every engine."""
    return f"(md5_number_lower(cast({quote(column)} as varchar)) % {parts})"


def relation(store: Store, metas: Sequence[ObjectMeta]) -> str:
    """A relation over stored parts, in their order."""
    return parquet([store.path(m.key) for m in metas])


def _part_count(rows: int, part_rows: int) -> int:
    """A power of two, so that a growing table splits its parts instead of mixing them anew."""
    parts = 1
    while rows > parts * part_rows:
        parts *= 2
    return parts
