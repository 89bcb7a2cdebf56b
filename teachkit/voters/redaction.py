"""What is taken out of an item before a prompt sees it: names of patterns, SQL for a column, a Python function.

The redaction is part of the prompt's meaning, and comes before the request and so before the key of its answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from teachkit.errors import BadSql, BadValue, TeachkitError, did_you_mean, listing
from teachkit.graph import literal, quote
from teachkit.graph.known import known_column
from teachkit.graph.names import fold
from teachkit.graph.render import in_template
from teachkit.graph.sql import understand_expression
from teachkit.voters.python_file import load_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from teachkit.graph.kinds import VoterContext
    from teachkit.graph.python.modules import Modules
    from teachkit.project import Definition

PATTERNS: Final[Mapping[str, str]] = {
    "email": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    "url": r"(?:https?://|www\.)[^\s\"<>]+",
    "ip": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    "iban": r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b",
    "card": r"\b(?:\d[ -]?){12,18}\d\b",
    "phone": r"(?:\+|\b)\d(?:[ ()./-]{0,2}\d){6,14}\b",
}
"""Name -> RE2 expression; what it finds becomes the name in angle brackets. In this order: a card is no phone."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """``patterns`` for every text that is shown, ``columns`` in SQL, ``function`` of a Python file for every text."""

    patterns: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    function: str = ""
    code: str = ""
    reads: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.patterns or self.columns or self.function)

    @property
    def canonical(self) -> Any:
        """What of it is part of the prompt's meaning."""
        return [[(name, PATTERNS[name]) for name in self.patterns], dict(self.columns), self.function, self.code]

    def expression(self, column: str, *, is_text: bool) -> str:
        """SQL of a column without what is taken out of it."""
        sql = f"({self.columns[column]})" if column in self.columns else quote(column)
        if is_text:
            for name in self.patterns:
                sql = f"regexp_replace({sql}, {literal(PATTERNS[name])}, {literal(f'<{name}>')}, 'g')"
        return sql

    def is_as_compiled(self, root: Path) -> bool:
        """Whether the file of the Python function still means what it did."""
        if not self.function:
            return True
        from teachkit.graph.python import project_modules

        try:
            return _code(root, self.file, project_modules(root)) == self.code
        except (OSError, TeachkitError):
            return False

    def cleaner(self, root: Path) -> Callable[[Any], Any]:
        """The Python function, for texts; all else is as it was."""
        if not self.function:
            return lambda value: value
        clean = getattr(load_file(root, self.file), self.function)

        def cleaned(value: Any) -> Any:
            if not isinstance(value, str):
                return value
            found = clean(value)
            if not isinstance(found, str):
                raise TypeError(f"{self.function} returns {type(found).__name__} for a text")
            return found

        return cleaned


def compile_redaction(definition: Definition, context: VoterContext, columns: Sequence[str]) -> Redaction:
    """Read ``redact`` of a prompt's front matter.

    Raises:
        BadValue: a pattern that is not known, a Python function that is not there.
        BadSql: SQL that is no expression over one row.
        UnknownColumn: SQL for or with a column that the dataset does not have.
    """
    written = definition.config.redact
    if isinstance(written, dict):
        owner = f"the dataset of task '{context.task.name}'"
        for name in written:
            known_column(name, context.columns or [name], owner, definition.at("redact", name, key=True))
            if fold(name) not in columns:
                problem, advice = f"the prompt does not show '{name}'", f"it shows: {listing(columns)}"
                raise BadValue(definition.at("redact", name, key=True), key="redact", problem=problem, advice=advice)
        made = {fold(name): _expression(name, definition, context) for name in written}
        reads = sorted({column for _, read in made.values() for column in read})
        return Redaction(columns={name: sql for name, (sql, _) in made.items()}, reads=tuple(reads))
    found = Redaction(tuple(name for name in PATTERNS if name in written))
    for index, name in enumerate(written):
        if ".py:" in name:
            found = _with_function(found, name, definition, context, index)
        elif name not in PATTERNS:
            advice = (
                f"write of {listing(PATTERNS)}; or file.py:function; or SQL for a column.{did_you_mean(name, PATTERNS)}"
            )
            problem = f"there is no pattern '{name}'"
            raise BadValue(definition.at("redact", index), key="redact", problem=problem, advice=advice)
    return found


def _expression(name: str, definition: Definition, context: VoterContext) -> tuple[str, tuple[str, ...]]:
    """The SQL for a column, and the columns that it reads."""
    text, place = definition.config.redact[name], definition.text_at("redact", name)
    sql, dataset, columns = context.render(text, place).text, context.task.dataset, context.columns
    instead = "write what the column is to be, over the columns of one row"
    try:
        with in_template(text, sql, place):
            return sql, understand_expression(sql, dataset, columns, place, instead=instead).columns
    except BadSql as error:
        problem = f"redact.{name}: {error.facts['problem']}"
        raise BadSql(error.where, problem=problem, advice=error.facts["advice"]) from error


def _with_function(
    found: Redaction, written: str, definition: Definition, context: VoterContext, index: int
) -> Redaction:
    import ast

    from teachkit.graph.python import parse_python, python_text

    file, _, function = written.partition(":")
    place, advice = definition.at("redact", index), "write 'folder/file.py:function', a function from text to text"
    if not (context.root / file).is_file() or found.function:
        problem = f"there is no file '{file}'" if not found.function else "there is a function already"
        raise BadValue(place, key="redact", problem=problem, advice=advice)
    text = python_text(context.root / file, context.root)
    if not any(isinstance(n, ast.FunctionDef) and n.name == function for n in parse_python(file, text).body):
        raise BadValue(place, key="redact", problem=f"'{file}' has no function '{function}'", advice=advice)
    return Redaction(found.patterns, {}, file, function, _code(context.root, file, context.modules))


def _code(root: Path, file: str, modules: Modules) -> str:
    """What a file means, with all that it imports and the versions of packages."""
    from teachkit.graph.python import PythonFile, package_versions, python_text

    meaning = PythonFile(file, python_text(root / file, root), modules=modules).meaning_of_all()
    return f"{meaning.text}\n{sorted(package_versions(meaning.packages).items())}"
