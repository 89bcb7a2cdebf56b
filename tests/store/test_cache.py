"""The cache never fails: it only forgets."""

from __future__ import annotations

import os
import time
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


def settled(path: Path, text: str, age: int = 10) -> None:
    path.write_text(text)
    when = time.time_ns() - age * 1_000_000_000
    os.utime(path, ns=(when, when))


def test_a_file_is_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data.csv"
    settled(path, "one")
    with Store.open(tmp_path / "store") as store:
        expected = store.file_digest(path)
        with monkeypatch.context() as patch:
            patch.setattr("teachkit.store.files.digest_file", pytest.fail)
            assert store.file_digest(path) == expected
        settled(path, "two!", age=20)
        assert store.file_digest(path) != expected
        with pytest.raises(FileNotFoundError):
            store.file_digest(tmp_path / "missing")


def test_a_file_that_was_just_written_is_digested_again(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    with Store.open(tmp_path / "store") as store:
        path.write_text("one")
        stat = path.stat()
        first = store.file_digest(path)
        path.write_text("two")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert store.file_digest(path) != first
