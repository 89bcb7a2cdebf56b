"""What a template that a model wrote may do: what the template that it is to replace does, and no more.

The model saw the text of rows, and somebody may have written a row for it. So a candidate reads no other column, no
file, nothing of the project that the original does not read; and it shows an item as it is, since
``{{ item.text[1:-1] }}`` would let the next row out of its quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from teachkit.errors import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.graph.node import PromptSpec
    from teachkit.project import Templates

ALWAYS = frozenset({"item", "task", "examples", "questions"})
"""What every template of a prompt is given."""

_INCLUDE = re.compile(r"\{%[-+]?\s*(?:include|import|from|extends)\b")


def names_allowed(original: PromptSpec, templates: Templates) -> frozenset[str]:
    """The names that a candidate may use."""
    return ALWAYS | {name for tree in _trees(original, templates) for name in _names(tree)}


def too_much(candidate: PromptSpec, original: PromptSpec, templates: Templates) -> str | None:
    """What a compiled candidate does that the original does not; None if there is nothing."""
    if more := sorted(set(candidate.columns) - set(original.columns)):
        return f"it shows item.{more[0]}; it may show of an item: {listing(original.columns)}"
    if original.columns and not candidate.columns:
        return f"it does not show the item: write {{{{ item.{original.columns[0]} }}}}"
    allowed = names_allowed(original, templates)
    if more := sorted({name for tree in _trees(candidate, templates) for name in _names(tree)} - allowed):
        return f"it uses '{more[0]}'; it may use: {listing(sorted(allowed))}"
    if any(_changes_items(tree) for tree in _trees(original, templates)):
        return None
    changed = next((name for tree in _trees(candidate, templates) for name in _changes_items(tree)), None)
    if changed is not None:
        return f"it does something with item.{changed}: write {{{{ item.{changed} }}}} as it is"
    return None


def reads_files(text: str) -> bool:
    """Whether a template takes in another file."""
    return _INCLUDE.search(text) is not None


def _trees(spec: PromptSpec, templates: Templates) -> Iterator[Any]:
    yield templates.parsed(spec.system, spec.system_where)
    yield templates.parsed(spec.user, spec.user_where)


def _names(tree: Any) -> set[str]:
    from jinja2.meta import find_undeclared_variables

    return find_undeclared_variables(tree)


def _changes_items(tree: Any) -> list[str]:
    """The columns of items that are not simply written out, or compared in a condition."""
    from jinja2 import nodes

    fine: set[int] = set()
    for output in tree.find_all(nodes.Output):
        fine |= {id(node) for node in output.nodes}
    for condition in tree.find_all((nodes.If, nodes.CondExpr)):
        fine |= {id(node) for node in (condition.test, *condition.test.find_all((nodes.Getattr, nodes.Getitem)))}
    for block in tree.find_all((nodes.FilterBlock, nodes.AssignBlock, nodes.CallBlock, nodes.Macro)):
        fine -= {id(node) for node in block.find_all((nodes.Getattr, nodes.Getitem))}
    return [
        str(node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", ""))
        for node in tree.find_all((nodes.Getattr, nodes.Getitem))
        if isinstance(node.node, nodes.Name) and node.node.name == "item" and id(node) not in fine
    ]
