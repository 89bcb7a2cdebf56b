"""Objects are whole or not there, and hold what their descriptions say."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import time
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from teachkit.errors import StoreDamaged, StoreUnwritable
from teachkit.store import Store, column_digest, table_digests

if TYPE_CHECKING:
    from pathlib import Path

KEY = "ab" + "0" * 62
TABLE = pa.table({"key": ["a", "b", None], "label": pa.array([1, -1, 0], pa.int8())})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", clock=lambda: dt.datetime(2026, 1, 2, tzinfo=dt.UTC))


def put(store: Store, key: str = KEY, table: pa.Table = TABLE) -> None:
    store.write_table(key, table, node="lf.spam.url", part=0)


def test_what_is_written_is_read_again(store: Store) -> None:
    meta = store.write_table(KEY, TABLE, node="lf.spam.url", part=3, extra={"classes": {"spam": 1}})
    assert store.has(KEY)
    assert store.meta(KEY) == meta
    assert store.path(KEY) == store.root / "objects" / "ab" / f"{KEY}.parquet"
    assert (meta.node, meta.part, meta.rows, meta.extra) == ("lf.spam.url", 3, 3, {"classes": {"spam": 1}})
    assert (meta.created, meta.bytes) == ("2026-01-02T00:00:00+00:00", store.path(KEY).stat().st_size)
    assert meta.columns == table_digests(TABLE)
    assert meta.types == {"key": "string", "label": "int8"}
    assert store.read(KEY) == TABLE
    assert store.read(KEY, ["label", "key"]) == TABLE.select(["label", "key"])
    assert store.verify_object(KEY) is None
    assert list(store.keys()) == [KEY]
    assert not list((store.root / "objects" / "tmp").iterdir())


def test_the_same_table_gives_the_same_bytes(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    put(store)
    put(other)
    assert store.path(KEY).read_bytes() == other.path(KEY).read_bytes()


def test_what_is_not_there_is_said_to_be_missing(store: Store) -> None:
    assert not store.has(KEY)
    assert store.meta(KEY) is None
    with pytest.raises(KeyError):
        store.read(KEY)
    put(store)
    with pytest.raises(KeyError):
        store.read(KEY, ["nothing"])
    assert store.verify_object("cd" * 32) == f"object {'cd' * 32} is missing"


def test_a_taken_key_keeps_its_object(store: Store) -> None:
    put(store)
    first = store.meta(KEY)
    assert store.write_table(KEY, pa.table({"other": [1]}), node="x", part=9) == first
    assert store.read(KEY) == TABLE


def test_a_process_that_was_second_keeps_the_object_of_the_first(store: Store) -> None:
    def slow(path: Path) -> None:
        put(Store.open(store.root))
        pq.write_table(pa.table({"key": ["late"]}), path)

    meta = store.write_file(KEY, slow, node="lf.spam.url", part=0)
    assert meta.rows == 3
    assert store.read(KEY) == TABLE
    assert store.verify_object(KEY) is None


def test_a_file_and_a_table_of_the_same_content_have_the_same_digests(store: Store) -> None:
    big = pa.table({"n": pa.array(range(200_000)), "t": pa.array([str(i % 997) for i in range(200_000)])})
    one = store.write_table(KEY, big, node="a", part=0)
    other = store.write_file("cd" * 32, lambda path: pq.write_table(big, path, row_group_size=70_001), node="a", part=0)
    assert (one.digest, one.columns, one.types, one.rows) == (other.digest, other.columns, other.types, other.rows)


def test_types_that_parquet_lacks_are_digested_as_they_are_read(store: Store) -> None:
    table = pa.table(
        {
            "s": pa.array([1, None], pa.timestamp("s")),
            "d": pa.array([86_400_000, None], pa.date64()),
            "l": pa.array([[1], None], pa.list_(pa.timestamp("s"))),
            "v": pa.array(["a", None], pa.string_view()),
            "c": pa.array(["a", None]).dictionary_encode(),
        }
    )
    meta = store.write_table(KEY, table, node="a", part=0)
    assert meta.columns == table_digests(store.read(KEY))
    assert meta.types["s"] == "timestamp[ms]"
    assert store.verify_object(KEY) is None


def test_an_empty_table_is_an_object(store: Store) -> None:
    empty = TABLE.slice(0, 0)
    put(store, KEY, empty)
    assert store.read(KEY) == empty
    meta = store.meta(KEY)
    assert meta is not None
    assert meta.columns["key"] == column_digest([pa.array([], pa.string())])
    assert store.verify_object(KEY) is None


def test_a_writer_that_fails_leaves_nothing(store: Store) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        store.write_file(KEY, fail, node="a", part=0)
    assert not store.has(KEY)
    assert not list((store.root / "objects" / "tmp").iterdir())


def test_a_writer_of_something_else_is_refused(store: Store) -> None:
    def write_csv(path: Path) -> None:
        path.write_text("a,b\n")

    with pytest.raises(StoreDamaged, match="cannot be read"):
        store.write_file(KEY, write_csv, node="a", part=0)
    assert not store.has(KEY)


def test_a_full_disk_leaves_no_object(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(type(store.root), "replace", full)
        with pytest.raises(StoreUnwritable, match="No space left on device") as caught:
            put(store)
    assert "free some space" in caught.value.advice
    assert not store.has(KEY)
    assert not list((store.root / "objects" / "tmp").iterdir())
    put(store)
    assert store.read(KEY) == TABLE


def test_a_table_without_description_is_no_object(store: Store) -> None:
    put(store)
    description = store.path(KEY).with_suffix(".json")
    description.unlink()
    assert not store.has(KEY)
    assert store.meta(KEY) is None
    store.write_table(KEY, TABLE.slice(0, 1), node="a", part=0)
    assert store.read(KEY).num_rows == 1


def test_a_description_without_table_is_no_object(store: Store) -> None:
    put(store)
    store.path(KEY).unlink()
    assert not store.has(KEY)
    assert store.meta(KEY) is None
    put(store)
    assert store.read(KEY) == TABLE


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', '{"key": "other"}', "\x00\xff"])
def test_a_damaged_description_is_named(store: Store, text: str) -> None:
    put(store)
    description = store.path(KEY).with_suffix(".json")
    description.write_text(text)
    with pytest.raises(StoreDamaged, match=str(description)):
        store.meta(KEY)
    assert str(description) in str(store.verify_object(KEY))


def test_the_description_of_another_object_is_refused(store: Store) -> None:
    put(store)
    description = store.path(KEY).with_suffix(".json")
    description.write_text(json.dumps({**json.loads(description.read_text()), "key": "other"}))
    with pytest.raises(StoreDamaged, match="describes the object other"):
        store.meta(KEY)


def test_a_torn_table_is_named(store: Store) -> None:
    put(store)
    path = store.path(KEY)
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(StoreDamaged, match="bytes instead of"):
        store.read(KEY)
    path.write_bytes(b"x" * len(data))
    with pytest.raises(StoreDamaged, match="cannot be read"):
        store.read(KEY)


def test_changed_content_is_found_by_verification(store: Store) -> None:
    put(store)
    forged = TABLE.set_column(1, "label", pa.array([0, -1, 1], pa.int8()))
    pq.write_table(forged, store.path(KEY), compression="zstd", row_group_size=1 << 17)
    description = store.path(KEY).with_suffix(".json")
    size = store.path(KEY).stat().st_size
    description.write_text(json.dumps({**json.loads(description.read_text()), "bytes": size}))
    assert str(store.verify_object(KEY)).endswith("holds other content than it was stored with: label")


def test_only_stale_temporary_files_are_removed(store: Store) -> None:
    put(store)
    folder = store.root / "objects" / "tmp"
    (folder / "new.tmp").write_text("")
    (folder / ".old.tmp").write_text("")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(folder / ".old.tmp", (two_days_ago, two_days_ago))
    assert store.gc_temporary() == 1
    assert [path.name for path in folder.iterdir()] == ["new.tmp"]
    assert store.read(KEY) == TABLE


def test_a_discarded_object_is_gone(store: Store) -> None:
    put(store)
    store.discard(KEY)
    store.discard(KEY)
    assert not store.has(KEY)
    assert list(store.keys()) == []


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "/tmp/x", ".hidden", "a/b"])
def test_a_key_cannot_leave_the_store(store: Store, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        store.has(key)
