"""The votes of a label set, read from the store as arrays over all items of the dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from teachkit.errors import NullSide
from teachkit.store.objects import part_content

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.graph import LabelSetSpec, Node, TaskInfo
    from teachkit.votes import Votes


SCORES = ("raw_score", "probability")
"""Columns beside the votes of a prompt with ``confidence``."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The votes of a label set: for a choice one ``Votes``; for a multichoice task one, binary, for each label.

    Where answers are values they are one ``Answers``.
    """

    votes: tuple[Any, ...]
    policies: Mapping[str, str]
    kinds: Mapping[str, str]
    """Voter -> node id that it votes in."""


def votes_of(run: Executor, node: Node) -> Cast:
    """The votes that a label set is made of, from the store; they know what is compared if its algorithm asks."""
    spec: LabelSetSpec = node.spec
    task = run.graph.tasks[node.task or ""]
    return compared(run, task, cast_votes(run, task, spec.voters, spec.annotations, spec.abstain), spec.sides)


def compared(run: Executor, task: TaskInfo, cast: Cast, sides: tuple[str, str] | None) -> Cast:
    """Votes that know what is compared, in the columns ``sides``; as they are without any."""
    from teachkit.votes import Comparisons

    if sides is None:
        return cast
    left, right = sides_of(run, task, sides)
    return replace(cast, votes=tuple(Comparisons.of(votes, left, right) for votes in cast.votes))


def sides_of(run: Executor, task: TaskInfo, sides: tuple[str, str]) -> tuple[list[str], list[str]]:
    """What stands on the left and on the right of each item of a task, as text.

    Raises:
        NullSide: an item has nothing on one side.
    """
    left, right = (texts_of(run, task, side) for side in sides)
    for name, column in zip(sides, (left, right), strict=True):
        if None in column:
            from teachkit.build.decisions import keys_of

            row = column.index(None)
            raise NullSide(task.where, task=task.name, column=name, key=task.key, item=keys_of(run, task)[row].as_py())
    return left, right


def texts_of(run: Executor, task: TaskInfo, column: str) -> list[Any]:
    """The values of a column of a task's dataset, as text; lists of texts where it is one of lists."""
    import pyarrow as pa

    found: list[Any] = []
    for part in run.outputs[task.dataset].parts:
        name = next((c for c in part.columns if c.lower() == column), column)
        values = run.store.read(part.key, [name]).column(0)
        nested = pa.types.is_list(values.type) or pa.types.is_large_list(values.type)
        found += values.cast(pa.list_(pa.string()) if nested else pa.string()).to_pylist()
    return found


def cast_votes(
    run: Executor, task: TaskInfo, voters: Sequence[str], annotations: Sequence[str], abstain: Mapping[str, str]
) -> Cast:
    """Read the votes of some labeling functions and annotators of a task from the store."""
    if not task.coded:
        from teachkit.build.valued.stored import cast_answers

        return cast_answers(run, task, voters, annotations, abstain)
    import numpy as np

    from teachkit.votes import Votes

    n = sum(p.rows for p in run.outputs[task.dataset].parts)
    functions = {name: v for v in voters for name in voices(run, v)}
    names = [*functions]
    people = judgments(run, annotations, [run.graph[v].name for v in voters], task)
    kinds = {**functions, **people.nodes}
    policies = {voter: abstain[node_id] for voter, node_id in kinds.items()}
    votes = []
    for label in range(len(task.labels)) if task.multi else [None]:
        columns = [column for v in voters for column in _by_band(run, v, label)]
        k = 2 if task.multi else len(task.labels)
        found = Votes.from_columns(names, columns, k, n_items=n, threads=run.files.target.threads)
        if people.names:
            chosen = people.code >= 0 if label is None else people.code == label
            code = people.code[chosen] if label is None else people.yes[chosen].astype(np.int64)
            rows, voted = people.row[chosen], people.voter[chosen]
            long = Votes.from_long(rows, voted, code, voters=people.names, n_items=n, n_labels=k)
            found = Votes.joined(found, long)
        votes.append(found)
    return Cast(tuple(votes), policies, kinds)


