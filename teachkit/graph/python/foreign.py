"""What looks like teachkit's in a Python file and is not: such functions would be no voters, without a word."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from typing import TYPE_CHECKING

from teachkit.errors import BadPython, Where, did_you_mean
from teachkit.graph.python.modules import is_marker
from teachkit.graph.python.names import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PUBLIC = ("Project", "__version__", "labeling_function")
"""What ``teachkit`` itself offers, beside its modules."""


def foreign(path: str, tree: ast.Module, markers: frozenset[str]) -> Iterator[BadPython]:
    """Names that teachkit does not have, and labeling functions of another package."""
    origins = _origins(tree)
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "teachkit" and not statement.level:
            for alias in statement.names:
                yield from _not_there(path, alias, alias.name)
    for made, decorates in _made(tree, markers):
        name = dotted(made) or ""
        root, _, rest = name.partition(".")
        origin = f"{origins.get(root, root)}.{rest}".rstrip(".")
        if origins.get(root) == "teachkit":
            yield from _not_there(path, made, rest.partition(".")[0])
        elif _looks_like_ours(origin) and (decorates or origin.startswith("snorkel.")):
            advice = "write 'from teachkit import labeling_function'; return names of labels, or None to abstain"
            yield BadPython(_at(path, made), problem=f"'{name}' is not teachkit's labeling_function", advice=advice)


def _origins(tree: ast.Module) -> Mapping[str, str]:
    """Where the names come from that the file imports: ``lf`` -> ``snorkel.labeling.labeling_function``."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module or ''}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.asname: a.name for a in node.names if a.asname}
            found |= {top: top for a in node.names if not a.asname for top in [a.name.partition(".")[0]]}
    return found


def _made(tree: ast.Module, markers: frozenset[str]) -> Iterator[tuple[ast.expr, bool]]:
    """Decorators of functions that have none of ours (True), and what is called (False)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not any(is_marker(d, markers) for d in node.decorator_list):
                yield from ((d.func if isinstance(d, ast.Call) else d, True) for d in node.decorator_list)
        elif isinstance(node, ast.Call):
            yield node.func, False


def _looks_like_ours(origin: str) -> bool:
    """``labeling_function``, ``nlp_labeling_function``, ``LabelingFunction``."""
    return origin.rpartition(".")[2].replace("_", "").lower().endswith("labelingfunction")


def _not_there(path: str, node: ast.alias | ast.expr, name: str) -> Iterator[BadPython]:
    """A name of teachkit that is neither public nor a module."""
    if not name or name == "*" or name in PUBLIC or find_spec(f"teachkit.{name}") is not None:
        return
    advice = f"write 'from teachkit import labeling_function'.{did_you_mean(name, PUBLIC)}"
    yield BadPython(_at(path, node), problem=f"teachkit has no '{name}'", advice=advice)


def _at(path: str, node: ast.alias | ast.expr) -> Where:
    end = node.end_col_offset if node.end_lineno == node.lineno else None
    return Where(path, node.lineno, node.col_offset + 1, end + 1 if end is not None else None)
