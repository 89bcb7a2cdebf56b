"""From files to labels: compile, plan, execute, publish. All rooms meet here."""

from typing import TYPE_CHECKING

from teachkit.lazy import lazy_names

if TYPE_CHECKING:
    from teachkit.build.pipeline import build, plan, retry
    from teachkit.build.planning import Plan, PlanStep
    from teachkit.build.run import (
        BuildOptions,
        Event,
        NodeFinished,
        NodeProgress,
        NodeResult,
        NodeStarted,
        Note,
        Reporter,
        Run,
        quiet,
    )
    from teachkit.build.state import chosen, known_state
    from teachkit.build.workspace import Workspace, open_workspace

__all__ = [
    "BuildOptions",
    "Event",
    "NodeFinished",
    "NodeProgress",
    "NodeResult",
    "NodeStarted",
    "Note",
    "Plan",
    "PlanStep",
    "Reporter",
    "Run",
    "Workspace",
    "build",
    "chosen",
    "known_state",
    "open_workspace",
    "plan",
    "quiet",
    "retry",
]
_RUN = (
    "BuildOptions",
    "Event",
    "NodeFinished",
    "NodeProgress",
    "NodeResult",
    "NodeStarted",
    "Note",
    "Reporter",
    "Run",
    "quiet",
)
__getattr__ = lazy_names(
    __name__,
    {
        "pipeline": ("build", "plan", "retry"),
        "planning": ("Plan", "PlanStep"),
        "run": _RUN,
        "state": ("chosen", "known_state"),
        "workspace": ("Workspace", "open_workspace"),
    },
)
