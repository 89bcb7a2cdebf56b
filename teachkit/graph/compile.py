"""From the project's files to the graph: references resolved, columns checked, fingerprints final."""

from __future__ import annotations

import ast
import dataclasses
import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from teachkit import registry
from teachkit.errors import (
    BadSql,
    BadValue,
    Cycle,
    DuplicateName,
    NotUtf8,
    ProjectErrors,
    TeachkitError,
    UnknownColumn,
    UnknownLabel,
    UnknownNode,
    UnknownTask,
    UnknownType,
    UnknownVoter,
    Where,
    did_you_mean,
    listing,
)
from teachkit.graph.data_tests import test_nodes
from teachkit.graph.gold import check_shown, check_voter
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.names import fold
from teachkit.graph.node import ExportSpec, Graph, LabelSetSpec, Node, SourceSpec, TaskInfo, TransformSpec, UnitTestSpec
from teachkit.graph.python_meaning import PythonFile, parse_python
from teachkit.graph.python_source import package_versions
from teachkit.graph.render import Renderer, in_template
from teachkit.graph.sql import Columns, Select, pretty, understand_expression, understand_select
from teachkit.graph.sql_tables import ALL, ROWS
from teachkit.hashing import canonical_json, digest
from teachkit.project import Definition, ProjectFiles, has_jinja
from teachkit.project.models import ColumnSplits, HashSplits, LabelModelConfig, SourceTable, SqlConfig
from teachkit.project.validate import validate
from teachkit.project.yaml_file import YamlFile
from teachkit.version import __version__

LABEL_SET_COLUMNS = ("label", "confidence", "posterior", "decided_by", "votes", "model_label")
_REF = re.compile(
    r"^\s*ref\(\s*['\"](?P<ref>[^'\"]+)['\"]\s*\)\s*$|^\s*source\(\s*['\"](?P<group>[^'\"]+)['\"]\s*,\s*['\"](?P<table>[^'\"]+)['\"]\s*\)\s*$"
)


class Memo(Protocol):
    """Remembers what was compiled, by content; losing it costs only time."""

    def get(self, key: str) -> str | None:
        """The value kept under a key, or None."""
        ...

    def put(self, key: str, value: str) -> None:
        """Keep a value."""
        ...


