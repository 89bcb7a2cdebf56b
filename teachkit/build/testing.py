"""Runs tests: data tests on what was built, unit tests of voters on given rows."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.build.keys import node_key
from teachkit.build.looks import note_look
from teachkit.errors import BadValue, FileChanged, NotBuilt, TeachkitError
from teachkit.hashing import digest
from teachkit.project.root import name_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.protected import Protected
    from teachkit.build.revisions.earlier import Earlier
    from teachkit.checks import Finding
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import TestSpec
    from teachkit.votes import Votes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test: ``passed``, ``warned`` or ``failed``."""

    status: str
    message: str
    failures: int


def run_test(run: Executor, node: Node) -> Outcome:
    """Run a test, or take its outcome from the store if all that it reads is as it was."""
    key = unit_test_key(run, node) if node.kind == "unit_test" else test_key(run, node)
    found = _kept(run, key) if not run.options.full_refresh else None
    if found is not None:
        return found
    outcome, rows = _unit_test(run, node) if node.kind == "unit_test" else _data_test(run, node)
    if key:
        extra = {"status": outcome.status, "message": outcome.message, "failures": outcome.failures}
        run.put(key, _no_rows() if rows is None else rows, node, 0, extra)
    else:
        run.check_sources(node)
    return outcome


def stored_outcome(run: Executor, node: Node) -> Outcome | None:
    """What came of a data test of what is there now; None if it was not run, or has no outcome that is kept."""
    try:
        for name in node.inputs:
            run.resolve(run.graph[name])
    except NotBuilt:
        return None
    found = (_kept(run, test_key(run, node, keep=keep)) for keep in (False, True))
    return next((outcome for outcome in found if outcome is not None), None)


def _kept(run: Executor, key: str | None) -> Outcome | None:
    meta = run.store.meta(key) if key else None
    return Outcome(meta.extra["status"], meta.extra["message"], int(meta.extra["failures"])) if meta else None


# ---------------------------------------------------------------------------- data tests


def test_key(run: Executor, node: Node, *, keep: bool | None = None) -> str | None:
    """The key of a test's outcome; None if it must run anew (it looks at the clock, or has nothing to compare with).

    An outcome with failing rows (``keep``; default: as asked for) has a key of its own, since objects never change.
    """
    check = None if node.spec.sql is not None else registry.load("check", node.spec.check)
    if check is not None and not check.repeatable:
        return None
    kept = _keeps_rows(run, node) if keep is None else keep
    if check is None or not check.compares or node.spec.arguments.get("against") is None:
        return node_key(node, run.outputs, "test", kept)
    earlier = _earlier_state(run, node)
    return None if earlier is None else node_key(node, run.outputs, "test", kept, earlier)


def _earlier_state(run: Executor, node: Node) -> list[str] | None:
    """What a test compares with; None if there is nothing, which may change without a change of the project."""
    from teachkit.build.revisions.earlier import earlier_labels

    try:
        found = earlier_labels(run, run.graph[node.spec.target], node.spec.arguments["against"])
    except (LookupError, TeachkitError):
        return None
    return None if found is None else [found.lock, found.task, found.digest]


def _keeps_rows(run: Executor, node: Node) -> bool:
    return bool(node.spec.store_failures or run.options.store_failures)


def _data_test(run: Executor, node: Node) -> tuple[Outcome, pa.Table | None]:
    import duckdb

    from teachkit.checks import SqlCheck, verdict

    around = CheckSurroundings(run, node)
    spec: TestSpec = node.spec
    try:
        if spec.sql is not None:
            finding: Finding = SqlCheck().look(around)
        else:
            check = registry.load("check", spec.check)()
            finding = check.look(check.Arguments.model_validate(spec.arguments), around)
    except duckdb.Error as error:
        raise run.session.failure(error, node) from error
    if finding.test_gold:
        note_look(run, around.target)
    kept = finding.rows if _keeps_rows(run, node) else None
    return Outcome(verdict(spec, finding), finding.message, finding.failures), kept


