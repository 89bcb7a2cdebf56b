"""Python labeling functions, run over Arrow batches in supervised children.

A child runs one function on one batch at a time. One that raises, hangs, exits or crashes fails its own
labeling function only: the child is replaced and the others go on. Batches are shared by memory-mapped Arrow
files; answers come back over a pipe. Needs a POSIX system.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import subprocess
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from teachkit.errors import (
    LabelingFunctionFailed,
    LabelingFunctionNotLoaded,
    RunError,
    Where,
    did_you_mean,
    listing,
    shown_key,
)
from teachkit.voters.python_child import Child, Progress, PythonJob, Question, Shared, Unit, is_wide
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pyarrow

    from teachkit.votes.values.kind import ValueKind

_GRACE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class PythonResult:
    """What a labeling function answered, or why it has no answers.

    ``codes`` has one label code for each row (int8, or int16 beyond 127 labels), -1 where it abstained. For a
    multichoice task ``answers`` has, for each label code that was answered at all, an int8 array: 1 yes, 0
    no, -1 nothing; ``codes`` is None. Where answers are values, ``values`` has them, NULL where it abstained. If
    ``error`` is set, all are None.
    """

    codes: np.ndarray[Any, np.dtype[np.signedinteger[Any]]] | None = None
    answers: Mapping[int, np.ndarray[Any, np.dtype[np.int8]]] | None = None
    error: RunError | None = None
    values: pyarrow.Array | None = None


class PythonPool:
    """Child processes for one build: files are imported once and seen as they were then.

    Use it as a context manager; leaving it ends the children, whatever they do.
    """

    def __init__(
        self, root: Path, *, workers: int, timeout: float = 60.0, batch_rows: int = 20_000, scratch: Path | None = None
    ) -> None:
        """Prepare; children start when there is work.

        Args:
            root: The project's folder: the children's working directory.
            workers: How many children may run at once.
            timeout: Seconds that a function may take for one batch, unless its job says otherwise.
            batch_rows: Rows of a batch.
            scratch: Where the shared files go; the system's temporary folder if not given.
        """
        self._root = root.resolve()
        self.workers = max(1, workers)
        self.timeout = timeout
        self.children: list[Child] = []
        self._batch_rows = batch_rows
        self._folder = tempfile.TemporaryDirectory(prefix="teachkit-", dir=scratch)
        self._runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all children and remove the shared files."""
        for child in list(self.children):
            self.drop(child)
        self._folder.cleanup()

    def run(
        self,
        lfs: Sequence[PythonJob],
        table: pyarrow.Table,
        *,
        key: str,
        labels: Sequence[str],
        multi: bool = False,
        answers: ValueKind | None = None,
    ) -> Iterator[tuple[str, PythonResult]]:
        """Run every job on all rows; yield each job's id and result, in the order of ``lfs``.

        Args:
            lfs: The labeling functions.
            table: The rows, with the key and all columns that the jobs read.
            key: The column that names a row in messages.
            labels: The task's labels in the order of their codes.
            multi: Whether a row may have several labels.
            answers: The kind of the answers, where they are values.
        """
        shared = _share(Path(self._folder.name) / f"rows-{self._runs}.arrow", lfs, table, rows=self._batch_rows)
        self._runs += 1
        run = _Run(self, shared, lfs, Question(table, key, tuple(labels), multi, answers))
        try:
            yield from run.results()
        finally:
            for child in [child for child in self.children if child.unit is not None]:
                self.drop(child)
            shared.path.unlink(missing_ok=True)

    def child_for(self, job: PythonJob) -> Child:
        """An idle child that serves the folder of the job's file, or a new one."""
        folder = Path(job.path).parent
        for child in [child for child in self.children if child.unit is None]:
            if child.process.poll() is not None:
                self.drop(child)
            elif child.folder == folder:
                return child
        idle = [child for child in self.children if child.unit is None]
        if len(self.children) >= self.workers and idle:
            self.drop(idle[0])
        child = Child(self._root, folder, Path(self._folder.name))
        self.children.append(child)
        return child

    def drop(self, child: Child) -> None:
        """End a child, whatever it does."""
        child.end()
        self.children.remove(child)