class NoMemo:
    """Remembers nothing."""

    def get(self, key: str) -> str | None:
        """None."""
        return None

    def put(self, key: str, value: str) -> None:
        """Nothing."""


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
        self.renderer = Renderer(files.templates, self.names, self.remember)

    def run(self) -> Graph:
        for step in (
            self._names,
            self._sources,
            self._transforms,
            self._tasks,
            self._voters,
            self._label_sets,
            self._gold,
            self._exports,
            self._unit_tests,
            self._data_tests,
        ):
            step()
            if self.errors and step in (self._names, self._sources, self._transforms, self._tasks):
                raise ProjectErrors(self.errors)
        if self.errors:
            raise ProjectErrors(self.errors)
        self._partition_keys()
        try:
            return _finish(self.nodes, self.tasks)
        except BadValue as error:
            raise ProjectErrors([error]) from error

    def remember(self, name: str, inputs: Any, make: Callable[[], Any]) -> Any:
        key = f"{name}:{digest([*_tools(), inputs])}"
        found = self.memo.get(key)
        if found is not None:
            return json.loads(found)
        value = make()
        self.memo.put(key, canonical_json(value))
        return value

    def attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ProjectErrors as error:
            self.errors.extend(error.errors)
        except TeachkitError as error:
            self.errors.append(error)

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
            if name in seen:
                kind = _NOUN[definition.kind]
                self.errors.append(DuplicateName(definition.where, kind=kind, name=name, other=seen[name].where))
            seen[name] = definition
            self.names[name] = node
        keys = {d.name: d.config.key for d in self.files.of("task")}
        for definition in self.files.of("label_model"):
            if definition.config.task in keys:
                columns = (fold(keys[definition.config.task]), *LABEL_SET_COLUMNS)
                self.schemas[f"label_set.{definition.name}"] = columns

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
        schema = self.describe(spec, node_id, definition.at("path" if paths else "database"))
        columns = tuple(fold(name) for name in schema)
        owner = f"source '{definition.group}.{definition.name}'"
        for name in table.columns:
            _known(name, schema, owner, definition.at("columns", name, key=True))
        for index, name in enumerate(table.key or ()):
            _known(name, schema, owner, definition.at("key", index))
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
        inputs = {f"transform.{n}": r.refs for n, r in rendered.items()}
        order = _topological(inputs, {f"transform.{n}": d.where for n, d in definitions.items()})
        for node_id in order:
            name = node_id.partition(".")[2]
            self.attempt(lambda name=name: self._transform(definitions[name], rendered[name], notes.get(name)))  # type: ignore[misc]

    def _transform(self, definition: Definition, rendered: Any, notes: Definition | None) -> None:
        config = read_config(SqlConfig, rendered.config, definition.where, definition.text)
        with in_template(definition.text, rendered.text, definition.where):
            select = self.select(rendered.text, rendered.refs, definition.where)
            _check_names(select.columns, definition.where)
        node_id = f"transform.{definition.name}"
        self.schemas[node_id] = select.columns
        if notes and select.columns is not None:
            for name in notes.config.columns:
                _known(name, select.columns, f"transform '{definition.name}'", notes.at("columns", name, key=True))
        defaults = _defaults(self.files.config.transforms, definition.group)
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
                if label not in task.label_names:
                    hint = did_you_mean(label, task.label_names)
                    raise UnknownLabel(
                        definition.at("gold", "values", value),
                        label=label,
                        task=task.name,
                        known=listing(task.label_names),
                        hint=hint,
                    )
        split_column = task.splits.column if isinstance(task.splits, ColumnSplits) else None
        if split_column:
            named.append((("splits", "column"), split_column))
        for path, column in named:
            if columns is not None:
                _known(column, columns, f"the dataset '{dataset.partition('.')[2]}'", definition.at(*path))
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
        modules = _modules(self.files.root)
        for kind in ("lf_sql", "lf_yaml", "lf_python", "annotations"):
            for definition in self.files.of(kind):
                self.attempt(lambda d=definition, k=kind: self._voter(k, d, modules))  # type: ignore[misc]

    def _voter(self, kind: str, definition: Definition, modules: Callable[[str], tuple[str, str] | None]) -> None:
        task = self.task(definition.task or "", definition.where)
        folder = self.files.config.annotations if kind == "annotations" else self.files.config.labeling_functions
        defaults = _defaults(folder, task.name)
        if not defaults.enabled:
            return
        context = VoterContext(
            self.files.root,
            task,
            tuple(self.schemas.get(task.dataset) or ()),
            self.schemas,
            self.renderer.sql,
            self.remember,
            modules,
            defaults.timeout or self.files.config.python_timeout,
            defaults,
        )
        for voter in registry.load("voter", kind)(definition, context):
            if voter.enabled:
                self._add_voter(voter, task, defaults.tags)

    def _add_voter(self, voter: Voter, task: TaskInfo, tags: Sequence[str]) -> None:
        canonical = {"voter": voter.canonical, "labels": _codes(voter, task), "kind": task.kind}
        prefix = "annotations" if voter.kind == "annotations" else "lf"
        self.add(
            Node(
                f"{prefix}.{task.name}.{voter.name}",
                prefix,
                voter.name,
                voter.where,
                voter.spec,
                canonical,
                tuple(voter.reads),
                voter.reads,
                ("vote",),
                {},
                task.name,
                (*tags, *voter.tags),
                voter.description,
                voter.text,
                voter.compiled,
            )
        )

    def task(self, name: str, where: Where) -> TaskInfo:
        if name not in self.tasks:
            raise UnknownTask(where, task=name, known=listing(sorted(self.tasks)), hint=did_you_mean(name, self.tasks))
        return self.tasks[name]

    # -- label sets

    def _label_sets(self) -> None:
        for definition in self.files.of("label_model"):
            self.attempt(lambda d=definition: self._label_set(d))  # type: ignore[misc]

    def _label_set(self, definition: Definition) -> None:
        config: LabelModelConfig = definition.config
        task = self.task(config.task, definition.at("task"))
        algorithm = self._algorithm(config, definition)
        of_task = [n for n in self.nodes.values() if n.task == task.name]
        lfs = [n for n in of_task if n.kind == "lf"]
        people = [n for n in of_task if n.kind == "annotations"]
        annotators = [n for n in people if n.spec.meta.role == "annotator"]
        chosen = _choose(config.voters, [*lfs, *annotators], task, definition)
        curators = tuple(n.id for n in people if n.spec.meta.role == "curator") if config.curators else ()
        gold = tuple(n.id for n in people if n.spec.meta.role == "gold")
        gold_columns = [*task.secret_columns, *([task.split_column] if task.split_column else [])]
        uses_gold = config.gold == "tune" or config.prefer_gold
        _check_abstain(config, chosen, task, definition)
        abstain = {n.id: _abstain(n, config) for n in chosen}
        parameters = {
            **config.parameters,
            **({"class_prior": config.class_prior} if config.class_prior is not None else {}),
        }
        parameters = self._prior_in_order(parameters, task, definition)
        spec = LabelSetSpec(
            config,
            tuple(n.id for n in chosen if n.kind == "lf"),
            tuple(n.id for n in chosen if n.kind == "annotations"),
            curators,
            gold if uses_gold else (),
            abstain,
            parameters,
        )
        canonical = {
            "algorithm": algorithm,
            "parameters": parameters,
            "tie_policy": config.tie_policy,
            "gold": config.gold,
            "prefer_gold": config.prefer_gold,
            "unlabeled": config.unlabeled,
            "labels": task.labels,
            "kind": task.kind,
            "abstain": abstain,
            "curators": config.curators,
            "splits": _splits(task) if uses_gold else None,
        }
        inputs = tuple(dict.fromkeys((task.dataset, *(n.id for n in chosen), *curators, *spec.gold)))
        reads: dict[str, tuple[str, ...] | None] = dict.fromkeys(inputs)
        reads[task.dataset] = (task.key, *(gold_columns if uses_gold else ()))
        node_id = f"label_set.{config.name}"
        lineage = {task.key: ((task.dataset, task.key),)}
        seen = {(r, c) for n in chosen for r, columns in n.reads.items() for c in columns or (ALL,)}
        seen |= {(task.dataset, c) for c in gold_columns if uses_gold}
        influences = {ROWS: lineage[task.key], **dict.fromkeys(LABEL_SET_COLUMNS, tuple(sorted(seen))), **lineage}
        self.add(
            Node(
                node_id,
                "label_set",
                config.name,
                definition.where,
                spec,
                canonical,
                inputs,
                reads,
                tuple(self.schemas[node_id] or ()),
                lineage,
                task.name,
                tuple(config.tags),
                config.description,
                _entry_text(definition),
                influences=influences,
            )
        )

    def _algorithm(self, config: LabelModelConfig, definition: Definition) -> Any:
        if ":" in config.type:
            return self._python_algorithm(config.type, definition.at("type"))
        known = registry.names("label_model")
        if config.type not in known:
            raise UnknownType(
                definition.at("type"),
                kind="label model",
                name=config.type,
                known=listing(known),
                hint=did_you_mean(config.type, known),
            )
        return {"name": config.type, "version": _algorithm_version(config.type)}

    def _python_algorithm(self, written: str, where: Where) -> Any:
        """A class of the project: its file's code and all that this reaches, and the packages that it imports."""
        path, _, name = written.partition(":")
        file = self.files.root / path
        if not file.is_file() or not name.isidentifier():
            problem = f"there is no file '{path}'" if not file.is_file() else f"'{name}' is no name of a class"
            raise BadValue(where, key="type", problem=problem, advice="write 'label_models/file.py:Class'")
        text = _python_text(file, self.files.root)
        if not any(isinstance(n, ast.ClassDef) and n.name == name for n in parse_python(path, text).body):
            problem = f"'{path}' has no class '{name}'"
            raise BadValue(where, key="type", problem=problem, advice="write 'label_models/file.py:Class'")
        meaning = PythonFile(path, text, modules=_modules(self.files.root)).meaning_of_all()
        return {"python": name, "code": meaning.text, "packages": package_versions(meaning.packages)}

    def _prior_in_order(self, parameters: dict[str, Any], task: TaskInfo, definition: Definition) -> dict[str, Any]:
        prior = parameters.get("class_prior")
        if not isinstance(prior, dict):
            return parameters
        for label in prior:
            if label not in task.labels:
                place = definition.at("class_prior", label, key=True)
                raise UnknownLabel(
                    place,
                    label=label,
                    task=task.name,
                    known=listing(task.labels),
                    hint=did_you_mean(label, task.labels),
                )
        if set(prior) != set(task.labels) or abs(sum(prior.values()) - 1) > 1e-6:
            raise BadValue(
                definition.at("class_prior"),
                key="class_prior",
                problem="it must name every label and sum to 1",
                advice=f"labels: {listing(task.labels)}",
            )
        return {**parameters, "class_prior": [prior[label] for label in task.labels]}

    # -- gold

    def _gold(self) -> None:
        """Refuse voters that can see what they will be measured against; label sets must be known by now."""
        for node in list(self.nodes.values()):
            if node.kind == "lf":
                self.attempt(lambda n=node: check_voter(n, self.tasks[n.task], self.nodes))  # type: ignore[misc]
        for definition in self.files.of("task"):
            task = self.tasks[definition.name]
            for index, column in enumerate(task.show):
                place = definition.at("show", index)
                self.attempt(lambda c=column, t=task, w=place: check_shown(c, t, self.nodes, w))  # type: ignore[misc]

    # -- exports, unit tests, data tests

    def _exports(self) -> None:
        for definition in self.files.of("export"):
            self.attempt(lambda d=definition: self._export(d))  # type: ignore[misc]

    def _export(self, definition: Definition) -> None:
        config = definition.config
        if not config.enabled:
            return
        label_set = self.reference(config.label_set, definition.at("label_set"))
        if not label_set.startswith("label_set."):
            raise BadValue(
                definition.at("label_set"),
                key="label_set",
                problem=f"'{config.label_set}' is no label set",
                advice="name a label model: ref('…')",
            )
        if label_set not in self.nodes:
            return  # its own error was reported
        task = self.tasks[self.nodes[label_set].task or ""]
        dataset_columns = self.schemas.get(task.dataset) or ()
        known = [*(self.schemas[label_set] or ()), *dataset_columns]
        for index, column in enumerate(config.columns):
            _known(column, known, f"'{config.label_set}' and its dataset", definition.at("columns", index))
        columns = tuple(fold(c) for c in config.columns)
        read = set(columns)
        where = None
        if config.where:
            place = definition.text_at("where")
            found = understand_expression(config.where, label_set, tuple(dict.fromkeys(known)), place)
            read, where = read | set(found.columns), found.canonical
        path = self.renderer.value(config.path, definition.at("path"))
        self._check_path(path, definition)
        canonical = {"export": config.format, "columns": columns, "where": where}
        from_dataset = tuple(sorted((read - set(self.schemas[label_set] or ())) | {task.key}))
        self.add(
            Node(
                f"export.{config.name}",
                "export",
                config.name,
                definition.where,
                ExportSpec(config, label_set, path),
                canonical,
                (label_set, task.dataset),
                {label_set: None, task.dataset: from_dataset},
                columns or tuple(self.schemas[label_set] or ()),
                {},
                task.name,
                tuple(config.tags),
                config.description,
                _entry_text(definition),
            )
        )

    def _check_path(self, path: str, definition: Definition) -> None:
        """Two exports to one file would take turns in overwriting it."""
        for other in (n for n in self.nodes.values() if n.kind == "export"):
            if Path(other.spec.path) == Path(path):
                place, problem = definition.at("path"), f"export '{other.name}' writes '{other.spec.path}' too"
                raise BadValue(place, key="path", problem=problem, advice="give each a path of its own")

    def _unit_tests(self) -> None:
        for definition in self.files.of("unit_test"):
            self.attempt(lambda d=definition: self._unit_test(d))  # type: ignore[misc]

    def _unit_test(self, definition: Definition) -> None:
        unit = definition.config
        voter = self.find(unit.voter, ("lf",), "voter", definition.at("voter"))
        task = self.tasks[voter.task or ""]
        for index, expected in enumerate(unit.expect):
            for label in [expected] if isinstance(expected, str) else expected or ():
                if label not in task.labels:
                    raise UnknownLabel(
                        definition.at("expect", index),
                        label=label,
                        task=task.name,
                        known=listing(task.labels),
                        hint=did_you_mean(label, task.labels),
                    )
        columns = self.schemas.get(task.dataset)
        for index, row in enumerate(unit.rows):
            for name in row if columns is not None else ():
                place = definition.at("rows", index, name, key=True)
                _known(str(name), columns or (), f"the dataset '{task.dataset.partition('.')[2]}'", place)
        self.add(
            Node(
                f"unit_test.{unit.name}",
                "unit_test",
                unit.name,
                definition.where,
                UnitTestSpec(unit, voter.id),
                {"rows": [_plain(r) for r in unit.rows], "expect": unit.expect},
                (voter.id,),
                {voter.id: ()},
                (),
                {},
                voter.task,
                tuple(unit.tags),
                unit.description,
                _entry_text(definition),
            )
        )

    def find(self, name: str, kinds: Sequence[str], noun: str, where: Where) -> Node:
        """The node called ``name``: an id, or a name that only one node of these kinds has."""
        found = [n for n in self.nodes.values() if n.kind in kinds and name in (n.id, n.name, f"{n.task}.{n.name}")]
        if len(found) != 1:
            known = sorted(n.id for n in self.nodes.values() if n.kind in kinds)
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
    "annotations": "annotations file",
    "label_set": "label model",
    "label_model": "label model or transform",
    "export": "export",
    "unit_test": "unit test",
    "test": "test",
}


