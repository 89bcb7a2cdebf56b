"""``teachkit run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.cli.command import as_command
from teachkit.cli.running import run_nodes, run_options

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@run_options
def command(settings: Settings, **options: Any) -> int:
    """Run the selected nodes, without tests, and publish them to the target's environment.

    teachkit.lock stays as it is: only 'teachkit build' moves it.
    """
    return run_nodes("run", settings, **options)
