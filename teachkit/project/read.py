"""The project's files, read and validated: all of them, all errors at once, nothing resolved yet."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel

from teachkit.errors import (
    BadDictionary,
    BadOption,
    DuplicateName,
    MergeConflict,
    MisplacedFile,
    MissingFile,
    NotAProject,
    NotUtf8,
    ProjectErrors,
    TeachkitError,
    UnknownTarget,
    UnreadableFile,
    Where,
    did_you_mean,
    listing,
)
from teachkit.project import models
from teachkit.project.conflicts import refuse_conflict
from teachkit.project.front_matter import split_front_matter
from teachkit.project.llm_models import PricesFile, PromptConfig
from teachkit.project.macros import read_macros
from teachkit.project.root import name_below
from teachkit.project.templates import Templates
from teachkit.project.validate import validate
from teachkit.project.values import render_values, without_jinja
from teachkit.project.yaml_file import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from teachkit.project.macros import GenericTest, Macro

M = TypeVar("M", bound=BaseModel)

TRIED = "(tried)"
"""The name of a rule that is tried and has no file; no file of a project can give a voter this name."""

_TABLES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods", ".numbers", ".tsv", ".tab", ".txt")
_OBJECTS = (".json", ".ndjson")
"""Endings of files that may hold judgments, in forms that annotations are not read from."""


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

    def text_at(self, *path: str | int) -> Where:
        """The place of the first character of a text inside this definition."""
        return self.file.text((*self.base, *path)) if self.file else self.where


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """Everything that the project's folder says.

    ``tried`` are labeling functions beside the project: compiled like the others, unless they are there already, and
    known to no label set.
    """

    root: Path
    config: models.ProjectConfig
    target_name: str
    target: models.Target
    definitions: tuple[Definition, ...]
    generic_tests: Mapping[str, GenericTest]
    selectors: Mapping[str, models.Selector]
    templates: Templates
    prices: PricesFile | None = None
    tried: tuple[Definition, ...] = ()

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

    @property
    def target(self) -> str | None:
        """The target's name; None for the profile's default."""

    @property
    def profiles_dir(self) -> Path | None:
        """Where ``profiles.yml`` lies; None to look for it."""

    @property
    def variables(self) -> Mapping[str, Any]:
        """Values above those of ``vars`` in ``teachkit.yml``."""

    @property
    def threads(self) -> int | None:
        """Instead of the target's."""


def read_config(root: Path) -> models.ProjectConfig:
    """Read ``teachkit.yml`` alone: what is wrong elsewhere does not matter."""
    reader = _Reader(root)
    config = reader.yaml(root / "teachkit.yml", models.ProjectConfig)
    if config is None:
        raise ProjectErrors(reader.errors)
    return config


def read_target(root: Path, options: ReadOptions) -> models.Target:
    """Read the chosen target of ``profiles.yml`` alone: what is wrong elsewhere does not matter.

    Raises:
        ProjectErrors, UnknownTarget, BadOption: it cannot be read, or is not there.
    """
    reader = _Reader(root)
    _, target = _profile(reader, root, options)
    if reader.errors:
        raise ProjectErrors(reader.errors)
    return target


def read_project(root: Path, options: ReadOptions) -> ProjectFiles:
    """Read all files of the project below ``root``.

    Raises:
        ProjectErrors: everything that is wrong with them, each with its place.
    """
    if not (root / "teachkit.yml").is_file():
        raise NotAProject(None, folder=root)
    reader = _Reader(root)
    config = reader.yaml(root / "teachkit.yml", models.ProjectConfig)
    if config is None:
        raise ProjectErrors(reader.errors)
    target_name, target = _profile(reader, root, options)
    macros, generic_tests = reader.macros(config.paths.macros)
    variables = {**config.vars, **options.variables}
    templates = Templates(variables=variables, target={"name": target_name, "threads": target.threads}, macros=macros)
    templates.environment_read.update(reader.environment_read)
    definitions = tuple(reader.definitions(config))
    selectors_path = root / "selectors.yml"
    selectors = reader.selectors(selectors_path) if selectors_path.is_file() else {}
    prices_path = root / "prices.yml"
    prices = reader.yaml(prices_path, PricesFile) if prices_path.is_file() else None
    if reader.errors:
        raise ProjectErrors(reader.errors)
    return ProjectFiles(
        root=root,
        config=config,
        target_name=target_name,
        target=target,
        definitions=definitions,
        generic_tests=generic_tests,
        selectors=selectors,
        templates=templates,
        prices=prices,
    )


def read_prompt(name: str, text: str, task: str) -> Definition:
    """A prompt from the text of its file, which is called ``name`` in messages.

    Raises:
        TeachkitError: its front matter cannot be read; ``ProjectErrors`` if several things are wrong with it.
    """
    front, body, line = split_front_matter(name, text)
    file = read_yaml(name, front)
    config = validate(PromptConfig, file)
    return Definition("prompt", PurePosixPath(name).stem, Where(name, line), config, body, task, "", file, ())