class CheckSurroundings:
    """What a test sees of a build."""

    def __init__(self, run: Executor, node: Node) -> None:
        """Make everything that the test reads known to DuckDB."""
        self._run = run
        self.spec: TestSpec = node.spec
        self.target = run.graph[node.spec.target or node.inputs[0]] if node.inputs else node
        self.others = tuple(i for i in node.inputs if i != self.target.id)
        for name in node.inputs:
            if run.graph[name].kind in ("source", "transform", "enrichment", "label_set"):
                run.view(name)
        if self.target.kind == "export":
            from teachkit.build.exporting import select_sql

            run.session.view(self.target.id, f"({select_sql(run, self.target, self.task)})")

    @property
    def task(self) -> TaskInfo:
        """The task of the label set or voter under test."""
        return self._run.graph.tasks[self.target.task or ""]

    @property
    def rows(self) -> str:
        """The tested rows as an SQL relation."""
        from teachkit.graph import quote

        relation = quote(self.target.id)
        return f"(select * from {relation} where {self.spec.where})" if self.spec.where else relation

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query over node ids."""
        return self._run.session.rows(sql)

    def table(self, sql: str) -> pa.Table:
        """Run a query over node ids."""
        return self._run.session.table(sql)

    def files_without(self, column: str) -> list[str]:
        """The files of a source under test that have no such column."""
        from teachkit.engine.sources import files_without

        root = self._run.files.root
        if self.target.kind != "source" or self.target.spec.table.database is not None:
            return []
        return [name_below(path, root) for path in files_without(self.target.spec, root, column)]

    def labels(self) -> Any:
        """The label set under test, beside its gold."""
        return label_data(self._run, self.target)

    def posteriors(self) -> tuple[Any, Any]:
        """The posteriors of the label set under test, and its model's own labels."""
        from teachkit.build.stored_votes import posteriors_of

        return posteriors_of(self._run, self.target, self.task)

    @cached_property
    def _cast(self) -> Any:
        from teachkit.build.stored_votes import votes_of

        return votes_of(self._run, self.target)

    def votes(self) -> tuple[Votes, ...]:
        """The votes that it was made of; of a multichoice task one ``Votes`` for each label."""
        return self._cast.votes  # type: ignore[no-any-return]

    def people(self) -> Votes:
        """The judgments of the task's annotators."""
        return self.people_sets()[0]

    def people_sets(self) -> tuple[Votes, Any]:
        """The same, and which labels each code holds."""
        from teachkit.build.stored_votes import people_sets

        annotators = [i for i in self.others if self._run.graph[i].kind == "annotations"]
        return people_sets(self._run, annotators, self.task)

    def earlier(self, against: str) -> EarlierRows | None:
        """The label set as another lock names it; None if that lock has no such label set."""
        from teachkit.build.revisions.earlier import earlier_labels

        found = earlier_labels(self._run, self.target, against)
        return None if found is None else EarlierRows(self._run, self.task, found)

    def protected(self, kinds: Sequence[str], splits: Sequence[str]) -> Sequence[Protected]:
        """Answers of curators and gold, as asked for."""
        from teachkit.build.protected import protected_answers

        return protected_answers(self._run, self.task, kinds, splits)

    def keys(self, rows: Sequence[int]) -> pa.ChunkedArray:
        """The keys of some items of the dataset."""
        from teachkit.build.decisions import keys_of

        return keys_of(self._run, self.task).take(list(rows))


class EarlierRows:
    """The rows of a label set as another lock names it."""

    def __init__(self, run: Executor, task: TaskInfo, found: Earlier) -> None:
        """Nothing is read yet."""
        from teachkit.engine.session import parquet

        self.lock = found.lock
        self.task = found.task
        self.relation = parquet([run.store.path(k) for k in found.objects])
        self._read = (run, found.objects, task)

    def codes(self) -> tuple[Any, Any]:
        """What it says of the items of the dataset as it is now, and which of them it has."""
        from teachkit.build.stored_votes import earlier_codes
        from teachkit.build.valued.stored import earlier_values

        return earlier_codes(*self._read) if self._read[2].coded else earlier_values(*self._read)


def label_data(run: Executor, node: Node) -> Any:
    """A label set as arrays over all items of its dataset, beside all gold of its task.

    ``LabelData``, or ``ValueData`` where labels are values.
    """
    import numpy as np

    from teachkit.build.gold import gold_files, read_gold
    from teachkit.build.stored_votes import codes_of
    from teachkit.votes import LabelData

    task = run.graph.tasks[node.task or ""]
    gold = read_gold(run, task, [n.id for n in gold_files(run.graph, task) if n.id in run.outputs])
    if not task.coded:
        from teachkit.build.valued.stored import labels_of
        from teachkit.votes import ValueData

        return ValueData(task.answers, labels_of(run, node, task), gold.values, np.asarray(gold.split))
    decided = codes_of(run, node, task)
    return LabelData(task.labels, task.multi, decided, gold.codes, np.asarray(gold.split))


# ---------------------------------------------------------------------------- unit tests


def unit_test_key(run: Executor, node: Node) -> str | None:
    """The key of a unit test's outcome; None for a SELECT, which may read other nodes."""
    voter = run.graph[node.inputs[0]]
    if voter.spec.mode == "select":
        return None
    task = run.graph.tasks[voter.task or ""]
    parts = run.outputs[task.dataset].parts
    return digest(["unit_test", node.own, voter.own, task.labels, sorted(parts[0].types.items()) if parts else None])


