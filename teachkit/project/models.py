"""What a person may write: one pydantic model for each kind of YAML file.

Each model validates, gives the defaults, documents, and exports the JSON Schema that editors use
(``teachkit schema``). Nothing here resolves a reference or touches data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from teachkit.project.llm_models import LlmConfig, PricesFile
from teachkit.project.model import Abstain, Count, Json, Model, Name, Severity, Strings, TestSpec, Words
from teachkit.votes.values import VALUED, WITH_LABELS

# ---------------------------------------------------------------------------- teachkit.yml, profiles.yml


class FolderDefaults(Model):
    """Defaults for all definitions in one folder."""

    tags: Strings = Field(default=[], description="Tags given to every definition in the folder.")
    enabled: bool = Field(default=True, description="false leaves the whole folder out of the project.")
    timeout: float | None = Field(
        default=None, gt=0, description="Seconds a batch of a Python labeling function may take."
    )
    abstain: Abstain | None = Field(default=None, description="How label models treat a silent voter of this folder.")


class Paths(Model):
    """Where each kind of file lies, relative to the project."""

    sources: str = "sources"
    transforms: str = "transforms"
    tasks: str = "tasks"
    labeling_functions: str = "labeling_functions"
    annotations: str = "annotations"
    label_models: str = "label_models"
    exports: str = "exports"
    prompts: str = "prompts"
    slices: str = "slices"
    recordings: str = Field(default="recordings", description="Recorded answers of prompts.")
    tests: str = "tests"
    macros: str = "macros"
    target: str = Field(default="target", description="Compiled files and artefacts; 'clean' removes it.")


class ProjectConfig(Model):
    """``teachkit.yml``: the project itself."""

    name: Name = Field(description="The project's name.")
    version: str = Field(default="0.0.0", description="The project's own version.")
    vars: dict[str, Any] = Field(default={}, description="Values for var(); --vars overrides them.")
    paths: Paths = Paths()
    transforms: dict[str, FolderDefaults] = Field(default={}, description="Defaults per folder of transforms.")
    labeling_functions: dict[str, FolderDefaults] = Field(default={}, description="Defaults per task (folder).")
    annotations: dict[str, FolderDefaults] = Field(default={}, description="Defaults per task (folder).")
    prompts: dict[str, FolderDefaults] = Field(default={}, description="Defaults per task (folder).")
    part_rows: int = Field(
        default=1_000_000, ge=1000, description="A dataset with more rows is split in parts of about so many."
    )
    python_timeout: float = Field(
        default=60.0, gt=0, description="Seconds a batch of a Python labeling function may take."
    )


class Target(Model):
    """Where and with what a build runs."""

    store: str = Field(default=".teachkit", description="Folder of the store, relative to the project.")
    threads: Count = Field(default=2, ge=1, le=256)
    memory: str = Field(default="4GB", pattern=r"^\d+(\.\d+)?\s*(KB|MB|GB|TB|KiB|MiB|GiB|TiB)$")
    llm: LlmConfig = LlmConfig()


class Profiles(Model):
    """``profiles.yml``: the targets."""

    default: str = "dev"
    targets: dict[str, Target] = {"dev": Target()}


# ---------------------------------------------------------------------------- sources and transforms


class Column(Model):
    """One column of a source or transform."""

    type: str | None = Field(default=None, description="DuckDB type; for CSV and JSONL it overrides the sniffed one.")
    description: str = ""
    tests: list[TestSpec] = []


class Freshness(Model):
    """How old the newest row may be."""

    column: str
    warn_after: str | None = Field(default=None, pattern=r"^\d+ (minute|hour|day|week)s?$")
    error_after: str | None = Field(default=None, pattern=r"^\d+ (minute|hour|day|week)s?$")


class SourceTable(Model):
    """One table of raw items: files, a table of a database, or a query."""

    name: Name
    description: str = ""
    path: str | list[str] | None = Field(
        default=None, description="File, glob or URL: csv, jsonl, parquet (also .gz, .zst)."
    )
    format: Literal["csv", "jsonl", "parquet", "xlsx"] | None = Field(
        default=None, description="Only if the ending does not tell."
    )
    options: dict[str, Json] = Field(default={}, description="Options of DuckDB's reader, such as delim or header.")
    database: str | None = Field(default=None, description="A DuckDB or SQLite file, or a Postgres connection string.")
    type: Literal["duckdb", "sqlite", "postgres"] | None = None
    table: str | None = None
    query: str | None = None
    version: str | None = Field(
        default=None, description="A query whose result changes when the table does (for Postgres)."
    )
    key: Strings | None = Field(
        default=None, description="Column(s) that identify a row: tested to be unique and not null."
    )
    columns: dict[str, Column | None] = {}
    tests: list[TestSpec] = []
    freshness: Freshness | None = None
    record: bool = Field(default=False, description="Whether its rows' text may go into recordings/, which is in git.")
    tags: Strings = []

    @model_validator(mode="after")
    def _one_place(self) -> SourceTable:
        if (self.path is None) == (self.database is None):
            raise ValueError("give either 'path' (files) or 'database' with 'table' or 'query'")
        if self.database is not None and (self.table is None) == (self.query is None):
            raise ValueError("a database needs 'table' or 'query', one of the two")
        return self


class Source(Model):
    """A group of tables."""

    name: Name
    description: str = ""
    tables: list[SourceTable]
    tags: Strings = Field(default=[], description="Tags given to every table of the group.")


class SourcesFile(Model):
    """``sources/*.yml``."""

    sources: list[Source]


class TransformNotes(Model):
    """What is said about a transform beside its SQL."""

    name: Name
    description: str = ""
    columns: dict[str, Column | None] = {}
    tests: list[TestSpec] = []
    tags: Strings = []


class TransformsFile(Model):
    """``transforms/*.yml``."""

    transforms: list[TransformNotes]


# ---------------------------------------------------------------------------- tasks and voters


class Label(Model):
    """One answer of a task."""

    name: str
    description: str = ""


class Gold(Model):
    """The column of the dataset that holds known answers."""

    column: str
    values: dict[str | int | float | bool, str] | None = Field(
        default=None, description="From the column's values to labels."
    )


class HashSplits(Model):
    """Splits by a hash of the key, the rest being ``train``."""

    hash: dict[Literal["tune", "test"], Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?\s*%$")]]

    @field_validator("hash")
    @classmethod
    def _no_more_than_all(cls, value: dict[str, str]) -> dict[str, str]:
        total = sum(float(share.rstrip("% ")) for share in value.values())
        if total > 100:
            raise ValueError(f"tune and test together are {total:g}%, and there are no more than 100%")
        return value


class ColumnSplits(Model):
    """Splits named by a column: ``train``, ``tune``, ``test``."""

    column: str


class Sides(Model):
    """The columns of the dataset that name the two things compared."""

    a: str = Field(description="The column of the left one.")
    b: str = Field(description="The column of the right one.")

    @model_validator(mode="after")
    def _two_columns(self) -> Sides:
        if self.a.casefold() == self.b.casefold():
            raise ValueError(f"both sides are the column '{self.a}': name one column for each")
        return self


class Task(Model):
    """A question asked of every item."""

    name: Name
    description: str = ""
    kind: Literal["choice", "multichoice", "ordinal", "pairwise", "number", "text", "ranking", "span"] = "choice"
    labels: list[str | Label] = Field(
        default=[],
        min_length=1,
        max_length=30_000,
        description="The answers to choose from, in order (pairwise: left, right, and if there is one the tie); "
        "none where an answer is a value.",
    )
    sides: Sides | None = Field(default=None, description="Of pairwise: the columns that name what is compared.")
    candidates: str | None = Field(
        default=None, description="Of ranking: the column with the list of what is to be ordered."
    )
    dataset: str = Field(description="ref('…') or source('…', '…').")
    key: str
    text: str = Field(default="text", description="The column that spans are of; offsets count its code points.")
    show: Strings = []
    guideline: str | None = Field(default=None, description="A Markdown file beside this one.")
    gold: Gold | None = None
    splits: ColumnSplits | HashSplits | None = None
    tags: Strings = Field(default=[], description="Tags given to every voter and label set of the task.")

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: list[str | Label]) -> list[str | Label]:
        seen: set[str] = set()
        for label in labels:
            name = label if isinstance(label, str) else label.name
            if name in seen:
                raise ValueError(f"the label '{name}' stands twice")
            if not name.strip():
                raise ValueError("a label needs a name")
            seen.add(name)
        return labels

    @model_validator(mode="after")
    def _enough_labels(self) -> Task:
        if self.sides is not None and self.kind != "pairwise":
            raise ValueError(f"only tasks of the kind 'pairwise' have 'sides', not '{self.kind}'")
        if self.kind == "ranking" and self.candidates is None:
            raise ValueError("a ranking needs 'candidates', the column with the list of what is to be ordered")
        if self.candidates is not None and self.kind != "ranking":
            raise ValueError(f"only tasks of the kind 'ranking' have 'candidates', not '{self.kind}'")
        if self.kind in VALUED and self.kind not in WITH_LABELS:
            if self.labels:
                raise ValueError(f"an answer to a task of the kind '{self.kind}' is a value: it has no labels")
            if self.gold is not None and self.gold.values is not None:
                raise ValueError(f"gold of a task of the kind '{self.kind}' is read as it stands: it has no 'values'")
        elif self.kind == "pairwise":
            self._check_pairwise()
        elif not self.labels:
            raise ValueError("it needs 'labels'")
        if self.kind != "span" and "text" in self.model_fields_set:
            raise ValueError(f"'text' is for tasks of the kind 'span', not '{self.kind}'")
        if self.kind == "span" and self.gold is not None and self.gold.values is not None:
            raise ValueError("gold of a task of the kind 'span' is read as it stands: it has no 'values'")
        if self.kind in ("choice", "ordinal") and len(self.labels) < 2:
            raise ValueError(f"{'a choice' if self.kind == 'choice' else 'an order'} needs two labels or more")
        return self

    def _check_pairwise(self) -> None:
        names = self.label_names
        if self.sides is None:
            raise ValueError("a pairwise task needs 'sides: {a: …, b: …}', the columns that name what is compared")
        if not 2 <= len(names) <= 3:
            raise ValueError(f"a pairwise task has 2 labels (left, right) or 3 (and tie), not {len(names)}")
        if "tie" in names[:2]:
            raise ValueError("'tie' is the third label of a pairwise task: write first those of left and right")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels in the order that gives the codes 0..k-1; of pairwise, by default ``a`` and ``b``."""
        names = tuple(label if isinstance(label, str) else label.name for label in self.labels)
        return names or (("a", "b") if self.kind == "pairwise" else ())


class TasksFile(Model):
    """``tasks/*.yml``."""

    tasks: list[Task]


class RuleLF(Model):
    """A labeling function written in YAML."""

    name: Name
    label: str | None = Field(default=None, description="What it votes; of a task whose answers are values, see value.")
    value: Any = Field(default=None, description="The answer that it votes, where answers are values.")
    description: str = ""
    column: str = "text"
    any_of: Words = Field(default=[], description="Votes if one of these words or phrases stands in the column.")
    all_of: Words = Field(default=[], description="Votes if all of these stand there.")
    none_of: Words = Field(default=[], description="Does not vote if one of these stands there.")
    regex: str | None = Field(default=None, description="An RE2 regular expression, taken as written.")
    group: int | None = Field(
        default=None, ge=0, le=9, description="The group of 'regex' whose text is the answer; 0 is the whole match."
    )
    dictionary: str | None = Field(default=None, description="A text file beside this one, one word or phrase a line.")
    min_hits: int = Field(
        default=1, ge=1, description="How many different words of any_of or dictionary must stand there."
    )
    sql: str | None = Field(default=None, description="A boolean DuckDB expression over the dataset's columns.")
    case_sensitive: bool = False
    word_boundaries: bool = True
    tags: Strings = []
    enabled: bool = True
    abstain: Abstain | None = None


class RulesFile(Model):
    """``labeling_functions/<task>/*.yml``."""

    labeling_functions: list[RuleLF]


class SqlConfig(Model):
    """The keys of ``config(...)`` in SQL files."""

    label: str | None = None
    tags: Strings = []
    enabled: bool = True
    description: str = ""
    abstain: Abstain | None = None
    severity: Severity = "error"
    warn_if: str | None = None
    error_if: str | None = None
    limit: int | None = Field(default=None, ge=1)
    store_failures: bool = False


class AnnotationMeta(Model):
    """What one annotation file is."""

    role: Literal["annotator", "gold", "curator"] = "annotator"
    annotator: str | None = Field(
        default=None, description="Who, if the file has no such column; default: the file's name."
    )
    columns: dict[Literal["item", "label", "annotator", "at", "seconds"], str] = Field(
        default={}, description="Names of the file's columns, if they are called otherwise."
    )
    values: dict[str | int | float | bool, str] | None = Field(
        default=None, description="From the file's values to labels."
    )
    tags: Strings = []
    description: str = ""
    abstain: Abstain | None = None
    enabled: bool = True


class AnnotationsFile(Model):
    """``annotations/<task>/_meta.yml``."""

    files: dict[str, AnnotationMeta]


# ---------------------------------------------------------------------------- label models, exports, tests


class LabelModelConfig(Model):
    """How the votes of a task become labels."""

    name: Name
    task: str
    description: str = ""
    type: str = Field(
        default="auto",
        description="'auto': what fits the task's kind; an algorithm by its name, or 'label_models/file.py:Class'.",
    )
    voters: Strings = Field(default=["*"], description="Names, globs, 'tag:…'; '-' in front leaves out.")
    parameters: dict[str, Json] = Field(default={}, description="Parameters of the algorithm.")
    class_prior: Literal["learned", "uniform"] | dict[str, float] | None = None
    tie_policy: Literal["abstain", "prior", "first"] = "abstain"
    abstain: dict[str, Abstain] = Field(default={}, description="From voter (or glob) to how its silence counts.")
    gold: Literal["ignore", "tune"] | None = Field(
        default=None,
        description="'tune' holds gold of the tune split fixed in the fit; default: 'tune' for `auto`, else 'ignore'.",
    )
    calibrate: Literal["isotonic", "temperature"] | None = Field(
        default=None, description="Fit the posteriors to gold of the tune split, by this method."
    )
    intervals: Literal["information", "bootstrap"] = Field(
        default="information", description="Where the intervals of learned accuracies come from."
    )
    unlabeled: Literal["keep", "drop"] = Field(
        default="keep", description="Items without a vote: a row with label NULL, or none."
    )
    curators: bool = Field(default=True, description="Decisions of curators stand above the model.")
    prefer_gold: bool = Field(default=False, description="Known gold outside the test split stands above the model.")
    tests: list[TestSpec] = []
    tags: Strings = []


class LabelModelsFile(Model):
    """``label_models/*.yml``."""

    label_models: list[LabelModelConfig]


class Export(Model):
    """A label set in the form that a trainer reads."""

    name: Name
    label_set: str = Field(description="ref('…').")
    description: str = ""
    rows: Literal["labels", "scores"] = Field(
        default="labels", description="'scores': those of what is compared (`bradley_terry`), the best first."
    )
    format: Literal["parquet", "csv", "jsonl"] | None = Field(
        default=None, description="Default: what the path ends in, else parquet."
    )
    path: str = Field(description="Where to write, relative to the project.")
    columns: Strings = Field(
        default=[], description="Columns of the label set and of the dataset; default: all of the label set."
    )
    where: str | None = Field(default=None, description="A condition over the same columns.")
    tests: list[TestSpec] = []
    tags: Strings = []
    enabled: bool = True


class ExportsFile(Model):
    """``exports/*.yml``."""

    exports: list[Export]


class UnitTest(Model):
    """Rows given to a voter, and the votes expected of it."""

    name: Name
    voter: str
    rows: list[dict[str, Any]]
    expect: list[str | int | float | list[Any] | None]
    description: str = ""
    tags: Strings = []

    @model_validator(mode="after")
    def _same_length(self) -> UnitTest:
        if len(self.rows) != len(self.expect):
            raise ValueError(f"{len(self.rows)} rows, but {len(self.expect)} expected votes")
        return self


class NodeTests(Model):
    """Tests on a node, kept apart from it."""

    node: str
    tests: list[TestSpec]


class TestsFile(Model):
    """``tests/*.yml``."""

    unit_tests: list[UnitTest] = []
    tests: list[NodeTests] = []


class Selector(Model):
    """A selection with a name."""

    name: Name
    definition: str
    description: str = ""


class SelectorsFile(Model):
    """``selectors.yml``."""

    selectors: list[Selector]


FILE_KINDS: dict[str, type[Model]] = {
    "project": ProjectConfig,
    "profiles": Profiles,
    "sources": SourcesFile,
    "transforms": TransformsFile,
    "tasks": TasksFile,
    "labeling_functions": RulesFile,
    "annotations": AnnotationsFile,
    "label_models": LabelModelsFile,
    "exports": ExportsFile,
    "tests": TestsFile,
    "selectors": SelectorsFile,
    "prices": PricesFile,
}
