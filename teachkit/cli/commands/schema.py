"""``teachkit schema``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import print_json
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@click.argument("kind", required=False)
def command(settings: Settings, kind: str | None) -> int:
    """Write the JSON Schema of each kind of file to .teachkit/schemas/, for editors; with KIND, print that one.

    A YAML file names its schema in its first line: '# yaml-language-server: $schema=../.teachkit/schemas/tasks.json'.
    """
    from teachkit.project.schemas import FOLDER, json_schema, write_schemas

    if kind is not None:
        print_json(json_schema(kind))
        return 0
    written = write_schemas(settings.project().root)
    click.echo(f"wrote {counted(len(written), 'schema')} to {FOLDER}/")
    return 0
