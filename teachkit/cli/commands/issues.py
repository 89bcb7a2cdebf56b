"""``teachkit issues``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.items import marked, window
from teachkit.cli.output import cell, format_option, percent, print_json, print_table, test_look
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.cli.settings import Settings
    from teachkit.review.issues import Issue, Issues

_NAMED = 6
_PEOPLE = 10


@as_command
@click.argument("name", metavar="TASK")
@click.option("--of", "of", default="gold", show_default=True, help="What is judged: gold or annotations.")
@click.option("--features", default="votes", show_default=True, help="By what: votes, or text (needs scikit-learn).")
@click.option("--gold", help="Gold to judge: train, tune, test or all; default: all but test.")
@click.option("--label-set", help="Whose voters and label model; default: the first of the task.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Issues to list.")
@format_option
def command(
    settings: Settings,
    name: str,
    of: str,
    features: str,
    gold: str | None,
    label_set: str | None,
    limit: int,
    form: str,
) -> int:
    """Show gold, or annotators' judgments, of TASK that are likely wrong.

    By confident learning: each given label is compared with probabilities in which it had no say, those of the label
    model fitted without it, or of a classifier of texts. Gold of the test split is left out unless --gold asks for it;
    such looks are counted.
    """
    found = settings.project().issues(name, of=of, features=features, gold=gold, label_set=label_set, limit=limit)
    if form == "json":
        print_json(found.as_dict())
        return 0
    _summary(found)
    _classes(found, settings)
    _people(found, settings)
    _list(found)
    for note in found.notes:
        click.echo(f"\nnote: {note}")
    if found.test_looks is not None:
        click.echo(test_look(found.task, found.test_looks))
    return 0


def _summary(found: Issues) -> None:
    what = f"gold labels ({found.gold_splits})" if found.of == "gold" else "judgments"
    by = f"the votes of {found.label_set}" if found.features == "votes" else "the texts"
    wrong = f"{found.found:,} likely wrong, about {found.expected_wrong:.0f} expected to be"
    click.echo(f"task {found.task}: {found.judged:,} {what} judged by {by}: {wrong}")


def _classes(found: Issues, settings: Settings) -> None:
    there = [c for c in found.classes if c.given]
    if not there:
        return
    click.echo("")
    head = ["given", "labels", "expected wrong", "noise", "listed as issues"]
    rows = [
        [cell(c.label, 24), f"{c.given:,}", f"{c.expected_wrong:.1f}", percent(c.noise), f"{c.issues:,}"] for c in there
    ]
    print_table(head, rows, settings, numeric=[False, *[True] * 4])


def _people(found: Issues, settings: Settings) -> None:
    there = [a for a in found.annotators if a.issues]
    if not there:
        return
    click.echo("")
    rows = [[cell(a.name, 30), f"{a.judged:,}", f"{a.issues:,}", percent(a.issues / a.judged)] for a in there[:_PEOPLE]]
    print_table(["annotator", "judged", "issues", "share"], rows, settings, numeric=[False, True, True, True])
    if len(there) > _PEOPLE:
        click.echo(f"{counted(len(there) - _PEOPLE, 'more annotator')} with a smaller share")


def _list(found: Issues) -> None:
    if not found.issues:
        return
    click.echo(f"\n{len(found.issues):,} of {counted(found.found, 'issue')}, the surest first")
    shown: set[tuple[str, str]] = set()
    for issue in found.issues:
        click.echo("")
        _issue(issue)
        if issue.file is None or issue.line is None:
            click.echo("    no line to append: correct it at its place")
            continue
        line = (issue.file, issue.line)  # two issues of one answer are mended by one line
        click.echo("    (its line is above)" if line in shown else f"    {issue.file}: {issue.line}")
        shown.add(line)
    click.echo("")
    _advice(found, sorted({file for file, _ in shown}))


def _advice(found: Issues, files: Sequence[str]) -> None:
    """What to do about issues whose lines are to be appended to ``files``."""
    if files:
        click.echo("if one is wrong indeed, append its line to the file; lines that are there stay as they are")
    if found.role == "gold":
        names = ", ".join(f"{name.rpartition('/')[2]}: {{role: gold}}" for name in files)
        click.echo(f"new files need their role under files: in _meta.yml: {names}")
    elif files:
        click.echo("its 'at' is only a second after the old one: write the time of the correction there")
    if any(issue.line is None for issue in found.issues):
        click.echo("a judgment without 'at' is outdone by no other: if it is wrong indeed, correct its own line")


def _issue(issue: Issue) -> None:
    who = f"{issue.by} at {issue.place}" if issue.by else issue.place
    said = f"given {issue.given} (p {issue.p_given:.2f}), rather {issue.suggested} (p {issue.p_suggested:.2f})"
    click.echo(f"{cell(issue.item, 40)}  {said}; by {who}")
    for column, text in issue.texts.items():
        title = f"{column}: " if len(issue.texts) > 1 else ""
        click.echo(f"    {title}{marked(text, window() - 4 - len(title))}")
    against = [v if said == issue.suggested else f"{v} ({said})" for v, said in issue.against.items()]
    votes = [f"against: {_few(against)}"] if against else []
    votes += [f"agrees: {_few(issue.agreeing)}"] if issue.agreeing else []
    if votes:
        click.echo(f"    {'; '.join(votes)}")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
