"""``teachkit parse``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@format_option
def command(settings: Settings, form: str) -> int:
    """Read and check every file of the project, and write target/manifest.json. Nothing runs."""
    manifest = settings.project().parse()
    if form == "json":
        print_json(manifest)
    else:
        click.echo(f"{counted(len(manifest['nodes']), 'node')}, no errors; wrote target/manifest.json")
    return 0
