"""What a build is asked, what it says while it works, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.engine.source_content import Content
    from teachkit.errors import TeachkitError, Where
    from teachkit.project.llm_models import LlmMode
    from teachkit.store import ObjectMeta

BAD = frozenset({"failed", "error"})

Kept = Literal["kept"]
"""How prompts are answered where nothing may be asked: by the answers that the store or the recordings keep."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """The options of ``build``, ``run`` and ``test``; also what reading a project needs to know."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    full_refresh: bool = False
    fail_fast: bool = False
    locked: bool = False
    dry_run: bool = False
    store_failures: bool = False
    sample: int | None = None
    target: str | None = None
    profiles_dir: Path | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    llm: LlmMode | Kept | None = None
    state: str | None = None
    base: str | None = None
    """What tests mean by ``against: base``; None for what the surroundings say."""
    command: str = "build"


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node begins to run."""

    id: str
    index: int
    total: int


@dataclass(frozen=True, slots=True)
class NodeFinished:
    """A node has its result."""

    result: NodeResult
    index: int
    total: int


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """How far a node is that takes long: rows of the part at hand, and USD paid so far."""

    id: str
    done: int
    total: int
    cost: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something a user should know while waiting."""

    text: str


Event = NodeStarted | NodeFinished | NodeProgress | Note
Reporter = Callable[[Event], None]


def quiet(event: Event) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a node has made: its parts in the store, and the digest of their content.

    Of a source also what its files were when they were hashed: one without parts is read where they are.
    """

    parts: tuple[ObjectMeta, ...]
    digest: str
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of a node. ``status``: built reused passed warned failed error skipped."""

    id: str
    kind: str
    status: str
    rows: int | None = None
    seconds: float = 0.0
    cost: float = 0.0
    message: str = ""
    where: Where | None = None
    failures: int | None = None
    error: TeachkitError | None = None

    def as_dict(self) -> dict[str, Any]:
        """The documented form in ``run_results.json``."""
        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "rows": self.rows,
            "seconds": round(self.seconds, 4),
            "cost": self.cost,
            "message": self.message,
            "path": self.where.path if self.where else None,
            "line": self.where.line if self.where else None,
            "failures": self.failures,
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation, finished."""

    run_id: str | None
    command: str
    commit: str | None
    dirty: bool | None
    target: str
    seconds: float
    cost: float
    results: tuple[NodeResult, ...]
    outputs: Mapping[str, Output] = field(default_factory=dict)
    published: bool = False
    lock_changed: bool = False
    error: TeachkitError | None = None
    args: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no node and no test of severity error failed."""
        return self.error is None and not any(r.status in BAD for r in self.results)

    @property
    def counts(self) -> dict[str, int]:
        """Results by status."""
        found: dict[str, int] = {}
        for result in self.results:
            found[result.status] = found.get(result.status, 0) + 1
        return found

    def as_dict(self) -> dict[str, Any]:
        """``run_results.json``."""
        return {
            "schema_version": 1,
            "run_id": self.run_id,
            "command": self.command,
            "commit": self.commit,
            "dirty": self.dirty,
            "target": self.target,
            "seconds": round(self.seconds, 3),
            "cost": self.cost,
            "passed": self.passed,
            "published": self.published,
            "message": str(self.error) if self.error else "",
            "args": dict(self.args),
            "results": [r.as_dict() for r in self.results],
        }
