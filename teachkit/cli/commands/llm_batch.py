"""``teachkit llm batch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import SettingsCommand, as_command
from teachkit.cli.output import format_option, print_json, print_table
from teachkit.cli.running import state_option
from teachkit.errors import BadOption, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.api import Project
    from teachkit.build.asking.batching import Submission
    from teachkit.build.asking.collecting import Looked
    from teachkit.build.run import Reporter
    from teachkit.cli.settings import Settings
    from teachkit.errors import TeachkitError
    from teachkit.llm.batch_state import Batch

_OPTIONS = {"submit": ("max_cost", "dry_run"), "status": ("everything",), "collect": (), "cancel": ("forget",)}


@as_command
@click.argument("action", type=click.Choice(["submit", "status", "collect", "cancel"]))
@click.argument("names", nargs=-1)
@state_option
@click.option("--max-cost", type=click.FloatRange(min=0), help="Submit nothing that may cost more USD.")
@click.option("--dry-run", is_flag=True, help="Show what 'submit' would send; send nothing.")
@click.option("--all", "everything", is_flag=True, help="'status' shows batches that are collected, too.")
@click.option("--forget", is_flag=True, help="'cancel' drops the batch here, with all that it may be answered.")
@format_option
def command(
    settings: Settings, action: str, names: tuple[str, ...], state: str | None, form: str, **options: Any
) -> int:
    """Have prompts answered in batches: for less, within a day.

    submit [SELECTION]: buy answers to what has none yet.
    status [NAMES]: how far batches are, named by their id or by a prompt.
    collect [NAMES]: keep the answers of those that are done, for the next build.
    cancel NAMES: stop them; what is answered by then can be collected.
    """
    from teachkit.cli.progress import progress

    _check_options(action, options)
    project = settings.project()
    with progress(settings, stderr=True) as report:
        if action == "submit":
            return _submit(project, names, {**options, "state": state}, report, form, settings)
        looked = _look(project, action, names, options, report)
    if form == "json":
        print_json(looked.as_dict())
    else:
        _show(action, looked, settings)
    return _exit_code(action, looked, settings)


def with_batches(function: Callable[..., int | None]) -> click.Command:
    """Make a command as ``as_command`` does, with ``batch`` as a command below it."""
    return as_command(function, _WithBatches)


class _WithBatches(SettingsCommand):
    """Hands over to ``batch`` where that is its first word."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["batch"]:
            return command.make_context("llm batch", args[1:], parent, **extra)
        found = super().make_context(info_name, args, parent, **extra)
        if found.params.get("action") == "batch":
            raise click.UsageError("'batch' comes first: teachkit llm batch ACTION [NAMES]... [OPTIONS]", found)
        return found


def _check_options(action: str, options: dict[str, Any]) -> None:
    for other, names in _OPTIONS.items():
        for name in names if other != action else ():
            if options[name] not in (None, False):
                option = "--all" if name == "everything" else f"--{name.replace('_', '-')}"
                problem, advice = f"it is not for '{action}'", f"give it to 'llm batch {other}', or leave it out"
                raise BadOption(None, option=option, problem=problem, advice=advice)


def _look(project: Project, action: str, names: Sequence[str], options: dict[str, Any], report: Reporter) -> Looked:
    if action == "cancel":
        return project.llm_batch_cancel(names, forget=options["forget"], report=report)
    if action == "collect":
        return project.llm_batch_collect(names, report=report)
    found = project.llm_batch_status(names, report=report)
    if not (options["everything"] or names):
        found.batches = [batch for batch in found.batches if batch.phase != "collected"]
    return found


# ---------------------------------------------------------------------------- submit


def _submit(
    project: Project, names: Sequence[str], options: dict[str, Any], report: Reporter, form: str, settings: Settings
) -> int:
    dry_run = options["dry_run"]
    how = {name: options[name] for name in ("max_cost", "state", "dry_run")}
    found = project.llm_batch_submit(names, report=report, **how)
    if form == "json":
        print_json(found.as_dict())
    else:
        _show_submission(found, settings, dry_run=dry_run)
    return _show_errors([found.error] if found.error is not None else [], settings)


