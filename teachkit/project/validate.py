"""From plain YAML values to a validated model, with every mistake placed in its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from teachkit.errors import BadValue, MissingKey, ProjectErrors, TeachkitError, UnknownKey, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.project.yaml_file import YamlFile

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], file: YamlFile) -> M:
    """Return the file's content as ``model``.

    Raises:
        ProjectErrors: every mistake of the file at once, each with line and column.
    """
    value = file.value if file.value is not None else {}
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ProjectErrors(_unique([_place(issue, model, file) for issue in error.errors()])) from error


def _unique(errors: list[TeachkitError]) -> list[TeachkitError]:
    return list({str(error): error for error in errors}.values())


def _place(issue: Any, model: type[BaseModel], file: YamlFile) -> TeachkitError:
    path = _yaml_path(issue["loc"], file.value)
    key = str(path[-1]) if path else "the file"
    owner = _owner(path[:-1], file)
    match issue["type"]:
        case "extra_forbidden":
            known = _known_keys(model, issue["loc"][:-1])
            return UnknownKey(
                file.where(path, key=True),
                key=key,
                owner=owner,
                known=listing(known, 30),
                hint=did_you_mean(key, known),
            )
        case "missing":
            return MissingKey(file.where(path[:-1]), key=issue["loc"][-1], owner=owner)
        case "value_error":
            problem = str(issue["ctx"]["error"])
            return BadValue(file.where(path), key=key, problem=problem, advice="")
        case "literal_error":
            return BadValue(
                file.where(path),
                key=key,
                problem=f"{issue['input']!r} is not allowed",
                advice=f"write one of: {issue['ctx']['expected']}.{did_you_mean(str(issue['input']), _literals(issue))}",
            )
        case "string_pattern_mismatch":
            advice = f"it must match {issue['ctx']['pattern']}"
            return BadValue(file.where(path), key=key, problem=f"{issue['input']!r} is not allowed", advice=advice)
        case "model_type" | "dict_type":
            problem, advice = (
                f"found {_kind(issue['input'])}, not keys with values",
                "write 'key: value' lines below it",
            )
        case "list_type":
            problem, advice = (
                f"found {_kind(issue['input'])}, not a list",
                "write a list: [a, b], or lines that start with '- '",
            )
        case "string_type":
            problem, advice = f"found {_kind(issue['input'])}, not text", f"put it in quotes: '{issue['input']}'"
        case _:
            problem, advice = f"{issue['msg'][0].lower()}{issue['msg'][1:]} (found {_kind(issue['input'])})", ""
    return BadValue(file.where(path), key=key, problem=problem, advice=advice)


def _literals(issue: Any) -> list[str]:
    return [word.strip(" '") for word in str(issue["ctx"]["expected"]).replace(" or ", ",").split(",")]


def _kind(value: object) -> str:
    names = {
        dict: "keys with values",
        list: "a list",
        str: "text",
        int: "a number",
        float: "a number",
        bool: "true/false",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)


def _yaml_path(loc: Sequence[str | int], value: Any) -> tuple[str | int, ...]:
    """Drop from pydantic's path the names of union members, which stand in no file."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(value, dict) and (step in value or last):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif not last or isinstance(value, dict):
            continue
        else:
            continue
        path.append(step)
    return tuple(path)


def _owner(path: Sequence[str | int], file: YamlFile) -> str:
    if not path:
        return "this file"
    value: Any = file.value
    for step in path:
        value = value[step] if isinstance(value, dict | list) else None
    name = value.get("name") if isinstance(value, dict) else None
    noun = next((str(step) for step in reversed(path) if isinstance(step, str)), "entry")
    return f"{noun} '{name}'" if name else f"'{noun}'"


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """The keys allowed at ``loc``: walk the models along the path."""
    current: list[type[BaseModel]] = [model]
    for step in loc:
        if isinstance(step, int):
            continue
        named = [m for m in current if m.__name__ == step]
        if named:
            current = named
            continue
        found = [
            inner
            for m in current
            if step in m.model_fields
            for inner in _models_in(m.model_fields[str(step)].annotation)
        ]
        current = found or current
    return sorted({name for m in current for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in _models_in(inner)]