def _profile(reader: _Reader, root: Path, options: ReadOptions) -> tuple[str, models.Target]:
    """The chosen target: only its values are rendered, so that the secrets of others need not be there."""
    path = _profiles_path(root, options)
    if path is None:
        profiles, file = models.Profiles(), None
    else:
        found = reader.profiles(path, options.target)
        if found is None:
            raise ProjectErrors(reader.errors)
        file, profiles = found
    name = options.target or profiles.default
    if name not in profiles.targets:
        where = file.where(("default",)) if file is not None and not options.target else None
        hint = did_you_mean(name, profiles.targets)
        raise UnknownTarget(where, target=name, known=listing(profiles.targets), hint=hint)
    target = profiles.targets[name]
    return name, target.model_copy(update={"threads": options.threads}) if options.threads else target


def _profiles_path(root: Path, options: ReadOptions) -> Path | None:
    """The first ``profiles.yml`` in --profiles-dir, TEACHKIT_PROFILES_DIR, the project, ``~/.teachkit``."""
    named = os.environ.get("TEACHKIT_PROFILES_DIR")
    for option, folder in (("--profiles-dir", options.profiles_dir), ("TEACHKIT_PROFILES_DIR", named)):
        if folder:
            path = Path(folder) / "profiles.yml"
            if not path.is_file():
                problem = f"there is no profiles.yml in '{folder}'"
                raise BadOption(None, option=option, problem=problem, advice="name the folder that holds it")
            return path
    places = (root / "profiles.yml", Path.home() / ".teachkit" / "profiles.yml")
    return next((path for path in places if path.is_file()), None)


