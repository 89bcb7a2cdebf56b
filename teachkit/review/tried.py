"""What is tried: a rule given on the command line, a file, or a voter that exists, compiled with the project."""

from __future__ import annotations

import dataclasses
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.build.workspace import open_workspace
from teachkit.errors import BadOption, ProjectErrors, TeachkitError, UnknownNode, Where, did_you_mean, listing
from teachkit.graph import find_node
from teachkit.graph.node import FUNCTIONS
from teachkit.project import TRIED, Definition
from teachkit.project.models import RuleLF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.build.run import BuildOptions
    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node
    from teachkit.project import ProjectFiles

CODED = ("choice", "multichoice", "ordinal", "pairwise")
"""The kinds of tasks whose votes are labels."""
_KINDS = ("lf_sql", "lf_yaml", "lf_python")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A labeling function to try: a rule (of words, a regular expression or SQL), a ``file``, or a ``voter``.

    The keys of a rule are those of ``labeling_functions/<task>/*.yml``. With ``save`` a rule is written under this
    name, to a file that is not there yet.
    """

    task: str | None = None
    label: str | None = None
    any_of: Sequence[str] = ()
    all_of: Sequence[str] = ()
    none_of: Sequence[str] = ()
    regex: str | None = None
    column: str | None = None
    min_hits: int | None = None
    case_sensitive: bool = False
    word_boundaries: bool = True
    sql: str | None = None
    file: str | None = None
    voter: str | None = None
    save: str | None = None

    @property
    def is_rule(self) -> bool:
        """Whether it is given by words, a regular expression or SQL."""
        return bool(self.any_of or self.all_of or self.none_of or self.regex is not None or self.sql is not None)

    def keys(self) -> dict[str, Any]:
        """The keys of the rule in YAML that are not as by default, without its name."""
        given = {
            "label": self.label,
            "column": self.column,
            "any_of": list(self.any_of),
            "all_of": list(self.all_of),
            "none_of": list(self.none_of),
            "regex": self.regex,
            "min_hits": self.min_hits,
            "case_sensitive": self.case_sensitive,
        }
        found = {key: value for key, value in given.items() if value not in (None, [], False)}
        return found if self.word_boundaries else {**found, "word_boundaries": False}


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as a file of the project: its path from the project's folder, its text."""

    path: str
    text: str


@contextmanager
def open_tried(root: Path, options: BuildOptions, wanted: Wanted) -> Iterator[tuple[Workspace, list[Node]]]:
    """The compiled project and the labeling functions that are meant: several where a file holds several.

    Raises:
        BadOption, UnknownNode: the options do not say what is tried, or there is no such file or voter.
        TeachkitError: what is wrong with it, as in a build.
    """
    _check(wanted)
    try:
        with open_workspace(root, options, change=lambda files: _with_tried(files, wanted)) as work:
            nodes = _nodes(work, wanted)
            for node in nodes:
                check_kind(work.graph.tasks[node.task or ""].kind, node.task or "", "try")
            yield work, nodes
    except TeachkitError as error:
        raise _as_tried(error) from error


def check_kind(kind: str, task: str, command: str) -> None:
    """Refuse a task of a kind whose votes are not labels."""
    if kind not in CODED:
        problem = f"task '{task}' is of the kind '{kind}'"
        advice = f"'{command}' takes tasks of the kinds {listing(CODED)}"
        raise BadOption(None, option="TASK", problem=problem, advice=advice)


def draft(files: ProjectFiles, wanted: Wanted, task: str) -> Draft | None:
    """What to write to keep a rule; None for what has a file."""
    if not wanted.is_rule:
        return None
    name = wanted.save or _new_name(files, wanted, task)
    folder = f"{files.config.paths.labeling_functions}/{task}"
    if wanted.sql is not None:
        return Draft(f"{folder}/{name}.sql", _sql_text(wanted))
    import yaml

    entry = {"name": name, **wanted.keys()}
    text = yaml.safe_dump({"labeling_functions": [entry]}, sort_keys=False, allow_unicode=True, width=100)
    return Draft(f"{folder}/{name}.yml", text)


def check_save(work: Workspace, wanted: Wanted, found: Draft | None, task: str) -> None:
    """Refuse a name that cannot be used, or that is taken."""
    if wanted.save is None:
        return
    if found is None:
        problem, advice = "what is tried has a file", "save goes with --any-of, --all-of, --regex and --sql"
        raise BadOption(None, option="--save", problem=problem, advice=advice)
    if not _NAME.fullmatch(wanted.save):
        problem = f"'{wanted.save}' is no name"
        raise BadOption(None, option="--save", problem=problem, advice="write letters, digits and underscores")
    there = [n for n in work.graph.of(*FUNCTIONS) if n.task == task and n.name == wanted.save]
    if there or wanted.save in _names(work.files, task) or (work.files.root / found.path).exists():
        place = there[0].where.path if there else found.path
        problem = f"task '{task}' has a voter '{wanted.save}' already ({place})"
        raise BadOption(None, option="--save", problem=problem, advice="choose another name")


def save(files: ProjectFiles, found: Draft) -> None:
    """Write the file; it must not be there."""
    path = files.root / found.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(found.text)


def _check(wanted: Wanted) -> None:
    given = [wanted.is_rule, wanted.file is not None, wanted.voter is not None]
    ways = "write one of --any-of, --all-of, --regex, --sql, --file, --voter or --prompt"
    if sum(given) == 0:
        raise BadOption(None, option="try", problem="nothing says what is tried", advice=ways)
    if sum(given) > 1:
        raise BadOption(None, option="try", problem="a rule, --file and --voter do not go together", advice=ways)
    given_keys = [*wanted.keys()]
    if not wanted.is_rule:
        used = [f"--{key.replace('_', '-')}" for key in given_keys]
        if used:
            advice = "its file says that; leave it out"
            raise BadOption(None, option=used[0], problem="it does not go with --file or --voter", advice=advice)
        return
    if wanted.sql is not None:
        used = [f"--{key.replace('_', '-')}" for key in given_keys if key != "label"]
        if used:
            raise BadOption(None, option=used[0], problem="it does not go with --sql", advice="write it in the SQL")
        if not wanted.sql.strip():
            advice = 'write an expression: --sql "length(text) < 20"'
            raise BadOption(None, option="--sql", problem="it is empty", advice=advice)


def _with_tried(files: ProjectFiles, wanted: Wanted) -> ProjectFiles:
    """The project with what is tried beside it."""
    if wanted.file is not None:
        return dataclasses.replace(files, tried=tuple(_of_file(files, wanted.file)))
    if wanted.voter is not None:
        named = (d for kind in _KINDS for d in files.of(kind) if d.name == wanted.voter.rpartition(".")[2])
        return dataclasses.replace(files, tried=tuple(named))
    task, where = _task(files, wanted.task), Where(TRIED)
    check_kind(_kind(files, task), task, "try")  # before its label, which other kinds do not have, is
    if wanted.sql is not None:
        found = Definition("lf_sql", TRIED, where, None, _sql_text(wanted), task)
    elif wanted.label is None:
        problem, advice = "a rule of words or a regular expression needs it", "name the label that it votes for"
        raise BadOption(None, option="--label", problem=problem, advice=advice)
    else:
        config = RuleLF.model_validate({"name": "tried", **wanted.keys()}).model_copy(update={"name": TRIED})
        found = Definition("lf_yaml", TRIED, where, config, "", task)
    return dataclasses.replace(files, tried=(found,))


def _sql_text(wanted: Wanted) -> str:
    text = (wanted.sql or "").strip() + "\n"
    if wanted.label is None:
        return text
    plain = not {"'", "\\"} & set(wanted.label)
    label = f"'{wanted.label}'" if plain else json.dumps(wanted.label, ensure_ascii=False)
    return f"{{{{ config(label={label}) }}}}\n{text}"


def _task(files: ProjectFiles, name: str | None) -> str:
    known = sorted(d.name for d in files.of("task"))
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        advice = f"name the task: {listing(known)}" if known else "write one in tasks/"
        raise BadOption(None, option="--task", problem=f"the project has {len(known)} tasks", advice=advice)
    if name not in known:
        raise UnknownNode(None, kind="task", name=name, known=listing(known), hint=did_you_mean(name, known))
    return name


def _kind(files: ProjectFiles, task: str) -> str:
    return next(str(d.config.kind) for d in files.of("task") if d.name == task)


def _of_file(files: ProjectFiles, name: str) -> list[Definition]:
    path = next((p for p in (Path(name), files.root / name) if p.is_file()), None)
    if path is None:
        advice = "name it from here or from the project's folder"
        raise BadOption(None, option="--file", problem=f"there is no file '{name}'", advice=advice)
    found = [d for kind in _KINDS for d in files.of(kind) if (files.root / d.where.path).samefile(path)]
    if not found:
        folder = files.config.paths.labeling_functions
        problem = f"'{name}' holds no labeling function of this project"
        advice = f"one is a file {folder}/<task>/<name>.sql, .yml or .py"
        raise BadOption(None, option="--file", problem=problem, advice=advice)
    return found


def _nodes(work: Workspace, wanted: Wanted) -> list[Node]:
    graph = work.graph
    if wanted.voter is not None:
        name = f"{wanted.task}.{wanted.voter}" if wanted.task and "." not in wanted.voter else wanted.voter
        return [find_node(graph, name, FUNCTIONS)]
    places = {d.where.path for d in work.files.tried}
    nodes = [n for n in graph.of("lf") if n.where.path in places]
    if not nodes:
        problem, advice = f"'{wanted.file}' holds no labeling function", "write one into it"
        raise BadOption(None, option="--file", problem=problem, advice=advice)
    return nodes


def _names(files: ProjectFiles, task: str) -> set[str]:
    return {d.name for kind in (*_KINDS, "prompt") for d in files.of(kind) if d.task == task}


def _new_name(files: ProjectFiles, wanted: Wanted, task: str) -> str:
    """A name that says what the rule looks for, and is not taken."""
    words = " ".join(wanted.any_of or wanted.all_of or wanted.none_of or (wanted.regex or wanted.sql or "",))
    parts = re.findall(r"[a-z0-9]+", re.sub(r"\\.", " ", words.lower()))
    name = "_".join(parts[:3])[:30] or "new_rule"
    name = name if _NAME.fullmatch(name) else f"rule_{name}"
    taken, number, found = _names(files, task), 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _as_tried(error: TeachkitError) -> TeachkitError:
    """An error about what has no file, without a place in one; once, also where a file of the project is tried."""
    if isinstance(error, ProjectErrors):
        found = list({str(one): one for one in map(_as_tried, error.errors)}.values())
        return found[0] if len(found) == 1 else ProjectErrors(found)
    if error.where is None or error.where.path != TRIED:
        return error
    return type(error)(None, **error.facts)