def read_config(model: Any, values: Mapping[str, Any], where: Where, text: str = "") -> Any:
    """Validate what ``config(...)`` in the template ``text`` was given."""
    places = {(name,): _config_place(text, name, where) for name in values}
    known: dict[tuple[str | int, ...], Any] = {path: place for path, place in places.items() if place is not None}
    return validate(model, YamlFile(where.path, dict(values), known, {(): (where.line or 1, 1, 2)}), owner="config()")


def config_place(text: str, name: str, where: Where) -> Where:
    """Where the template gives the key ``name`` to ``config(...)``."""
    found = _config_place(text, name, where)
    return Where(where.path, *found) if found else where


def _config_place(text: str, name: str, where: Where) -> tuple[int, int, int] | None:
    match = re.search(rf"\bconfig\s*\([^}}]*?\b({re.escape(name)})\s*=", text)
    if match is None:
        return None
    line = text.count("\n", 0, match.start(1))
    column = match.start(1) - (text.rfind("\n", 0, match.start(1)) + 1) + 1
    return (where.line or 1) + line, column, column + len(name)


def _known(name: str, columns: Iterable[str], owner: str, where: Where) -> None:
    """Raise ``UnknownColumn`` unless there is a column of this name."""
    columns = list(dict.fromkeys(columns))
    if fold(name) not in map(fold, columns):
        hint = did_you_mean(name, columns)
        raise UnknownColumn(where, column=name, owner=owner, known=listing(columns, 30), hint=hint)


