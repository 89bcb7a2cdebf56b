"""Everything that teachkit tells a user who made a mistake.

Every error has one shape: where it is, what is wrong, what to write instead; a stable slug; an exit code.
A class holds the sentence, its constructor takes the facts::

    raise UnknownLabel(where, label="spma", task="spam", labels="ham, spam", hint=did_you_mean("spma", labels))

The tree::

    TeachkitError
    ├── ProjectErrors      several of the others, found in one pass
    ├── UsageError         exit 2: the command line or the surroundings
    ├── ProjectError       exit 2: a file of the project
    ├── StoreError         exit 2: the store on disk
    ├── GitError           exit 2: what git should know, it does not
    └── RunError           exit 1: a node failed while it ran

Only ``teachkit.cli`` turns errors into text on a screen; a message names a row by its key, never by its text.
"""

from __future__ import annotations

import difflib
import re
import shlex
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file of the project: path relative to its root, line and column counted from 1."""

    path: str
    line: int | None = None
    column: int | None = None
    end_column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)


class TeachkitError(Exception):
    """The root of all errors that a user is meant to read."""

    slug: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 2
    what: ClassVar[str] = "{message}"
    instead: ClassVar[str] = ""

    def __init__(self, where: Where | None = None, /, **facts: object) -> None:
        """Take the place and the facts that the class's sentences name."""
        self.where = where
        self.facts = facts
        self.message = writable(self.what.format(**facts))
        self.advice = writable(self.instead.format(**facts).strip())
        super().__init__(str(self))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f"\n  {self.advice}" if self.advice else ""
        return f"{place}{self.message}  [{self.slug}]{advice}"

    @classmethod
    def fact_names(cls) -> frozenset[str]:
        """The names of the facts that the sentences of this class need."""
        return frozenset(name for _, name, _, _ in Formatter().parse(cls.what + cls.instead) if name)

    def as_dict(self) -> dict[str, object]:
        """The error as plain values, for ``--log-format json``."""
        where = self.where
        return {
            "slug": self.slug,
            "message": self.message,
            "advice": self.advice,
            "path": where.path if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
        }


class ProjectErrors(TeachkitError):
    """Several errors that one pass over the project found."""

    slug = "errors"
    what = "{count} errors"

    def __init__(self, errors: Sequence[TeachkitError]) -> None:
        """Keep the errors in the order of their places."""
        self.errors = sorted(
            errors, key=lambda e: (str(e.where.path) if e.where else "", e.where.line or 0 if e.where else 0)
        )
        super().__init__(None, count=len(self.errors))

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def writable(text: str) -> str:
    """A text that any terminal, UTF-8 file and XML file takes: control characters and lone surrogates escaped."""
    return _UNWRITABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else ""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """Return names as ``a, b, c``, cut at ``limit``, or ``(none)``."""
    names = [str(name) for name in names]
    if not names:
        return "(none)"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``1,956 rows``; ``many`` is what stands after other numbers than 1, where an ``s`` is not enough."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown_key(key: object) -> str:
    """The key of an item as messages have it: a text in quotes, anything else as it is written."""
    return repr(key) if isinstance(key, str) else str(key)


# ---------------------------------------------------------------------------- usage


class UsageError(TeachkitError):
    """The command line, the profile or the surroundings are wrong."""


class NotAProject(UsageError):
    """No ``teachkit.yml`` was found."""

    slug = "not-a-project"
    what = "no teachkit.yml in {folder} or above it"
    instead = "run this inside a project, pass --project-dir, or start one with 'teachkit init DIR'"


class FolderNotEmpty(UsageError):
    """``init`` was pointed at a folder that holds files that it would overwrite."""

    slug = "folder-not-empty"
    what = "'{folder}' already has {file}"
    instead = "choose an empty folder: 'teachkit init DIR'"


class BadOption(UsageError):
    """An option has a value that cannot be used."""

    slug = "bad-option"
    what = "{option}: {problem}"
    instead = "{advice}"


class MissingExtra(UsageError):
    """An option needs a package that teachkit does not install by itself."""

    slug = "missing-extra"
    what = "{what_for} needs {package}, which is not installed"
    instead = "run: pip install 'teachkit[{extra}]'"


