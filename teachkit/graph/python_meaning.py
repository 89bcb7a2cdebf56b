"""What a Python function means: a canonical text of its code and of all project-local code that it can reach.

Nothing is imported or run. A statement of a module is in the text if the function may depend on it:

- it defines a name that reached code mentions (functions, classes, constants, imports, also through other
  modules);
- or running it may do more than bind a name (a loop, ``RULES.append(f)``, ``@register``, a subclass of a
  local class): then it counts for everything that loads the module.

A module that can reach code by other means than names (``globals()``, ``exec``, ``importlib``, ``inspect``
...), that is imported with ``*`` or passed around as a value, counts as a whole. So an unrelated edit may
change the text of a function in such a module, but no edit that could change an answer is missed, with these
limits: data files that the code opens, modules named by computed strings, compiled extensions, and state that
one labeling function leaves behind for another are not seen, and annotations of undecorated functions are
taken to have no effect.

Comments, layout, docstrings and such annotations are not in the text, nor is the order of definitions where
it has no effect. The text is our own notation, not ``ast.dump``, so that Python 3.11, 3.12 and 3.13 write the
same.
"""

from __future__ import annotations

import ast
import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from teachkit.errors import BadPython, Where

Modules = Callable[[str], tuple[str, str] | None]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_Comprehensions = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
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


@dataclass(frozen=True, slots=True)
class Meaning:
    """The canonical text of a function, and the third-party modules that the reached code imports."""

    text: str
    packages: tuple[str, ...]


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


class PythonFile:
    """A file whose functions are asked for their meaning; modules are parsed once for all of them."""

    def __init__(self, path: str, text: str, *, modules: Modules) -> None:
        """Keep what to read.

        Args:
            path: The file, relative to the project, with ``/``.
            text: Its text.
            modules: Gives (path, text) of a project-local module by its dotted name, or None.
        """
        self._source = (modules, path, text)
        self._finders: dict[bool, _Finder] = {}

    def meaning(self, function: str) -> Meaning:
        """What a function of the file's top level means, together with all that it can reach.

        Raises:
            BadPython: if a reached file cannot be parsed.
        """
        closure = _Closure(self._finder(verbatim=False), function)
        if closure.tricky:
            closure = _Closure(self._finder(verbatim=True), function)
        return closure.meaning()

    def meaning_of_all(self) -> Meaning:
        """What the whole file means, together with all that it can reach."""
        closure = _Closure(self._finder(verbatim=False), None)
        if closure.tricky:
            closure = _Closure(self._finder(verbatim=True), None)
        return closure.meaning()

    def _finder(self, *, verbatim: bool) -> _Finder:
        if verbatim not in self._finders:
            self._finders[verbatim] = _Finder(*self._source, verbatim=verbatim)
        return self._finders[verbatim]


def is_marker(decorator: ast.expr, markers: frozenset[str]) -> bool:
    """Whether an expression is ``labeling_function``, called or not, under one of its names in the file."""
    return _dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) in markers


def marker_names(tree: ast.Module) -> frozenset[str]:
    """The names, dotted if need be, that ``teachkit.labeling_function`` has in a file."""
    names = set()
    bound = {name for statement in tree.body for name in _bound_names(statement)}
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


# ---------------------------------------------------------------------------- modules


@dataclass(slots=True, eq=False)
class _Module:
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


class _Finder:
    """Project-local modules by dotted name, found as the worker finds them: siblings first, then the root."""

    def __init__(self, modules: Modules, path: str, text: str, *, verbatim: bool) -> None:
        self._modules = modules
        self._verbatim = verbatim
        self._parsed: dict[str, _Module] = {}
        self._folder = _folder(path)
        self.root = self._module(path, text)

    def absolute(self, name: str) -> _Module | None:
        """The module that ``import name`` finds, if it is the project's own."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == "teachkit":
            return None
        return self.inside(self._folder, name) or self.inside((), name)

    def inside(self, folder: Sequence[str], name: str) -> _Module | None:
        """The module of that name below a folder of the project."""
        found = self._modules(".".join((*folder, name)) if name else ".".join(folder))
        return self._module(*found) if found else None

    def _module(self, path: str, text: str) -> _Module:
        if path not in self._parsed:
            self._parsed[path] = self._read(path, text)
        return self._parsed[path]

    def _read(self, path: str, text: str) -> _Module:
        tree = parse_python(path, text)
        _strip(tree, marker_names(tree), verbatim=self._verbatim)
        module = _Module(path, _folder(path), list(_statements(tree)))
        for index, statement in enumerate(module.statements):
            for name in _bound_names(statement):
                module.bindings.setdefault(name, []).append(index)
        module.effects = {i for i, s in enumerate(module.statements) if _acts(s, module, self)}
        mentioned = {name for statement in module.statements for name in _mentioned(statement)}
        module.tricky = bool(mentioned & _TRICKS) or "sys.modules" in mentioned
        module.located = bool(mentioned & _PLACES)
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
        elif not _does_nothing(statement):
            yield statement


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.If) and not statement.orelse:
        test = statement.test
        if _dotted(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return True
        return isinstance(test, ast.Compare) and ast.unparse(test) in (
            "__name__ == '__main__'",
            "'__main__' == __name__",
        )
    return isinstance(statement, ast.Pass | ast.Global)


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


def _strip_docstring(node: _Function | ast.ClassDef) -> None:
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]


# ---------------------------------------------------------------------------- names


def _dotted(node: ast.AST) -> str | None:
    root, attributes = _chain(node)
    return ".".join((root, *attributes)) if root else None


def _chain(node: ast.AST) -> tuple[str | None, tuple[str, ...]]:
    """``a.b.c`` as ``("a", ("b", "c"))``; the name is None for what does not start with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else None), tuple(reversed(attributes))


