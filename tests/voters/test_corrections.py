"""Lines that correct judgments: appended, they stand, and nothing else is heard otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import ProjectErrors
from teachkit.project.models import AnnotationMeta
from teachkit.voters.annotations import read_judgments
from teachkit.voters.corrections import Corrections
from tests.voters.test_annotations import SETS, TIMES, lines_of, task

AT = "2026-01-01T10:00:00Z"
LATER = "2026-01-01T10:00:01Z"


def corrected(text: str, form: str, labels: tuple[str, ...] = ("good",), kind: str = "choice", **meta: Any) -> Any:
    """What is offered for ben's judgment of r1; appended, it is what counts."""
    about = (f"annotations/mood/ben.{form}", "ben", AnnotationMeta(**meta), task(kind))
    line = Corrections(text, *about).line("r1", "ben", labels)
    if line is not None:
        before = {(j.item, j.annotator): (j.labels, j.at) for j in read_judgments(text, *about)}
        after = {(j.item, j.annotator): (j.labels, j.at) for j in read_judgments(f"{text}\n{line}\n", *about)}
        assert after.pop(("r1", "ben"))[0] == labels
        before.pop(("r1", "ben"), None)
        assert after == before
    return line


@pytest.mark.parametrize(
    ("text", "form", "meta", "line"),
    [
        (
            f'{{"item": "r1", "label": "bad", "at": "{AT}"}}',
            "jsonl",
            {},
            f'{{"item": "r1", "label": "good", "annotator": "ben", "at": "{LATER}"}}',
        ),
        (
            f'{{"id": "r1", "says": 0, "at": "{AT}"}}',
            "jsonl",
            {"columns": {"item": "id", "label": "says"}, "values": {0: "bad", 1: "good"}},
            f'{{"id": "r1", "says": 1, "annotator": "ben", "at": "{LATER}"}}',
        ),
        (f"item,label,at,seconds\nr1,bad,{AT},3", "csv", {}, f"r1,good,{LATER},"),
        (f"\n\nat,op,annotator,label,item\r\n{AT},,,bad,r1", "csv", {}, f"{LATER},,ben,good,r1"),
        (
            f"when,id,says\n{AT},r1,0",
            "csv",
            {"columns": {"item": "id", "label": "says", "at": "when"}, "values": {"0": "bad", "1": "good"}},
            f"{LATER},r1,1",
        ),
        (f'"a, b",item,label,at\n,r1,bad,{AT}', "csv", {}, f",r1,good,{LATER}"),
        (f"item;label;at\nr1;bad;{AT}", "csv", {}, f"r1;good;{LATER}"),
        (f'sep=\t\r\n"a;b\tc"\titem\tlabel\tat\r\n\tr1\tbad\t{AT}', "CSV", {}, f"\tr1\tgood\t{LATER}"),
    ],
)
def test_the_line_has_the_form_of_its_file(text: str, form: str, meta: dict[str, Any], line: str) -> None:
    assert corrected(text, form, **meta) == line


