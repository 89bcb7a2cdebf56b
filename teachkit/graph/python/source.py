"""Labeling functions in Python files, read without importing or running them.

Data files that a function opens are not seen: a change in one does not make the function new.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadPython, ProjectErrors, TeachkitError, Where, did_you_mean
from teachkit.graph.python.foreign import foreign
from teachkit.graph.python.meaning import PythonFile
from teachkit.graph.python.modules import Modules, is_marker, marker_names, parse_python
from teachkit.hashing import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OPTIONS = {
    "label": "a string",
    "batch": "True or False",
    "tags": "a list of strings",
    "timeout": "a number of seconds above 0",
    "memo": "True or False",
    "name": "a name of letters, digits and _",
    "description": "a string",
}


@dataclass(frozen=True, slots=True)
class PythonLF:
    """A labeling function as its file declares it.

    ``parameters`` are the columns that it reads, in the order of the call; ``canonical`` is its meaning,
    without the versions of ``packages`` (the third-party modules that reached code imports).
    """

    name: str
    function: str
    path: str
    line: int
    parameters: tuple[str, ...]
    label: str | None
    batch: bool
    tags: tuple[str, ...]
    timeout: float | None
    memo: bool
    description: str
    canonical: str
    packages: tuple[str, ...]
    where: Where
    label_where: Where | None
    parameter_where: tuple[Where, ...]


def read_python(path: str, text: str, *, modules: Modules) -> list[PythonLF]:
    """Read all labeling functions of a file, in the order of the file.

    Args:
        path: The file, relative to the project, with ``/``.
        text: Its text.
        modules: Gives (path, text) of a project-local module by its dotted name from the project's root
            (``labeling_functions.spam.helpers``), or None. Siblings of the file are looked up by that, too.

    Raises:
        BadPython: if the file, or a project-local one that it reaches, cannot be read, or a declaration is
        wrong. ProjectErrors: if several declarations are.
    """
    tree = parse_python(path, text)
    file = PythonFile(path, text, modules=modules)
    markers = marker_names(tree)
    errors: list[TeachkitError] = [*_misplaced(path, tree, markers), *foreign(path, tree, markers)]
    found: list[PythonLF] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [d for d in node.decorator_list if is_marker(d, markers)]
            if decorators:
                try:
                    found.append(_declaration(path, node, decorators, file))
                except TeachkitError as error:
                    errors.append(error)
    errors += _taken_names(path, tree, found)
    errors = list({str(error): error for error in errors}.values())
    if errors:
        raise errors[0] if len(errors) == 1 else ProjectErrors(errors)
    return found


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """The installed version of the distribution behind each top-level module, or ``"missing"``."""
    names = sorted(names)
    if not names:
        return {}
    from importlib.metadata import packages_distributions, version

    distributions = packages_distributions()
    return {
        name: ", ".join(f"{d} {version(d)}" for d in sorted(set(distributions.get(name, ())))) or "missing"
        for name in names
    }


def _declaration(
    path: str, node: ast.FunctionDef | ast.AsyncFunctionDef, decorators: list[ast.expr], file: PythonFile
) -> PythonLF:
    where = Where(path, node.lineno, node.col_offset + 1)
    if isinstance(node, ast.AsyncFunctionDef):
        raise BadPython(
            where, problem=f"labeling function '{node.name}' is async", advice=f"write 'def {node.name}(…)'"
        )
    if len(decorators) > 1:
        raise BadPython(
            _at(path, decorators[1]),
            problem=f"'{node.name}' is decorated with labeling_function twice",
            advice="keep one",
        )
    options, places = _options(path, decorators[0])
    parameters = _parameters(path, node)
    meaning = file.meaning(node.name)
    label, batch = options.get("label"), options.get("batch", False)
    return PythonLF(
        name=options.get("name") or node.name,
        function=node.name,
        path=path,
        line=node.lineno,
        parameters=tuple(p.arg for p in parameters),
        label=label,
        batch=batch,
        tags=options.get("tags", ()),
        timeout=options.get("timeout"),
        memo=options.get("memo", False),
        description=options.get("description") or _first_line(node),
        canonical=canonical_json({"python": 1, "label": label, "batch": batch, "code": meaning.text}),
        packages=meaning.packages,
        where=where,
        label_where=places.get("label"),
        parameter_where=tuple(_at(path, p) for p in parameters),
    )


def _options(path: str, decorator: ast.expr) -> tuple[dict[str, Any], dict[str, Where]]:
    values: dict[str, Any] = {}
    places: dict[str, Where] = {}
    if not isinstance(decorator, ast.Call):
        return values, places
    if decorator.args:
        raise BadPython(
            _at(path, decorator.args[0]),
            problem="labeling_function takes no positional arguments",
            advice="write label='…', batch=True, …",
        )
    for keyword in decorator.keywords:
        place = _at(path, keyword.value)
        if keyword.arg is None:
            raise BadPython(
                place,
                problem="labeling_function does not take **",
                advice="write every argument out: the file is read without running it",
            )
        if keyword.arg not in _OPTIONS:
            hint = did_you_mean(keyword.arg, _OPTIONS)
            known = ", ".join(_OPTIONS)
            raise BadPython(
                _at(path, keyword),
                problem=f"labeling_function has no argument '{keyword.arg}'",
                advice=f"write one of: {known}.{hint}",
            )
        places[keyword.arg] = place
        values[keyword.arg] = _literal(keyword.arg, keyword.value, place)
    return values, places


def _literal(option: str, node: ast.expr, place: Where) -> Any:
    wanted = _OPTIONS[option]
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        advice = f"write {wanted} here: the file is read without running it"
        raise BadPython(place, problem=f"{option}= is not a literal", advice=advice) from error
    if option in ("batch", "memo"):
        good = isinstance(value, bool)
    elif option == "tags":
        good = isinstance(value, list | tuple | set) and all(isinstance(tag, str) for tag in value)
        value = tuple(sorted(value) if isinstance(value, set) else value) if good else value
    elif value is None:
        good = True
    elif option == "timeout":
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**7
        value = float(value) if good else value
    elif option == "name":
        good = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value) is not None
    else:
        good = isinstance(value, str)
    if not good:
        raise BadPython(
            place, problem=f"{option}= must be {wanted}", advice=f"write {wanted}, not {ast.unparse(node)[:60]}"
        )
    return value


def _parameters(path: str, node: ast.FunctionDef) -> list[ast.arg]:
    """The parameters that are columns: those without a default."""
    arguments = node.args
    star = arguments.vararg or arguments.kwarg
    if star:
        mark = "*" if arguments.vararg else "**"
        raise BadPython(
            _at(path, star),
            problem=f"labeling function '{node.name}' takes {mark}{star.arg}",
            advice="name each column that it reads as a parameter: they are known before it runs",
        )
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is None:
            problem = f"parameter '{argument.arg}' of labeling function '{node.name}' stands after the *"
            raise BadPython(
                _at(path, argument), problem=problem, advice="columns are passed by position: write it before the *"
            )
    positional = [*arguments.posonlyargs, *arguments.args]
    columns = positional[: len(positional) - len(arguments.defaults)]
    if not columns:
        raise BadPython(
            Where(path, node.lineno, node.col_offset + 1),
            problem=f"labeling function '{node.name}' reads no column",
            advice=f"name the columns that it reads as parameters without default: def {node.name}(text)",
        )
    return columns


def _misplaced(path: str, tree: ast.Module, markers: frozenset[str]) -> Iterable[BadPython]:
    """Every use of the decorator that is not above a function of the file's top level."""
    top = {d for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) for d in n.decorator_list}
    allowed = {id(d.func if isinstance(d, ast.Call) else d) for d in top if is_marker(d, markers)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in allowed and is_marker(node, markers):
            yield BadPython(
                _at(path, node),
                problem="labeling_function is used on something else than a function of the file's top level",
                advice="write @labeling_function above a 'def' that is not inside a class, function or 'if'",
            )


def _taken_names(path: str, tree: ast.Module, found: list[PythonLF]) -> Iterable[BadPython]:
    names: dict[str, PythonLF] = {}
    for lf in found:
        if lf.name in names:
            problem = f"labeling function '{lf.name}' is defined twice; the other is in line {names[lf.name].line}"
            yield BadPython(lf.where, problem=problem, advice="rename one of the two")
        names.setdefault(lf.name, lf)
    last: Mapping[str, int] = {
        n.name: n.lineno for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for lf in found:
        if last[lf.function] != lf.line and lf.function not in [
            o.function for o in found if o.line > lf.line and o.name == lf.name
        ]:
            problem = f"'{lf.function}' is defined again in line {last[lf.function]}, which hides this one"
            yield BadPython(lf.where, problem=problem, advice="rename one of the two")


def _first_line(node: ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").strip().partition("\n")[0].strip()


def _at(path: str, node: ast.expr | ast.arg | ast.keyword) -> Where:
    end = node.end_col_offset if node.end_lineno == node.lineno else None
    return Where(path, node.lineno, node.col_offset + 1, end + 1 if end is not None else None)
