"""Tests as nodes: from what the files declare to one node for each test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_jsonable_python

from teachkit import registry
from teachkit.errors import (
    BadValue,
    ProjectErrors,
    TeachkitError,
    UnknownColumn,
    UnknownKey,
    UnknownType,
    Where,
    did_you_mean,
    listing,
)
from teachkit.graph.config import config_place, read_config
from teachkit.graph.names import fold, quote
from teachkit.graph.node import Node, TaskInfo, TestSpec
from teachkit.graph.render import in_template
from teachkit.graph.sql import CONDITION, Expression, canonical, understand_expression
from teachkit.project import Definition, GenericTest, ProjectFiles
from teachkit.project.model import Severity
from teachkit.project.models import SqlConfig
from teachkit.project.validate import validate
from teachkit.project.yaml_file import YamlFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from teachkit.graph.node import Reads
    from teachkit.graph.render import Renderer
    from teachkit.graph.sql import Columns, Select


class Compiler(Protocol):
    """What the tests need of the compiler."""

    nodes: dict[str, Node]
    tasks: dict[str, TaskInfo]
    schemas: dict[str, Columns]
    renderer: Renderer
    errors: list[TeachkitError]

    def select(self, sql: str, refs: tuple[str, ...], where: Where) -> Select:
        """Understand a SELECT."""
        ...

    def remember(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        """The value of ``make()``, made once for equal inputs."""
        ...

    def find(self, name: str, kinds: tuple[str, ...], noun: str, where: Where) -> Node:
        """The node of a name."""
        ...

    def reference(self, text: str, where: Where) -> str:
        """The node that ``ref('…')`` or ``source('…', '…')`` means."""
        ...


class Common(BaseModel):
    """What every test may say of itself."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: str | None = None
    description: str = ""
    severity: Severity = "error"
    warn_if: str | None = None
    error_if: str | None = None
    limit: int | None = None
    store_failures: bool = False
    where: str | None = None
    tags: list[str] = []


_CONDITION = re.compile(r"^\s*(>=|<=|>|<|=|==|!=)\s*\d+(\.\d+)?\s*$")


def test_nodes(files: ProjectFiles, compiler: Compiler) -> Iterator[Node]:
    """All tests of the project; what is wrong goes to ``compiler.errors``."""
    maker = _Maker(files, compiler)
    for definition, target, column, place, spec in _declared(files, compiler):
        try:
            yield maker.make(definition, target, column, place, spec)
        except ProjectErrors as error:
            compiler.errors.extend(error.errors)
        except TeachkitError as error:
            compiler.errors.append(error)
    for definition in files.of("test_sql"):
        try:
            test = maker.singular(definition)
            if test is not None:
                yield test
        except ProjectErrors as error:
            compiler.errors.extend(error.errors)
        except TeachkitError as error:
            compiler.errors.append(error)


Declared = tuple[Definition, str, str | None, tuple[str | int, ...], Any]


def _declared(files: ProjectFiles, compiler: Compiler) -> Iterator[Declared]:
    for definition in files.definitions:
        config = definition.config
        match definition.kind:
            case "source":
                target = f"source.{definition.group}.{definition.name}"
                if config.key:
                    yield definition, target, None, ("key",), {"key": {"columns": list(config.key)}}
                if config.freshness:
                    yield definition, target, None, ("freshness",), {"freshness": config.freshness.model_dump()}
            case "transform_notes":
                target = f"transform.{definition.name}"
            case "label_model":
                target = f"label_set.{definition.name}"
            case "export":
                if not config.enabled:
                    continue
                target = f"export.{definition.name}"
            case "node_tests":
                try:
                    node = compiler.find(
                        config.node,
                        ("source", "transform", "enrichment", "label_set", "export"),
                        "node",
                        definition.at("node"),
                    )
                except TeachkitError as error:
                    compiler.errors.append(error)
                    continue
                target = node.id
            case "task":
                if definition.name in compiler.tasks:
                    task = compiler.tasks[definition.name]
                    yield (
                        definition,
                        task.dataset,
                        None,
                        ("key",),
                        {"key": {"columns": [task.key], "name": f"{task.name}_key"}},
                    )
                continue
            case _:
                continue
        for index, spec in enumerate(config.tests):
            yield definition, target, None, ("tests", index), spec
        columns = getattr(config, "columns", None)
        for column, notes in columns.items() if isinstance(columns, dict) else ():
            for index, spec in enumerate(notes.tests if notes else ()):
                yield definition, target, fold(column), ("columns", column, "tests", index), spec