def voices(run: Executor, voter: str) -> list[str]:
    """What label models call a voter: its name; one whose votes have scores is a voter for each band of them."""
    name, bands = run.graph[voter].name, bands_of(run.outputs[voter])
    return [voice(name, band) for band in bands] if bands else [name]


def voice(name: str, band: str) -> str:
    """The name of one band of a voter."""
    return f"{name}[{band}]"


def bands_of(output: Output) -> list[str]:
    """The names of the bands of a voter's scores, from the lowest up; none if it has no scores."""
    parts = output.parts
    return list(parts[0].extra.get("scores", {}).get("bands", ())) if parts else []


def _by_band(run: Executor, voter: str, label: int | None) -> list[Any]:
    """The codes of a voter [N], or those of each band of its scores."""
    import numpy as np

    codes, bands = votes_column(run, voter, label), bands_of(run.outputs[voter])
    if not bands:
        return [codes]
    band = np.concatenate([run.store.read(m.key, ["band"]).column(0).to_numpy() for m in run.outputs[voter].parts])
    return [np.where(band == number, codes, -1).astype(codes.dtype) for number in range(len(bands))]


def votes_column(run: Executor, voter: str, label: int | None) -> Any:
    """The codes of a labeling function or prompt over all items [N]; of multichoice those about one label."""
    import numpy as np

    parts = []
    for meta in run.outputs[voter].parts:
        name = "vote" if label is None else f"v{label}"
        if name in meta.columns:
            parts.append(run.store.read(meta.key, [name]).column(0).to_numpy())
        else:
            parts.append(np.full(meta.rows, -1, dtype=np.int8))
    return np.concatenate(parts) if parts else np.zeros(0, np.int8)


def stacked_votes(run: Executor, voter: str, task: TaskInfo) -> Any:
    """The codes of a labeling function or prompt over all items [N, 1]; of a multichoice task [N, L]."""
    import numpy as np

    labels = range(len(task.labels)) if task.multi else [None]
    return np.stack([votes_column(run, voter, label) for label in labels], axis=1)


def people_votes(run: Executor, annotations: Sequence[str], task: TaskInfo) -> Votes:
    """The votes of the annotators of some files (multichoice: each set of labels is one answer)."""
    return people_sets(run, annotations, task)[0]


def people_sets(run: Executor, annotations: Sequence[str], task: TaskInfo) -> tuple[Votes, Any]:
    """``people_votes``, and which labels each code holds [K, L]."""
    import numpy as np

    from teachkit.votes import Votes

    people = judgments(run, annotations, (), task)
    n = sum(p.rows for p in run.outputs[task.dataset].parts)
    if not task.multi:
        chosen = people.code >= 0
        row, voter, code, k = people.row[chosen], people.voter[chosen], people.code[chosen], len(task.labels)
        sets = np.eye(k, dtype=bool)
    else:
        said = np.flatnonzero(people.code >= 0)  # who declined has one row, with the code -1
        order = said[np.lexsort((people.code[said], people.voter[said], people.row[said]))]
        answers = people.yes[order].reshape(-1, len(task.labels))
        first = order[:: len(task.labels)]
        distinct, code = np.unique(answers, axis=0, return_inverse=True)
        row, voter, code, k = people.row[first], people.voter[first], code.ravel(), max(2, len(distinct))
        sets = np.zeros((k, len(task.labels)), dtype=bool)
        sets[: len(distinct)] = distinct
    return Votes.from_long(row, voter, code, voters=people.names, n_items=n, n_labels=k), sets


def codes_of(run: Executor, node: Node, task: TaskInfo) -> Any:
    """A label set's decisions over all items of the dataset, as codes [N] (multichoice [N, L]); -1 without a label."""
    return _codes([table.column("label") for table in rows_of_items(run, node, task, ["label"])], task)