def _unit_test(run: Executor, node: Node) -> tuple[Outcome, None]:
    voter = run.graph[node.inputs[0]]
    task = run.graph.tasks[voter.task or ""]
    expected = [_as_set(e) if task.coded else _as_value(e, task) for e in node.spec.test.expect]
    try:
        votes = _votes_on(run, voter, task, node)
    except FileChanged:
        raise  # no outcome of the test: what it would be kept under is not what ran
    except TeachkitError as error:
        return Outcome("failed", str(error), len(expected)), None
    wrong = [
        f"row {number}: expected {_words(want)}, got {_words(got)}"
        for number, (want, got) in enumerate(zip(expected, votes, strict=True), start=1)
        if want != got and not (len(want) == len(got) == 1 and _same_value(want, got, task))
    ]
    more = f"\n  and {len(wrong) - 10} more" if len(wrong) > 10 else ""
    return Outcome("failed" if wrong else "passed", "\n  ".join(wrong[:10]) + more, len(wrong)), None


def _as_set(label: str | list[str] | None) -> frozenset[Any]:
    return frozenset([label] if isinstance(label, str) else label or [])


def _as_value(expected: Any, task: TaskInfo) -> frozenset[Any]:
    """Where answers are values: the one that is expected, or none."""
    found = task.answers.read(expected, task.labels)
    return frozenset() if found is None else frozenset([found])


def _same_value(want: frozenset[Any], got: frozenset[Any], task: TaskInfo) -> bool:
    if task.coded:
        return False
    one, other = (task.answers.made(list(said)) for said in (want, got))
    return bool(task.answers.same(one, other)[0])


def _words(labels: frozenset[Any]) -> str:
    return ", ".join(sorted(map(str, labels))) or "no vote"


def _votes_on(run: Executor, voter: Node, task: TaskInfo, test: Node) -> list[frozenset[Any]]:
    """The labels (or the value) that a voter says on the rows that a unit test gives."""
    from teachkit.build.python_votes import vote_in_python
    from teachkit.engine.scan import scan, select_votes
    from teachkit.engine.session import parquet

    with tempfile.TemporaryDirectory(prefix="teachkit-") as folder:
        path, rows = Path(folder) / "rows.parquet", test.spec.test.rows
        _write_rows(run, task, test, path)
        if voter.spec.mode == "expression":
            voted = next(scan(run.session, [voter], path, task))
            codes, error = voted.codes, voted.error
        elif voter.spec.mode == "python":
            _, codes, error = next(vote_in_python(run, [voter], len(rows), parquet([path]), task))
        else:
            codes, error = _select_votes(run, voter, task, path, select_votes), None
    if error is not None:
        raise error
    if not task.coded:
        said = task.answers.values((codes or {})["value"])
        return [frozenset(() if none else [one]) for one, none in zip(said, task.answers.missing(said), strict=True)]
    found = [set[str]() for _ in rows]
    for column, values in (codes or {}).items():
        for said, code in zip(found, values, strict=True):
            if task.multi and code == 1:
                said.add(task.labels[int(column[1:])])
            elif not task.multi and code >= 0:
                said.add(task.labels[int(code)])
    return [frozenset(said) for said in found]


def _select_votes(run: Executor, voter: Node, task: TaskInfo, path: Path, select_votes: Any) -> Any:
    """A SELECT sees the given rows in place of the dataset, and what was built of everything else."""
    from teachkit.engine.session import parquet

    for parent in voter.inputs:
        run.view(parent)
    run.session.view(task.dataset, parquet([path]))
    try:
        return select_votes(run.session, voter, path, task)
    finally:
        run.forget_view(task.dataset)


def _write_rows(run: Executor, task: TaskInfo, test: Node, path: Path) -> None:
    """Given rows as a file with the columns and types of the task's dataset; what is not given is NULL."""
    import duckdb
    import pyarrow as pa

    from teachkit.graph import literal, quote

    run.view(task.dataset)
    columns = run.session.rows(f"describe select * from {quote(task.dataset)}")
    given = [{k.lower(): v for k, v in row.items()} for row in test.spec.test.rows]
    if task.key.lower() not in {k for row in given for k in row}:
        given = [{**row, task.key: str(number)} for number, row in enumerate(given, start=1)]
    names = [name for name, *_ in columns]
    casts = ", ".join(f"cast({quote(name)} as {kind}) as {quote(name)}" for name, kind, *_ in columns)
    try:
        table = pa.table({name: pa.array([row.get(name.lower()) for row in given]) for name in names})
        run.session.connection.register("__rows", table)
        run.session.rows(f"copy (select {casts} from __rows) to {literal(str(path))} (format parquet)")
    except (pa.ArrowException, duckdb.Error) as error:
        types = ", ".join(f"{name} {kind}" for name, kind, *_ in columns)
        problem = str(error).split("\n", 1)[0]
        raise BadValue(
            test.where, key="rows", problem=problem, advice=f"give values of these types: {types}"
        ) from error
    finally:
        run.session.connection.unregister("__rows")


def _no_rows() -> pa.Table:
    import pyarrow as pa

    return pa.table({"none": pa.array([], type=pa.int8())})
