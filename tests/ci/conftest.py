"""A repository as people have it: main with its labels locked, a branch that flips some, commands run as in CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.build.test_git import git
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.sandbox import Outcome

STARS = "labeling_functions/mood/stars.sql"
_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_DIFF_BASE_SHA")


@dataclass
class Repository:
    """A project and its git; ``top`` is the top of the repository, ``scratch`` where runners keep their files."""

    project: Sandbox
    top: Path
    scratch: Path

    def git(self, *arguments: str) -> str:
        return git(self.top, *arguments)

    def commit(self, message: str) -> None:
        self.git("add", ".")
        self.git("commit", "-qm", message)

    def flip(self) -> None:
        """Labels turn: three stars are bad, too. On a branch, built and locked."""
        self.git("switch", "-qc", "stricter")
        self.project.write({STARS: "case when stars >= 5 then 'good' when stars <= 4 then 'bad' end\n"})
        self.project("build")
        self.commit("Stricter")

    def ci(self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Outcome:
        return self.project("ci", *arguments, code=code, env=env)

    def on_github(self, *arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Outcome:
        """As a job of GitHub Actions, whose files start empty."""
        for name in ("summary", "output"):
            (self.scratch / name).write_text("", encoding="utf-8")
        variables = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.top),
            "GITHUB_STEP_SUMMARY": str(self.scratch / "summary"),
            "GITHUB_OUTPUT": str(self.scratch / "output"),
        }
        return self.ci(*arguments, code=code, env={**variables, **(env or {})})

    @property
    def comment(self) -> str:
        return self.project.read("target/ci/diff.md")

    @property
    def summary(self) -> str:
        return (self.scratch / "summary").read_text(encoding="utf-8")

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.scratch / "output").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run in CI, too, and are no part of it."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("ci") / "reviews"
    project = Sandbox(top, {**REVIEWS, ".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "Project")
    project("build")
    git(top, "add", ".")
    git(top, "commit", "-qm", "Lock")
    return top


@pytest.fixture
def repository(_main: Path, tmp_path: Path) -> Repository:
    """On main, built, everything committed."""
    project = Sandbox(_main).copy(tmp_path / "reviews")
    (tmp_path / "scratch").mkdir()
    return Repository(project, project.root, tmp_path / "scratch")


def annotated(outcome: Outcome) -> list[str]:
    """The workflow commands among the lines of stdout."""
    return [line for line in outcome.out.splitlines() if line.startswith("::")]