def earlier_codes(run: Executor, objects: Sequence[str], task: TaskInfo) -> tuple[Any, Any]:
    """What a stored label set says of the items of the dataset as it is now, found by their keys.

    Codes as in ``codes_of``, and [N] whether it has the item at all.
    """
    columns, there = earlier_columns(run, objects, task)
    return _codes(columns, task), there


def earlier_columns(run: Executor, objects: Sequence[str], task: TaskInfo) -> tuple[list[pa.ChunkedArray], Any]:
    """The labels that a stored label set has of the items of the dataset as it is now, and whether it has the item."""
    import numpy as np

    from teachkit.graph import quote

    tables = _by_keys(run, objects, task, f"l.label, l.{quote(task.key)} is not null as there")
    there = [table.column("there").to_numpy() for table in tables]
    return [table.column("label") for table in tables], np.concatenate(there) if there else np.zeros(0, dtype=bool)


def _by_keys(run: Executor, objects: Sequence[str], task: TaskInfo, columns: str) -> list[pa.Table]:
    """Columns of a stored label set (``l``) for all items of the dataset, part by part, found by their keys."""
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    key, decided = quote(task.key), parquet([run.store.path(k) for k in objects])
    same = f"cast(l.{key} as varchar) = cast(d.{key} as varchar)"
    found = []
    for part in run.outputs[task.dataset].parts:
        dataset = parquet([run.store.path(part.key)], row_number=True)
        sql = f"select {columns} from {dataset} d left join {decided} l on {same} order by d.file_row_number"
        found.append(run.session.table(sql))
    return found


def _codes(columns: Sequence[pa.ChunkedArray], task: TaskInfo) -> Any:
    import numpy as np

    found = [label_codes(column, task.labels, multi=task.multi) for column in columns]
    return np.concatenate(found) if found else np.zeros((0, len(task.labels)) if task.multi else 0, np.int16)


