"""From votes to a label set: patterns, fit, decisions, one object of rows for each part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.build.gold import Gold, read_gold
from teachkit.build.keys import node_key, output_of
from teachkit.errors import BadValue, NodeFailed, TeachkitError
from teachkit.hashing import canonical_json, digest

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.graph import LabelSetSpec, Node, TaskInfo
    from teachkit.store import ObjectMeta
    from teachkit.votes import Votes

_ALGORITHM_ROWS = 1


@dataclass(frozen=True, slots=True)
class Cast:
    """The votes of a label set: for a choice one ``Votes``; for a multichoice task one, binary, for each label."""

    votes: tuple[Votes, ...]
    policies: Mapping[str, str]
    kinds: Mapping[str, str]
    """Voter -> node id that it votes in."""


def label_keys(run: Executor, node: Node) -> list[str]:
    """The keys of the label set's parts; the last one is that of its parameters."""
    key = node_key(node, run.outputs, _ALGORITHM_ROWS)
    task = run.graph.tasks[node.task or ""]
    parts = range(len(run.outputs[task.dataset].parts))
    return [*(digest(["labels", key, part]) for part in parts), digest(["parameters", key])]


def find_label_set(run: Executor, node: Node) -> Output | None:
    """The stored label set, if its rows and its parameters are all there."""
    metas = [run.store.meta(key) for key in label_keys(run, node)]
    return output_of([m for m in metas[:-1] if m is not None]) if all(metas) else None


def make_label_set(run: Executor, node: Node) -> Output:
    """Fit the label model and decide every item.

    The parameters are an object of their own, which also says which votes (of which version of which voter) it all
    was made of: what ``lineage`` walks.
    """
    task = run.graph.tasks[node.task or ""]
    keys = label_keys(run, node)
    votes = votes_of(run, node)
    config = node.spec.config
    gold = read_gold(run, task, node.spec.gold) if config.gold == "tune" or config.prefer_gold else None
    _say_if_compiling(run)
    try:
        models = [fit(run, node, votes, gold, label) for label in range(len(votes.votes))]
        parameters = [_parameters(model) for model in models]
        tables = rows(run, node, task, votes, models, gold)
    except TeachkitError:
        raise
    except Exception as error:
        problem = f"label model '{config.type}' raised {type(error).__name__}: {error}"
        raise NodeFailed(node.where, problem=problem, advice="check its parameters") from error
    metas = []
    for part, (key, table) in enumerate(zip(keys, tables, strict=False)):
        metas.append(run.put(key, table, node, part, {**_counts(table, task), "parameters": keys[-1]}))
    about = {"inputs": _inputs(run, node), "labels": list(task.labels), "algorithm": config.type}
    run.put(keys[-1], _parameter_table(parameters), node, -1, about)
    return output_of(metas)


def _inputs(run: Executor, node: Node) -> dict[str, Any]:
    found = {}
    for name in node.inputs:
        output, parent = run.outputs[name], run.graph[name]
        found[name] = {
            "name": parent.name,
            "definition": parent.own,
            "fingerprint": parent.fingerprint,
            "objects": [p.key for p in output.parts],
            "path": parent.where.path,
            "line": parent.where.line,
        }
    return found


def _say_if_compiling(run: Executor) -> None:
    from teachkit.votes.jit import is_compiled

    if not is_compiled():
        run.note("compiling the label models' kernels for this machine, once (some seconds)")


# ---------------------------------------------------------------------------- votes


def votes_of(run: Executor, node: Node) -> Cast:
    """The votes that a label set is made of, from the store."""
    spec: LabelSetSpec = node.spec
    return cast_votes(run, run.graph.tasks[node.task or ""], spec.voters, spec.annotations, spec.abstain)


