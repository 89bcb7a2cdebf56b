"""Label sets of two revisions whose labels are values, beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.recipe import label_kind
from teachkit.diff.labels import Pairing, pair
from teachkit.errors import StoreDamaged
from teachkit.votes.values import VALUED, value_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.store import ObjectMeta, Store
    from teachkit.votes.paired import Paired
    from teachkit.votes.values.kind import ValueKind

TOLERANCE = 0.01
"""Numbers count as changed where they moved by more than this share of the standard deviation of the labels before:
a fit moves all of them a little, whatever has changed."""
_HALFWAY = 0.5


@dataclass(frozen=True, slots=True)
class ValueLabels:
    """A label set of N items: ``values`` [N] as its kind has them; ``posterior`` is the column."""

    kind: ValueKind
    key: str
    keys: pa.ChunkedArray
    key_content: tuple[str, ...]
    values: Any
    confidence: Any
    posterior: pa.ChunkedArray
    names: tuple[str, ...] = ()
    multi: bool = False

    @property
    def form(self) -> str:
        """What labels must have in common to be compared."""
        return self.kind.name

    @property
    def labeled(self) -> Any:
        """Which items have a label [N]."""
        return ~self.kind.missing(self.values)

    def summary(self) -> Mapping[str, float | None]:
        """Figures of the labels alone."""
        return self.kind.summary(self.values)


def kind_of(store: Store, parts: Sequence[ObjectMeta]) -> str:
    """The kind of task of a label set, from its objects.

    Raises:
        StoreDamaged: its parameters are gone.
    """
    parameters = store.meta(parts[0].extra["parameters"])
    if parameters is None:
        path = store.path(parts[0].extra["parameters"])
        raise StoreDamaged(path=path, problem="the parameters of the label model are missing")
    return label_kind(parameters)


def is_valued(store: Store, parts: Sequence[ObjectMeta]) -> bool:
    """Whether the labels of a label set are values."""
    return kind_of(store, parts) in VALUED


def read_value_labels(store: Store, parts: Sequence[ObjectMeta]) -> ValueLabels:
    """Read a label set whose labels are values from its objects."""
    import pyarrow as pa

    kind, key = value_kind(kind_of(store, parts)), next(iter(parts[0].columns))
    table = pa.concat_tables([store.read(p.key, [key, "label", "confidence", "posterior"]) for p in parts])
    return ValueLabels(
        kind,
        key,
        table.column(key),
        tuple(p.columns[key] for p in parts),
        kind.values(table.column("label")),
        table.column("confidence").to_numpy(),
        table.column("posterior"),
    )


@dataclass(frozen=True, slots=True)
class ValueCompared:
    """Two label sets on the M items that both have: as ``Compared``, with values in place of codes.

    ``shift`` [M] is how far the label moved, as the kind measures distances; of an item that has none on one side, 0.
    """

    kind: ValueKind
    pairing: Pairing
    before: Any
    after: Any
    flips: Any
    gained: Any
    lost: Any
    shift: Any
    tolerance: float | None = None
    names: tuple[str, ...] = ()
    multi: bool = False

    @property
    def changed(self) -> Any:
        """The numbers of the items [C] whose label is another, or that have one on one side alone."""
        return (self.flips | self.gained | self.lost).nonzero()[0]

    @property
    def notes(self) -> list[str]:
        """What must be known to read the counts."""
        if self.tolerance is None:
            return []
        return [
            f"labels count as changed where they moved by more than {self.tolerance:.4g} "
            f"({TOLERANCE:.0%} of the standard deviation of the labels before)"
        ]

    def matrix(self) -> dict[str, dict[str, int]]:
        """Values have no classes to move between."""
        return {}

    def words(self, values: Any) -> list[Any]:
        """Labels as plain values."""
        return self.kind.array(values).to_pylist()  # type: ignore[no-any-return]

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of a label."""
        return self.kind.arrow_type

    def agrees(self, said: Any, items: Any) -> Any:
        """Whether labels [K] of some of the items [K] are those after, as far as a cause is asked for.

        A text is, or it is not. Fits move all numbers: one that has gone more than half of the way counts.
        """
        kind, before, after = self.kind, self.before[items], self.after[items]
        none, wants_none = kind.missing(said), kind.missing(after)
        found = none & wants_none
        both = (~none & ~wants_none).nonzero()[0]
        found[both] = kind.same(said[both], after[both])
        if self.tolerance is not None:
            far = kind.distance(before[both], after[both])
            found[both] |= kind.distance(said[both], after[both]) < _HALFWAY * far
        return found

    def figures(self, gold: Any, items: Any) -> list[tuple[str, Paired]]:
        """Figures on gold of some of the items, before and after."""
        return paired_figures(self.kind, gold, self.before[items], self.after[items])


def compare_value_labels(before: ValueLabels, after: ValueLabels) -> ValueCompared:
    """Compare two label sets of one kind of value, item by item."""
    import numpy as np

    kind = after.kind
    pairing = pair(before.keys, after.keys, same=before.key_content == after.key_content)
    was, now = before.values[pairing.before], after.values[pairing.after]
    had, has = ~kind.missing(was), ~kind.missing(now)
    both = (had & has).nonzero()[0]
    shift = np.zeros(len(was))
    shift[both] = kind.distance(was[both], now[both])
    shift[both[kind.same(was[both], now[both])]] = 0.0
    tolerance = None
    if kind.name == "number":
        tolerance = TOLERANCE * (before.summary()["sd"] or 0.0)
    return ValueCompared(kind, pairing, was, now, shift > (tolerance or 0.0), ~had & has, had & ~has, shift, tolerance)


def paired_figures(kind: ValueKind, gold: Any, before: Any, after: Any) -> list[tuple[str, Paired]]:
    """The kind's figures on the same items with gold [K], before and after, the foremost first."""
    from teachkit.votes.paired import paired_accuracy, paired_means

    if kind.name == "number":
        there = (~kind.missing(before) & ~kind.missing(after)).nonzero()[0]
        errors = [kind.distance(side[there], gold[there]) for side in (before, after)]
        return [("mae", paired_means(*errors, less_is_better=True))]
    right = [_per_item(kind, side, gold, "same") for side in (before, after)]
    near = [_per_item(kind, side, gold, "near") for side in (before, after)]
    if kind.name == "span":
        return [("item_f1", paired_means(*near, less_is_better=False))]
    return [
        ("exact_match", paired_accuracy(*(side.astype(bool) for side in right))),
        ("closeness", paired_means(*near, less_is_better=False)),
    ]


def _per_item(kind: ValueKind, said: Any, gold: Any, what: str) -> Any:
    """Of each item, whether the label is that of gold, or how near it is; 0 without a label."""
    import numpy as np

    found = np.zeros(len(gold))
    there = (~kind.missing(said)).nonzero()[0]
    here, wanted = said[there], gold[there]
    found[there] = kind.same(here, wanted) if what == "same" else 1 - kind.distance(here, wanted)
    return found
