"""``teachkit clean``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.errors import BadOption, listing

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
def command(settings: Settings) -> int:
    """Remove target/: compiled files and artefacts. The store (.teachkit/) and teachkit.lock stay."""
    from teachkit.build.artifacts import MADE

    folder = settings.project().target_path().resolve()
    if not folder.is_dir():
        click.echo(f"nothing to remove: there is no {folder.name}/")
        return 0
    others = sorted({path.name for path in folder.iterdir()} - MADE)
    if others:
        problem = f"'{folder.name}' holds more than what is made anew: {listing(others, 5)}"
        advice = "move it away, or name a folder of its own in teachkit.yml: 'paths: {target: target}'"
        raise BadOption(None, option="paths.target", problem=problem, advice=advice)
    shutil.rmtree(folder)
    click.echo(f"removed {folder.name}/")
    return 0
