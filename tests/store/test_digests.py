"""A column's digest is decided by what it says and by nothing else."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.store.digests import column_digest, combined_digest, table_digests

UTC = dt.UTC
CASES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int8": (pa.int8(), [1, None, -1, 0, 3]),
    "uint64": (pa.uint64(), [2**64 - 1, 0, None]),
    "double": (pa.float64(), [1.5, None, float("nan"), 0.0]),
    "half": (pa.float16(), [np.float16(1.5), None]),
    "bool": (pa.bool_(), [True, None, False, True]),
    "string": (pa.string(), ["ä", None, "", "long text"]),
    "binary": (pa.binary(), [b"\0", None, b"", b"ab"]),
    "fixed": (pa.binary(2), [b"ab", None, b"cd"]),
    "date": (pa.date32(), [dt.date(2026, 1, 2), None]),
    "time": (pa.time64("us"), [dt.time(1, 2, 3), None]),
    "timestamp": (pa.timestamp("us"), [dt.datetime(2026, 1, 2), None]),
    "zoned": (pa.timestamp("us", "UTC"), [dt.datetime(2026, 1, 2, tzinfo=UTC), None]),
    "duration": (pa.duration("ms"), [dt.timedelta(seconds=1), None]),
    "decimal": (pa.decimal128(8, 2), [Decimal("1.50"), None, Decimal("-2.00")]),
    "list": (pa.list_(pa.string()), [["a", None], None, [], ["bc"]]),
    "fixed_list": (pa.list_(pa.int16(), 2), [[1, 2], None, [3, None]]),
    "struct": (
        pa.struct([("a", pa.string()), ("b", pa.list_(pa.int8()))]),
        [{"a": "x", "b": [1]}, None, {"a": None, "b": None}, {"a": "", "b": []}],
    ),
    "map": (pa.map_(pa.string(), pa.float64()), [[("a", 1.0)], None, [], [("b", None), ("c", 2.0)]]),
    "null": (pa.null(), [None, None]),
}


@pytest.mark.parametrize("name", CASES)
def test_chunks_and_slices_do_not_matter(name: str) -> None:
    kind, values = CASES[name]
    whole = pa.array(values * 3, kind)
    expected = column_digest([whole])
    padded = pa.concat_arrays([pa.array(values, kind), whole, pa.array(values, kind)])
    assert column_digest([padded.slice(len(values), len(whole))]) == expected
    for size in (1, 2, 5):
        pieces = [whole.slice(start, size) for start in range(0, len(whole), size)]
        assert column_digest(pieces) == expected
        assert column_digest([pa.chunked_array(pieces, kind)]) == expected


@pytest.mark.parametrize("name", CASES)
def test_order_length_and_nulls_matter(name: str) -> None:
    kind, values = CASES[name]
    assert column_digest([pa.array([*values, values[0]], kind)]) != column_digest([pa.array(values, kind)])
    if name != "null":
        assert column_digest([pa.array(values[::-1], kind)]) != column_digest([pa.array(values, kind)])
        assert column_digest([pa.array(values[:1], kind)]) != column_digest([pa.array([None], kind)])


def test_the_same_values_of_different_types_differ() -> None:
    digests = [column_digest([pa.nulls(2, kind)]) for kind, _ in CASES.values()]
    seconds = [pa.array([1], kind) for kind in (pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("s", "UTC"))]
    digests += [column_digest([array]) for array in seconds]
    assert len(set(digests)) == len(digests)


def test_an_empty_column_still_has_a_type() -> None:
    for kind, _ in CASES.values():
        assert column_digest([pa.chunked_array([], kind)]) == column_digest([pa.array([], kind)])
    assert column_digest([pa.array([], pa.int8())]) != column_digest([pa.array([], pa.string())])
    strings, numbers = pa.list_(pa.string()), pa.list_(pa.int8())
    assert column_digest([pa.array([], strings)]) != column_digest([pa.array([], numbers)])


def test_an_empty_column_of_json_in_lists_is_one_of_texts() -> None:
    json, text = pa.list_(pa.json_()), pa.list_(pa.string())
    assert column_digest([pa.chunked_array([], json)]) == column_digest([pa.array([], text)])


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_every_form_of_text_has_one_digest(kind: pa.DataType) -> None:
    texts = pa.array(["b", None, "", "a", "b", "ü" * 20])
    assert column_digest([texts.cast(kind)]) == column_digest([texts])
    assert column_digest([texts.slice(0, 2), texts.cast(kind).slice(2)]) == column_digest([texts])


def test_other_forms_of_lists_and_runs_have_one_digest() -> None:
    values = [["a"], None, [], ["b", "c"]]
    for kind in (pa.large_list(pa.string()), pa.list_view(pa.string()), pa.list_(pa.large_string())):
        assert column_digest([pa.array(values, kind)]) == column_digest([pa.array(values)]), kind
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["x", None]))
    assert column_digest([runs]) == column_digest([pa.array(["x", "x", None])])


def test_bytes_under_nulls_do_not_matter() -> None:
    validity = pa.py_buffer(b"\x05")  # rows 0 and 2
    offsets = pa.py_buffer(np.array([0, 1, 4, 5], np.int32))
    text = pa.Array.from_buffers(pa.string(), 3, [validity, offsets, pa.py_buffer(b"aJUNb")])
    assert column_digest([text]) == column_digest([pa.array(["a", None, "b"])])
    numbers = pa.Array.from_buffers(pa.int32(), 3, [validity, pa.py_buffer(np.array([1, 99, 2], np.int32))])
    assert column_digest([numbers]) == column_digest([pa.array([1, None, 2], pa.int32())])
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 4], pa.int32()), pa.array([1, 9, 9, 2]))
    masked = pa.Array.from_buffers(lists.type, 3, [validity, lists.buffers()[1]], children=[lists.values])
    assert column_digest([masked]) == column_digest([pa.array([[1], None, [2]])])
    struct = pa.StructArray.from_arrays([pa.array([1, 9, 2])], ["a"], mask=pa.array([False, True, False]))
    assert column_digest([struct]) == column_digest([pa.array([{"a": 1}, None, {"a": 2}])])


def test_all_nan_are_one() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(np.float64)
    assert column_digest([pa.array(odd)]) == column_digest([pa.array([float("nan")] * 2)])
    assert column_digest([pa.array(odd)]) != column_digest([pa.nulls(2, pa.float64())])


def test_texts_do_not_run_into_each_other() -> None:
    assert column_digest([pa.array(["ab", "c"])]) != column_digest([pa.array(["a", "bc"])])
    assert column_digest([pa.array([["a"], []])]) != column_digest([pa.array([[], ["a"]])])


def test_a_chunk_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="a chunk of string in a column of int64"):
        column_digest([pa.array([1]), pa.array(["a"])])


def test_digests_never_change() -> None:
    """These are in the stores and locks of users: whoever changes them raises FORMAT."""
    assert column_digest([pa.array(["spam", None, ""])])[:16] == "bf939009fd2643e2"
    assert column_digest([pa.array([1, -1, None], pa.int8())])[:16] == "a67831acb04765db"
    assert column_digest([pa.array(*CASES["struct"][::-1])])[:16] == "ee8d76ddf3b71509"


def test_a_table_has_the_digests_of_its_columns() -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    digests = table_digests(table)
    assert digests == {"a": column_digest([table["a"]]), "b": column_digest([table["b"]])}
    assert combined_digest(2, digests) != combined_digest(2, dict(reversed(digests.items())))
    with pytest.raises(ValueError, match="share a name"):
        table_digests(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]))


VALUES = st.one_of(
    st.lists(st.none() | st.text(max_size=8)).map(lambda v: pa.array(v, pa.string())),
    st.lists(st.none() | st.integers(-128, 127)).map(lambda v: pa.array(v, pa.int8())),
    st.lists(st.none() | st.floats()).map(lambda v: pa.array(v, pa.float64())),
    st.lists(st.none() | st.booleans()).map(lambda v: pa.array(v, pa.bool_())),
    st.lists(st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3)).map(
        lambda v: pa.array(v, pa.list_(pa.string()))
    ),
    st.lists(st.none() | st.fixed_dictionaries({"a": st.none() | st.integers(0, 9)})).map(
        lambda v: pa.array(v, pa.struct([("a", pa.int32())]))
    ),
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.lists(st.integers(0, 12), max_size=6), st.data())
def test_any_chunking_gives_the_same_digest(array: pa.Array, cuts: list[int], data: st.DataObject) -> None:
    places = sorted({0, len(array), *(cut for cut in cuts if cut < len(array))})
    pieces = [array.slice(a, b - a) for a, b in itertools.pairwise(places)]
    encodable = pa.types.is_string(array.type)
    pieces = [p.dictionary_encode() if encodable and data.draw(st.booleans()) else p for p in pieces]
    assert column_digest(pieces or [array]) == column_digest([array])


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES)
def test_equal_digests_mean_equal_columns(one: pa.Array, other: pa.Array) -> None:
    same = one.type == other.type and repr(one.to_pylist()) == repr(other.to_pylist())
    assert (column_digest([one]) == column_digest([other])) == same
