"""The project's files: found, parsed with positions, validated. Nothing is resolved here."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names
from teachkit.project.root import find_root

if TYPE_CHECKING:
    from teachkit.project.macros import GenericTest
    from teachkit.project.read import (
        TRIED,
        Definition,
        ProjectFiles,
        read_config,
        read_project,
        read_prompt,
        read_target,
    )
    from teachkit.project.templates import Templates, has_jinja

__all__ = [
    "TRIED",
    "Definition",
    "GenericTest",
    "ProjectFiles",
    "Templates",
    "find_root",
    "has_jinja",
    "read_config",
    "read_project",
    "read_prompt",
    "read_target",
]
__getattr__ = lazy_names(
    __name__,
    {
        "macros": ("GenericTest",),
        "read": ("TRIED", "Definition", "ProjectFiles", "read_config", "read_project", "read_prompt", "read_target"),
        "templates": ("Templates", "has_jinja"),
    },
)
