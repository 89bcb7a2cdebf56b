"""What git says about the project; a project outside git works too."""

from __future__ import annotations

import re
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


def origin(root: Path) -> tuple[str | None, str]:
    """The repository's address on the web without who may read it, None if it has none; the project's folder in it."""
    prefix = (_git(root, "rev-parse", "--show-prefix") or "").strip()
    url = (_git(root, "remote", "get-url", "origin") or "").strip().removesuffix("/").removesuffix(".git")
    found = re.fullmatch(r"(?:(?:https?|ssh|git)://)?(?:[^/@]*@)?([\w.-]+)(?::\d+)?[/:](?!/)(.+)", url)
    return f"https://{found[1]}/{found[2]}" if found and "." in found[1] else None, prefix


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
