"""The chain of runs as an audit reads it: what was made by which run, and whether environments say the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from teachkit.project.root import name_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from teachkit.project import ProjectFiles
    from teachkit.store import Environment, RunRecord, Store

_MADE = ("built", "reused")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first thing that does not hold.

    ``step``: ``runs``, ``lock``, ``objects``, ``definitions``, ``labels`` or ``sources``. ``path``: the file at fault,
    below the project's folder where it is; ``object`` the key of the object in it; ``item`` the key of a row,
    ``stored`` and ``derived`` the values of ``column`` in it.
    """

    step: str
    problem: str
    label_set: str | None = None
    node: str | None = None
    path: str | None = None
    line: int | None = None
    object: str | None = None
    item: Any = None
    column: str | None = None
    stored: Any = None
    derived: Any = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class DoesNotHold(Exception):
    """Ends an audit: what it finds is its result, and no error of the program."""

    def __init__(self, broken: Broken) -> None:
        """Keep what was found."""
        super().__init__(broken.problem)
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Made:
    """What a run says that it made of a node."""

    run: RunRecord
    output: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The digest of the rows."""
        return str(self.output["digest"])


class Chain:
    """All records, newest first; the newest record about something counts."""

    def __init__(self, store: Store, files: ProjectFiles) -> None:
        """Read the chain.

        Raises:
            DoesNotHold: it does not hold.
        """
        self.store, self.files = store, files
        broken = store.verify_chain()
        if broken is not None:
            raise DoesNotHold(Broken(step="runs", path=self.name(broken.path), problem=broken.problem))
        self.runs = list(store.runs())

    def name(self, path: Path) -> str:
        """A path as it is shown."""
        return name_below(path, self.files.root)

    @cached_property
    def targets(self) -> list[str]:
        """The targets that runs were for."""
        return list(dict.fromkeys(run.record["target"] for run in self.runs if run.record.get("target")))

    @cached_property
    def _made(self) -> Mapping[tuple[str, tuple[str, ...]], Made]:
        found: dict[tuple[str, tuple[str, ...]], Made] = {}
        for run in self.runs:
            for node_id, output in run.record.get("outputs", {}).items():
                found.setdefault((node_id, tuple(output["objects"])), Made(run, output))
        return found

    def made(self, node_id: str, objects: Sequence[str]) -> Made | None:
        """The newest record of exactly these objects."""
        return self._made.get((node_id, tuple(objects)))

    @cached_property
    def _described(self) -> Mapping[tuple[str, tuple[str, ...]], list[Sequence[str | None]]]:
        found: dict[tuple[str, tuple[str, ...]], list[Sequence[str | None]]] = {}
        for run in self.runs:
            for node_id, output in run.record.get("outputs", {}).items():
                if "described" in output:
                    found.setdefault((node_id, tuple(output["objects"])), []).append(output["described"])
        return found

    def described(self, node_id: str, objects: Sequence[str]) -> list[Sequence[str | None]]:
        """What runs said of these objects: the digests of their descriptions, then of those of what lies beside."""
        return self._described.get((node_id, tuple(objects)), [])

    def all_made(self, node_id: str, digest: str) -> Iterator[Made]:
        """All records of rows with this digest, newest first."""
        for run in self.runs:
            output = run.record.get("outputs", {}).get(node_id)
            if output is not None and output["digest"] == digest:
                yield Made(run, output)

    @cached_property
    def definitions(self) -> Mapping[str, tuple[str, RunRecord]]:
        """From a fingerprint to the digest of the definition that was kept under it, and the run that kept it."""
        found: dict[str, tuple[str, RunRecord]] = {}
        for run in self.runs:
            for fingerprint, digest in run.record.get("definitions", {}).items():
                found.setdefault(fingerprint, (digest, run))
        return found

    def check_environment(self, target: str) -> Environment:
        """The environment of a target, which must be what runs published.

        Raises:
            DoesNotHold: it names a run that is none, or a node that no run made so.
        """
        environment = self.store.read_environment(target)
        path = self.name(self.store.environment_path(target))
        if environment["run"] is None and not environment["nodes"]:
            return environment
        run = next((run for run in self.runs if run.run_id == environment["run"]), None)
        if run is None or not run.record.get("published") or run.record.get("target") != target:
            what = "is not in the chain" if run is None else f"published nothing in target '{target}'"
            problem = f"the environment of target '{target}' names run {environment['run']}, which {what}"
            raise DoesNotHold(Broken(step="runs", path=path, problem=problem))
        for node_id, node in environment["nodes"].items():
            made = self.made(node_id, node["objects"]) if node["objects"] else None
            if node_id.startswith("label_set."):
                made = self._published(node_id, target, run.number)
                if made is None:
                    problem = f"the environment of target '{target}' has {node_id}, which no run published"
                    raise DoesNotHold(Broken(step="runs", node=node_id, path=path, problem=problem))
            if made is None and node["objects"]:
                problem = f"the environment of target '{target}' has objects of {node_id} that no run made for it"
                raise DoesNotHold(Broken(step="runs", node=node_id, path=path, problem=problem))
            if made is None:
                continue  # exports and tests have no objects
            wrong = [k for k in ("objects", "digest", "definition") if node[k] != made.output[k]]
            if wrong:
                problem = (
                    f"the environment of target '{target}' says of {node_id} another {wrong[0].removesuffix('s')} than "
                    f"run {made.run.run_id}, which made it"
                )
                raise DoesNotHold(Broken(step="runs", node=node_id, path=path, problem=problem))
        return environment

    def _published(self, node_id: str, target: str, last: int) -> Made | None:
        """What the newest run up to number ``last`` published of a node."""
        for run in self.runs:
            record = run.record
            if run.number > last or not record.get("published") or record.get("target") != target:
                continue
            done = any(r[0] == node_id and r[1] in _MADE for r in record.get("results", ()))
            if done and node_id in record.get("outputs", {}):
                return Made(run, record["outputs"][node_id])
        return None
