"""A project in a git repository, built and committed on main, with a branch to change it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.build.test_git import git
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IGNORED = ".teachkit/\ntarget/\noutput/\n"


class Repo(Sandbox):
    """A sandbox in git."""

    def commit(self, message: str = "a change") -> str:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", message)
        return git(self.root, "rev-parse", "HEAD")

    def start(self) -> Repo:  # type: ignore[override]
        """Build what is there, commit it on main, and go on on a branch."""
        self.write({".gitignore": IGNORED})
        git(self.root, "init", "-q")
        self("build", "-q")
        self.commit("first")
        git(self.root, "switch", "-qc", "work")
        return self

    def diff(self, *arguments: str, **how: Any) -> Any:
        """The JSON of ``teachkit diff``."""
        return self("diff", "--base", "main", "--format", "json", "-q", *arguments, **how).json

    def labels_diff(self, *arguments: str, name: str = "moods", **how: Any) -> Any:
        found = self.diff(*arguments, **how)
        return next(s for s in found["label_sets"] if s["name"] == name)

    def git(self, *arguments: str) -> str:
        return git(self.root, *arguments)


def repository(folder: Path, files: Mapping[str, str | bytes | None] | None = None) -> Repo:
    return Repo(folder, {**REVIEWS, **(files or {})}).start()


@pytest.fixture(scope="session")
def shared_repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    return repository(tmp_path_factory.mktemp("diff") / "repo")


@pytest.fixture
def repo(shared_repo: Repo, tmp_path: Path) -> Repo:
    """A copy of a built and committed project, on a branch."""
    return Repo(shared_repo.copy(tmp_path / "repo").root)
