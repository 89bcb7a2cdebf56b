"""The names in Python code: what it binds, what it mentions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def dotted(node: ast.AST) -> str | None:
    """``a.b.c`` as it is written; None for what does not start with a name."""
    root, attributes = chain(node)
    return ".".join((root, *attributes)) if root else None


def chain(node: ast.AST) -> tuple[str | None, tuple[str, ...]]:
    """``a.b.c`` as ``("a", ("b", "c"))``; the name is None for what does not start with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), tuple(reversed(attributes))


def bound_names(node: ast.AST, *, comprehensions: bool = True) -> set[str]:
    """The names that running a statement binds in its own scope (rather too many than too few)."""
    names: set[str] = set()
    stack = [node]
    while stack:
        node = stack.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
                continue
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                names.add(name)
            case ast.alias():
                names.add(node.asname or node.name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Lambda():
                continue
        if comprehensions or not isinstance(node, COMPREHENSIONS):
            stack.extend(ast.iter_child_nodes(node))
    return names


def mentioned(node: ast.AST) -> set[str]:
    names: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            names.add(child.id)
        elif isinstance(child, ast.Attribute):
            # re.compile and friends are no tricks: only a bare compile is
            names |= {child.attr} - {"compile", "eval", "exec", "dir", "vars", "locals", "builtins", "inspect"}
            names.add(dotted(child) or "")
        elif isinstance(child, ast.alias):
            names |= {part for part in child.name.split(".") if part != "compile"}
            names.add("sys.modules" if child.name == "modules" else "")
    return names


def references(root: ast.AST) -> Iterator[tuple[str, tuple[str, ...]] | ast.Import | ast.ImportFrom]:
    """What code mentions that may lie outside of it: dotted names, and its own imports."""
    stack: list[tuple[ast.AST, frozenset[str]]] = [(root, frozenset())]
    while stack:
        node, hidden = stack.pop()
        name, attributes = chain(node)
        if name is not None:
            if name not in hidden:
                yield name, attributes
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, ()) for name in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            inner = hidden | _own_names(node.args, body)
            inner -= {name for part in body for n in ast.walk(part) if isinstance(n, ast.Global) for name in n.names}
            stack.extend((part, inner) for part in body)
            stack.extend((child, hidden) for child in ast.iter_child_nodes(node) if child not in body)
        else:
            stack.extend((child, hidden) for child in ast.iter_child_nodes(node))


def _own_names(arguments: ast.arguments, body: Sequence[ast.AST]) -> frozenset[str]:
    extra = [a for a in (arguments.vararg, arguments.kwarg) if a]
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra)
    stored = {name for part in body for name in bound_names(part, comprehensions=False)}
    return frozenset({a.arg for a in every} | stored)


def prefixes(name: str) -> list[str]:
    """``a``, ``a.b`` and ``a.b.c`` of ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]
