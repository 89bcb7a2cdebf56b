"""The rows of a label set: what the model answers, what gold and curators decide above it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import BadPosterior, answers_of
from teachkit.build.stored_votes import annotation_rows
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.answers import Fitted
    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo


@dataclass(frozen=True, slots=True)
class Decided:
    """What is decided of N items, L labels.

    ``codes`` and ``model_codes`` [N], -1 without a label (multichoice: [N, L] of 1, 0, -1): what is decided, and what
    the label model says; ``posterior`` [N, L]; ``decided_by`` [N]: 0 model, 1 gold, 2 curator, 3 none; ``voted`` [N]:
    how many voters said anything.
    """

    codes: Any
    posterior: Any
    decided_by: Any
    voted: Any
    model_codes: Any


def decide_items(run: Executor, node: Node, task: TaskInfo, cast: Cast, fitted: Fitted, gold: Any | None) -> Decided:
    """Decide every item of the dataset: by the label models, by gold if that is wanted, by curators above both."""
    if not task.coded:
        from teachkit.build.valued.decisions import decide_values

        return decide_values(run, node, task, cast.votes[0], fitted, gold)
    import numpy as np

    try:
        posterior, model_codes = answers_of(cast.votes, fitted, node.spec.config.tie_policy, multi=task.multi)
    except BadPosterior as error:
        raise NodeFailed(node.where, problem=str(error), advice=error.advice) from error
    n = len(posterior)
    codes, decided_by = model_codes.copy(), np.zeros(n, dtype=np.int8)  # 0 model, 1 gold, 2 curator, 3 none
    if gold is not None and node.spec.config.prefer_gold:
        shown = gold.known & (gold.split != 2)
        codes[shown], decided_by[shown] = gold.codes[shown], 1
    curated, ruled, _ = latest_judgments(run, node.spec.curators, task, n)
    codes[ruled], decided_by[ruled] = curated[ruled], 2
    undecided = (codes < 0).any(axis=1) if task.multi else codes < 0
    decided_by[undecided & (decided_by == 0)] = 3
    return Decided(codes, posterior, decided_by, _voted(cast), model_codes)


def rows(run: Executor, node: Node, task: TaskInfo, cast: Cast, fitted: Fitted, gold: Any | None) -> list[pa.Table]:
    """The label set's rows, a table for each part of the dataset."""
    import numpy as np

    found = decide_items(run, node, task, cast, fitted, gold)
    keys = keys_of(run, task)
    keep = (
        (found.voted > 0) | (found.decided_by == 2) | (found.decided_by == 1)
        if node.spec.config.unlabeled == "drop"
        else np.ones(len(found.voted), dtype=bool)
    )
    table_of = _table
    if not task.coded:
        from teachkit.build.valued.decisions import table_of_values as table_of
    tables, start = [], 0
    for part in run.outputs[task.dataset].parts:
        chosen = np.flatnonzero(keep[start : start + part.rows]) + start
        tables.append(table_of(task, keys, chosen, found))
        start += part.rows
    return tables


def latest_judgments(
    run: Executor, annotations: Sequence[str], task: TaskInfo, n: int
) -> tuple[Any, Any, Mapping[int, str]]:
    """The latest decision about each of N items: codes as in ``rows``, which items have one, and whose it is.

    Where answers are values these stand in place of codes.
    """
    import numpy as np

    from teachkit.voters.annotations import instant

    codes = np.full((n, len(task.labels)) if task.multi else n, -1, dtype=np.int16)
    if not task.coded:
        codes = task.answers.empty(n)
    ruled = np.zeros(n, dtype=bool)
    by: dict[int, str] = {}
    found = []
    for node_id in annotations:
        table = annotation_rows(run, node_id, task)
        columns = (table.column(c).to_pylist() for c in ("at", "annotator", "row", "code", "yes", "line"))
        path = run.graph[node_id].spec.path
        said = [None] * table.num_rows if task.coded else task.answers.values(table.column("value")).tolist()
        found += [(instant(at), who, path, *more, value) for at, who, *more, value in zip(*columns, said, strict=True)]
    for _, annotator, path, row, code, yes, line, value in sorted(found, key=lambda one: one[:-1]):
        if code < 0:
            continue
        if task.multi:
            codes[row, code] = int(yes)
        else:
            codes[row] = code if task.coded else value
        ruled[row], by[row] = True, f"{annotator} ({path}:{line})"
    return codes, ruled, by


def _voted(cast: Cast) -> Any:
    """How many voters said anything on each item [N]."""
    import numpy as np

    if len(cast.votes) == 1:
        return cast.votes[0].votes_per_pattern[cast.votes[0].pattern_of]
    spoke = np.zeros((cast.votes[0].n_items, len(cast.votes[0].voters)), dtype=bool)
    for votes in cast.votes:
        dense = np.zeros((votes.n_patterns, len(votes.voters)), dtype=bool)
        dense[votes.entry_pattern, votes.voter] = True
        spoke |= dense[votes.pattern_of]
    return spoke.sum(axis=1)


def keys_of(run: Executor, task: TaskInfo) -> pa.ChunkedArray:
    """The keys of a task's items, in the order of its dataset."""
    import pyarrow as pa

    parts = run.outputs[task.dataset].parts
    name = next((c for c in parts[0].columns if c.lower() == task.key), task.key) if parts else task.key
    return (
        pa.chunked_array([c for p in parts for c in run.store.read(p.key, [name]).column(0).chunks])
        if parts
        else pa.chunked_array([pa.array([])])
    )


def _table(task: TaskInfo, keys: pa.ChunkedArray, chosen: Any, found: Decided) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    posterior, codes, model_codes = found.posterior[chosen], found.codes[chosen], found.model_codes[chosen]
    label, model_label = _labels(task, codes), _labels(task, model_codes)
    if task.multi:
        sure = np.where(codes == 1, posterior, 1 - posterior)
        confidence = pa.array(sure.min(axis=1) if sure.shape[1] else np.zeros(len(sure)), mask=(codes < 0).any(axis=1))
    else:
        safe = np.maximum(codes, 0)
        confidence = pa.array(posterior[np.arange(len(safe)), safe] if len(safe) else np.zeros(0), mask=codes < 0)
    fields = [pa.array(np.ascontiguousarray(posterior[:, k])) for k in range(len(task.labels))]
    names = pa.array(["model", "gold", "curator", "none"])
    place = {"position": _positions(found, chosen)} if task.ordered else {}
    return pa.table(
        {
            task.key: keys.take(pa.array(chosen)),
            "label": label,
            "confidence": confidence,
            "posterior": pa.StructArray.from_arrays(fields, names=list(task.labels)),
            "decided_by": names.take(pa.array(found.decided_by[chosen])),
            "votes": pa.array(found.voted[chosen].astype(np.int32)),
            "model_label": model_label,
            **place,
        }
    )


def _positions(found: Decided, chosen: Any) -> pa.Array:
    """The expected position of each item, labels having the positions 0, 1, 2 …: the mean over the posterior.

    Of what gold or a curator decided the label's own; NULL where nobody said anything.
    """
    import numpy as np
    import pyarrow as pa

    positions = np.zeros(len(chosen))
    for position in range(found.posterior.shape[1]):  # one after the other: the same bits everywhere
        positions += position * found.posterior[chosen, position]
    above = (found.decided_by[chosen] == 1) | (found.decided_by[chosen] == 2)
    return pa.array(np.where(above, found.codes[chosen], positions), mask=(found.voted[chosen] == 0) & ~above)


def _labels(task: TaskInfo, codes: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    if not task.multi:
        return pa.array(list(task.labels)).take(pa.array(np.maximum(codes, 0), mask=codes < 0))
    undecided = (codes < 0).any(axis=1)
    names = task.labels
    return pa.array(
        [None if u else [names[i] for i in np.flatnonzero(row == 1)] for row, u in zip(codes, undecided, strict=True)],
        type=pa.list_(pa.string()),
    )


def label_counts(table: pa.Table, labels: Sequence[str], *, multi: bool) -> dict[str, Any]:
    """How many rows of a label set have a label, and how often each label is given.

    Without labels to choose from, where answers are values, none is counted.
    """
    import pyarrow.compute as pc

    column = table.column("label")
    if not labels:
        return {"labeled": len(column) - column.null_count, "classes": {}}
    flat = pc.list_flatten(column) if multi else column
    found = {v["values"]: v["counts"] for v in pc.value_counts(flat).to_pylist()}
    return {"labeled": len(column) - column.null_count, "classes": {name: found.get(name, 0) for name in labels}}
