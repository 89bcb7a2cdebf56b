"""``teachkit try``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import cell, count, format_option, interval, percent, print_json, print_table

if TYPE_CHECKING:
    from teachkit.build.asking.trying import Trial
    from teachkit.cli.settings import Settings
    from teachkit.project.llm_models import LlmMode


@as_command
@click.option("--prompt", required=True, help="A prompt's file, or its name.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Items to ask about.")
@click.option("--llm", "mode", type=click.Choice(["live", "record", "replay"]), help="How prompts are answered.")
@format_option
def command(settings: Settings, prompt: str, limit: int, mode: LlmMode | None, form: str) -> int:
    """Try a voter on a few items: what it says, what that costs, how it agrees with gold and with the other voters.

    Items of the tune split with gold come first, those of the test split never. Answers are kept for the next build;
    nothing is published. A prompt may be switched off (enabled: false).
    """
    found = settings.project().try_prompt(prompt, limit=limit, mode=mode)
    if form == "json":
        print_json({"trials": [one.as_dict() for one in found]})
        return 0
    for number, one in enumerate(found):
        click.echo("\n" if number else "", nl=False)
        _show(one, settings)
    return 0


def _show(found: Trial, settings: Settings) -> None:
    rows = [
        [i.item, cell(i.label), cell(i.gold), "" if i.status == "ok" else i.status, cell(i.reason)] for i in found.items
    ]
    print_table(["item", "says", "gold", "status", "reason"], rows, settings)
    silent = sum(i.status == "ok" and i.label is None for i in found.items)
    click.echo(f"\n{found.voter} by {found.model}: {count(len(found.items), 'item')}, {silent} abstained", nl=False)
    click.echo(f"; {found.cost:.6f} USD, {found.paid:.6f} paid now")
    if found.figures:
        said = ", ".join(f"{name} {value:.4g}" for name, value in found.figures.items() if value is not None)
        click.echo(f"against gold: {said}")
    elif found.judged:
        share = f"{percent(found.accuracy)}, 95 %: {interval(found.low, found.high)}"
        click.echo(f"agrees with gold: {found.right} of {found.judged} ({share})")
    if found.agreement:
        said = ", ".join(f"{name} {equal} of {both}" for name, (equal, both) in sorted(found.agreement.items()))
        click.echo(f"says the same as: {said}")
