"""``teachkit ls``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import plain
from teachkit.cli.running import selection_options

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@selection_options
@click.option(
    "--output",
    type=click.Choice(["id", "name", "path", "json"]),
    default="id",
    help="What to write of each node; json: one object a line.",
)
def command(
    settings: Settings, select: tuple[str, ...], exclude: tuple[str, ...], state: str | None, output: str
) -> int:
    """List the selected nodes in the order in which they run."""
    from teachkit.build.artifacts import node_dict

    nodes = settings.project().ls(select, exclude, state=state)
    for node in nodes:
        match output:
            case "json":
                click.echo(json.dumps(plain(node_dict(node)), ensure_ascii=False))
            case "path":
                click.echo(node.where.path)
            case "name":
                click.echo(node.name)
            case _:
                click.echo(node.id)
    if not nodes and (select or exclude):
        click.echo("the selection holds no node", err=True)
    return 0
