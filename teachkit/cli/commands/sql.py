"""``teachkit sql``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_arrow
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@click.argument("query")
@click.option("--limit", type=click.IntRange(min=-1), default=1000, show_default=True, help="Rows to show; -1: all.")
@format_option
def command(settings: Settings, query: str, limit: int, form: str) -> int:
    """Run one SELECT over the target's environment; '-' reads it from standard input.

    Views: data.<node> (sources and transforms), votes.<task>, labels.<label set>, audit.runs. ref() and source() work.
    """
    table = settings.project().sql(sys.stdin.read() if query == "-" else query)
    shown = table if limit < 0 else table.slice(0, limit)
    print_arrow(shown, form, settings)
    if shown.num_rows < table.num_rows:
        click.echo(f"first {limit:,} of {counted(table.num_rows, 'row')}; --limit -1 shows all", err=True)
    return 0
