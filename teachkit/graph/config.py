"""What ``config(...)`` in a template was given, validated and found again in its text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from teachkit.errors import Where
from teachkit.project.models import FolderDefaults
from teachkit.project.validate import validate
from teachkit.project.yaml_file import YamlFile

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_config(model: Any, values: Mapping[str, Any], where: Where, text: str = "") -> Any:
    """Validate what ``config(...)`` in the template ``text`` was given."""
    places = {(name,): _config_place(text, name, where) for name in values}
    known: dict[tuple[str | int, ...], Any] = {path: place for path, place in places.items() if place is not None}
    return validate(model, YamlFile(where.path, dict(values), known, {(): (where.line or 1, 1, 2)}), owner="config()")


def config_place(text: str, name: str, where: Where) -> Where:
    """Where the template gives the key ``name`` to ``config(...)``."""
    found = _config_place(text, name, where)
    return Where(where.path, *found) if found else where


def _config_place(text: str, name: str, where: Where) -> tuple[int, int, int] | None:
    match = re.search(rf"\bconfig\s*\([^}}]*?\b({re.escape(name)})\s*=", text)
    if match is None:
        return None
    line = text.count("\n", 0, match.start(1))
    column = match.start(1) - (text.rfind("\n", 0, match.start(1)) + 1) + 1
    return (where.line or 1) + line, column, column + len(name)


def folder_defaults(folders: Mapping[str, FolderDefaults], name: str) -> FolderDefaults:
    """What ``teachkit.yml`` says for all definitions of a folder, or of the nearest one around it."""
    while name and name not in folders:
        name = name.rpartition("/")[0]
    return folders.get(name) or FolderDefaults()