def _show_submission(found: Submission, settings: Settings, *, dry_run: bool) -> None:
    if not found.prompts:
        click.echo("no prompt is switched on")
        return
    head = ["prompt", "model", "requests", "answered", "in batches", "to submit", "USD from", "up to"]
    rows = [
        [
            one.id.removeprefix("prompt."),
            one.model,
            *(f"{n:,}" for n in (one.requests, one.answered, one.waiting, one.submitted)),
            *("" if usd is None else f"{usd:.4f}" for usd in (one.low, one.high)),
        ]
        for one in found.prompts
    ]
    print_table(head, rows, settings, numeric=[False, False, *[True] * 6])
    done = "would be submitted" if dry_run else "submitted"
    requests = sum(batch.requests for batch in found.batches)
    highs = [one.high for one in found.prompts if one.high is not None]
    most = f", up to {sum(highs):.4f} USD" if highs else ""
    batches = f"{len(found.batches):,} {'batch' if len(found.batches) == 1 else 'batches'}"
    if found.error is not None:
        click.echo(f"\n{counted(requests, 'request')} in {batches} submitted, then it failed")
    elif requests:
        click.echo(f"\n{counted(requests, 'request')} in {batches} {done}{most}")
    else:
        click.echo("\nnothing to submit: every request has an answer, or is in a batch")
    for batch in found.batches if not dry_run else ():
        click.echo(f"  {batch.shown_id}  {counted(batch.requests, 'request')}  {batch.model}")


# ---------------------------------------------------------------------------- status, collect, cancel


def _show(action: str, found: Looked, settings: Settings) -> None:
    from teachkit.build.asking.batching import batch_dict, status_of

    if not found.batches and not found.dropped and not found.errors:
        click.echo({"status": "no batch is open", "collect": "nothing to collect"}.get(action, "nothing to cancel"))
    if found.batches:
        head = ["batch", "prompts", "status", "done", "failed", "of", "submitted", "expires"]
        head += ["kept", "USD"] if action == "collect" else []
        rows = []
        for batch in found.batches:
            shown = batch_dict(batch)
            row = [
                batch.shown_id,
                ", ".join(name.removeprefix("prompt.") for name in batch.names),
                _status(batch, status_of(batch)),
                *(f"{n:,}" for n in (batch.completed, batch.failed, batch.requests)),
                *(_time(shown[name]) for name in ("submitted", "expires")),
            ]
            if action == "collect":
                row += [f"{batch.kept:,}" if batch.collected else "", "" if batch.cost is None else _usd(shown["cost"])]
            rows.append(row)
        print_table(head, rows, settings, numeric=[False, False, False, True, True, True, False, False, True, True])
    for batch in found.batches:
        if batch.said:
            click.echo(f"batch {batch.shown_id}: {batch.said}")
    for name in found.dropped:
        click.echo(f"batch {name} is dropped: nothing is known of it here any more")
    for note in found.notes:
        click.echo(note)
    if action == "collect":
        _show_collected(found)


def _show_collected(found: Looked) -> None:
    done = [batch for batch in found.batches if batch.collected is not None]
    if not done:
        return
    cost = [batch.cost for batch in done if batch.cost is not None]
    said = f", {_usd(sum(cost) / 1e6)} USD" if cost else ""
    before = f" ({found.already:,} of them before)" if found.already else ""
    click.echo(f"\n{counted(sum(batch.kept for batch in done), 'answer')} kept{before}{said}")
    failures: dict[str, int] = {}
    for batch in done:
        for kind, number in batch.failures.items():
            failures[kind] = failures.get(kind, 0) + number
    if failures:
        listed = ", ".join(f"{number:,} {kind}" for kind, number in sorted(failures.items()))
        click.echo(f"{counted(sum(failures.values()), 'request')} without an answer: {listed}")
        if found.first:
            click.echo(f"  the first: {found.first}")
        click.echo("  submit again, or build: only they are asked")


def _status(batch: Batch, status: str) -> str:
    return f"{status}, collected" if batch.collected is not None else status


def _time(text: str | None) -> str:
    return "" if text is None else text[:16].replace("T", " ") + "Z"


def _usd(amount: float) -> str:
    return f"{amount:.6f}"


def _exit_code(action: str, found: Looked, settings: Settings) -> int:
    """1 where something failed at the provider that nobody has seen before; what was cancelled is no failure."""
    code = _show_errors(found.errors, settings)
    late = any(batch.collected is None and batch.status in ("failed", "expired") for batch in found.batches)
    lacking = action == "collect" and any(batch.failures and batch.status != "cancelled" for batch in found.batches)
    return code or int(late or lacking)


def _show_errors(errors: Sequence[TeachkitError], settings: Settings) -> int:
    from teachkit.cli.problems import show_error

    for error in errors:
        show_error(error, settings)
    return errors[0].exit_code if errors else 0
