"""Which revision a pull request is compared with, and what a file was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit.build.revisions.git import base_revision, commit_of, show_file, unmerged_stages
from teachkit.errors import NoGit, ShallowClone, UnknownRevision
from tests.build.test_git import git

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES = ("TEACHKIT_BASE", "GITHUB_BASE_REF", "CI_MERGE_REQUEST_DIFF_BASE_SHA")


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def commit(folder: Path, text: str) -> str:
    (folder / "project").mkdir(exist_ok=True)
    (folder / "project" / "é.txt").write_bytes(text.encode())
    git(folder, "add", ".")
    git(folder, "commit", "-qm", text.strip() or "empty")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """Two commits on main, one on the branch ``topic``, which is checked out."""
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "one\r\n")
    commit(folder, "two\n")
    git(folder, "checkout", "-qb", "topic")
    commit(folder, "three\n")
    return folder


def test_outside_ci_it_is_where_head_left_the_default_branch(origin: Path) -> None:
    left = git(origin, "rev-parse", "main")
    assert base_revision(origin / "project") == left
    git(origin, "checkout", "-q", "main")
    commit(origin, "four\n")
    git(origin, "checkout", "-q", "topic")
    assert base_revision(origin) == left


def test_the_default_branch_is_that_of_origin_or_master(origin: Path, tmp_path: Path) -> None:
    git(origin, "checkout", "-q", "main")
    git(origin, "branch", "-qm", "main", "trunk")
    git(tmp_path, "clone", "-q", str(origin), "clone")
    clone = tmp_path / "clone"
    published = git(clone, "rev-parse", "HEAD")
    commit(clone, "mine\n")
    assert base_revision(clone) == published
    git(clone, "branch", "-q", "master")
    git(clone, "remote", "remove", "origin")
    assert base_revision(clone) == git(clone, "rev-parse", "HEAD")


def test_variables_of_ci_name_it(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "clone", "-q", str(origin), "clone")
    clone = tmp_path / "clone"
    first = git(clone, "rev-parse", "HEAD~2")
    monkeypatch.setenv("CI_MERGE_REQUEST_DIFF_BASE_SHA", first)
    assert base_revision(clone) == first
    monkeypatch.setenv("GITHUB_BASE_REF", "")  # what it is outside pull requests
    assert base_revision(clone) == first
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    assert base_revision(clone) == "origin/main"
    monkeypatch.setenv("TEACHKIT_BASE", "HEAD~1")
    assert base_revision(clone) == "HEAD~1"


def test_a_revision_that_is_not_there(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "clone", "-q", str(origin), "clone")
    clone = tmp_path / "clone"
    monkeypatch.setenv("GITHUB_BASE_REF", "release")
    with pytest.raises(
        UnknownRevision, match=r"'origin/release' \(from GITHUB_BASE_REF\)(.|\n)*git fetch origin release"
    ):
        base_revision(clone)
    for name in ("nowhere", "--all", "HEAD:project", ""):
        with pytest.raises(UnknownRevision, match="git fetch origin'"):
            commit_of(clone, name)


def test_no_default_branch(origin: Path) -> None:
    git(origin, "branch", "-qm", "main", "trunk")
    with pytest.raises(UnknownRevision, match="TEACHKIT_BASE"):
        base_revision(origin)


def test_branches_that_share_no_commit(origin: Path) -> None:
    git(origin, "checkout", "-q", "--orphan", "other")
    commit(origin, "other\n")
    with pytest.raises(UnknownRevision, match="share no commit"):
        base_revision(origin)


def test_a_shallow_clone(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(origin, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", origin.as_uri(), "clone")
    clone = tmp_path / "clone"
    git(clone, "checkout", "-q", "topic")
    with pytest.raises(ShallowClone, match=r"merge base of HEAD and origin/HEAD(.|\n)*--unshallow"):
        base_revision(clone)
    monkeypatch.setenv("GITHUB_BASE_REF", "release")
    with pytest.raises(ShallowClone, match=r"origin/release(.|\n)*--unshallow origin release'"):
        base_revision(clone)


def test_outside_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "plain"
    folder.mkdir()
    for ask in (base_revision, lambda root: commit_of(root, "HEAD"), lambda root: show_file(root, "HEAD", "x")):
        with pytest.raises(NoGit, match="not a git repository"):
            ask(folder)
    assert unmerged_stages(folder, "x") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoGit, match="install git"):
        base_revision(folder)


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(UnknownRevision, match="HEAD"):
        base_revision(tmp_path)


def test_a_file_as_it_was(origin: Path) -> None:
    root = origin / "project"
    assert show_file(root, "HEAD~2", "é.txt") == b"one\r\n"
    assert show_file(root, "main", "é.txt") == b"two\n"
    assert show_file(origin, "main", "é.txt") is None
    assert show_file(origin, "main", "project") is None
    with pytest.raises(UnknownRevision):
        show_file(root, "gone", "é.txt")


def test_the_stages_of_a_file_in_conflict(origin: Path) -> None:
    git(origin, "checkout", "-q", "main")
    commit(origin, "four\n")
    assert unmerged_stages(origin / "project", "é.txt") is None
    git(origin, "merge", "-q", "topic", check=False)
    assert unmerged_stages(origin / "project", "é.txt") == (b"two\n", b"four\n", b"three\n")
    git(origin, "merge", "--abort")
    git(origin, "rm", "-q", "project/é.txt")
    git(origin, "commit", "-qm", "gone")
    git(origin, "merge", "-q", "topic", check=False)
    (origin / "project").mkdir(exist_ok=True)
    assert unmerged_stages(origin / "project", "é.txt") == (b"two\n", None, b"three\n")
