"""A file is the old one or the new one, and what cannot be written says why."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from teachkit.errors import StoreUnwritable
from teachkit.store.atomic import write_bytes_atomic


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_bytes_atomic(path, b"one")
    write_bytes_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "who owns"),
        (errno.EIO, "check the disk"),
    ],
)
def test_a_refusal_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    path = tmp_path / "file"
    write_bytes_atomic(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreUnwritable) as caught:
        write_bytes_atomic(path, b"new")
    assert str(path) in caught.value.message
    assert advice in caught.value.advice
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_without_room_is_named(tmp_path: Path) -> None:
    """/dev/full is the real thing: the kernel itself says that no space is left."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")

    class Full(type(tmp_path)):  # type: ignore[misc]
        def write_bytes(self, data: bytes) -> int:
            with full.open("wb", buffering=0) as file:
                return file.write(data)

    with pytest.raises(StoreUnwritable, match="No space left"):
        write_bytes_atomic(Full(tmp_path / "file"), b"new")
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises(StoreUnwritable) as caught:
        write_bytes_atomic(tmp_path / "store" / "file", b"new")
    assert caught.value.advice == "a file stands where a folder is needed: move it away"
