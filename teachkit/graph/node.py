"""The graph's plain values: a node, what each kind of node holds, the graph itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from teachkit.graph.names import fold
from teachkit.hashing import canonical_json
from teachkit.votes.values import VALUED, value_kind

if TYPE_CHECKING:
    from teachkit.errors import Where
    from teachkit.project import Definition
    from teachkit.project.llm_models import LlmProvider, PromptConfig
    from teachkit.project.models import (
        AnnotationMeta,
        Export,
        Gold,
        HashSplits,
        LabelModelConfig,
        SourceTable,
        UnitTest,
    )
    from teachkit.votes.values.kind import ValueKind

FUNCTIONS = ("lf", "prompt")
"""The kinds of voters that look at every item: their silence is known to be one."""

Reads = Mapping[str, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """A task, resolved: ``dataset`` is a node id, columns are folded as DuckDB compares them."""

    name: str
    kind: str
    labels: tuple[str, ...]
    dataset: str
    key: str
    show: tuple[str, ...]
    guideline: str
    gold: Gold | None
    split_column: str | None
    hash_splits: HashSplits | None
    where: Where
    description: str = ""
    label_descriptions: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    sides: tuple[str, str] | None = None
    """Of pairwise: the columns that name what stands on the left and on the right."""
    candidates: str | None = None
    """Of ranking: the column with the list of what is to be ordered."""
    text: str | None = None
    """The column that answers hold offsets in, where they hold any."""

    @property
    def multi(self) -> bool:
        """Whether an item may have several labels."""
        return self.kind == "multichoice"

    @property
    def ordered(self) -> bool:
        """Whether the labels are steps of one order."""
        return self.kind == "ordinal"

    @property
    def has_splits(self) -> bool:
        """Whether the task divides its items into train, tune and test."""
        return self.split_column is not None or self.hash_splits is not None

    @property
    def coded(self) -> bool:
        """Whether an answer is a label, which has a code; else it is a value, of which ``answers`` knows all."""
        return self.kind not in VALUED

    @property
    def form(self) -> str:
        """What two versions of a task have in common whose votes can be compared: one label, several, a value."""
        return ("labels" if self.multi else "label") if self.coded else self.kind

    @property
    def meaning(self) -> Any:
        """The kind, as part of what depends on it: of values with the version by which they are read."""
        if self.coded:
            return self.kind
        return [self.kind, self.answers.version, *([self.text] if self.text else [])]

    @property
    def answers(self) -> ValueKind:
        """What is known of the task's answers, which are values."""
        return value_kind(self.kind)

    def silence(self, *, looks_at_all: bool) -> str:
        """What it says of an item that a voter is silent, where nothing else is declared.

        Args:
            looks_at_all: Whether it is a person or a prompt. Who marks places of a text and reads all of it says no
                where it marks none; a rule that marks places knows a few words. Of one label for an item it is the
                other way round: a rule looks at every item, people at those that they are shown.
        """
        return "informative" if looks_at_all == (self.text is not None) else "at_random"

    @property
    def secret_columns(self) -> tuple[str, ...]:
        """The columns of the dataset that hold answers: no voter may read them."""
        return (fold(self.gold.column),) if self.gold else ()


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """How a source is read; strings are rendered."""

    table: SourceTable
    paths: tuple[str, ...]
    format: str
    types: Mapping[str, str]

    @property
    def database_kind(self) -> str | None:
        """Which database it lies in; by the name of its file where it does not say, None for files of rows."""
        table = self.table
        if table.database is None or table.type is not None:
            return table.type
        return "sqlite" if re.search(r"\.(sqlite3?|db)$", table.database) else "duckdb"


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """A SELECT to run; ``key`` is set where a task's items are its rows."""

    sql: str
    keeps_order: bool
    aggregates: bool
    key: str | None


