"""``teachkit lock``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, percent, print_json, print_table
from teachkit.errors import BadOption, counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.cli.settings import Settings
    from teachkit.store import Lock

_FILE = click.Path(path_type=Path, dir_okay=False)


@as_command
@click.option("--resolve", is_flag=True, help="Resolve a merge conflict, and write the file.")
@click.option(
    "--merge-driver",
    "driver",
    nargs=3,
    type=_FILE,
    metavar="BASE OURS THEIRS",
    help="Merge three files into OURS, as git asks for it: '%O %A %B'.",
)
@format_option
def command(settings: Settings, *, resolve: bool, driver: tuple[Path, Path, Path] | None, form: str) -> int:
    """Check that teachkit.lock can be read, and show its label sets.

    Of a merge, what one side changed is taken from it. A label set that both sides changed to different things is left
    out: 'teachkit build' makes it. Nothing is added to git.
    """
    if driver:
        return _drive(driver, resolve=resolve)
    project = settings.project()
    if not resolve:
        return _show(project.lock(), {}, form, settings, resolved=None)
    found = project.resolve_lock()
    left_out = found.merged.left_out if found.merged else {}
    return _show(found.lock, left_out, form, settings, resolved=found.merged is not None)


def _drive(driver: tuple[Path, Path, Path], *, resolve: bool) -> int:
    from teachkit.build.revisions.lock_conflicts import merge_files

    if resolve:
        raise BadOption(
            None, option="--merge-driver", problem="it goes without --resolve", advice="write one of the two"
        )
    _say_left_out(merge_files(*driver).left_out)
    return 0


def _show(
    lock: Lock | None, left_out: Mapping[str, str], form: str, settings: Settings, *, resolved: bool | None
) -> int:
    if form == "json":
        label_sets = [_as_dict(lock, name) for name in sorted(lock.label_sets)] if lock else []
        print_json({"label_sets": label_sets, "left_out": left_out, "resolved": resolved})
        return 0
    if lock is None:
        click.echo("there is no teachkit.lock: 'teachkit build' writes it")
    elif lock.label_sets:
        head = ["label set", "digest", "rows", "labeled", "accuracy"]
        rows = [_row(_as_dict(lock, name)) for name in sorted(lock.label_sets)]
        print_table(head, rows, settings, numeric=[False, False, True, True, True])
    else:
        click.echo("teachkit.lock holds no label set")
    _say_left_out(left_out)
    if resolved and left_out:
        built = "it is built" if len(left_out) == 1 else "they are built"
        click.echo(f"{counted(len(left_out), 'label set')} left out: 'build --locked' fails until {built}")
    if resolved:
        click.echo("resolved: run 'git add teachkit.lock'")
    elif resolved is not None:
        click.echo("there is no conflict to resolve")
    return 0


def _say_left_out(left_out: Mapping[str, str]) -> None:
    for name, why in left_out.items():
        click.echo(f"label set {name} {why}: run 'teachkit build' and commit", err=True)


def _as_dict(lock: Lock, name: str) -> dict[str, Any]:
    import dataclasses

    return {"name": name, **dataclasses.asdict(lock.label_sets[name])}


def _row(entry: Mapping[str, Any]) -> list[str]:
    """Accuracy is that of the test split."""
    accuracy = entry["quality"].get("test", {}).get("accuracy")
    return [entry["name"], entry["digest"][:12], f"{entry['rows']:,}", f"{entry['labeled']:,}", percent(accuracy)]