class UnknownNode(UsageError):
    """A command names a node that the project does not have."""

    slug = "unknown-node"
    what = "there is no {kind} '{name}' in this project"
    instead = "known: {known}.{hint}"


class UnknownSlice(UsageError):
    """A command names a slice that the task does not have."""

    slug = "unknown-slice"
    what = "task '{task}' has no slice '{name}'"
    instead = "{advice}"


class BadSelector(UsageError):
    """``--select`` or ``--exclude`` cannot be read."""

    slug = "bad-selector"
    what = "cannot read the selector '{text}': {problem}"
    instead = "{advice}"


class NotBuilt(UsageError):
    """A command needs an object that no build has made yet."""

    slug = "not-built"
    what = "'{node}' has not been built in target '{target}'"
    instead = "run 'teachkit build --select +{name}' first"


class NothingBuilt(UsageError):
    """A command looks at what builds have made, and there was no build yet."""

    slug = "nothing-built"
    what = "nothing has been built in target '{target}'"
    instead = "run 'teachkit build' first"


class OfOtherItems(UsageError):
    """Votes that are not to be built anew stand beside other items than the dataset has now."""

    slug = "of-other-items"
    what = "the votes of '{node}' are of other items than '{dataset}' has now"
    instead = "build it, too: teachkit build --select +{name}, or leave out --select"


class UnknownItem(UsageError):
    """``lineage`` was asked about an item that the label set does not have."""

    slug = "unknown-item"
    what = "label set '{node}' has no item with {key} = '{item}'"
    instead = "'teachkit show {node}' lists some items.{hint}"


class UnknownRun(UsageError):
    """``--run`` names no run of the store's chain."""

    slug = "unknown-run"
    what = "there is no run '{run}' in this store"
    instead = "the newest: {known}.{hint}"


class NoRun(UsageError):
    """A command is about the last run that published, and there is none."""

    slug = "no-run"
    what = "no run has published anything in target '{target}'"
    instead = "run 'teachkit build' first, or name a run that failed: --run RUN_ID"


class UnknownTarget(UsageError):
    """``--target`` names no target of ``profiles.yml``."""

    slug = "unknown-target"
    what = "profiles.yml has no target '{target}'"
    instead = "write one of: {known}.{hint}"


class BadState(UsageError):
    """What `--state` names cannot be compared with."""

    slug = "bad-state"
    what = "nothing can be compared with '{state}': {problem}"
    instead = "{advice}"


class BaseDoesNotCompile(UsageError):
    """The project as it was at the revision of a comparison has errors; the project as it is has none."""

    slug = "base-does-not-compile"
    what = "the base does not compile: the project has errors as it was at '{state}', not as it is now"
    instead = "{errors}\ncompare with a revision that compiles"


class NoLastRun(UsageError):
    """`retry` finds no run to go on with."""

    slug = "no-last-run"
    what = "there is no run to retry: {problem}"
    instead = "run 'teachkit build', 'run' or 'test'"


class PortTaken(UsageError):
    """``docs serve`` cannot listen at the port that it was given."""

    slug = "port-taken"
    what = "port {port} of {host} cannot be used: {problem}"
    instead = "choose another: '--port {other}', or '--port 0' for any that is free"


class SqlFailed(UsageError):
    """A query given on the command line failed."""

    slug = "sql-failed"
    what = "DuckDB could not run the query: {problem}"
    instead = "{advice}"


# ---------------------------------------------------------------------------- project files


class ProjectError(TeachkitError):
    """A file of the project is wrong."""


class NotUtf8(ProjectError):
    """A file is not UTF-8."""

    slug = "not-utf8"
    what = "byte {byte} at offset {offset} is not UTF-8"
    instead = "save the file as UTF-8, for example: iconv -f {encoding} -t UTF-8 {name} > fixed && mv fixed {name}"

    @classmethod
    def of(cls, path: str, data: bytes, error: UnicodeDecodeError) -> NotUtf8:
        """The error about a file with this content; without a mark of UTF-16 it is most likely of Windows."""
        offset = len(data) - len(error.object) + error.start  # the decoder leaves out a byte order mark
        encoding = "UTF-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "CP1252"
        where = Where(path, data[:offset].count(b"\n") + 1)
        return cls(where, byte=f"0x{data[offset]:02x}", offset=offset, encoding=encoding, name=shlex.quote(path))


