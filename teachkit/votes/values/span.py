"""Answers that are spans: marked places of a text, each with a label.

A place is a half-open pair of offsets, counted in Unicode code points (as Python and DuckDB count the characters of a
text: an emoji is one or more of them, a combining mark is one). The spans of an answer are sorted and do not overlap.
An answer without spans says that there are none; who says nothing abstains.

Two spans are the same if start, end and label are: figures are strict. The distance of two answers is 1 minus the F1
of their spans.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.votes.intervals import wilson
from teachkit.votes.values import NotAnAnswer, shown_spans
from teachkit.votes.values.kind import ValueKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

Spans = tuple[tuple[int, int, str], ...]

_WRITE = 'write a list of {"start": 0, "end": 4, "label": "…"}, [] where there is none, or null to abstain'
_LAST = 2**31 - 1
_SHOWN = 60


class Span(ValueKind):
    """Spans of a text: tuples of (start, end, label)."""

    name: ClassVar[str] = "span"
    noun: ClassVar[str] = "a list of spans"
    sql_type: ClassVar[str] = 'STRUCT("start" INTEGER, "end" INTEGER, "label" VARCHAR)[]'
    metrics: ClassVar[tuple[str, ...]] = (
        "f1",
        "precision",
        "precision_low",
        "precision_high",
        "recall",
        "recall_low",
        "recall_high",
    )
    within_text: ClassVar[bool] = True
    json_texts: ClassVar[bool] = True

    @property
    def arrow_type(self) -> pa.DataType:
        """A list of structs."""
        import pyarrow as pa

        return pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())]))

    @property
    def posterior_type(self) -> pa.DataType:
        """All spans that came into question, in the order of the text, each with its probability."""
        import pyarrow as pa

        fields = [("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("probability", pa.float64())]
        return pa.list_(pa.struct(fields))

    # -- reading

    def read(self, value: Any, labels: Sequence[str] = ()) -> Spans | None:
        """A list of {start, end, label}, [start, end, label], or [start, end] where there is one label; or its JSON."""
        found = _from_json(value)
        if found is None:
            return None
        if isinstance(found, dict) or not isinstance(found, list | tuple):
            raise NotAnAnswer(f"is {_kind_of(found)}, which is not a list of spans", _WRITE)
        spans = sorted({_span(one, labels) for one in found})
        for (start, end, label), after in pairwise(spans):
            if after[0] < end:
                problem = f"has spans that overlap: {_place((start, end, label))} and {_place(after)}"
                raise NotAnAnswer(problem, "keep one of them: the spans of an answer do not overlap")
        return tuple(spans)

    def takes(self, sql_type: str) -> bool:
        """Lists of structs, and texts that are JSON."""
        if sql_type in ("VARCHAR", "JSON", '"NULL"', "INTEGER[]", '"NULL"[]'):
            return True  # the last three are what NULL and [] are of themselves
        return sql_type.endswith("]") and sql_type.startswith(("STRUCT", "TUPLE"))

    def within(self, values: Any, lengths: Sequence[int | None]) -> None:
        """Refuse spans that end after the text does; a text that is NULL has none.

        Raises:
            NotAnAnswer: an answer has one.
        """
        for row, (answer, length) in enumerate(zip(values, lengths, strict=True)):
            if answer and answer[-1][1] > (length or 0):
                problem = f"has the span {_place(answer[-1])}, and the text has {length or 0} characters"
                advice = "count Unicode code points from 0, the end is the offset after the last one"
                raise NotAnAnswer(problem, advice, row)

    def schema(self, labels: Sequence[str] = ()) -> dict[str, Any]:
        """Quotations, which models of language copy well; offsets they count badly."""
        label: dict[str, Any] = {"type": "string"}
        if labels:
            label["enum"] = list(labels)
        properties = {"text": {"type": "string"}, "label": label}
        item = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
        return {"type": "array", "items": item}

    def read_reply(self, value: Any, labels: Sequence[str] = (), text: str | None = None) -> Spans | None:
        """Quotations {text, label} as the places where they stand, each after the one before where that can be."""
        if value is None:
            return None
        whole, at, found = text or "", 0, list[list[Any]]()
        for one in value:
            quote = one["text"]
            place = _free(whole, quote, at, found)
            if place is None:
                shown = quote if len(quote) <= _SHOWN else quote[:_SHOWN] + "…"
                problem = f"quotes '{shown}', which does not stand in the text" + (" so often" if found else "")
                raise NotAnAnswer(problem, "quote the text letter by letter")
            found.append([place, place + len(quote), one["label"]])
            at = place + len(quote)
        return self.read(found, labels)

    def as_reply(self, value: Any, text: str | None = None) -> Any:
        """Spans as quotations."""
        return [{"text": (text or "")[start:end], "label": label} for start, end, label in value]

    # -- arrays

    def hashable(self, value: Any) -> Any:
        """Tuples, from what Arrow has."""
        return None if value is None else tuple((one["start"], one["end"], one["label"]) for one in value)

    def plain(self, value: Any) -> Any:
        """Dictionaries, as Arrow and JSON take them."""
        return None if value is None else [{"start": s, "end": e, "label": label} for s, e, label in value]

    # -- comparing

    def distance(self, one: Any, other: Any) -> Any:
        """1 minus the F1 of the two sets of spans; 0 where both are empty."""
        return np.array([1.0 - overlap_f1(a, b) for a, b in zip(one, other, strict=True)], dtype=np.float64)

    def show(self, value: Any) -> str:
        """Places and labels."""
        return shown_spans(value)

    def conflicting(self, values: Any, starts: Any) -> Any:
        """Whether on an item a span overlaps another that is not the same, or some mark places and others say none."""
        found = np.zeros(len(starts) - 1, dtype=bool)
        bounds = starts.tolist()
        for item, (first, end) in enumerate(pairwise(bounds)):
            if end - first > 1:
                said = values[first:end]
                places = sorted({span for spans in said for span in spans})
                none = any(not spans for spans in said)
                found[item] = bool(places and none) or any(b[0] < a[1] for a, b in pairwise(places))
        return found

    # -- how good

    def quality(self, decided: Any, gold: Any) -> dict[str, Any]:
        """Strict precision, recall and F1 over all spans of items with gold (micro), with Wilson intervals.

        An item without a label counts as one without spans.
        """
        known = np.flatnonzero(~self.missing(gold))
        labeled = sum(decided[i] is not None for i in known)
        return {"n": len(known), "labeled": labeled, **figures([(decided[i] or (), gold[i]) for i in known])}

    def quality_by_label(self, decided: Any, gold: Any) -> dict[str, dict[str, Any]]:
        """The same for each label that stands in either."""
        known = np.flatnonzero(~self.missing(gold))
        pairs = [(decided[i] or (), gold[i]) for i in known]
        names = sorted({label for pair in pairs for spans in pair for _, _, label in spans})
        return {
            name: figures([(_of_label(said, name), _of_label(truth, name)) for said, truth in pairs]) for name in names
        }

    def summary(self, decided: Any) -> Mapping[str, float | None]:
        """How many spans there are, of each label too, and how many characters one has in the mean."""
        spans = [span for answer in decided if answer for span in answer]
        counted = dict.fromkeys(sorted({label for _, _, label in spans}), 0.0)
        for _, _, label in spans:
            counted[label] += 1
        length = sum(end - start for start, end, _ in spans) / len(spans) if spans else None
        return {"spans": float(len(spans)), "length": length, **{f"spans: {k}": n for k, n in counted.items()}}


def _free(text: str, quote: str, at: int, taken: Sequence[Sequence[Any]]) -> int | None:
    """Where a quotation stands without touching what is taken: from ``at`` on, else from the beginning."""
    for begin in (at, 0) if quote else ():
        place = text.find(quote, begin)
        while place >= 0:
            if all(place + len(quote) <= start or end <= place for start, end, _ in taken):
                return place
            place = text.find(quote, place + 1)
    return None


def figures(pairs: Iterable[tuple[Iterable[Any], Iterable[Any]]]) -> dict[str, Any]:
    """Precision, recall, F1 of (found, true) spans of each item; a figure without any spans to go by is None."""
    right = found = true = 0
    for said, truth in pairs:
        one, other = set(said), set(truth)
        right, found, true = right + len(one & other), found + len(one), true + len(other)
    precise, complete = wilson(right, found) or (None, None), wilson(right, true) or (None, None)
    return {
        "f1": 2 * right / (found + true) if found + true else None,
        "precision": right / found if found else None,
        "precision_low": precise[0],
        "precision_high": precise[1],
        "recall": right / true if true else None,
        "recall_low": complete[0],
        "recall_high": complete[1],
    }


def overlap_f1(one: Iterable[Any], other: Iterable[Any]) -> float:
    """F1 of two sets of spans; 1 where both are empty."""
    a, b = set(one or ()), set(other or ())
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0


def _of_label(spans: Iterable[Any], name: str) -> list[Any]:
    return [span for span in spans if span[2] == name]


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return json.loads(value)
    except ValueError:
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        raise NotAnAnswer(f"is '{shown}', which is not JSON", _WRITE) from None


def _span(value: Any, labels: Sequence[str]) -> tuple[int, int, str]:
    if isinstance(value, dict):
        unknown = sorted(set(map(str, value)) - {"start", "end", "label"})
        if unknown:
            raise NotAnAnswer(f"has a span with '{unknown[0]}'", "a span has start, end and label")
        parts = [value.get("start"), value.get("end"), value.get("label")]
    elif isinstance(value, list | tuple) and len(value) in (2, 3):
        parts = [*value, None][:3]
    else:
        raise NotAnAnswer(f"holds {_kind_of(value)}, which is not a span", _WRITE)
    start, end = _offset(parts[0], "start"), _offset(parts[1], "end")
    if start >= end:
        raise NotAnAnswer(f"has a span from {start} to {end}, which holds nothing", "let end be after start")
    return start, end, _label(parts[2], labels)


def _offset(value: Any, name: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        problem = f"has a span without '{name}'" if value is None else f"has a span whose {name} is {_kind_of(value)}"
        raise NotAnAnswer(problem, "offsets are whole numbers: Unicode code points from 0")
    if not 0 <= value <= _LAST:
        raise NotAnAnswer(f"has a span whose {name} is {value}", "offsets count Unicode code points from 0")
    return value


def _label(value: Any, labels: Sequence[str]) -> str:
    from teachkit.errors import did_you_mean, listing

    if value is None and len(labels) == 1:
        return labels[0]
    if value is None:
        raise NotAnAnswer("has a span without a label", f"give each span one of: {listing(labels, 30)}")
    if not isinstance(value, str) or not value:
        raise NotAnAnswer(f"has a span whose label is {_kind_of(value)}", "a label is a text")
    if labels and value not in labels:
        hint = did_you_mean(value, labels)
        raise NotAnAnswer(
            f"has a span with '{value}', which is not a label of the task",
            f"write one of: {listing(labels, 30)}.{hint}",
        )
    return value


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return {"str": "a text", "dict": "an object"}.get(type(value).__name__, f"a {type(value).__name__}")


def _place(span: tuple[int, int, str]) -> str:
    return f"{span[0]}-{span[1]} {span[2]}"
