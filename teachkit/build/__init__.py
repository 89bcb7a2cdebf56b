"""From files to labels: compile, plan, execute, publish. All rooms meet here."""

from teachkit.build.artifacts import manifest, write_compiled
from teachkit.build.pipeline import Workspace, build, known_state, open_workspace, plan
from teachkit.build.planning import Plan, PlanStep
from teachkit.build.run import BuildOptions, Event, NodeFinished, NodeResult, NodeStarted, Note, Reporter, Run, quiet

__all__ = [
    "BuildOptions",
    "Event",
    "NodeFinished",
    "NodeResult",
    "NodeStarted",
    "Note",
    "Plan",
    "PlanStep",
    "Reporter",
    "Run",
    "Workspace",
    "build",
    "known_state",
    "manifest",
    "open_workspace",
    "plan",
    "quiet",
    "write_compiled",
]
