"""The store as the rooms above see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from teachkit.store.cache import Cache
from teachkit.store.definitions import Definitions
from teachkit.store.files import file_digests
from teachkit.store.layout import Layout, open_layout
from teachkit.store.objects import Clock, ObjectMeta, Objects
from teachkit.store.refs import Environment, Refs
from teachkit.store.runs import BrokenRun, RunRecord, Runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa


MEMO_BYTES = 64 << 30  # answers of functions that are said to be worth keeping go only for lack of room


class Store:
    """Objects, definitions, runs, environments and a cache in one folder.

    Opening it reads one small file. Any number of threads and processes may use it at once; a process that is
    killed at any moment leaves only whole things. Writing raises ``StoreUnwritable`` where it cannot be
    done; the cache alone then keeps nothing and says nothing.
    """

    def __init__(self, layout: Layout, clock: Clock | None = None) -> None:
        """Use ``open``."""
        self.root = layout.root
        self.cache = Cache(layout.cache / "cache.sqlite")
        self.memo = Cache(layout.cache / "memo.sqlite", max_bytes=MEMO_BYTES)
        self._layout = layout
        self._objects = Objects(layout, clock)
        self._definitions = Definitions(layout)
        self._runs = Runs(layout)
        self._refs = Refs(layout)

    @classmethod
    def open(cls, path: Path, *, create: bool = True, clock: Clock | None = None) -> Self:
        """Open the store at ``path``; without ``create``, one that is not there reads as empty.

        ``clock`` dates the objects; without one they carry no date.

        Raises:
            StoreTooNew: a newer teachkit wrote it.
            StoreDamaged: its format cannot be read.
            StoreUnwritable: there is none and none can be made.
        """
        return cls(open_layout(path, create=create), clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for the disk and let go of the cache."""
        try:
            self._objects.sync()
        finally:
            self.cache.close()
            self.memo.close()

    # objects

    def has(self, key: str) -> bool:
        """Say whether there is an object ``key``."""
        return self._objects.has(key)

    def meta(self, key: str) -> ObjectMeta | None:
        """Return an object's description, None if there is none; ``StoreDamaged`` if it cannot be read."""
        return self._objects.meta(key)

    def description_path(self, key: str) -> Path:
        """Return where the description of ``key`` is, or would be."""
        return self._layout.meta(key)

    def path(self, key: str) -> Path:
        """Return where the Parquet file of ``key`` is, or would be."""
        return self._layout.table(key)

    def read(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return an object's rows; ``KeyError`` if there is none, ``StoreDamaged`` if it is not whole."""
        return self._objects.read(key, columns)

    def write_table(
        self, key: str, table: pa.Table, *, node: str, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store ``table`` under ``key``; if the key is taken, what is there stays and is returned."""
        return self._objects.write_table(key, table, node=node, part=part, extra=extra)

    def write_file(
        self, key: str, write: Callable[[Path], None], *, node: str, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store the Parquet file that ``write`` makes at the path it is given; else as ``write_table``."""
        return self._objects.write_file(key, write, node=node, part=part, extra=extra)

    def verify_object(self, key: str) -> str | None:
        """Return what is wrong with an object, None if it holds the content that its description names."""
        return self._objects.verify(key)

    def keys(self) -> Iterator[str]:
        """Yield the keys of all objects. This reads every folder: not for a build."""
        return self._objects.keys()

    def discard(self, key: str) -> None:
        """Remove an object."""
        self._objects.discard(key)

    def gc_temporary(self) -> int:
        """Remove what killed builds left more than a day ago; return how many files."""
        return self._objects.gc_temporary()

    # definitions

    def put_definition(self, text: str, meta: Mapping[str, Any]) -> str | None:
        """Keep a definition under ``meta["fingerprint"]``; its digest, or None if there is one, which stays."""
        return self._definitions.put(text, meta)

    def definition(self, fingerprint: str) -> dict[str, Any] | None:
        """Return what was put (``text``, the keys of ``meta``, the ``digest`` of both), None if nothing was."""
        return self._definitions.get(fingerprint)

    def definition_path(self, fingerprint: str) -> Path:
        """Return where a definition is, or would be."""
        return self._layout.definition(fingerprint)

    # runs

    def append_run(self, record: Mapping[str, Any]) -> tuple[str, str]:
        """Write ``record`` as the newest of the chain; return its run id and its hash."""
        self._objects.sync()  # what a record names must outlast a power cut if the record does
        run = self._runs.append(record)
        return run.run_id, run.hash

    def runs(self) -> Iterator[RunRecord]:
        """Yield the run records, newest first."""
        return iter(self._runs)

    def readable_runs(self) -> Iterator[RunRecord | BrokenRun]:
        """Yield the run records, newest first; for one that cannot be read, what is wrong with it."""
        return self._runs.readable()

    def run_path(self, number: int) -> Path:
        """Return where the record of a run is, or would be."""
        return self._layout.run(number)

    def last_run(self) -> RunRecord | None:
        """Return the newest run record, None if nothing was ever run."""
        return self._runs.last()

    def verify_chain(self) -> BrokenRun | None:
        """Return the first place at which the chain of runs does not hold, None if it does."""
        return self._runs.verify()

    # environments

    def environment_path(self, target: str) -> Path:
        """Return where the environment of ``target`` is, or would be."""
        return self._layout.ref(target)

    def read_environment(self, target: str) -> Environment:
        """Return the environment of ``target``; one without nodes if nothing was published."""
        return self._refs.read(target)

    def write_environment(self, target: str, environment: Environment) -> None:
        """Replace the environment of ``target``; on any failure the one before stays."""
        self._objects.sync()
        self._refs.write(target, environment)

    def update_environment(self, target: str, change: Callable[[Environment], Environment]) -> Environment:
        """Replace an environment by what ``change`` makes of it; no other process gets in between."""
        self._objects.sync()
        return self._refs.update(target, change)

    # files

    def file_digest(self, path: Path) -> str:
        """Return the sha256 of a file's bytes, from the cache while its size, times and inode stay."""
        return self.file_digests([path])[path]

    def file_digests(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Return the sha256 of each file's bytes; one look at the cache for all."""
        return file_digests(paths, self.cache)