@pytest.mark.parametrize(
    ("at", "later"),
    [
        ("2026-01-01T10:00:00", "2026-01-01T10:00:01"),
        ("2026-01-01T23:59:59.75+02:00", "2026-01-02T00:00:00+02:00"),
        ("2026-01-01 10:00+00:00", "2026-01-01T10:00:01+00:00"),
        ("2026-01-01", "2026-01-01T00:00:01"),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_the_time_is_a_second_later_and_written_alike(at: str, later: str | None) -> None:
    line = corrected(json.dumps({"item": "r1", "label": "bad", "at": at}), "jsonl")
    assert (line and json.loads(line)["at"]) == later


def test_it_is_later_than_all_that_was_said_also_where_it_was_taken_back() -> None:
    lines = [
        {"item": "r1", "label": "bad", "at": "2026-01-03T00:00:00Z"},
        {"item": "r1", "op": "undo", "at": "2026-01-05T01:00:00+01:00"},
        {"item": "r1", "label": "bad", "annotator": "ann", "at": "2026-01-09T00:00:00Z"},
    ]
    line = corrected("\n".join(map(json.dumps, lines)), "jsonl")
    assert json.loads(line)["at"] == "2026-01-05T01:00:01+01:00"


@pytest.mark.parametrize(
    ("text", "form", "kind", "meta"),
    [
        ("item,label\nr1,bad", "csv", "choice", {}),
        ("item,label,at\nr1,bad,", "csv", "choice", {}),
        ('{"item": "r1", "label": "bad"}', "jsonl", "choice", {}),
        # the line without a time would contradict what is appended
        (f'{{"item": "r1", "label": "bad", "at": "{AT}"}}\n{{"item": "r1", "label": "bad"}}', "jsonl", "choice", {}),
        # nothing that the file can say means this label
        (f"item,label,at\nr1,x,{AT}", "csv", "choice", {"values": {"x": "bad", "good": "bad"}}),
        (f"item,label,at\nr1,x,{AT}", "csv", "multichoice", {"values": {"x": "bad", "a|b": "good"}}),
        ("item,label,at\nr2,bad,2026-01-01", "csv", "choice", {}),
    ],
)
def test_there_is_no_line_where_none_would_stand(text: str, form: str, kind: str, meta: dict[str, Any]) -> None:
    assert corrected(text, form, kind=kind, **meta) is None


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("item", ['a,"b"', "naïve 東京🔑", " x ", "it's", "=1+1", "a\tb"])
def test_keys_of_all_sorts_are_quoted(item: str, form: str) -> None:
    if form == "csv":
        quoted = item.replace('"', '""')
        text = f'item,label,at\n"{quoted}",bad,{AT}'
    else:
        text = json.dumps({"item": item, "label": "bad", "at": AT})
    about = (f"annotations/mood/ben.{form}", "ben", AnnotationMeta(), task())
    line = Corrections(text, *about).line(item, "ben", ["good"])
    (found,) = read_judgments(f"{text}\n{line}", *about)
    assert (found.item, found.labels) == (item, ("good",))


@pytest.mark.parametrize("item", ["a\nb", "a\x1b[31mb"])
def test_what_a_screen_does_not_show_as_it_is_is_not_offered(item: str) -> None:
    text = f'item,label,at\n"{item}",bad,{AT}'
    found = Corrections(text, "annotations/mood/ben.csv", "ben", AnnotationMeta(), task()).line(item, "ben", ["good"])
    assert found is None


def test_all_labels_of_an_answer_stand_in_one_line() -> None:
    assert corrected(f"item,label,at\nr1,bad,{AT}", "csv", ("good", "so-so"), "multichoice") == f"r1,good|so-so,{LATER}"
    assert corrected(f"item,label,at\nr1,bad,{AT}", "csv", (), "multichoice") == f"r1,,{LATER}"
    line = corrected(f'{{"item": "r1", "label": "bad", "at": "{AT}"}}', "jsonl", ("good", "so-so"), "multichoice")
    assert json.loads(line)["label"] == ["good", "so-so"]


@given(st.lists(lines_of(SETS, st.none() | TIMES), max_size=6), st.sampled_from([(), ("good",), ("good", "so-so")]))
def test_a_line_is_offered_exactly_where_a_later_one_counts(
    lines: list[dict[str, Any]], labels: tuple[str, ...]
) -> None:
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    about = ("annotations/mood/ann.jsonl", "ann", AnnotationMeta(), task("multichoice"))
    try:
        read_judgments(text, *about)
    except ProjectErrors:
        return
    line = corrected(text, "jsonl", labels, "multichoice")
    if line is not None:
        return
    last = {"item": "r1", "label": list(labels), "annotator": "ben", "at": "2027-01-01"}
    mine = [one for one in lines if (one["item"], one["annotator"]) == ("r1", "ben")]
    if any("at" in one for one in mine):
        with pytest.raises(ProjectErrors):
            read_judgments(f"{text}\n{json.dumps(last)}", *about)