class _Maker:
    def __init__(self, files: ProjectFiles, compiler: Compiler) -> None:
        self.files = files
        self.compiler = compiler
        self.taken: set[str] = set()

    def make(
        self, definition: Definition, target_id: str, column: str | None, place: tuple[str | int, ...], spec: Any
    ) -> Node:
        where = definition.at(*place)
        check, arguments = _split(spec, where)
        target = self.compiler.nodes.get(target_id)
        if target is None:
            raise ProjectErrors([])  # the target's own error was reported
        generic = self.files.generic_tests.get(check)
        if generic is None and check not in registry.names("check"):
            known = sorted({*registry.names("check"), *self.files.generic_tests})
            raise UnknownType(where, kind="test", name=check, known=listing(known, 40), hint=did_you_mean(check, known))
        file = _file_of(definition, place, check, arguments)
        common = validate(Common, file)
        own = {k: v for k, v in arguments.items() if k not in Common.model_fields}
        if generic is not None:
            return self._generic(generic, target, column, own, common, file)
        made = registry.load("check", check)
        if target.kind not in made.kinds:
            kinds = listing(kind.replace("_", " ") for kind in made.kinds)
            problem = f"this test is for nodes of the kind {kinds}; '{target.name}' is of the kind {target.kind}"
            raise BadValue(where, key=check, problem=problem, advice="move it there")
        task = self.compiler.tasks.get(target.task or "")
        if target.kind == "label_set" and made.tasks is not None and task is not None and task.kind not in made.tasks:
            problem = (
                f"this test is for tasks of the kind {listing(made.tasks)}; '{task.name}' is of the kind {task.kind}"
            )
            fit = [n for n in registry.names("check") if task.kind in (registry.load("check", n).tasks or ())]
            advice = f"for this kind there are: {listing(fit)}" if fit else "leave it out"
            raise BadValue(where, key=check, problem=problem, advice=advice)
        if common.where is not None and not made.narrows:
            problem = f"'{check}' looks at a whole label set"
            raise BadValue(file.where(("where",), key=True), key="where", problem=problem, advice="remove it")
        if made.needs_column and column is None and not own.get("column"):
            raise BadValue(
                where, key=check, problem="this test is for a column", advice="declare it under columns: <name>: tests:"
            )
        model = validate(made.Arguments, file.inside((), own), owner=f"test '{check}'")
        column = column or own.get("column")
        if column is not None:
            place = ("column",) if "column" in own else ()
            known_columns = self.compiler.schemas.get(target.id)
            if known_columns is not None and fold(column) not in known_columns:
                shown, hint = listing(known_columns, 30), did_you_mean(column, known_columns)
                owner = f"'{target.name}'"
                raise UnknownColumn(file.where(place), column=column, owner=owner, known=shown, hint=hint)
            column = fold(column)
        made.check(model, target, self.compiler, where)
        values = model.model_dump(mode="json", by_alias=True)
        reads = made.reads(model, column, target, self.compiler)
        meaning = {"check": check, "version": made.version}
        return self._node(check, target, column, values, None, common, file, reads, meaning)

    def _generic(
        self,
        generic: GenericTest,
        target: Node,
        column: str | None,
        own: Mapping[str, Any],
        common: Common,
        file: YamlFile,
    ) -> Node:
        names = _parameters(generic.arguments)
        unknown = [n for n in own if n not in names]
        if unknown:
            allowed = [n for n in names if n not in ("model", "column_name")]
            place, hint = file.where((unknown[0],), key=True), did_you_mean(unknown[0], allowed)
            owner = f"test '{generic.name}'"
            raise UnknownKey(place, key=unknown[0], owner=owner, known=listing(allowed), hint=hint)
        if "column_name" in names and column is None:
            raise BadValue(
                file.where(),
                key=generic.name,
                problem="this test is for a column",
                advice="declare it under columns: <name>: tests:",
            )
        condition, _ = self._narrowed(common.where, target, {}, file)
        model = f"(select * from {quote(target.id)} where {condition})" if condition else quote(target.id)
        values = {**own, "model": model, "column_name": quote(column or "")}
        text = "{% macro __test(" + generic.arguments + ") %}" + generic.body + "{% endmacro %}{{ __test("
        text += ", ".join(f"{n}=__values['{n}']" for n in names if n in values) + ") }}"
        rendered = self.compiler.renderer.sql(text, generic.where, extra={"__values": values})
        refs = tuple(dict.fromkeys((target.id, *rendered.refs)))
        select = self.compiler.select(rendered.text, refs, generic.where)
        return self._node(
            generic.name,
            target,
            column,
            to_jsonable_python(own),
            select.sql,
            common,
            file,
            select.reads,
            {"sql": select.canonical},
        )

    def singular(self, definition: Definition) -> Node | None:
        rendered = self.compiler.renderer.sql(definition.text, definition.where)
        config = read_config(SqlConfig, rendered.config, definition.where, definition.text)
        if not config.enabled:
            return None
        with in_template(definition.text, rendered.text, definition.where):
            select = self.compiler.select(rendered.text, rendered.refs, definition.where)
        spec = TestSpec(
            "sql",
            rendered.refs[0] if rendered.refs else "",
            None,
            {},
            select.sql,
            config.severity,
            config.warn_if,
            config.error_if,
            config.limit,
            config.store_failures,
        )
        for key in ("warn_if", "error_if"):
            _check_condition(getattr(config, key), key, config_place(definition.text, key, definition.where))
        return Node(
            f"test.{definition.name}",
            "test",
            definition.name,
            definition.where,
            spec,
            _canonical(spec, {"sql": select.canonical}),
            tuple(select.reads),
            select.reads,
            tags=tuple(config.tags),
            description=config.description,
            text=definition.text,
            compiled=rendered.text,
        )

    def _node(
        self,
        check: str,
        target: Node,
        column: str | None,
        arguments: dict[str, Any],
        sql: str | None,
        common: Common,
        file: YamlFile,
        reads: Reads,
        meaning: Any,
    ) -> Node:
        where = file.where()
        condition, reads = self._narrowed(common.where, target, reads, file)
        if (
            target.kind == "export"
        ):  # it has no rows of its own: the test reads what it is made of, before it is written
            reads = {**{name: found for name, found in reads.items() if name != target.id}, **target.reads}
            meaning = [meaning, target.canonical]
        spec = TestSpec(
            check,
            target.id,
            column,
            arguments,
            sql,
            common.severity,
            common.warn_if,
            common.error_if,
            common.limit,
            common.store_failures,
            condition,
        )
        for key in ("warn_if", "error_if"):
            _check_condition(getattr(common, key), key, file.where((key,)))
        name = common.name or ".".join([target.name, check, *([column] if column else [])])
        return Node(
            self._free(f"test.{name}"),
            "test",
            name,
            where,
            spec,
            _canonical(spec, meaning),
            tuple(reads),
            reads,
            task=target.task,
            tags=tuple(common.tags),
            description=common.description,
            compiled=sql or "",
        )

    def _free(self, name: str) -> str:
        number, found = 1, name
        while found in self.taken:
            number += 1
            found = f"{name}_{number}"
        self.taken.add(found)
        return found

    def _narrowed(self, condition: str | None, target: Node, reads: Reads, file: YamlFile) -> tuple[str | None, Reads]:
        """The ``where`` of a test, checked, and the columns that the test reads with it."""
        if condition is None:
            return None, reads
        columns, place = self.compiler.schemas.get(target.id) or (), file.text(("where",))
        found = Expression.from_plain(
            self.compiler.remember(
                "expression",
                [condition, target.id, columns],
                lambda: understand_expression(condition, target.id, columns, place, instead=CONDITION).plain(),
            )
        )
        before = reads.get(target.id, ())
        read = None if before is None or not columns else tuple(sorted({*before, *found.columns}))
        return found.sql, {**reads, target.id: read}


