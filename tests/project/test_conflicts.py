"""Marks of a merge that nobody resolved: one error, wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit.errors import MergeConflict
from teachkit.project.conflicts import refuse_conflict
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

BOTH = "<<<<<<< HEAD\nours\n||||||| 1f2e\nbase\n=======\ntheirs\n>>>>>>> topic\n"


@pytest.mark.parametrize(
    ("text", "line", "mark"),
    [
        (BOTH, 1, "<<<<<<<"),
        ("a\n" + BOTH.replace("\n", "\r\n"), 2, "<<<<<<<"),
        ("a\n=======\nb\n>>>>>>> topic", 2, "======="),
        ("<<<<<<<<<\n", 1, "<<<<<<<<<"),
    ],
)
def test_marks_are_found_in_any_text(text: str, line: int, mark: str) -> None:
    with pytest.raises(MergeConflict) as caught:
        refuse_conflict(text, "x.md")
    assert (str(caught.value.where), caught.value.facts["mark"]) == (f"x.md:{line}", mark)


@pytest.mark.parametrize("mark", ["<<<<<<<", "=======", ">>>>>>> b", "||||||| a"])
def test_each_mark_alone_is_refused_where_lines_are_records(mark: str) -> None:
    with pytest.raises(MergeConflict, match=r"a\.csv:2"):
        refuse_conflict(f"a\n{mark}\n", "a.csv", lines=True)


@pytest.mark.parametrize(
    "text",
    ["Title\n=======\ntext", ">>>>>>> a mail\n", "|||||||\n", " <<<<<<< SEARCH\n", "<<<<<<<x", "select 1 <<<<<<< 2"],
)
def test_prose_may_look_a_little_like_it(text: str) -> None:
    refuse_conflict(text, "x.md")


FILES = [
    "teachkit.yml",
    "profiles.yml",
    "sources/shop.yml",
    "tasks/mood.yml",
    "transforms/reviews.sql",
    "macros/words.sql",
    "labeling_functions/mood/words.yml",
    "labeling_functions/mood/blame.txt",
    "labeling_functions/mood/refund.sql",
    "labeling_functions/mood/style.py",
    "labeling_functions/mood/helper.py",
    "label_models/mood.yml",
    "label_models/own.py",
    "prompts/mood/ask.md",
    "annotations/mood/ann.jsonl",
    "annotations/mood/ben.csv",
    "annotations/mood/_meta.yml",
    "exports/train.yml",
    "tests/rules.yml",
    "tests/labeled_once.sql",
    "selectors.yml",
    "prices.yml",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A project with one of each kind of file that people write."""
    sandbox = Sandbox(tmp_path_factory.mktemp("conflicts") / "reviews", REVIEWS)
    sandbox.replace(
        "labeling_functions/mood/style.py", "def words", "from labeling_functions.mood.helper import a\n\n\ndef words"
    )
    sandbox.replace("labeling_functions/mood/style.py", "return text", "a()\n    return text")
    sandbox.write({
        "labeling_functions/mood/helper.py": "def a():\n    pass\n",
        "label_models/own.py": "class Own:\n    pass\n",
        "label_models/own.yml": "label_models: [{name: own, task: mood, type: 'label_models/own.py:Own'}]\n",
        "prompts/mood/ask.md": "---\nmodel: m\nenabled: false\n---\nHow is {{ item.text }}?\n",
        "annotations/mood/ben.csv": "item,label\nr001,good\n",
        "annotations/mood/_meta.yml": "files: {ben.csv: {}}\n",
        "selectors.yml": "selectors: []\n",
        "prices.yml": "as_of: '2026-01-01'\nmodels: {}\n",
    })  # fmt: skip
    sandbox("parse")
    return sandbox


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_says_file_and_line(project: Sandbox, name: str) -> None:
    text = project.read(name)
    line = text.count("\n") + 1
    with project.changed({name: (text + BOTH).encode()}):
        found = project("parse", code=2)
    assert f"error: {name}:{line}: a merge conflict is not resolved" in found.err
    assert "[merge-conflict]" in found.err


def test_the_lock(built: Sandbox) -> None:
    built.replace("teachkit.lock", "    rows", "<<<<<<< HEAD\n    rows")
    found = built("build", code=2)
    assert "teachkit.lock:11: a merge conflict is not resolved" in found.err
    assert "teachkit lock --resolve" in found.err


def test_project_without_marks_is_fine(project: Sandbox, tmp_path: Path) -> None:
    heading = "---\nmodel: m\nenabled: false\n---\nTitle\n=======\n{{ item.text }}\n"
    with project.changed({"prompts/mood/ask.md": heading}):
        project("parse")
