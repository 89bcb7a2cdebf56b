"""Tables of the pages that are made from the code: keys of files, options of commands, errors, data tests, parameters.

A table stands between ``<!-- keys: SourceTable -->`` and ``<!-- end -->``. ``made`` gives what should stand there;
columns that only a person can write (``meaning``) are taken from the page as it is.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import click
from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from teachkit import errors, registry
from teachkit.errors import TeachkitError
from teachkit.project import llm_models, model, models

_MARK = re.compile(r"^<!-- (keys|options|errors|checks|parameters): (\S+) -->\n(.*?)^<!-- end -->$", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Table:
    """A made table of a page: its kind, its argument, its text as it stands, and its place."""

    kind: str
    name: str
    text: str
    start: int
    end: int


def tables(text: str) -> Iterator[Table]:
    """The marked tables of a page."""
    for match in _MARK.finditer(text):
        yield Table(match[1], match[2], match[3], match.start(3), match.end(3))


def made(table: Table) -> str:
    """What should stand between a table's marks."""
    rows = _MAKERS[table.kind](table.name)
    written = {**_described(table), **_meanings(table.text)}
    if not rows:
        return "\nNone of its own.\n\n"
    head = _HEADS[table.kind]
    filled = [(*row, written.get(row[0], "")) if len(row) < len(head) else row for row in rows]
    lines = [head, tuple("---" for _ in head), *filled]
    return "\n" + "\n".join(f"| {' | '.join(row)} |" for row in lines) + "\n\n"


def empty_meanings(table: Table) -> list[str]:
    """Rows whose meaning nobody has written."""
    return [row for row, meaning in _meanings(table.text).items() if not meaning]


def renewed(text: str) -> str:
    """A page with its tables made anew."""
    for table in reversed(list(tables(text))):
        text = text[: table.start] + made(table) + text[table.end :]
    return text


def _meanings(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) > 1 and cells[0].startswith("`"):
            found[cells[0]] = cells[-1]
    return found


def _described(table: Table) -> dict[str, str]:
    """What the models themselves say of their keys: a start for who writes the page."""
    if table.kind != "keys":
        return {}
    fields = _model(table.name).model_fields.items()
    return {f"`{key}`": _prose(field.description) for key, field in fields if field.description}


# ---------------------------------------------------------------------------- keys of files


def _keys(name: str) -> list[tuple[str, ...]]:
    model: type[BaseModel] = _model(name)
    return [(f"`{key}`", kind(field), default(field)) for key, field in model.model_fields.items()]


def _model(name: str) -> Any:
    if name == "Common":
        from teachkit.graph.data_tests import Common

        return Common
    return getattr(models, name, None) or getattr(llm_models, name)


def kind(field: Any) -> str:
    """The type of a key in words."""
    if any(isinstance(m, BeforeValidator) and m.func is model._as_list for m in field.metadata):
        return "text or list of texts"
    return _words(field.annotation)


def _words(found: Any) -> str:
    origin, arguments = typing.get_origin(found), typing.get_args(found)
    if origin is typing.Annotated:
        if any(isinstance(m, BeforeValidator) and m.func is model._as_list for m in arguments[1:]):
            return "text or list of texts"
        return _words(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin in (typing.Union, types.UnionType):
        said = dict.fromkeys(_words(a) for a in arguments if a is not type(None))
        return " or ".join(word for word in said if not (word == "whole number" and "number" in said))
    if origin is list:
        inner = _words(arguments[0])
        return f"list of {_PLURALS.get(inner, inner)}"
    if origin is dict:
        return f"mapping from {_words(arguments[0])} to {_words(arguments[1])}"
    if inspect.isclass(found) and issubclass(found, BaseModel):
        return f"mapping: {_title(found)}"
    return _PLAIN[found]


def _title(model: type[BaseModel]) -> str:
    return re.sub(r"(?<!^)([A-Z][a-z])", r" \1", model.__name__).lower()


_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any value"}
_PLURALS = {"text": "texts", "text or list of texts": "texts"}


def default(field: Any) -> str:
    """The default of a key in words."""
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Mapping):
        return ", ".join(f"`{k}`" for k in value)
    if isinstance(value, list):
        return "`[" + ", ".join(f'"{v}"' for v in value) + "]`"
    return f"`{value}`"


# ---------------------------------------------------------------------------- commands


def parameters_of(command: str) -> list[click.Parameter]:
    """The arguments and options of a command that are its own; of ``global``, those that every command has.

    ``audit.log`` is the command ``log`` below ``audit``.

    ``--help`` is left out: click adds it late, and how it is called depends on what ran before.
    """
    from teachkit.cli.app import cli

    context = click.Context(cli)
    if command == "global":
        return [p for p in cli.get_params(context) if "--help" not in p.opts]
    name, _, below = command.partition(".")
    found = cli.get_command(context, name)
    if below and isinstance(found, click.Group):
        found = found.commands[below]
    if found is None:
        raise KeyError(command)
    common = {p.name for p in cli._common}
    return [p for p in found.get_params(context) if p.name not in common and "--help" not in p.opts]