def _check_names(columns: Sequence[str] | None, where: Where) -> None:
    """A transform's columns have names, each its own: others refer to them."""
    for index, name in enumerate(columns or ()):
        if not name:
            problem = f"column {index + 1} of this SELECT has no name"
            raise BadSql(where, problem=problem, advice="give it one: … as name")
        if name in (columns or ())[:index]:
            problem = f"two columns of this SELECT are called '{name}'"
            raise BadSql(where, problem=problem, advice=f"name one otherwise, or leave it out: * exclude ({name})")


@cache
def _tools() -> tuple[str, ...]:
    """What else decides what is compiled: a memory of what another version understood must not be used."""
    from importlib.metadata import version

    return (__version__, *(version(name) for name in ("duckdb", "jinja2", "pydantic", "sqlglot")))


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


def _defaults(folders: Mapping[str, Any], name: str) -> Any:
    from teachkit.project.models import FolderDefaults

    return folders.get(name) or FolderDefaults()


def _codes(voter: Voter, task: TaskInfo) -> Any:
    """The labels that a voter's votes depend on, with their codes: adding a label at the end changes no other voter."""
    label = getattr(voter.spec, "label", None)
    return {label: task.labels.index(label)} if label else list(task.labels)


def _choose(patterns: Sequence[str], voters: Sequence[Node], task: TaskInfo, definition: Definition) -> list[Node]:
    chosen: dict[str, Node] = {}
    for index, pattern in enumerate(patterns):
        out, wanted = pattern.startswith("-"), pattern.removeprefix("-")
        matching = [n for n in voters if _matches(n, wanted)]
        if not matching and wanted != "*" and not wanted.startswith("tag:"):
            known = [n.name for n in voters]
            raise UnknownVoter(
                definition.at("voters", index),
                pattern=pattern,
                task=task.name,
                known=listing(known, 40),
                hint=did_you_mean(wanted, known),
            )
        for node in matching:
            if out:
                chosen.pop(node.id, None)
            else:
                chosen[node.id] = node
    if not chosen:
        raise UnknownVoter(
            definition.at("voters"),
            pattern=", ".join(patterns),
            task=task.name,
            known=listing([n.name for n in voters]),
            hint="",
        )
    return sorted(chosen.values(), key=lambda n: n.id)


