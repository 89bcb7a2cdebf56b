"""SQL templates: ``ref``, ``source``, ``config``, ``this`` on top of what every template sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from teachkit import __version__
from teachkit.errors import UnknownRef, UnknownSource, Where, did_you_mean, listing
from teachkit.graph.kinds import Rendered
from teachkit.graph.sql import quote
from teachkit.hashing import digest
from teachkit.project import Templates, has_jinja

Remember = Callable[[str, Any, Callable[[], Any]], Any]


class Renderer:
    """Renders the project's SQL and says what it refers to; what was rendered before is remembered by content."""

    def __init__(self, templates: Templates, names: Mapping[str, str], remember: Remember) -> None:
        """``names`` maps what ``ref()`` may name, and ``source.table``, to node ids."""
        self._templates = templates
        self._names = names
        self._remember = remember
        self._fixed = digest([__version__, templates.variables, templates.target])

    def sql(self, text: str, where: Where, *, this: str = "", extra: Mapping[str, Any] | None = None) -> Rendered:
        """Render a template of SQL."""
        if not has_jinja(text):
            return Rendered(text, {}, ())
        key = [self._fixed, text, self._templates.macros_used(text), this, sorted((extra or {}).items())]
        found = self._remember("render", key, lambda: self._render(text, where, this, extra or {}))
        fresh = all(self._names.get(name) == node for name, node in found["refs"]) and all(
            self._templates._env_var(name, None) == value for name, value in found["environment"].items()
        )
        if not fresh:
            found = self._render(text, where, this, extra or {})
        return Rendered(found["text"], found["config"], tuple(node for _, node in found["refs"]))

    def value(self, text: str, where: Where) -> str:
        """Render a value of a YAML file (no refs)."""
        return self._templates.render(text, where)

    def _render(self, text: str, where: Where, this: str, extra: Mapping[str, Any]) -> dict[str, Any]:
        refs: dict[str, str] = {}
        config: dict[str, Any] = {}

        def ref(name: str) -> str:
            refs[name] = self.resolve_ref(name, None)
            return quote(refs[name])

        def source(group: str, table: str) -> str:
            name = f"{group}.{table}"
            refs[name] = self.resolve_source(group, table, None)
            return quote(refs[name])

        def configure(**options: Any) -> str:
            config.update(options)
            return ""

        before = dict(self._templates.environment_read)
        self._templates.environment_read.clear()
        rendered = self._templates.render(
            text, where, ref=ref, source=source, config=configure, this=quote(this), **extra
        )
        environment = dict(self._templates.environment_read)
        self._templates.environment_read.update(before)
        return {"text": rendered, "config": config, "refs": list(refs.items()), "environment": environment}

    def resolve_ref(self, name: str, where: Where | None) -> str:
        """The node that ``ref(name)`` means."""
        if name not in self._names or "." in name:
            known = [n for n in self._names if "." not in n]
            raise UnknownRef(where, name=name, known=listing(sorted(known), 30), hint=did_you_mean(name, known))
        return self._names[name]

    def resolve_source(self, group: str, table: str, where: Where | None) -> str:
        """The node that ``source(group, table)`` means."""
        name = f"{group}.{table}"
        if name not in self._names:
            known = [n for n in self._names if "." in n]
            shown = [f"source('{n.replace('.', chr(39) + ', ' + chr(39))}')" for n in sorted(known)]
            raise UnknownSource(
                where, source=group, table=table, known=listing(shown, 30), hint=did_you_mean(name, known)
            )
        return self._names[name]
