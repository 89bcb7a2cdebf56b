"""The options that every command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.api import Project


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that every command has."""

    project_dir: Path = Path()
    profiles_dir: Path | None = None
    target: str | None = None
    variables: Mapping[str, Any] | None = None
    threads: int | None = None
    log_format: str = "text"
    quiet: bool = False
    no_color: bool = False

    def project(self) -> Project:
        """The project that the command is about.

        Raises:
            NotAProject: there is none.
        """
        from teachkit.api import Project

        return Project.load(
            self.project_dir,
            target=self.target,
            vars=self.variables,
            profiles_dir=self.profiles_dir,
            threads=self.threads,
        )
