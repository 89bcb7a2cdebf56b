"""``teachkit build``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.cli.command import as_command
from teachkit.cli.running import build_options, run_nodes

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@build_options
def command(settings: Settings, **options: Any) -> int:
    """Run the selected nodes in order, each followed by its tests, then publish.

    What is in the store already is reused. The target's environment and teachkit.lock move only if no node and no test
    of severity error failed.
    """
    return run_nodes("build", settings, **options)
