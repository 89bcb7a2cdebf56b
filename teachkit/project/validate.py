"""From plain YAML values to a validated model, with every mistake placed in its file."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from teachkit.errors import BadValue, MissingKey, ProjectErrors, TeachkitError, UnknownKey, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.project.yaml_file import YamlFile

M = TypeVar("M", bound=BaseModel)
Step = str | int


def validate(model: type[M], file: YamlFile, *, owner: str = "this file") -> M:
    """Return the file's content as ``model``; ``owner`` is what its outermost keys are said to belong to.

    Raises:
        ProjectErrors: every mistake of the file at once, each with line and column.
    """
    value = file.value if file.value is not None else {}
    try:
        return model.model_validate(value)
    except ValidationError as error:
        issues = _of_best_branches([_issue(e, value) for e in error.errors()])
        errors = {str(e): e for e in (_Reporter(model, file, owner).error(i) for i in issues)}
        raise ProjectErrors(list(_without_echoes(list(errors.values())))) from error


def _without_echoes(errors: Sequence[TeachkitError]) -> Iterator[TeachkitError]:
    """A key that is missing because it is misspelt is one mistake, not two."""
    meant = {(str(e.facts["owner"]), str(e.facts["hint"])) for e in errors if isinstance(e, UnknownKey)}
    for error in errors:
        hint = f" Did you mean '{error.facts.get('key')}'?"
        if not (isinstance(error, MissingKey) and (str(error.facts["owner"]), hint) in meant):
            yield error


@dataclass(frozen=True, slots=True)
class _Issue:
    """One of pydantic's errors. ``steps`` leads to its place; a step that is true is the name of a union's member.

    ``is_key``: what is wrong is the last step itself, not what stands there.
    """

    details: Any
    steps: tuple[tuple[Step, bool], ...]
    expected: tuple[str, ...] = ()
    is_key: bool = False

    @property
    def path(self) -> tuple[Step, ...]:
        """The steps that stand in the file."""
        return tuple(step for step, is_member in self.steps if not is_member)


def _issue(details: Any, value: Any) -> _Issue:
    """Tell the steps of a path that stand in the file from the names of union members, which stand in no file."""
    steps: list[tuple[Step, bool]] = []
    loc = details["loc"]
    words: tuple[str, ...] = ()
    is_key = bool(loc) and loc[-1] == "[key]"
    loc = (*loc[:-2], details["input"]) if is_key else loc  # pydantic writes the key itself as a text
    if is_key and details["type"] == "literal_error":  # a key that is not among those allowed
        words, details = tuple(_words(details)), {**details, "type": "extra_forbidden"}
    for index, step in enumerate(loc):
        names_missing_key = index == len(loc) - 1 and details["type"] == "missing"
        if isinstance(value, dict) and (step in value or names_missing_key):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            steps.append((step, True))
            continue
        steps.append((step, False))
    return _Issue(details, tuple(steps), words, is_key)


def _of_best_branches(issues: Sequence[_Issue]) -> Iterator[_Issue]:
    """Of the errors of a union's members keep those of the member that was meant."""
    unions: dict[tuple[Any, ...], dict[Step, list[_Issue]]] = {}
    for issue in issues:
        at = next((i for i, (_, is_member) in enumerate(issue.steps) if is_member), None)
        if at is None:
            yield issue
        else:
            members = unions.setdefault(issue.steps[:at], {})
            rest = replace(issue, steps=issue.steps[:at] + issue.steps[at + 1 :])
            members.setdefault(issue.steps[at][0], []).append(rest)
    for place, members in unions.items():
        best = min(members, key=lambda name: _distance(members[name], len(place)))
        if _distance(members[best], len(place))[0]:
            first = members[best][0]
            yield replace(first, expected=tuple(map(str, members)))
        else:
            chosen = list(_of_best_branches(members[best]))
            unknown = any(i.details["type"] == "extra_forbidden" for i in chosen)
            yield from (i for i in chosen if not (unknown and i.details["type"] == "missing"))


def _distance(issues: Sequence[_Issue], depth: int) -> tuple[int, int, int]:
    """How far a value is from one member of a union: of another type, with keys it does not know, with errors."""
    other = any(len(i.steps) == depth and i.details["type"].endswith(("_type", "literal_error")) for i in issues)
    return int(other), sum(i.details["type"] == "extra_forbidden" for i in issues), len(issues)


