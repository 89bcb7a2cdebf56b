"""JSON Schema as far as answers need it: a check of our own, whatever the provider promises.

A keyword that is not checked here is an error when the schema is made, never a silent gap.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

from teachkit.hashing import canonical_json
from teachkit.llm.errors import BadSchema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Schema = Mapping[str, Any]

ABSTAIN: Final = "ABSTAIN"

_NOTES: Final = frozenset({"title", "description", "default", "examples", "$schema", "$comment"})
_CHECKED: Final = frozenset(
    [
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "anyOf",
    ]
)
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and value == int(value),
}
_SIZES: Final = ("minItems", "maxItems", "minLength", "maxLength")
_KEYWORDS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "type": (lambda value: isinstance(value, str) or _is_texts(value), "a type, or a list of types"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of values"),
    "properties": (lambda value: isinstance(value, dict), "a mapping from names to schemas"),
    "required": (lambda value: value == [] or _is_texts(value), "a list of names"),
    "additionalProperties": (lambda value: isinstance(value, bool), "true or false"),
    "anyOf": (lambda value: isinstance(value, list) and bool(value), "a list of schemas"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    **dict.fromkeys(_SIZES, (lambda value: type(value) is int and value >= 0, "a whole number from 0 on")),
    **dict.fromkeys(("minimum", "maximum"), (_TYPES["number"], "a number")),
}
"""Keyword -> whether it can have a value, and what it can have."""


def label_schema(labels: Sequence[str], *, abstain: bool = True, reason: bool = False, several: bool = False) -> Schema:
    """Return the strict schema of an answer that is one of ``labels`` (``several``: a list of them).

    Properties: ``reason`` first (if asked for: it then informs the label), then ``label`` or ``labels``. With
        ``abstain`` the model may answer ``ABSTAIN``; a list abstains by being ``["ABSTAIN"]``, as an empty one means
        "none of them".
    """
    if abstain and ABSTAIN in labels:
        raise BadSchema(
            problem=f"a label is called {ABSTAIN}", advice="rename the label, or do not let the model abstain"
        )
    if not labels or len(set(labels)) != len(labels):
        raise BadSchema(problem="labels must be there, each once", advice="write every label once")
    alike: dict[str, str] = {_read_as(ABSTAIN): ABSTAIN} if abstain else {}
    for label in labels:
        other = alike.setdefault(_read_as(label), label)
        if other != label:
            problem = f"'{other}' and '{label}' differ in case, white space or the form of letters alone"
            raise BadSchema(problem=problem, advice="rename one: a model reads them as the same answer")
    one = {"type": "string", "enum": [*labels, *([ABSTAIN] if abstain else [])]}
    answer = {"labels": {"type": "array", "items": one}} if several else {"label": one}
    properties = ({"reason": {"type": "string"}} if reason else {}) | answer
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _read_as(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def check_schema(schema: Schema) -> None:
    """Refuse what ``problem`` would not check.

    Raises:
        BadSchema: an unknown keyword, or a value that a keyword cannot have.
    """
    for part in schema_parts(schema):
        if not isinstance(part, dict):
            raise BadSchema(problem="a schema must be an object", advice="write {} for anything")
        if unknown := sorted(set(part) - _CHECKED - _NOTES):
            known = ", ".join(sorted(_CHECKED))
            raise BadSchema(problem=f"'{unknown[0]}' is not checked by teachkit", advice=f"use only: {known}")
        for name, (can_be, wanted) in _KEYWORDS.items():
            if name in part and not can_be(part[name]):
                raise BadSchema(problem=f"{name} must be {wanted}", advice=_written(part[name]))
        kinds = _types(part)
        if bad := [name for name in kinds if name not in _TYPES]:
            raise BadSchema(problem=f"'{bad[0]}' is not a type", advice=f"write one of: {', '.join(_TYPES)}")
        for value in (*part.get("enum", ()), *([part["const"]] if "const" in part else [])):
            if kinds and not any(_TYPES[kind](value) for kind in kinds):
                problem = f"{value!r} is allowed, and is not of type {' or '.join(kinds)}"
                raise BadSchema(problem=problem, advice="write values of that type in enum and const, or another type")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _written(value: Any) -> str:
    """What to do about a value that a keyword cannot have."""
    is_quoted = isinstance(value, str) and value.strip().lstrip("-").replace(".", "", 1).isdigit()
    return f"write {value.strip()}, without quotes" if is_quoted else f"found {value!r}"


def problem(value: Any, schema: Schema) -> str | None:
    """Say how ``value`` breaks ``schema``, or return ``None``. The answer names places, never values."""
    return next(_problems(value, schema, "the answer"), None)


def schema_parts(schema: Any) -> Iterator[Any]:
    """A schema and all within it, whether or not each is one."""
    yield schema
    if isinstance(schema, dict):
        named, forms = schema.get("properties"), schema.get("anyOf")
        within = (*(named.values() if isinstance(named, dict) else ()), *(forms if isinstance(forms, list) else ()))
        for below in (*within, *([schema["items"]] if "items" in schema else [])):
            yield from schema_parts(below)


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _problems(value: Any, schema: Schema, at: str) -> Iterator[str]:
    kinds = _types(schema)
    if kinds and not any(_TYPES[kind](value) for kind in kinds):
        yield f"{at} is not of type {' or '.join(kinds)}"
    if "enum" in schema and not _among(value, schema["enum"]):
        yield f"{at} is none of the {len(schema['enum'])} values that are allowed"
    if "const" in schema and not _among(value, [schema["const"]]):
        yield f"{at} is not the one value that is allowed"
    if "anyOf" in schema and all(problem(value, each) for each in schema["anyOf"]):
        yield f"{at} fits none of the {len(schema['anyOf'])} forms that are allowed"
    if isinstance(value, dict):
        yield from _object_problems(value, schema, at)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, at)
    elif isinstance(value, str):
        yield from _range_problems(len(value), schema, at, "minLength", "maxLength")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _range_problems(value, schema, at, "minimum", "maximum")


def _object_problems(value: dict[str, Any], schema: Schema, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at} lacks '{name}'"
    if schema.get("additionalProperties", True) is False and set(value) - set(known):
        yield f"{at} has keys that are not allowed"
    for name, below in known.items():
        if name in value:
            yield from _problems(value[name], below, f"{at}'s '{name}'")


def _list_problems(value: list[Any], schema: Schema, at: str) -> Iterator[str]:
    yield from _range_problems(len(value), schema, at, "minItems", "maxItems")
    if schema.get("uniqueItems") and len({canonical_json(item) for item in value}) != len(value):
        yield f"{at} has an item twice"
    for index, item in enumerate(value):
        yield from _problems(item, schema.get("items", {}), f"{at}[{index}]")


def _range_problems(size: float, schema: Schema, at: str, least: str, most: str) -> Iterator[str]:
    if least in schema and size < schema[least]:
        yield f"{at} is below {least} {schema[least]}"
    if most in schema and size > schema[most]:
        yield f"{at} is above {most} {schema[most]}"


def _among(value: Any, allowed: Iterable[Any]) -> bool:
    """Equality of JSON: ``true`` is not 1, and 1.0 is."""
    if isinstance(value, str):
        return any(isinstance(each, str) and each == value for each in allowed)
    return any((type(value) is type(each) and value == each) or _number(value, each) for each in allowed)


def _number(a: Any, b: Any) -> bool:
    is_number = _TYPES["number"]
    return is_number(a) and is_number(b) and bool(a == b)
