"""``teachkit analyze``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.analysis import show_sections
from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, interval, percent, print_json, print_table, test_look
from teachkit.errors import BadOption, counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review import TaskAnalysis
    from teachkit.review.analyze import VoterRow
    from teachkit.review.contestants import SideRow
    from teachkit.votes.calibration import PosteriorCalibration


@as_command
@click.argument("task", required=False)
@click.option("--label-set", help="Whose voters and learned accuracies; default: the task's first label set.")
@click.option("--gold", help="Gold to measure on: train, tune, test or all; default: all but test.")
@click.option("--slice", "slice_", help="A slice of the task (slices/TASK/NAME.sql): look at its items only.")
@click.option("--pairs", is_flag=True, help="Which voters agree, depend on each other, or repeat another one.")
@click.option("--agreement", is_flag=True, help="Agreement beyond chance: Krippendorff, Fleiss, Cohen.")
@click.option("--annotators", is_flag=True, help="Confusions, leaning and speed of annotators; spammers.")
@click.option("--marginal", is_flag=True, help="What each voter adds: the label model is fitted again without it.")
@click.option("--slices", is_flag=True, help="Each slice of the task.")
@click.option("--all", "everything", is_flag=True, help="All of these.")
@format_option
def command(
    settings: Settings,
    task: str | None,
    label_set: str | None,
    gold: str | None,
    slice_: str | None,
    everything: bool,
    form: str,
    **asked: bool,
) -> int:
    """Show the coverage, overlaps, conflicts and accuracy of TASK's voters; without TASK, of every task.

    Coverage, overlaps and conflicts are shares of all items. Accuracy is over a voter's votes on items with gold, with
    a 95 % interval; learned accuracy is what the label model believes of it.
    """
    project = settings.project()
    tasks = [task] if task is not None else sorted(project.graph().tasks)
    for option, value in (("--label-set", label_set), ("--slice", slice_)):
        if len(tasks) != 1 and value is not None:
            raise BadOption(None, option=option, problem="it needs a TASK", advice="write 'teachkit analyze TASK …'")
    sections = [name for name, wanted in asked.items() if wanted or everything]
    found = [project.analyze(name, label_set=label_set, gold=gold, slice=slice_, sections=sections) for name in tasks]
    if form == "json":
        print_json(found[0].as_dict() if task is not None else {"tasks": [one.as_dict() for one in found]})
        return 0
    if not found:
        click.echo("the project has no task")
    for number, one in enumerate(found):
        click.echo("\n" if number else "", nl=False)
        _show(one, settings)
    return 0


def _show(found: TaskAnalysis, settings: Settings) -> None:
    share = percent(found.covered / found.items if found.items else None) or "none"
    of = f", as in {found.label_set}" if found.label_set else ""
    of += f", slice {found.slice}" if found.slice else ""
    click.echo(f"task {found.task}{of}: {counted(found.items, 'item')}, {share} with a vote, ", nl=False)
    seen = "; that of tune is in the fit" if found.gold_in_fit else ""
    gold = f"{counted(found.gold_items, 'item')} with gold ({found.gold_splits}{seen})"
    click.echo(f"{percent(found.conflicts)} with a conflict; {gold}\n")
    if any(row.figures for row in found.voters):
        print_table(*_values(found), settings, numeric=[False, False] + [True] * (len(_values(found)[0]) - 2))
        show_sections(found, settings)
        _show_rest(found)
        return
    multi = any(row.label is not None for row in found.voters)
    head = ["voter", "kind", *(["about"] if multi else []), "polarity", "votes", "coverage", "overlaps", "conflicts"]
    head += ["right", "wrong", "accuracy", "95 %", "learned", "95 %"]
    text = 4 if multi else 3
    numeric = [False] * text + [True] * (len(head) - text)
    print_table(head, [_row(row, multi=multi) for row in found.voters], settings, numeric=numeric)
    if found.calibration is not None:
        _show_calibration(found.calibration, multi=multi)
    if found.gaps:
        click.echo("")
    for sentence in found.gaps:
        click.echo(f"gap: {sentence}")
    for sentence in found.doubts:
        click.echo(f"\ndoubt: {sentence}" if sentence is found.doubts[0] else f"doubt: {sentence}")
    if found.scores:
        _show_scores(found.scores, settings)
    if found.sides:
        _show_sides(found.sides, settings)
    show_sections(found, settings)
    _show_rest(found)


def _values(found: TaskAnalysis) -> tuple[list[str], list[list[str]]]:
    """A table of voters whose answers are values: what is shared by all kinds, then the figures that there are."""
    figures = dict.fromkeys(name for row in found.voters for name in row.figures)
    names = [name for name in figures if not name.endswith(("_low", "_high"))]
    head = ["voter", "kind", "votes", "coverage", "overlaps", "conflicts"]
    rows = [
        [
            row.voter,
            row.kind,
            f"{row.votes:,}",
            *(percent(share) for share in (row.coverage, row.overlaps, row.conflicts)),
            *("" if row.figures.get(name) is None else f"{row.figures[name]:.4g}" for name in names),
        ]
        for row in found.voters
    ]
    return [*head, *("on gold" if name == "n" else name.replace("_", " ") for name in names)], rows


def _show_rest(found: TaskAnalysis) -> None:
    if found.missing:
        click.echo(f"\nnot built, so left out: {', '.join(found.missing)}")
    if found.test_looks is not None:
        click.echo(test_look(found.task, found.test_looks))


def _show_calibration(found: PosteriorCalibration, *, multi: bool) -> None:
    """What posteriors say and how often they are right, by bins of equal size."""
    figures = [
        ("expected calibration error", found.expected_error),
        ("in bins of equal size", found.expected_error_equal_mass),
    ]
    figures += [("Brier score", found.brier), ("log-loss", found.log_loss)]
    said = ", ".join(f"{name} {value:.3f}" for name, value in figures if value is not None)
    of = f"{found.items:,} pairs of item and label" if multi else counted(found.items, "item")
    labeled = f", {found.labeled:,} of them labeled" if found.labeled < found.items else ""
    click.echo(f"\nposteriors on {of} with gold{labeled}: {said}")
    filled = [b for b in found.equal_mass_bins if b.count and b.mean is not None and b.share is not None]
    if filled:
        words = (f"{percent(b.mean)} -> {percent(b.share)} of {b.count}" for b in filled)
        click.echo("  said -> right: " + ", ".join(words))


def _show_scores(scores: Sequence[Mapping[str, Any]], settings: Settings) -> None:
    rows = [
        [
            score["contestant"],
            f"{score['score']:+.2f}",
            f"{score['low']:+.2f} to {score['high']:+.2f}",
            f"{score['comparisons']:,}",
            *(f"{score[name]:,.1f}" for name in ("wins", "losses", "ties")),
        ]
        for score in scores
    ]
    click.echo("\nscores, in log-odds to win against the mean\n")
    head = ["contestant", "score", "95 %", "comparisons", "wins", "losses", "ties"]
    print_table(head, rows, settings, numeric=[False] + [True] * 6)


def _show_sides(sides: Sequence[SideRow], settings: Settings) -> None:
    rows = [
        [
            row.voter,
            f"{row.decided:,}",
            percent(row.left),
            interval(row.low, row.high),
            f"{row.swapped:,}",
            percent(row.swapped_left),
            interval(row.swapped_low, row.swapped_high),
            "" if row.left_bias is None else f"{row.left_bias:+.2f}",
            "" if row.left_bias is None else f"{row.left_bias_low:+.2f} to {row.left_bias_high:+.2f}",
        ]
        for row in sides
    ]
    click.echo("\nhow often voters say that the left one is better\n")
    head = ["voter", "decided", "left", "95 %", "in both orders", "left", "95 %", "bias", "95 %"]
    print_table(head, rows, settings, numeric=[False] + [True] * 8)


def _row(row: VoterRow, *, multi: bool) -> list[str]:
    return [
        row.voter,
        row.kind,
        *([row.label or ""] if multi else []),
        ", ".join(row.polarity),
        f"{row.votes:,}",
        percent(row.coverage),
        percent(row.overlaps),
        percent(row.conflicts),
        str(row.correct),
        str(row.incorrect),
        percent(row.accuracy),
        interval(row.low, row.high),
        percent(row.learned),
        interval(row.learned_low, row.learned_high),
    ]
