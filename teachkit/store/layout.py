"""Where everything in a store lies, and which format it has."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.errors import StoreDamaged, StoreTooNew
from teachkit.store.atomic import write_bytes_atomic, writing

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of a store; asking for one touches nothing on the disk."""

    root: Path

    @property
    def format(self) -> Path:
        return self.root / "format"

    @property
    def objects(self) -> Path:
        return self.root / "objects"

    @property
    def temporary(self) -> Path:
        return self.objects / "tmp"

    @property
    def definitions(self) -> Path:
        return self.root / "definitions"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def refs(self) -> Path:
        return self.root / "refs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def table(self, key: str) -> Path:
        # One join, not three: a build asks for the path of every object.
        return self.root / f"objects/{_shard(key)}/{key}.parquet"

    def meta(self, key: str) -> Path:
        return self.root / f"objects/{_shard(key)}/{key}.json"

    def definition(self, fingerprint: str) -> Path:
        return self.definitions / _shard(fingerprint) / f"{fingerprint}.json"

    def run(self, number: int) -> Path:
        return self.runs / f"{number:06d}.json"

    def ref(self, target: str) -> Path:
        return self.refs / f"{_file_name(target)}.json"


def open_layout(root: Path, *, create: bool) -> Layout:
    """Check the format of the store at ``root``; ``create`` makes a new one where there is none.

    Raises:
        StoreTooNew: a newer teachkit wrote it.
        StoreDamaged: the file ``format`` holds no number.
        StoreUnwritable: there is none and none can be made.
    """
    layout = Layout(root)
    text = None
    with writing(layout.format), suppress(FileNotFoundError):
        text = layout.format.read_text(errors="replace").strip()
    if text is None:
        if create:
            write_bytes_atomic(layout.format, f"{FORMAT}\n".encode())
    elif not text.isascii() or not text.isdigit():
        raise StoreDamaged(path=layout.format, problem="it holds no number")
    elif int(text) > FORMAT:
        raise StoreTooNew(path=root, found=text, known=FORMAT)
    return layout


def _shard(key: str) -> str:
    """The folder of a key. A key becomes a path here, so it must not be able to leave the store."""
    if not _PLAIN.fullmatch(key):
        raise ValueError(f"{key!r} is no key")
    return key[:2]


def _file_name(target: str) -> str:
    """A target's name as a file name: different names stay different, and none leaves the folder."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"%{ord(c):x}%" for c in target)