def cast_votes(
    run: Executor, task: TaskInfo, voters: Sequence[str], annotations: Sequence[str], abstain: Mapping[str, str]
) -> Cast:
    """Read the votes of some labeling functions and annotators of a task from the store."""
    import numpy as np

    from teachkit.votes import Votes

    n = sum(p.rows for p in run.outputs[task.dataset].parts)
    names = [run.graph[v].name for v in voters]
    people = _people(run, annotations, names, task)
    kinds = {**{run.graph[v].name: v for v in voters}, **people.nodes}
    policies = {voter: abstain[node_id] for voter, node_id in kinds.items()}
    votes = []
    for label in range(len(task.labels)) if task.multi else [None]:
        columns = [_column(run, v, label) for v in voters]
        k = 2 if task.multi else len(task.labels)
        found = Votes.from_columns(names, columns, k, n_items=n)
        if people.names:
            chosen = people.code >= 0 if label is None else people.code == label
            code = people.code[chosen] if label is None else people.yes[chosen].astype(np.int64)
            rows, voted = people.row[chosen], people.voter[chosen]
            long = Votes.from_long(rows, voted, code, voters=people.names, n_items=n, n_labels=k)
            found = Votes.joined(found, long)
        votes.append(found)
    return Cast(tuple(votes), policies, kinds)


def _column(run: Executor, voter: str, label: int | None) -> Any:
    import numpy as np

    parts = []
    for meta in run.outputs[voter].parts:
        name = "vote" if label is None else f"v{label}"
        if name in meta.columns:
            parts.append(run.store.read(meta.key, [name]).column(0).to_numpy())
        else:
            parts.append(np.full(meta.rows, -1, dtype=np.int8))
    return np.concatenate(parts) if parts else np.zeros(0, np.int8)


def people_votes(run: Executor, annotations: Sequence[str], task: TaskInfo) -> Votes:
    """The votes of the annotators of some files (multichoice: each set of labels is one answer)."""
    import numpy as np

    from teachkit.votes import Votes

    people = _people(run, annotations, (), task)
    n = sum(p.rows for p in run.outputs[task.dataset].parts)
    if not task.multi:
        chosen = people.code >= 0
        row, voter, code, k = people.row[chosen], people.voter[chosen], people.code[chosen], len(task.labels)
    else:
        order = np.lexsort((people.code, people.voter, people.row))
        answers = people.yes[order].reshape(-1, len(task.labels))
        first = order[:: len(task.labels)]
        distinct, code = np.unique(answers, axis=0, return_inverse=True)
        row, voter, code, k = people.row[first], people.voter[first], code.ravel(), max(2, len(distinct))
    return Votes.from_long(row, voter, code, voters=people.names, n_items=n, n_labels=k)


def codes_of(run: Executor, node: Node, task: TaskInfo) -> Any:
    """A label set's decisions over all items of the dataset, as codes [N] (multichoice [N, L]); -1 without a label."""
    import numpy as np

    columns = []
    for labels, items in zip(run.outputs[node.id].parts, run.outputs[task.dataset].parts, strict=True):
        if labels.rows == items.rows:
            columns.append(run.store.read(labels.key, ["label"]).column(0))
        else:
            columns.append(_labels_of_items(run, labels, items, task))
    if not task.multi:
        import pyarrow as pa
        import pyarrow.compute as pc

        known = pa.array(list(task.labels))
        found = [pc.fill_null(pc.index_in(column, known), -1).to_numpy() for column in columns]
        return np.concatenate(found).astype(np.int16) if found else np.zeros(0, np.int16)
    answers = [answer for column in columns for answer in column.to_pylist()]
    codes = np.full((len(answers), len(task.labels)), -1, dtype=np.int16)
    for row, answer in enumerate(answers):
        if answer is not None:
            codes[row] = [int(label in answer) for label in task.labels]
    return codes


def _labels_of_items(run: Executor, labels: ObjectMeta, items: ObjectMeta, task: TaskInfo) -> pa.ChunkedArray:
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    dataset, decided = parquet([run.store.path(items.key)], row_number=True), parquet([run.store.path(labels.key)])
    key = quote(task.key)
    sql = f"select l.label from {dataset} d left join {decided} l on l.{key} = d.{key} order by d.file_row_number"
    return run.session.table(sql).column("label")


