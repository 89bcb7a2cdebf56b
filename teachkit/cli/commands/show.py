"""``teachkit show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_arrow
from teachkit.cli.progress import progress

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@click.argument("node")
@click.option("--limit", type=click.IntRange(min=-1), default=10, show_default=True, help="Rows to show; -1: all.")
@format_option
def command(settings: Settings, node: str, limit: int, form: str) -> int:
    """Show rows of NODE: of a source, transform or label set its rows, of a voter its votes, of a test its failures.

    NODE is a name, such as spam_labels, or a whole id, such as lf.spam.short_link.
    """
    with progress(settings, stderr=True) as report:
        rows = settings.project().show(node, limit=limit, report=report)
    print_arrow(rows, form, settings)
    return 0
