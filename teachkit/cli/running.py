"""What ``build``, ``run`` and ``test`` have in common: options, progress, summary, exit code."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.output import format_option, print_json, print_table, readers_may_leave, seconds
from teachkit.errors import BadOption, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.build import Plan, Run
    from teachkit.build.run import NodeResult
    from teachkit.cli.settings import Settings

_ORDER = ("built", "reused", "passed", "warned", "failed", "error", "skipped")
_SHOWN_ERRORS = 50

state_option = click.option(
    "--state",
    metavar="REF_OR_PATH",
    envvar="TEACHKIT_STATE",
    show_envvar=True,
    help="What 'state:' compares with: a git revision, or saved artefacts. Default: what is published.",
)
_SELECTION: tuple[Callable[[Any], Any], ...] = (
    click.option("--select", "-s", multiple=True, help="Nodes to choose: see the selection grammar."),
    click.option("--exclude", multiple=True, help="Nodes to leave out."),
    state_option,
)
_COMMON = (
    *_SELECTION,
    click.option("--fail-fast", "-x", is_flag=True, help="Stop at the first failure."),
    format_option,
)
_BUILDS = (
    click.option("--full-refresh", "-f", is_flag=True, help="Run everything anew, as if the store were empty."),
    click.option("--dry-run", is_flag=True, help="Show what would run; run nothing."),
    click.option("--sample", type=click.IntRange(min=1), help="Use the first N rows of each source; publish nothing."),
    click.option("--empty", is_flag=True, help="Use no rows at all: does everything run? Publishes nothing."),
)
_LLM = (click.option("--llm", type=click.Choice(["live", "record", "replay"]), help="How prompts are answered."),)
_TESTS = (click.option("--store-failures", is_flag=True, help="Keep the rows that fail a test: 'teachkit show TEST'."),)
_LOCKED = (click.option("--locked", is_flag=True, help="Fail if the labels differ from teachkit.lock."),)


def _apply(options: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    return lambda function: functools.reduce(lambda f, option: option(f), reversed(options), function)


selection_options = _apply(_SELECTION)
run_options = _apply((*_COMMON, *_BUILDS, *_LLM))
test_options = _apply((*_COMMON, *_TESTS))
build_options = _apply((*_COMMON, *_BUILDS, *_LOCKED, *_LLM, *_TESTS))


def run_nodes(
    name: str,
    settings: Settings,
    *,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    form: str,
    dry_run: bool = False,
    sample: int | None = None,
    empty: bool = False,
    **options: Any,
) -> int:
    """Run nodes, tests or both; the exit code."""
    if empty and sample is not None:
        raise BadOption(None, option="--empty", problem="--sample is given too", advice="give one of the two")
    if options.get("locked") and (empty or sample is not None):
        problem = "labels of a sample are not those of teachkit.lock"
        raise BadOption(None, option="--locked", problem=problem, advice="leave out --sample and --empty")
    project = settings.project()
    options["sample"] = 0 if empty else sample
    if dry_run:
        _show_plan(project.plan(select, exclude, command=name, **options), form, settings)
        return 0
    from teachkit.cli.progress import progress

    with progress(settings, stderr=form == "json") as report:
        run: Run = getattr(project, name)(select, exclude, report=report, **options)
    return show_run(run, form, settings)


def show_run(run: Run, form: str, settings: Settings) -> int:
    """Say what came of a run; the exit code."""
    with readers_may_leave():
        if form == "json":
            print_json(run.as_dict())
        _show_summary(run, settings, stderr=form == "json" or settings.log_format == "json")
    return 0 if run.passed else run.error.exit_code if run.error is not None else 1


def _show_plan(plan: Plan, form: str, settings: Settings) -> None:
    if form == "json":
        print_json(plan.as_dict())
        return
    print_table(["", "node", "why"], [[s.action, s.id, s.reason] for s in plan.steps], settings)
    counts = {a: sum(s.action == a for s in plan.steps) for a in ("run", "maybe", "reuse")}
    click.echo(
        f"\n{counts['run']} to run, {counts['maybe']} perhaps (early cutoff decides), {counts['reuse']} to reuse"
    )


def _show_summary(run: Run, settings: Settings, *, stderr: bool) -> None:
    from teachkit.cli.problems import show_error

    bad = [r for r in run.results if r.status in ("error", "failed", "warned")]
    if settings.log_format != "json":
        _show_problems(bad, settings, stderr=stderr)
    if run.error is not None:
        show_error(run.error, settings)
    if settings.log_format == "json":
        return
    if not run.results and run.error is None and not run.args.get("retry_of"):
        click.echo("nothing to do: the selection holds no node", err=stderr)
        return
    counts = run.counts
    said = ", ".join(f"{counts[status]} {status}" for status in _ORDER if status in counts)
    click.echo(f"\n{counted(len(run.results), 'node')} in {seconds(run.seconds)}: {said}", err=stderr)
    if run.command != "test":
        click.echo(_published(run), err=stderr)


def _published(run: Run) -> str:
    if run.published:
        lock = "; teachkit.lock changed: commit it" if run.lock_changed else ""
        return f"published to target '{run.target}'{lock}"
    if run.passed:
        return f"not published: a sample. Target '{run.target}' stays as it was"
    return f"not published: target '{run.target}' and teachkit.lock stay as they were"


def _show_problems(bad: list[NodeResult], settings: Settings, *, stderr: bool) -> None:
    from teachkit.cli.problems import error_text, project_root

    root = project_root(settings)
    for result in bad[:_SHOWN_ERRORS]:
        click.echo("", err=stderr)
        if result.error is not None:
            errors = getattr(result.error, "errors", [result.error])
            text = "\n".join(error_text(e, root) for e in errors)
            text = text if result.id in text else f"{result.id}\n{text}"
        else:
            place = f" ({result.where})" if result.where else ""
            text = f"{result.status} {result.id}{place}\n  {result.message}"
        click.echo(text, err=stderr)
    if len(bad) > _SHOWN_ERRORS:
        click.echo(f"\nand {len(bad) - _SHOWN_ERRORS} more: target/run_results.json has all", err=stderr)