class UnreadableFile(ProjectError):
    """A file of the project cannot be opened."""

    slug = "unreadable-file"
    what = "this file cannot be read: {problem}"
    instead = "check that it is a file, not a broken link, and that you may read it"


class MisplacedFile(ProjectError):
    """A file lies where nothing reads it."""

    slug = "misplaced-file"
    what = "{problem}"
    instead = "{advice}"


class MissingFile(ProjectError):
    """A file names another one that is not there."""

    slug = "missing-file"
    what = "{key}: there is no file '{file}' beside this one"
    instead = "write it, correct the name, or remove the key"


class MergeConflict(ProjectError):
    """A file holds marks of a merge conflict."""

    slug = "merge-conflict"
    what = "a merge conflict is not resolved: this line is a mark of it ({mark})"
    instead = "{advice}"


class BadYaml(ProjectError):
    """A YAML file cannot be parsed."""

    slug = "bad-yaml"
    what = "this is not valid YAML: {problem}"
    instead = "{advice}"


class BadValue(ProjectError):
    """A value in a YAML file has the wrong type or is not allowed."""

    slug = "bad-value"
    what = "{key}: {problem}"
    instead = "{advice}"


class UnknownKey(ProjectError):
    """A YAML file has a key that its kind of file does not know."""

    slug = "unknown-key"
    what = "'{key}' is not a key of {owner}"
    instead = "write one of: {known}.{hint}"


class MissingKey(ProjectError):
    """A YAML file lacks a key that its kind of file needs."""

    slug = "missing-key"
    what = "{owner} needs the key '{key}'"
    instead = "add '{key}:'"


class DuplicateName(ProjectError):
    """Two definitions share a name."""

    slug = "duplicate-name"
    what = "{kind} '{name}' is defined twice; the other is at {other}"
    instead = "rename one of the two"


class UnknownRef(ProjectError):
    """``ref()`` names no node."""

    slug = "unknown-ref"
    what = "ref('{name}') names no transform or label set"
    instead = "write one of: {known}.{hint}"


class DisabledRef(ProjectError):
    """``ref()`` names a transform, or the table of a prompt, that is switched off."""

    slug = "disabled-ref"
    what = "ref('{name}') names something that is switched off (enabled: false)"
    instead = "switch it on, refer to another, or switch this one off too"


class UnknownSource(ProjectError):
    """``source()`` names no table of a source."""

    slug = "unknown-source"
    what = "source('{source}', '{table}') is not declared"
    instead = "declare it in sources/*.yml, or write one of: {known}.{hint}"


class UnknownTask(ProjectError):
    """A file names a task that the project does not have."""

    slug = "unknown-task"
    what = "there is no task '{task}'"
    instead = "write one of: {known}.{hint}"


class UnknownLabel(ProjectError):
    """A file names a label that its task does not have."""

    slug = "unknown-label"
    what = "'{label}' is not a label of task '{task}'"
    instead = "write one of: {known}.{hint}"


class UnknownColumn(ProjectError):
    """An expression names a column that its input does not have."""

    slug = "unknown-column"
    what = "{owner} has no column '{column}'"
    instead = "its columns: {known}.{hint}"


class UnknownVoter(ProjectError):
    """A label model selects a voter that its task does not have."""

    slug = "unknown-voter"
    what = "'{pattern}' selects no voter of task '{task}'"
    instead = "voters of the task: {known}.{hint}"


class UnknownType(ProjectError):
    """A file names an algorithm, format or test that teachkit does not have."""

    slug = "unknown-type"
    what = "there is no {kind} '{name}'"
    instead = "write one of: {known}.{hint}"


class UnknownMacro(ProjectError):
    """A template calls something that is neither a macro nor part of teachkit."""

    slug = "unknown-macro"
    what = "'{name}' is not defined"
    instead = "known here: {known}.{hint}"


class UnknownVar(ProjectError):
    """``var()`` names a variable without a value."""

    slug = "unknown-var"
    what = "var('{name}') has no value"
    instead = (
        "set it under 'vars:' in teachkit.yml, pass --vars '{{{name}: ...}}', or give a default: var('{name}', ...)"
    )


