"""``teachkit llm improve``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.output import print_json
from teachkit.errors import BadOption, counted, listing, writable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.api import Project
    from teachkit.build.asking.improving import Candidate


def improve(project: Project, names: Sequence[str], form: str, **wish: Any) -> None:
    """Improve the one prompt that is named, and say what came of it."""
    if len(names) != 1:
        advice = f"{len(names)} were given"
        raise BadOption(None, option="llm improve", problem="it takes one PROMPT, a file or a name", advice=advice)
    found = project.improve_prompt(names[0], **wish)
    if form == "json":
        print_json(found.as_dict())
    elif found.file is None:
        click.echo(f"nothing to improve: {found.prompt} is right on {counted(found.judged, 'item')} of tune, all that")
        click.echo("it has answered; the test split is not looked at")
    else:
        _show(found, found.file)


def _show(found: Candidate, file: str) -> None:
    click.echo(f"{file}\n")
    click.echo(writable(found.analysis.strip()))
    shown = f"{found.shown} of {counted(found.wrong, 'wrong answer')} on {counted(found.judged, 'item')} of tune"
    click.echo(f"\nwritten by {found.model}, which saw {shown}; ", nl=False)
    click.echo(f"asked {counted(found.asked, 'time')}, {found.cost:.6f} USD, {found.paid:.6f} paid now")
    if found.quotes:
        click.echo(
            f"WARNING: it quotes items: {listing(found.quotes)}. Their text would go into git with it, and gold of"
        )
        click.echo("tune says less of how good it is")
    click.echo(f"read it, then try it: teachkit try --prompt {file}")
    click.echo("to compare it, remove 'enabled: false', build, and run teachkit llm compare")