def _bound_names(node: ast.AST, *, comprehensions: bool = True) -> set[str]:
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
        if comprehensions or not isinstance(node, _Comprehensions):
            stack.extend(ast.iter_child_nodes(node))
    return names


def _mentioned(node: ast.AST) -> set[str]:
    names: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Name):
            names.add(child.id)
        elif isinstance(child, ast.Attribute):
            # re.compile and friends are no tricks: only a bare compile is
            names |= {child.attr} - {"compile", "eval", "exec", "dir", "vars", "locals", "builtins", "inspect"}
            names.add(_dotted(child) or "")
        elif isinstance(child, ast.alias):
            names |= {part for part in child.name.split(".") if part != "compile"}
            names.add("sys.modules" if child.name == "modules" else "")
    return names


def _references(root: ast.AST) -> Iterator[tuple[str, tuple[str, ...]] | ast.Import | ast.ImportFrom]:
    """What code mentions that may lie outside of it: dotted names, and its own imports."""
    stack: list[tuple[ast.AST, frozenset[str]]] = [(root, frozenset())]
    while stack:
        node, hidden = stack.pop()
        name, attributes = _chain(node)
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
    stored = {name for part in body for name in _bound_names(part, comprehensions=False)}
    return frozenset({a.arg for a in every} | stored)


# ---------------------------------------------------------------------------- effects


def _acts(statement: ast.stmt, module: _Module, finder: _Finder) -> bool:
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


def _is_plain_target(target: ast.expr) -> bool:
    if isinstance(target, ast.Starred):
        return _is_plain_target(target.value)
    if isinstance(target, ast.Tuple | ast.List):
        return all(_is_plain_target(element) for element in target.elts)
    return isinstance(target, ast.Name)


def _is_pure_function(node: _Function, module: _Module, finder: _Finder) -> bool:
    defaults = (*node.args.defaults, *(d for d in node.args.kw_defaults if d))
    return all(_is_pure_decorator(d) for d in node.decorator_list) and all(
        _is_pure(d, module, finder) for d in defaults
    )


def _is_pure_decorator(decorator: ast.expr) -> bool:
    name = _dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) or ""
    return name in _PURE_DECORATORS or name.endswith((".setter", ".getter", ".deleter"))


def _is_pure_class(node: ast.ClassDef, module: _Module, finder: _Finder) -> bool:
    """Not if it may register itself: by a decorator, a metaclass, or a base class of the project."""
    if node.keywords or not all(_is_pure_decorator(d) for d in node.decorator_list):
        return False
    if any(not _is_foreign(base, module, finder) for base in node.bases):
        return False
    return all(
        (isinstance(s, ast.Expr | ast.Pass) and _does_nothing(s)) or not _acts(s, module, finder) for s in node.body
    )


def _is_foreign(node: ast.AST, module: _Module, finder: _Finder) -> bool:
    """Whether an expression is a builtin or comes from a module that is not the project's."""
    if isinstance(node, ast.Subscript):
        return _is_foreign(node.value, module, finder)
    name, _ = _chain(node)
    if name is None:
        return False
    if name not in module.bindings:
        return True
    statement = module.binding(name)
    if isinstance(statement, ast.Import):
        return not any(finder.absolute(prefix) for prefix in _prefixes(statement.names[0].name))
    if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
        names = (*_prefixes(statement.module), f"{statement.module}.{statement.names[0].name}")
        return not any(finder.absolute(name) for name in names)
    return False


def _is_pure(expression: ast.expr, module: _Module, finder: _Finder) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Call) and not _is_pure_call(node, module, finder):
            return False
    return True


