"""The cache never fails: it only forgets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from teachkit.store import Cache, Store

if TYPE_CHECKING:
    from pathlib import Path


def test_values_are_found_again_by_another_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "c.sqlite"
    cache = Cache(path)
    assert cache.get_many(["a"]) == {}
    assert not path.parent.exists()
    values = {f"key {n}": f'{{"value": "{n} ä"}}' for n in range(2_500)}
    cache.put_many(values)
    cache.put_many({"key 1": "newer"})
    cache.close()
    other = Cache(path)
    assert other.get_many([*values, "unknown"]) == {**values, "key 1": "newer"}
    other.close()


@pytest.mark.parametrize("keep", [0, 100, 5_000])
def test_a_damaged_file_is_thrown_away(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "c.sqlite"
    cache = Cache(path)
    cache.put_many({str(n): "x" * 100 for n in range(200)})
    cache.close()
    path.write_bytes(path.read_bytes()[:keep] + b"garbage" * 1_000)
    cache = Cache(path)
    assert set(cache.get_many(["1", "2"]).values()) <= {"x" * 100}
    cache.put_many({"a": "b"})
    cache.put_many({"a": "b"})
    assert cache.get_many(["a"]) == {"a": "b"}
    cache.close()


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "c.sqlite")
    cache.put_many({"a": "b"})
    assert cache.get_many(["a"]) == {}
    (tmp_path / "folder").mkdir()
    cache = Cache(tmp_path / "folder")
    cache.put_many({"a": "b"})
    assert cache.get_many(["a"]) == {}


def test_the_cache_stays_small_and_keeps_the_newest(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "c.sqlite", max_bytes=200_000)
    for n in range(100):
        cache.put_many({f"{n}": "x" * 10_000})
    found = cache.get_many(str(n) for n in range(100))
    assert "99" in found
    assert 5 <= len(found) <= 20
    cache.close()
    assert (tmp_path / "c.sqlite").stat().st_size < 400_000


def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every file for one that was written long before now."""
    monkeypatch.setattr("teachkit.store.files._RACY_NS", -10_000_000_000)


def test_a_file_is_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.csv"
    path.write_text("one")
    long_ago(monkeypatch)
    with Store.open(tmp_path / "store") as store:
        expected = store.file_digest(path)
        with monkeypatch.context() as patch:
            patch.setattr("teachkit.store.files.digest_file", pytest.fail)
            assert store.file_digest(path) == expected
        path.write_text("two!")
        assert store.file_digest(path) != expected
        with pytest.raises(FileNotFoundError):
            store.file_digest(tmp_path / "missing")


def test_a_file_rewritten_in_place_with_its_old_size_and_time_is_digested_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("one")
    before = path.stat()
    long_ago(monkeypatch)
    with Store.open(tmp_path / "store") as store:
        first = store.file_digest(path)
        while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of the file system ticks some times in 10 ms
            path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        after = path.stat()
        assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
        assert store.file_digest(path) != first


def test_a_file_whose_time_was_set_may_have_been_written_just_now(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    digests = set()
    with Store.open(tmp_path / "store") as store:
        for text in ("one", "two"):
            path.write_text(text)
            os.utime(path, (1, 1))
            digests.add(store.file_digest(path))
    assert len(digests) == 2


def test_a_file_that_was_just_written_is_digested_again(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    with Store.open(tmp_path / "store") as store:
        path.write_text("one")
        stat = path.stat()
        first = store.file_digest(path)
        path.write_text("two")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert store.file_digest(path) != first