@dataclass(frozen=True, slots=True)
class _People:
    names: tuple[str, ...]
    nodes: Mapping[str, str]
    row: Any
    voter: Any
    code: Any
    yes: Any


def _people(run: Executor, annotations: Sequence[str], taken: Sequence[str], task: TaskInfo) -> _People:
    import numpy as np

    rows, voters, codes, yes = [], [], [], []
    nodes: dict[str, str] = {}
    for node_id in annotations:
        table = annotation_rows(run, node_id, task)
        annotators = [voter_of(a, taken) for a in table.column("annotator").to_pylist()]
        for annotator in annotators:
            nodes.setdefault(annotator, node_id)
        rows.append(table.column("row").to_numpy())
        voters += annotators
        codes.append(table.column("code").to_numpy())
        yes.append(table.column("yes").to_numpy(zero_copy_only=False))
    names = tuple(sorted(nodes))
    index = {name: i for i, name in enumerate(names)}
    none = np.zeros(0, np.int64)
    return _People(
        names,
        nodes,
        np.concatenate(rows) if rows else none,
        np.array([index[v] for v in voters], dtype=np.int64),
        np.concatenate(codes) if codes else none,
        np.concatenate(yes) if yes else none.astype(bool),
    )


def voter_of(annotator: str, taken: Container[str]) -> str:
    """What an annotator is called as a voter: one who shares a labeling function's name is told apart."""
    return f"{annotator} (annotator)" if annotator in taken else annotator


def annotation_rows(run: Executor, node_id: str, task: TaskInfo) -> pa.Table:
    """The judgments of an annotations node with ``row`` counted over the whole dataset."""
    import numpy as np
    import pyarrow as pa

    starts = np.cumsum([0, *(p.rows for p in run.outputs[task.dataset].parts)])
    table = run.store.read(run.outputs[node_id].parts[0].key)
    row = starts[table.column("part").to_numpy()] + table.column("row").to_numpy()
    return table.set_column(table.schema.get_field_index("row"), "row", pa.array(row, type=pa.int64()))


# ---------------------------------------------------------------------------- the model


def fit(run: Executor, node: Node, cast: Cast, gold: Gold | None, label: int) -> Any:
    """Fit the label model of one unit (the task, or one label of a multichoice task)."""
    spec: LabelSetSpec = node.spec
    task = run.graph.tasks[node.task or ""]
    clamp = None
    if gold is not None and spec.config.gold == "tune":
        clamp = gold.of_split("tune", label if task.multi else None)
    model = new_model(node, task, label, run.files.target.threads, run.files.root)
    fitted = model.fit(cast.votes[label], gold=clamp, abstain=dict(cast.policies))
    return fitted if fitted is not None else model


def new_model(node: Node, task: TaskInfo, label: int, threads: int, root: Path) -> Any:
    """The label model with its declared parameters, not fitted."""
    spec: LabelSetSpec = node.spec
    parameters = dict(spec.parameters)
    if task.multi and isinstance(parameters.get("class_prior"), list):
        share = parameters["class_prior"][label]
        parameters["class_prior"] = [1 - share, share]
    if ":" in spec.config.type:
        return _own_class(spec.config.type, root, node)(**parameters)
    made = registry.load("label_model", spec.config.type)
    try:
        return made(threads=threads, **parameters)
    except TypeError as error:
        import inspect

        known = [p for p in inspect.signature(made.__init__).parameters if p not in ("self", "threads")]
        problem = f"{spec.config.type} does not take these: {error}"
        raise BadValue(
            node.where, key="parameters", problem=problem, advice=f"its parameters: {', '.join(known)}"
        ) from error


