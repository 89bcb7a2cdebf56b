"""From the project's files to the graph: references resolved, columns checked, fingerprints final."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from teachkit import registry
from teachkit.errors import (
    BadValue,
    DuplicateName,
    ProjectErrors,
    TeachkitError,
    UnknownNode,
    UnknownTask,
    UnknownVoter,
    Where,
    did_you_mean,
    listing,
)
from teachkit.graph.config import folder_defaults, read_config
from teachkit.graph.data_tests import test_nodes
from teachkit.graph.gold import check_shown, check_voter
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.known import check_names, known_column, known_label
from teachkit.graph.label_sets import label_set_columns, label_set_node
from teachkit.graph.memo import Memo, NoMemo, remembered
from teachkit.graph.names import fold
from teachkit.graph.node import FUNCTIONS, Graph, Node, SourceSpec, TaskInfo, TransformSpec
from teachkit.graph.order import finish, topological
from teachkit.graph.outputs import export_node, unit_test_node
from teachkit.graph.prompts import table_columns, table_names
from teachkit.graph.python import project_modules
from teachkit.graph.render import Renderer, in_template
from teachkit.graph.sql import Columns, Select, check_source, understand_select
from teachkit.project import TRIED, Definition, ProjectFiles, has_jinja
from teachkit.project.models import ColumnSplits, HashSplits, SourceTable, SqlConfig

_REF = re.compile(
    r"^\s*ref\(\s*['\"](?P<ref>[^'\"]+)['\"]\s*\)\s*$|^\s*source\(\s*['\"](?P<group>[^'\"]+)['\"]\s*,\s*['\"](?P<table>[^'\"]+)['\"]\s*\)\s*$"
)


DescribeSource = Callable[[SourceSpec, str, Where], Mapping[str, str]]
"""(how to read it, node id, where it is declared) -> column -> type, as DuckDB reads it."""


def compile_graph(files: ProjectFiles, describe: DescribeSource, memo: Memo | None = None) -> Graph:
    """Resolve every reference, check every column, and give every node its fingerprint.

    Raises:
        ProjectErrors: everything that is wrong, each with its place.
    """
    return _Compiler(files, describe, NoMemo() if memo is None else memo).run()


class _Compiler:
    def __init__(self, files: ProjectFiles, describe: DescribeSource, memo: Memo) -> None:
        self.files = files
        self.describe = describe
        self.memo = memo
        self.errors: list[TeachkitError] = []
        self.nodes: dict[str, Node] = {}
        self.tasks: dict[str, TaskInfo] = {}
        self.schemas: dict[str, Columns] = {}
        self.names: dict[str, str] = {}
        self.failed: list[Definition] = []  # what has errors of its own, and is no node for that
        self.renderer = Renderer(files.templates, self.names, self.remember)

    def run(self) -> Graph:
        for step in (
            self._names,
            self._sources,
            self._transforms,
            self._tasks,
            self._voters,
            self._label_sets,
            self._tried,
            self._gold,
            self._exports,
            self._unit_tests,
            self._data_tests,
        ):
            step()
            if self.errors and step in (self._names, self._sources, self._transforms, self._tasks):
                raise ProjectErrors(self.errors)
        if self.errors:
            raise ProjectErrors([error for error in self.errors if not self._follows(error)])
        self._partition_keys()
        try:
            return finish(self.nodes, self.tasks)
        except BadValue as error:
            raise ProjectErrors([error]) from error

    def remember(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        return remembered(self.memo, name, inputs, make)

    def attempt(self, work: Callable[[], None], definition: Definition | None = None) -> None:
        """Do a piece of work, and keep its errors; ``definition`` is what is not there if it fails."""
        try:
            work()
        except TeachkitError as error:
            self._keep(error.errors if isinstance(error, ProjectErrors) else [error])
            if definition is not None:
                self.failed.append(definition)

    def _keep(self, errors: Sequence[TeachkitError]) -> None:
        """Several prompts may meet with one mistake of their task."""
        known = set(map(str, self.errors))
        self.errors += [error for error in errors if str(error) not in known]

    def _follows(self, error: TeachkitError) -> bool:
        """Whether a node is not there because its definition has an error of its own."""
        if not isinstance(error, UnknownNode):
            return False
        last = str(error.facts["name"]).rpartition(".")[2]
        word = re.compile(rf"\b{re.escape(last)}\b")
        return any(word.search(d.text) if d.kind == "lf_python" else last == d.name for d in self.failed)

    def add(self, node: Node) -> None:
        other = self.nodes.get(node.id)
        if other is not None:
            raise DuplicateName(node.where, kind=_NOUN[node.kind], name=node.name, other=other.where)
        self.nodes[node.id] = node

    # -- names: what ref() and source() may mean

    def _names(self) -> None:
        seen: dict[str, Definition] = {}
        for definition in self.files.definitions:
            match definition.kind:
                case "source":
                    name, node = f"{definition.group}.{definition.name}", f"source.{definition.group}.{definition.name}"
                case "transform":
                    name, node = definition.name, f"transform.{definition.name}"
                case "label_model":
                    name, node = definition.name, f"label_set.{definition.name}"
                case _:
                    continue
            self._name(name, node, definition, seen)
        for definition in self.files.of("prompt"):
            for name in table_names(definition.name, definition.config):
                self._name(name, f"enrichment.{name}", definition, seen)
        keys = {d.name: d.config.key for d in self.files.of("task")}
        kinds = {d.name: d.config.kind for d in self.files.of("task")}
        for definition in self.files.of("prompt"):
            for name in table_names(definition.name, definition.config):
                if definition.task in keys:
                    columns = table_columns(fold(keys[definition.task]), definition.config)
                    self.schemas[f"enrichment.{name}"] = columns
                if not (
                    definition.config.enabled
                    and folder_defaults(self.files.config.prompts, definition.task or "").enabled
                ):
                    self.renderer.switched_off.add(name)
        for definition in self.files.of("label_model"):
            if definition.config.task in keys:
                columns = label_set_columns(keys[definition.config.task], kinds[definition.config.task])
                self.schemas[f"label_set.{definition.name}"] = columns

    def _name(self, name: str, node: str, definition: Definition, seen: dict[str, Definition]) -> None:
        if name in seen:
            kind = _NOUN[definition.kind]
            self.errors.append(DuplicateName(definition.where, kind=kind, name=name, other=seen[name].where))
        seen[name] = definition
        self.names[name] = node

    # -- sources

    def _sources(self) -> None:
        for definition in self.files.of("source"):
            self.attempt(lambda d=definition: self._source(d))  # type: ignore[misc]

    def _source(self, definition: Definition) -> None:
        table = self._rendered(definition)
        paths = (table.path,) if isinstance(table.path, str) else tuple(table.path or ())
        types = {name: column.type for name, column in table.columns.items() if column and column.type}
        spec = SourceSpec(table, paths, table.format or _format(paths, definition), types)
        node_id = f"source.{definition.group}.{definition.name}"
        if table.query is not None and table.version is None and spec.database_kind == "duckdb":
            place = definition.text_at("query")
            with in_template(definition.config.query, table.query, place):
                check_source(table.query, place)
        schema = self.describe(spec, node_id, definition.at("path" if paths else "database"))
        columns = tuple(fold(name) for name in schema)
        owner = f"source '{definition.group}.{definition.name}'"
        for name in table.columns:
            known_column(name, schema, owner, definition.at("columns", name, key=True))
        for index, name in enumerate(table.key or ()):
            known_column(name, schema, owner, definition.at("key", index))
        self.schemas[node_id] = columns
        reading = {
            "format": spec.format,
            "options": table.options,
            "types": types,
            "table": table.table,
            "query": table.query,
            "type": table.type,
        }
        self.add(
            Node(
                node_id,
                "source",
                f"{definition.group}.{definition.name}",
                definition.where,
                spec,
                {"source": reading},
                columns=columns,
                lineage={c: ((node_id, c),) for c in columns},
                tags=tuple(table.tags),
                description=table.description,
            )
        )

    def _rendered(self, definition: Definition) -> SourceTable:
        table: SourceTable = definition.config
        changes: dict[str, Any] = {}
        for name in ("path", "database", "query", "table", "version"):
            value = getattr(table, name)
            if isinstance(value, str) and has_jinja(value):
                changes[name] = self.renderer.value(value, definition.at(name))
            elif isinstance(value, list):
                changes[name] = [self.renderer.value(v, definition.at(name, i)) for i, v in enumerate(value)]
        return table.model_copy(update=changes)

    # -- transforms

    def _transforms(self) -> None:
        definitions = {d.name: d for d in self.files.of("transform")}
        notes: dict[str, Definition] = {}
        for note in self.files.of("transform_notes"):
            if note.name in notes:
                kind, other = "description of transform", notes[note.name].where
                self.errors.append(DuplicateName(note.where, kind=kind, name=note.name, other=other))
            notes[note.name] = note
        for name, note in notes.items():
            if name not in definitions:
                known = list(definitions)
                self.errors.append(
                    UnknownNode(
                        note.where, kind="transform", name=name, known=listing(known), hint=did_you_mean(name, known)
                    )
                )
        rendered = {}
        for name, definition in definitions.items():

            def render(name: str = name, definition: Definition = definition) -> None:
                rendered[name] = self.renderer.sql(definition.text, definition.where, this=f"transform.{name}")

            self.attempt(render)
        if self.errors:
            return
        for name in [n for n, r in rendered.items() if self._is_off(definitions[n], r)]:
            self.renderer.switched_off.add(name)
            del rendered[name]
        for name, found in rendered.items():
            where = definitions[name].where
            self.attempt(lambda refs=found.refs, where=where: self.renderer.check_on(refs, where))  # type: ignore[misc]
        if self.errors:
            return
        inputs = {f"transform.{n}": r.refs for n, r in rendered.items()}
        order = topological(inputs, {f"transform.{n}": definitions[n].where for n in rendered})
        for node_id in order:
            name = node_id.partition(".")[2]
            self.attempt(lambda name=name: self._transform(definitions[name], rendered[name], notes.get(name)))  # type: ignore[misc]

    def _is_off(self, definition: Definition, rendered: Any) -> bool:
        config = read_config(SqlConfig, rendered.config, definition.where, definition.text)
        return not (config.enabled and folder_defaults(self.files.config.transforms, definition.group).enabled)

    def _transform(self, definition: Definition, rendered: Any, notes: Definition | None) -> None:
        config = read_config(SqlConfig, rendered.config, definition.where, definition.text)
        with in_template(definition.text, rendered.text, definition.where):
            select = self.select(rendered.text, rendered.refs, definition.where)
            check_names(select.columns, definition.where)
        node_id = f"transform.{definition.name}"
        self.schemas[node_id] = select.columns
        if notes and select.columns is not None:
            for name in notes.config.columns:
                known_column(
                    name, select.columns, f"transform '{definition.name}'", notes.at("columns", name, key=True)
                )
        defaults = folder_defaults(self.files.config.transforms, definition.group)
        tags = (*defaults.tags, *config.tags, *(notes.config.tags if notes else ()))
        self.add(
            Node(
                node_id,
                "transform",
                definition.name,
                definition.where,
                TransformSpec(select.sql, select.keeps_order, select.aggregates, None),
                {"select": select.canonical},
                tuple(select.reads),
                select.reads,
                select.columns,
                select.lineage,
                None,
                tags,
                (notes.config.description if notes else "") or config.description,
                definition.text,
                rendered.text,
                influences=select.influences,
            )
        )

    def select(self, sql: str, refs: Sequence[str], where: Where) -> Select:
        schemas = {ref: self.schemas.get(ref) for ref in refs}
        found = self.remember(
            "select", [sql, sorted(schemas.items())], lambda: understand_select(sql, schemas, where).plain()
        )
        return Select.from_plain(found)

    # -- tasks

    def _tasks(self) -> None:
        for definition in self.files.of("task"):
            self.attempt(lambda d=definition: self._task(d))  # type: ignore[misc]

    def _task(self, definition: Definition) -> None:
        task = definition.config
        if definition.name in self.tasks:
            raise DuplicateName(definition.where, kind="task", name=task.name, other=self.tasks[task.name].where)
        dataset = self.reference(task.dataset, definition.at("dataset"))
        columns = self.schemas.get(dataset)
        named = [(("key",), task.key), *((("show", i), c) for i, c in enumerate(task.show))]
        if task.gold:
            named.append((("gold", "column"), task.gold.column))
            for value, label in (task.gold.values or {}).items():
                known_label(label, task.label_names, task.name, definition.at("gold", "values", value))
        if task.kind == "span":
            named.append((("text",), task.text))
        split_column = task.splits.column if isinstance(task.splits, ColumnSplits) else None
        if split_column:
            named.append((("splits", "column"), split_column))
        sides = (task.sides.a, task.sides.b) if task.sides else None
        if task.candidates:
            named.append((("candidates",), task.candidates))
        if sides:
            named += [(("sides", "a"), sides[0]), (("sides", "b"), sides[1])]
        for path, column in named:
            if columns is not None:
                known_column(column, columns, f"the dataset '{dataset.partition('.')[2]}'", definition.at(*path))
        self.tasks[task.name] = TaskInfo(
            task.name,
            task.kind,
            task.label_names,
            dataset,
            fold(task.key),
            tuple(fold(c) for c in task.show),
            definition.text,
            task.gold,
            fold(split_column) if split_column else None,
            task.splits if isinstance(task.splits, HashSplits) else None,
            definition.where,
            task.description,
            {label.name: label.description for label in task.labels if not isinstance(label, str)},
            tuple(task.tags),
            (fold(sides[0]), fold(sides[1])) if sides else None,
            fold(task.candidates) if task.candidates else None,
            fold(task.text) if task.kind == "span" else None,
        )

    def reference(self, text: str, where: Where) -> str:
        """The node that a YAML value ``ref('…')`` or ``source('…', '…')`` means."""
        match = _REF.match(text)
        if match is None:
            raise BadValue(
                where,
                key="reference",
                problem=f"'{text}' is not a reference",
                advice="write ref('name') or source('group', 'table')",
            )
        if match["ref"]:
            return self.renderer.resolve_ref(match["ref"], where)
        return self.renderer.resolve_source(match["group"], match["table"], where)

    # -- voters

    def _voters(self) -> None:
        modules = project_modules(self.files.root)
        for kind in ("lf_sql", "lf_yaml", "lf_python", "prompt", "annotations"):
            for definition in self.files.of(kind):
                self.attempt(lambda d=definition, k=kind: self._voter(k, d, modules), definition)  # type: ignore[misc]

    def _voter(self, kind: str, definition: Definition, modules: Callable[[str], tuple[str, str] | None]) -> None:
        task = self.task(definition.task or "", definition.where)
        defaults = self._defaults(kind, task)
        if not defaults.enabled:
            return
        for voter in self._compiled(kind, definition, modules):
            if voter.enabled:
                self._add_voter(voter, task, defaults.tags)

    def _tried(self) -> None:
        """Labeling functions that are tried, whether switched on or not: after the label sets, which know none of them.

        Those that are part of the project are there by now.
        """
        modules = project_modules(self.files.root)
        for definition in self.files.tried:
            self.attempt(lambda d=definition: self._try(d, modules))  # type: ignore[misc]

    def _try(self, definition: Definition, modules: Callable[[str], tuple[str, str] | None]) -> None:
        task = self.task(definition.task or "", definition.where)
        for voter in self._compiled(definition.kind, definition, modules):
            if f"lf.{task.name}.{voter.name}" not in self.nodes:
                self._add_voter(voter, task, ())

    def _defaults(self, kind: str, task: TaskInfo) -> Any:
        config = self.files.config
        folders = {"annotations": config.annotations, "prompt": config.prompts}
        return folder_defaults(folders.get(kind, config.labeling_functions), task.name)

    def _compiled(
        self, kind: str, definition: Definition, modules: Callable[[str], tuple[str, str] | None]
    ) -> Sequence[Voter]:
        task = self.task(definition.task or "", definition.where)
        defaults = self._defaults(kind, task)
        context = VoterContext(
            self.files.root,
            task,
            tuple(self.schemas.get(task.dataset) or ()),
            self.schemas,
            self.renderer.sql,
            self.files.templates,
            self.files.target.llm,
            self.remember,
            modules,
            defaults.timeout or self.files.config.python_timeout,
            defaults,
        )
        found: Sequence[Voter] = registry.load("voter", kind)(definition, context)
        return found

    def _add_voter(self, voter: Voter, task: TaskInfo, tags: Sequence[str]) -> None:
        for kind in FUNCTIONS:
            other = self.nodes.get(f"{kind}.{task.name}.{voter.name}")
            if voter.kind in FUNCTIONS and other is not None and kind != voter.kind:
                raise DuplicateName(voter.where, kind="voter", name=voter.name, other=other.where)
        canonical = {"voter": voter.canonical, "labels": _codes(voter, task), "kind": task.meaning}
        name = voter.name if voter.kind == "enrichment" else f"{task.name}.{voter.name}"
        reads = dict(voter.reads)
        if task.text and voter.kind in ("lf", "annotations") and (columns := reads.get(task.dataset, ())) is not None:
            reads[task.dataset] = (*dict.fromkeys((*columns, task.text)),)  # offsets are checked against it
        self.add(
            Node(
                f"{voter.kind}.{name}",
                voter.kind,
                voter.name,
                voter.where,
                voter.spec,
                canonical,
                tuple(reads),
                reads,
                voter.columns,
                voter.lineage,
                task.name,
                (*task.tags, *tags, *voter.tags),
                voter.description,
                voter.text,
                voter.compiled,
                influences=voter.influences,
            )
        )

    def task(self, name: str, where: Where) -> TaskInfo:
        if name not in self.tasks:
            raise UnknownTask(where, task=name, known=listing(sorted(self.tasks)), hint=did_you_mean(name, self.tasks))
        return self.tasks[name]

    # -- label sets

    def _label_sets(self) -> None:
        for definition in self.files.of("label_model"):
            self.attempt(lambda d=definition: self._label_set(d), definition)  # type: ignore[misc]

    def _label_set(self, definition: Definition) -> None:
        task = self.task(definition.config.task, definition.at("task"))
        of_task = [n for n in self.nodes.values() if n.task == task.name]
        try:
            self.add(label_set_node(definition, task, of_task, self.files.root))
        except UnknownVoter:
            if all(d.task != task.name for d in self.failed):
                raise

    # -- gold

    def _gold(self) -> None:
        """Refuse voters that can see what they will be measured against; label sets must be known by now."""
        for node in list(self.nodes.values()):
            if node.kind in FUNCTIONS:
                self.attempt(lambda n=node: check_voter(n, self.tasks[n.task], self.nodes))  # type: ignore[misc]
        for definition in self.files.of("task"):
            task = self.tasks[definition.name]
            for index, column in enumerate(task.show):
                place = definition.at("show", index)
                self.attempt(lambda c=column, t=task, w=place: check_shown(c, t, self.nodes, w))  # type: ignore[misc]

    # -- exports, unit tests, data tests

    def _exports(self) -> None:
        for definition in self.files.of("export"):
            self.attempt(lambda d=definition: self._export(d), definition)  # type: ignore[misc]

    def _export(self, definition: Definition) -> None:
        node = export_node(definition, self)
        if node is not None:
            self.add(node)

    def _unit_tests(self) -> None:
        for definition in self.files.of("unit_test"):
            self.attempt(lambda d=definition: self.add(unit_test_node(d, self)))  # type: ignore[misc]

    def find(self, name: str, kinds: Sequence[str], noun: str, where: Where) -> Node:
        """The node called ``name``: an id, or a name that only one node of these kinds has."""
        there = [n for n in self.nodes.values() if n.kind in kinds and n.name != TRIED]  # which no file can mean
        found = [n for n in there if name in (n.id, n.name, f"{n.task}.{n.name}")]
        if len(found) != 1:
            known = sorted(n.id for n in there)
            raise UnknownNode(where, kind=noun, name=name, known=listing(known, 30), hint=did_you_mean(name, known))
        return found[0]

    def _data_tests(self) -> None:
        for node in test_nodes(self.files, self):
            self.attempt(lambda n=node: self.add(n))  # type: ignore[misc]

    def _partition_keys(self) -> None:
        for task in sorted(self.tasks.values(), key=lambda t: t.name, reverse=True):
            node = self.nodes[task.dataset]
            if node.kind == "transform":
                self.nodes[node.id] = dataclasses.replace(node, spec=dataclasses.replace(node.spec, key=task.key))


_NOUN = {
    "source": "source table",
    "transform": "transform",
    "lf": "labeling function",
    "prompt": "prompt",
    "enrichment": "table of a prompt",
    "annotations": "annotations file",
    "label_set": "label model",
    "label_model": "label model or transform",
    "export": "export",
    "unit_test": "unit test",
    "test": "test",
}


def _format(paths: Sequence[str], definition: Definition) -> str:
    if not paths:
        return "database"
    name = re.sub(r"\.(gz|zst)$", "", paths[0].lower())
    for ending, found in {
        ".csv": "csv",
        ".tsv": "csv",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "jsonl",
        ".parquet": "parquet",
        ".xlsx": "xlsx",
    }.items():
        if name.endswith(ending):
            return found
    raise BadValue(
        definition.at("path"),
        key="path",
        problem=f"the ending of '{paths[0]}' does not tell its format",
        advice="add 'format: csv' (or jsonl, parquet)",
    )


def _codes(voter: Voter, task: TaskInfo) -> Any:
    """The labels that a voter's votes depend on, with their codes: adding a label at the end changes no other voter."""
    label = getattr(voter.spec, "label", None)
    return {label: task.labels.index(label)} if label else list(task.labels)
