"""The page of a label set: balance, posteriors, confusion and calibration on gold that may be seen, its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.fitting import stored_parameters
from teachkit.site.rows import counts_of, rows_of
from teachkit.site.values import farthest, read_value_labels, value_figures
from teachkit.votes import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import Node
    from teachkit.site.measure import Measured
    from teachkit.site.view import View

_BINS = 20
_MOST_LABELS = 12  # of which a histogram is drawn
_MISTAKES = 40


@dataclass(frozen=True, slots=True)
class Labels:
    """The rows of a label set [M] as arrays. ``row_of`` [M]: the dataset's row of each; ``codes`` as gold's."""

    node: Node
    keys: Sequence[str]
    row_of: Any
    codes: Any
    posterior: Any
    confidence: Any
    votes: Any
    decided_by: Sequence[str]
    labels: Sequence[Any]

    @property
    def doubt(self) -> Any:
        """How unsure each label is [M]; infinite where nothing says it."""
        import numpy as np

        return np.where(np.isnan(self.confidence), np.inf, 1.0 - self.confidence)


def readable(view: View, node: Node) -> bool:
    """Whether a label set is there, with the key and the labels that its task has now."""
    output, task = view.run.outputs.get(node.id), view.graph.tasks[node.task or ""]
    if output is None or not output.parts or task.key not in output.parts[0].columns:
        return False
    parameters = view.run.store.meta(output.parts[0].extra["parameters"])
    return parameters is not None and list(parameters.extra["labels"]) == list(task.labels)


def read_labels(view: View, measured: Measured, node: Node, keys: Sequence[str]) -> Any:
    """Read a label set; ``keys`` are those of the dataset's rows."""
    import numpy as np
    import pyarrow as pa

    task, run = measured.task, view.run
    if not task.coded:
        return read_value_labels(view, measured, node, keys)
    table = pa.concat_tables([run.store.read(p.key) for p in run.outputs[node.id].parts])
    names = table.column("label").to_pylist()
    code = {label: i for i, label in enumerate(task.labels)}
    if task.multi:
        codes = np.full((len(names), len(task.labels)), -1, dtype=np.int16)
        for i, found in enumerate(names):
            if found is not None:
                codes[i] = [int(label in found) for label in task.labels]
    else:
        codes = np.array([code.get(n, -1) for n in names], dtype=np.int16)
    posterior = table.column("posterior").combine_chunks()
    shares = [posterior.field(label).to_numpy(zero_copy_only=False) for label in task.labels if _has(posterior, label)]
    own, row_of = rows_of(view, node, task, keys, len(names))
    return Labels(
        node,
        own,
        row_of,
        codes,
        np.stack(shares, axis=1) if shares else np.zeros((len(names), 0)),
        table.column("confidence").to_numpy(zero_copy_only=False).astype(np.float64),
        table.column("votes").to_numpy(),
        table.column("decided_by").to_pylist(),
        names,
    )


def _has(posterior: Any, label: str) -> bool:
    return bool(posterior.type.get_field_index(label) >= 0)


