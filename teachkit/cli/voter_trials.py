"""A labeling function that was tried, on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.items import print_items
from teachkit.cli.output import cell, interval, percent, print_table, test_look
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review.hits import Example
    from teachkit.review.trying import Claim, Overlap, VoterTrial

_VOTERS = 10


def show_trial(found: VoterTrial, settings: Settings) -> None:
    """Write a trial: figures, voters beside it, examples, what to do next."""
    name = "" if found.text else f"{found.voter}: "
    votes = f"{name}votes on {found.votes:,} of {counted(found.items, 'item')} ({percent(found.coverage)})"
    click.echo(f"{votes}; {_new(found.new)}" if found.votes else votes)
    for claim in found.claims:
        click.echo("")
        _claim(claim, found)
    if not found.claims:
        click.echo("\nit matches nothing")
    _overlaps(found.overlaps, settings)
    _examples(f"hits, {len(found.hits):,} of {found.votes:,}", found.hits, settings)
    _examples("misses: it is silent here", found.misses, settings)
    for note in found.notes:
        click.echo(f"\n{note}")
    _next(found)
    if found.test_looks is not None:
        click.echo(test_look(found.task, found.test_looks))


def _new(number: int) -> str:
    return f"{number:,} of these no voter has covered" if number else "other voters cover all of these"


def _claim(claim: Claim, found: VoterTrial) -> None:
    said = claim.label if claim.yes else f"not {claim.label}"
    votes = f"{counted(claim.votes, 'item')} ({percent(claim.coverage)})"
    click.echo(f"says '{said}' on {votes}, {claim.new:,} of them new")
    if claim.judged:
        share = f"precision {percent(claim.precision)}, 95 %: {interval(claim.low, claim.high)}"
        right = f"{claim.right:,} of {claim.judged:,} right, {share}"
    else:
        right = "no vote of it is on an item with gold"
    rows = [("gold", f"{right}  ({counted(found.gold_items, 'item')} with gold: {found.gold_splits})")]
    if claim.true_items:
        more = f"; all voters {percent(claim.recall_before)}, with it {percent(claim.recall_after)}"
        of = f"finds {claim.right:,} of {counted(claim.true_items, 'item')} with gold '{said}'"
        rows.append(("recall", f"{percent(claim.recall)}, {of}{more}"))
    if found.label_set is not None and claim.votes:
        rows.append(("posterior", _posterior(claim, found, said)))
    for title, text in rows:
        click.echo(f"  {title:<9}  {text}")


def _posterior(claim: Claim, found: VoterTrial, said: str) -> str:
    whose = found.label_set or ""
    if claim.believed is None:
        return f"{whose} has heard no voter on these items"
    without = ", fitted without it," if found.fitted_without else ""
    lift = f", lift {claim.lift:.2f}" if claim.lift is not None else ""
    share = f"{percent(claim.believed)} of {claim.informed:,} are '{said}'"
    return f"{whose}{without} believes that {share}; of all items {percent(claim.base_rate)}{lift}"


def _overlaps(overlaps: Sequence[Overlap], settings: Settings) -> None:
    if not overlaps:
        return
    click.echo("")
    shown = [o for o in overlaps[:_VOTERS] if o.both]
    rows = [
        [o.voter, o.kind, f"{o.votes:,}", f"{o.both:,}", percent(o.share), f"{o.same:,}", f"{o.conflicts:,}", _words(o)]
        for o in shown
    ]
    head = ["voter", "kind", "votes", "both vote", "of these", "same", "conflict", ""]
    if rows:
        print_table(head, rows, settings, numeric=[False, False, True, True, True, True, True, False])
    more = [o for o in overlaps[_VOTERS:] if o.both]
    never = sum(not o.both for o in overlaps)
    rest = [f"{counted(len(more), 'more voter')} with less overlap"] if more else []
    rest += [f"{counted(never, 'voter')} never together with it"] if never else []
    if rest:
        click.echo("; ".join(rest))


def _words(overlap: Overlap) -> str:
    if overlap.near_copy:
        return f"near-copy: {percent(overlap.similarity)} of all votes are the same"
    return "says nearly all of this already" if overlap.contains else ""


def _examples(title: str, examples: Sequence[Example], settings: Settings) -> None:
    if not examples:
        return
    click.echo(f"\n{title}")
    columns = list(dict.fromkeys(column for one in examples for column in one.texts))
    several = len({one.label for one in examples}) > 1
    head = ["item", *(["label"] if several else []), "verdict", "gold", "p"]
    rows = [
        [
            cell(one.item, 24),
            *([one.label] if several else []),
            _verdict(one),
            one.gold or "",
            "" if one.probability is None else f"{one.probability:.2f}",
        ]
        for one in examples
    ]
    print_items(head, rows, columns, [one.texts for one in examples], settings)


def _verdict(one: Example) -> str:
    if one.verdict is None:
        return "?"
    return one.verdict if one.by == "gold" else f"{one.verdict}?"


def _next(found: VoterTrial) -> None:
    if found.text is None:
        return
    if found.saved:
        click.echo(f"\nwrote {found.path}; 'teachkit build' lets it vote")
        return
    click.echo(f"\nto keep it, write {found.path} (--save NAME does):\n")
    click.echo("\n".join(f"    {line}" for line in found.text.rstrip().split("\n")))
