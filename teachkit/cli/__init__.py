"""The command line: one file per command, a thin view over ``teachkit.Project``."""

from teachkit.cli.app import main

__all__ = ["main"]
