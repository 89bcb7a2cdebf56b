"""Tables in and out: votes of a long table (item, voter, label), labels and the analysis of voters as Arrow tables.

The one file of the room that knows Arrow: its dictionaries make codes of names at the speed of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.votes.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from teachkit.votes.analysis import VoterAnalysis

COLUMNS = ("item", "voter", "label")
"""What the columns of a long table are called, unless told otherwise."""
_NAMED = 5


def column_names(table: Any) -> list[Any] | None:
    """The columns of a table (Arrow, mapping of arrays, or whatever has ``columns``); None for what is none."""
    if hasattr(table, "column_names"):
        return list(table.column_names)
    names = table.keys() if isinstance(table, dict) else getattr(table, "columns", None)
    return None if names is None else list(names)


def is_long_table(given: Any, columns: Sequence[str] = COLUMNS) -> bool:
    """Whether this is a table with a column for items, voters and labels."""
    names = column_names(given)
    return names is not None and set(columns) <= set(names)


def from_table(
    table: Any,
    *,
    item: str = "item",
    voter: str = "voter",
    label: str = "label",
    items: Any | None = None,
    voters: Sequence[Any] | None = None,
    labels: Sequence[Hashable] | None = None,
) -> Votes:
    """See ``Votes.from_table``."""
    columns = [_column(table, name) for name in (item, voter, label)]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"the columns '{item}', '{voter}' and '{label}' are not of the same length")
    (item_of, item_names), (voter_of, voter_names), (label_of, label_names) = map(_encoded, columns)
    for name, codes in ((item, item_of), (voter, voter_of)):
        if (codes < 0).any():
            raise ValueError(f"column '{name}' is empty in row {int(np.flatnonzero(codes < 0)[0])}")
    spoken = _as_text(voter_names, voter)
    known_items = item_names if items is None else _names(items)
    known_voters = tuple(_sorted(spoken)) if voters is None else _as_text(voters, "voters")
    known_labels = tuple(_sorted(label_names) if labels is None else labels)
    if not known_labels:
        raise ValueError("the table has no vote, so nothing tells the labels: name them with labels=[…]")
    places = [
        codes if given is None else _places(names, known, what)[codes]
        for codes, names, known, given, what in (
            (item_of, item_names, known_items, items, "item"),
            (voter_of, spoken, known_voters, True, "voter"),
            (label_of, label_names, known_labels, True, "label"),
        )
    ]
    votes = Votes.from_long(*places, voters=known_voters, n_items=len(known_items), n_labels=len(known_labels))
    return Votes(
        votes.voters,
        votes.n_labels,
        votes.indptr,
        votes.voter,
        votes.code,
        votes.counts,
        votes.pattern_of,
        items=known_items,
        labels=known_labels,
    )


def label_table(votes: Votes, codes: Any, posterior: Any) -> Any:
    """Labels as an Arrow table: item, label (null if there is none), confidence, posterior, votes."""
    import pyarrow as pa

    names = list(votes.labels) if votes.labels is not None else list(range(votes.n_labels))
    items = range(votes.n_items) if votes.items is None else votes.items
    done = codes >= 0
    confidence = posterior[np.arange(len(codes)), np.maximum(codes, 0)]
    said = pa.DictionaryArray.from_arrays(pa.array(np.maximum(codes, 0), mask=~done), _arrow(names))
    return pa.table(
        {
            "item": _arrow(items),
            "label": said.dictionary_decode(),
            "confidence": pa.array(confidence, mask=~done),
            "posterior": pa.StructArray.from_arrays(
                [pa.array(np.ascontiguousarray(posterior[:, k])) for k in range(votes.n_labels)],
                [str(name) for name in names],
            ),
            "votes": pa.array(votes.votes_per_pattern[votes.pattern_of]),
        }
    )


def analysis_table(found: Sequence[VoterAnalysis], labels: Sequence[Any] | None = None) -> Any:
    """The analysis of voters as an Arrow table, with the columns of Snorkel's ``lf_summary`` and intervals."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "voter": [f.voter for f in found],
        "j": list(range(len(found))),
        "Polarity": [list(f.polarity) if labels is None else [labels[c] for c in f.polarity] for f in found],
        "Coverage": [f.coverage for f in found],
        "Overlaps": [f.overlaps for f in found],
        "Conflicts": [f.conflicts for f in found],
        "Correct": [f.correct for f in found],
        "Incorrect": [f.incorrect for f in found],
        "Emp. Acc.": [f.accuracy for f in found],
        "Acc. low": [f.low for f in found],
        "Acc. high": [f.high for f in found],
        "Votes": [f.votes for f in found],
        "Overlaps of votes": [f.overlaps_of_votes for f in found],
        "Conflicts of votes": [f.conflicts_of_votes for f in found],
    }
    types = {"voter": pa.string(), "j": pa.int64(), "Correct": pa.int64(), "Incorrect": pa.int64(), "Votes": pa.int64()}
    return pa.table(
        {n: _arrow(v) if n == "Polarity" else pa.array(v, types.get(n, pa.float64())) for n, v in columns.items()}
    )


