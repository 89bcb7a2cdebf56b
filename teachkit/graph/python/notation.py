"""A syntax tree as text of our own, not ``ast.dump``: Python 3.11, 3.12 and 3.13 write the same."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SILENT = frozenset({"ctx", "kind", "type_comment", "simple", "type_ignores"})


def write(root: ast.AST) -> str:
    """A syntax tree as text: equal exactly for equal trees, whichever Python parsed them."""
    out: list[str] = []
    stack: list[object] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, ast.Constant):
            out.append(_constant(item.value))
        elif isinstance(item, list):
            stack += ["]", *(part for element in reversed(item) for part in (_value(element), " ")), "["]
        elif isinstance(item, ast.AST):
            name, fields = _fields(item)
            stack.append(")")
            for key, value in reversed(fields):
                stack += [_value(value), f" {key}="]
            stack.append(f"({name}")
    return "".join(out)


def _value(value: object) -> object:
    return value if isinstance(value, ast.AST | list) else json.dumps(value)


def _fields(node: ast.AST) -> tuple[str, list[tuple[str, object]]]:
    name = type(node).__name__
    fields = [(k, v) for k, v in ast.iter_fields(node) if k not in _SILENT and v is not None and v != []]
    if isinstance(node, ast.JoinedStr):
        return name, [("values", _joined(node.values))]
    if (
        isinstance(node, ast.FormattedValue)
        and isinstance(node.format_spec, ast.JoinedStr)
        and not _joined(node.format_spec.values)
    ):
        fields = [(k, v) for k, v in fields if k != "format_spec"]
    if isinstance(node, ast.AnnAssign) and "annotation" not in dict(fields) and node.value is not None:
        return "Assign", [("targets", [node.target]), ("value", node.value)]
    return name, fields


def _joined(values: Sequence[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring texts put together: Python versions cut them differently."""
    parts: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            last = parts[-1] if parts else None
            if not value.value:
                continue
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                parts[-1] = ast.Constant(last.value + value.value)
                continue
        parts.append(value)
    return parts


def _constant(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool) or value is None or value is Ellipsis:
        return repr(value)
    if isinstance(value, int):
        return f"int:{value:x}"
    if isinstance(value, float):
        return f"float:{value.hex()}"
    if isinstance(value, complex):
        return f"complex:{value.real.hex()},{value.imag.hex()}"
    return repr(value)
