"""``teachkit llm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json, print_table
from teachkit.errors import BadOption

if TYPE_CHECKING:
    from teachkit.build.spending import Spending
    from teachkit.cli.settings import Settings


@as_command
@click.argument("action", type=click.Choice(["plan", "request"]))
@click.argument("names", nargs=-1)
@format_option
def command(settings: Settings, action: str, names: tuple[str, ...], form: str) -> int:
    """Look at prompts before they are asked; no request is sent.

    plan [SELECTION]: rows, requests, answers that are there already, tokens, cost.
    request PROMPT ITEM: the exact request about one item.
    """
    project = settings.project()
    if action == "request":
        if len(names) != 2:
            raise BadOption(None, option="request", problem="it takes a PROMPT and an ITEM", advice="name both")
        print_json(project.llm_request(*names))
        return 0
    found = project.llm_plan(names)
    if form == "json":
        print_json({"prompts": [one.as_dict() for one in found]})
    elif found:
        head = ["prompt", "model", "rows", "requests", "answered", "to ask", "tokens in", "USD from", "up to"]
        print_table([*head, "minutes"], [_row(one) for one in found], settings, numeric=[False, False, *[True] * 8])
    else:
        click.echo("no prompt is switched on")
    return 0


def _row(one: Spending) -> list[str]:
    counts = [one.rows, one.requests, one.answered, one.missing, one.input_tokens]
    money = ["" if usd is None else f"{usd:.4f}" for usd in (one.low, one.high)]
    minutes = "" if one.minutes is None else f"{one.minutes:.1f}"
    return [one.id.removeprefix("prompt."), one.model, *(f"{n:,}" for n in counts), *money, minutes]
