"""``teachkit diff``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import print_json, print_table

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings
    from teachkit.diff import Diff
    from teachkit.diff.report import Cell, Section, Table
    from teachkit.diff.result import End


@as_command
@click.option("--base", metavar="REF", help="Git revision to compare with; default: where HEAD left the main branch.")
@click.option("--head", metavar="REF", help="Git revision to look at; default: the working tree.")
@click.option("--label-set", "label_sets", multiple=True, metavar="NAME", help="Compare these label sets alone.")
@click.option("--limit", type=click.IntRange(min=0), default=10, show_default=True, help="Items to show.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown", "html"]),
    default="text",
    help="Form of the result.",
)
@click.option(
    "--texts/--no-texts",
    default=None,
    help="Show what tasks show of items beside their keys. [default: in text and html]",
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
def command(
    settings: Settings,
    base: str | None,
    head: str | None,
    label_sets: tuple[str, ...],
    limit: int,
    form: str,
    texts: bool | None,
    output: Path | None,
) -> int:
    """Show what a change does to the labels: which flip, and why.

    Labels are taken from the store. What it lacks is built into it; models are asked nothing, answers that are kept
    count. Nothing is published, and the work tree stays as it is.
    """
    from teachkit.cli.progress import progress

    if head == "working tree":
        head = None
    with progress(settings, stderr=True) as report:
        found = settings.project().diff(base, head, label_sets=label_sets, examples=limit, report=report)
    if form == "text" and output is None:
        _show(found, settings, texts=texts is not False)
        return 0
    if output is None:
        if form == "json":
            print_json(found.as_dict(texts=bool(texts)))
        else:
            click.echo(_written(found, form, texts), nl=False)
        return 0
    return _write(found, form, texts, output, settings)


def _written(found: Diff, form: str, texts: bool | None) -> str:
    return found.markdown(texts=bool(texts)) if form == "markdown" else found.html(texts=texts is not False)


def _write(found: Diff, form: str, texts: bool | None, output: Path, settings: Settings) -> int:
    import contextlib
    import io

    from teachkit.store import write_bytes_atomic

    if form == "html" or form == "markdown":
        text = _written(found, form, texts)
    else:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            if form == "json":
                print_json(found.as_dict(texts=bool(texts)))
            else:
                _show(found, settings, texts=texts is not False)
        text = said.getvalue()
    write_bytes_atomic(output, text.encode())
    return 0


def _show(found: Diff, settings: Settings, *, texts: bool) -> None:
    from teachkit.diff.report import sections
    from teachkit.diff.words import alerts, headline, no_base

    click.echo(f"{_end('base', found.base)}\n{_end('head', found.head)}\n")
    click.echo(headline(found))
    shown = sections(found, texts=texts)
    alone = sum(bool(section.name) for section in shown) == 1
    if alone and shown[0].judgment and shown[0].judgment not in headline(found):
        click.echo(shown[0].judgment)
    for alert in alerts(found):
        click.echo(f"warning: {alert}")
    if found.base.problem is not None:
        click.echo(f"\n{no_base(found.base)}:\n{found.base.problem}")
    for section in shown:
        _show_section(section, settings, alone=alone)


def _show_section(section: Section, settings: Settings, *, alone: bool) -> None:
    if section.name and not alone:
        click.echo(f"\n{section.sentence}")
        if section.judgment:
            click.echo(section.judgment)
    for note in section.notes:
        click.echo(f"\nnote: {note}")
    for table in section.tables:
        click.echo(f"\n{table.title.lower()}")
        _show_table(table, settings)


def _show_table(table: Table, settings: Settings) -> None:
    numeric = [index in table.numeric for index in range(len(table.columns))]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    rows = [["  " + row[0], *row[1:]] for row in rows]
    print_table(["  " + table.columns[0], *table.columns[1:]], rows, settings, numeric=numeric)
    if table.more:
        click.echo(f"  and {table.more:,} more")


def _cell(cell: Cell) -> str:
    from teachkit.cli.output import cell as one_line

    return cell if isinstance(cell, str) else one_line(cell.text, 200)


def _end(which: str, end: End) -> str:
    name = "" if end.commit is not None and end.name == end.commit else f"{end.name} "
    commit = f"at {end.commit[:10]}" if end.commit is not None and name else (end.commit or "")[:10]
    return f"{which}  {name}{commit}{', with uncommitted changes' if end.dirty else ''}".rstrip()
