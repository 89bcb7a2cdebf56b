"""Quality on gold before and after, on the same items, with the same gold: that of the head."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import gold_content
from teachkit.build.looks import looks_at_test, record_look
from teachkit.diff.result import QualityChange
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.diff.sides import Side
    from teachkit.graph import Node, TaskInfo


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures, which look at the test split this is, whether gold is another one, and accuracies by the old one."""

    quality: Sequence[QualityChange] = ()
    test_looks: int | None = None
    gold_changed: bool = False
    old_gold: Mapping[str, float] = field(default_factory=dict)


def measure(
    before: Side, after: Side, node: Node | None, labels: Any, compared: Any, splits: Sequence[str], *, same: bool
) -> Measured:
    """Measure on the gold splits; ``labels`` are those after.

    Equal labels (``same``) are measured only where gold is other than it was.
    """
    import numpy as np

    from teachkit.votes import SPLITS

    if after.run is None or node is None:
        return Measured()
    task = after.task(node)
    new = gold_content(after.run, task)
    moved = _gold_moved(before, node, new)
    if same and not moved:
        return Measured()
    gold = after.gold(task)
    rows = after.rows_of(task, labels)[compared.pairing.after]
    there = rows >= 0
    known = np.zeros(len(rows), dtype=bool)
    known[there] = gold.known[rows[there]]
    items = np.flatnonzero(known)
    split = gold.split[rows[items]]
    truth = _in_names(gold.codes[rows[items]], task, compared.names) if task.coded else gold.values[rows[items]]
    found: list[QualityChange] = []
    for name in splits:
        chosen = split == SPLITS.index(name)
        if chosen.any():
            at = items[chosen]
            if task.coded:
                found += _figures(name, truth[chosen], compared.before[at], compared.after[at], compared)
            else:
                pairs = compared.figures(truth[chosen], at)
                found += [QualityChange(split=name, metric=metric, **asdict(paired)) for metric, paired in pairs]
    measured_test = any(q.split == "test" for q in found)
    looks = _look(after.run, node, task, [*new, *_both(compared)]) if measured_test else None
    return Measured(found, looks, moved, _by_old_gold(before, node, splits) if moved else {})


def _gold_moved(before: Side, node: Node, now: list[Any]) -> bool:
    """Whether gold is known to be another than it was."""
    task = node.task or ""
    if before.run is None or task not in before.run.graph.tasks:
        return False
    was = gold_content(before.run, before.run.graph.tasks[task])
    return bool(was) and digest(was) != digest(now)


def _by_old_gold(before: Side, node: Node, splits: Sequence[str]) -> dict[str, float]:
    entry = before.revision.lock.label_sets.get(node.name) if before.revision.lock is not None else None
    if entry is None:
        return {}
    found = {split: entry.quality[split].get("accuracy") for split in splits if split in entry.quality}
    return {split: float(value) for split, value in found.items() if value is not None}


def _in_names(codes: Any, task: TaskInfo, names: Sequence[str]) -> Any:
    """Gold in codes of ``names``."""
    import numpy as np

    place = np.array([names.index(label) if label in names else -2 for label in task.labels], dtype=np.int64)
    if not task.multi:
        return place[codes]
    wide = np.zeros((len(codes), len(names)), dtype=np.int64)
    wide[:, place[place >= 0]] = codes[:, place >= 0]
    return wide


def _figures(split: str, gold: Any, before: Any, after: Any, compared: Any) -> list[QualityChange]:
    import numpy as np

    from teachkit.votes.paired import paired_accuracy, paired_macro_f1

    if compared.multi:
        right = [(side == gold).all(axis=1) for side in (before, after)]
        sides = [gold == 1, before == 1, after == 1]
    else:
        right = [side == gold for side in (before, after)]
        sides = [side[:, None] == np.arange(len(compared.names)) for side in (gold, before, after)]
    measured = (("accuracy", paired_accuracy(*right)), ("macro_f1", paired_macro_f1(*sides)))
    return [QualityChange(split=split, metric=metric, **asdict(found)) for metric, found in measured]


def _both(compared: Any) -> list[str]:
    from teachkit.hashing import digest_bytes

    sides = (compared.before, compared.after)
    if any(side.dtype == object for side in sides):
        return [digest(compared.words(side)) for side in sides]
    return [digest_bytes(side.tobytes()) for side in sides]


def _look(run: Executor, node: Node, task: TaskInfo, about: list[Any]) -> int:
    """Count a look at the test split; the same labels on the same gold tell nothing new a second time."""
    key = "diff look:" + digest(about)
    if run.store.cache.get_many([key]):
        return looks_at_test(run.store, task.name)
    number = record_look(run, task.name, [node], by="diff", gold="test")
    run.store.cache.put_many({key: "1"})
    return number
