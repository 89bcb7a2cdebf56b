"""What a comparison of two revisions says: plain values, which ``as_dict`` turns into the documented JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.votes.paired import Paired

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.diff.causes import Cause

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Shown:
    """What to look at: label sets by name (none: all), so many items whose label changed of each, and splits of gold.

    Measuring on ``test`` is a look at the test split.
    """

    label_sets: Sequence[str] = ()
    examples: int = 10
    splits: Sequence[str] = ("tune", "test")


@dataclass(frozen=True, slots=True)
class End:
    """Base or head: what it was asked for by, its commit, whether files differ from it, why it does not compile.

    ``missing``: because the project is not there yet.
    """

    name: str
    commit: str | None
    dirty: bool | None = None
    problem: str | None = None
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A node that is not the same: ``added``, ``removed``, ``modified``; ``data`` where its source's content is other.

    ``before`` and ``after`` are digests of its meaning, ``path`` and ``line`` where it stands (removed: stood).
    """

    node: str
    kind: str
    change: str
    path: str
    line: int | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """An item whose label or posterior changed, ``shift`` by how much, 0 to 1; ``shown``: what its task shows."""

    item: Any
    before: Any
    after: Any
    confidence_before: float | None
    confidence_after: float | None
    shift: float
    cause: str
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChange(Paired):
    """A figure on the items of a gold split that are in both, measured with the gold of the head: see ``Paired``.

    ``low`` and ``high`` are the 95 % interval of ``after``. ``better`` items became right, ``worse`` became wrong.
    """

    split: str
    metric: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a label set before and after; None where it is not known or undefined."""

    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class LabelSetDiff:
    """A label set in both revisions.

    ``status``: ``same`` (bit for bit), ``moved`` (posteriors alone), ``changed`` (labels or items), ``added``,
    ``removed``, ``unknown`` (one side is not there, or the two cannot be compared: ``notes`` say why).

    ``items_*`` are rows, ``added`` and ``removed`` those of one side alone, ``compared`` those of both. ``flips`` have
    another label, ``gained`` one where there was none, ``lost`` none where there was one; ``matrix`` counts flips from
    label to label. ``moved`` counts items whose posterior is another, ``largest_shift`` how far one moved at most.
    ``kappa`` is Cohen's of labels before and after, ``agreement`` Krippendorff's alpha of the task's annotators. Costs
    are USD of all answers that the labels rest on. Where the task has no more all labels that it had (``labels_gone``),
    gold of the head says nothing of the labels before. Where gold, splits or rows with gold changed, ``old_gold`` is
    the accuracy on each split by the gold of the base, as its lock says. Where labels are values there are no labels to
    count by: ``matrix`` and ``balance`` are empty, ``summary`` has figures of all labels (of numbers mean, standard
    deviation, least, middle and greatest), a number counts as flipped where it moved by more than ``notes`` say, and a
    shift is the distance of two labels, of numbers in their unit. ``changes`` (not in JSON) holds all items whose
    label changed.
    """

    name: str
    task: str
    status: str
    items_before: int | None = None
    items_after: int | None = None
    added: int | None = None
    removed: int | None = None
    compared: int | None = None
    flips: int | None = None
    gained: int | None = None
    lost: int | None = None
    matrix: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    moved: int | None = None
    largest_shift: float | None = None
    causes: Sequence[Cause] = ()
    examples: Sequence[Example] = ()
    coverage: Figure = Figure(None, None)
    conflict: Figure = Figure(None, None)
    agreement: Figure = Figure(None, None)
    kappa: float | None = None
    balance: Mapping[str, Figure] = field(default_factory=dict)
    summary: Mapping[str, Figure] = field(default_factory=dict)
    quality: Sequence[QualityChange] = ()
    cost_before: float | None = None
    cost_after: float | None = None
    digest_before: str | None = None
    digest_after: str | None = None
    test_looks: int | None = None
    labels_gone: Sequence[str] = ()
    gold_changed: bool = False
    old_gold: Mapping[str, float] = field(default_factory=dict)
    notes: Sequence[str] = ()
    changes: pa.Table | None = None

    @property
    def relabeled(self) -> int:
        """Items of both whose label is another, or that have one on one side alone."""
        return (self.flips or 0) + (self.gained or 0) + (self.lost or 0)


@dataclass(frozen=True, slots=True)
class VoterDiff:
    """A voter whose votes or definition changed; of ``compared`` items that are in both.

    ``gained`` votes where it was silent, ``lost`` ones where it now is, ``changed`` to another label. Precision is the
    share of right votes among those on gold outside the test split (``gold_*`` many), with Wilson's interval. Of a
    prompt: ``kappa`` between its two versions, cost in USD and tokens of all its answers.
    """

    node: str
    kind: str
    task: str
    change: str
    path: str
    line: int | None
    votes_before: int | None = None
    votes_after: int | None = None
    compared: int | None = None
    gained: int | None = None
    lost: int | None = None
    changed: int | None = None
    precision_before: float | None = None
    precision_after: float | None = None
    low_before: float | None = None
    high_before: float | None = None
    low_after: float | None = None
    high_after: float | None = None
    gold_before: int | None = None
    gold_after: int | None = None
    kappa: float | None = None
    cost_before: float | None = None
    cost_after: float | None = None
    tokens_before: int | None = None
    tokens_after: int | None = None

    @property
    def same_votes(self) -> bool:
        """Whether it says the same on all items that are in both."""
        return not (self.gained or self.lost or self.changed)


@dataclass(frozen=True, slots=True)
class DataDiff:
    """A dataset whose rows are other: by its key, ``new``, ``gone`` and ``changed`` in ``columns``; None: not known."""

    node: str
    rows_before: int | None
    rows_after: int | None
    new: int | None = None
    gone: int | None = None
    changed: int | None = None
    columns: Sequence[str] = ()
    columns_added: Sequence[str] = ()
    columns_removed: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diff:
    """What ``head`` does to the labels of ``base``."""

    base: End
    head: End
    label_sets: Sequence[LabelSetDiff]
    changes: Sequence[Change]
    voters: Sequence[VoterDiff]
    data: Sequence[DataDiff]
    notes: Sequence[str] = ()

    def label_set(self, name: str) -> LabelSetDiff:
        """One label set by its name; ``KeyError`` if neither side has it."""
        found = next((s for s in self.label_sets if s.name == name.removeprefix("label_set.")), None)
        if found is None:
            raise KeyError(name)
        return found

    def flips(self, name: str) -> pa.Table:
        """All items of a label set whose label changed: item, before, after, confidences, shift, cause."""
        found = self.label_set(name).changes
        if found is None:
            raise KeyError(name)
        return found

    def tables(self) -> dict[str, pa.Table]:
        """All figures as Arrow tables: label_sets, causes, quality, examples, changes, voters, data."""
        import pyarrow as pa

        found = self.as_dict()
        rows: dict[str, list[dict[str, Any]]] = {name: found[name] for name in ("changes", "voters", "data")}
        for part in ("causes", "quality", "examples"):
            rows[part] = [{"label_set": s["name"], **row} for s in found["label_sets"] for row in s[part]]
        plain = ("matrix", "balance", "summary", "causes", "quality", "examples", "old_gold", "notes")
        rows["label_sets"] = [{k: v for k, v in s.items() if k not in plain} for s in found["label_sets"]]
        for row in rows["examples"]:
            row.update({key: str(row[key]) for key in ("item", "before", "after")}, shown=str(row["shown"]))
        return {name: pa.Table.from_pylist(found) for name, found in rows.items()}

    @property
    def unchanged(self) -> bool:
        """Whether all labels are known to be the same, bit for bit."""
        return all(s.status == "same" for s in self.label_sets) and self.base.problem is None

    def as_dict(self, *, texts: bool = True) -> dict[str, Any]:
        """As plain values: the documented JSON of ``teachkit diff``; ``texts``: with what tasks show of items."""
        from teachkit.diff.words import alerts

        sets = [{k: v for k, v in _plain(s).items() if k != "changes"} for s in self.label_sets]
        if not texts:
            for example in (example for s in sets for example in s["examples"]):
                del example["shown"]
        return {
            "schema_version": SCHEMA_VERSION,
            "base": asdict(self.base),
            "head": asdict(self.head),
            "unchanged": self.unchanged,
            "label_sets": sets,
            "changes": [asdict(c) for c in self.changes],
            "voters": [asdict(v) for v in self.voters],
            "data": [asdict(d) for d in self.data],
            "alerts": alerts(self),
            "notes": list(self.notes),
        }

    def markdown(self, **options: Any) -> str:
        """As a comment for a pull request; options as of ``teachkit.diff.markdown``."""
        from teachkit.diff.markdown import markdown

        return markdown(self, **options)

    def html(self, **options: Any) -> str:
        """As one page that needs nothing else."""
        from teachkit.diff.page import page

        return page(self, **options)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from teachkit.diff.page import fragment

        return fragment(self)


def _plain(label_set: LabelSetDiff) -> dict[str, Any]:
    from dataclasses import replace

    return asdict(replace(label_set, changes=None))