def _column(table: Any, name: str) -> Any:
    names = column_names(table)
    if names is None:
        raise ValueError(f"votes are a table with columns, not {type(table).__name__}")
    if name not in names:
        raise ValueError(f"the table has no column '{name}', but {', '.join(map(repr, names)) or 'none'}")
    return table.column(name) if hasattr(table, "column_names") else table[name]


def _encoded(values: Any) -> tuple[Any, Any]:
    """A code for each value (-1 for null, None and NaN), and the values in order of their first occurrence."""
    import pyarrow as pa

    try:
        array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_null(array.type):
            return np.full(len(array), -1, dtype=np.int64), []
        if pa.types.is_floating(array.type):
            array = pa.array(array.to_numpy(zero_copy_only=False), from_pandas=True)  # NaN is no name
        found = array.dictionary_encode()
    except (TypeError, ValueError, NotImplementedError, OverflowError):  # of several types, or of one unknown to Arrow
        return _encoded_one_by_one(values)
    codes = found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, found.dictionary.to_pylist()


def _encoded_one_by_one(values: Any) -> tuple[Any, Any]:
    codes, found = np.empty(len(values), dtype=np.int64), dict[Any, int]()
    for row, value in enumerate(values):
        try:
            missing = value is None or value != value
            codes[row] = -1 if missing else found.setdefault(value, len(found))
        except TypeError as error:
            raise ValueError(f"row {row}: {type(value).__name__} cannot be a name, as it has no hash") from error
    return codes, list(found)


def _as_text(names: Iterable[Any], what: str) -> tuple[str, ...]:
    text = tuple(str(name) for name in names)
    if len(set(text)) < len(text):
        twice = next(name for i, name in enumerate(text) if name in text[:i])
        raise ValueError(f"two names of {what} are both written '{twice}'")
    return text


def _names(given: Any) -> list[Any]:
    _, found = _encoded(given)
    if len(found) != len(given):
        raise ValueError(f"{len(given)} items are named, {len(found)} different ones")
    return found  # type: ignore[no-any-return]


def _sorted(names: Iterable[Any]) -> list[Any]:
    """In order; as they came where they have no order."""
    listed = list(names)
    try:
        return sorted(listed)
    except TypeError:
        return listed


def _places(names: Sequence[Any], known: Sequence[Any], what: str) -> Any:
    """The place of each name among the known ones [names + 1]; the last, which -1 points to, is -1."""
    place = {name: i for i, name in enumerate(known)}
    if len(place) < len(known):
        raise ValueError(f"a {what} is named twice")
    unknown = [name for name in names if name not in place]
    if unknown:
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        raise ValueError(f"not a known {what}: {', '.join(map(repr, unknown[:_NAMED]))}{more}")
    return np.array([*(place[name] for name in names), -1], dtype=np.int64)


def _arrow(values: Any) -> Any:
    """An Arrow array; of values that share no type as text."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (TypeError, ValueError, NotImplementedError, OverflowError):
        return pa.array([str(value) for value in values])