def label_codes(label: pa.ChunkedArray, names: Sequence[str], *, multi: bool) -> Any:
    """Labels as codes of ``names`` [N], -1 without one; sets of labels as [N, L] of 1, 0, -1."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not multi:
        return pc.fill_null(pc.index_in(label, pa.array(list(names), label.type)), -1).to_numpy().astype(np.int16)
    whole = label.combine_chunks()
    codes = np.zeros((len(whole), len(names)), dtype=np.int16)
    codes[whole.is_null().to_numpy(zero_copy_only=False)] = -1
    parents = pc.list_parent_indices(whole).to_numpy()
    chosen = label_codes(pa.chunked_array([pc.list_flatten(whole)]), names, multi=False)
    codes[parents[chosen >= 0], chosen[chosen >= 0]] = 1  # a label that the names lack is passed over
    return codes


def posteriors_of(run: Executor, node: Node, task: TaskInfo) -> tuple[Any, Any]:
    """A label set's posteriors over all items of the dataset [N, L], NaN where it has no row; its model's own codes.

    Codes are as in ``codes_of``, before gold and curators decide.
    """
    import numpy as np
    import pyarrow as pa

    tables = rows_of_items(run, node, task, ["posterior", "model_label"])
    columns = [table.column("posterior").combine_chunks() for table in tables]
    shares = [_shares(column, task.labels) for column in columns if isinstance(column, pa.StructArray)]
    posterior = np.concatenate(shares) if shares else np.zeros((0, len(task.labels)))
    return posterior, _codes([table.column("model_label") for table in tables], task)


def _shares(column: pa.StructArray, labels: Sequence[str]) -> Any:
    import numpy as np
    import pyarrow.compute as pc

    fields = [pc.struct_field(column, [number]).to_numpy(zero_copy_only=False) for number in range(len(labels))]
    return np.stack(fields, axis=1).astype(np.float64)


def rows_of_items(run: Executor, node: Node, task: TaskInfo, columns: Sequence[str]) -> list[pa.Table]:
    """Columns of a label set for all items of the dataset, part by part; NULL where it has no row for an item.

    Rows stand beside each other where both have the same keys; else they are found by them.
    """
    labels, items = run.outputs[node.id].parts, run.outputs[task.dataset].parts
    if [part_content(p, [task.key]) for p in labels] == [part_content(p, [task.key]) for p in items]:
        return [run.store.read(part.key, list(columns)) for part in labels]
    return _by_keys(run, [part.key for part in labels], task, ", ".join(f"l.{column}" for column in columns))


@dataclass(frozen=True, slots=True)
class Judgments:
    """Judgments of M entries: ``row`` of the dataset, ``voter`` (index in ``names``), ``code``, ``yes`` (multichoice).

    ``nodes``: annotator -> node of the file.
    """

    names: tuple[str, ...]
    nodes: Mapping[str, str]
    row: Any
    voter: Any
    code: Any
    yes: Any


@dataclass(frozen=True, slots=True)
class Spoken:
    """Who said something of which item, in the order of the files: ``row`` and ``voter`` [M], an index of ``names``.

    ``nodes``: annotator -> node of the file; ``tables``: the judgments of each file, together M.
    """

    names: tuple[str, ...]
    nodes: Mapping[str, str]
    row: Any
    voter: Any
    tables: Sequence[pa.Table]


def spoken(run: Executor, annotations: Sequence[str], taken: Sequence[str], task: TaskInfo) -> Spoken:
    """The judgments of annotations nodes; ``taken`` are names that labeling functions have."""
    import numpy as np

    tables = standing_rows(run, annotations, task)
    annotators: list[str] = []
    nodes: dict[str, str] = {}
    for node_id, table in zip(annotations, tables, strict=True):
        found = [voter_of(a, taken) for a in table.column("annotator").to_pylist()]
        for annotator in found:
            nodes.setdefault(annotator, node_id)
        annotators += found
    names = tuple(sorted(nodes))
    index = {name: i for i, name in enumerate(names)}
    rows = [table.column("row").to_numpy() for table in tables]
    return Spoken(
        names,
        nodes,
        np.concatenate(rows) if rows else np.zeros(0, np.int64),
        np.array([index[a] for a in annotators], dtype=np.int64),
        tables,
    )


def judgments(run: Executor, annotations: Sequence[str], taken: Sequence[str], task: TaskInfo) -> Judgments:
    """What annotators said, in the order of the files; ``taken`` are names that labeling functions have."""
    import numpy as np

    said = spoken(run, annotations, taken, task)
    codes = [table.column("code").to_numpy() for table in said.tables]
    yes = [table.column("yes").to_numpy(zero_copy_only=False) for table in said.tables]
    none = np.zeros(0, np.int64)
    return Judgments(
        said.names,
        said.nodes,
        said.row,
        said.voter,
        np.concatenate(codes) if codes else none,
        np.concatenate(yes) if yes else none.astype(bool),
    )


def voter_of(annotator: str, taken: Container[str]) -> str:
    """What an annotator is called as a voter: one who shares a labeling function's name is told apart."""
    return f"{annotator} (annotator)" if annotator in taken else annotator


def standing_rows(run: Executor, annotations: Sequence[str], task: TaskInfo) -> list[pa.Table]:
    """``annotation_rows`` of each file, without judgments that their annotator made anew in another one of them."""
    from teachkit.voters.annotations import standing

    return standing([annotation_rows(run, node_id, task) for node_id in annotations])


def annotation_rows(run: Executor, node_id: str, task: TaskInfo) -> pa.Table:
    """The judgments of an annotations node with ``row`` counted over the whole dataset."""
    import numpy as np
    import pyarrow as pa

    starts = np.cumsum([0, *(p.rows for p in run.outputs[task.dataset].parts)])
    table = run.store.read(run.outputs[node_id].parts[0].key)
    row = starts[table.column("part").to_numpy()] + table.column("row").to_numpy()
    return table.set_column(table.schema.get_field_index("row"), "row", pa.array(row, type=pa.int64()))