def _file_of(definition: Definition, place: tuple[str | int, ...], check: str, arguments: Any) -> YamlFile:
    """The arguments of a test as a part of their file."""
    if definition.file is None:
        where = definition.at(*place)
        return YamlFile(where.path, arguments, {}, {(): (where.line or 1, where.column or 1, where.end_column or 2)})
    return definition.file.inside((*definition.base, *place, *([check] if "tests" in place else [])), arguments)


def _split(spec: Any, where: Where) -> tuple[str, Mapping[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    if len(spec) != 1:
        raise BadValue(
            where,
            key="tests",
            problem=f"one test has one name; here stand {listing(spec)}",
            advice="write '- name: {arguments}'; indent the arguments more than the name",
        )
    check, arguments = next(iter(spec.items()))
    if arguments is not None and not isinstance(arguments, dict):
        raise BadValue(
            where,
            key=check,
            problem=f"arguments of a test are keys with values, not {arguments!r}",
            advice=f"write '{check}: {{argument: value}}'",
        )
    return check, arguments or {}


def _canonical(spec: TestSpec, meaning: Any) -> Any:
    return {
        "test": meaning,
        "target": spec.target,
        "column": spec.column,
        "arguments": spec.arguments,
        "where": canonical(spec.where) if spec.where else None,
        "severity": spec.severity,
        "warn_if": spec.warn_if,
        "error_if": spec.error_if,
        "limit": spec.limit,
    }


def _check_condition(text: str | None, key: str, where: Where) -> None:
    if text is not None and not _CONDITION.match(text):
        problem = f"'{text}' is no condition on the number of failures"
        raise BadValue(where, key=key, problem=problem, advice="write for example '> 10' or '!= 0'")


def _parameters(signature: str) -> list[str]:
    return [part.split("=")[0].strip() for part in re.split(r",(?![^\[(]*[\])])", signature) if part.strip()]
