"""SQL templates: ``ref``, ``source``, ``config``, ``this`` on top of what every template sees."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from teachkit.errors import (
    DisabledRef,
    ProjectErrors,
    TeachkitError,
    UnknownRef,
    UnknownSource,
    Where,
    did_you_mean,
    listing,
)
from teachkit.graph.kinds import Rendered
from teachkit.graph.names import quote
from teachkit.hashing import digest
from teachkit.project import Templates, has_jinja

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Remember = Callable[[str, Any, Callable[[], Any]], Any]


class Renderer:
    """Renders the project's SQL and says what it refers to; what was rendered before is remembered by content."""

    def __init__(self, templates: Templates, names: Mapping[str, str], remember: Remember) -> None:
        """``names`` maps what ``ref()`` may name, and ``source.table``, to node ids."""
        self._templates = templates
        self._names = names
        self._remember = remember
        self.switched_off: set[str] = set()
        self._fixed = digest(repr([sorted(templates.variables.items()), sorted(templates.target.items())]))

    def sql(self, text: str, where: Where, *, this: str = "", extra: Mapping[str, Any] | None = None) -> Rendered:
        """Render a template of SQL."""
        if not has_jinja(text):
            return Rendered(text, {}, ())
        key = [self._fixed, text, self._templates.macros_used(text), this, repr(sorted((extra or {}).items()))]
        found = self._remember("render", key, lambda: self._render(text, where, this, extra or {}))
        names = all(self._known(name) == node for name, node in found["refs"])
        values = all(_secret(self._templates.env_value(n)) == value for n, value in found["environment"].items())
        if not (names and values):
            found = self._render(text, where, this, extra or {})
        return Rendered(found["text"], found["config"], tuple(node for _, node in found["refs"]))

    def check_on(self, nodes: Iterable[str], where: Where) -> None:
        """Refuse references to transforms and tables of prompts that are switched off."""
        for node in nodes:
            kind, _, name = node.partition(".")
            if kind in ("transform", "enrichment") and name in self.switched_off:
                raise DisabledRef(where, name=name)

    def _known(self, name: str) -> str | None:
        return None if name in self.switched_off else self._names.get(name)

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
            for name, value in options.items():
                if not isinstance(value, str | int | float | list | tuple | dict | None):
                    raise TypeError(f"config({name}=…) takes a plain value")
            config.update(options)
            return ""

        before = dict(self._templates.environment_read)
        self._templates.environment_read.clear()
        rendered = self._templates.render(
            text, where, ref=ref, source=source, config=configure, **({"this": quote(this)} if this else {}), **extra
        )
        environment = {name: _secret(value) for name, value in self._templates.environment_read.items()}
        self._templates.environment_read.update(before)
        return {"text": rendered, "config": config, "refs": list(refs.items()), "environment": environment}

    def resolve_ref(self, name: str, where: Where | None) -> str:
        """The node that ``ref(name)`` means."""
        if name in self.switched_off:
            raise DisabledRef(where, name=name)
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


def _secret(value: str | None) -> str | None:
    """An environment variable's value in a form that may be kept."""
    return None if value is None else digest(["environment", value])


@contextmanager
def in_template(template: str, rendered: str, where: Where) -> Iterator[None]:
    """Errors with places in the rendered text are raised with the places in the template.

    A line that rendering left alone is found by its text, any other by the word that the error points at.
    """
    try:
        yield
    except ProjectErrors as errors:
        for error in errors.errors:
            _move(error, template, rendered, where)
        raise
    except TeachkitError as error:
        _move(error, template, rendered, where)
        raise


def _move(error: TeachkitError, template: str, rendered: str, where: Where) -> None:
    place = error.where
    if template == rendered or place is None or place.path != where.path or place.line is None:
        return
    first = where.line or 1
    lines, known = rendered.split("\n"), template.split("\n")
    index = min(place.line - first, len(lines) - 1)
    start = (place.column or 1) - 1 - _shift(where, index)
    line = lines[index]
    same = [i for i, other in enumerate(known) if other == line]
    if same:
        found = min(same, key=lambda i: abs(i - index))
        error.where = Where(place.path, first + found, place.column, place.end_column)
        return
    end = (place.end_column or 1) - 1 - _shift(where, index)
    word = line[start:end] if place.column and place.end_column else ""
    pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") if word.strip() else None
    having = [i for i, other in enumerate(known) if pattern and pattern.search(other)]
    found = min(having, key=lambda i: abs(i - index)) if having else min(index, len(known) - 1)
    places = list(pattern.finditer(known[found])) if pattern and having else []
    shift = _shift(where, found) + 1
    column = (places[0].start() + shift, places[0].end() + shift) if len(places) == 1 else (None, None)
    error.where = Where(place.path, first + found, *column)


def _shift(where: Where, index: int) -> int:
    """How far right of the file's margin a line of the text starts (see ``YamlFile.text``)."""
    return (where.column or 1) - 1 if index == 0 or where.end_column is None else 0
