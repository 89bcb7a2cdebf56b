"""``teachkit retry``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json
from teachkit.cli.running import show_run

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings


@as_command
@click.option("--fail-fast/--no-fail-fast", "-x/ ", default=None, help="Stop at the first failure, or go on.")
@click.option("--full-refresh/--no-full-refresh", "-f/ ", default=None, help="Run them anew, or take what is there.")
@click.option("--locked/--no-locked", default=None, help="Fail if the labels differ from teachkit.lock, or write it.")
@click.option("--llm", type=click.Choice(["live", "record", "replay"]), help="How prompts are answered.")
@click.option("--store-failures/--no-store-failures", default=None, help="Keep the rows that fail a test, or do not.")
@format_option
def command(settings: Settings, form: str, **options: Any) -> int:
    """Run again what failed or was skipped in the last build, run or test, then publish as that would have.

    Command, selection and options are those of that run, as target/run_results.json has them; options that are given
    here count above them.
    """
    from teachkit.cli.progress import progress

    project = settings.project()
    with progress(settings, stderr=form == "json") as report:
        run = project.retry(report=report, **{name: value for name, value in options.items() if value is not None})
    if run.run_id is not None:
        return show_run(run, form, settings)
    if form == "json":
        print_json(run.as_dict())
    click.echo(f"nothing to retry: run {run.args['retry_of']} finished all that it was asked for", err=form == "json")
    return 0
