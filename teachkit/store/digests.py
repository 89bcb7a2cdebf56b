"""Digests of what a column says, however Arrow happens to hold it.

A column's digest depends on its type, its values, their order and which of them are null. It does not depend
on chunks, slices, bytes under nulls, dictionaries, views, or on 32- against 64-bit offsets. If these digests
ever come out otherwise, every key of every store changes: ``FORMAT`` must be raised with it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    import pyarrow as pa

_DECODED_ROWS = 1 << 16  # a dictionary of long texts, decoded at once, could outgrow 32-bit offsets


def table_digests(table: pa.Table) -> dict[str, str]:
    """Return the digest of each column by name; ``ValueError`` if two columns share one."""
    if len(set(table.column_names)) < table.num_columns:
        raise ValueError(f"two columns share a name: {table.column_names}")
    return {name: column_digest([table.column(i)]) for i, name in enumerate(table.column_names)}


def column_digest(chunks: Iterable[pa.Array | pa.ChunkedArray]) -> str:
    """Return the sha256 of the logical content of ``chunks``, one after the other; equal for any chunking."""
    column = ColumnDigest()
    for chunk in chunks:
        column.update(chunk)
    return column.hexdigest()


def combined_digest(rows: int, columns: Mapping[str, str]) -> str:
    """Return the digest of a table from those of its columns, in their order."""
    return digest(["table", rows, list(columns.items())])


class ColumnDigest:
    """The digest of one column, fed in pieces as hashlib's are.

    Values that are not null are hashed, in streams: their lengths, their bytes, a digest for each child of a
    nested type; beside them the positions of the nulls. So no stream knows where a chunk ended.
    """

    __slots__ = ("_bytes", "_children", "_lengths", "_nulls", "_rows", "_tag")

    def __init__(self) -> None:
        self._tag: object = None
        self._rows = 0
        self._nulls = hashlib.sha256()
        self._lengths = hashlib.sha256()
        self._bytes = hashlib.sha256()
        self._children: list[ColumnDigest] = []

    def update(self, chunk: pa.Array | pa.ChunkedArray) -> None:
        """Append the rows of ``chunk``; ``TypeError`` if its type is not that of the chunks before."""
        for array in _plain_arrays(chunk):
            self._append(array)

    def hexdigest(self) -> str:
        """Return the digest of all rows so far, 64 hexadecimal digits."""
        streams = [s.hexdigest() for s in (self._nulls, self._lengths, self._bytes)]
        return digest([self._tag, self._rows, *streams, [child.hexdigest() for child in self._children]])

    def _append(self, array: pa.Array) -> None:
        tag = _tag(array.type)
        if self._tag is None:
            self._tag = tag
        if tag != self._tag:
            raise TypeError(f"a chunk of {tag} in a column of {self._tag}")
        if tag != "null" and array.null_count:
            positions = array.is_null().to_numpy(zero_copy_only=False).nonzero()[0] + self._rows
            self._nulls.update(positions.astype("<i8").data)
            self._append_valid(array.drop_null())
        elif tag != "null":
            self._append_valid(array)
        self._rows += len(array)

    def _append_valid(self, array: pa.Array) -> None:
        """Append rows of which none is null."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = array.type
        if pa.types.is_struct(kind):
            self._append_children(array.flatten())
        elif pa.types.is_map(kind):
            self._append_lengths(np.diff(array.offsets.to_numpy()))
            self._append_children([_within(array.keys, array.offsets), _within(array.items, array.offsets)])
        elif pa.types.is_fixed_size_list(kind):
            self._append_children([array.flatten()])
        elif pa.types.is_nested(kind):  # lists and their views, whose cast to lists is wrong in pyarrow 26
            self._append_lengths(pc.list_value_length(array).to_numpy())
            self._append_children([array.flatten()])
        elif not len(array):
            return
        elif pa.types.is_boolean(kind):
            self._bytes.update(array.cast(pa.uint8()).to_numpy().data)
        elif pa.types.is_floating(kind):
            self._bytes.update(_one_nan(array.to_numpy()).data)
        elif _is_text(kind) or _is_bytes(kind):
            self._append_strings(array)
        else:
            width = kind.bit_width // 8
            self._bytes.update(_view(array.buffers()[1], array.offset * width, len(array) * width).data)

    def _append_strings(self, array: pa.Array) -> None:
        import numpy as np
        import pyarrow as pa

        wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
        size = 8 if wide else 4
        _, starts, data = array.buffers()
        offsets = _view(starts, array.offset * size, (len(array) + 1) * size).view("<i8" if wide else "<i4")
        self._append_lengths(np.diff(offsets))
        if data is not None:
            self._bytes.update(_view(data, int(offsets[0]), int(offsets[-1] - offsets[0])).data)

    def _append_lengths(self, lengths: np.ndarray[Any, Any]) -> None:
        # Four bytes are enough: Parquet holds no value of 2 GiB.
        self._lengths.update(lengths.astype("<u4").data)

    def _append_children(self, children: list[pa.Array]) -> None:
        if not self._children:
            self._children = [ColumnDigest() for _ in children]
        for column, child in zip(self._children, children, strict=True):
            column.update(child)


def _plain_arrays(chunk: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """A chunk in the few forms that are hashed: at least one array, so that its type is seen."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(chunk, pa.ChunkedArray):
        for array in chunk.chunks or [pa.nulls(0, chunk.type)]:
            yield from _plain_arrays(array)
    elif isinstance(chunk, pa.ExtensionArray):
        yield from _plain_arrays(chunk.storage)
    elif pa.types.is_dictionary(chunk.type):
        for start in range(0, len(chunk) or 1, _DECODED_ROWS):
            yield from _plain_arrays(chunk.slice(start, _DECODED_ROWS).dictionary_decode())
    elif pa.types.is_run_end_encoded(chunk.type):
        yield from _plain_arrays(pc.run_end_decode(chunk))
    elif pa.types.is_string_view(chunk.type):
        yield chunk.cast(pa.large_string())
    elif pa.types.is_binary_view(chunk.type):
        yield chunk.cast(pa.large_binary())
    else:
        yield chunk


def _tag(kind: pa.DataType) -> object:
    """What of a type enters the digest; the types of children enter through their own digests."""
    import pyarrow as pa

    if _is_text(kind):
        return "string"
    if _is_bytes(kind):
        return "binary"
    if pa.types.is_struct(kind):
        return ["struct", *(field.name for field in kind)]
    if pa.types.is_map(kind):
        return "map"
    if pa.types.is_fixed_size_list(kind):
        return ["list", kind.list_size]
    if pa.types.is_nested(kind) and not pa.types.is_union(kind):
        return "list"
    if pa.types.is_union(kind):
        raise TypeError("a union has no digest")
    return str(kind)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _view(buffer: pa.Buffer, start: int, count: int) -> np.ndarray[Any, Any]:
    """Bytes of an Arrow buffer, not copied."""
    import numpy as np

    return np.frombuffer(buffer, dtype=np.uint8, count=count, offset=start) if count else np.empty(0, np.uint8)


def _within(child: pa.Array, offsets: pa.Array) -> pa.Array:
    """The part of a map's child that a slice of the map covers."""
    first, last = offsets[0].as_py(), offsets[len(offsets) - 1].as_py()
    return child.slice(first, last - first)


def _one_nan(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same floats with one bit pattern for every NaN."""
    import numpy as np

    unknown = np.isnan(values)
    return np.where(unknown, values.dtype.type(np.nan), values) if unknown.any() else values
