"""The project's files, read and validated: all of them, all errors at once, nothing resolved yet."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from teachkit.errors import (
    BadOption,
    BadYaml,
    NotAProject,
    NotUtf8,
    ProjectErrors,
    TeachkitError,
    UnknownTarget,
    Where,
    did_you_mean,
    listing,
)
from teachkit.project import models
from teachkit.project.templates import Templates, has_jinja
from teachkit.project.validate import validate
from teachkit.project.yaml_file import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

M = TypeVar("M", bound=BaseModel)

_MACRO = re.compile(r"\{%-?\s*macro\s+(\w+)\s*\(.*?\{%-?\s*endmacro\s*-?%\}", re.DOTALL)
_GENERIC_TEST = re.compile(r"\{%-?\s*test\s+(\w+)\s*\((.*?)\)\s*-?%\}(.*?)\{%-?\s*endtest\s*-?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Definition:
    """One thing that a file defines: its kind and name, its validated configuration, its text, its place."""

    kind: str
    name: str
    where: Where
    config: Any = None
    text: str = ""
    task: str | None = None
    group: str = ""
    file: YamlFile | None = field(default=None, repr=False)
    base: tuple[str | int, ...] = ()

    def at(self, *path: str | int, key: bool = False) -> Where:
        """The place of a value inside this definition."""
        return self.file.where((*self.base, *path), key=key) if self.file else self.where


@dataclass(frozen=True, slots=True)
class GenericTest:
    """A test that the project's macros define: ``{% test name(model, column_name, …) %}``."""

    name: str
    arguments: str
    body: str
    where: Where


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """Everything that the project's folder says."""

    root: Path
    config: models.ProjectConfig
    target_name: str
    target: models.Target
    definitions: tuple[Definition, ...]
    generic_tests: Mapping[str, GenericTest]
    selectors: Mapping[str, models.Selector]
    templates: Templates

    @property
    def store_path(self) -> Path:
        """The folder of the store."""
        return self.root / self.target.store

    @property
    def lock_path(self) -> Path:
        """``teachkit.lock``."""
        return self.root / "teachkit.lock"

    @property
    def target_path(self) -> Path:
        """The folder of compiled files and artefacts."""
        return self.root / self.config.paths.target

    def of(self, kind: str) -> Iterator[Definition]:
        """The definitions of one kind, in the order of their files."""
        return (d for d in self.definitions if d.kind == kind)


class ReadOptions(Protocol):
    """What a command line decides about reading."""

    target: str | None
    profiles_dir: Path | None
    variables: Mapping[str, Any]
    threads: int | None


