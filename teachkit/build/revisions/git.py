"""What git says about the project; a project outside git works too."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.errors import GitFailed, NoGit, ShallowClone, UnknownRevision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_QUIET = ("--no-optional-locks", "-c", "core.hooksPath=/dev/null", "-c", "core.splitIndex=false")
"""Git writes nothing that it need not write, and runs no hooks: we ask, we change nothing."""
_DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit that is checked out, and the project's files that differ from it; both None outside git."""

    commit: str | None = None
    changed: tuple[str, ...] | None = None

    @property
    def dirty(self) -> bool | None:
        """Whether any file of the project differs from the commit."""
        return None if self.changed is None else bool(self.changed)


def git_state(root: Path) -> GitState:
    """Ask git about the project's folder; files that the project writes itself do not count as changes."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    status = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", ".")
    if status is None or _git(root, "check-ignore", "--quiet", "teachkit.yml") is not None:
        return GitState()  # no repository, or one around the project that ignores it
    prefix = folder_in_repository(root)
    own = [entry[3:].removeprefix(prefix) for entry in status.split("\0") if entry]
    return GitState(commit.strip() if commit else None, tuple(sorted(p for p in own if p != "teachkit.lock")))


def last_change(root: Path, path: str, commit: str) -> str | None:
    """The commit at or before ``commit`` that last changed a file, None if git does not know it."""
    return (_git(root, "log", "-1", "--format=%H", commit, "--", path) or "").strip() or None


def base_revision(root: Path) -> str:
    """The revision that a pull request is compared with: a name or a commit that this repository has.

    It is ``TEACHKIT_BASE``; else where HEAD left the target branch that GitHub names (``GITHUB_BASE_REF``), or the
    commit that GitLab names (``CI_MERGE_REQUEST_DIFF_BASE_SHA``); else where HEAD left the default branch.

    Raises:
        NoGit: the project lies in no repository.
        UnknownRevision, ShallowClone: the repository does not have the revision.
    """
    for variable, prefix in (
        ("TEACHKIT_BASE", ""),
        ("GITHUB_BASE_REF", "origin/"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""),
    ):
        if value := os.environ.get(variable, "").strip():
            tip = commit_of(root, prefix + value, source=f" (from {variable})")
            parted = merge_base(root, prefix + value) if prefix else None
            return prefix + value if parted in (None, tip) else parted
    commit_of(root, "HEAD")
    branch = next((b for b in _DEFAULT_BRANCHES if _commit(root, b)), None)
    if branch is None:
        advice = "name the revision to compare with: TEACHKIT_BASE=<revision>, or 'against: <revision>'"
        raise UnknownRevision(
            None, revision="main", source=" (nor master, nor a default branch of origin)", advice=advice
        )
    found = merge_base(root, branch)
    if found is None:
        missing = f"merge base of HEAD and {branch}"
        advice = "the two share no commit; name the revision to compare with: TEACHKIT_BASE=<revision>"
        raise UnknownRevision(None, revision=missing, source="", advice=advice)
    return found


def commit_of(root: Path, revision: str, *, source: str = "") -> str:
    """The commit that a revision (branch, tag, ``HEAD~2``, commit) names; ``source`` says who named it.

    Raises:
        NoGit: the project lies in no repository.
        UnknownRevision, ShallowClone: the repository does not have it.
    """
    there = _ask(root, "rev-parse", "--is-inside-work-tree")
    if there.returncode != 0:
        said = there.stderr.decode(errors="replace").strip().split("\n", 1)[0].removeprefix("fatal: ")
        raise NoGit(None, folder=root, problem=said, advice="run this in a clone of the project's repository")
    found = _commit(root, revision)
    if found is not None:
        return found
    remote, _, branch = revision.partition("/")
    fetched = branch if remote == "origin" else ""
    if _is_shallow(root):
        raise ShallowClone(None, revision=revision, source=source, branch=f" {fetched}" if fetched else "")
    if has_no_commit(root):
        advice = "commit the project first: git add . && git commit"
        raise UnknownRevision(None, revision=revision, source=f"{source}: nothing is committed yet", advice=advice)
    fetch = f"run 'git fetch origin {fetched}'" if fetched else "run 'git fetch origin', or correct the name"
    raise UnknownRevision(None, revision=revision, source=source, advice=f"{fetch} ('git branch -a' lists branches)")


def has_no_commit(root: Path) -> bool:
    """Whether this is a repository in which nothing was ever committed."""
    return _git(root, "rev-list", "--all", "--max-count=1") == "" and _commit(root, "HEAD") is None


def merge_base(root: Path, revision: str) -> str | None:
    """The commit at which HEAD and a revision part.

    None if they share no commit. Raises as ``commit_of``; ``ShallowClone`` also if the clone does not reach that far.
    """
    commit_of(root, revision)
    found = _git(root, "merge-base", "HEAD", revision)
    if found is None and _is_shallow(root):
        raise ShallowClone(None, revision=f"merge base of HEAD and {revision}", source="", branch="")
    return found.strip() if found else None


def commit_before(root: Path) -> str | None:
    """The first parent of HEAD, None of a first commit. Raises as ``commit_of``."""
    commit_of(root, "HEAD")
    found = _commit(root, "HEAD^1")
    if found is None and _is_shallow(root):
        raise ShallowClone(None, revision="HEAD^1", source="", branch="")
    return found


def folder_in_repository(root: Path) -> str:
    """Where the project lies below the top of its repository: empty, or with a slash at the end."""
    return (_git(root, "rev-parse", "--show-prefix") or "").strip("\n")


def show_file(root: Path, revision: str, path: str) -> bytes | None:
    """A file of the project as a revision has it, byte by byte; None if it is not there. Raises as ``commit_of``."""
    found = _ask(root, "cat-file", "blob", f"{commit_of(root, revision)}:./{path}")
    return found.stdout if found.returncode == 0 else None


def unmerged_stages(root: Path, path: str) -> tuple[bytes | None, bytes | None, bytes | None] | None:
    """Of a file that a merge left unresolved: the common ancestor, ours and theirs; None if git has it as resolved."""
    entries = _git(root, "ls-files", "--unmerged", "-z", "--", path)
    if not entries:
        return None
    found = [_ask(root, "cat-file", "blob", f":{stage}:./{path}") for stage in (1, 2, 3)]
    base, ours, theirs = (f.stdout if f.returncode == 0 else None for f in found)
    return base, ours, theirs


def merge_as_text(base: Path, ours: Path, theirs: Path) -> None:
    """Merge three files line by line, with marks where that does not work, over ``ours``."""
    labels = [word for name in ("ours", "base", "theirs") for word in ("-L", name)]
    _git(ours.absolute().parent, "merge-file", "--quiet", *labels, *(str(p.absolute()) for p in (ours, base, theirs)))


def _commit(root: Path, revision: str) -> str | None:
    if revision.startswith("-"):
        return None
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return found.strip() if found else None


def _is_shallow(root: Path) -> bool:
    return (_git(root, "rev-parse", "--is-shallow-repository") or "").strip() == "true"


def origin(root: Path) -> tuple[str | None, str]:
    """The repository's address on the web without who may read it, None if it has none; the project's folder in it."""
    url = (_git(root, "remote", "get-url", "origin") or "").strip().removesuffix("/").removesuffix(".git")
    found = re.fullmatch(r"(?:(?:https?|ssh|git)://)?(?:[^/@]*@)?([\w.-]+)(?::\d+)?[/:](?!/)(.+)", url)
    return f"https://{found[1]}/{found[2]}" if found and "." in found[1] else None, folder_in_repository(root)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: its id, the day of it, the first line of its message."""

    id: str
    date: str
    subject: str