def label_set_figures(view: View, measured: Measured, labels: Any, locked: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of a label set shows beside what every node's page has."""
    if not measured.task.coded:
        return value_figures(measured, labels, locked, model_of(view, labels.node))
    gold = _gold_of(measured, labels)
    return {
        "rows": len(labels.keys),
        "labeled": int(_labeled(labels.codes).sum()),
        "decided_by": counts_of(labels.decided_by),
        "balance": _balance(measured, labels),
        "histograms": _histograms(measured, labels),
        "confusions": [found for split in ("tune", "train") if (found := _confusion(measured, labels, gold, split))],
        "reliability": _reliability(measured, labels, gold),
        "locked": locked,
        "model": model_of(view, labels.node),
        "conflicts": measured.conflicts,
        "gold_in_test": measured.in_split.get("test", 0),
    }


def mistakes(measured: Measured, labels: Any) -> list[int]:
    """The rows of a label set that differ from gold outside the test split, the surest first.

    Of values those that are farthest from it.
    """
    import numpy as np

    if not measured.task.coded:
        return farthest(measured, labels)[:_MISTAKES]

    gold = _gold_of(measured, labels)
    known = _labeled(gold) & _labeled(labels.codes)
    differs = (gold != labels.codes).any(axis=1) if measured.task.multi else gold != labels.codes
    found = np.flatnonzero(known & differs)
    return sorted(found.tolist(), key=lambda i: (-float(np.nan_to_num(labels.confidence[i])), i))[:_MISTAKES]


def _labeled(codes: Any) -> Any:
    return (codes >= 0).all(axis=1) if codes.ndim == 2 else codes >= 0


def _gold_of(measured: Measured, labels: Labels) -> Any:
    """Gold of the label set's rows, -1 where there is none that may be seen."""
    import numpy as np

    if not measured.items:
        return np.full_like(labels.codes, -1)
    found = measured.codes[np.maximum(labels.row_of, 0)].copy()
    found[labels.row_of < 0] = -1
    return found


def _balance(measured: Measured, labels: Labels) -> list[dict[str, Any]]:
    done = labels.codes[_labeled(labels.codes)]
    total = len(done)
    counts = [int((done[:, k] == 1).sum() if measured.task.multi else (done == k).sum()) for k in _range(measured)]
    return [
        {"label": label, "count": n, "share": n / total if total else None}
        for label, n in zip(measured.task.labels, counts, strict=True)
    ]


def _range(measured: Measured) -> range:
    return range(len(measured.task.labels))


def _histograms(measured: Measured, labels: Labels) -> list[dict[str, Any]]:
    """How posteriors are spread, label by label; of two labels of a choice one tells it all."""
    import numpy as np

    task = measured.task
    if not len(labels.posterior) or labels.posterior.shape[1] != len(task.labels):
        return []
    chosen = [1] if len(task.labels) == 2 and not task.multi else list(_range(measured))[:_MOST_LABELS]
    voted = labels.posterior[labels.votes > 0]
    found = []
    for k in chosen:
        counts, _ = np.histogram(np.clip(voted[:, k], 0.0, 1.0), bins=_BINS, range=(0.0, 1.0))
        found.append({"label": task.labels[k], "counts": counts.tolist()})
    return found


def _confusion(measured: Measured, labels: Labels, gold: Any, split: str) -> dict[str, Any] | None:
    """Counts of gold against label on one split: a table, or of multichoice one of four counts for each label."""
    import numpy as np

    from teachkit.votes.intervals import confusion, quality

    if split == "test":
        raise AssertionError("no page looks at gold of the test split")
    here = (labels.row_of >= 0) & _labeled(gold)
    if measured.items:
        here &= measured.split[np.maximum(labels.row_of, 0)] == SPLITS.index(split)
    if not here.any():
        return None
    task, gold, codes = measured.task, gold[here], labels.codes[here]
    if task.multi:
        tables = [
            {"label": label, "counts": confusion(codes[:, k], gold[:, k], 2).tolist()}
            for k, label in enumerate(task.labels)
        ]
        right = np.where(_labeled(codes), (codes == gold).all(axis=1).astype(np.int64), -1)
        figures = quality(right, np.ones(len(gold), np.int64), 2).as_dict() | {"macro_f1": None}
        return {"split": split, "quality": figures, "tables": tables, "counts": None}
    counts = confusion(codes, gold, len(task.labels)).tolist()
    figures = quality(codes, gold, len(task.labels)).as_dict()
    return {"split": split, "quality": figures, "counts": counts, "tables": None}


def _reliability(measured: Measured, labels: Labels, gold: Any) -> dict[str, Any] | None:
    """How often labels of each confidence are right, on gold of tune (of train where tune has none).

    Of multichoice, each yes or no to a label stands for itself.
    """
    import numpy as np

    from teachkit.votes.calibration import expected_calibration_error, reliability

    by_model = np.array([by == "model" for by in labels.decided_by], dtype=bool)
    known = by_model & _labeled(gold) & (labels.row_of >= 0)
    for split in ("tune", "train"):
        here = (
            known & (measured.split[np.maximum(labels.row_of, 0)] == SPLITS.index(split)) if measured.items else known
        )
        if not here.any() or labels.posterior.shape[1] != len(measured.task.labels):
            continue
        if measured.task.multi:
            yes, share = labels.codes[here].ravel() == 1, labels.posterior[here].ravel()
            said, right = np.where(yes, share, 1.0 - share), yes == (gold[here] == 1).ravel()
        else:
            said, right = labels.confidence[here], gold[here] == labels.codes[here]
        said = np.clip(said, 0.0, 1.0)
        bins = [one.as_dict() for one in reliability(said, right)]
        return {"split": split, "bins": bins, "ece": expected_calibration_error(said, right), "n": len(said)}
    return None


def model_of(view: View, node: Node) -> dict[str, Any] | None:
    """What the label model came to: its prior, its diagnostics, what it learned of each voter."""
    parts = view.run.outputs[node.id].parts
    key = parts[0].extra["parameters"] if parts else None
    meta = view.run.store.meta(key) if key else None
    if key is None or meta is None:
        return None
    labels = view.graph.tasks[node.task or ""].labels
    fitted: list[dict[str, Any]] = []
    for number, found in enumerate(stored_parameters(view.run.store.read(key))):
        about = labels[number] if view.graph.tasks[node.task or ""].multi else None
        if found is None:
            fitted.append({"about": about, "prior": [], "diagnostics": [], "weak": {}, "learned": [], "scores": []})
            continue
        diagnostics = dict(found.get("diagnostics", {}))
        weak = diagnostics.pop("weak_voters", {})
        names = labels if about is None else (f"not {about}", about)
        coded = view.graph.tasks[node.task or ""].coded
        prior = list(zip(names, map(_float, found.get("prior", ())), strict=False)) if coded else []
        learned = [{k: v for k, v in one.items() if k != "support"} for one in found.get("learned", ())]
        plain = [[name.replace("_", " "), value] for name, value in diagnostics.items() if _is_plain(value)]
        biases = {one["voter"]: one for one in found.get("sides", ())}
        learned = [{**one, "bias": biases.get(one["voter"])} for one in learned]
        beside = {"scores": found.get("scores", []), "has_bias": bool(biases)}
        fitted.append(
            {"about": about, "prior": prior, "diagnostics": plain, "weak": weak, "learned": learned, **beside}
        )
    settings = [[k, str(v)] for k, v in node.spec.parameters.items()]
    config = node.spec.config
    told = "tune" if node.spec.taught else "ignore"
    settings += [["ties", config.tie_policy], ["gold", told], ["items without votes", config.unlabeled]]
    return {
        "type": node.spec.algorithm,
        "settings": settings,
        "fitted": fitted,
        "of": meta.extra.get("labels", list(labels)),
    }


def _float(value: Any) -> float:
    return float.fromhex(value) if isinstance(value, str) else float(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)
