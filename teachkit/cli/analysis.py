"""The sections of ``teachkit analyze``, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.output import interval, percent, print_table
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review import TaskAnalysis
    from teachkit.review.analyze_agreement import AgreementSection
    from teachkit.review.analyze_annotators import AnnotatorRow, AnnotatorsSection
    from teachkit.review.analyze_marginal import MarginalSection
    from teachkit.review.analyze_pairs import PairRow, PairsSection
    from teachkit.review.analyze_slices import SlicesSection

_MATRIX = 7
"""So many voters make a matrix that fits the screen; pairs of more are listed."""
_LISTED = 15
_ENOUGH = 10
_SHOWN = 0.1
"""Dependence from here on is listed."""


def show_sections(found: TaskAnalysis, settings: Settings) -> None:
    """Write the sections that were asked for."""
    if found.pairs is not None:
        _heading("pairs of voters", found.pairs.note, something=bool(found.pairs.pairs or not found.pairs.note))
        _pairs(found.pairs, settings)
    if found.agreement is not None:
        title = "agreement beyond chance (1: perfect, 0: as by chance)"
        _heading(title, found.agreement.note, something=bool(found.agreement.coefficients))
        _agreement(found.agreement, settings)
    if found.annotators is not None:
        _heading("annotators", found.annotators.note, something=bool(found.annotators.annotators))
        _annotators(found.annotators, settings)
    if found.marginal is not None:
        title = "what each voter adds to the others"
        _heading(title, found.marginal.note, something=found.marginal.coverage is not None)
        _marginal(found.marginal, settings)
    if found.slices is not None:
        _heading("slices", found.slices.note, something=bool(found.slices.slices))
        _slices(found.slices, settings)


def _heading(title: str, note: str, *, something: bool) -> None:
    click.echo(f"\n{title}" + (f": {note}" if note else "") + ("\n" if something else ""))


def _signed(value: float | None) -> str:
    points = "" if value is None else f"{value * 100:+.1f}"
    return "0.0" if points in ("+0.0", "-0.0") else points


def _two(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.2f}".replace("-0.00", "0.00")


def _matrix(names: Sequence[str], cell: Callable[[str, str], str], settings: Settings) -> None:
    """A table of voters by voters, whose columns are numbered."""
    rows = [[f"{i + 1} {a}", *("" if a == b else cell(a, b) for b in names)] for i, a in enumerate(names)]
    print_table(["", *(str(i + 1) for i in range(len(names)))], rows, settings, numeric=[False] + [True] * len(names))


# ---------------------------------------------------------------------------- pairs


def _pairs(found: PairsSection, settings: Settings) -> None:
    labels = dict.fromkeys(row.label for row in found.pairs)
    names = list(dict.fromkeys(name for row in found.pairs for name in (row.first, row.second)))
    if len(labels) == 1 and len(names) <= _MATRIX:
        cells = {
            pair: f"{percent(r.same)} ({r.shared:,})"
            for r in found.pairs
            for pair in ((r.first, r.second), (r.second, r.first))
        }
        click.echo("same answer, of the items on which both vote (how many)\n")
        _matrix(sorted(names), lambda a, b: cells.get((a, b), "–"), settings)
        click.echo("")
    fights = sorted((r for r in found.pairs if r.conflicts), key=lambda r: -r.conflicts)[:5]
    if fights:
        click.echo("most conflicts\n")
        _list(fights, "conflicts", lambda r: f"{r.conflicts:,}", settings)
        click.echo("")
    close = [r for r in found.pairs if (r.dependence or 0) >= _SHOWN]
    close.sort(key=lambda r: -(r.dependence or 0))
    if close:
        click.echo("dependent: they agree more than the labels explain (1: copies)\n")
        _list(close[:_LISTED], "dependence", lambda r: _two(r.dependence), settings)
        if len(close) > _LISTED:
            click.echo(f"and {counted(len(close) - _LISTED, 'more pair')}: see --format json")
    elif found.pairs:
        click.echo("no two voters agree more than the labels explain")
    elif not found.note:
        click.echo("no two voters share an item")
    if found.redundant:
        click.echo("")
    said_of: set[tuple[str, str, str | None]] = set()
    for one in found.redundant:
        if one.copy and (one.by, one.voter, one.label) in said_of:
            continue  # the other way round, it stands there already
        said_of.add((one.voter, one.by, one.label))
        about = f" about {one.label}" if one.label is not None else ""
        word = "copy" if one.copy else "redundant"
        said = f"{percent(one.repeated)} of the {one.votes:,} votes of {one.voter}{about}"
        back = ", and the other way round" if one.copy else ""
        click.echo(f"{word}: {said} are also votes of {one.by}{back}")


def _list(pairs: Sequence[PairRow], figure: str, value: Callable[[PairRow], str], settings: Settings) -> None:
    """A table of pairs with one figure of each."""
    multi = any(row.label is not None for row in pairs)
    head = ["", *(["about"] if multi else []), figure, "both vote", "same"]
    rows = [
        [f"{r.first}, {r.second}", *([r.label or ""] if multi else []), value(r), f"{r.shared:,}", percent(r.same)]
        for r in pairs
    ]
    print_table(head, rows, settings, numeric=[False] * (len(head) - 3) + [True] * 3)


# ---------------------------------------------------------------------------- agreement


def _agreement(found: AgreementSection, settings: Settings) -> None:
    if found.coefficients:
        rows = [
            [
                row.of,
                f"{row.voters:,}",
                {"krippendorff": "Krippendorff's alpha", "fleiss": "Fleiss' kappa"}[row.coefficient],
                row.metric,
                "undefined" if row.value is None else f"{row.value:.3f}",
                "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}",
                f"{row.units:,}",
                row.reason,
            ]
            for row in found.coefficients
        ]
        head = ["of", "voters", "coefficient", "metric", "value", "95 %", "items", ""]
        print_table(head, rows, settings, numeric=[False, True, False, False, True, True, True, False])
    names = list(dict.fromkeys(name for row in found.pairs for name in (row.first, row.second)))
    if not names:
        return
    weights = f", {found.weights} weights" if found.weights else ""
    if len(names) <= _MATRIX:
        cells = {
            pair: f"{_two(r.kappa) or 'undef.'} ({r.units:,})"
            for r in found.pairs
            for pair in ((r.first, r.second), (r.second, r.first))
        }
        click.echo(f"\nCohen's kappa of two voters{weights} (on how many items both vote)\n")
        _matrix(sorted(names), lambda a, b: cells.get((a, b), "–"), settings)
    else:
        least = sorted((r for r in found.pairs if r.kappa and r.units >= _ENOUGH), key=lambda r: r.kappa or 0)
        if least:
            click.echo(f"\nCohen's kappa of two voters{weights}: the lowest on {_ENOUGH} items or more\n")
            rows = [[f"{r.first}, {r.second}", _two(r.kappa), f"{r.units:,}", percent(r.same)] for r in least[:_LISTED]]
            print_table(["", "kappa", "both vote", "same"], rows, settings, numeric=[False, True, True, True])
        one_sided = sum(r.kappa == 0 or (r.kappa is None) for r in found.pairs)
        said = f"all {counted(len(found.pairs), 'pair')}: --format json"
        if one_sided:
            said += f"; of {one_sided:,} kappa says nothing, as one of the two always says the same there"
        click.echo(f"\n{said}")
        return
    reasons = sorted({r.reason for r in found.pairs if r.kappa is None})
    for reason in reasons:
        click.echo(f"undefined: {reason}")


# ---------------------------------------------------------------------------- annotators


def _annotators(found: AnnotatorsSection, settings: Settings) -> None:
    if not found.annotators:
        return
    click.echo("same: as the label that the item has without this annotator's vote\n")
    head = ["annotator", "votes", "judged", "same", "95 %", "gold", "right", "95 %", "as others", "score", "seconds"]
    rows = [_annotator(row) for row in found.annotators]
    print_table(head, rows, settings, numeric=[False] + [True] * (len(head) - 1))
    click.echo("\nscore: 1 tells the label apart without error, 0 says nothing of it; seconds: median (quartiles)")
    for row in found.annotators:
        for remark in row.remarks:
            click.echo(f"{row.annotator}: {remark}")
    if len(found.labels) <= _MATRIX:
        for row in found.annotators[:_MATRIX]:
            if row.judged:
                click.echo(f"\n{row.annotator}: rows are the labels without this vote, columns the answers\n")
                cells = [[n, *map(str, c)] for n, c in zip(found.labels, row.confusion, strict=True)]
                print_table(["", *found.labels], cells, settings, numeric=[False] + [True] * len(found.labels))


def _annotator(row: AnnotatorRow) -> list[str]:
    quartiles = "" if row.seconds is None else f"{row.seconds:.3g} ({row.seconds_low:.3g}–{row.seconds_high:.3g})"
    return [
        row.annotator,
        f"{row.votes:,}",
        f"{row.judged:,}",
        percent(row.same),
        interval(row.low, row.high),
        f"{row.gold:,}",
        percent(row.accuracy),
        interval(row.gold_low, row.gold_high),
        percent(row.with_others),
        _two(row.score),
        quartiles,
    ]


# ---------------------------------------------------------------------------- marginal value, slices


def _marginal(found: MarginalSection, settings: Settings) -> None:
    if found.coverage is None:
        return
    words = [f"coverage {percent(found.coverage)}"]
    if found.accuracy is not None:
        words = [f"accuracy {percent(found.accuracy)}", f"macro-F1 {found.macro_f1:.3f}", *words]
    gold = found.gold_labels
    by = counted(gold, "gold label") if gold else "no gold, so only coverage can be compared"
    click.echo(f"with all voters: {', '.join(words)} ({by})")
    if not found.voters:
        click.echo("there is one voter only: nothing is left without it")
        return
    click.echo("in points, as far as the label model fitted without a voter falls behind; below 0 it does harm\n")
    rows = [
        [
            row.voter,
            _signed(row.accuracy),
            _signed(row.macro_f1),
            _signed(row.coverage),
            *(["", "", ""] if row.p is None else [str(row.mended), str(row.broken), f"{row.p:.3f}"]),
            percent(row.moved),
        ]
        for row in found.voters
    ]
    head = ["voter", "accuracy", "macro-F1", "coverage", "mends", "breaks", "p", "labels moved"]
    print_table(head, rows, settings, numeric=[False] + [True] * 7)
    if found.gold_labels:
        click.echo("\nmends, breaks: gold labels that are right only with it, only without it; p: McNemar's test")


def _slices(found: SlicesSection, settings: Settings) -> None:
    if not found.slices:
        return
    labels = list(dict.fromkeys(label for row in found.slices for label in row.balance))
    shown = labels if len(labels) <= _MATRIX else []
    rows = [
        [
            row.slice,
            f"{row.items:,}",
            percent(row.coverage),
            percent(row.conflicts),
            f"{row.gold:,}",
            percent(row.accuracy),
            interval(row.low, row.high),
            *(percent(row.balance.get(label)) for label in shown),
        ]
        for row in found.slices
    ]
    head = ["slice", "items", "coverage", "conflicts", "gold", "accuracy", "95 %", *shown]
    print_table(head, rows, settings, numeric=[False] + [True] * (len(head) - 1))
