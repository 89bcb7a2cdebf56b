"""``@labeling_function``: marks a Python function as a voter and leaves it a plain function.

A build never runs this decorator to learn about a function; ``teachkit.graph.python`` reads it from
the source text. So its arguments must be literals, and this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class LabelingFunction:
    """What a decorated function carries as ``function.labeling_function``."""

    label: str | None = None
    batch: bool = False
    tags: tuple[str, ...] = ()
    timeout: float | None = None
    memo: bool = False
    name: str | None = None
    description: str | None = None


@overload
def labeling_function(fn: Function, /) -> Function: ...


@overload
def labeling_function(
    fn: None = None,
    /,
    *,
    label: str | None = None,
    batch: bool = False,
    tags: Sequence[str] = (),
    timeout: float | None = None,
    memo: bool = False,
    name: str | None = None,
    description: str | None = None,
) -> Callable[[Function], Function]: ...


def labeling_function(
    fn: Function | None = None,
    /,
    *,
    label: str | None = None,
    batch: bool = False,
    tags: Sequence[str] = (),
    timeout: float | None = None,
    memo: bool = False,
    name: str | None = None,
    description: str | None = None,
) -> Function | Callable[[Function], Function]:
    """Mark a function as a labeling function of the task whose folder its file lies in.

    The function's parameters name the columns that it reads; a parameter with a default is a constant. It is
    called once for each row with Python values (NULL is ``None``) and returns a label, ``True`` for
    ``label``, or ``None`` or ``False`` to abstain. The function itself is returned unchanged, so tests can
    call it.

    Args:
        fn: The function, when the decorator is written without parentheses.
        label: The label that ``True`` stands for.
        batch: Call it with whole Arrow arrays instead; it returns one label, bool or None for each row.
        tags: Names to select it by.
        timeout: Seconds that a batch of rows may take; the project's ``python_timeout`` if not given.
        memo: Keep its answers for each distinct input: for functions that are expensive.
        name: The voter's name, if it is not to be the function's.
        description: One line for people; the docstring's first line if not given.
    """
    marked = LabelingFunction(label, batch, tuple(tags), timeout, memo, name, description)

    def mark(function: Function) -> Function:
        function.labeling_function = marked  # type: ignore[attr-defined]
        return function

    return mark if fn is None else mark(fn)
