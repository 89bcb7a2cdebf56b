"""``teachkit suggest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import interval, percent, print_json, print_table
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings
    from teachkit.review.suggest import Suggestion, Suggestions

_RULE = 34
_VOTER = 16


@as_command
@click.argument("name", metavar="TASK")
@click.option("--label", "labels", multiple=True, help="For this label only.")
@click.option("--column", "columns", multiple=True, help="Search this column; default: the longest text that is shown.")
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="Labeling functions at most.")
@click.option(
    "--min-precision",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Leave out those whose expected precision is below this.",
)
@click.option("--from-errors", is_flag=True, help="Only those that mend labels that are wrong by gold.")
@click.option(
    "--evidence", help="What tells what leans to a label: gold or posterior; default: gold, if 10 items have it."
)
@click.option("--label-set", help="Whose posterior and errors; default: the first of the task.")
@click.option("--save", metavar="FILE", help="Write them to this file of labeling functions, which must be new.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="Form of the result; yaml is a file of labeling functions.",
)
def command(
    settings: Settings,
    name: str,
    labels: tuple[str, ...],
    columns: tuple[str, ...],
    limit: int,
    min_precision: float,
    from_errors: bool,
    evidence: str | None,
    label_set: str | None,
    save: str | None,
    form: str,
) -> int:
    """Suggest labeling functions for TASK, ready to check in.

    Words, phrases and patterns that lean to a label, by gold outside the test split or else by the label set's
    posterior. Those come first that add correct votes on items that no voter speaks of, or that are wrong. What a voter
    says already is left out.
    """
    found = settings.project().suggest(
        name,
        labels=labels,
        columns=columns,
        limit=limit,
        min_precision=min_precision,
        from_errors=from_errors,
        evidence=evidence,
        label_set=label_set,
        save=save,
    )
    if form == "json":
        print_json(found.as_dict())
    elif form == "yaml":
        click.echo(found.text, nl=False)
    else:
        _text(found, settings)
    return 0


def _text(found: Suggestions, settings: Settings) -> None:
    missing = f"{found.uncovered:,} of {counted(found.items, 'item')} without a vote, {found.errors:,} wrong by gold"
    click.echo(f"task {found.task}: {missing}")
    told = "gold (train, tune)" if found.evidence == "gold" else f"the posterior of {found.label_set or 'a label set'}"
    of_items = f"{told} of {counted(found.evidence_items, 'item')}"
    click.echo(f"searched: {', '.join(found.columns) or 'nothing'}; what leans to a label: {of_items}")
    if found.suggestions:
        click.echo("")
        gold = found.evidence == "gold"
        head = ["label", "votes if it finds", "votes", "new", "mends", "precision" if gold else "expected precision"]
        head += ["of gold", "nearest voter"] if gold else ["nearest voter"]
        rows = [_row(s, gold=gold) for s in found.suggestions]
        print_table(head, rows, settings, numeric=[False, False, True, True, True, False, *[True] * gold, False])
        click.echo("\nnew: on items that no voter speaks of; mends: wrong by gold, and this is right")
        if not found.saved:
            click.echo(f"to keep them: the same with --save {found.path}; to see the file: --format yaml")
    else:
        click.echo("no labeling function to suggest")
    if found.saved:
        click.echo(f"wrote {found.path}")
    for note in found.notes:
        click.echo(f"note: {note}")


def _row(s: Suggestion, *, gold: bool) -> list[str]:
    claim = s.claim
    rule = s.keys.get("regex") or ", ".join(s.keys["any_of"])
    rule = _cut(s.name if s.kind == "regex" and len(rule) > _RULE else rule, _RULE)
    sure = f"{percent(claim.precision)} {interval(claim.low, claim.high)}" if gold else percent(s.precision)
    nearest = s.overlaps[0] if s.overlaps else None
    voter = f"{_cut(nearest.voter, _VOTER)} {percent(nearest.share)}" if nearest else ""
    figures = [f"{claim.votes:,}", f"{claim.new:,}", f"{s.errors or ''}", sure.strip()]
    return [_cut(s.label, 16), rule, *figures, *([f"{claim.judged:,}"] if gold else []), voter]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