def _matches(node: Node, pattern: str) -> bool:
    if pattern.startswith("tag:"):
        return pattern[4:] in node.tags
    if pattern.startswith("kind:"):
        return pattern[5:] == node.kind
    return fnmatch.fnmatchcase(node.name, pattern) or ("." in pattern and fnmatch.fnmatchcase(node.id, pattern))


def _check_abstain(config: LabelModelConfig, voters: Sequence[Node], task: TaskInfo, definition: Definition) -> None:
    for pattern in config.abstain:
        if not any(_matches(n, pattern) for n in voters):
            known = [n.name for n in voters]
            place, hint = definition.at("abstain", pattern, key=True), did_you_mean(pattern, known)
            raise UnknownVoter(place, pattern=pattern, task=task.name, known=listing(known, 40), hint=hint)


def _abstain(node: Node, config: LabelModelConfig) -> str:
    for pattern, policy in config.abstain.items():
        if _matches(node, pattern):
            return policy
    return str(node.spec.abstain)


def _splits(task: TaskInfo) -> Any:
    gold = task.gold.model_dump() if task.gold else None
    return {"column": task.split_column, "hash": task.hash_splits.hash if task.hash_splits else None, "gold": gold}


def _algorithm_version(name: str) -> int:
    from teachkit.label_models import VERSIONS

    return VERSIONS.get(name, 0)


