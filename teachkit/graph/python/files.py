"""The project's Python files on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from teachkit.errors import NotUtf8
from teachkit.project.conflicts import refuse_conflict

if TYPE_CHECKING:
    from teachkit.graph.python.modules import Modules


def project_modules(root: Path) -> Modules:
    """Finds project-local Python modules by dotted name."""

    def find(name: str) -> tuple[str, str] | None:
        base = root / Path(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path.relative_to(root).as_posix(), python_text(path, root)
        return None

    return find


def python_text(path: Path, root: Path) -> str:
    """The text of a file; ``NotUtf8`` or ``MergeConflict`` with its place below ``root``."""
    data, name = path.read_bytes(), path.relative_to(root).as_posix()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8.of(name, data, error) from error
    refuse_conflict(text, name)
    return text
