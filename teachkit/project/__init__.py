"""The project's files: found, parsed with positions, validated. Nothing is resolved here."""

from teachkit.project.macros import GenericTest
from teachkit.project.read import Definition, ProjectFiles, find_root, read_config, read_project
from teachkit.project.templates import Templates, has_jinja

__all__ = [
    "Definition",
    "GenericTest",
    "ProjectFiles",
    "Templates",
    "find_root",
    "has_jinja",
    "read_config",
    "read_project",
]
