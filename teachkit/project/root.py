"""Where a project lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import NotAProject

if TYPE_CHECKING:
    from pathlib import Path


def find_root(start: Path) -> Path:
    """The folder of the nearest ``teachkit.yml`` at or above ``start``.

    Raises:
        NotAProject: there is none.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "teachkit.yml").is_file():
            return folder
    raise NotAProject(None, folder=start)


def name_below(path: Path, root: Path) -> str:
    """How messages and records call a file: by its path from the project's folder, if it lies in it."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
