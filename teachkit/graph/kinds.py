"""What a kind of voter must offer, so that the graph can compile it without knowing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from teachkit.errors import Where
    from teachkit.graph.node import TaskInfo
    from teachkit.project import Definition, Templates
    from teachkit.project.llm_models import LlmConfig

    Lineage = Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template's outcome: text, what ``config()`` was given, the nodes that it refers to."""

    text: str
    config: Mapping[str, Any]
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Voter:
    """A compiled voter: its meaning, what it reads, how it runs. An ``enrichment`` offers columns in place of votes."""

    name: str
    where: Where
    spec: Any
    canonical: Any
    reads: Mapping[str, tuple[str, ...] | None]
    tags: tuple[str, ...] = ()
    description: str = ""
    text: str = ""
    compiled: str = ""
    enabled: bool = True
    kind: str = "lf"
    columns: tuple[str, ...] = ("vote",)
    lineage: Lineage = field(default_factory=dict)
    influences: Lineage = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VoterContext:
    """What a voter is compiled against."""

    root: Path
    task: TaskInfo
    columns: tuple[str, ...]
    schemas: Mapping[str, Sequence[str] | None]
    render: Callable[[str, Where], Rendered]
    templates: Templates
    providers: LlmConfig
    remember: Callable[[str, Any, Callable[[], Any]], Any]
    """``remember(name, inputs, make)``: the JSON-able value of ``make()``, made once for equal inputs."""
    modules: Callable[[str], tuple[str, str] | None]
    timeout: float
    defaults: Any = field(default=None)


class CompileVoter(Protocol):
    """One definition may hold several voters (a Python file does)."""

    def __call__(self, definition: Definition, context: VoterContext) -> Sequence[Voter]:
        """Compile, or raise a ``ProjectError`` (or ``ProjectErrors``)."""
        ...
