"""``teachkit try``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import cell, format_option, interval, percent, print_json, print_table
from teachkit.errors import BadOption, counted

if TYPE_CHECKING:
    from teachkit.build.asking.trying import Trial
    from teachkit.cli.settings import Settings
    from teachkit.project.llm_models import LlmMode


@as_command
@click.option("--task", help="The task; default: the project's only one.")
@click.option("--label", help="The label that the rule votes for.")
@click.option("--any-of", multiple=True, help="Votes where one of these words or phrases stands: 'win, free'.")
@click.option("--all-of", multiple=True, help="Votes where all of these stand.")
@click.option("--none-of", multiple=True, help="Does not vote where one of these stands.")
@click.option("--regex", help="Votes where this RE2 regular expression matches.")
@click.option("--column", help="The column that words and --regex look at; default: text.")
@click.option("--min-hits", type=click.IntRange(min=1), help="How many different words of --any-of must stand there.")
@click.option("--case-sensitive", is_flag=True, help="Words are compared as written.")
@click.option("--no-word-boundaries", is_flag=True, help="Words may be part of longer words.")
@click.option("--sql", help="Votes where this is true; without --label it gives the label itself.")
@click.option("--file", help="A file of labeling functions: new, changed or switched off.")
@click.option("--voter", help="A voter that exists.")
@click.option("--prompt", help="A prompt's file, or its name.")
@click.option("--label-set", help="Whose posterior to compare with; default: the task's first label set.")
@click.option("--gold", help="Gold to measure on: train, tune, test or all; default: all but test.")
@click.option("--examples", type=click.IntRange(min=0), default=10, show_default=True, help="Hits and misses to show.")
@click.option("--save", help="Write the rule to a new file of this name.")
@click.option("--limit", type=click.IntRange(min=1), help="Items to ask a prompt about; default: 20.")
@click.option("--llm", "mode", type=click.Choice(["live", "record", "replay"]), help="How prompts are answered.")
@format_option
def command(
    settings: Settings, prompt: str | None, limit: int | None, mode: LlmMode | None, form: str, **given: Any
) -> int:
    """Try a voter before it is kept: a labeling function on all items, a prompt on a few.

    Of a labeling function: what it matches, how right it is by gold and by the label set's posterior, how it overlaps
    with each voter, what nobody covered before, hits and misses, and what to write to keep it. Gold of the test split
    is left out unless --gold asks for it; such looks are counted.

    Of a prompt (--prompt): what it says about --limit items, what that costs, how it agrees with gold and with the
    other voters. Items of the tune split with gold come first, those of the test split never. Answers are kept for the
    next build. A prompt may be switched off (enabled: false).

    Nothing is published.
    """
    if prompt is None:
        return _try_voter(settings, form, limit, mode, given)
    used = next((name for name, value in given.items() if value and name != "examples"), None)
    if used is not None:
        option = "--no-word-boundaries" if used == "no_word_boundaries" else f"--{used.replace('_', '-')}"
        raise BadOption(None, option=option, problem="it does not go with --prompt", advice="leave it out")
    found = settings.project().try_prompt(prompt, limit=limit or 20, mode=mode)
    if form == "json":
        print_json({"trials": [one.as_dict() for one in found]})
        return 0
    for number, one in enumerate(found):
        click.echo("\n" if number else "", nl=False)
        _show(one, settings)
    return 0


def _try_voter(settings: Settings, form: str, limit: int | None, mode: LlmMode | None, given: dict[str, Any]) -> int:
    from teachkit.cli.voter_trials import show_trial

    for option, value in (("--limit", limit), ("--llm", mode)):
        if value is not None:
            raise BadOption(None, option=option, problem="it is for prompts", advice="write --prompt, or leave it out")
    for name in ("any_of", "all_of", "none_of"):
        given[name] = _words(given[name], f"--{name.replace('_', '-')}")
    given["word_boundaries"] = not given.pop("no_word_boundaries")
    found = settings.project().try_voter(**given)
    if form == "json":
        print_json({"trials": [one.as_dict() for one in found]})
        return 0
    for number, trial in enumerate(found):
        click.echo("\n\n" if number else "", nl=False)
        show_trial(trial, settings)
    return 0


def _words(texts: tuple[str, ...], option: str) -> tuple[str, ...]:
    words = tuple(word.strip() for text in texts for word in text.split(","))
    if not all(words):
        raise BadOption(None, option=option, problem="a word is empty", advice=f"write words: {option} 'win, free'")
    return words


def _show(found: Trial, settings: Settings) -> None:
    rows = [
        [i.item, cell(i.label), cell(i.gold), "" if i.status == "ok" else i.status, cell(i.reason)] for i in found.items
    ]
    print_table(["item", "says", "gold", "status", "reason"], rows, settings)
    silent = sum(i.status == "ok" and i.label is None for i in found.items)
    click.echo(f"\n{found.voter} by {found.model}: {counted(len(found.items), 'item')}, {silent} abstained", nl=False)
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