def _own_class(place: str, root: Path, node: Node) -> Any:
    import importlib.util

    path, _, name = place.partition(":")
    spec = importlib.util.spec_from_file_location(f"teachkit_label_model_{digest(place)[:8]}", root / path)
    if spec is None or spec.loader is None:
        raise NodeFailed(node.where, problem=f"'{path}' cannot be imported", advice="name a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise NodeFailed(
            node.where, problem=f"'{path}' has no class '{name}'", advice="write 'label_models/file.py:Class'"
        )
    return getattr(module, name)


def stored_parameters(table: pa.Table) -> list[Any]:
    """The parameters of each fitted model, from the object that holds them; None for those that keep none."""
    return json.loads(table.column("parameters")[0].as_py())  # type: ignore[no-any-return]


def stored_parameters(table: pa.Table) -> list[Any]:
    """The parameters of each fitted model, from the object that holds them; None for those that keep none."""
    return json.loads(table.column("parameters")[0].as_py())  # type: ignore[no-any-return]


def load_models(algorithm: str, table: pa.Table) -> list[Any]:
    """The fitted models again, from their stored parameters; None for those that keep none (classes of users)."""
    kept = stored_parameters(table)
    own = ":" in algorithm
    return [None if own or p is None else registry.load("label_model", algorithm).from_parameters(p) for p in kept]


def _parameters(model: Any) -> Any:
    return model.parameters() if hasattr(model, "parameters") else None


def _parameter_table(parameters: Sequence[Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"parameters": pa.array([canonical_json(list(parameters))])})


# ---------------------------------------------------------------------------- rows


def rows(
    run: Executor, node: Node, task: TaskInfo, cast: Cast, models: Sequence[Any], gold: Gold | None
) -> list[pa.Table]:
    """The label set's rows, a table for each part of the dataset."""
    import numpy as np

    posterior, model_codes = _answers(node, task, cast, models)
    n = len(posterior)
    codes, decided_by = model_codes.copy(), np.zeros(n, dtype=np.int8)  # 0 model, 1 gold, 2 curator, 3 none
    if gold is not None and node.spec.config.prefer_gold:
        shown = (gold.codes >= 0).all(axis=1) if task.multi else gold.codes >= 0
        shown &= gold.split != 2
        codes[shown], decided_by[shown] = gold.codes[shown], 1
    curated, ruled = _curated(run, node, task, n)
    codes[ruled], decided_by[ruled] = curated[ruled], 2
    undecided = (codes < 0).any(axis=1) if task.multi else codes < 0
    decided_by[undecided & (decided_by == 0)] = 3
    voted = _voted(cast)
    keys = _keys(run, task)
    keep = (
        (voted > 0) | (decided_by == 2) | (decided_by == 1)
        if node.spec.config.unlabeled == "drop"
        else np.ones(n, dtype=bool)
    )
    tables, start = [], 0
    for part in run.outputs[task.dataset].parts:
        chosen = np.flatnonzero(keep[start : start + part.rows]) + start
        tables.append(_table(task, keys, chosen, codes, posterior, decided_by, voted, model_codes))
        start += part.rows
    return tables


def _answers(node: Node, task: TaskInfo, cast: Cast, models: Sequence[Any]) -> tuple[Any, Any]:
    """Posterior [N, L] and the model's own codes [N] (multichoice: [N, L] of 1, 0, -1)."""
    import numpy as np

    policy = node.spec.config.tie_policy
    per_label = []
    for votes, model in zip(cast.votes, models, strict=True):
        if hasattr(model, "pattern_proba"):
            from teachkit.label_models.base import decide

            shares = model.pattern_proba(votes)
            found, codes = shares[votes.pattern_of], decide(shares, votes, model.prior_, policy)[votes.pattern_of]
        else:
            from teachkit.label_models.base import decide

            found = np.asarray(model.predict_proba(votes), dtype=np.float64)
            if found.shape != (votes.n_items, votes.n_labels) or not np.allclose(found.sum(axis=1), 1.0, atol=1e-6):
                raise NodeFailed(
                    node.where,
                    problem="predict_proba must give rows that sum to 1, one column for each label",
                    advice=f"expected the shape {(votes.n_items, votes.n_labels)}",
                )
            one_by_one = type(votes)(
                votes.voters,
                votes.n_labels,
                votes.indptr,
                votes.voter,
                votes.code,
                votes.counts,
                np.arange(votes.n_patterns),
            )
            first = np.zeros(votes.n_patterns, np.int64)
            first[votes.pattern_of[::-1]] = np.arange(votes.n_items)[::-1]
            codes = decide(found[first], one_by_one, np.full(votes.n_labels, 1 / votes.n_labels), policy)[
                votes.pattern_of
            ]
        per_label.append((found, codes))
    if not task.multi:
        return per_label[0][0], per_label[0][1].astype(np.int16)
    posterior = np.stack([found[:, 1] for found, _ in per_label], axis=1) if per_label else np.zeros((0, 0))
    return posterior, np.stack([codes for _, codes in per_label], axis=1).astype(np.int16)


