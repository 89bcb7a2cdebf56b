"""One label set before and after: flips, their causes, coverage, balance, quality, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.keys import output_of
from teachkit.build.publish import answers_cost
from teachkit.build.stored_votes import people_votes, votes_of
from teachkit.diff.causes import attribute
from teachkit.diff.labels import compare_labels, read_labels
from teachkit.diff.quality import measure
from teachkit.diff.result import Example, Figure, LabelSetDiff
from teachkit.diff.value_labels import ValueCompared, ValueLabels, compare_value_labels, is_valued, read_value_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.diff.causes import Attribution
    from teachkit.diff.labels import Labels
    from teachkit.diff.result import Shown
    from teachkit.diff.sides import Side
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta

_COLUMNS = 3
_SEEN = 0.01
_MOVED = 1e-12  # below that a posterior is the same but for its last bits


def compare_label_set(before: Side, after: Side, name: str, shown: Shown) -> LabelSetDiff:
    """Compare a label set that one side has, or both."""
    nodes = before.label_sets().get(name), after.label_sets().get(name)
    there = [name in side.label_sets() for side in (before, after)]
    parts = [side.parts(name) for side in (before, after)]
    task = _task_name(nodes, (before, after), name)
    ends = zip((before, after), ("base", "head"), parts, strict=True)
    notes = [n for side, which, found in ends for n in _missing(side, which, name, there=found is not None)]
    known = _known(before, after, name, parts)
    if not all(there) or parts[0] is None or parts[1] is None:
        status = "unknown" if all(there) else "added" if there[1] else "removed"
        return LabelSetDiff(name, task, status, notes=notes, **known)
    labels = _read(before, parts[0]), _read(after, parts[1])
    if labels[0].form != labels[1].form:
        was, now = (side.form for side in labels)
        said = f"before a label is a {was}, after a {now}"
        if {was, now} == {"label", "labels"}:
            said = "items have one label on one side and several on the other"
        notes.append(f"the task is of another kind: {said}")
        return LabelSetDiff(name, task, "unknown", notes=notes, **known)
    compared = compare_value_labels(*labels) if isinstance(labels[0], ValueLabels) else compare_labels(*labels)
    count = len(compared.before)
    if not count and len(labels[0].keys) and len(labels[1].keys):
        notes.append(
            f"no item is in both: keys are '{labels[0].key}' before and '{labels[1].key}' after. Was the key changed?"
        )
        return LabelSetDiff(name, task, "unknown", notes=notes, **known)
    notes += _renamed(labels)
    notes += compared.notes if len(compared.changed) else []
    same = known["digest_before"] == known["digest_after"]
    flips, gained, lost = (int(kind.sum()) for kind in (compared.flips, compared.gained, compared.lost))
    added, removed = len(labels[1].keys) - count, len(labels[0].keys) - count
    other = bool(flips or gained or lost or added or removed)
    found = None if same else _attribution(before, after, nodes, labels, compared, notes)
    changes = _changes(labels, compared, found)
    foremost = changes.slice(0, shown.examples) if changes.num_rows else _moved(labels, compared, shown.examples)
    measured = measure(before, after, nodes[1], labels[1], compared, shown.splits, same=same)
    return LabelSetDiff(
        name,
        task,
        "same" if same else "changed" if other else "moved",
        added=added,
        removed=removed,
        compared=count,
        flips=flips,
        gained=gained,
        lost=lost,
        matrix=compared.matrix(),
        moved=int((compared.shift > _MOVED).sum()),
        largest_shift=float(compared.shift.max(initial=0.0)),
        causes=found.causes if found is not None else (),
        examples=_examples(after, nodes[1], foremost),
        kappa=_kappa(compared),
        balance=_balance(labels, compared.names),
        summary=_summary(labels),
        quality=measured.quality,
        test_looks=measured.test_looks,
        labels_gone=_gone(labels),
        gold_changed=measured.gold_changed,
        old_gold=measured.old_gold,
        notes=notes,
        changes=changes,
        **known,
    )


def _read(side: Side, parts: Sequence[ObjectMeta]) -> Any:
    """The labels of one side: ``Labels``, or ``ValueLabels``."""
    read = read_value_labels if is_valued(side.store, parts) else read_labels
    return read(side.store, parts)


def _summary(labels: tuple[Any, Any]) -> dict[str, Figure]:
    """Figures of the labels alone, before and after."""
    was, now = (side.summary() for side in labels)
    return {name: Figure(was.get(name), now.get(name)) for name in {**now, **was}}


def _task_name(nodes: Sequence[Node | None], sides: Sequence[Side], name: str) -> str:
    for node, side in zip(reversed(nodes), reversed(sides), strict=True):
        if node is not None and node.task is not None:
            return node.task
        entry = side.revision.lock.label_sets.get(name) if side.revision.lock is not None else None
        if entry is not None:
            return entry.task
    return ""


def _missing(side: Side, which: str, name: str, *, there: bool) -> list[str]:
    """Why a side's labels are not those that its files give, or are not there at all."""
    problem = side.problems.get(f"label_set.{name}")
    if name not in side.label_sets():
        return []
    if problem is not None:
        rest = "the labels that its teachkit.lock names are compared" if there else "its labels are not known"
        return [f"the {which} could not be built ({problem}): {rest}"]
    if not there:
        return [f"the labels that teachkit.lock of the {which} names are not in this store"]
    return []


