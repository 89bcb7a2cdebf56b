"""What was run, as a chain: each record holds the hash of the one before, so none can be changed unseen.

``runs/000017.json`` is the 17th record and ``runs/HEAD`` names the last. Numbers as names make a fork
impossible, and a record whose process died before it moved ``HEAD`` is found and taken into the chain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import StoreDamaged
from teachkit.hashing import canonical_json, digest
from teachkit.store.atomic import locked, write_bytes_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from teachkit.store.layout import Layout


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One invocation; ``hash`` is the digest of everything else, ``previous`` that of the record before."""

    run_id: str
    hash: str
    number: int
    previous: str | None
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRun:
    """The first place at which the chain does not hold."""

    path: Path
    problem: str


class Runs:
    """The chain of run records of a store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def append(self, record: Mapping[str, Any]) -> RunRecord:
        """Write ``record`` as the newest of the chain; two processes at once make one chain.

        Raises:
            StoreDamaged: the newest records cannot be read, so nothing can follow them.
        """
        with locked(self._layout.runs / "lock"):
            newest = self._newest()
            number, previous = (newest.number + 1, newest.hash) if newest else (1, None)
            text = canonical_json({"number": number, "previous": previous, "record": record})
            run = _parse(text.encode())
            self._write(self._layout.run(number), text)
            self._write(self._layout.runs / "HEAD", canonical_json({"number": number, "hash": run.hash}))
            return run

    def last(self) -> RunRecord | None:
        """Return the newest record, None if nothing was ever run."""
        head = self._head()
        return self._read(head[0]) if head else None

    def __iter__(self) -> Iterator[RunRecord]:
        """Yield the records, newest first; each is read when it is asked for."""
        head = self._head()
        for number in range(head[0] if head else 0, 0, -1):
            yield self._read(number)

    def readable(self) -> Iterator[RunRecord | BrokenRun]:
        """Yield the records, newest first; in place of one that cannot be read, what is wrong with it."""
        try:
            last = (self._head() or (0, ""))[0]
        except StoreDamaged as error:
            yield BrokenRun(self._layout.runs / "HEAD", str(error.facts["problem"]))
            last = 0
        while self._layout.run(last + 1).exists():  # HEAD is missing, or a process died before it moved HEAD
            last += 1
        for number in range(last, 0, -1):
            try:
                yield self._read(number)
            except StoreDamaged as error:
                yield BrokenRun(self._layout.run(number), str(error.facts["problem"]))

    def verify(self) -> BrokenRun | None:
        """Walk the chain from its first record; return the first thing that does not hold, or None."""
        head = self._layout.runs / "HEAD"
        try:
            last, expected = self._head() or (0, None)
        except StoreDamaged as error:
            return BrokenRun(head, error.message)
        if not last and self._layout.run(1).exists():
            return BrokenRun(head, "it is missing, and there are runs")
        previous = None
        for number in range(1, last + 1):
            path = self._layout.run(number)
            try:
                run = self._read(number)
            except StoreDamaged as error:
                return BrokenRun(path, error.message)
            if run.previous != previous:
                return BrokenRun(path, "it does not follow the run before it: one of the two was changed")
            previous = run.hash
        return None if previous == expected else BrokenRun(head, f"run {last} is not the one that HEAD names")

    def _newest(self) -> RunRecord | None:
        """The last record of the chain, with what a killed process wrote and did not get to name in HEAD."""
        head = self._head()
        if head and not self._layout.run(head[0]).exists():
            raise StoreDamaged(path=self._layout.runs / "HEAD", problem=f"it names run {head[0]}, which is missing")
        newest = self._read(head[0]) if head else None
        if head and newest and newest.hash != head[1]:
            raise StoreDamaged(path=self._layout.run(head[0]), problem="it is not the run that HEAD names")
        while self._layout.run(number := newest.number + 1 if newest else 1).exists():
            following = self._read(number)
            if following.previous != (newest.hash if newest else None):
                raise StoreDamaged(path=self._layout.run(number), problem="it does not follow the run before it")
            newest = following
        return newest

    def _head(self) -> tuple[int, str] | None:
        path = self._layout.runs / "HEAD"
        try:
            head = json.loads(path.read_bytes())
            return int(head["number"]), str(head["hash"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreDamaged(path=path, problem="it names no run") from error

    def _read(self, number: int) -> RunRecord:
        path = self._layout.run(number)
        try:
            run = _parse(path.read_bytes())
        except FileNotFoundError as error:
            raise StoreDamaged(path=path, problem="it is missing") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreDamaged(path=path, problem="it holds no run record") from error
        if run.number != number:
            raise StoreDamaged(path=path, problem=f"it holds the record of run {run.number}")
        return run

    def _write(self, path: Path, text: str) -> None:
        write_bytes_atomic(path, text.encode() + b"\n", temporary_in=self._layout.temporary)


def _parse(data: bytes) -> RunRecord:
    document = json.loads(data)
    name = digest(document)
    number = int(document["number"])
    return RunRecord(f"{number:06d}-{name[:8]}", name, number, document["previous"], document["record"])
