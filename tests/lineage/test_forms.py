"""The forms of ``teachkit lineage``: which options go together, and where what they write goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from teachkit import Project
from tests.sandbox import REVIEWS, Sandbox

FORMS = {
    "openlineage": ("--openlineage",),
    "graph": ("--graph",),
    "prov": ("moods", "--format", "prov"),
    "prov of one": ("moods", "r002", "--format", "prov"),
    "json": ("moods", "--format", "json"),
    "json of one": ("moods", "r002", "--format", "json"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    made = Sandbox(tmp_path_factory.mktemp("forms") / "reviews", REVIEWS)
    made("build")
    return made


@pytest.mark.parametrize(
    ("arguments", "option", "advice"),
    [
        ((), "NODE", "name a node, or ask for --graph or --openlineage"),
        (("--format", "prov"), "NODE", "name a node"),
        (("--graph", "--openlineage"), "--graph", "one of the two"),
        (("--graph", "--format", "json"), "--format", "leave it out"),
        (("--openlineage", "--format", "prov"), "--format", "leave it out"),
        (("moods", "r002", "--graph"), "ITEM", "leave it out"),
        (("moods", "--openlineage"), "NODE", "--run RUN_ID"),
        (("moods", "--run", "1"), "--run", "add --openlineage"),
        (("--graph", "--run", "1"), "--run", "add --openlineage"),
        (("moods", "--select", "moods"), "--select", "use it with --graph and without NODE"),
        (("moods", "--graph", "--exclude", "stars"), "--select", "use it with --graph and without NODE"),
        (("--openlineage", "--select", "moods"), "--select", "use it with --graph and without NODE"),
        (("moods", "-o", "x.txt"), "--output", "--format json or prov"),
        (("moods", "r002", "-o", "x.txt"), "--output", "--format json or prov"),
    ],
)
def test_options_that_do_not_go_together(built: Sandbox, arguments: tuple[str, ...], option: str, advice: str) -> None:
    said = built("lineage", *arguments, code=2)
    assert said.out == ""
    assert said.err.startswith(f"error: {option}: ")
    assert "[bad-option]" in said.err
    assert advice in said.err
    assert not (built.root / "x.txt").exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_file_holds_what_the_screen_would(built: Sandbox, form: str, tmp_path: Path) -> None:
    shown = built("lineage", *FORMS[form]).out
    path = tmp_path / "new folder" / "größe.txt"
    for _ in range(2):  # the second time there is one to put away
        said = built("lineage", *FORMS[form], "-o", str(path))
        assert said.out == ""
        assert path.read_text(encoding="utf-8") == shown
    assert [*path.parent.iterdir()] == [path]


def test_a_link_stays_one_and_a_pipe_is_written_to(built: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "real.mmd").write_text("old")
    (tmp_path / "link.mmd").symlink_to("real.mmd")
    built("lineage", "--graph", "-o", str(tmp_path / "link.mmd"))
    assert (tmp_path / "link.mmd").is_symlink()
    assert (tmp_path / "real.mmd").read_text().startswith("flowchart")
    built("lineage", "--graph", "-o", os.devnull)
    assert not Path(os.devnull).is_file()


def test_places_that_cannot_be_written(built: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    for output, problem in ((str(tmp_path), "Is a directory"), (str(tmp_path / "file" / "x"), "File exists")):
        said = built("lineage", "--graph", "-o", output, code=2).err
        assert f"--output: cannot write '{output}': {problem}  [bad-option]" in said
    assert [*tmp_path.iterdir()] == [tmp_path / "file"]


def test_an_unknown_node_in_each_form(built: Sandbox) -> None:
    for form in ((), ("--graph",), ("--format", "prov"), ("--format", "json")):
        said = built("lineage", "mods", *form, code=2)
        assert (said.out, "Did you mean 'moods'?" in said.err) == ("", True)


def test_python_has_the_same(built: Sandbox) -> None:
    project = Project.load(built.root)
    lines = built("lineage", "--openlineage").out.splitlines()
    assert project.openlineage() == project.openlineage("1") == [json.loads(line) for line in lines]
    assert project.prov("moods", "r002") == built("lineage", "moods", "r002", "--format", "prov").json
    assert project.mermaid("moods").text == built("lineage", "moods", "--graph").out
    assert (
        project.mermaid(select="+moods", exclude=["type:test", "type:unit"]).text
        == built("lineage", "moods", "--graph").out
    )
