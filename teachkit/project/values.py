"""Values of YAML files that hold Jinja."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.project.templates import has_jinja

if TYPE_CHECKING:
    from teachkit.project.templates import Templates
    from teachkit.project.yaml_file import YamlFile


def render_values(file: YamlFile, path: tuple[str | int, ...], value: Any, templates: Templates) -> Any:
    """A value with all its texts rendered."""
    if isinstance(value, dict):
        return {k: render_values(file, (*path, k), v, templates) for k, v in value.items()}
    if isinstance(value, list):
        return [render_values(file, (*path, i), v, templates) for i, v in enumerate(value)]
    return templates.render(value, file.where(path)) if isinstance(value, str) else value


def without_jinja(value: Any) -> Any:
    """The value without entries that a template would give."""
    if isinstance(value, dict):
        return {k: without_jinja(v) for k, v in value.items() if not (isinstance(v, str) and has_jinja(v))}
    return value
