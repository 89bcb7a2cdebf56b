"""The labels of two revisions beside each other: which items are in both, which labels flip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import label_codes
from teachkit.errors import StoreDamaged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from teachkit.store import ObjectMeta, Store

NOT = "not "
"""Before a label of a multichoice task: that an item does not have it."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A label set of N items, L names of labels.

    ``codes`` [N], -1 without a label (multichoice: [N, L] of 1, 0, -1); ``posterior`` [N, L]; ``key`` is the name of
    the column of ``keys``. Equal ``key_content`` means the same keys in the same order.
    """

    names: tuple[str, ...]
    multi: bool
    key: str
    keys: pa.ChunkedArray
    key_content: tuple[str, ...]
    codes: Any
    confidence: Any
    posterior: Any

    @property
    def form(self) -> str:
        """What labels must have in common to be compared."""
        return "labels" if self.multi else "label"

    def summary(self) -> dict[str, float | None]:
        """Figures of the labels alone that are no shares: there are none."""
        return {}

    @property
    def labeled(self) -> Any:
        """Which items have a label [N]."""
        return (self.codes >= 0).all(axis=1) if self.multi else self.codes >= 0


def read_labels(store: Store, parts: Sequence[ObjectMeta]) -> Labels:
    """Read a label set from its objects.

    Raises:
        StoreDamaged: they cannot be read, or their parameters are gone.
    """
    import numpy as np
    import pyarrow as pa

    key = next(iter(parts[0].columns))
    names = label_names(store, parts[0])
    tables = [store.read(p.key, [key, "label", "confidence", "posterior"]) for p in parts]
    table = pa.concat_tables(tables)
    label, posterior = table.column("label"), table.column("posterior")
    multi = pa.types.is_list(label.type)
    flat = [chunk.flatten() for chunk in posterior.chunks]
    shares = [np.concatenate([c[i].to_numpy() for c in flat]) if flat else np.zeros(0) for i in range(len(names))]
    return Labels(
        names=names,
        multi=multi,
        key=key,
        keys=table.column(key),
        key_content=tuple(p.columns[key] for p in parts),
        codes=label_codes(label, names, multi=multi),
        confidence=table.column("confidence").to_numpy(),
        posterior=np.stack(shares, axis=1) if shares else np.zeros((table.num_rows, 0)),
    )


def label_names(store: Store, part: ObjectMeta) -> tuple[str, ...]:
    """The labels of a label set's task, in the order that they had when it was made."""
    parameters = store.meta(part.extra["parameters"])
    if parameters is None:
        path = store.path(part.extra["parameters"])
        raise StoreDamaged(path=path, problem="the parameters of the label model are missing")
    return tuple(parameters.extra["labels"])


@dataclass(frozen=True, slots=True)
class Pairing:
    """The items that are in both of two sets of rows: ``before`` and ``after`` [M] are their rows there."""

    before: Any
    after: Any

    def back(self, n: int) -> Any:
        """For each of ``n`` rows after, its row before; -1 if it has none."""
        import numpy as np

        found = np.full(n, -1, dtype=np.int64)
        found[self.after] = self.before
        return found


