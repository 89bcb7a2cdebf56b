"""Whether running a statement of a module may do more than bind a name."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from teachkit.graph.python.names import Function, chain, dotted, prefixes

if TYPE_CHECKING:
    from teachkit.graph.python.modules import Module, ModuleFinder


_PURE_CALLS = frozenset(
    {
        "abs",
        "all",
        "any",
        "bool",
        "bytes",
        "chr",
        "complex",
        "dict",
        "enumerate",
        "float",
        "frozenset",
        "int",
        "iter",
        "len",
        "list",
        "max",
        "min",
        "object",
        "ord",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
    }
)

_PURE_METHODS = frozenset(
    {
        "capitalize",
        "casefold",
        "copy",
        "decode",
        "difference",
        "encode",
        "endswith",
        "format",
        "intersection",
        "items",
        "join",
        "keys",
        "lower",
        "lstrip",
        "replace",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "title",
        "union",
        "upper",
        "values",
    }
)

_PURE_DECORATORS = frozenset(
    {
        "abc.abstractmethod",
        "abstractmethod",
        "cache",
        "cached_property",
        "classmethod",
        "contextlib.contextmanager",
        "contextmanager",
        "dataclass",
        "dataclasses.dataclass",
        "final",
        "functools.cache",
        "functools.cached_property",
        "functools.lru_cache",
        "functools.total_ordering",
        "lru_cache",
        "property",
        "staticmethod",
        "total_ordering",
        "typing.final",
    }
)


def acts(statement: ast.stmt, module: Module, finder: ModuleFinder) -> bool:
    """Whether running a statement on import may do more than bind its own names."""
    match statement:
        case ast.Import():
            return False
        case ast.ImportFrom():
            return statement.names[0].name == "*"
        case ast.Assign(targets=targets, value=value):
            return not (all(_is_plain_target(t) for t in targets) and _is_pure(value, module, finder))
        case ast.AnnAssign(target=target, value=value):
            return not (_is_plain_target(target) and (value is None or _is_pure(value, module, finder)))
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return not _is_pure_function(statement, module, finder)
        case ast.ClassDef():
            return not _is_pure_class(statement, module, finder)
    return type(statement).__name__ != "TypeAlias"


def does_nothing(statement: ast.stmt) -> bool:
    """Whether a statement of a module has no meaning: a docstring, what only type checkers or scripts run."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If) and not statement.orelse:
        test = statement.test
        if dotted(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return True
        return isinstance(test, ast.Compare) and ast.unparse(test) in (
            "__name__ == '__main__'",
            "'__main__' == __name__",
        )
    return isinstance(statement, ast.Pass | ast.Global)


def _is_plain_target(target: ast.expr) -> bool:
    if isinstance(target, ast.Starred):
        return _is_plain_target(target.value)
    if isinstance(target, ast.Tuple | ast.List):
        return all(_is_plain_target(element) for element in target.elts)
    return isinstance(target, ast.Name)


def _is_pure_function(node: Function, module: Module, finder: ModuleFinder) -> bool:
    defaults = (*node.args.defaults, *(d for d in node.args.kw_defaults if d))
    return all(_is_pure_decorator(d) for d in node.decorator_list) and all(
        _is_pure(d, module, finder) for d in defaults
    )


def _is_pure_decorator(decorator: ast.expr) -> bool:
    name = dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) or ""
    return name in _PURE_DECORATORS or name.endswith((".setter", ".getter", ".deleter"))


def _is_pure_class(node: ast.ClassDef, module: Module, finder: ModuleFinder) -> bool:
    """Not if it may register itself: by a decorator, a metaclass, or a base class of the project."""
    if node.keywords or not all(_is_pure_decorator(d) for d in node.decorator_list):
        return False
    if any(not _is_foreign(base, module, finder) for base in node.bases):
        return False
    return all(
        (isinstance(s, ast.Expr | ast.Pass) and does_nothing(s)) or not acts(s, module, finder) for s in node.body
    )


def _is_foreign(node: ast.AST, module: Module, finder: ModuleFinder) -> bool:
    """Whether an expression is a builtin or comes from a module that is not the project's."""
    if isinstance(node, ast.Subscript):
        return _is_foreign(node.value, module, finder)
    name, _ = chain(node)
    if name is None:
        return False
    if name not in module.bindings:
        return True
    statement = module.binding(name)
    if isinstance(statement, ast.Import):
        return not any(finder.absolute(prefix) for prefix in prefixes(statement.names[0].name))
    if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
        names = (*prefixes(statement.module), f"{statement.module}.{statement.names[0].name}")
        return not any(finder.absolute(name) for name in names)
    return False


def _is_pure(expression: ast.expr, module: Module, finder: ModuleFinder) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Call) and not _is_pure_call(node, module, finder):
            return False
    return True


def _is_pure_call(call: ast.Call, module: Module, finder: ModuleFinder) -> bool:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in _PURE_METHODS:
        return True
    name = dotted(function)
    if isinstance(function, ast.Name) and function.id not in module.bindings:
        return function.id in _PURE_CALLS
    if name and name.startswith("re.") and _is_foreign(function, module, finder):
        return True
    if name is None:
        return isinstance(function, ast.Attribute) and not _touches_own_names(call, module, finder)
    # A foreign call may change what it is given (heapq.heappush(LIST, 3)), but not what it does not see.
    return _is_foreign(function, module, finder) and not _touches_own_names(call, module, finder)


def _touches_own_names(call: ast.Call, module: Module, finder: ModuleFinder) -> bool:
    names = [n for n in ast.walk(call) if isinstance(n, ast.Name) and n.id in module.bindings]
    return any(not _is_foreign(name, module, finder) for name in names)