class MissingEnvVar(ProjectError):
    """``env_var()`` names an environment variable that is not set."""

    slug = "missing-env-var"
    what = "the environment variable {name} is not set"
    instead = "set it before you run teachkit, or give a default: env_var('{name}', '...')"


class BadTemplate(ProjectError):
    """A Jinja template cannot be parsed or rendered."""

    slug = "bad-template"
    what = "Jinja: {problem}"
    instead = "{advice}"


class UnsafeTemplate(ProjectError):
    """A Jinja template reaches for Python's insides."""

    slug = "unsafe-template"
    what = "this template may not do that: {problem}"
    instead = "templates see ref, source, var, env_var, config, target, this and the project's macros, nothing else"


class BadSql(ProjectError):
    """SQL cannot be parsed, or is not what this kind of file holds."""

    slug = "bad-sql"
    what = "{problem}"
    instead = "{advice}"


class BadPython(ProjectError):
    """A Python file cannot be read, or a labeling function in it is declared wrongly."""

    slug = "bad-python"
    what = "{problem}"
    instead = "{advice}"


class BadRegex(ProjectError):
    """A regular expression is not one that RE2 (DuckDB) understands."""

    slug = "bad-regex"
    what = "'{pattern}' is not a regular expression that DuckDB (RE2) understands: {problem}"
    instead = "{advice}"


class BadRule(ProjectError):
    """A YAML labeling function is not one rule."""

    slug = "bad-rule"
    what = "labeling function '{name}': {problem}"
    instead = "{advice}"


class BadDictionary(ProjectError):
    """A dictionary file is missing or empty."""

    slug = "bad-dictionary"
    what = "dictionary '{dictionary}': {problem}"
    instead = "{advice}"


class Cycle(ProjectError):
    """Nodes depend on each other in a circle."""

    slug = "cycle"
    what = "these depend on each other in a circle: {path}"
    instead = "remove one of the references"


class ReadsGold(ProjectError):
    """A voter reads the answers it will be measured against."""

    slug = "reads-gold"
    what = "{voter} reads '{column}', which holds the gold of task '{task}' ({via})"
    instead = "a voter must not see gold: its accuracy would mean nothing. Remove the column from the voter"


class BadAnnotation(ProjectError):
    """A line of an annotation file cannot be used."""

    slug = "bad-annotation"
    what = "{problem}"
    instead = "{advice}"


class SourceNotFound(ProjectError):
    """The files of a source are not there."""

    slug = "source-not-found"
    what = "source '{source}' reads '{path}', and no such file is there"
    instead = "check the path (it is relative to the project's folder)"


class SourceUnreadable(ProjectError):
    """DuckDB cannot read a source."""

    slug = "source-unreadable"
    what = "source '{source}' cannot be read: {problem}"
    instead = "{advice}"


class MissingExtension(ProjectError):
    """A source needs a DuckDB extension that is not installed and cannot be fetched."""

    slug = "missing-extension"
    what = "source '{source}' needs DuckDB's extension '{extension}', which is not installed: {problem}"
    instead = (
        "run INSTALL {extension} in DuckDB on a machine with access to its extensions, or copy the data to a local file"
    )


# ---------------------------------------------------------------------------- store


class StoreError(TeachkitError):
    """The store on disk cannot be used."""


class StoreTooNew(StoreError):
    """A newer teachkit wrote the store."""

    slug = "store-too-new"
    what = "the store at {path} has format {found}; this teachkit knows up to {known}"
    instead = "upgrade teachkit, or use another store ('store:' in profiles.yml)"


class StoreUnwritable(StoreError):
    """The store cannot be written: read-only, no permission, or no space left."""

    slug = "store-unwritable"
    what = "cannot write {path}: {problem}"
    instead = "{advice}"


class StoreDamaged(StoreError):
    """A file of the store is not what its name says."""

    slug = "store-damaged"
    what = "{path} is damaged: {problem}"
    instead = "remove it; 'teachkit build' makes it again"


class BadLock(StoreError):
    """``teachkit.lock`` cannot be read."""

    slug = "bad-lock"
    what = "teachkit.lock cannot be read: {problem}"
    instead = "resolve the conflict, or remove the file and build again"