def _plain(row: Mapping[str, Any]) -> dict[str, str]:
    return {k: repr(v) for k, v in sorted(row.items())}


def _entry_text(definition: Definition) -> str:
    """A YAML definition as canonical text, for lineage."""
    return canonical_json(definition.config.model_dump(mode="json", exclude_defaults=True))


def _modules(root: Path) -> Callable[[str], tuple[str, str] | None]:
    """Finds project-local Python modules by dotted name."""

    def find(name: str) -> tuple[str, str] | None:
        base = root / Path(*name.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path.relative_to(root).as_posix(), _python_text(path, root)
        return None

    return find


def _python_text(path: Path, root: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Where(path.relative_to(root).as_posix(), data[: error.start].count(b"\n") + 1)
        raise NotUtf8(place, byte=f"0x{data[error.start]:02x}", offset=error.start, name=path.name) from error


def _topological(inputs: Mapping[str, Iterable[str]], places: Mapping[str, Where]) -> list[str]:
    order: list[str] = []
    state: dict[str, int] = {}

    def visit(node: str, path: tuple[str, ...]) -> None:
        if state.get(node) == 2:
            return
        if state.get(node) == 1:
            circle = [*path[path.index(node) :], node]
            raise ProjectErrors([Cycle(places.get(node), path=" -> ".join(circle))])
        state[node] = 1
        for parent in inputs.get(node, ()):
            if parent in inputs:
                visit(parent, (*path, node))
        state[node] = 2
        order.append(node)

    for node in inputs:
        visit(node, ())
    return order


def _own(node: Node) -> str:
    try:
        return digest(node.canonical)
    except (TypeError, ValueError) as error:
        advice = "put dates in quotes; leave out what is not a number"
        raise BadValue(
            node.where, key=node.name, problem=f"a value has no plain form: {error}", advice=advice
        ) from error


def _finish(nodes: Mapping[str, Node], tasks: Mapping[str, TaskInfo]) -> Graph:
    places = {n.id: n.where for n in nodes.values()}
    order = _topological({n.id: n.inputs for n in nodes.values()}, places)
    final: dict[str, Node] = {}
    for node_id in order:
        node = nodes[node_id]
        own = _own(node)
        fingerprint = digest(
            [own, [final[i].fingerprint for i in node.inputs], sorted((k, v) for k, v in node.reads.items())]
        )
        final[node_id] = dataclasses.replace(node, own=own, fingerprint=fingerprint)
    children: dict[str, list[str]] = {}
    for node in final.values():
        for parent in node.inputs:
            children.setdefault(parent, []).append(node.id)
    return Graph(final, dict(tasks), {k: tuple(v) for k, v in children.items()})


__all__ = ["LABEL_SET_COLUMNS", "BadSql", "DescribeSource", "Memo", "NoMemo", "compile_graph", "pretty", "read_config"]