def _share(path: Path, lfs: Sequence[PythonJob], table: pyarrow.Table, *, rows: int) -> Shared:
    import pyarrow

    names = sorted({name for job in lfs for name in job.columns})
    read = table.select(names)
    batches = [batch for batch in read.combine_chunks().to_batches(max_chunksize=rows) if batch.num_rows]
    options = pyarrow.ipc.IpcWriteOptions(unify_dictionaries=True)
    with pyarrow.ipc.new_file(str(path), read.schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    sizes = [batch.num_rows for batch in batches]
    return Shared(path, tuple(accumulate(sizes, initial=0)), tuple(sizes))


class _Run:
    """The loop over one table: give work to idle children, wait, take answers, judge the silent."""

    def __init__(self, pool: PythonPool, shared: Shared, lfs: Sequence[PythonJob], question: Question) -> None:
        self._pool = pool
        self._shared = shared
        self._question = question
        self._jobs = [Progress(job, len(shared.sizes)) for job in lfs]
        self._units = deque(Unit(progress, batch) for progress in self._jobs for batch in range(len(shared.sizes)))

    def results(self) -> Iterator[tuple[str, PythonResult]]:
        """Each job's result, as soon as it and those before it are done."""
        for progress in self._jobs:
            while progress.open:
                self._step()
            yield progress.job.id, self._result(progress)
            progress.parts.clear()
            progress.values.clear()

    def _step(self) -> None:
        busy = [child for child in self._pool.children if child.unit is not None]
        while self._units and len(busy) < self._pool.workers:
            unit = self._units.popleft()
            child = self._pool.child_for(unit.progress.job)
            child.give(unit, self._shared, self._question)
            busy.append(child)
        with selectors.DefaultSelector() as selector:
            for child in busy:
                selector.register(child.reply, selectors.EVENT_READ, child)
            soonest = min(child.deadline for child in busy) - time.monotonic()
            # A second at most: a grandchild may hold the pipe open after the child's death.
            ready = {key.data for key, _ in selector.select(min(1.0, max(0.0, soonest)))}
        for child in busy:
            self._attend(child, ready=child in ready)

    def _attend(self, child: Child, *, ready: bool) -> None:
        if ready and child.receive():
            for header, payload in child.frames():
                self._take(child, header, payload)
        elif ready or child.process.poll() is not None:
            self._died(child)
        elif time.monotonic() >= child.deadline:
            self._late(child)

    def _take(self, child: Child, header: Mapping[str, Any], payload: bytes) -> None:
        unit = child.work
        if header["state"] == "loaded":
            child.loaded = True
            child.allow(unit.progress.job.timeout or self._pool.timeout)
            return
        child.unit = None
        unit.progress.open -= 1
        if header["state"] == "done" and self._question.answers is not None:
            self._take_values(unit, payload, self._question.answers)
        elif header["state"] == "done":
            size = len(payload) // max(1, len(header["codes"]))
            unit.progress.parts[unit.batch] = [
                (code, payload[i * size : (i + 1) * size]) for i, code in enumerate(header["codes"])
            ]
        elif header["stage"] == "import":
            self._fail(unit, self._not_loaded(unit.progress.job, header["problem"], line=header["line"]))
        else:
            problem, advice = _explain(header, self._question)
            self._fail(unit, self._failed(unit, problem, advice, row=header["row"], line=header.get("line")))

    def _take_values(self, unit: Unit, payload: bytes, kind: ValueKind) -> None:
        """Read what a function returned for each row of a batch as answers."""
        read = []
        for row, value in enumerate(json.loads(payload)):
            try:
                read.append(kind.read(value, self._question.labels))
            except NotAnAnswer as error:
                said = f"is a text, which is not {kind.noun}" if isinstance(value, str) else error.problem
                problem = f"returned an answer that {said},"
                advice = f"return {kind.noun}, or None to abstain"
                self._fail(unit, self._failed(unit, problem, advice, row=row))
                return
        unit.progress.values[unit.batch] = read

    def _died(self, child: Child) -> None:
        code = child.process.wait()
        self._lost(child, _exit_problem(code), "run the function on that row in a Python of your own to see why")

    def _late(self, child: Child) -> None:
        seconds = f"{child.seconds:g} s"
        row = child.row()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(_GRACE_SECONDS)
        if child.row() > row:
            size = self._shared.sizes[child.work.batch]
            problem = f"is too slow: it got through {row:,} of {size:,} rows within {seconds}"
            self._lost(child, problem, "make it faster, or give it more time: @labeling_function(timeout=…)")
        else:
            advice = "look for a loop that does not end, or give it more time: @labeling_function(timeout=…)"
            self._lost(child, f"did not return within {seconds}", advice)

    def _lost(self, child: Child, problem: str, advice: str) -> None:
        """A child died or is to be killed: its job fails at the row that it had begun."""
        unit, row, loaded = child.work, child.row(), child.loaded
        self._pool.drop(child)
        unit.progress.open -= 1
        if loaded:
            self._fail(unit, self._failed(unit, problem, advice, row=max(0, row)))
        else:
            self._fail(unit, self._not_loaded(unit.progress.job, problem))

    def _fail(self, unit: Unit, error: RunError) -> None:
        """Keep the first batch's error; batches before it still run, for one of them may fail as well."""
        progress = unit.progress
        if progress.failed is None or unit.batch < progress.failed:
            progress.failed, progress.error = unit.batch, error
        kept = [u for u in self._units if u.progress is not progress or u.batch < (progress.failed or 0)]
        progress.open -= len(self._units) - len(kept)
        self._units = deque(kept)

    def _failed(self, unit: Unit, problem: str, advice: str, *, row: int, line: int | None = None) -> RunError:
        job = unit.progress.job
        if job.batch and row == 0:
            problem = f"{problem}, in the batch of {self._shared.sizes[unit.batch]:,} rows starting"
        key = self._question.table.column(self._question.key)[self._shared.starts[unit.batch] + row].as_py()
        where = Where(job.path, line or job.line)
        name = job.id.rpartition(".")[2]
        return LabelingFunctionFailed(where, name=name, problem=problem, key=shown_key(key), advice=advice)

    def _not_loaded(self, job: PythonJob, problem: str, line: int | None = None) -> RunError:
        name, advice = job.id.rpartition(".")[2], f"'python {job.path}' shows the same problem"
        return LabelingFunctionNotLoaded(Where(job.path, line), name=name, problem=problem, advice=advice)

    def _result(self, progress: Progress) -> PythonResult:
        if progress.error is not None:
            return PythonResult(error=progress.error)
        if self._question.answers is not None:
            found = [value for batch in range(len(self._shared.sizes)) for value in progress.values[batch]]
            return PythonResult(values=self._question.answers.array(found))
        parts = [progress.parts[batch] for batch in range(len(self._shared.sizes))]
        if self._question.multi:
            return PythonResult(answers=_answers(parts, self._shared))
        import numpy as np

        kind = np.dtype(np.int16 if is_wide(self._question.labels) else np.int8)
        codes = [np.frombuffer(data, kind) for part in parts for _, data in part]
        return PythonResult(codes=np.concatenate(codes) if codes else np.empty(0, kind))


def _answers(parts: Sequence[list[tuple[int, bytes]]], shared: Shared) -> dict[int, np.ndarray[Any, np.dtype[np.int8]]]:
    import numpy as np

    found = {}
    for code in sorted({code for part in parts for code, _ in part}):
        found[code] = np.full(shared.starts[-1], -1, np.int8)
        for start, size, part in zip(shared.starts, shared.sizes, parts, strict=False):
            for other, data in part:
                if other == code:
                    found[code][start : start + size] = np.frombuffer(data, np.int8)
    return found


def _explain(failure: Mapping[str, Any], question: Question) -> tuple[str, str]:
    """What to say about a row's failure, and what to do about it."""
    known = f"return one of: {listing(question.labels)}, or None to abstain"
    if question.answers is not None:
        known = f"return {question.answers.noun}, or None to abstain"
    if "value" in failure:
        value = failure["value"]
        shown = "a text" if value is None else f"'{value}'"
        hint = did_you_mean(value, question.labels) if value else ""
        return f"returned {shown}, which is not a label of the task,", f"{known}.{hint}"
    if failure["kind"] == "label":
        return failure["problem"], "write @labeling_function(label='…'), or return the label itself"
    if failure["kind"] == "length":
        return failure["problem"], "return one answer for each row, None where it abstains"
    if failure["kind"] == "type":
        return failure["problem"], known
    return failure["problem"], "let it return None (abstain) where it cannot tell"


def _exit_problem(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    return f"was killed by signal {-code}{name}"
