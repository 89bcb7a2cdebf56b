"""The project's own Python files, parsed: statements without what has no meaning, and what each binds."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from teachkit.errors import BadPython, Where
from teachkit.graph.python.effects import acts, does_nothing
from teachkit.graph.python.names import Function, bound_names, dotted, mentioned

Modules = Callable[[str], tuple[str, str] | None]

_TRICKS = frozenset(
    {
        "__annotations__",
        "__builtins__",
        "__code__",
        "__dict__",
        "__doc__",
        "__import__",
        "__subclasses__",
        "_getframe",
        "builtins",
        "compile",
        "dir",
        "eval",
        "exec",
        "get_type_hints",
        "globals",
        "import_module",
        "importlib",
        "inspect",
        "locals",
        "runpy",
        "vars",
    }
)

_PLACES = frozenset({"__file__", "__name__", "__spec__", "__package__", "__path__"})


def parse_python(path: str, text: str) -> ast.Module:
    """Parse a file's text.

    Raises:
        BadPython: with line and column, if it is not valid Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"), path)
    except SyntaxError as error:
        advice = "correct the line; 'python -m py_compile' shows it as well"
        raise BadPython(
            Where(path, error.lineno, error.offset), problem=f"this is not valid Python: {error.msg}", advice=advice
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadPython(
            Where(path, 1), problem=f"Python cannot parse this file: {error}", advice="simplify the file"
        ) from error


def is_marker(decorator: ast.expr, markers: frozenset[str]) -> bool:
    """Whether an expression is ``labeling_function``, called or not, under one of its names in the file."""
    return dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) in markers


def marker_names(tree: ast.Module) -> frozenset[str]:
    """The names, dotted if need be, that ``teachkit.labeling_function`` has in a file."""
    names = set()
    bound = {name for statement in tree.body for name in bound_names(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "teachkit":
                    root = alias.asname or "teachkit"
                    names |= {f"{root}.labeling_function", f"{root}.labeling.labeling_function"}
        elif isinstance(node, ast.ImportFrom) and node.module in ("teachkit", "teachkit.labeling") and not node.level:
            for alias in node.names:
                if alias.name == "labeling_function":
                    names.add(alias.asname or alias.name)
                elif alias.name == "labeling":
                    names.add(f"{alias.asname or alias.name}.labeling_function")
    if "labeling_function" not in bound:
        names.add("labeling_function")
    return frozenset(names)


@dataclass(slots=True, eq=False)
class Module:
    """A parsed file: its statements, what each binds, and which of them do more than bind."""

    path: str
    folder: tuple[str, ...]
    statements: list[ast.stmt]
    bindings: dict[str, list[int]] = field(default_factory=dict)
    effects: set[int] = field(default_factory=set)
    tricky: bool = False
    located: bool = False

    def binding(self, name: str) -> ast.Import | ast.ImportFrom | None:
        """The one import that binds a name, if that is what binds it."""
        places = self.bindings.get(name, [])
        statement = self.statements[places[0]] if len(places) == 1 else None
        return statement if isinstance(statement, ast.Import | ast.ImportFrom) else None


class ModuleFinder:
    """Project-local modules by dotted name, found as the worker finds them: siblings first, then the root."""

    def __init__(self, modules: Modules, path: str, text: str, *, verbatim: bool) -> None:
        self._modules = modules
        self._verbatim = verbatim
        self._parsed: dict[str, Module] = {}
        self._folder = _folder(path)
        self.root = self._module(path, text)

    def absolute(self, name: str) -> Module | None:
        """The module that ``import name`` finds, if it is the project's own."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "teachkit":
            return None
        return self.inside(self._folder, name) or self.inside((), name)

    def inside(self, folder: Sequence[str], name: str) -> Module | None:
        """The module of that name below a folder of the project."""
        found = self._modules(".".join((*folder, name)) if name else ".".join(folder))
        return self._module(*found) if found else None

    def _module(self, path: str, text: str) -> Module:
        if path not in self._parsed:
            self._parsed[path] = self._read(path, text)
        return self._parsed[path]

    def _read(self, path: str, text: str) -> Module:
        tree = parse_python(path, text)
        _strip(tree, marker_names(tree), verbatim=self._verbatim)
        module = Module(path, _folder(path), list(_statements(tree)))
        for index, statement in enumerate(module.statements):
            for name in bound_names(statement):
                module.bindings.setdefault(name, []).append(index)
        module.effects = {i for i, s in enumerate(module.statements) if acts(s, module, self)}
        names = {name for statement in module.statements for name in mentioned(statement)}
        module.tricky = bool(names & _TRICKS) or "sys.modules" in names
        module.located = bool(names & _PLACES)
        return module


def _folder(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[:-1])


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that run on import, one for each imported name."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield ast.Import([alias])
        elif isinstance(statement, ast.ImportFrom):
            if statement.module != "__future__":
                for alias in statement.names:
                    yield ast.ImportFrom(statement.module, [alias], statement.level)
        elif not does_nothing(statement):
            yield statement


def _strip(tree: ast.Module, markers: frozenset[str], *, verbatim: bool) -> None:
    """Remove, in place, what has no meaning: markers, docstrings, annotations that nothing reads."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, in_class = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = [d for d in node.decorator_list if not is_marker(d, markers)]
            if not verbatim:
                _strip_docstring(node)
            in_class = isinstance(node, ast.ClassDef)
        if not verbatim:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list:
                node.returns = None
                arguments = node.args
                extra = [a for a in (arguments.vararg, arguments.kwarg) if a]
                for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra):
                    argument.annotation = None
            elif isinstance(node, ast.AnnAssign) and not in_class:
                node.annotation = None  # type: ignore[assignment]
        stack.extend((child, in_class) for child in ast.iter_child_nodes(node))


def _strip_docstring(node: Function | ast.ClassDef) -> None:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]
