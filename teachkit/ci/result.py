"""What came of the steps of CI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from teachkit.build.run import NodeResult, Run
    from teachkit.diff import Diff
    from teachkit.errors import TeachkitError, Where

SCHEMA_VERSION = 1
Level = Literal["error", "warning", "notice"]
_LEVELS = ("error", "warning", "notice")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to show at a place of the project; ``check`` is an error's slug or a node, ``error`` what raised it."""

    level: Level
    check: str
    message: str
    where: Where | None = None
    error: TeachkitError | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step: parse, build or diff. ``status``: passed warned failed error skipped; ``exit_code`` as of a command."""

    name: str
    status: str
    message: str
    exit_code: int = 0
    seconds: float = 0.0
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class Ci:
    """All steps; ``run`` and ``diff`` are None where it did not come to that.

    ``base`` is the revision that was compared with, None if there is none, ``at_stake`` the items of each label set
    that its lock names. ``prefix`` is where the project lies in its repository: empty, or with a slash at the end.
    """

    steps: Sequence[Step]
    run: Run | None
    diff: Diff | None
    base: str | None
    prefix: str
    at_stake: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """That of the worst step: 0, 1 (a node or a test failed), 2 (the project or its surroundings are wrong)."""
        return max(step.exit_code for step in self.steps)

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return self.exit_code == 0

    @property
    def changed(self) -> bool | None:
        """Whether labels are others than those of the base, None if that is not known."""
        made = self.run is None or all(r.status in ("built", "reused") for r in _label_sets(self.run))
        return not self.diff.unchanged if self.diff is not None and made else None

    @property
    def findings(self) -> list[Finding]:
        """Those of all steps, errors first."""
        found = [f for step in self.steps for f in step.findings]
        return sorted(found, key=lambda f: _LEVELS.index(f.level))

    def path(self, finding: Finding) -> str | None:
        """Where a finding is, from the top of the repository."""
        return self.prefix + finding.where.path if finding.where is not None else None

    def as_dict(self) -> dict[str, Any]:
        """The documented JSON of ``teachkit ci``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "passed": self.passed,
            "exit_code": self.exit_code,
            "changed": self.changed,
            "base": self.base,
            "steps": [
                {
                    "name": s.name,
                    "status": s.status,
                    "exit_code": s.exit_code,
                    "seconds": round(s.seconds, 3),
                    "message": s.message,
                }
                for s in self.steps
            ],
            "findings": [self._finding(f) for f in self.findings],
            "files": {name: path.as_posix() for name, path in self.files.items()},
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        where = finding.where
        return {
            "level": finding.level,
            "check": finding.check,
            "message": finding.message,
            "path": self.path(finding),
            "line": where.line if where else None,
            "column": where.column if where else None,
        }


def _label_sets(run: Run) -> list[NodeResult]:
    return [r for r in run.results if r.kind == "label_set"]