def commits_of(root: Path, path: str, most: int) -> list[Commit]:
    """The last commits that changed a file of the project, newest first; none outside git."""
    form = "--format=%H%x00%cs%x00%s%x00"
    found = _git(root, "log", f"--max-count={most}", form, "--end-of-options", "HEAD", "--", path) or ""
    words = found.replace("\0\n", "\0").split("\0")[:-1]
    return [Commit(*words[i : i + 3]) for i in range(0, len(words), 3)]


def text_at(root: Path, commit: str, path: str) -> str | None:
    """A file of the project as a commit has it, None if it has none."""
    return _git(root, "show", f"{commit}:./{path}")


def _git(root: Path, *arguments: str) -> str | None:
    """What git answers; None if it refuses, or cannot be asked."""
    try:
        found = _ask(root, *arguments)
    except NoGit:
        return None
    return found.stdout.decode(errors="replace") if found.returncode == 0 else None


def _ask(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *_QUIET, *arguments], cwd=root, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        advice = "install git, and see that 'git status' works in this folder"
        raise NoGit(None, folder=root, problem=f"git cannot be run: {error}", advice=advice) from error


def run_git(root: Path, *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """What git answers in a folder of a repository; file names that are no UTF-8 come back as they are.

    Raises:
        GitFailed: git refuses, or takes longer than ten minutes.
    """
    command = ["git", *_QUIET, *arguments]
    try:
        found = subprocess.run(
            command,
            cwd=root,
            input=os.fsencode(stdin),
            env={**os.environ, **(env or {})},
            capture_output=True,
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitFailed(None, command=_name(arguments), problem=str(error)) from error
    if found.returncode:
        said = found.stderr.decode(errors="replace").strip()
        raise GitFailed(None, command=_name(arguments), problem=said or f"exit code {found.returncode}")
    return os.fsdecode(found.stdout)


def _name(arguments: tuple[str, ...]) -> str:
    return arguments[2] if arguments[0] == "-c" else arguments[0]
