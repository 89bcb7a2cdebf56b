"""The reference pages name every key, option, error, test, parameter and field that the code has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import pytest
from pydantic import BaseModel

from teachkit import registry
from teachkit.cli.app import COMMANDS
from teachkit.graph.select import METHODS
from teachkit.project import llm_models, models
from tests.docs.pages import DOCS, name_of, pages
from tests.docs.tables import empty_meanings, error_classes, made, names_of, parameters_of, tables

if TYPE_CHECKING:
    from pathlib import Path


def _page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def _named(kind: str) -> list[str]:
    """The arguments of all made tables of a kind, in all pages."""
    return [t.name for page in pages() for t in tables(page.read_text(encoding="utf-8")) if t.kind == kind]


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_made_tables_are_as_the_code_makes_them(page: Path) -> None:
    for table in tables(page.read_text(encoding="utf-8")):
        assert table.text == made(table), f"{name_of(page)}: run 'python -m tests.docs.update {name_of(page)}'"
        assert not empty_meanings(table), f"{name_of(page)}: rows of {table.name} without a meaning"


def test_every_model_of_a_file_has_a_table() -> None:
    known = {
        name
        for module in (models, llm_models)
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, BaseModel) and found.__module__ == module.__name__
    }
    there = _named("keys")
    assert known <= set(there)
    assert len(there) == len(set(there))


def test_every_kind_of_file_has_a_page() -> None:
    names = {"project": "teachkit-yml", "profiles": "profiles-yml", "selectors": "selectors-yml"}
    names["prices"] = "prices-yml"
    for kind in models.FILE_KINDS:
        assert (DOCS / "files" / f"{names.get(kind, kind.replace('_', '-'))}.md").is_file(), kind


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page_of_its_command(command: str) -> None:
    text = _page(f"commands/{command}")
    found = [t for t in tables(text) if t.kind == "options"]
    assert [t.name for t in found] == names_of(command)
    for table in found:
        for parameter in parameters_of(table.name):
            for name in parameter.opts if isinstance(parameter, click.Option) else ():
                assert f"`{name}`" in table.text


def test_every_option_of_batches_is_on_its_page() -> None:
    from teachkit.cli.commands.llm_batch import command

    section = _page("commands/llm").partition("\n## batch\n")[2].partition("\n## ")[0]
    own = [p for p in command.params if isinstance(p, click.Option)]
    assert len(own) == 6
    for parameter in own:
        assert f"\n| `{parameter.opts[0]}`" in section
    (action,) = [p.type for p in command.params if isinstance(p.type, click.Choice) and p.name == "action"]
    for name in action.choices:
        assert f"\n| `{name}" in section


def test_every_field_of_batches_is_on_their_page() -> None:
    from dataclasses import fields

    from teachkit.build.asking.batching import Submission, SubmittedPrompt, batch_dict
    from teachkit.build.asking.collecting import Looked
    from teachkit.llm.batch_state import Batch

    section = _page("commands/llm").partition("\n## batch\n")[2]
    batch = Batch(id="x", endpoint="e", key_name=None, model="m", names={}, requests=1, worst=None, made=0.0)
    names = {field.name for field in fields(SubmittedPrompt)}
    for name in [*names, *Submission([]).as_dict(), *Looked().as_dict(), *batch_dict(batch)]:
        assert f"`{name}`" in section, name


def test_every_command_of_the_pages_is_there() -> None:
    there = {page.stem for page in (DOCS / "commands").glob("*.md")} - {"global-options", "artefacts"}
    assert there == set(COMMANDS)


def test_every_global_option_is_on_its_page() -> None:
    assert "global" in [t.name for t in tables(_page("commands/global-options")) if t.kind == "options"]


def test_every_error_is_on_the_page() -> None:
    rows = [line for t in tables(_page("concepts/errors")) for line in t.text.splitlines() if line.startswith("| `")]
    there = [line.split("|")[1].strip(" `") for line in rows]
    assert sorted(there) == sorted(error.slug for error in error_classes())
    codes = {line.split("|")[1].strip(" `"): int(line.split("|")[2]) for line in rows}
    assert codes == {error.slug: error.exit_code for error in error_classes()}


def test_every_slug_in_the_pages_exists() -> None:
    known = {error.slug for error in error_classes()}
    for page in pages():
        for slug in re.findall(r"  \[([a-z0-9-]+)\]$", page.read_text(encoding="utf-8"), re.M):
            assert slug in known, f"{name_of(page)}: {slug}"


def test_every_data_test_is_on_the_page() -> None:
    rows = "".join(t.text for t in tables(_page("concepts/tests")))
    for name in registry.names("check"):
        assert f"| `{name}` |" in rows


def test_every_label_model_is_on_the_page() -> None:
    assert set(_named("parameters")) == set(registry.names("label_model"))


def test_every_method_of_selection_is_on_the_page() -> None:
    text = _page("concepts/selection")
    for method in METHODS:
        assert f"`{method}:" in text


def test_every_field_of_a_node_is_on_the_page_of_artefacts() -> None:
    from teachkit.build.artifacts import node_dict
    from teachkit.build.retrying import arguments
    from teachkit.build.run import BuildOptions, NodeResult, Run
    from teachkit.errors import Where
    from teachkit.graph import Node

    text = _page("commands/artefacts")
    node = Node("lf.t.a", "lf", "a", Where("a.sql"), None, {}, (), {})
    run = Run("1", "build", None, None, "dev", 0.0, 0.0, ())
    args = arguments(BuildOptions(), "dev", retry_of=None, kept=[], not_reached=[])
    for field in [*node_dict(node), *run.as_dict(), *args, *NodeResult("a", "lf", "built").as_dict()]:
        assert f"`{field}`" in text, field


def test_every_field_of_lineage_is_on_the_page() -> None:
    from dataclasses import fields

    from teachkit.lineage import Explanation, VoteShare
    from teachkit.lineage.records import SourceRecord

    text = _page("concepts/lineage")
    for made_of in (Explanation, VoteShare, SourceRecord):
        for field in fields(made_of):
            assert f"`{field.name}`" in text, field.name


def test_every_field_of_analyze_is_on_the_page() -> None:
    from dataclasses import fields

    from teachkit.label_models.bradley_terry import ContestantScore
    from teachkit.review import TaskAnalysis
    from teachkit.review.analyze import VoterRow
    from teachkit.review.contestants import SideRow

    text = _page("commands/analyze")
    for made_of in (TaskAnalysis, VoterRow, ContestantScore, SideRow):
        for field in fields(made_of):
            assert f"`{field.name}`" in text, field.name


def test_every_field_of_try_and_errors_is_on_its_page() -> None:
    from dataclasses import fields

    from teachkit.review import error_report as report
    from teachkit.review import hits, trying

    pages_of = {
        "commands/try": (trying.VoterTrial, trying.Claim, trying.Overlap, hits.Example),
        "commands/errors": (
            report.ErrorReport,
            report.Cell,
            report.Fault,
            report.Share,
            report.Culprit,
            report.ErrorItem,
        ),
    }
    for page, made_of in pages_of.items():
        text = _page(page)
        for field in (field for kind in made_of for field in fields(kind)):
            assert f"`{field.name}`" in text, f"{page}: {field.name}"


def test_the_library_knows_no_machine() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for word in ("/work/", "/home/", "/root/", "/tmp/", "pypi.org"):
            assert word not in text, f"{name_of(page)}: {word}"
