"""The ground of all models of files: unknown keys are errors; names, words, counts."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Said = Annotated[str, StringConstraints(pattern=r"\S")]
"""A text that says something: an empty one would count as none."""
Severity = Literal["error", "warn"]
Abstain = Literal["informative", "at_random"]


def _as_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _as_list(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)  # config(tags=('a', 'b'))
    return [value] if isinstance(value, str) else value


def _not_empty(value: list[str]) -> list[str]:
    if any(not word.strip() for word in value):
        raise ValueError("an empty word would match every row")
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        for name, below in value.items():
            _as_json(name)
            _as_json(below)
    elif isinstance(value, list | tuple):
        for below in value:
            _as_json(below)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no finite number: JSON has no other")
    elif not isinstance(value, str | int | float | None):
        kind = type(value).__name__
        raise ValueError(f"JSON has no {kind}: put it in quotes if it is meant as text")
    return value


Words = Annotated[list[str], BeforeValidator(_as_list), AfterValidator(_not_empty)]
Strings = Annotated[list[str], BeforeValidator(_as_list)]
Count = Annotated[int, BeforeValidator(_as_number)]
"""A number that may come out of a template, where all is text."""
Json = Annotated[Any, AfterValidator(_as_json)]
"""A value that is passed on, or that digests are made of."""
TestSpec = str | dict[str, Any]


class Model(BaseModel):
    """Common to all: unknown keys are errors, values are not coerced from other types silently."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )
