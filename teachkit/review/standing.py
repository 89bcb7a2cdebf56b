"""A label set as it stands: what it believes of each item of the dataset, or would believe without one voter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import decide_items
from teachkit.build.fitting import fit, fitting
from teachkit.errors import TeachkitError, listing
from teachkit.graph.label_sets import with_voters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta


@dataclass(frozen=True, slots=True)
class Standing:
    """What a label set believes of the N items of the dataset.

    ``posterior`` [N, L], NaN for items that it does not have; ``informed`` [N]: whether any voter spoke of the item.
    ``without``: the voter that was left out of it.
    """

    label_set: str
    posterior: Any
    informed: Any
    without: str | None = None


def standing(run: Executor, task: TaskInfo, node: Node, tried: Node) -> Standing | str:
    """What a label set believes, fitted again without the voter ``tried`` where that is in it; else, why nothing.

    The dataset is resolved.
    """
    output = resolved(run, node)
    if output is None:
        return f"{node.name} is not built"
    inputs = record_of(run, output)
    if tried.id not in inputs:
        return _as_stored(run, task, node, output, inputs)
    return _without(run, task, node, tried)


def as_built(run: Executor, task: TaskInfo, node: Node | None) -> Standing | str:
    """What a label set believes as it was last built; else, why nothing. The dataset is resolved."""
    if node is None:
        return f"task '{task.name}' has no label model"
    output = resolved(run, node)
    return (
        f"{node.name} is not built" if output is None else _as_stored(run, task, node, output, record_of(run, output))
    )


def resolved(run: Executor, node: Node) -> Sequence[ObjectMeta] | None:
    """The parts of a label set; None if it was never built."""
    needed = run.graph.upstream(node.id)
    for parent in (n for n in run.graph if n.id in needed):
        _try_resolve(run, parent)
    try:
        return run.resolve(node).parts or None
    except TeachkitError:
        return None


def _try_resolve(run: Executor, node: Node) -> bool:
    try:
        run.resolve(node)
    except TeachkitError:
        return False
    return True


def record_of(run: Executor, parts: Sequence[ObjectMeta]) -> Mapping[str, Any]:
    """What a label set was made of: input node -> the record of it (name, definition, objects)."""
    parameters = run.store.meta(parts[0].extra["parameters"])
    return dict(parameters.extra["inputs"]) if parameters is not None else {}


def _as_stored(
    run: Executor, task: TaskInfo, node: Node, parts: Sequence[ObjectMeta], inputs: Mapping[str, Any]
) -> Standing:
    import numpy as np

    tables = aligned(run, task, parts, inputs, ["posterior", "votes"])
    posterior = [shares_of(table.column("posterior"), task.labels) for table in tables]
    votes = [table.column("votes").to_numpy() for table in tables]  # NaN where there is no row
    none = np.zeros((0, len(task.labels)))
    found = np.concatenate(posterior) if posterior else none
    return Standing(node.name, found, (np.concatenate(votes) if votes else np.zeros(0)) > 0)


def aligned(
    run: Executor, task: TaskInfo, parts: Sequence[ObjectMeta], inputs: Mapping[str, Any], columns: Sequence[str]
) -> list[pa.Table]:
    """Columns of a label set, made of ``inputs``, for each item of each part of the dataset: NULL where it has none."""
    items = run.outputs[task.dataset].parts
    same = inputs.get(task.dataset, {}).get("objects") == [p.key for p in items]
    if same and [p.rows for p in parts] == [p.rows for p in items]:
        return [run.store.read(p.key, list(columns)) for p in parts]
    return [_joined(run, task, parts, part, columns) for part in items]


def _joined(
    run: Executor, task: TaskInfo, parts: Sequence[ObjectMeta], items: ObjectMeta, columns: Sequence[str]
) -> pa.Table:
    """Rows of a label set in the order of a part of the dataset: it has other items, or was made of others."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    dataset = parquet([run.store.path(items.key)], row_number=True)
    decided, key = parquet([run.store.path(p.key) for p in parts]), quote(task.key)
    same = f"cast(l.{key} as varchar) = cast(d.{key} as varchar)"
    chosen = ", ".join(f"l.{quote(column)}" for column in columns)
    sql = f"select {chosen} from {dataset} d left join {decided} l on {same} order by d.file_row_number"
    return run.session.table(sql)


def shares_of(column: pa.ChunkedArray, labels: Sequence[str]) -> Any:
    """A column of structs label -> share as an array [N, L]; a label that it does not know has none."""
    import numpy as np

    whole = column.combine_chunks()
    known = {field.name: number for number, field in enumerate(whole.type)}
    fields = whole.flatten()
    out = np.zeros((len(whole), len(labels)))
    for code, label in enumerate(labels):
        if label in known:
            out[:, code] = fields[known[label]].to_numpy(zero_copy_only=False)
    if whole.null_count:
        out[whole.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return out


def _without(run: Executor, task: TaskInfo, node: Node, tried: Node) -> Standing | str:
    """Fitted again: what a voter's own votes have made of the posterior says nothing about them."""
    spec = node.spec
    abstain = {voter: said for voter, said in spec.abstain.items() if voter != tried.id}
    if not abstain:
        return f"{node.name} has no other voter"
    old = [voter for voter in abstain if run.find(run.graph[voter]) is None]
    if old:
        return f"{node.name} cannot be fitted without {tried.name}: {listing(old)} is not built as it is now"
    other = with_voters(node, task.dataset, abstain, spec.annotations, spec.curators, spec.gold)
    try:
        with fitting(run, other):
            cast, fitted, gold = fit(run, other)
            found = decide_items(run, other, task, cast, fitted, gold)
    except TeachkitError as error:
        return f"{node.name} cannot be fitted without {tried.name}: {error.message}"
    return Standing(node.name, found.posterior, found.voted > 0, tried.name)
