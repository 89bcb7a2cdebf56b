"""What a data test is: a class with its arguments, which columns it reads, and how it looks for failures."""

from __future__ import annotations

import operator
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from teachkit.errors import BadValue
from teachkit.project.model import Model, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from teachkit.errors import Where
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import Reads, TestSpec
    from teachkit.votes import Votes

SHOWN_ROWS = 500
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a test found: how many failures, a sentence, the figure it looked at, and the rows at fault.

    ``severity`` is set by tests that themselves know how bad a failure is (freshness), ``test_gold`` by those that
    measured on gold of the test split.
    """

    failures: int
    message: str = ""
    value: float | None = None
    rows: pa.Table | None = None
    severity: Severity | None = None
    test_gold: bool = False


class Surroundings(Protocol):
    """What a test sees of the build."""

    @property
    def spec(self) -> TestSpec:
        """The test as compiled."""

    @property
    def target(self) -> Node:
        """The node under test."""

    @property
    def task(self) -> TaskInfo:
        """The task of a label set or voter under test."""

    @property
    def others(self) -> tuple[str, ...]:
        """The nodes that the test reads beside its target."""

    @property
    def rows(self) -> str:
        """The tested rows as an SQL relation: the target's, narrowed by the test's ``where``."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query over node ids."""

    def table(self, sql: str) -> pa.Table:
        """Run a query over node ids."""

    def files_without(self, column: str) -> Sequence[str]:
        """The files of a source under test that have no such column, by their paths in the project."""

    def labels(self) -> Any:
        """The label set under test, beside its gold: ``LabelData``, or ``ValueData`` where labels are values."""

    def posteriors(self) -> tuple[Any, Any]:
        """Posteriors [N, L] of the label set under test, NaN where it has no row; its model's own labels, as codes."""

    def votes(self) -> tuple[Any, ...]:
        """The votes that it was made of: one ``Votes`` (of a multichoice task for each label), or ``Answers``."""

    def people(self) -> Votes:
        """The judgments of the task's annotators."""

    def people_sets(self) -> tuple[Votes, Any]:
        """The same, and which labels each code holds [K, L]: of multichoice a code is a set of labels."""

    def earlier(self, against: str) -> EarlierLabels | None:
        """The label set as another lock names it: ``lock``, ``base`` or a git revision; None if it does not name it.

        Raises:
            GitError, BadLock, MergeConflict: there is no such revision, or its lock cannot be read.
            LookupError: the revision has no lock, or this store does not hold the labels.
        """

    def protected(self, kinds: Sequence[str], splits: Sequence[str]) -> Sequence[ProtectedAnswer]:
        """Answers of curators and gold, as asked for."""

    def keys(self, rows: Sequence[int]) -> pa.ChunkedArray:
        """The keys of some items of the dataset."""


class EarlierLabels(Protocol):
    """A label set as another lock names it."""

    @property
    def lock(self) -> str:
        """What messages call that lock."""

    @property
    def relation(self) -> str:
        """Its rows as an SQL relation."""

    @property
    def task(self) -> str:
        """The task that it was of."""

    def codes(self) -> tuple[Any, Any]:
        """What it says of the items as they are now (codes as in ``LabelData``), and [N] whether it has them."""


class ProtectedAnswer(Protocol):
    """An answer about one item that no label may contradict."""

    @property
    def row(self) -> int:
        """The item's row in the dataset."""

    @property
    def codes(self) -> Any:
        """Code of the label (multichoice: [L] of 1 and 0)."""

    @property
    def by(self) -> str:
        """Whose answer it is."""

    @property
    def gold(self) -> bool:
        """Whether it is gold."""

    @property
    def split(self) -> str:
        """The item's split."""


class CompileContext(Protocol):
    """What a test may look up while it is compiled."""

    nodes: dict[str, Node]
    tasks: dict[str, TaskInfo]

    def reference(self, text: str, where: Where) -> str:
        """The node that ``ref('…')`` or ``source('…', '…')`` means."""


class NoArguments(Model):
    """None."""


class Check(ABC):
    """A data test. Subclasses say what they are for, and look."""

    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("source", "transform", "enrichment", "label_set", "export")
    narrows: ClassVar[bool] = True
    """Whether ``where`` can narrow the rows that it looks at."""
    needs_column: ClassVar[bool] = False
    repeatable: ClassVar[bool] = True
    """Whether the same inputs give the same finding, so that it may be kept."""

    tasks: ClassVar[tuple[str, ...] | None] = None
    """The kinds of task whose label sets it can look at; None: all."""

    compares: ClassVar[bool] = False
    """Whether its argument ``against`` names earlier labels; a finding is kept for as long as they are the same."""

    Arguments: ClassVar[type[Model]] = NoArguments
    """The model of its arguments."""

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """Refuse arguments that the target rules out (a label that its task does not have)."""
        return

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """The nodes and columns that the test reads."""
        return {target.id: (column,) if column else None}

    @abstractmethod
    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Look for failures."""


def verdict(spec: TestSpec, finding: Finding) -> str:
    """``passed``, ``warned`` or ``failed``; as in dbt, ``error_if`` counts only with severity error."""
    severity = finding.severity or spec.severity
    if severity == "error" and _holds(spec.error_if or "!= 0", finding.failures):
        return "failed"
    return "warned" if _holds(spec.warn_if or "!= 0", finding.failures) else "passed"


def _holds(condition: str, failures: int) -> bool:
    match = re.match(r"\s*(>=|<=|!=|==|>|<|=)\s*(\d+(?:\.\d+)?)", condition)
    if match is None:
        raise ValueError(f"{condition!r} is no condition")  # the compiler checked it
    return _COMPARE[match[1]](failures, float(match[2]))


def in_bounds(value: float | None, low: float | None, high: float | None) -> bool:
    """Whether a figure lies within bounds; one that is undefined does not."""
    if value is None:
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def need_one(arguments: Model, names: Sequence[str], check: str, where: Where) -> None:
    """Refuse a test without any bound, which could never fail, and one whose bounds no figure lies within."""
    low, high = (getattr(arguments, name, None) for name in ("min", "max"))
    if low is not None and high is not None and low > high:
        problem = f"this test can never pass: min {low:g} is above max {high:g}"
        raise BadValue(where, key=check, problem=problem, advice="write the lower bound as 'min'")
    if all(getattr(arguments, name) is None for name in names):
        problem = f"this test can never fail: it has none of {', '.join(names)}"
        raise BadValue(where, key=check, problem=problem, advice=f"write for example '{check}: {{{names[0]}: …}}'")


def bounds(low: float | None, high: float | None) -> str:
    """Bounds in words."""
    parts = [f"at least {low:g}" if low is not None else "", f"at most {high:g}" if high is not None else ""]
    return " and ".join(p for p in parts if p)