def _is_pure_call(call: ast.Call, module: _Module, finder: _Finder) -> bool:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr in _PURE_METHODS:
        return True
    name = _dotted(function)
    if isinstance(function, ast.Name) and function.id not in module.bindings:
        return function.id in _PURE_CALLS
    if name and name.startswith("re.") and _is_foreign(function, module, finder):
        return True
    if name is None:
        return isinstance(function, ast.Attribute) and not _touches_own_names(call, module, finder)
    # A foreign call may change what it is given (heapq.heappush(LIST, 3)), but not what it does not see.
    return _is_foreign(function, module, finder) and not _touches_own_names(call, module, finder)


def _touches_own_names(call: ast.Call, module: _Module, finder: _Finder) -> bool:
    names = [n for n in ast.walk(call) if isinstance(n, ast.Name) and n.id in module.bindings]
    return any(not _is_foreign(name, module, finder) for name in names)


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


# ---------------------------------------------------------------------------- closure


class _Closure:
    """All statements that a function (None: any of the file) reaches, over all modules of the project."""

    def __init__(self, finder: _Finder, name: str | None) -> None:
        self.finder = finder
        self.root = finder.root
        self.function = _definition(self.root, name) if name is not None else None
        self.reached: dict[_Module, set[int]] = {}
        self.packages: set[str] = set()
        self.tricky = False
        self._whole: set[_Module] = set()
        self._followed: set[tuple[object, ...]] = set()
        self._queue: list[tuple[_Module, ast.AST, bool]] = []
        if self.function is not None:
            self._queue.append((self.root, self.function, False))
        self._load(self.root)
        if name is None:
            self._take_all(self.root)
        elif len(self.root.bindings[name]) > 1:
            self._reference(self.root, name, ())  # f = wrap(f): what runs is not the function alone
        while self._queue:
            self._scan(*self._queue.pop())

    def meaning(self) -> Meaning:
        from teachkit.hashing import canonical_json

        sections = {
            self._key(module): self._section(module)
            for module in self.reached
            if self.reached[module] or module.located
        }
        acting = [self._key(module) for module, reached in self.reached.items() if reached & module.effects]
        text = canonical_json(
            {
                "function": _write(self.function) if self.function is not None else None,
                "modules": sections,
                "places": sorted(module.path for module in self.reached if module.located),
                "order": acting if len(acting) > 1 else [],
            }
        )
        return Meaning(text, tuple(sorted(self.packages)))

    def _key(self, module: _Module) -> str:
        return "." if module is self.root else module.path

    def _section(self, module: _Module) -> list[list[str]]:
        """The reached statements: sorted where their order has no effect, else as they stand."""
        reached = sorted(self.reached[module])
        names = {name for index in reached for name in _bound_names(module.statements[index])}
        ordered = bool(module.effects & set(reached)) or any(len(module.bindings[name]) > 1 for name in names)
        free: list[str] = []
        fixed: list[str] = []
        for index in reached:
            statement = module.statements[index]
            loose = not ordered or (index not in module.effects and _is_loose(statement, module))
            (free if loose else fixed).append(_write(statement))
        return [sorted(free), fixed]

    def _scan(self, module: _Module, node: ast.AST, is_import: bool) -> None:
        for found in _references(node):
            if isinstance(found, tuple):
                self._reference(module, *found)
            else:
                self._import(module, found, whole=not is_import)

    def _reference(self, module: _Module, name: str, attributes: tuple[str, ...]) -> None:
        if (module, name, attributes) in self._followed:
            return
        self._followed.add((module, name, attributes))
        for index in module.bindings.get(name, ()):
            self._reach(module, index)
        statement = module.binding(name)
        if isinstance(statement, ast.Import):
            alias = statement.names[0]
            start = alias.name if alias.asname else alias.name.partition(".")[0]
            self._follow(start, attributes, full=alias.name)
        elif isinstance(statement, ast.ImportFrom):
            self._follow_from(module, statement, attributes)

    def _reach(self, module: _Module, index: int) -> None:
        reached = self.reached.setdefault(module, set())
        if index not in reached:
            reached.add(index)
            statement = module.statements[index]
            self._queue.append((module, statement, isinstance(statement, ast.Import | ast.ImportFrom)))

    def _follow(self, name: str, attributes: tuple[str, ...], *, full: str) -> None:
        """What ``name.attributes`` means, where ``import full`` was written."""
        module = self.finder.absolute(name)
        if not attributes:
            for found in (module, self.finder.absolute(full)):
                self._take_all(found)
            return
        first, rest = attributes[0], attributes[1:]
        deeper = self.finder.absolute(f"{name}.{first}")
        if module is not None and first in module.bindings:
            self._load(module)
            self._reference(module, first, rest)
        if deeper is not None or (module is None and f"{full}.".startswith(f"{name}.{first}.")):
            self._follow(f"{name}.{first}", rest, full=full)
        elif module is not None and first not in module.bindings:
            self._take_all(module)

    def _follow_from(self, module: _Module, statement: ast.ImportFrom, attributes: tuple[str, ...]) -> None:
        base, member = self._from(module, statement, statement.names[0].name)
        name = statement.names[0].name
        if base is not None and name in base.bindings:
            self._reference(base, name, attributes)
        elif member is None:
            self._take_all(base)
        if member is not None:
            if attributes and attributes[0] in member.bindings:
                self._reference(member, attributes[0], attributes[1:])
            else:
                self._take_all(member)

    def _from(self, module: _Module, statement: ast.ImportFrom, name: str) -> tuple[_Module | None, _Module | None]:
        """The module that ``from … import name`` names, and the submodule ``name`` of it."""
        if not statement.level:
            base = statement.module or ""
            return self.finder.absolute(base), self.finder.absolute(f"{base}.{name}")
        up = len(module.folder) - (statement.level - 1)
        if up < 0:
            return None, None
        folder = module.folder[:up]
        inner = f"{statement.module}.{name}" if statement.module else name
        return self.finder.inside(folder, statement.module or ""), self.finder.inside(folder, inner)

    def _import(self, module: _Module, statement: ast.Import | ast.ImportFrom, *, whole: bool) -> None:
        """An import that reached code runs: load what it loads, note what is foreign."""
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                found = [self.finder.absolute(prefix) for prefix in _prefixes(alias.name)]
                foreign = alias.name
                if whole:
                    self._take_all(found[-1])
            else:
                base, member = self._from(module, statement, alias.name)
                found = [
                    *(self.finder.absolute(p) for p in _prefixes(statement.module or "") if not statement.level),
                    base,
                    member,
                ]
                foreign = "" if statement.level else statement.module or ""
                if alias.name == "*":
                    self._take_all(base)
                elif whole:
                    self._follow_from(module, ast.ImportFrom(statement.module, [alias], statement.level), ())
            for loaded in found:
                if loaded is not None:
                    self._load(loaded)
            top = foreign.partition(".")[0]
            if top and not any(found) and top not in sys.stdlib_module_names and top != "teachkit":
                self.packages.add(top)

    def _load(self, module: _Module) -> None:
        """Importing a module runs it: its effects count, and those of all that it imports."""
        if module in self.reached:
            return
        self.reached[module] = set()
        for index, statement in enumerate(module.statements):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._load_only(module, statement)
            if index in module.effects:
                self._reach(module, index)
        if module.tricky:
            self.tricky = True
            self._take_all(module)
            for node in (n for s in module.statements for n in ast.walk(s)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_dotted_name(node.value):
                    self._take_all(self.finder.absolute(node.value))

    def _load_only(self, module: _Module, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            found = [self.finder.absolute(prefix) for prefix in _prefixes(statement.names[0].name)]
        else:
            found = [self.finder.absolute(p) for p in _prefixes(statement.module or "") if p and not statement.level]
            found += self._from(module, statement, statement.names[0].name)
        for loaded in found:
            if loaded is not None:
                self._load(loaded)

    def _take_all(self, module: _Module | None) -> None:
        if module is None or module in self._whole:
            return
        self._whole.add(module)
        self._load(module)
        for index in range(len(module.statements)):
            self._reach(module, index)
        for name in module.bindings:
            self._reference(module, name, ())


def _definition(module: _Module, name: str) -> ast.FunctionDef:
    """A copy of a function without its name: under another it would answer the same."""
    found = [s for s in module.statements if isinstance(s, ast.FunctionDef) and s.name == name]
    function = copy.copy(found[-1])
    function.name = ""
    return function


def _is_dotted_name(text: str) -> bool:
    return len(text) < 200 and all(part.isidentifier() for part in text.split("."))


def _is_loose(statement: ast.stmt, module: _Module) -> bool:
    """Whether a statement means the same wherever it stands: a function bound once that runs nothing yet."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) or statement.decorator_list:
        return False
    defaults = (*statement.args.defaults, *(d for d in statement.args.kw_defaults if d))
    return len(module.bindings[statement.name]) == 1 and all(isinstance(d, ast.Constant) for d in defaults)


# ---------------------------------------------------------------------------- notation

_SILENT = frozenset({"ctx", "kind", "type_comment", "simple", "type_ignores"})


def _write(root: ast.AST) -> str:
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
