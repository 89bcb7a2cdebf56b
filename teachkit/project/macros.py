"""Files of macros: what each defines, checked by Jinja's own parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from teachkit.errors import BadTemplate, ProjectErrors, TeachkitError, Where

_PROVIDED = frozenset({"config", "env_var", "ref", "source", "target", "this", "var", "caller", "varargs", "kwargs"})
_TEST = re.compile(r"(\{%[-+]?\s*)test(\s+\w+\s*\()")
_END_TEST = re.compile(r"(\{%[-+]?\s*)endtest(\s*[-+]?%\})")
_START = re.compile(r"\{%[-+]?\s*(?P<kind>macro|test)\s+(?P<name>\w+)\s*\((?P<arguments>.*?)\)\s*[-+]?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro: the text of its definition, and where it stands."""

    name: str
    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class GenericTest:
    """A test that the project's macros define: ``{% test name(model, column_name, …) %}``."""

    name: str
    arguments: str
    body: str
    where: Where


def read_macros(text: str, path: str) -> tuple[list[Macro], list[GenericTest]]:
    """The macros and generic tests of a file, in its order.

    Raises:
        ProjectErrors: Jinja cannot parse the file, or there is something else in it that would never be seen.
    """
    nodes = _parse(text, path)
    spans = _spans(text)
    macros: list[Macro] = []
    tests: list[GenericTest] = []
    errors: list[TeachkitError] = []
    for node in nodes:
        where = Where(path, node.lineno)
        kind = type(node).__name__
        if kind == "Output" and not _is_text(node):
            problem, advice = "something stands outside the macros: it would never run", "move it into a macro"
            errors.append(BadTemplate(Where(path, _line_of(node)), problem=problem, advice=advice))
        elif kind not in ("Macro", "Output"):
            problem = f"'{kind.lower()}' stands outside the macros: they would not see it"
            errors.append(BadTemplate(where, problem=problem, advice="move it into the macro that needs it"))
        elif kind == "Macro" and node.name in _PROVIDED:
            problem = f"macro '{node.name}' would hide what every template has under this name"
            errors.append(BadTemplate(where, problem=problem, advice="call it otherwise"))
        elif kind == "Macro":
            start, end = next(spans, (0, 0))
            found = _START.match(text, start)
            if found is not None and found["kind"] == "test":
                body = text[found.end() : text.rindex("{%", found.end(), end)]
                tests.append(GenericTest(node.name, found["arguments"], body, where))
            else:
                macros.append(Macro(node.name, text[start:end], where))
    if errors:
        raise ProjectErrors(errors)
    return macros, tests


def _parse(text: str, path: str) -> list[Any]:
    import jinja2

    as_macros = _END_TEST.sub(r"\1endmacro\2", _TEST.sub(r"\1macro\2", text))
    try:
        return list(jinja2.Environment(autoescape=False).parse(as_macros).body)  # noqa: S701 - SQL is no HTML
    except jinja2.exceptions.TemplateSyntaxError as error:
        advice = "check the braces and the block's end"
        raise ProjectErrors(
            [BadTemplate(Where(path, error.lineno), problem=error.message or "syntax error", advice=advice)]
        ) from error


def _spans(text: str) -> Any:
    """(start, end) of each outermost macro or test, in order; comments and raw blocks are passed over."""
    tag = re.compile(
        r"\{#.*?#\}|\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}"
        r"|\{%[-+]?\s*(?P<word>macro|test|endmacro|endtest)\b.*?%\}",
        re.DOTALL,
    )
    depth, start = 0, 0
    for match in tag.finditer(text):
        if match["word"] in ("macro", "test"):
            start = match.start() if depth == 0 else start
            depth += 1
        elif match["word"] in ("endmacro", "endtest"):
            depth -= 1
            if depth == 0:
                yield start, match.end()


def _is_text(node: Any) -> bool:
    """Whether an output is only text between macros, which says nothing."""
    return all(type(part).__name__ == "TemplateData" for part in node.nodes)


def _line_of(node: Any) -> int:
    return next(int(part.lineno) for part in node.nodes if type(part).__name__ != "TemplateData")
