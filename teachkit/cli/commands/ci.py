"""``teachkit ci``."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from teachkit.build.run import Event, Reporter
    from teachkit.ci import Ci, Finding, Step
    from teachkit.cli.settings import Settings

_COLORS = {"passed": "green", "warned": "yellow", "failed": "red", "error": "red", "skipped": "yellow"}
_SHOWN = 50


@as_command
@click.option(
    "--base",
    metavar="REF",
    help="Git revision to compare with; default: where HEAD left the target branch, on the main branch HEAD^1.",
)
@click.option(
    "--locked/--no-locked",
    default=None,
    help="Fail if the labels differ from teachkit.lock. [default: if there is one]",
)
@format_option
def command(settings: Settings, base: str | None, locked: bool | None, form: str) -> int:
    """Do what CI does: parse, build and test, compare the labels with the base.

    Writes target/ci/ and target/junit.xml. In GitHub Actions it annotates the change, and fills the job's summary and
    the step's outputs; in GitLab CI it writes a Code Quality report. A step that fails does not hide what the others
    find; the exit code is that of the worst.
    """
    from teachkit.ci import github
    from teachkit.cli.progress import progress

    stderr = form == "json" or settings.log_format == "json"
    with progress(replace(settings, quiet=True), stderr=True) as report:  # lines of nodes only in JSON
        done = settings.project().ci(base, locked=locked, report=_telling(report, settings, stderr=stderr))
    if form == "json":
        print_json(done.as_dict())
    if github.is_here(os.environ):
        for line in github.workflow_commands(done):
            click.echo(line, err=stderr)
    if settings.log_format != "json":
        click.echo(_last_words(done), err=stderr)
    return done.exit_code


def _telling(report: Reporter, settings: Settings, *, stderr: bool) -> Callable[[Event | Step], None]:
    """Each step's result with what is wrong; of what a build says, for people, notes alone."""
    from teachkit.build.run import Note
    from teachkit.ci import Step
    from teachkit.cli.problems import project_root

    root = project_root(settings)

    def tell(event: Event | Step) -> None:
        if not isinstance(event, Step):
            report(event)
            if isinstance(event, Note) and settings.log_format != "json":
                click.echo(f"       {event.text}", err=True)
        elif settings.log_format == "json":
            _tell_in_json(event, settings)
        else:
            for line in _lines(event, root, settings, stderr=stderr):
                click.echo(line, err=stderr)

    return tell


def _lines(step: Step, root: Path | None, settings: Settings, *, stderr: bool) -> Iterator[str]:
    import sys

    from teachkit.cli.problems import colors

    color = colors(settings, sys.stderr if stderr else sys.stdout)
    status = f"{step.status:<7}"
    status = click.style(status, fg=_COLORS[step.status]) if color else status
    yield f"{step.name:<5}  {status}  {seconds(step.seconds):>7}  {step.message}"
    found = [f for f in step.findings if f.level != "notice"]
    for finding in found[:_SHOWN]:
        yield "\n" + _problem(finding, root, color=color)
    if len(found) > _SHOWN:
        yield f"\nand {len(found) - _SHOWN:,} more: target/ci/ci.json has all"
    if found:
        yield ""


def _problem(finding: Finding, root: Path | None, *, color: bool) -> str:
    from teachkit.cli.problems import error_text

    if finding.error is None:
        place = f"{finding.where}: " if finding.where else ""
        return f"{finding.level}: {place}{finding.message}"
    text = error_text(finding.error, root, color=color)
    return text if finding.check in text else f"{finding.check}\n{text}"


def _tell_in_json(step: Step, settings: Settings) -> None:
    import json

    from teachkit.cli.problems import show_error

    for finding in step.findings:
        if finding.error is not None:
            show_error(finding.error, settings)
    value = {"level": "info", "event": "step", "name": step.name, "status": step.status, "message": step.message}
    click.echo(json.dumps(value, ensure_ascii=False), err=True)


def _last_words(done: Ci) -> str:
    written = ", ".join(path.as_posix() for path in done.files.values())
    return f"wrote {written}\n{'passed' if done.passed else f'failed: exit code {done.exit_code}'}"