class _Reader:
    """Reads files and keeps the errors of all."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.errors: list[TeachkitError] = []
        self.environment_read: dict[str, str | None] = {}

    def text(self, path: Path) -> str | None:
        name = self._name(path)
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig").replace("\r\n", "\n")
            refuse_conflict(text, name)
        except OSError as error:
            self.errors.append(UnreadableFile(Where(name), problem=error.strerror or str(error)))
        except UnicodeDecodeError as error:
            self.errors.append(NotUtf8.of(name, data, error))
        except MergeConflict as error:
            self.errors.append(error)
        else:
            return text
        return None

    def yaml(self, path: Path, model: type[M]) -> M | None:
        found = self.yaml_file(path, model)
        return found[1] if found else None

    def yaml_file(
        self, path: Path, model: type[M], change: Callable[[YamlFile], YamlFile] | None = None
    ) -> tuple[YamlFile, M] | None:
        text = self.text(path)
        return None if text is None else self._validated(self._name(path), text, model, change)

    def _validated(
        self, name: str, text: str, model: type[M], change: Callable[[YamlFile], YamlFile] | None = None
    ) -> tuple[YamlFile, M] | None:
        try:
            file = read_yaml(name, text)
            if change is not None:
                file = change(file)
            return file, validate(model, file)
        except ProjectErrors as error:
            self.errors.extend(error.errors)
        except TeachkitError as error:
            self.errors.append(error)
        return None

    def profiles(self, path: Path, target: str | None) -> tuple[YamlFile, models.Profiles] | None:
        """``profiles.yml``; of targets that are not chosen, what holds Jinja is left out."""
        templates = Templates(variables={}, target={}, macros={})

        def change(file: YamlFile) -> YamlFile:
            if not isinstance(file.value, dict):
                return file
            value = dict(file.value)
            value["default"] = render_values(file, ("default",), value.get("default", "dev"), templates)
            targets, chosen = value.get("targets"), target or value["default"]
            if isinstance(targets, dict):
                value["targets"] = {
                    name: render_values(file, ("targets", name), t, templates) if name == chosen else without_jinja(t)
                    for name, t in targets.items()
                }
            return file.inside((), value)

        before = len(self.errors)
        found = self.yaml_file(path, models.Profiles, change)
        self.errors[before:] = [templates.without_secrets(e) for e in self.errors[before:]]
        self.environment_read.update(templates.environment_read)
        return found

    def selectors(self, path: Path) -> dict[str, models.Selector]:
        found = self.yaml_file(path, models.SelectorsFile)
        selectors: dict[str, models.Selector] = {}
        places: dict[str, Where] = {}
        for index, selector in enumerate(found[1].selectors if found else ()):
            where = found[0].where(("selectors", index)) if found else Where(self._name(path))
            if selector.name in selectors:
                self._twice("selector", selector.name, where, places[selector.name])
            selectors[selector.name], places[selector.name] = selector, where
        return selectors

    def macros(self, folder: str) -> tuple[dict[str, Macro], dict[str, GenericTest]]:
        macros: dict[str, Macro] = {}
        tests: dict[str, GenericTest] = {}
        for path in self.files(folder, ".sql", ".jinja"):
            text = self.text(path)
            try:
                found = read_macros(text or "", self._name(path))
            except ProjectErrors as error:
                self.errors.extend(error.errors)
                continue
            for macro in found[0]:
                if macro.name in macros:
                    self._twice("macro", macro.name, macro.where, macros[macro.name].where)
                macros[macro.name] = macro
            for test in found[1]:
                if test.name in tests:
                    self._twice("test", test.name, test.where, tests[test.name].where)
                tests[test.name] = test
        return macros, tests

    def _twice(self, kind: str, name: str, where: Where, other: Where) -> None:
        self.errors.append(DuplicateName(where, kind=kind, name=name, other=other))

    def definitions(self, config: models.ProjectConfig) -> Iterator[Definition]:
        paths = config.paths
        yield from self._sources(paths.sources)
        yield from self._transforms(paths.transforms)
        yield from self._tasks(paths.tasks)
        yield from self._labeling_functions(paths.labeling_functions)
        yield from self._prompts(paths.prompts)
        yield from self._annotations(paths.annotations)
        for path in self.files(paths.label_models, ".yml", ".yaml"):
            yield from self._entries(path, models.LabelModelsFile, "label_models", "label_model")
        for path in self.files(paths.exports, ".yml", ".yaml"):
            yield from self._entries(path, models.ExportsFile, "exports", "export")
        yield from self._tests(paths.tests)

    def files(self, folder: str, *endings: str) -> list[Path]:
        """The files below a folder, in the order of their names; hidden ones and ``__pycache__`` left out.

        Whether their endings are written large or small does not matter.
        """
        found: list[Path] = []
        for base, folders, names in os.walk(self.root / folder):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
            shown = (name for name in sorted(names) if not name.startswith("."))
            found += [Path(base, name) for name in shown if name.lower().endswith(endings)]
        return found

    def _name(self, path: Path) -> str:
        return name_below(path, self.root)

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
                    table = table.model_copy(update={"tags": [*source.tags, *table.tags]})
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
                        place, name = definition.at("guideline"), definition.config.guideline
                        self.errors.append(MissingFile(place, key="guideline", file=name))
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
                self.errors.append(MisplacedFile(Where(self._name(path)), problem=problem, advice=advice))
                continue
            task = parts[0]
            kind = kinds.get(path.suffix.lower())
            if kind is not None:
                text = self.text(path)
                if text is not None:
                    yield Definition(kind, path.stem, Where(self._name(path), 1), None, text, task)
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

    def _prompts(self, folder: str) -> Iterator[Definition]:
        for path in self.files(folder, ".md"):
            parts = path.relative_to(self.root / folder).parts
            if any(part.startswith("_") for part in parts):
                continue  # a file for prompts to include
            if len(parts) < 2:
                problem, advice = "a prompt lies in the folder of its task", f"move it to {folder}/<task>/{path.name}"
                self.errors.append(MisplacedFile(Where(self._name(path)), problem=problem, advice=advice))
                continue
            text = self.text(path)
            found = None if text is None else self._prompt(self._name(path), text, parts[0])
            if found is not None:
                yield found

    def _prompt(self, name: str, text: str, task: str) -> Definition | None:
        try:
            return read_prompt(name, text, task)
        except ProjectErrors as error:
            self.errors.extend(error.errors)
        except TeachkitError as error:
            self.errors.append(error)
        return None

    def _annotations(self, folder: str) -> Iterator[Definition]:
        notes: dict[Path, models.AnnotationsFile] = {}
        for path in self.files(folder, ".yml", ".yaml"):
            if path.name not in ("_meta.yml", "_meta.yaml"):
                problem = "only _meta.yml is read in folders of annotations"
                place = Where(self._name(path))
                self.errors.append(MisplacedFile(place, problem=problem, advice="rename it to _meta.yml"))
                continue
            found = self.yaml_file(path, models.AnnotationsFile)
            if found is not None:
                notes[path.parent] = found[1]
                for name in found[1].files:
                    if not any(fnmatch.fnmatch(f.name, name) for f in path.parent.iterdir()):
                        place = found[0].where(("files", name), key=True)
                        self.errors.append(MissingFile(place, key="files", file=name))
        for path in self.files(folder, *_TABLES, *_OBJECTS):
            if not path.name.startswith("~$"):  # Excel's mark of a file that is open
                self.errors.append(MisplacedFile(Where(self._name(path)), **_other_form(path)))
        for path in self.files(folder, ".jsonl", ".csv"):
            parts = path.relative_to(self.root / folder).parts
            if len(parts) < 2:
                advice = f"move it to {folder}/<task>/{path.name}"
                problem = "annotations lie in the folder of their task"
                self.errors.append(MisplacedFile(Where(self._name(path)), problem=problem, advice=advice))
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


def _other_form(path: Path) -> dict[str, str]:
    """What is wrong with a file beside annotations that none is read from, and what to do."""
    save = f"save it as CSV (UTF-8), with commas between the columns: {path.stem}.csv"
    if path.suffix.lower() in _OBJECTS:
        save = f"write one JSON object a line: {path.stem}.jsonl"
    problem = "this file would not be read: judgments stand in files that end in .csv or .jsonl"
    return {"problem": problem, "advice": f"{save}; what holds no judgments belongs in another folder"}
