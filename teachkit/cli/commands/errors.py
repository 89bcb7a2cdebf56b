"""``teachkit errors``."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.items import marked, window
from teachkit.cli.output import cell, format_option, percent, print_json, print_table, test_look
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review.error_report import ErrorItem, ErrorReport

_TITLES = {"uncovered": "uncovered", "wrong": "voters wrong", "outvoted": "outvoted", "gold": "gold suspicious"}
_ADVICE = 8
_VOTERS = 10
_NAMED = 6
_COMMAND = re.compile(r"""teachkit (?:'[^']*'|"[^"]*"|[^'")])+""")
_GLUE = "\0"  # stands for a blank at which no line may end


@as_command
@click.argument("name", metavar="TASK")
@click.option("--gold", help="Gold to measure on: train, tune, test or all; default: all but test.")
@click.option("--cell", help="List the items of a cell: 'GOLD:LABEL', 'GOLD:none', for multichoice 'LABEL:missed'.")
@click.option("--fault", help="List the items of a fault: uncovered, wrong, outvoted or gold.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Items to list.")
@format_option
def command(
    settings: Settings, name: str, gold: str | None, cell: str | None, fault: str | None, limit: int, form: str
) -> int:
    """Show where labels differ from gold, and whose fault that is. TASK is a task or a label set.

    Each error has one fault: no voter voted on the item; all voters that did are wrong; voters that are right were
    outvoted; or gold itself is suspicious. Measured is the label model's own answer. Gold of the test split is left out
    unless --gold asks for it; such looks are counted.
    """
    found = settings.project().errors(name, gold=gold, cell=cell, fault=fault, limit=limit)
    if form == "json":
        print_json(found.as_dict())
        return 0
    _summary(found)
    if cell is not None or fault is not None:
        _items(found)
    elif found.wrong:
        _cells(found, settings)
        _advice(found)
        _voters(found, settings)
    for note in found.notes:
        click.echo(f"\n{note}")
    if found.test_looks is not None:
        click.echo(test_look(found.task, found.test_looks))
    return 0


def _summary(found: ErrorReport) -> None:
    click.echo(f"task {found.task}, {found.label_set}: {counted(found.gold_items, 'item')} with gold ", nl=False)
    judged = found.right + found.wrong + found.undecided
    share = f" ({percent(found.right / judged)})" if judged else ""
    without = f", {found.unlabeled:,} of these without a label" if found.unlabeled else ""
    more = f", {found.undecided:,} undecided" if found.undecided else ""
    click.echo(f"({found.gold_splits}): {found.right:,} right{share}, {found.wrong:,} wrong{without}{more}")


def _cells(found: ErrorReport, settings: Settings) -> None:
    click.echo("")
    shown = [fault for fault, number in found.faults.items() if number]
    head = ["gold", "label", "errors", *(_TITLES[fault] for fault in shown)]
    rows = []
    for one in found.cells:
        of = {fault.fault: fault.items for fault in one.faults}
        label = one.label or one.cell.rpartition(":")[2]
        rows.append([one.gold, label, f"{one.items:,}", *(f"{of.get(f, 0) or ''}" for f in shown)])
    if len(rows) > 1:
        rows.append(["all", "", f"{found.wrong:,}", *(f"{found.faults[f]:,}" for f in shown)])
    print_table(head, rows, settings, numeric=[False, False, *[True] * (len(head) - 2)])


def _advice(found: ErrorReport) -> None:
    ranked = sorted(
        ((fault, one) for one in found.cells for fault in one.faults), key=lambda f: (-f[0].items, f[1].cell)
    )
    click.echo("\nwhat to do, most errors first")
    for fault, one in ranked[:_ADVICE]:
        click.echo(f"  {one.cell}, {_TITLES[fault.fault]}, {counted(fault.items, 'item')}:")
        click.echo(_wrapped(fault.advice))
    if len(ranked) > _ADVICE:
        click.echo(f"  {len(ranked) - _ADVICE} more with fewer errors")
    if found.faults["gold"]:
        limits = found.thresholds
        voters = f"{limits['voters']:.0f} independent voters, right on {limits['precision']:.0%} of their votes"
        click.echo(f"gold is suspicious where {voters}, agree against it")
        click.echo(f"and the posterior is {limits['posterior']} or more")


def _wrapped(advice: str) -> str:
    """Advice in lines; a command in it stays whole, to be copied."""
    kept = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), advice)
    lines = textwrap.wrap(kept, window() - 4, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"    {line}" for line in lines).replace(_GLUE, " ")


def _voters(found: ErrorReport, settings: Settings) -> None:
    if not found.voters:
        return
    click.echo("\nvoters behind the errors")
    measure = {"log_odds": "log-odds", "share": "share"}.get(found.measure)
    head = [
        "voter",
        "kind",
        "wrong in errors",
        "weighed most",
        *([f"weight ({measure})"] if measure else []),
        "wrong on gold",
        "of",
    ]
    rows = [
        [
            v.voter,
            v.kind,
            f"{v.errors:,}",
            f"{v.decisive:,}",
            *([f"{v.weight:+.1f}"] if measure and v.weight is not None else []),
            f"{v.wrong:,}",
            f"{v.votes:,}",
        ]
        for v in found.voters[:_VOTERS]
    ]
    print_table(head, rows, settings, numeric=[False, False, *[True] * (len(head) - 2)])
    if len(found.voters) > _VOTERS:
        click.echo(f"{counted(len(found.voters) - _VOTERS, 'more voter')} with fewer")


def _items(found: ErrorReport) -> None:
    click.echo(f"\n{len(found.items):,} of {counted(found.listed_of, 'item')}, the surest errors first", nl=False)
    click.echo("; * weighed most" if any(item.strongest for item in found.items) else "")
    for item in found.items:
        click.echo("")
        _item(item)


def _item(item: ErrorItem) -> None:
    sure = [f"p({name}) {p:.2f}" for name, p in ((item.gold, item.p_gold), (item.label, item.p_label)) if p is not None]
    click.echo("  ".join([cell(item.item, 40), item.cell, _TITLES[item.fault], *sure]))
    for column, text in item.texts.items():
        title = f"{column}: " if len(item.texts) > 1 else ""
        click.echo(f"    {title}{marked(text, window() - 4 - len(title))}")
    votes = [f"right: {_few(item.right)}"] if item.right else []
    votes += [f"wrong: {_few(_wrong(item))}"] if item.wrong else []
    if item.strongest is not None and item.strongest not in item.wrong:
        votes.append(f"weighed most: {item.strongest}")
    if item.decided is not None:
        votes.append(f"decided: {cell(item.decided)}")
    click.echo(f"    {'; '.join(votes) or 'nobody voted'}")


def _wrong(item: ErrorItem) -> list[str]:
    """Who is wrong; and what they say, if it is not what the item got."""
    found = []
    for voter, said in item.wrong.items():
        name = voter if said == item.label else f"{voter} ({said})"
        found.append(f"{name}*" if voter == item.strongest else name)
    return found


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
