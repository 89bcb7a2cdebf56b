"""``Project`` shows what it is, and what its methods take."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.build.run import BuildOptions
from teachkit.review import issues, suggest
from teachkit.review.tried import Wanted
from teachkit.review.trying import Asked

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

OF_THE_PROJECT = {"select", "exclude", "dry_run", "target", "profiles_dir", "variables", "threads", "command"}


@pytest.mark.parametrize(
    ("method", "fields"),
    [(Project.suggest, [suggest.Wish]), (Project.issues, [issues.Wish]), (Project.try_voter, [Wanted, Asked])],
)
def test_a_method_names_what_can_be_wished_for(method: Any, fields: list[Any]) -> None:
    given = {p.name: p.default for p in inspect.signature(method).parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert given == {field.name: field.default for one in fields for field in dataclasses.fields(one)}
    assert [name for name in given if name not in method.__doc__ and not hasattr(Wanted, name)] == []


def test_the_options_of_a_build_are_told_with_their_defaults() -> None:
    told = Project.build.__doc__ or ""
    options = [field for field in dataclasses.fields(BuildOptions) if field.name not in OF_THE_PROJECT]
    assert [f.name for f in options if f"``{f.name}={f.default}``" not in told] == []


def test_a_project_says_where_it_is(once: Sandbox) -> None:
    assert repr(Project.load(once.root)) == f"<Project {str(once.root)!r}>"
    assert repr(Project.load(once.root / "tasks", target="ci")) == f"<Project {str(once.root)!r} target='ci'>"
