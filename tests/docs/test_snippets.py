"""Every snippet of every page does what the page says; the conventions stand in ``tests/docs/snippets.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import Block, blocks, name_of, own_pages, project_of
from tests.docs.snippets import Drift, Session, matches, start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("page", own_pages(), ids=name_of)
def test_page(page: Path, tmp_path: Path, home: Path, built: Path) -> None:
    text = page.read_text(encoding="utf-8")
    session = start(project_of(text), tmp_path / "comment_spam", home, built)
    for block in blocks(text):
        try:
            session.run(block, may_skip="coming-from" in page.name)
        except Drift as drift:
            pytest.fail(f"docs/{name_of(page)}.md, block in line {block.start}: {drift}", pytrace=False)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (("418 rows … ms",), "418 rows     12 ms\n", True),
        (("418 rows … ms",), "419 rows     12 ms\n", False),
        (("a", "…", "c"), "a\nb\nb\nc\n", True),
        (("a", "…", "c"), "a\nc\n", True),
        (("a", "…", "c"), "a\nb\n", False),
        (("a",), "a\nb\n", False),
        (("…: x",), "12: x\n", True),
    ],
)
def test_wildcards(expected: tuple[str, ...], printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


@pytest.mark.parametrize(
    "lines",
    [
        ("$ teachkit nope", "$ echo $?", "0"),
        ("$ false",),
        ("$ false", "$ true"),
        ("$ echo one", "two"),
        ("teachkit --version",),
    ],
)
def test_a_snippet_that_drifts_fails(lines: tuple[str, ...], tmp_path: Path, home: Path) -> None:
    with pytest.raises(Drift):
        Session(tmp_path, home).run(Block("console", (), lines, 1))


def test_a_python_session_that_drifts_fails(tmp_path: Path, home: Path) -> None:
    with pytest.raises(Drift):
        Session(tmp_path, home).run(Block("pycon", (), (">>> 1 + 1", "3"), 1))
    Session(tmp_path, home).run(Block("pycon", (), (">>> 1 + 1", "2"), 1))


def test_code_of_other_tools_is_for_pages_about_them(tmp_path: Path, home: Path) -> None:
    with pytest.raises(Drift):
        Session(tmp_path, home).run(Block("python", ("skip",), ("import snorkel",), 1))