def find_root(start: Path) -> Path:
    """The folder of the nearest ``teachkit.yml`` at or above ``start``."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "teachkit.yml").is_file():
            return folder
    raise NotAProject(None, folder=start)


def read_project(root: Path, options: ReadOptions) -> ProjectFiles:
    """Read all files of the project below ``root``.

    Raises:
        ProjectErrors: everything that is wrong with them, each with its place.
    """
    reader = _Reader(root)
    config = reader.yaml(root / "teachkit.yml", models.ProjectConfig)
    if config is None:
        raise ProjectErrors(reader.errors)
    target_name, target = _profile(reader, root, options)
    macros, generic_tests = reader.macros(config.paths.macros)
    variables = {**config.vars, **options.variables}
    templates = Templates(variables=variables, target={"name": target_name, "threads": target.threads}, macros=macros)
    definitions = tuple(reader.definitions(config))
    selectors_path = root / "selectors.yml"
    selectors = reader.yaml(selectors_path, models.SelectorsFile) if selectors_path.is_file() else None
    if reader.errors:
        raise ProjectErrors(reader.errors)
    return ProjectFiles(
        root=root,
        config=config,
        target_name=target_name,
        target=target,
        definitions=definitions,
        generic_tests=generic_tests,
        selectors={s.name: s for s in selectors.selectors} if selectors else {},
        templates=templates,
    )


def _profile(reader: _Reader, root: Path, options: ReadOptions) -> tuple[str, models.Target]:
    places = [root, Path.home() / ".teachkit"]
    if options.profiles_dir is not None:
        if not (options.profiles_dir / "profiles.yml").is_file():
            problem = f"there is no profiles.yml in '{options.profiles_dir}'"
            raise BadOption(None, option="--profiles-dir", problem=problem, advice="name the folder that holds it")
        places = [options.profiles_dir]
    path = next((p / "profiles.yml" for p in places if (p / "profiles.yml").is_file()), None)
    profiles: models.Profiles | None = models.Profiles()
    if path is not None:
        profiles = reader.yaml(path, models.Profiles, render=Templates(variables={}, target={}, macros={}))
    if profiles is None:
        raise ProjectErrors(reader.errors)
    name = options.target or profiles.default
    if name not in profiles.targets:
        raise UnknownTarget(
            None, target=name, known=listing(profiles.targets), hint=did_you_mean(name, profiles.targets)
        )
    target = profiles.targets[name]
    return name, target.model_copy(update={"threads": options.threads}) if options.threads else target


class _Reader:
    """Reads files and keeps the errors of all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.errors: list[TeachkitError] = []

    def text(self, path: Path) -> str | None:
        name = self._name(path)
        data = path.read_bytes()
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            self.errors.append(
                NotUtf8(Where(name, line), byte=f"0x{data[error.start]:02x}", offset=error.start, name=path.name)
            )
            return None

    def yaml(self, path: Path, model: type[M], render: Templates | None = None) -> M | None:
        found = self.yaml_file(path, model, render)
        return found[1] if found else None

    def yaml_file(self, path: Path, model: type[M], render: Templates | None = None) -> tuple[YamlFile, M] | None:
        text = self.text(path)
        if text is None:
            return None
        try:
            file = read_yaml(self._name(path), text)
            if render is not None:
                file = YamlFile(file.path, _render(file, (), file.value, render), file.keys, file.values)
            return file, validate(model, file)
        except ProjectErrors as error:
            self.errors.extend(error.errors)
        except TeachkitError as error:
            self.errors.append(error)
        return None

    def macros(self, folder: str) -> tuple[dict[str, tuple[str, str]], dict[str, GenericTest]]:
        macros: dict[str, tuple[str, str]] = {}
        tests: dict[str, GenericTest] = {}
        for path in self.files(folder, ".sql", ".jinja"):
            text = self.text(path) or ""
            name = self._name(path)
            macros |= {match[1]: (name, match[0]) for match in _MACRO.finditer(text)}
            for match in _GENERIC_TEST.finditer(text):
                where = Where(name, text.count("\n", 0, match.start()) + 1)
                tests[match[1]] = GenericTest(match[1], match[2], match[3], where)
        return macros, tests

    def definitions(self, config: models.ProjectConfig) -> Iterator[Definition]:
        paths = config.paths
        yield from self._sources(paths.sources)
        yield from self._transforms(paths.transforms)
        yield from self._tasks(paths.tasks)
        yield from self._labeling_functions(paths.labeling_functions)
        yield from self._annotations(paths.annotations)
        for path in self.files(paths.label_models, ".yml", ".yaml"):
            yield from self._entries(path, models.LabelModelsFile, "label_models", "label_model")
        for path in self.files(paths.exports, ".yml", ".yaml"):
            yield from self._entries(path, models.ExportsFile, "exports", "export")
        yield from self._tests(paths.tests)

    def files(self, folder: str, *endings: str) -> list[Path]:
        """The files below a folder, in the order of their names; hidden ones and ``__pycache__`` left out."""
        found: list[Path] = []
        for base, folders, names in os.walk(self.root / folder):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
            found += [Path(base, name) for name in sorted(names) if name.endswith(endings) and not name.startswith(".")]
        return found

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def _entries(
        self, path: Path, model: type[BaseModel], key: str, kind: str, task: str | None = None
    ) -> Iterator[Definition]:
        found = self.yaml_file(path, model)
        if found is None:
            return
        file, content = found
        for index, entry in enumerate(getattr(content, key)):
            base = (key, index)
            name = getattr(entry, "name", "") or getattr(entry, "node", "")
            yield Definition(kind, name, file.where(base), entry, "", task, file=file, base=base)

    def _sources(self, folder: str) -> Iterator[Definition]:
        for path in self.files(folder, ".yml", ".yaml"):
            found = self.yaml_file(path, models.SourcesFile)
            if found is None:
                continue
            file, content = found
            for i, source in enumerate(content.sources):
                for j, table in enumerate(source.tables):
                    base = ("sources", i, "tables", j)
                    yield Definition("source", table.name, file.where(base), table, "", None, source.name, file, base)

    def _transforms(self, folder: str) -> Iterator[Definition]:
        for path in self.files(folder, ".sql"):
            text = self.text(path)
            if text is not None:
                group = path.parent.relative_to(self.root / folder).as_posix()
                yield Definition("transform", path.stem, Where(self._name(path), 1), None, text, None, group)
        for path in self.files(folder, ".yml", ".yaml"):
            yield from self._entries(path, models.TransformsFile, "transforms", "transform_notes")

    def _tasks(self, folder: str) -> Iterator[Definition]:
        for path in self.files(folder, ".yml", ".yaml"):
            for definition in self._entries(path, models.TasksFile, "tasks", "task"):
                text = ""
                if definition.config.guideline:
                    guideline = path.parent / definition.config.guideline
                    if guideline.is_file():
                        text = self.text(guideline) or ""
                    else:
                        problem = f"the guideline '{definition.config.guideline}' is not beside this file"
                        self.errors.append(
                            BadYaml(
                                definition.at("guideline"), problem=problem, advice="write the file, or remove the key"
                            )
                        )
                yield Definition(
                    "task",
                    definition.name,
                    definition.where,
                    definition.config,
                    text,
                    None,
                    "",
                    definition.file,
                    definition.base,
                )

    def _labeling_functions(self, folder: str) -> Iterator[Definition]:
        kinds = {".sql": "lf_sql", ".py": "lf_python"}
        for path in self.files(folder, ".sql", ".py", ".yml", ".yaml"):
            parts = path.relative_to(self.root / folder).parts
            if len(parts) < 2:
                problem = "a labeling function lies in the folder of its task"
                advice = f"move it to {folder}/<task>/{path.name}"
                self.errors.append(BadYaml(Where(self._name(path)), problem=problem, advice=advice))
                continue
            task = parts[0]
            if path.suffix in kinds:
                text = self.text(path)
                if text is not None:
                    yield Definition(kinds[path.suffix], path.stem, Where(self._name(path), 1), None, text, task)
                continue
            for definition in self._entries(path, models.RulesFile, "labeling_functions", "lf_yaml", task):
                yield Definition(
                    "lf_yaml",
                    definition.name,
                    definition.where,
                    definition.config,
                    self._dictionary(path, definition),
                    task,
                    "",
                    definition.file,
                    definition.base,
                )

    def _dictionary(self, path: Path, definition: Definition) -> str:
        from teachkit.errors import BadDictionary

        name = definition.config.dictionary
        if not name:
            return ""
        dictionary = path.parent / name
        if not dictionary.is_file():
            self.errors.append(
                BadDictionary(
                    definition.at("dictionary"),
                    dictionary=name,
                    problem="no such file beside this one",
                    advice="write it, one word or phrase a line",
                )
            )
            return ""
        return self.text(dictionary) or ""

    def _annotations(self, folder: str) -> Iterator[Definition]:
        notes: dict[Path, models.AnnotationsFile] = {}
        for path in self.files(folder, ".yml", ".yaml"):
            if path.name not in ("_meta.yml", "_meta.yaml"):
                problem = "only _meta.yml is read in folders of annotations"
                self.errors.append(BadYaml(Where(self._name(path)), problem=problem, advice="rename it to _meta.yml"))
                continue
            found = self.yaml_file(path, models.AnnotationsFile)
            if found is not None:
                notes[path.parent] = found[1]
                for name in found[1].files:
                    if not any(fnmatch.fnmatch(f.name, name) for f in path.parent.iterdir()):
                        problem, advice = f"no file here is called '{name}'", "remove the entry, or mend the name"
                        self.errors.append(
                            BadYaml(found[0].where(("files", name), key=True), problem=problem, advice=advice)
                        )
        for path in self.files(folder, ".jsonl", ".csv"):
            parts = path.relative_to(self.root / folder).parts
            if len(parts) < 2:
                advice = f"move it to {folder}/<task>/{path.name}"
                self.errors.append(
                    BadYaml(
                        Where(self._name(path)), problem="annotations lie in the folder of their task", advice=advice
                    )
                )
                continue
            meta = next(
                (
                    m
                    for name, m in getattr(notes.get(path.parent), "files", {}).items()
                    if fnmatch.fnmatch(path.name, name)
                ),
                None,
            )
            yield Definition(
                "annotations", path.stem, Where(self._name(path)), meta or models.AnnotationMeta(), "", parts[0]
            )

    def _tests(self, folder: str) -> Iterator[Definition]:
        for path in self.files(folder, ".sql"):
            text = self.text(path)
            if text is not None:
                yield Definition("test_sql", path.stem, Where(self._name(path), 1), None, text)
        for path in self.files(folder, ".yml", ".yaml"):
            found = self.yaml_file(path, models.TestsFile)
            if found is None:
                continue
            file, content = found
            for index, unit in enumerate(content.unit_tests):
                base = ("unit_tests", index)
                yield Definition("unit_test", unit.name, file.where(base), unit, "", None, "", file, base)
            for index, tests in enumerate(content.tests):
                base = ("tests", index)
                yield Definition("node_tests", tests.node, file.where(base), tests, "", None, "", file, base)


def _render(file: YamlFile, path: tuple[str | int, ...], value: Any, templates: Templates) -> Any:
    if isinstance(value, dict):
        return {k: _render(file, (*path, k), v, templates) for k, v in value.items()}
    if isinstance(value, list):
        return [_render(file, (*path, i), v, templates) for i, v in enumerate(value)]
    if isinstance(value, str) and has_jinja(value):
        rendered = templates.render(value, file.where(path))
        return int(rendered) if rendered.isdigit() else rendered
    return value
