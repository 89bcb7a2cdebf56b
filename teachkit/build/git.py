"""What git says about the project; a project outside git works too."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
    prefix = (_git(root, "rev-parse", "--show-prefix") or "").strip()
    own = [entry[3:].removeprefix(prefix) for entry in status.split("\0") if entry]
    return GitState(commit.strip() if commit else None, tuple(sorted(p for p in own if p != "teachkit.lock")))


def last_change(root: Path, path: str, commit: str) -> str | None:
    """The commit at or before ``commit`` that last changed a file, None if git does not know it."""
    return (_git(root, "log", "-1", "--format=%H", commit, "--", path) or "").strip() or None


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
    try:
        found = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout if found.returncode == 0 else None
