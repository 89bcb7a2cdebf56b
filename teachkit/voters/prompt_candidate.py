"""What a template that a model wrote may do: what the template that it is to replace does, and no more.

The model saw the text of rows, and somebody may have written a row for it. So a candidate reads no other column, no
file, nothing of the project that the original does not read; and it shows an item as it is, since
``{{ item.text[1:-1] }}`` would let the next row out of its quotes. All that is known from the templates' syntax alone,
before anything of them is run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from teachkit.errors import Where, listing
from teachkit.graph.names import fold
from teachkit.voters.prompt_template import items_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.graph.node import PromptSpec
    from teachkit.project import Templates

ALWAYS = frozenset({"item", "task", "examples", "questions"})
"""What every template of a prompt is given."""

_FILES = re.compile(r"\{%[-+]?\s*(?:include|import|from|extends)\b")


def names_allowed(original: PromptSpec, templates: Templates) -> frozenset[str]:
    """The names that a candidate may use."""
    return ALWAYS | _names(_trees((original.system, original.user), templates))


def too_much(texts: Sequence[str], original: PromptSpec, templates: Templates) -> str | None:
    """What two templates do that the original does not; None if there is nothing.

    Raises:
        TeachkitError: they are no templates.
    """
    if any(_FILES.search(text) for text in texts):
        return "it takes in another file: write all of the text out"
    trees = list(_trees(texts, templates))
    shown = {fold(name) for _, name in _items(trees)}
    if more := sorted(shown - set(original.columns)):
        return f"it shows item.{more[0]}; it may show of an item: {listing(original.columns)}"
    if original.columns and not shown:
        return f"it does not show the item: write {{{{ item.{original.columns[0]} }}}}"
    allowed = names_allowed(original, templates)
    if more := sorted(_names(trees) - allowed):
        return f"it uses '{more[0]}'; it may use: {listing(sorted(allowed))}"
    changed = next(_changed(trees), None)
    if changed is not None and not any(_changed(list(_trees((original.system, original.user), templates)))):
        return f"it does something with item.{changed}: write {{{{ item.{changed} }}}} as it is"
    return None


def _trees(texts: Sequence[str], templates: Templates) -> Iterator[Any]:
    return (templates.parsed(text, Where("the candidate", 1)) for text in texts)


def _names(trees: Iterator[Any] | Sequence[Any]) -> frozenset[str]:
    from jinja2.meta import find_undeclared_variables

    return frozenset(name for tree in trees for name in find_undeclared_variables(tree))


def _items(trees: Sequence[Any]) -> Iterator[tuple[Any, str]]:
    return (found for tree in trees for found in items_named(tree))


def _changed(trees: Sequence[Any]) -> Iterator[str]:
    """The columns of items that are not simply written out, or looked at in a condition."""
    from jinja2 import nodes

    found = (nodes.Getattr, nodes.Getitem)
    fine: set[int] = set()
    for tree in trees:
        for output in tree.find_all(nodes.Output):
            fine |= {id(node) for node in output.nodes}
        for condition in tree.find_all((nodes.If, nodes.CondExpr)):
            fine |= {id(node) for node in (condition.test, *condition.test.find_all(found))}
        for block in tree.find_all((nodes.FilterBlock, nodes.AssignBlock, nodes.CallBlock, nodes.Macro)):
            fine -= {id(node) for node in block.find_all(found)}
    return (name for node, name in _items(trees) if id(node) not in fine)