def _known(before: Side, after: Side, name: str, parts: Sequence[Sequence[ObjectMeta] | None]) -> dict[str, Any]:
    """What is known of either side alone."""
    sides = (before, after)
    rows = [sum(p.rows for p in found) if found is not None else None for found in parts]
    digests = [output_of(found).digest if found is not None else None for found in parts]
    costs = [_cost(side, name) for side in sides]
    nodes = [side.label_sets().get(name) for side in sides]
    return {
        "items_before": rows[0],
        "items_after": rows[1],
        "digest_before": digests[0],
        "digest_after": digests[1],
        "cost_before": costs[0],
        "cost_after": costs[1],
        "coverage": Figure(*(_coverage(found) for found in parts)),
        "conflict": Figure(*(_conflict(*each) for each in zip(sides, nodes, parts, strict=True))),
        "agreement": Figure(*(_agreement(*each) for each in zip(sides, nodes, strict=True))),
    }


def _cost(side: Side, name: str) -> float | None:
    """What the answers of all prompts cost that a label set rests on, in USD; else what the lock says of it."""
    node = side.label_sets().get(name)
    if side.run is None or node is None or node.id not in side.run.outputs:
        entry = side.revision.lock.label_sets.get(name) if side.revision.lock is not None else None
        other = entry is not None and node is not None and node.fingerprint != entry.fingerprint
        return entry.cost if entry is not None and not other else None
    return answers_cost(side.run, node)


def _coverage(parts: Sequence[ObjectMeta] | None) -> float | None:
    rows = sum(p.rows for p in parts) if parts is not None else 0
    return sum(p.extra["labeled"] for p in parts) / rows if parts is not None and rows else None


def _conflict(side: Side, node: Node | None, parts: Sequence[ObjectMeta] | None) -> float | None:
    """The share of items on which voters disagree: as noted when the label set was made, or counted now."""
    if not parts:
        return None
    parameters = side.store.meta(parts[0].extra["parameters"])
    if parameters is not None and "conflict" in parameters.extra:
        return float(parameters.extra["conflict"])
    if side.run is None or node is None or node.id not in side.run.outputs:
        return None
    from teachkit.build.label_sets import conflict_of

    return conflict_of(votes_of(side.run, node))


def _agreement(side: Side, node: Node | None) -> float | None:
    """Krippendorff's alpha of the annotators of the task; None where it is undefined, or answers are values."""
    if side.run is None or node is None or not side.task(node).coded:
        return None
    from teachkit.votes.agreement import krippendorff_alpha

    files = [n for n in side.run.graph.of("annotations") if n.task == node.task and n.spec.meta.role == "annotator"]
    there = [n.id for n in files if n.id in side.run.outputs]
    if not there:
        return None
    task = side.task(node)
    metric = "ordinal" if task.ordered else "nominal"
    return krippendorff_alpha(people_votes(side.run, there, task), metric=metric).value


def _renamed(labels: tuple[Any, Any]) -> list[str]:
    was, now = labels
    notes = []
    gone, new = _gone(labels), _gone((now, was))
    if gone or new:
        said = [f"gone: {', '.join(gone)}"] if gone else []
        said += [f"new: {', '.join(new)}"] if new else []
        notes.append(f"the labels of the task changed ({'; '.join(said)}): a renamed label counts as another one")
    if was.key != now.key:
        notes.append(f"the key was '{was.key}' and is '{now.key}': items are matched by its values")
    return notes


def _gone(labels: tuple[Any, Any]) -> list[str]:
    """Labels that the task had and has no more."""
    was, now = labels
    return [name for name in was.names if name not in now.names]


def _attribution(
    before: Side,
    after: Side,
    nodes: tuple[Node | None, Node | None],
    labels: tuple[Any, Any],
    compared: Any,
    notes: list[str],
) -> Attribution | None:
    base, head = nodes
    made = [
        node is not None and side.output(node.id) is not None for side, node in zip((before, after), nodes, strict=True)
    ]
    if base is None or head is None or not all(made):
        notes.append("causes cannot be told: for that both sides must be built from their files")
        return None
    found = attribute(before, after, base, head, labels, compared)
    if found.note:
        notes.append(found.note)
    return found


