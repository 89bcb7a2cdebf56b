"""``teachkit compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import count, format_option, print_json
from teachkit.cli.running import selection_options

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@selection_options
@format_option
def command(settings: Settings, select: tuple[str, ...], exclude: tuple[str, ...], form: str) -> int:
    """Check the project and write readable SQL to target/compiled/; with --select, print it.

    Each SQL node gets a file; each task gets one with the scan that its row-local labeling functions share.
    """
    texts = settings.project().compile(select, exclude)
    if form == "json":
        print_json({"nodes": [{"id": node_id, "compiled": text} for node_id, text in texts.items()]})
    elif select or exclude:
        for node_id, text in texts.items():
            click.echo(f"-- {node_id}\n{text}\n")
    else:
        click.echo(f"wrote {count(len(texts), 'file')} to target/compiled/")
    return 0
