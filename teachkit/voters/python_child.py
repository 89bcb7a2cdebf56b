"""A child process that runs Python labeling functions, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.voters.python_worker import FRAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow

    from teachkit.errors import RunError
    from teachkit.votes.values.kind import ValueKind

_START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class PythonJob:
    """One labeling function to run; ``columns`` are its arguments, ``path`` is relative to the project."""

    id: str
    path: str
    function: str
    columns: tuple[str, ...]
    label: str | None = None
    batch: bool = False
    timeout: float | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """The file that the children map, and the batches in it."""

    path: Path
    starts: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What all jobs of a run have in common."""

    table: pyarrow.Table
    key: str
    labels: tuple[str, ...]
    multi: bool
    answers: ValueKind | None = None
    """The kind of the answers, where they are values."""


@dataclass(slots=True, eq=False)
class Progress:
    """How far one job is: batches still to run, answers so far, the first batch that failed."""

    job: PythonJob
    open: int
    parts: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    values: dict[int, list[Any]] = field(default_factory=dict)
    failed: int | None = None
    error: RunError | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """One job on one batch."""

    progress: Progress
    batch: int


def is_wide(labels: Sequence[str]) -> bool:
    return len(labels) > 127


class Child:
    """One child process, its two pipes, and what it is doing."""

    def __init__(self, root: Path, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.unit: Unit | None = None
        self.loaded = False
        self.seconds = _START_SECONDS
        self.deadline = 0.0
        self._buffer = bytearray()
        handle, name = tempfile.mkstemp(prefix="progress-", dir=scratch)
        os.write(handle, b"\xff" * 8)
        os.close(handle)
        self._progress = Path(name)
        commands, self._command = os.pipe()
        self.reply, answers = os.pipe()
        home = Path(__file__).parents[2]
        arguments = [commands, answers, os.getpid(), root, root / folder, self._progress, home]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(home / "teachkit/voters/python_worker.py"), *map(str, arguments)],
                cwd=root,
                env={**os.environ, "PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=2,  # what user code prints must not mix with the command's own output
                pass_fds=(commands, answers),
                start_new_session=True,  # Ctrl-C reaches the parent only, and grandchildren can be ended too
            )
        except BaseException:
            os.close(self._command)
            os.close(self.reply)
            raise
        finally:
            os.close(commands)
            os.close(answers)

    @property
    def work(self) -> Unit:
        """What it is doing; only for a child that is."""
        if self.unit is None:
            raise RuntimeError("an idle child has no work")
        return self.unit

    def give(self, unit: Unit, shared: Shared, question: Question) -> None:
        """Send one unit of work; the clock for its rows starts when the file is imported."""
        job = unit.progress.job
        request = {
            "path": job.path,
            "function": job.function,
            "columns": job.columns,
            "label": job.label,
            "arrow": job.batch,
            "data": str(shared.path),
            "batch": unit.batch,
            "labels": question.labels,
            "multi": question.multi,
            "valued": question.answers is not None,
            "wide": is_wide(question.labels),
        }
        self.unit = unit
        self.loaded = False
        self.allow(_START_SECONDS)
        header = json.dumps(request).encode()
        data = memoryview(FRAME.pack(len(header), 0) + header)
        # A child that is gone is found out by the end of its reply pipe.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._command, data) :]

    def allow(self, seconds: float) -> None:
        """Give it that long from now."""
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds

    def receive(self) -> bool:
        """Read what has arrived; False at the end of the pipe."""
        data = os.read(self.reply, 1 << 20)
        self._buffer += data
        return bool(data)

    def frames(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """The whole answers that have arrived."""
        while len(self._buffer) >= FRAME.size:
            header, payload = FRAME.unpack_from(self._buffer)
            end = FRAME.size + header + payload
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[FRAME.size : end])
            del self._buffer[:end]
            yield json.loads(body[:header]), body[header:]

    def row(self) -> int:
        """The row of the batch that it has begun last; -1 before the first."""
        return int.from_bytes(self._progress.read_bytes(), sys.byteorder, signed=True)

    def end(self) -> None:
        """Kill it and what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._command)
        os.close(self.reply)
        self._progress.unlink(missing_ok=True)
