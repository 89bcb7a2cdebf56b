"""Known answers and splits of a task's items, in the order of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.keys import content
from teachkit.errors import NodeFailed, did_you_mean, listing
from teachkit.graph import Graph, Node, TaskInfo, literal, quote
from teachkit.votes import SPLITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.execute import Executor
    from teachkit.project.models import Gold as GoldColumn


@dataclass(frozen=True, slots=True)
class Gold:
    """``codes`` [N], -1 unknown (multichoice: [N, L] of 1, 0, -1); ``split`` [N], an index in ``SPLITS``."""

    codes: Any
    split: Any

    @property
    def known(self) -> Any:
        """Which items have gold [N]."""
        return (self.codes >= 0).all(axis=1) if self.codes.ndim == 2 else self.codes >= 0

    def of_split(self, name: str, label: int | None = None) -> Any:
        """The codes of one split (of one label), -1 elsewhere."""
        import numpy as np

        codes = self.codes if label is None else self.codes[:, label]
        return np.where(self.split == SPLITS.index(name), codes, -1)


def rows_with_gold(gold: Any, split: str) -> Any:
    """The items of a split that have gold, a ``Gold`` or a ``ValueGold`` [indices]."""
    import numpy as np

    return np.flatnonzero(gold.known & (gold.split == SPLITS.index(split)))


def gold_files(graph: Graph, task: TaskInfo) -> list[Node]:
    """The annotations that are the truth of a task."""
    return [n for n in graph.of("annotations") if n.task == task.name and n.spec.meta.role == "gold"]


def gold_content(run: Executor, task: TaskInfo, *more: str) -> list[Any]:
    """What the gold of a task is read from, and ``more`` columns of its dataset: equal exactly when all that is.

    Empty if the rows of the dataset are not known.
    """
    if task.dataset not in run.outputs:
        return []
    columns = [*more, *task.secret_columns, *([task.split_column] if task.split_column else [])]
    files = [content(run.outputs[n.id], None) for n in gold_files(run.graph, task) if n.id in run.outputs]
    splits = task.hash_splits.model_dump() if task.hash_splits else None
    mapping = task.gold.model_dump(mode="json") if task.gold else None
    return [content(run.outputs[task.dataset], columns) if columns else None, files, splits, mapping]


def read_gold(run: Executor, task: TaskInfo, annotations: Sequence[str] = ()) -> Any:
    """Gold of the task's column and of annotation files with the role gold (which win): ``Gold`` or ``ValueGold``.

    Raises:
        NodeFailed: the column holds a value that is no label of the task.
    """
    if not task.coded:
        from teachkit.build.valued.gold import read_value_gold

        return read_value_gold(run, task, annotations)
    import numpy as np

    from teachkit.build.stored_votes import standing_rows
    from teachkit.engine.session import parquet

    paths = [run.store.path(p.key) for p in run.outputs[task.dataset].parts]
    n = sum(p.rows for p in run.outputs[task.dataset].parts)
    relation = parquet(paths)
    codes = np.full((n, len(task.labels)) if task.multi else n, -1, dtype=np.int16)
    if task.gold is not None:
        values = run.session.table(f"select {_text_of(task.gold, task)} as v from {relation}").column("v").to_pylist()
        _fill(codes, values, task.gold, task)
    for table in standing_rows(run, annotations, task):
        for row, code, yes in zip(*(table.column(c).to_pylist() for c in ("row", "code", "yes")), strict=True):
            if code >= 0 and task.multi:
                codes[row, code] = int(yes)
            elif code >= 0:
                codes[row] = code
    return Gold(codes, splits_of(run, task, relation, n))


def key_hashes(run: Executor, task: TaskInfo, salt: str = "") -> Any:
    """A number for each item [N], from the hash of its key behind some ``salt``."""
    import numpy as np

    from teachkit.engine.session import parquet

    parts = run.outputs[task.dataset].parts
    if not parts:
        return np.zeros(0, np.uint64)
    relation = parquet([run.store.path(p.key) for p in parts])
    salted = f"{literal(salt)} || cast({quote(task.key)} as varchar)"
    found: Any = run.session.table(f"select md5_number_lower({salted}) as h from {relation}").column("h").to_numpy()
    return found


def _text_of(gold: GoldColumn, task: TaskInfo) -> str:
    column = quote(gold.column.lower())
    return column if task.multi else f"cast({column} as varchar)"


def _fill(codes: Any, values: Sequence[Any], gold: GoldColumn, task: TaskInfo) -> None:
    known = {name: code for code, name in enumerate(task.labels)}
    if gold.values:
        known = {_plain(value): known[label] for value, label in gold.values.items()}
    for row, value in enumerate(values):
        if value is None or value == "":
            continue
        if task.multi:
            codes[row] = 0  # labels that a list leaves out do not hold; of [] that is all of them
        for one in value if isinstance(value, list) else str(value).split("|") if task.multi else [value]:
            code = known.get(str(one))
            if code is None:
                shown = listing(known, 20)
                problem = (
                    f"gold of task '{task.name}' (column '{gold.column}') has the value '{one}', which is no label"
                )
                raise NodeFailed(
                    task.where,
                    problem=problem,
                    advice=f"map it under gold: values: (known: {shown}).{did_you_mean(str(one), known)}",
                )
            if task.multi:
                codes[row, code] = 1
            else:
                codes[row] = code


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def splits_of(run: Executor, task: TaskInfo, relation: str, n: int) -> Any:
    """The split of each of N items, as an index in ``SPLITS``.

    Raises:
        NodeFailed: the split column holds something else.
    """
    import numpy as np

    if task.split_column:
        column = f"lower(cast({quote(task.split_column)} as varchar))"
        other = f"{column} not in ('train', 'tune', 'test', '')"
        bad = run.session.rows(f"select {column} from {relation} where {other} order by 1 limit 1")
        if bad:
            problem = f"the split column '{task.split_column}' of task '{task.name}' has the value '{bad[0][0]}'"
            advice = "write train, tune or test (map other names in a transform)"
            raise NodeFailed(task.where, problem=problem, advice=advice)
        sql = f"case {column} when 'tune' then 1 when 'test' then 2 else 0 end"
    elif task.hash_splits:
        shares = {name: float(text.rstrip("% ")) / 100 for name, text in task.hash_splits.hash.items()}
        test, tune = shares.get("test", 0.0), shares.get("tune", 0.0)
        place = f"(md5_number_lower({literal('split:')} || cast({quote(task.key)} as varchar)) % 1000000)"
        below_test, below_tune = round(test * 1e6), round((test + tune) * 1e6)
        sql = f"case when {place} < {below_test} then 2 when {place} < {below_tune} then 1 else 0 end"
    else:
        return np.full(n, 2, dtype=np.int8)  # without splits all gold is for testing
    return (
        run.session.table(f"select cast({sql} as tinyint) as s from {relation}").column("s").to_numpy().astype(np.int8)
    )
