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
import sys
from dataclasses import dataclass

from teachkit.graph.python.modules import Module, ModuleFinder, Modules
from teachkit.graph.python.names import bound_names, prefixes, references
from teachkit.graph.python.notation import write


@dataclass(frozen=True, slots=True)
class Meaning:
    """The canonical text of a function, and the third-party modules that the reached code imports."""

    text: str
    packages: tuple[str, ...]


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
        self._finders: dict[bool, ModuleFinder] = {}

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

    def _finder(self, *, verbatim: bool) -> ModuleFinder:
        if verbatim not in self._finders:
            self._finders[verbatim] = ModuleFinder(*self._source, verbatim=verbatim)
        return self._finders[verbatim]


class _Closure:
    """All statements that a function (None: any of the file) reaches, over all modules of the project."""

    def __init__(self, finder: ModuleFinder, name: str | None) -> None:
        self.finder = finder
        self.root = finder.root
        self.function = _definition(self.root, name) if name is not None else None
        self.reached: dict[Module, set[int]] = {}
        self.packages: set[str] = set()
        self.tricky = False
        self._whole: set[Module] = set()
        self._followed: set[tuple[object, ...]] = set()
        self._queue: list[tuple[Module, ast.AST, bool]] = []
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
                "function": write(self.function) if self.function is not None else None,
                "modules": sections,
                "places": sorted(module.path for module in self.reached if module.located),
                "order": acting if len(acting) > 1 else [],
            }
        )
        return Meaning(text, tuple(sorted(self.packages)))

    def _key(self, module: Module) -> str:
        return "." if module is self.root else module.path

    def _section(self, module: Module) -> list[list[str]]:
        """The reached statements: sorted where their order has no effect, else as they stand."""
        reached = sorted(self.reached[module])
        names = {name for index in reached for name in bound_names(module.statements[index])}
        ordered = bool(module.effects & set(reached)) or any(len(module.bindings[name]) > 1 for name in names)
        free: list[str] = []
        fixed: list[str] = []
        for index in reached:
            statement = module.statements[index]
            loose = not ordered or (index not in module.effects and _is_loose(statement, module))
            (free if loose else fixed).append(write(statement))
        return [sorted(free), fixed]

    def _scan(self, module: Module, node: ast.AST, is_import: bool) -> None:
        for found in references(node):
            if isinstance(found, tuple):
                self._reference(module, *found)
            else:
                self._import(module, found, whole=not is_import)

    def _reference(self, module: Module, name: str, attributes: tuple[str, ...]) -> None:
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

    def _reach(self, module: Module, index: int) -> None:
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

    def _follow_from(self, module: Module, statement: ast.ImportFrom, attributes: tuple[str, ...]) -> None:
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

    def _from(self, module: Module, statement: ast.ImportFrom, name: str) -> tuple[Module | None, Module | None]:
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

    def _import(self, module: Module, statement: ast.Import | ast.ImportFrom, *, whole: bool) -> None:
        """An import that reached code runs: load what it loads, note what is foreign."""
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                found = [self.finder.absolute(prefix) for prefix in prefixes(alias.name)]
                foreign = alias.name
                if whole:
                    self._take_all(found[-1])
            else:
                base, member = self._from(module, statement, alias.name)
                found = [
                    *(self.finder.absolute(p) for p in prefixes(statement.module or "") if not statement.level),
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

    def _load(self, module: Module) -> None:
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

    def _load_only(self, module: Module, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            found = [self.finder.absolute(prefix) for prefix in prefixes(statement.names[0].name)]
        else:
            found = [self.finder.absolute(p) for p in prefixes(statement.module or "") if p and not statement.level]
            found += self._from(module, statement, statement.names[0].name)
        for loaded in found:
            if loaded is not None:
                self._load(loaded)

    def _take_all(self, module: Module | None) -> None:
        if module is None or module in self._whole:
            return
        self._whole.add(module)
        self._load(module)
        for index in range(len(module.statements)):
            self._reach(module, index)
        for name in module.bindings:
            self._reference(module, name, ())


def _definition(module: Module, name: str) -> ast.FunctionDef:
    """A copy of a function without its name: under another it would answer the same."""
    found = [s for s in module.statements if isinstance(s, ast.FunctionDef) and s.name == name]
    function = copy.copy(found[-1])
    function.name = ""
    return function


def _is_dotted_name(text: str) -> bool:
    return len(text) < 200 and all(part.isidentifier() for part in text.split("."))


def _is_loose(statement: ast.stmt, module: Module) -> bool:
    """Whether a statement means the same wherever it stands: a function bound once that runs nothing yet."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) or statement.decorator_list:
        return False
    defaults = (*statement.args.defaults, *(d for d in statement.args.kw_defaults if d))
    return len(module.bindings[statement.name]) == 1 and all(isinstance(d, ast.Constant) for d in defaults)
