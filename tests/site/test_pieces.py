"""File names, excerpts, Markdown, samples, what is kept back: the plain functions of the site."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import Where
from teachkit.site.discretion import Discretion, _folder
from teachkit.site.items import CHANCE, CONTESTED, MISTAKE, UNSURE, choose
from teachkit.site.markdown import markdown
from teachkit.site.names import file_stem, item_page
from teachkit.site.texts import definition_text


@given(st.text(max_size=120), st.text(max_size=120))
def test_every_name_has_a_safe_file_of_its_own(one: str, other: str) -> None:
    for stem in (file_stem(one), file_stem(other)):
        assert re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", stem)
        assert len(stem) <= 80
        assert ".." not in stem
    assert (file_stem(one) == file_stem(other)) == (one == other)


def test_names_that_some_systems_keep_for_themselves_are_no_files() -> None:
    assert file_stem("lf.spam.link") == "lf.spam.link"
    assert file_stem("con") != "con"
    assert file_stem("Link") != file_stem("link")
    assert item_page("moods", "a/../../b.c").startswith("items/moods/")
    assert ".." not in item_page("moods", "a/../../b.c")


def test_an_excerpt_of_yaml_is_the_entry_alone(tmp_path: Path) -> None:
    text = "rules:\n  - name: a\n    any_of: [x,\n      y]\n\n    label: b\n  # about the next\n  - {name: c}\n"
    (tmp_path / "r.yml").write_text(text)
    found = definition_text(tmp_path, Where("r.yml", 2), "")
    assert found == {
        "first": 2,
        "lines": ["- name: a", "  any_of: [x,", "    y]", "", "  label: b"],
        "mark": None,
        "cut": 0,
    }
    assert definition_text(tmp_path, Where("r.yml", 8), "")["lines"] == ["- {name: c}"]
    assert definition_text(tmp_path, Where("r.yml", 99), "")["lines"] == []


def test_a_long_text_is_cut_and_a_missing_file_is_what_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n" * 5000)
    found = definition_text(tmp_path, Where("a.py", 7), "")
    assert (len(found["lines"]), found["cut"], found["mark"]) == (1500, 3500, 7)
    assert definition_text(tmp_path, Where("gone.sql", 1), "select 1")["lines"] == ["select 1"]
    (tmp_path / "a.jsonl").write_text("{}\n" * 300)
    assert definition_text(tmp_path, Where("a.jsonl"), "", judgments=True)["cut"] == 100


def test_a_guideline_can_hold_no_html_and_fetch_nothing() -> None:
    made = markdown(
        "# A\n\n<script>alert(1)</script>\n\n![picture](https://x.example/p.png) [bad](javascript:alert(1)) "
        "[file](other.md) [out](https://x.example/)\n\n| a |\n|:-:|\n| b |\n"
    )
    assert "<script" not in made
    assert "<img" not in made
    assert "[picture]" in made
    assert 'href="javascript' not in made
    assert 'href="other.md"' not in made
    assert 'href="https://x.example/"' in made
    assert "style=" not in made
    assert "<h3>A</h3>" in made


@given(st.integers(0, 30), st.lists(st.integers(0, 19)), st.lists(st.integers(0, 19)), st.lists(st.integers(0, 19)))
def test_a_sample_is_as_large_as_it_can_be_and_no_reason_takes_it_all(
    limit: int, mistakes: list[int], unsure: list[int], contested: list[int]
) -> None:
    found = choose(limit, mistakes, unsure, contested, range(20))
    assert len(found) == min(limit, 20)
    quarter = -(-limit // 4)
    for why, rows in ((MISTAKE, mistakes), (UNSURE, unsure), (CONTESTED, contested)):
        chosen = [row for row, reason in found.items() if reason == why]
        assert len(chosen) <= quarter
        assert set(chosen) <= set(rows)
    if limit >= 4 and mistakes:
        assert found[mistakes[0]] == MISTAKE
    assert set(found.values()) <= {MISTAKE, UNSURE, CONTESTED, CHANCE}


def test_secrets_and_places_of_this_machine_are_taken_out() -> None:
    hide = Discretion(
        Path("/home/me/shop"),
        {"s3cr3t": "env_var('KEY')"},
        [(_folder("/home/me/shop"), "."), (_folder("/home/me"), "~")],
    )
    assert hide.text("at /home/me/shop/data.csv") == "at ./data.csv"
    assert hide.text("/home/me/other") == "~/other"
    assert hide.text("/home/me/shopping") == "~/shopping"
    assert hide.text("x = 's3cr3t'") == "x = 'env_var('KEY')'"
    assert hide.text("postgres://u:p@h/db") == "postgres://…@h/db"
    assert hide.text("host=h password=abc") == "host=h password=…"
    assert hide.place("/home/me/shop/data/a.csv") == "data/a.csv"
    assert hide.place("/mnt/big/a.csv") == "a.csv"
    assert hide.place("https://u:p@h.example/a.csv?token=1") == "https://h.example/a.csv"
    assert hide.place("postgres://u:p@h/db") == "a database"
    assert hide.place("host=h user=u password=p") == "a database"
    assert hide.place("data/a.csv") == "data/a.csv"
