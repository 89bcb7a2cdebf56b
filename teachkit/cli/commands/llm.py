"""``teachkit llm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.commands.llm_batch import with_batches
from teachkit.cli.commands.llm_improve import improve
from teachkit.cli.output import format_option, interval, percent, print_json, print_table, test_look
from teachkit.cli.running import state_option
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from teachkit.build.asking.spending import Spending
    from teachkit.cli.settings import Settings
    from teachkit.project.llm_models import LlmMode
    from teachkit.review.compare import Comparison

_MEASURES = {"ece_raw": "ECE", "ece": "ECE calibrated", "auroc": "AUROC"}


@with_batches
@click.argument("action", type=click.Choice(["plan", "compare", "improve", "batch"]))
@click.argument("names", nargs=-1)
@state_option
@click.option("--gold", help="Gold that 'compare' measures on: train, tune, test or all; default: all but test.")
@click.option("--model", help="The model that 'improve' asks; default: the prompt's.")
@click.option("--provider", help="The provider that 'improve' asks; default: the prompt's.")
@click.option("--errors", type=click.IntRange(1, 500), default=20, show_default=True, help="Mistakes 'improve' shows.")
@click.option("--llm", "mode", type=click.Choice(["live", "record", "replay"]), help="How 'improve' is answered.")
@format_option
def command(
    settings: Settings,
    action: str,
    names: tuple[str, ...],
    state: str | None,
    gold: str | None,
    model: str | None,
    provider: str | None,
    errors: int,
    mode: LlmMode | None,
    form: str,
) -> int:
    """Look at prompts: what they would cost, which of them is better, how one could be.

    plan [SELECTION]: rows, requests, answers that are there already, tokens, cost; nothing is sent.
    compare [SELECTION]: prompts of one task on the same items with gold, by the votes that are there.
    improve PROMPT: let a model write another version, from wrong answers on the tune split; a new file, switched off.
    batch: have them answered in batches, for less, within a day; see 'teachkit llm batch --help'.
    """
    project = settings.project()
    if action == "compare":
        _show_comparison(project.llm_compare(names, gold=gold, state=state), form, settings)
    elif action == "improve":
        improve(project, names, form, model=model, provider=provider, errors=errors, mode=mode)
    else:
        _show_plan(project.llm_plan(names, state=state), form, settings)
    return 0


def _show_plan(found: list[Spending], form: str, settings: Settings) -> None:
    if form == "json":
        print_json({"prompts": [one.as_dict() for one in found]})
        return
    if not found:
        click.echo("no prompt is switched on")
        return
    head = ["prompt", "model", "rows", "requests", "answered", "to ask", "tokens in", "USD from", "up to", "minutes"]
    print_table(head, [_row(one) for one in found], settings, numeric=[False, False, *[True] * 8])
    for one in found:
        if one.vectors_missing:
            said = f"{counted(one.vectors_missing, 'vector')} to ask for first, to choose examples by"
            click.echo(f"{one.id}: {said}; {counted(one.unknown, 'request')} cannot be looked up before")
        if one.more:
            click.echo(f"{one.id}: up to {counted(one.more, 'request')} more, of items that it is not sure of")
        if one.too_long:
            said = "request is" if one.too_long == 1 else "requests are"
            click.echo(f"{one.id}: {one.too_long:,} {said} too long for {one.model}, with up to {one.longest:,} tokens")


def _show_comparison(found: Comparison, form: str, settings: Settings) -> None:
    if form == "json":
        print_json(found.as_dict())
        return
    click.echo(f"task {found.task}, gold: {found.gold}\n")
    head = ["prompt", "model", "items", "answered", "right", "accuracy", "95 %", "of answered", "USD", "USD per right"]
    rows = [
        [
            one.id.removeprefix(f"prompt.{found.task}."),
            one.model,
            f"{one.items:,}",
            f"{one.answered:,}",
            f"{one.right:,}",
            percent(one.accuracy),
            interval(one.low, one.high),
            percent(one.accuracy_answered),
            f"{one.cost:.4f}",
            "" if one.cost_per_right is None else f"{one.cost_per_right:.6f}",
        ]
        for one in found.prompts
    ]
    print_table(head, rows, settings, numeric=[False, False, *[True] * 8])
    for one in found.prompts:
        for line in _scores(one.scores):
            click.echo(f"{one.id.removeprefix(f'prompt.{found.task}.')}: {line}")
    if found.pairs:
        click.echo()
    for pair in found.pairs:
        a, b = (name.rpartition(".")[2] for name in (pair.a, pair.b))
        alike = "" if pair.agreement is None else f"; alike on {percent(pair.agreement)} of what both answered"
        click.echo(f"{a} alone right {pair.only_a}, {b} alone right {pair.only_b}: p = {pair.p_value:.3g}{alike}")
    if found.test_looks is not None:
        click.echo(test_look(found.task, found.test_looks))


def _scores(found: Mapping[str, Any] | None) -> Iterator[str]:
    """In words: how good a prompt's scores are, and what its cascade promises."""
    if found is None:
        return
    told = [f"{name} {found[key]:.3f}" for key, name in _MEASURES.items() if found.get(key) is not None]
    how = f"scores by {found['by']}, {found['calibrated'] or 'not calibrated'}"
    yield f"{how}; on {counted(found['items'], 'item')} of tune: {', '.join(told)}" if told else how
    cascade = found.get("cascade")
    if cascade:
        own = f"{cascade['kept']:,} of {counted(cascade['rows'], 'answer')}"
        kept = f"{own} are its own (score {cascade['threshold']:.3g})"
        promise = f"{cascade['of']} {cascade['target']:g} at confidence {1 - cascade['delta']:g}"
        yield f"{kept}, {cascade['to']} gave the rest; {promise}: at least {cascade['bound']:.3f} on tune"


def _row(one: Spending) -> list[str]:
    counts = [one.rows, one.requests, one.answered, one.missing, one.input_tokens]
    money = ["" if usd is None else f"{usd:.4f}" for usd in (one.low, one.high)]
    minutes = "" if one.minutes is None else f"{one.minutes:.1f}"
    return [one.id.removeprefix("prompt."), one.model, *(f"{n:,}" for n in counts), *money, minutes]
