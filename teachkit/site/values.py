"""What pages show of tasks whose answers are values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import annotation_rows
from teachkit.build.valued.stored import values_column
from teachkit.site.rows import counts_of, rows_of
from teachkit.votes import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import Node
    from teachkit.site.measure import Measured
    from teachkit.site.view import View
    from teachkit.votes.values.kind import ValueKind

_BINS = 20
EXAMPLES = 4  # of right and of wrong votes on the page of a voter


@dataclass(frozen=True, slots=True)
class ValueLabels:
    """The rows of a label set [M]: as ``Labels``, with ``values`` in place of codes, and ``spread`` of numbers."""

    node: Node
    kind: ValueKind
    keys: Sequence[str]
    row_of: Any
    values: Any
    confidence: Any
    spread: Any
    votes: Any
    decided_by: Sequence[str]
    labels: Sequence[Any]

    @property
    def doubt(self) -> Any:
        """How unsure each label is [M]: by its posterior's spread, else by its confidence."""
        import numpy as np

        known = self.spread if self.spread is not None else 1.0 - self.confidence
        return np.where(np.isnan(known), np.inf, known)


def read_value_labels(view: View, measured: Measured, node: Node, keys: Sequence[str]) -> Any:
    """Read a label set; ``keys`` are those of the dataset's rows."""
    import pyarrow as pa

    task, run = measured.task, view.run
    table = pa.concat_tables([run.store.read(p.key) for p in run.outputs[node.id].parts])
    own, row_of = rows_of(view, node, task, keys, table.num_rows)
    posterior = table.column("posterior").combine_chunks()
    has_spread = pa.types.is_struct(posterior.type) and posterior.type.get_field_index("sd") >= 0
    return ValueLabels(
        node,
        task.answers,
        own,
        row_of,
        task.answers.values(table.column("label")),
        table.column("confidence").to_numpy(zero_copy_only=False).astype(float),
        posterior.field("sd").to_numpy(zero_copy_only=False).astype(float) if has_spread else None,
        table.column("votes").to_numpy(),
        table.column("decided_by").to_pylist(),
        table.column("label").to_pylist(),
    )


def value_figures(measured: Measured, labels: ValueLabels, locked: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """What the page of a label set shows beside what every node's page has."""
    gold = _gold_of(measured, labels)
    return {
        "valued": labels.kind.name,
        "rows": len(labels.keys),
        "labeled": int((~labels.kind.missing(labels.values)).sum()),
        "decided_by": counts_of(labels.decided_by),
        "summary": [
            [name, None if v is None else f"{v:.6g}"] for name, v in labels.kind.summary(labels.values).items()
        ],
        "histogram": _histogram(labels),
        "quality": [found for split in ("tune", "train") if (found := _quality(measured, labels, gold, split))],
        "metrics": list(labels.kind.metrics),
        "locked": locked,
        "model": model,
        "conflicts": measured.conflicts,
        "gold_in_test": measured.in_split.get("test", 0),
    }


def farthest(measured: Measured, labels: ValueLabels) -> list[int]:
    """The rows whose label differs from gold outside the test split, the farthest first."""
    kind, gold = labels.kind, _gold_of(measured, labels)
    both = (~kind.missing(gold) & ~kind.missing(labels.values)).nonzero()[0]
    far = kind.distance(labels.values[both], gold[both])
    other = ~kind.same(labels.values[both], gold[both])
    return [row for _, row in sorted((-d, int(row)) for d, row, o in zip(far, both, other, strict=True) if o)]


def value_examples(view: View, measured: Measured, order: Any) -> dict[str, dict[str, list[tuple[int, str, str]]]]:
    """For each voter some answers that are the same as gold outside the test split, and those farthest from it."""
    import numpy as np

    kind, found = measured.task.answers, {}
    for node_id in measured.rows:
        rows, said = _answers(view, measured, view.graph[node_id])
        truth = measured.codes[rows]
        known = (~kind.missing(truth)).nonzero()[0]
        rows, said, truth = rows[known], said[known], truth[known]
        same, far = kind.same(said, truth), kind.distance(said, truth)
        right = np.lexsort((rows, order[rows]))[: len(rows)]
        wrong = np.lexsort((rows, -far))

        def shown(places: Any, rows: Any = rows, said: Any = said, truth: Any = truth) -> list[tuple[int, str, str]]:
            return [(int(rows[i]), kind.show(said[i]), kind.show(truth[i])) for i in places[:EXAMPLES]]

        found[node_id] = {"right": shown(right[same[right]]), "wrong": shown(wrong[~same[wrong]])}
    return found


def _answers(view: View, measured: Measured, node: Node) -> tuple[Any, Any]:
    """The rows of the dataset that a voter has answered, and its answers."""
    kind = measured.task.answers
    if node.kind == "annotations":
        table = annotation_rows(view.run, node.id, measured.task)
        rows, said = table.column("row").to_numpy(), kind.values(table.column("value"))
        there = ~kind.missing(said)
        return rows[there], said[there]
    said = values_column(view.run, node.id, measured.task)
    there = (~kind.missing(said)).nonzero()[0]
    return there, said[there]


def _gold_of(measured: Measured, labels: ValueLabels) -> Any:
    """Gold of the label set's rows, none where there is none that may be seen."""
    import numpy as np

    if not measured.items:
        return labels.kind.empty(len(labels.keys))
    found = measured.codes[np.maximum(labels.row_of, 0)].copy()
    found[labels.row_of < 0] = labels.kind.empty(1)[0]
    return found


def _quality(measured: Measured, labels: ValueLabels, gold: Any, split: str) -> dict[str, Any] | None:
    import numpy as np

    if split == "test":
        raise AssertionError("no page looks at gold of the test split")
    if not measured.items:
        return None
    here = (labels.row_of >= 0) & (measured.split[np.maximum(labels.row_of, 0)] == SPLITS.index(split))
    found = labels.kind.quality(labels.values[here], gold[here])
    return {"split": split, **found} if found["n"] else None


def _histogram(labels: ValueLabels) -> dict[str, Any] | None:
    """How numbers are spread; None for what is no number."""
    import numpy as np

    if labels.kind.name != "number":
        return None
    done = labels.values[~labels.kind.missing(labels.values)]
    if not len(done) or float(done.max()) <= float(done.min()):
        return None
    counts, edges = np.histogram(done, bins=_BINS)
    return {"counts": counts.tolist(), "low": f"{edges[0]:.6g}", "high": f"{edges[-1]:.6g}"}
