"""The comment, the page, the text: what they must hold whatever is in the data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.diff.causes import Cause
from teachkit.diff.markdown import LIMIT, MARKER, markdown
from teachkit.diff.page import fragment, page
from teachkit.diff.result import Change, Diff, End, Example, Figure, LabelSetDiff, QualityChange, VoterDiff
from teachkit.diff.words import headline
from tests.sandbox import REPOSITORY

if TYPE_CHECKING:
    from tests.diff.conftest import Repo

NASTY = "<script>alert(1)</script> | @everyone #1 `code` **bold** [x](http://evil) \n\n# head \\ & ~~"
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def label_set(name: str = "labels", *, examples: int = 1, text: str = "a", **more: Any) -> LabelSetDiff:
    found = [Example(f"{text}{i}", text, "b", 0.9, None, 0.5, "lf.t.x", {"text": text}) for i in range(examples)]
    values: dict[str, Any] = {
        "items_before": 10,
        "items_after": 10,
        "added": 0,
        "removed": 0,
        "compared": 10,
        "flips": 2,
        "gained": 0,
        "lost": 0,
        "matrix": {text: {"b": 2}},
        "causes": [Cause("lf.t.x", "modified", ("lf.t.x",), 2)],
        "examples": found,
        "balance": {text: Figure(0.5, 0.5), "b": Figure(0.5, 0.5)},
    }
    return LabelSetDiff(name, "t", "changed", **{**values, **more})


def diff(*sets: LabelSetDiff, **more: Any) -> Diff:
    ends = End("main", "a" * 40), End("working tree", "b" * 40, True)
    return Diff(*ends, label_sets=sets, **{"changes": (), "voters": (), "data": (), **more})


def accuracy(better: int, worse: int, p_value: float, split: str = "test") -> QualityChange:
    delta = (better - worse) / 100
    figures = (100, 0.9, 0.9 + delta, 0.8, 1.0, 0.8, 1.0, delta, -0.1, 0.1, better, worse, p_value)
    return QualityChange(*figures, split=split, metric="accuracy")


# ---------------------------------------------------------------------------- the comment


def test_the_comment_can_be_found_again() -> None:
    assert markdown(diff(label_set())).splitlines()[0] == MARKER


@pytest.mark.parametrize(
    ("quality", "sign"),
    [
        ([accuracy(0, 12, 0.0005)], "🔴"),
        ([accuracy(12, 0, 0.0005)], "🟢"),
        ([accuracy(3, 2, 1.0)], "🟡"),
        ([], "🟡"),
        ([accuracy(0, 12, 0.0005, "tune")], "🔴"),
        ([accuracy(0, 12, 0.0005, "tune"), accuracy(12, 0, 0.0005)], "🟢"),
    ],
)
def test_the_sign_is_what_gold_says(quality: list[QualityChange], sign: str) -> None:
    assert f"### {sign} " in markdown(diff(label_set(quality=quality)))


def test_the_worst_of_several_label_sets_gives_the_sign() -> None:
    worse = label_set("worse", quality=[accuracy(0, 12, 0.0005)])
    found = markdown(diff(label_set(), worse, LabelSetDiff("same", "t", "same")))
    assert "### 🔴 Labels of 2 label sets change" in found
    assert "#### 🔴 worse" in found


def test_what_cannot_be_compared_is_no_good_news() -> None:
    found = markdown(diff(LabelSetDiff("labels", "t", "unknown", notes=("why",))))
    assert "### ⚪" in found
    assert "> why" in found


def test_text_of_items_is_shown_only_where_it_is_asked_for() -> None:
    found = diff(label_set(text="secret"))
    assert "| text |" not in markdown(found)
    assert "| text |" in markdown(found, texts=True)


def test_nothing_in_the_data_is_markdown() -> None:
    found = markdown(diff(label_set("na|me", text=NASTY), notes=[NASTY]), texts=True)
    outside = re.sub(r"(`+).*?\1", "", found)
    assert "<script>" not in outside
    assert "@everyone" not in outside
    assert "**bold**" not in outside
    assert not re.search(r"(?<!\\)\]\(", outside)
    rows = [line for line in found.splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))) for line in rows]
    heads = [i for i, line in enumerate(rows) if line.startswith(("|---", "|--:"))]
    assert all(widths[i - 1] == widths[i] for i in heads)
    assert not any(line.startswith("# head") for line in found.splitlines())


@settings(max_examples=20)
@given(TEXT, st.integers(0, 3000), st.integers(1, 60))
def test_a_comment_is_never_too_long(text: str, examples: int, sets: int) -> None:
    changes = [Change(f"lf.t.{i}", "lf", "modified", f"{text}.sql", 1, "a", "b") for i in range(examples)]
    found = diff(*(label_set(f"s{i}", examples=min(examples, 300), text=text) for i in range(sets)), changes=changes)
    made = markdown(found, texts=True)
    assert len(made) <= LIMIT
    assert made.startswith(MARKER)
    assert made.count("<details>") == made.count("</details>")
    if examples > 1200:
        assert "more" in made


def test_long_names_do_not_break_the_limit() -> None:
    names = [f"{'x' * 2000}{i}" for i in range(100)]
    assert len(markdown(diff(*(label_set(n) for n in names)))) <= LIMIT


# ---------------------------------------------------------------------------- the page


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any((value or "").startswith(("http", "//")) for name, value in attrs if name in ("src", "href"))
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXT)
def test_a_page_is_whole_and_holds_texts_as_text(text: str) -> None:
    for made in (page(diff(label_set(text=text))), fragment(diff(label_set(text=text)))):
        reader = Reader()
        reader.feed(made)
        assert reader.open == []
        assert "script" not in reader.tags
        assert " ".join(text.split()) in " ".join(reader.text.split())


def test_a_page_fetches_nothing() -> None:
    made = page(diff(label_set(text=NASTY)))
    assert "<script" not in made
    assert not re.search(r"(src|href)=", made)
    assert "@import" not in made
    assert "url(" not in made


def test_a_notebook_shows_twenty_rows_of_a_table() -> None:
    made = diff(label_set(examples=50))._repr_html_()
    assert "and 30 more" in made or "more" in made
    assert made.count("<tr>") < 60


# ---------------------------------------------------------------------------- sentences


def test_warnings_name_bad_voters() -> None:
    bad = VoterDiff("lf.t.bad", "lf", "t", "added", "x.sql", 1, precision_after=0.2, high_after=0.4, gold_after=20)
    fine = VoterDiff("lf.t.ok", "lf", "t", "added", "x.sql", 1, precision_after=0.2, high_after=0.9, gold_after=2)
    worse = VoterDiff(
        "lf.t.fell",
        "lf",
        "t",
        "modified",
        "x.sql",
        1,
        precision_before=0.99,
        low_before=0.95,
        precision_after=0.7,
        high_after=0.8,
        gold_after=99,
    )
    alerts = diff(label_set(), voters=[bad, fine, worse]).as_dict()["alerts"]
    assert alerts == [
        "lf.t.bad is more often wrong than right: 20.0% of 20 votes on gold",
        "lf.t.fell became less precise: 70.0% of 99 votes on gold, 99.0% before",
    ]


def test_small_shares_are_not_rounded_to_nothing() -> None:
    found = diff(label_set(flips=3, compared=1_000_000, matrix={"a": {"b": 3}}))
    assert headline(found) == "labels: 3 of 1,000,000 labels flip (< 0.01%; a → b 3)."


def test_forms_are_written_to_files(repo: Repo) -> None:
    repo.write({"labeling_functions/mood/stars.sql": "case when stars >= 2 then 'good' end\n"})
    for form, start in (("text", "base"), ("json", "{"), ("markdown", MARKER), ("html", "<!doctype html>")):
        out = repo("diff", "--base", "main", "--format", form, "-q", "-o", f"out/{form}").out
        assert out == ""
        assert repo.read(f"out/{form}").startswith(start)
    shown = repo("diff", "--base", "main", "--format", "markdown", "--texts", "-q").out
    assert "lost theirs" in shown


def test_a_file_that_cannot_be_written_is_an_error(repo: Repo) -> None:
    repo.write({"taken": "a file"})
    found = repo("diff", "--base", "main", "-q", "-o", "taken/diff.md", code=2)
    assert "[store-unwritable]" in found.err or "cannot write" in found.err


def test_every_field_of_the_json_is_on_the_page_of_the_command(repo: Repo) -> None:
    repo.write({"labeling_functions/mood/stars.sql": "case when stars >= 2 then 'good' end\n"})
    repo.write({"data/reviews.csv": repo.read("data/reviews.csv") + 'r999,"love it",5,,train\n'})
    found = repo.diff()
    words = (Path(REPOSITORY) / "docs/commands/diff.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+…?)`", words))

    def known(field: str) -> bool:
        return field in named or any(n.endswith("…") and field.startswith(n[:-1]) for n in named)

    rows = [found, *found["label_sets"], *found["voters"], *found["data"], *found["changes"], found["base"]]
    for label_set in found["label_sets"]:
        rows += [*label_set["causes"], *label_set["examples"], *label_set["quality"]]
    assert [field for field in sorted({key for row in rows for key in row}) if not known(field)] == []
