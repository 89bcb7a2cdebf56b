"""``teachkit compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json
from teachkit.cli.running import selection_options
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@selection_options
@click.option("--item", metavar="KEY", help="Show the exact requests of the selected prompts about an item.")
@format_option
def command(
    settings: Settings,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    state: str | None,
    item: str | None,
    form: str,
) -> int:
    """Check the project and write readable SQL to target/compiled/; with --select, print it.

    Each SQL node gets a file; each task gets one with the scan that its row-local labeling functions share. With --item
    nothing is written: it shows what prompts ask about an item, to the letter. Nothing is sent.
    """
    if item is not None:
        _show_requests(settings.project().requests(item, select, exclude, state=state), form)
        return 0
    texts = settings.project().compile(select, exclude, state=state)
    if form == "json":
        print_json({"nodes": [{"id": node_id, "compiled": text} for node_id, text in texts.items()]})
    elif select or exclude:
        for node_id, text in texts.items():
            click.echo(f"-- {node_id}\n{text}\n")
    else:
        click.echo(f"wrote {counted(len(texts), 'file')} to target/compiled/")
    return 0


def _show_requests(found: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print_json({"requests": found})
        return
    for one in found:
        click.echo(f"-- {', '.join(one.pop('nodes'))}")
        print_json(one)