class _Reporter:
    def __init__(self, model: type[BaseModel], file: YamlFile, outermost: str) -> None:
        self.model = model
        self.file = file
        self.outermost = outermost

    def error(self, issue: _Issue) -> TeachkitError:
        details, path = issue.details, issue.path
        key = str(path[-1]) if path else "the file"
        owner = self._owner(path[:-1])
        if details["type"] == "extra_forbidden":
            known = list(issue.expected) or _known_keys(self.model, path[:-1])
            place = self.file.where(path, key=True)
            return UnknownKey(place, key=key, owner=owner, known=listing(known, 30), hint=did_you_mean(key, known))
        if details["type"] == "missing":
            return MissingKey(self.file.where(path[:-1]), key=key, owner=owner)
        if path and isinstance(path[-1], int):
            key = f"{self._noun(path)}[{path[-1]}]"
        problem, advice = _sentence(details, issue.expected)
        if details["type"] == "string_type" and not issue.is_key and (pattern := self._pattern(path, details["input"])):
            advice = _of_pattern(pattern)
        if issue.is_key:
            key = f"a key of {owner}"
        return BadValue(self.file.where(path, key=issue.is_key), key=key, problem=problem, advice=advice)

    def _pattern(self, path: Sequence[Step], value: object) -> str | None:
        """The pattern that a number would still miss as a text."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not path:
            return None
        changed = deepcopy(self.file.value)
        inner: Any = changed
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = str(value)
        try:
            self.model.model_validate(changed)
        except ValidationError as error:
            issues = (_issue(e, changed) for e in error.errors())
            missed = [i for i in issues if i.path == path and i.details["type"] == "string_pattern_mismatch"]
            return str(missed[0].details["ctx"]["pattern"]) if missed else None
        return None

    def _noun(self, path: Sequence[Step]) -> str:
        return next((str(step) for step in reversed(path) if isinstance(step, str)), "entry")

    def _owner(self, path: Sequence[Step]) -> str:
        if not path:
            return self.outermost
        value: Any = self.file.value
        for step in path:
            value = value[step] if isinstance(value, dict) or isinstance(step, int) else None
        name = value.get("name") if isinstance(value, dict) else None
        noun = self._noun(path)
        if isinstance(path[-1], int):
            noun = noun.removesuffix("s").replace("_", " ")
            return f"{noun} '{name}'" if name else f"a {noun}"
        return f"'{noun}'"


def _sentence(details: Any, expected: Sequence[str]) -> tuple[str, str]:
    """(what is wrong, what to write) of a value."""
    value = details["input"]
    if expected:
        kinds = list(dict.fromkeys(_kind_of_member(name) for name in expected))
        words = " or ".join(kinds).split(" or ")
        advice = _quoted(value) if "text" in kinds else did_you_mean(str(value), words).strip()
        return f"found {_shown(value)}, not {' or '.join(kinds)}", advice
    match details["type"]:
        case "value_error":
            return str(details["ctx"]["error"]), ""
        case "literal_error":
            words = _words(details)
            advice = f"write one of: {', '.join(words)}.{did_you_mean(str(value), words)}"
            return f"{value!r} is not allowed", advice
        case "string_pattern_mismatch":
            return f"{value!r} is not allowed", _of_pattern(details["ctx"]["pattern"])
        case "model_type" | "dict_type":
            return f"found {_kind(value)}, not keys with values", "write 'key: value' lines below it"
        case "list_type":
            return f"found {_kind(value)}, not a list", "write a list: [a, b], or lines that start with '- '"
        case "string_type":
            return f"found {_kind(value)}, not text", _quoted(value)
        case "int_type" | "int_from_float" | "float_type":
            kind = "a number" if details["type"] == "float_type" else "a whole number"
            return f"found {_shown(value)}, not {kind}", _as_number(value, kind)
        case "finite_number":
            return f"{value} is no finite number", "write a number; without a limit, leave the key out"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            bound = next(v for k, v in details["ctx"].items() if k in ("gt", "ge", "lt", "le"))
            side = "small" if details["type"].startswith("greater") else "large"
            return f"{value} is too {side}", f"write {_BOUNDS[details['type']]} {bound:g}"
        case "too_short":
            return f"found {len(value)} entries", f"write {details['ctx']['min_length']} or more"
        case "bool_type":
            return f"found {_kind(value)}, not true or false", "write true or false, without quotes"
    message = details["msg"]
    return f"{message[0].lower()}{message[1:]} (found {_shown(value)})", ""


def _words(details: Any) -> list[str]:
    """The words of a literal that pydantic expected."""
    return [word.strip(" '") for word in details["ctx"]["expected"].replace(" or ", ",").split(",")]


_BOUNDS = {
    "greater_than": "a number above",
    "greater_than_equal": "a number not below",
    "less_than": "a number below",
    "less_than_equal": "a number not above",
}
_PATTERNS = {
    r"\S": "write what is meant, or leave the key out",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "write a name of letters (a-z), digits and _, that does not start with a digit",
    r"^\d+(\.\d+)?\s*%$": "write a share such as 10%",
    r"^\d+ (minute|hour|day|week)s?$": "write a time such as 7 days",
    r"^\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$": "write a size such as 4GB",
}


def _of_pattern(pattern: str) -> str:
    return _PATTERNS.get(pattern, f"it must match {pattern}")


def _as_number(value: object, kind: str) -> str:
    share = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    if share is not None and kind == "a number":
        return f"write a number such as {float(share[1]) / 100:g}"
    return f"write {kind}, without quotes"


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "put it in quotes: YAML reads yes, no, on, off, true and false as true/false"
    return "" if isinstance(value, dict | list) or value is None else f"put it in quotes: '{value}'"


def _kind(value: object) -> str:
    names = {dict: "keys with values", list: "a list", str: "text", int: "a number", float: "a number"}
    if isinstance(value, bool):
        return "true/false"
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _shown(value: object) -> str:
    plain = isinstance(value, int | float | str) and not isinstance(value, bool)
    return repr(value) if plain and len(str(value)) < 40 else _kind(value)


def _kind_of_member(name: str) -> str:
    """What a member of a union is called in pydantic's path, in plain words."""
    if name in ("str", "constrained-str"):
        return "text"
    if name in ("int", "float"):
        return "a number"
    if name == "bool":
        return "true/false"
    if name.startswith("literal"):
        return " or ".join(word.strip("' ") for word in name.removeprefix("literal[").removesuffix("]").split(","))
    return "a list" if name.startswith("list") else "keys with values"


def _known_keys(model: type[BaseModel], path: Sequence[Step]) -> list[str]:
    """The keys allowed at ``path``: walk the models along it."""
    current: list[type[BaseModel]] = [model]
    for step in path:
        found = [
            inner
            for m in current
            if step in m.model_fields
            for inner in _models_in(m.model_fields[str(step)].annotation)
        ]
        current = found or current
    return sorted({field.alias or name for m in current for name, field in m.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in getattr(annotation, "__args__", ()) for m in _models_in(inner)]
