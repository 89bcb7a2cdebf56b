"""``teachkit debug``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@format_option
def command(settings: Settings, form: str) -> int:
    """Check the installation, the profile, the store and the sources. Exit code 2 if something is wrong."""
    points = list(settings.project().check_up())
    if form == "json":
        print_json({"points": [point.as_dict() for point in points]})
    else:
        width = max(len(point.name) for point in points)
        for point in points:
            first, *more = point.message.split("\n")
            click.echo(f"{'ok   ' if point.good else 'ERROR'}  {point.name:<{width}}  {first}")
            for line in more:
                click.echo(f"{'':<{9 + width}}{line}")
    return 0 if all(point.good for point in points) else 2
