"""What CI does with a project, as one script: parse, build with all tests, compare with the base, tell the server."""

from teachkit.ci.result import Ci, Finding, Step
from teachkit.ci.steps import ci

__all__ = ["Ci", "Finding", "Step", "ci"]