def _changes(labels: tuple[Any, Any], compared: Any, found: Attribution | None) -> pa.Table:
    """All items whose label changed, those whose posterior moved most first."""
    import numpy as np

    changed = compared.changed
    return _rows(labels, compared, found, changed[np.lexsort((changed, -compared.shift[changed]))])


def _moved(labels: tuple[Any, Any], compared: Any, limit: int) -> pa.Table:
    """The items whose posterior moved most, as far as one sees it."""
    import numpy as np

    seen = np.flatnonzero(compared.shift >= _SEEN)
    return _rows(labels, compared, None, seen[np.lexsort((seen, -compared.shift[seen]))][:limit])


def _rows(labels: tuple[Any, Any], compared: Any, found: Attribution | None, order: Any) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    changed = compared.changed
    keys = labels[1].keys.take(pa.array(compared.pairing.after[order]))
    named = [c.node for c in found.causes] if found is not None else []
    place = np.empty(len(compared.shift), dtype=np.int32)
    if found is not None:
        place[changed] = found.cause_of
    cause = [named[c] for c in place[order].tolist()] if found is not None else [None] * len(order)
    kind = compared.arrow_type
    return pa.table(
        {
            "item": keys,
            "before": pa.array(compared.words(compared.before[order]), type=kind),
            "after": pa.array(compared.words(compared.after[order]), type=kind),
            "confidence_before": pa.array(labels[0].confidence[compared.pairing.before[order]], from_pandas=True),
            "confidence_after": pa.array(labels[1].confidence[compared.pairing.after[order]], from_pandas=True),
            "shift": pa.array(compared.shift[order]),
            "cause": pa.array(cause, type=pa.string()),
        }
    )


def _examples(after: Side, node: Node | None, table: pa.Table) -> list[Example]:
    rows = table.to_pylist()
    shown = _shown(after, node, [row["item"] for row in rows]) if rows and node is not None else {}
    return [
        Example(
            row["item"],
            row["before"],
            row["after"],
            row["confidence_before"],
            row["confidence_after"],
            row["shift"],
            row["cause"] or "",
            shown.get(str(row["item"]), {}),
        )
        for row in rows
    ]


def _shown(side: Side, node: Node, items: Sequence[Any]) -> Mapping[str, Mapping[str, Any]]:
    """What the task shows of some items of its dataset, by key as text."""
    from teachkit.engine.session import parquet
    from teachkit.graph import literal, quote

    task = side.task(node)
    if side.run is None or task.dataset not in side.run.outputs:
        return {}
    relation = parquet([side.store.path(p.key) for p in side.run.outputs[task.dataset].parts])
    chosen = task.show or _first_columns(side.run.graph[task.dataset], task)
    columns = [f"cast({quote(c)} as varchar) as {quote(c)}" for c in chosen if c.lower() != task.key.lower()]
    wanted = ", ".join(literal(str(item)) for item in items)
    key = f"cast({quote(task.key)} as varchar)"
    table = side.run.session.table(
        f"select {', '.join([f'{key} as __item', *columns])} from {relation} where {key} in ({wanted})"
    )
    return {row.pop("__item"): row for row in table.to_pylist()}


def _first_columns(dataset: Node, task: TaskInfo) -> Sequence[str]:
    """What stands for an item where its task does not say: the first columns that are neither key, gold nor split."""
    hidden = {task.key, *task.secret_columns, task.split_column}
    return [c for c in dataset.columns or () if c not in hidden][:_COLUMNS]


def _kappa(compared: Any) -> float | None:
    if compared.multi or isinstance(compared, ValueCompared):
        return None
    from teachkit.votes.agreement import cohen_kappa

    return cohen_kappa(compared.before, compared.after, len(compared.names)).value


def _balance(labels: tuple[Any, Any], names: Sequence[str]) -> dict[str, Figure]:
    """The share of each label among the labeled items of each side."""
    if not names:
        return {}
    shares = [_shares(side) for side in labels]
    return {name: Figure(*(s.get(name) for s in shares)) for name in names}


def _shares(labels: Labels) -> dict[str, float | None]:
    import numpy as np

    done = labels.codes[labels.labeled]
    if not len(done):
        return dict.fromkeys(labels.names)
    counts = (done == 1).sum(axis=0) if labels.multi else np.bincount(done, minlength=len(labels.names))
    return {name: float(count / len(done)) for name, count in zip(labels.names, counts, strict=True)}