def _curated(run: Executor, node: Node, task: TaskInfo, n: int) -> tuple[Any, Any]:
    """Curators' decisions: codes as in ``rows``, and which items have one; the latest decision counts."""
    import numpy as np

    codes = np.full((n, len(task.labels)) if task.multi else n, -1, dtype=np.int16)
    ruled = np.zeros(n, dtype=bool)
    found = []
    for node_id in node.spec.curators:
        table = annotation_rows(run, node_id, task)
        found += list(
            zip(*(table.column(c).to_pylist() for c in ("at", "annotator", "row", "code", "yes")), strict=True)
        )
    for _, _, row, code, yes in sorted(found):
        if task.multi:
            codes[row, code] = int(yes)
            ruled[row] = True
        elif code >= 0:
            codes[row], ruled[row] = code, True
    return codes, ruled


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


def _keys(run: Executor, task: TaskInfo) -> pa.ChunkedArray:
    import pyarrow as pa

    parts = run.outputs[task.dataset].parts
    name = next((c for c in parts[0].columns if c.lower() == task.key), task.key) if parts else task.key
    return (
        pa.chunked_array([c for p in parts for c in run.store.read(p.key, [name]).column(0).chunks])
        if parts
        else pa.chunked_array([pa.array([])])
    )


def _table(
    task: TaskInfo,
    keys: pa.ChunkedArray,
    chosen: Any,
    codes: Any,
    posterior: Any,
    decided_by: Any,
    voted: Any,
    model_codes: Any,
) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    posterior, codes, model_codes = posterior[chosen], codes[chosen], model_codes[chosen]
    label, model_label = _labels(task, codes), _labels(task, model_codes)
    if task.multi:
        sure = np.where(codes == 1, posterior, 1 - posterior)
        confidence = pa.array(sure.min(axis=1) if sure.shape[1] else np.zeros(len(sure)), mask=(codes < 0).any(axis=1))
    else:
        safe = np.maximum(codes, 0)
        confidence = pa.array(posterior[np.arange(len(safe)), safe] if len(safe) else np.zeros(0), mask=codes < 0)
    fields = [pa.array(np.ascontiguousarray(posterior[:, k])) for k in range(len(task.labels))]
    names = pa.array(["model", "gold", "curator", "none"])
    return pa.table(
        {
            task.key: keys.take(pa.array(chosen)),
            "label": label,
            "confidence": confidence,
            "posterior": pa.StructArray.from_arrays(fields, names=list(task.labels)),
            "decided_by": names.take(pa.array(decided_by[chosen])),
            "votes": pa.array(voted[chosen].astype(np.int32)),
            "model_label": model_label,
        }
    )


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


def _counts(table: pa.Table, task: TaskInfo) -> dict[str, Any]:
    import pyarrow.compute as pc

    column = table.column("label")
    flat = pc.list_flatten(column) if task.multi else column
    found = {v["values"]: v["counts"] for v in pc.value_counts(flat).to_pylist()}
    return {"labeled": len(column) - column.null_count, "classes": {name: found.get(name, 0) for name in task.labels}}
