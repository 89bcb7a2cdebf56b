"""``teachkit clean``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from teachkit.cli.settings import command as as_command
from teachkit.errors import BadOption

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
def command(settings: Settings) -> int:
    """Remove target/: compiled files and artefacts. The store (.teachkit/) and teachkit.lock stay."""
    project = settings.project()
    folder = project.target_path().resolve()
    kept = [project.root / "teachkit.yml", project.root / ".git", project.root / ".teachkit"]
    if any(path.resolve().is_relative_to(folder) for path in kept):
        problem = f"'{folder.name}' holds more than what is made anew"
        raise BadOption(
            None, option="paths.target", problem=problem, advice="name a folder of its own: 'target: target'"
        )
    if not folder.is_dir():
        click.echo(f"nothing to remove: there is no {folder.name}/")
        return 0
    shutil.rmtree(folder)
    click.echo(f"removed {folder.name}/")
    return 0
