"""What must not stand in a site: values of environment variables, passwords, where the project lies on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from teachkit.project import ProjectFiles

_SHORTEST = 4  # a shorter value is no secret, and stands in half of all texts
_PASSWORD = re.compile(r"(?i)\b(password|passwd|pwd|secret|token|api_?key)(\s*[=:]\s*)([^\s'\"&;,{}]+)")
_USER = re.compile(r"(\w+://)[^\s/@'\"]+@")
_FILES = frozenset({"http", "https", "s3", "gs", "gcs", "r2", "az", "azure", "abfss", "hf", "file"})


@dataclass(frozen=True, slots=True)
class Discretion:
    """Takes out of texts what belongs to this machine. ``secrets``: from a value to what is written in its place."""

    root: Path
    secrets: Mapping[str, str]
    folders: Sequence[tuple[re.Pattern[str], str]]

    def text(self, text: str) -> str:
        """The text without secrets and without the places of folders."""
        for value, instead in self.secrets.items():
            text = text.replace(value, instead)
        for folder, instead in self.folders:
            text = folder.sub(lambda _, instead=instead: instead, text)  # type: ignore[misc]
        return _USER.sub(r"\1…@", _PASSWORD.sub(r"\1\2…", text))

    def place(self, path: str) -> str:
        """Where a source lies: a file by its path in the project, or its name; of a database nothing."""
        parts = urlsplit(path) if "://" in path else None
        if parts is not None:
            return f"{parts.scheme}://{parts.hostname or ''}{parts.path}" if parts.scheme in _FILES else "a database"
        if "=" in path and " " in path.strip():
            return "a database"
        if PurePath(path).is_absolute():
            below = PurePath(path).is_relative_to(self.root)
            return PurePath(path).relative_to(self.root).as_posix() if below else PurePath(path).name
        return self.text(path)


def discretion(files: ProjectFiles) -> Discretion:
    """What to keep back of a project: all that its files, as far as they were rendered, read from the environment."""
    read = dict(files.templates.environment_read)
    for provider in files.target.llm.providers.values():
        if provider.api_key_env:
            read[provider.api_key_env] = os.environ.get(provider.api_key_env)
    found = {value: f"env_var('{name}')" for name, value in sorted(read.items()) if value and len(value) >= _SHORTEST}
    longest_first = dict(sorted(found.items(), key=lambda pair: -len(pair[0])))
    places = [(files.root, "."), (files.root.resolve(), "."), (files.store_path, "the store"), (_home(), "~")]
    folders = [(_folder(str(path)), instead) for path, instead in places if len(str(path)) > 1]
    return Discretion(files.root, longest_first, folders)


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none


def _folder(path: str) -> re.Pattern[str]:
    """The folder itself or what is in it, and no other whose name goes on."""
    return re.compile(re.escape(path.rstrip("/")) + r"(?![\w-])")