def _options(name: str) -> list[tuple[str, ...]]:
    shown = [_option(p) for p in parameters_of(name)]
    return [*shown, ("`--help`, `-h`", "Show the options of a command and exit.")] if name == "global" else shown


def names_of(command: str) -> list[str]:
    """What ``parameters_of`` calls a command: of a group, each command below it."""
    from teachkit.cli.app import cli

    found = cli.get_command(click.Context(cli), command)
    return [f"{command}.{below}" for below in found.commands] if isinstance(found, click.Group) else [command]


def _option(found: click.Parameter) -> tuple[str, ...]:
    if isinstance(found, click.Argument) and isinstance(found.type, click.Choice):
        return (_value(found),)
    if isinstance(found, click.Argument):
        return (f"`{found.make_metavar(click.Context(click.Command('x')))}`",)
    if not isinstance(found, click.Option):
        raise TypeError(found)
    both = [*found.opts, *(name for name in found.secondary_opts if name.startswith("-"))]
    names = ", ".join(f"`{name}`" for name in both)
    value = "" if found.is_flag else f" {_value(found)}"
    said = found.help or ""
    if found.show_default and found.default is not None:
        said += f" Default: {found.default}."
    if found.multiple:
        said += " May be given several times."
    if found.show_envvar and found.envvar:
        said += f" Environment variable: `{found.envvar}`."
    return names + value, said.replace("|", r"\|")


def _value(found: click.Parameter) -> str:
    if isinstance(found.type, click.Choice):
        return " or ".join(f"`{choice}`" for choice in found.type.choices)
    if isinstance(found.type, click.IntRange):
        return "N"
    return found.metavar or found.type.name.upper()


# ---------------------------------------------------------------------------- errors


_ERRORS = {"": "teachkit.errors", "llm.": "teachkit.llm.errors"}  # prefix of a group -> module


def error_classes() -> list[type[TeachkitError]]:
    """All errors with a slug of their own, in the order of their files."""
    modules = list(_ERRORS.values())
    for module in modules:
        importlib.import_module(module)
    found, queue = [], [TeachkitError]
    while queue:
        for child in queue.pop(0).__subclasses__():
            queue.append(child)
            if "slug" in child.__dict__ and child.__module__ in modules:
                found.append(child)
    return sorted(found, key=lambda c: (modules.index(c.__module__), inspect.getsourcelines(c)[1]))


def _errors(group: str) -> list[tuple[str, ...]]:
    """Of ``RunError`` those of ``teachkit.errors``, of ``llm.RunError`` those of ``teachkit.llm.errors``."""
    prefix, _, base = group.rpartition(".")
    module, base = _ERRORS[f"{prefix}." if prefix else ""], getattr(errors, base)
    rows: list[tuple[str, ...]] = []
    for error in error_classes():
        if error.__module__ != module or not issubclass(error, base):
            continue
        meaning = (error.__doc__ or "").strip().splitlines()[0]
        said = " ".join(f"{error.what}".split())
        rows.append((f"`{error.slug}`", str(error.exit_code), _prose(meaning), f"{_prose(said)}"))
    return rows


def _prose(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")


# ---------------------------------------------------------------------------- data tests, label models


def _checks(group: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name in registry.names("check"):
        found = registry.load("check", name)
        if (found.kinds == ("label_set",)) == (group == "label_sets"):
            where = ", ".join(k.replace("_", " ") for k in found.kinds)
            meaning = _prose(" ".join((found.__doc__ or "").split()))
            rows.append((f"`{name}`", where, _arguments(found.Arguments), meaning))
    return rows


def _arguments(model: type[BaseModel]) -> str:
    said = []
    for key, field in model.model_fields.items():
        value = default(field)
        said.append(f"`{field.alias or key}` ({_words(field.annotation)}{'; ' + value if value else ''})")
    if model.model_config.get("extra") == "allow":
        said.append("each label: `[low, high]`")
    return "; ".join(said) or "none"


def _parameters(name: str) -> list[tuple[str, ...]]:
    found = registry.load("label_model", name)
    signature = inspect.signature(found.__init__)
    return [
        (f"`{p.name}`", f"`{p.default!r}`") for p in signature.parameters.values() if p.name not in ("self", "threads")
    ]


_MAKERS: dict[str, Callable[[str], list[tuple[str, ...]]]] = {
    "keys": _keys,
    "options": _options,
    "errors": _errors,
    "checks": _checks,
    "parameters": _parameters,
}
_HEADS: dict[str, tuple[str, ...]] = {
    "keys": ("key", "type", "default", "meaning"),
    "options": ("option", "meaning"),
    "errors": ("slug", "exit code", "meaning", "what it says"),
    "checks": ("test", "for", "arguments", "passes if"),
    "parameters": ("parameter", "default", "meaning"),
}