def pair(before: pa.ChunkedArray, after: pa.ChunkedArray, *, same: bool) -> Pairing:
    """Find equal keys; ``same``: it is known that they are all the same, in the same order."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if same:
        rows = np.arange(len(after))
        return Pairing(rows, rows)
    if before.type != after.type:
        before, after = before.cast(pa.string()), after.cast(pa.string())
    found = pc.fill_null(pc.index_in(after, value_set=before.combine_chunks()), -1).to_numpy()
    there = np.flatnonzero(found >= 0)
    return Pairing(found[there].astype(np.int64), there)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two label sets on the M items that both have, in codes of ``names`` (those after, then those only before).

    ``flips``, ``gained``, ``lost`` [M]: another label; a label where there was none; none where there was one.
    ``shift`` [M] is the total variation distance of the two posteriors; of a multichoice item the largest change of a
    label's.
    """

    names: tuple[str, ...]
    multi: bool
    pairing: Pairing
    before: Any
    after: Any
    flips: Any
    gained: Any
    lost: Any
    shift: Any

    @property
    def changed(self) -> Any:
        """The numbers of the items [C] whose label is another, or that have one on one side alone."""
        return (self.flips | self.gained | self.lost).nonzero()[0]

    @property
    def notes(self) -> list[str]:
        """What must be known to read the counts: nothing."""
        return []

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of a label."""
        import pyarrow as pa

        return pa.list_(pa.string()) if self.multi else pa.string()

    def agrees(self, said: Any, items: Any) -> Any:
        """Whether codes [K] of some of the items [K] are those after."""
        wanted = self.after[items]
        return (said == wanted).all(axis=1) if said.ndim == 2 else said == wanted

    def matrix(self) -> dict[str, dict[str, int]]:
        """Flips from label to label; of a multichoice task labels that items no longer have, and that they now have."""
        import numpy as np

        found: dict[str, dict[str, int]] = {}
        before, after = self.before[self.flips], self.after[self.flips]
        if not self.multi:
            size = len(self.names)
            table = np.bincount(before.astype(np.int64) * size + after, minlength=size * size).reshape(size, size)
            for i, j in zip(*table.nonzero(), strict=True):
                found.setdefault(self.names[i], {})[self.names[j]] = int(table[i, j])
            return found
        for k, name in enumerate(self.names):
            for old, new, was, now in ((1, 0, name, NOT + name), (0, 1, NOT + name, name)):
                count = int(((before[:, k] == old) & (after[:, k] == new)).sum())
                if count:
                    found.setdefault(was, {})[now] = count
        return found

    def words(self, codes: Any) -> list[str | list[str] | None]:
        """Codes as labels."""
        if not self.multi:
            return [self.names[c] if c >= 0 else None for c in codes.tolist()]
        return [
            None if min(row, default=0) < 0 else [n for n, c in zip(self.names, row, strict=True) if c == 1]
            for row in codes.tolist()
        ]


def compare_labels(before: Labels, after: Labels) -> Compared:
    """Compare two label sets of one kind of task, item by item."""
    import numpy as np

    pairing = pair(before.keys, after.keys, same=before.key_content == after.key_content)
    names = (*after.names, *(n for n in before.names if n not in after.names))
    was = _renamed(before, names)[pairing.before]
    now = _renamed(after, names)[pairing.after]
    if before.multi:
        had, has = (was >= 0).all(axis=1), (now >= 0).all(axis=1)
        other = (was != now).any(axis=1)
    else:
        had, has, other = was >= 0, now >= 0, was != now
    shares = [_widened(side, names)[rows] for side, rows in ((before, pairing.before), (after, pairing.after))]
    moved = np.abs(shares[1] - shares[0])
    shift = moved.max(axis=1, initial=0.0) if before.multi else moved.sum(axis=1) / 2
    return Compared(names, before.multi, pairing, was, now, had & has & other, ~had & has, had & ~has, shift)


def _renamed(labels: Labels, names: Sequence[str]) -> Any:
    """Codes in terms of ``names``."""
    import numpy as np

    if labels.names == tuple(names):
        return labels.codes
    place = [names.index(name) for name in labels.names]
    if not labels.multi:
        return np.array([*place, -1], dtype=np.int16)[labels.codes]
    wide = np.zeros((len(labels.codes), len(names)), dtype=np.int16)
    wide[:, place] = labels.codes
    wide[~labels.labeled] = -1
    return wide


def _widened(labels: Labels, names: Sequence[str]) -> Any:
    """The posterior in terms of ``names``."""
    import numpy as np

    if labels.names == tuple(names):
        return labels.posterior
    wide = np.zeros((len(labels.posterior), len(names)))
    wide[:, [names.index(name) for name in labels.names]] = labels.posterior
    return wide
