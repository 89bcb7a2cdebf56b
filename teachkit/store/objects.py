"""Immutable tables, named by their keys: a Parquet file and, written last, its description."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from teachkit.errors import StoreDamaged
from teachkit.hashing import digest, digest_file
from teachkit.store.atomic import locked, sync, temporary_path, write_bytes_atomic, writing
from teachkit.store.digests import ColumnDigest, combined_digest, table_digests

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from teachkit.store.layout import Layout

_ROW_GROUP = 1 << 17
_BATCH = 1 << 16
_STALE_SECONDS = 24 * 3600

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What is known of an object without opening it. Its file, written last, is what makes the object.

    ``digest`` is of the content, however it is stored; ``file`` of the bytes of the Parquet file, None of old objects.
    """

    key: str
    node: str
    part: int
    rows: int
    digest: str
    columns: Mapping[str, str]
    types: Mapping[str, str]
    bytes: int
    created: str | None
    extra: Mapping[str, Any]
    file: str | None = None


def part_content(part: ObjectMeta, columns: Sequence[str] | None) -> Any:
    """The content of some columns of one part."""
    if columns is None:
        return part.digest
    wanted = set(columns)
    return [part.rows, sorted((n.lower(), d) for n, d in part.columns.items() if n.lower() in wanted)]


def items_digest(parts: Sequence[ObjectMeta], key: str) -> str:
    """Which items a dataset has, in which order: a digest of the column with their keys."""
    return digest([part_content(part, [key]) for part in parts])