@dataclass(frozen=True, slots=True)
class VoterSpec:
    """How a labeling function votes.

    ``mode`` is ``expression`` (``sql`` gives a code for each row, or ``sqls`` one for each label of a multichoice
    task), ``select`` (``sql`` gives (key, label) rows) or ``python`` (``python`` says which; with ``memo`` it is
    asked once for equal inputs).

    ``condition``: what must result in true or false, ``answer``: what must result in labels, both as they were written
    in SQL, for a look at their types.
    """

    mode: str
    columns: tuple[str, ...]
    sql: str = ""
    sqls: Mapping[int, str] = field(default_factory=dict)
    label: str | None = None
    abstain: str = "informative"
    python: Any = None
    memo: bool = False
    select_columns: tuple[str, ...] = ()
    condition: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class OtherModel:
    """A model that a prompt asks beside its own: a cascade's strong one, or one for vectors."""

    model: str
    provider_name: str
    provider: LlmProvider


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """What a model is asked about each item.

    ``system`` and ``user`` are templates, ``columns`` those of the dataset that they show; ``user_where`` and
    ``system_where`` where they stand. The endpoint is part of the meaning, the key's variable is not.

    ``asks`` is the property of the answer that the vote is read from, ``means`` what each of its values votes for (an
    empty label: of a multichoice task, that the other one does not hold; no ``means``: the labels themselves).
    ``shares``: so many nodes read the same answers. ``vectors``: the model whose vectors choose examples. ``places``:
    where each column is shown first.
    """

    config: PromptConfig
    provider: LlmProvider
    provider_name: str
    model: str
    columns: tuple[str, ...]
    system: str
    system_where: Where
    user: str
    user_where: Where
    abstain: str = "informative"
    mode: str = "prompt"
    asks: str = "label"
    means: Mapping[str, str] = field(default_factory=dict)
    redaction: Any = None
    strong: OtherModel | None = None
    vectors: OtherModel | None = None
    shares: int = 1
    places: Mapping[str, Where] = field(default_factory=dict)

    def reading(self, asks: str, means: Mapping[str, str] | None = None) -> PromptSpec:
        """The same request, read for one property of its answer."""
        return replace(self, asks=asks, means=means or {})

    def strongly(self) -> PromptSpec:
        """The same question, put to the strong model of the cascade."""
        if self.strong is None:
            raise AssertionError("only a cascade has a strong model")
        model, name, provider = self.strong.model, self.strong.provider_name, self.strong.provider
        config = self.config.model_copy(update={"confidence": None, "cascade": None})
        return replace(self, config=config, model=model, provider_name=name, provider=provider, strong=None)

    @property
    def api(self) -> str:
        """The kind of API that is asked."""
        return "decisions" if self.config.confidence and self.config.confidence.by == "decisions" else "chat"

    @property
    def times(self) -> tuple[int, int]:
        """How often every item is asked, and how often at most."""
        confidence = self.config.confidence
        if confidence is None:
            return 1, 1
        first = 2 if confidence.by == "repeats" else 1
        return first, max(first, confidence.repeats)

    @property
    def scored(self) -> bool:
        """Whether votes come with scores; what these are worth is learnt from all items at once."""
        return self.config.confidence is not None


@dataclass(frozen=True, slots=True)
class AnnotationsSpec:
    """A file of people's judgments; ``digest`` is that of its bytes when the project was read."""

    path: str
    meta: AnnotationMeta
    abstain: str = "at_random"
    digest: str = ""


@dataclass(frozen=True, slots=True)
class LabelSetSpec:
    """Which votes become labels, and by which ``algorithm`` (what ``auto`` stands for, or 'file.py:Class').

    ``sides``: the columns of what is compared, if the algorithm wants to know. ``taught``: the fit sees gold of tune.
    """

    config: LabelModelConfig
    algorithm: str
    voters: tuple[str, ...]
    annotations: tuple[str, ...]
    curators: tuple[str, ...]
    gold: tuple[str, ...]
    abstain: Mapping[str, str]
    parameters: Mapping[str, Any]
    sides: tuple[str, str] | None = None
    taught: bool = False


@dataclass(frozen=True, slots=True)
class TestSpec:
    """A test: ``check`` with its arguments on ``target``, or ``sql`` that selects the rows at fault."""

    __test__ = False

    check: str
    target: str
    column: str | None
    arguments: Mapping[str, Any]
    sql: str | None
    severity: str = "error"
    warn_if: str | None = None
    error_if: str | None = None
    limit: int | None = None
    store_failures: bool = False
    where: str | None = None


@dataclass(frozen=True, slots=True)
class UnitTestSpec:
    """Rows given to a voter and what it must say."""

    test: UnitTest
    voter: str


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """A file to write from a label set."""

    config: Export
    label_set: str
    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that a build brings up to date.

    ``own`` is the digest of the node's meaning alone, ``fingerprint`` of its meaning and of all that is upstream.
    ``reads`` names, for each input, the columns read (None: all); ``columns`` those offered (None: only DuckDB knows).
    ``lineage`` says what a column's values are computed from, ``influences`` all that can change them, with ``""`` for
    the choice of rows (see ``graph.sql.tables``).
    """

    id: str
    kind: str
    name: str
    where: Where
    spec: Any
    canonical: Any
    inputs: tuple[str, ...] = ()
    reads: Reads = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    lineage: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    task: str | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
    text: str = ""
    compiled: str = ""
    own: str = ""
    fingerprint: str = ""
    influences: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """All nodes in topological order, and the tasks."""

    nodes: Mapping[str, Node]
    tasks: Mapping[str, TaskInfo]
    children: Mapping[str, tuple[str, ...]]

    def __getitem__(self, node_id: str) -> Node:
        return self.nodes[node_id]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def of(self, *kinds: str) -> Iterator[Node]:
        """The nodes of some kinds, in topological order."""
        return (n for n in self if n.kind in kinds)

    def upstream(self, node_id: str, depth: int | None = None) -> set[str]:
        """The ids of all that a node depends on, itself left out."""
        return self._walk(node_id, depth, {n.id: n.inputs for n in self})

    def downstream(self, node_id: str, depth: int | None = None) -> set[str]:
        """The ids of all that depends on a node, itself left out."""
        return self._walk(node_id, depth, self.children)

    def _walk(self, start: str, depth: int | None, edges: Mapping[str, tuple[str, ...]]) -> set[str]:
        seen: set[str] = set()
        front = {start}
        while front and (depth is None or depth > 0):
            front = {n for f in front for n in edges.get(f, ())} - seen
            seen |= front
            depth = None if depth is None else depth - 1
        return seen


def entry_text(definition: Definition) -> str:
    """A YAML definition as canonical text, for lineage."""
    return canonical_json(definition.config.model_dump(mode="json", exclude_defaults=True))