class LockTooNew(BadLock):
    """A newer teachkit wrote ``teachkit.lock``."""

    slug = "lock-too-new"
    what = "teachkit.lock has version {found}; this teachkit knows up to {known}"
    instead = "upgrade teachkit"


# ---------------------------------------------------------------------------- git


class GitError(TeachkitError):
    """Git does not know what a comparison needs."""


class NoGit(GitError):
    """A comparison needs git, and the project lies in no repository, or git cannot be asked."""

    slug = "no-git"
    what = "{folder} cannot be compared with a revision: {problem}"
    instead = "{advice}"


class UnknownRevision(GitError):
    """A revision is named that the repository does not have."""

    slug = "unknown-revision"
    what = "git has no revision '{revision}'{source}"
    instead = "{advice}"


class GitFailed(GitError):
    """Git refused what a comparison needs."""

    slug = "git-failed"
    what = "'git {command}' failed: {problem}"
    instead = "see that 'git status' and 'git fsck' are content with this repository"


class ShallowClone(GitError):
    """A revision lies beyond the commits that a shallow clone holds."""

    slug = "shallow-clone"
    what = "this clone is shallow, and does not hold '{revision}'{source}"
    instead = "run 'git fetch --unshallow origin{branch}'; in GitHub Actions give actions/checkout 'fetch-depth: 0'"


# ---------------------------------------------------------------------------- running


class RunError(TeachkitError):
    """A node failed while it ran; nothing is published."""

    exit_code = 1


class NodeFailed(RunError):
    """A node failed for a reason that only its own message tells."""

    slug = "node-failed"
    what = "{problem}"
    instead = "{advice}"


class NotAnswered(RunError):
    """A comparison, which asks nothing, needs answers of a prompt that was not asked yet."""

    slug = "not-answered"
    what = "{count} of {total} requests have no answer yet, and to compare asks nothing"
    instead = "run 'teachkit build --select {name}' first"


class NoCandidate(RunError):
    """`llm improve` came to no other version of a prompt; nothing was written."""

    slug = "no-candidate"
    what = "no other version of prompt '{name}' came about: {problem}"
    instead = "{advice}"


class SourceChanged(RunError):
    """A source was written while a build read it; what was made of it is not kept."""

    slug = "source-changed"
    what = "source '{source}' changed while the build ran: {changed}"
    instead = "build again, when nothing writes to it"


class FileChanged(RunError):
    """A file of the project was written while a command ran that had read it before; nothing is kept of it."""

    slug = "file-changed"
    what = "{file} was written after the project was read"
    instead = "run the command again"


class DuplicateKey(RunError):
    """A key that must be unique is not."""

    slug = "duplicate-key"
    what = "{values} of key '{key}' {stand} in more than one row: {examples}"
    instead = "{advice}"


class NullKey(RunError):
    """A key is NULL."""

    slug = "null-key"
    what = "{rows} {have} no key '{key}' (NULL)"
    instead = "{advice}"


class NullSide(RunError):
    """An item of a pairwise task has nothing on one side."""

    slug = "null-side"
    what = "task '{task}': the item with {key} '{item}' has nothing in column '{column}', a side of the comparison"
    instead = "leave such rows out: where {column} is not null"


class NotACandidate(RunError):
    """An answer to a ranking task names something that is not a candidate of its item."""

    slug = "not-a-candidate"
    what = "voter '{voter}' names '{candidate}' on item '{item}' of task '{task}', which is no candidate of it"
    instead = "name some of: {known}"


class LockedDiffers(RunError):
    """``build --locked`` came to other labels than ``teachkit.lock`` names."""

    slug = "locked-differs"
    what = "the labels differ from teachkit.lock:\n{differences}"
    instead = "if that is meant, run 'teachkit build' and commit teachkit.lock"


class LabelingFunctionFailed(RunError):
    """A Python labeling function raised, hung, exited, crashed or returned something that is no label."""

    slug = "labeling-function-failed"
    what = "labeling function '{name}' {problem} at the item with key {key}"
    instead = "{advice}"


class LabelingFunctionNotLoaded(RunError):
    """The file of a Python labeling function cannot be imported."""

    slug = "labeling-function-not-loaded"
    what = "labeling function '{name}' cannot be loaded: its file {problem}"
    instead = "{advice}"