class Objects:
    """The objects of a store. Safe for several threads and processes; a crash leaves whole objects only."""

    def __init__(self, layout: Layout, clock: Clock | None) -> None:
        self._layout = layout
        self._clock = clock
        self._unsynced: set[Path] = set()

    def has(self, key: str) -> bool:
        """Say whether the object is there, by two looks at the file system."""
        return self._layout.meta(key).exists() and self._layout.table(key).exists()

    def meta(self, key: str) -> ObjectMeta | None:
        """Return an object's description, None if there is none; ``StoreDamaged`` if it cannot be read."""
        path = self._layout.meta(key)
        try:
            meta = ObjectMeta(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise StoreDamaged(path=path, problem=f"it describes no object ({error})") from error
        if meta.key != key:
            raise StoreDamaged(path=path, problem=f"it describes the object {meta.key}")
        return meta if self._layout.table(key).exists() else None

    def read(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the object's rows, with all columns or those named, in that order.

        Raises:
            KeyError: there is no such object, or it lacks a column.
            StoreDamaged: the file is not whole.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._sized(key)
        try:
            with pq.ParquetFile(path) as file:
                table = file.read(columns if columns is None else list(columns))
        except (OSError, pa.ArrowException) as error:
            raise StoreDamaged(path=path, problem=f"it cannot be read ({_first_line(error)})") from error
        return table if columns is None else table.select(list(columns))

    def write_table(
        self, key: str, table: pa.Table, *, node: str, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store ``table`` under ``key``; if the key is taken, what is there stays and is returned."""
        if (there := self.meta(key)) is not None:
            return there
        temporary = self._temporary(key)
        try:
            with writing(temporary):
                columns = _write_parquet(table, temporary)
            return self._commit(temporary, self._describe(key, temporary, columns, (node, part, extra)))
        finally:
            temporary.unlink(missing_ok=True)

    def write_file(
        self, key: str, write: Callable[[Path], None], *, node: str, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store the Parquet file that ``write`` makes at the path it is given; else as ``write_table``."""
        if (there := self.meta(key)) is not None:
            return there
        temporary = self._temporary(key)
        try:
            write(temporary)
            columns = _read_digests(temporary)
            return self._commit(temporary, self._describe(key, temporary, columns, (node, part, extra)))
        finally:
            temporary.unlink(missing_ok=True)

    def verify(self, key: str) -> str | None:
        """Return what is wrong with an object, None if it holds what its description says, byte for byte."""
        try:
            meta = self.meta(key)
            if meta is None:
                return f"object {key} is missing"
            path = self._sized(key)
            columns = _read_digests(path)
        except StoreDamaged as error:
            return error.message
        wrong = [n for n in {**meta.columns, **columns.digests} if meta.columns.get(n) != columns.digests.get(n)]
        if wrong or combined_digest(columns.rows, columns.digests) != meta.digest or columns.rows != meta.rows:
            return f"{path} holds other content than it was stored with: {', '.join(wrong) or 'its rows'}"
        if columns.types != meta.types:
            return f"{self._layout.meta(key)} says of {path.name} other types than it has"
        if meta.file is not None and digest_file(path) != meta.file:
            return f"{path} has other bytes than it was stored with; its content is the same"
        return None

    def keys(self) -> Iterator[str]:
        """Yield the keys of all objects. This reads every folder: not for a build."""
        for path in sorted(self._layout.objects.glob("*/*.json")):
            yield path.stem

    def discard(self, key: str) -> None:
        """Remove an object; its description goes first, so that no half of it is ever taken for one."""
        with writing(self._layout.meta(key)), locked(self._layout.objects / "lock"):
            self._layout.meta(key).unlink(missing_ok=True)
            self._layout.table(key).unlink(missing_ok=True)

    def gc_temporary(self) -> int:
        """Remove what killed builds left in ``objects/tmp`` more than a day ago; return how many files."""
        removed = 0
        oldest = time.time() - _STALE_SECONDS
        for path in self._layout.temporary.glob("*"):
            with writing(path), suppress(FileNotFoundError):  # its writer may be done with it by now
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
        return removed

    def sync(self) -> None:
        """Wait until the names of all objects written so far are on the disk; their bytes already are."""
        while self._unsynced:
            folder = self._unsynced.pop()
            with writing(folder):
                sync(folder)

    def _temporary(self, key: str) -> Path:
        with writing(self._layout.temporary):
            self._layout.temporary.mkdir(parents=True, exist_ok=True)
        return temporary_path(self._layout.temporary, key)

    def _describe(
        self, key: str, file: Path, columns: _Columns, about: tuple[str, int, Mapping[str, Any] | None]
    ) -> ObjectMeta:
        node, part, extra = about
        return ObjectMeta(
            key=key,
            node=node,
            part=part,
            rows=columns.rows,
            digest=combined_digest(columns.rows, columns.digests),
            columns=columns.digests,
            types=columns.types,
            bytes=file.stat().st_size,
            created=self._clock().isoformat() if self._clock else None,
            extra=dict(extra or {}),
            file=digest_file(file),
        )

    def _commit(self, temporary: Path, meta: ObjectMeta) -> ObjectMeta:
        table, description = self._layout.table(meta.key), self._layout.meta(meta.key)
        text = json.dumps(asdict(meta), ensure_ascii=False, allow_nan=False, indent=1)
        with writing(table):
            sync(temporary)
            table.parent.mkdir(parents=True, exist_ok=True)
        # Under the lock, or the rows of one process could end up with the description of another.
        with locked(self._layout.objects / "lock"):
            if (first := self.meta(meta.key)) is not None:
                return first
            with writing(table):
                temporary.replace(table)
            write_bytes_atomic(description, text.encode(), temporary_in=self._layout.temporary)
        self._unsynced.update((table.parent, self._layout.objects))
        return meta

    def _sized(self, key: str) -> Path:
        """The path of an object's table, after a look at its size, which is what a torn copy gets wrong."""
        meta = self.meta(key)
        if meta is None:
            raise KeyError(key)
        path = self._layout.table(key)
        if path.stat().st_size != meta.bytes:
            raise StoreDamaged(path=path, problem=f"it has {path.stat().st_size} bytes instead of {meta.bytes}")
        return path


@dataclass(frozen=True, slots=True)
class _Columns:
    rows: int
    digests: dict[str, str]
    types: dict[str, str]


def _write_parquet(table: pa.Table, path: Path) -> _Columns:
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP)
    # Parquet lacks some of Arrow's types (seconds, date64): digest what a reader will see.
    schema = pq.read_schema(path)
    for index, field in enumerate(schema):
        if field.type != table.schema.field(index).type:
            table = table.set_column(index, field, table.column(index).cast(field.type))
    return _Columns(table.num_rows, table_digests(table), {field.name: str(field.type) for field in schema})


def _read_digests(path: Path) -> _Columns:
    """Digest a Parquet file batch by batch: memory does not grow with the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = [ColumnDigest() for _ in schema]
            for column, field in zip(columns, schema, strict=True):
                column.update(pa.nulls(0, field.type))
            for batch in file.iter_batches(_BATCH):
                for column, array in zip(columns, batch.columns, strict=True):
                    column.update(array)
            rows = file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise StoreDamaged(path=path, problem=f"it cannot be read ({_first_line(error)})") from error
    digests = {field.name: column.hexdigest() for field, column in zip(schema, columns, strict=True)}
    return _Columns(rows, digests, {field.name: str(field.type) for field in schema})


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
