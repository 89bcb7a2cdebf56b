"""Files of judgments: the order of lines that a merge makes changes nothing; what nobody can decide is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import BadAnnotation, ProjectErrors, Where
from teachkit.graph.node import TaskInfo
from teachkit.project.models import AnnotationMeta
from teachkit.voters.annotations import Judgment, judgments_table, read_judgments, standing

Lines = list[dict[str, Any]]


def task(kind: str = "choice") -> TaskInfo:
    place = Where("tasks/mood.yml")
    return TaskInfo("mood", kind, ("good", "bad", "so-so"), "transform.reviews", "id", (), "", None, None, None, place)


def read(lines: Lines, kind: str = "choice", form: str = "jsonl", **meta: Any) -> list[Judgment]:
    if form == "jsonl":
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    else:
        names = ("item", "label", "annotator", "at", "seconds", "op")
        cells = [["|".join(c) if isinstance(c := line.get(n), list) else str(c or "") for n in names] for line in lines]
        text = "\n".join([",".join(names), *(",".join(row) for row in cells)])
    return read_judgments(text, f"annotations/mood/ann.{form}", "ann", AnnotationMeta(**meta), task(kind))


def outcome(lines: Lines, kind: str, form: str) -> Any:
    """The judgments, or the problems that were found, without the numbers of lines."""
    try:
        return [(j.item, j.annotator, j.labels, j.at, j.seconds) for j in read(lines, kind, form)]
    except ProjectErrors as error:
        return sorted(str(e.facts["problem"]).rpartition("line")[0] for e in error.errors)


TIMES = st.sampled_from(
    ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00+01:00", "2026-01-01T10:00:00.5Z", "2026-01-01 12:00", "2026-01-02"]
)
LABELS = st.none() | st.sampled_from(["good", "bad"])
SETS = st.none() | st.lists(st.sampled_from(["good", "bad", "so-so"]), max_size=3)


def lines_of(labels: st.SearchStrategy[Any], times: st.SearchStrategy[str | None]) -> st.SearchStrategy[dict[str, Any]]:
    line = {
        "item": st.sampled_from(["r1", "ü"]),
        "label": labels,
        "annotator": st.sampled_from(["ann", "ben"]),
        "at": times,
        "seconds": st.none() | st.sampled_from([1.5, 2.0]),
        "op": st.sampled_from(["set", "set", "set", "undo"]),
    }
    return st.fixed_dictionaries(line).map(lambda row: {k: v for k, v in row.items() if k != "at" or v})


@st.composite
def shuffled(draw: st.DrawFn, kind: str) -> tuple[Lines, Lines]:
    """Lines, and the same in another order with some of them twice."""
    lines = draw(st.lists(lines_of(LABELS if kind == "choice" else SETS, st.none() | TIMES), max_size=7))
    again = draw(st.lists(st.sampled_from(lines), max_size=3)) if lines else []
    return lines, draw(st.permutations([*lines, *again]))


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("kind", ["choice", "multichoice"])
def test_no_order_and_no_line_twice_changes_a_judgment(kind: str, form: str) -> None:
    @given(shuffled(kind))
    def check(two: tuple[Lines, Lines]) -> None:
        assert outcome(two[0], kind, form) == outcome(two[1], kind, form)

    check()


@given(st.data())
def test_lines_in_the_order_of_their_times_are_obeyed_one_after_the_other(data: st.DataObject) -> None:
    lines = data.draw(st.lists(lines_of(LABELS, st.none()), max_size=12))
    standing: dict[tuple[str, str], Any] = {}
    for second, line in enumerate(lines):
        line["at"] = f"2026-01-01T10:00:{second:02d}Z"
        place = (line["item"], line["annotator"])
        if line["op"] == "undo":
            standing.pop(place, None)
        else:
            standing[place] = (line["label"],) if line["label"] else ()
    found = {(j.item, j.annotator): j.labels for j in read(data.draw(st.permutations(lines)))}
    assert found == standing


SET, UNDO = {"item": "r1", "label": "good"}, {"item": "r1", "op": "undo"}


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        ([SET, SET], ["good"]),
        ([SET, UNDO], []),
        ([UNDO, SET], []),
        ([UNDO], []),
        ([SET | {"at": "2026-01-01"}, UNDO | {"at": "2026-01-01T00:00:00Z"}], []),
        ([SET, SET | {"at": "2026-01-01"}], ["good"]),
        ([SET, UNDO | {"at": "2026-01-01"}], []),
        ([SET, UNDO | {"at": "2026-01-01"}, SET | {"label": "bad", "at": "2026-01-02"}], ["bad"]),
        ([SET | {"label": "bad", "at": "2026-01-01"}, SET, SET | {"at": "2026-01-02"}], ["good"]),
        ([SET | {"at": "2026-01-01T10:00:00+02:00"}, SET | {"label": "bad", "at": "2026-01-01T09:00:00Z"}], ["bad"]),
        ([SET | {"at": "2026-01-01T10:00:00.9Z"}, SET | {"label": "bad", "at": "2026-01-01T10:00:00Z"}], ["good"]),
    ],
)
def test_what_counts(lines: Lines, labels: list[str]) -> None:
    for order in (lines, lines[::-1]):
        assert [j.labels[0] for j in read(order)] == labels


def refused(lines: Lines, **how: Any) -> BadAnnotation:
    with pytest.raises(ProjectErrors) as caught:
        read(lines, **how)
    [error] = caught.value.errors
    assert isinstance(error, BadAnnotation)
    return error


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_two_judgments_of_one_time_that_differ(form: str) -> None:
    shift = 1 if form == "csv" else 0
    error = refused([SET, {"item": "r2", "label": "bad"}, SET | {"label": "bad"}], form=form)
    assert error.where == Where(f"annotations/mood/ann.{form}", 3 + shift)
    assert error.message == f"'ann' judged item 'r1' otherwise on line {1 + shift}"
    assert "(neither has 'at')" in error.advice
    error = refused([SET | {"at": "2026-01-01"}, SET | {"label": None, "at": "2026-01-01"}], form=form)
    assert "(both are of 2026-01-01)" in error.advice
    for lines in ([SET, SET | {"label": "bad"}, UNDO], [SET | {"at": "2026-01-01"}, SET | {"label": "bad"}]):
        assert "otherwise on line" in refused(lines, form=form).message
    assert "(one has no 'at')" in refused(lines, form=form).advice


def test_an_empty_list_says_that_no_label_holds_only_where_several_may() -> None:
    def rows(kind: str) -> list[tuple[int, bool]]:
        found = judgments_table(
            read([{"item": "r1", "label": []}], kind), {"r1": (0, 0)}, "annotations/x.jsonl", task(kind)
        )
        return list(zip(found.column("code").to_pylist(), found.column("yes").to_pylist(), strict=True))

    assert rows("choice") == rows("ordinal") == [(-1, False)]
    assert rows("multichoice") == [(0, False), (1, False), (2, False)]


def test_the_order_of_labels_is_no_difference() -> None:
    [found] = read([{"item": "r1", "label": ["bad", "good"]}, {"item": "r1", "label": ["good", "bad"]}], "multichoice")
    assert found.labels == ("good", "bad")


def test_an_undo_without_a_time_beside_a_judgment_with_one() -> None:
    error = refused([UNDO, SET | {"at": "2026-01-01"}])
    assert error.where == Where("annotations/mood/ann.jsonl", 1)
    assert error.message == "this undo has no 'at', and line 2 about the same item has one: nothing says which is later"


@pytest.mark.parametrize("line", [{"at": "yesterday"}, {"at": 1.5}, {"at": "2026-13-01"}])
def test_a_time_that_is_none(line: dict[str, Any]) -> None:
    assert "which is no time" in refused([SET | line]).message


@pytest.mark.parametrize("seconds", ["many", float("nan"), [1], 10**400])
def test_seconds_that_are_no_number(seconds: Any) -> None:
    assert "seconds is" in refused([SET | {"seconds": seconds}]).message


def test_not_more_than_twenty_errors_are_listed() -> None:
    lines = [{"item": f"r{n}", "label": label} for n in range(30) for label in ("good", "bad")]
    with pytest.raises(ProjectErrors) as caught:
        read(lines)
    assert len(caught.value.errors) == 20


def csv(text: str, **meta: Any) -> list[tuple[str, tuple[str, ...], int]]:
    found = read_judgments(text, "annotations/mood/ann.csv", "ann", AnnotationMeta(**meta), task())
    return [(j.item, j.labels, j.line) for j in found]


def test_a_header_that_a_merge_repeats_is_passed_over() -> None:
    text = "item,label\nr1,good\n\ufeffitem,label\r\nr2,bad\r\n\r\nr1,good\r\n"
    assert csv(text) == [("r1", ("good",), 2), ("r2", ("bad",), 4)]
    assert csv("") == []
    assert csv("item,label") == []


@pytest.mark.parametrize("header", ["label,item", "item,label,at", "item,at,label"])
def test_a_second_header_that_is_another(header: str) -> None:
    with pytest.raises(ProjectErrors, match=r"ann\.csv:3: a second header, other than the first \(item,label\)"):
        csv(f"item,label\nr1,good\n{header}\n")
    with pytest.raises(ProjectErrors, match=r"ann\.csv:3: a second header"):
        csv(f"thing,label\nr1,good\n{header.replace('item', 'thing')}\n", columns={"item": "thing"})


@pytest.mark.parametrize(
    ("line", "problem"),
    [("r2,good,more", "another number of fields"), ("r2", "another number of fields"), ('r2,"' + "x" * 200_000, "CSV")],
)
def test_lines_that_are_no_rows(line: str, problem: str) -> None:
    with pytest.raises(ProjectErrors, match=problem):
        csv(f"item,label\nr1,good\n{line}\n")


def test_a_file_that_a_merge_put_after_another_may_start_with_a_mark_of_order() -> None:
    text = '{"item": "r1", "label": "good"}\n\ufeff{"item": "r2", "label": "bad"}\n\ufeff\n'
    found = read_judgments(text, "annotations/mood/ann.jsonl", "ann", AnnotationMeta(), task())
    assert [j.item for j in found] == ["r1", "r2"]


def test_an_empty_answer_declines_whatever_its_column_is_called() -> None:
    assert csv("item,label\nr1,\n") == [("r1", (), 2)]
    assert csv("item,answer\nr1,\nr2,good\n", columns={"label": "answer"}) == [("r1", (), 2), ("r2", ("good",), 3)]


@given(st.data())
def test_of_several_files_the_latest_judgment_stands_as_of_one(data: st.DataObject) -> None:
    lines = data.draw(st.lists(lines_of(LABELS, TIMES), max_size=8))
    lines = [{**line, "op": "set", "at": f"2026-01-01T10:00:{n:02}Z"} for n, line in enumerate(lines)]
    files: list[Lines] = [[], [], []]
    for line in data.draw(st.permutations(lines)):
        files[data.draw(st.integers(0, 2))].append(line)
    rows = {"r1": (0, 0), "ü": (1, 0)}
    tables = [judgments_table(read(file), rows, "annotations/mood/ann.jsonl", task()) for file in files]
    whole = judgments_table(read(lines), rows, "annotations/mood/ann.jsonl", task()).drop_columns(["line"])
    found = [row for table in standing(tables) for row in table.drop_columns(["line"]).to_pylist()]
    assert sorted(found, key=repr) == sorted(whole.to_pylist(), key=repr)


def test_without_times_the_later_file_stands_and_a_time_is_after_none() -> None:
    def table(*lines: dict[str, Any], kind: str = "choice") -> Any:
        return judgments_table(read(list(lines), kind), {"r1": (0, 3)}, "annotations/mood/x.jsonl", task(kind))

    good, bad = {"item": "r1", "label": "good"}, {"item": "r1", "label": "bad"}
    assert [len(t) for t in standing([table(good), table(bad)])] == [0, 1]
    assert [len(t) for t in standing([table({**good, "at": "2026-01-01"}), table(bad)])] == [1, 0]
    assert [len(t) for t in standing([table(good), table({**bad, "annotator": "eva"})])] == [1, 1]
    sets = [table({**line, "label": [line["label"]]}, kind="multichoice") for line in (good, bad)]
    assert [len(t) for t in standing(sets)] == [0, 3]
    assert standing([]) == []
    assert [len(t) for t in standing([table(), table(bad), table()])] == [0, 1, 0]


BROKEN_CSV = {
    'item,label\n1,good\n2,"bad\n3,good\n4,bad\n': (3, "this is not CSV: unexpected end of data"),
    'item,label,annotator\n1,good,"anna\n2,bad,bob\n3,bad,bob"\n': (
        2,
        "'annotator' goes over several lines, to line 4",
    ),
    'item,label,at\n1,good,"2026-01-01\n2,bad,2026-01-01"\n': (2, "'at' goes over several lines, to line 3"),
    'item,label\n1,"good" 2\n': (2, "this is not CSV: ',' expected after '\"'"),
    "item,label,label\n1,good,bad\n": (1, "the header names the column 'label' more than once"),
    "item,label\n1,good,bad\n": (2, "this line has another number of fields than the header"),
    "item;label\n1;good;bad\n": (2, "quote fields that hold semicolons"),
    "item,label\n1,good\n,bad\n": (3, "the cell 'item' is empty  [bad-annotation]\n  write the item's key"),
    "\nid,label\n1,good\n2,good\n": (
        2,
        "the header has no column 'item' (found: id, label)  [bad-annotation]\n"
        "  write in _meta.yml how they are called: files: {ann.csv: {columns: {item: id}}}",
    ),
    "sep=;\nkey;says;at\n1;good;2026-01-01\n": (
        2,
        "the header has no column 'item' and no column 'label' (found: key, says, at)  [bad-annotation]\n"
        "  write in _meta.yml how they are called: files: {ann.csv: {columns: {item: …, label: …}}}",
    ),
}


@pytest.mark.parametrize("text", BROKEN_CSV)
def test_csv_whose_quotes_swallow_lines_is_refused(text: str) -> None:
    line, problem = BROKEN_CSV[text]
    with pytest.raises(ProjectErrors) as caught:
        read_judgments(text, "annotations/mood/ann.csv", "ann", AnnotationMeta(), task("choice"))
    error = caught.value.errors[0]
    assert error.where == Where("annotations/mood/ann.csv", line)
    assert problem in str(error)


def test_a_text_of_several_lines_is_an_answer() -> None:
    text = 'item,label\n"a\nb",good\nc,bad\n'
    found = read_judgments(text, "annotations/mood/ann.csv", "ann", AnnotationMeta(), task("choice"))
    assert [(one.item, one.line) for one in found] == [("a\nb", 3), ("c", 4)]


TABLE = [["item", "label", "annotator", "at"], ["1", "good", "eve", "2026-01-01"], ["a,b", "bad", "eve", ""]]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("delimiter", "hint"), [(",", ""), (";", ""), ("\t", ""), (",", "sep=,"), (";", "sep=;")])
def test_csv_as_programs_for_tables_write_it(delimiter: str, hint: str, end: str, mark: str) -> None:
    empty = [[""] * 4, ["", " ", "", ""], []]
    cells = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in [*TABLE, *empty]]
    text = mark + end.join([*([hint] if hint else []), *(delimiter.join(row) for row in cells), ""])
    found = read_judgments(text, "annotations/mood/ann.CSV", "ann", AnnotationMeta(), task())
    first = 3 if hint else 2
    assert [(one.item, one.labels, one.annotator, one.at, one.line) for one in found] == [
        ("1", ("good",), "eve", "2026-01-01", first),
        ("a,b", ("bad",), "eve", "", first + 1),
    ]


def test_a_comma_parts_columns_wherever_it_gives_the_column_of_items() -> None:
    meta = AnnotationMeta(columns={"item": "key;id"})
    text = "key;id,label\n1;2,good\n"
    [found] = read_judgments(text, "annotations/mood/ann.csv", "ann", meta, task())
    assert (found.item, found.labels) == ("1;2", ("good",))


def test_columns_of_the_notes_that_are_not_there() -> None:
    with pytest.raises(ProjectErrors) as caught:
        meta = AnnotationMeta(columns={"item": "comment"})
        read_judgments("id,label\n1,good\n2,bad\n", "annotations/mood/ann.csv", "ann", meta, task())
    [error] = caught.value.errors
    assert error.message == "the header has no column 'comment' (found: id, label)"
    assert error.advice == "columns: in _meta.yml says 'item: comment': name one of those that are there"


def test_a_csv_file_of_undone_judgments_needs_no_labels() -> None:
    assert read_judgments("item,op\n1,undo\n", "annotations/mood/ann.csv", "ann", AnnotationMeta(), task()) == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_answer_that_the_notes_do_not_map(form: str) -> None:
    error = refused([{"item": "1", "label": "2"}], form=form, values={0: "good", 1: "bad"})
    assert error.message == "'2' is not a label of task 'mood', and 'values:' in _meta.yml has no '2'"
    assert error.advice == "add it there (it has: 0, 1), or write one of: good, bad, so-so."
    error = refused([{"item": "1", "label": "0"}], form=form, values={0: "godo"})
    assert error.message == "'godo' is not a label of task 'mood'"


def test_keys_that_a_program_for_tables_made_others() -> None:
    with pytest.raises(ProjectErrors) as caught:
        judgments_table(
            read([SET, {"item": "2", "label": "bad"}]), {}, "annotations/mood/ann.jsonl", task(), {"2": "002"}
        )
    first, second = caught.value.errors
    assert first.advice == "'item' holds values of 'id'; remove the line if the item is gone"
    assert second.advice == "'item' holds values of 'id'. Did you mean '002'?"
