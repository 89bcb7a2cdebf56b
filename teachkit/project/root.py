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
