"""What was run, newest first: what each run published, and which looks at the test split it holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.run import BAD
from teachkit.project.root import name_below
from teachkit.store import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.project import ProjectFiles
    from teachkit.store import BrokenRun, Store

_MADE = ("built", "reused")
_NO_TABLES = ("test.", "unit_test.", "label_set.")


@dataclass(frozen=True, slots=True)
class PublishedLabels:
    """A label set as a run published it."""

    name: str
    digest: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One record of the chain.

    ``status``: ``published``; ``done`` (nothing was to be published, as by ``test``); ``failed``; ``looked`` (a command
    that only measured). ``changed``: the files that differed from ``commit``, None outside git. ``others``: how many
    nodes beside label sets and tests were published. ``looks``: from a task to what was measured on its test split.
    """

    number: int
    run_id: str
    hash: str
    previous: str | None
    command: str
    by: str | None
    target: str | None
    started: str | None
    seconds: float | None
    commit: str | None
    changed: Sequence[str] | None
    status: str
    error: str | None
    label_sets: Sequence[PublishedLabels]
    others: int
    looks: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A file of the chain that is not what the others say."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The newest runs, how many there are in all, records that cannot be read, and where the chain does not hold."""

    runs: Sequence[RunEntry]
    total: int
    unreadable: Sequence[Fault]
    broken: Fault | None

    @property
    def holds(self) -> bool:
        """Whether the chain holds from its first record to its last."""
        return self.broken is None

    def as_dict(self) -> dict[str, Any]:
        """As plain values: the documented JSON of ``teachkit audit log``."""
        return {"schema_version": 1, "holds": self.holds, **asdict(self)}


def audit_log(files: ProjectFiles, store: Store, limit: int | None = None) -> AuditLog:
    """The newest ``limit`` records (None: all); the whole chain is checked all the same."""
    runs: list[RunEntry] = []
    unreadable: list[Fault] = []
    total = 0
    for found in store.readable_runs():
        if not isinstance(found, RunRecord):
            unreadable.append(_fault(files, found))
            continue
        total += 1
        if limit is None or len(runs) < limit:
            runs.append(_entry(found))
    broken = store.verify_chain()
    return AuditLog(runs, total, unreadable, None if broken is None else _fault(files, broken))


def _fault(files: ProjectFiles, found: BrokenRun) -> Fault:
    return Fault(name_below(found.path, files.root), found.problem)


def _entry(run: RunRecord) -> RunEntry:
    record = run.record
    statuses = {r[0]: r[1] for r in record.get("results", ())}
    rows = {r[0]: r[2] for r in record.get("results", ())}
    published = [i for i, status in statuses.items() if status in _MADE] if record.get("published") else []
    outputs = record.get("outputs", {})
    label_sets = [
        PublishedLabels(i.partition(".")[2], outputs[i]["digest"], rows[i])
        for i in published
        if i.startswith("label_set.") and i in outputs
    ]
    return RunEntry(
        number=run.number,
        run_id=run.run_id,
        hash=run.hash,
        previous=run.previous,
        command=record.get("command", ""),
        by=record.get("by"),
        target=record.get("target"),
        started=record.get("started"),
        seconds=record.get("seconds"),
        commit=record.get("commit"),
        changed=record.get("changed"),
        status=_status(record, statuses),
        error=record.get("error"),
        label_sets=label_sets,
        others=sum(not i.startswith(_NO_TABLES) for i in published),
        looks={task: sorted(nodes) for task, nodes in record.get("looks", {}).items()},
    )


def _status(record: Mapping[str, Any], statuses: Mapping[str, str]) -> str:
    if record.get("published"):
        return "published"
    if record.get("error") or not BAD.isdisjoint(statuses.values()):
        return "failed"
    return "looked" if record.get("command") == "look" else "done"
