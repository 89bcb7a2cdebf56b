"""``teachkit test``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.cli.command import as_command
from teachkit.cli.running import run_nodes, test_options

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@test_options
def command(settings: Settings, **options: Any) -> int:
    """Run the data tests and unit tests of the selected nodes on what was built."""
    return run_nodes("test", settings, **options)
