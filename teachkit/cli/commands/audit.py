"""``teachkit audit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import NestedGroup, as_command
from teachkit.cli.output import cell, format_option, print_json, print_table
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings
    from teachkit.lineage.audit.audit_log import AuditLog, RunEntry
    from teachkit.lineage.audit.chain import Broken
    from teachkit.lineage.audit.verify import Verification

_SHORT = 10
_CHECKED = {
    "runs": ("run", "runs"),
    "environments": ("environment", "environments"),
    "locked": ("label set of the lock", "label sets of the lock"),
    "objects": ("object", "objects"),
    "definitions": ("definition", "definitions"),
    "rows": ("row", "rows"),
    "nodes": ("node", "nodes"),
}
_SAID = {
    "runs": "each follows the one before it",
    "environments": "as runs published them",
    "locked": "what the lock says is so",
    "objects": "they hold what they were stored with",
    "definitions": "their texts are those that were run",
    "rows": "derived again from votes and parameters, and these from the votes: the same bits",
    "nodes": "made again from the sources: the same content",
}


@click.group(cls=NestedGroup, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show what was run, and verify that the record is whole and the labels come out again."""


@as_command
@click.option("--limit", type=click.IntRange(min=-1), default=20, show_default=True, help="Runs at most; -1: all.")
@format_option
def log(settings: Settings, limit: int, form: str) -> int:
    """Show the chain of runs, newest first: what each published, and its looks at the test split."""
    found = settings.project().audit_log(limit=None if limit < 0 else limit)
    if form == "json":
        print_json(found.as_dict())
    else:
        _show_log(found, settings)
    return 0 if found.holds else 1


@as_command
@click.option("--label-set", "label_sets", multiple=True, help="A label set; default: all of the lock.")
@click.option("--sample", type=click.IntRange(min=1), help="Check so many objects and rows of each label set only.")
@click.option("--all", "everything", is_flag=True, help="Check every object of the store.")
@click.option("--commit", metavar="REF", help="Verify the labels that the lock at this revision names.")
@click.option("--from-sources", is_flag=True, help="Make everything again from the sources, too.")
@format_option
def verify(
    settings: Settings,
    label_sets: tuple[str, ...],
    sample: int | None,
    everything: bool,
    commit: str | None,
    from_sources: bool,
    form: str,
) -> int:
    """Check the record from the lock down to the objects; name the first thing that does not hold."""
    found = settings.project().verify(
        label_sets, sample=sample, everything=everything, commit=commit, from_sources=from_sources
    )
    if form == "json":
        print_json(found.as_dict())
    else:
        _show_verification(found, settings)
    return 0 if found.holds else 1


command.add_command(log, "log")
command.add_command(verify, "verify")


# ---------------------------------------------------------------------------- log


def _show_log(found: AuditLog, settings: Settings) -> None:
    if not found.total and not found.unreadable:
        click.echo("nothing was run yet")
    else:
        head = ["run", "when", "command", "target", "commit", "status", "published"]
        print_table(head, [_row(run) for run in found.runs], settings)
    looks = [(run, task, nodes) for run in found.runs for task, nodes in run.looks.items()]
    if looks:
        click.echo("\nlooks at the test split")
    for run, task, nodes in looks:
        by = f"{run.command} by {run.by}" if run.by else run.command
        click.echo(f"  {run.run_id}  task {task}, {by}: {', '.join(nodes)}")
    older = found.total - len(found.runs)
    if older > 0:
        click.echo(f"\n{counted(older, 'older run')} not shown: --limit -1 shows all")
    for fault in found.unreadable:
        click.echo(f"\n{fault.path} cannot be read: {fault.problem}")
    if found.broken is not None:
        click.echo(f"\nTHE CHAIN DOES NOT HOLD: {found.broken.path}: {found.broken.problem}")
    elif found.total:
        click.echo(f"\nthe chain holds: {counted(found.total, 'run')}, each with the hash of the one before it")


def _row(run: RunEntry) -> list[str]:
    when = (run.started or "")[:19].replace("T", " ")
    made = [
        f"{one.name} {one.digest[:_SHORT]} ({'?' if one.rows is None else f'{one.rows:,}'} rows)"
        for one in run.label_sets
    ]
    if run.others:
        made.append(counted(run.others, "other node"))
    by = f"{run.command} ({run.by})" if run.by else run.command
    return [run.run_id, when, cell(by), cell(run.target), _commit(run), run.status, ", ".join(made)]


def _commit(run: RunEntry) -> str:
    if run.changed is None:
        return "not in git"
    return f"{(run.commit or 'none')[:_SHORT]}{' + changes' if run.changed else ''}"


# ---------------------------------------------------------------------------- verify


def _show_verification(found: Verification, settings: Settings) -> None:
    lock = f"teachkit.lock of commit {found.commit[:_SHORT]}" if found.commit else "teachkit.lock"
    click.echo(f"target {found.target}, {lock}: {', '.join(found.label_sets) or 'no label set'}\n")
    rows = [[f"{number:,}", _noun(what, number), _SAID[what]] for what, number in found.checked.items() if number]
    if rows:
        print_table(["checked", "", ""], rows, settings, numeric=[True, False, False])
    for note in found.notes:
        click.echo(f"note: {note}")
    if found.broken is None:
        click.echo("\neverything that was checked holds")
    else:
        _show_broken(found.broken)


def _noun(what: str, number: int) -> str:
    one, several = _CHECKED[what]
    return one if number == 1 else several


def _show_broken(broken: Broken) -> None:
    place = f"{broken.path}:{broken.line}" if broken.path and broken.line else broken.path
    click.echo(f"\nDOES NOT HOLD: {broken.problem}")
    facts = {"label set": broken.label_set, "node": broken.node, "object": broken.object, "file": place}
    row = {"item": broken.item, "column": broken.column, "stored": broken.stored, "derived": broken.derived}
    for name, value in {**facts, **row}.items():
        if value is not None:
            click.echo(f"  {name}: {cell(value)}")
