"""Read the rows of one table out of a damaged SQLite file, page by page, as far as they can be read.

SQLite refuses a file whose header, tree or free list is broken, though most of its pages may be untouched. Here every
page that looks like a leaf of a table is read by itself, those of the write-ahead log after those of the file. The
caller must be able to tell a whole row from a torn one. Format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Value = int | float | str | bytes | None

_LEAF: Final = 0x0D
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_PAGE_SIZES: Final = tuple(512 << n for n in range(8))
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes


def salvage_rows(path: Path, columns: int) -> Iterator[tuple[int, Sequence[Value]]]:
    """Yield row number and values of whatever looks like a row of ``columns`` values; the newest version comes last.

    A first column that is the row number (``integer primary key``) is ``None`` in the file, and here.
    """
    data = _read(path)
    size = _page_size(data)
    pages = {1 + n: data[n * size : (n + 1) * size] for n in range(-(-len(data) // size))}
    yield from _rows(pages, size, columns)
    newer = dict(_log_pages(_read(path.with_name(f"{path.name}-wal")), size))
    if newer:
        pages |= newer
        yield from _rows({number: pages[number] for number in sorted(newer)}, size, columns, pages)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _page_size(data: bytes) -> int:
    size = int.from_bytes(data[16:18], "big") if data[:15] == b"SQLite format 3" else 0
    size = 65536 if size == 1 else size
    return size if size in _PAGE_SIZES else 4096


def _log_pages(log: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """The pages of the log, up to its last commit; frames of an earlier round have another salt."""
    salt = log[16:24]
    pending: list[tuple[int, bytes]] = []
    for at in range(_LOG_HEADER, len(log) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        number, committed = struct.unpack(">II", log[at : at + 8])
        if log[at + 8 : at + 16] != salt:
            break
        pending.append((number, log[at + _FRAME_HEADER : at + _FRAME_HEADER + size]))
        if committed:
            yield from pending
            pending = []


def _rows(
    leaves: dict[int, bytes], size: int, columns: int, pages: dict[int, bytes] | None = None
) -> Iterator[tuple[int, Sequence[Value]]]:
    for number, page in leaves.items():
        start = 100 if number == 1 else 0
        if len(page) < start + 8 or page[start] != _LEAF:
            continue
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        for index in range(count):
            pointer = start + 8 + 2 * index
            try:
                row = _cell(page, int.from_bytes(page[pointer : pointer + 2], "big"), size, columns, pages or leaves)
            except (IndexError, ValueError, KeyError, struct.error):
                continue
            if row:
                yield row


def _cell(page: bytes, at: int, size: int, columns: int, pages: dict[int, bytes]) -> tuple[int, Sequence[Value]] | None:
    length, at = _varint(page, at)
    number, at = _varint(page, at)
    if length > size * len(pages):
        return None
    payload = _payload(page, at, length, size, pages)
    values = _record(payload, columns)
    return None if values is None else (number, values)


def _payload(page: bytes, at: int, length: int, size: int, pages: dict[int, bytes]) -> bytes:
    most = size - 35
    if length <= most:
        return page[at : at + length]
    least = (size - 12) * 32 // 255 - 23
    here = least + (length - least) % (size - 4)
    here = here if here <= most else least
    parts = [page[at : at + here]]
    following = int.from_bytes(page[at + here : at + here + 4], "big")
    missing = length - here
    while missing > 0:
        overflow = pages[following]
        parts.append(overflow[4 : 4 + min(missing, size - 4)])
        following = int.from_bytes(overflow[:4], "big")
        missing -= size - 4
    return b"".join(parts)


def _record(payload: bytes, columns: int) -> list[Value] | None:
    header, at = _varint(payload, 0)
    kinds = []
    while at < header:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if len(kinds) != columns or at != header:
        return None
    values: list[Value] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    return values if at == len(payload) else None


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        number: float = struct.unpack(">d", payload[at : at + 8])[0]
        return number, at + 8
    if kind >= 12:
        end = at + (kind - 12) // 2
        data = payload[at:end]
        return (data.decode() if kind % 2 else data), end
    return {0: None, 8: 0, 9: 1}[kind], at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9
