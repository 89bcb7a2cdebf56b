"""``teachkit docs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.errors import BadOption, GitError, NoGit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from teachkit.api import Project
    from teachkit.cli.settings import Settings
    from teachkit.diff import Diff

_PORT = 8087
_HOST = "127.0.0.1"


@as_command
@click.argument("action", type=click.Choice(["generate", "serve"]))
@click.option("--items", type=click.IntRange(0, 2000), default=200, show_default=True, help="Items with a page.")
@click.option("--base", metavar="REF", help="Revision that the page of changes compares with; default: as in 'diff'.")
@click.option("--no-changes", is_flag=True, help="Leave out the page of changes.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Port that 'serve' listens at; default: {_PORT}.")
@click.option("--host", help=f"Address that 'serve' listens at; default: {_HOST}, for this machine alone.")
@click.option("--no-browser", is_flag=True, help="'serve' opens no browser.")
def command(
    settings: Settings,
    action: str,
    items: int,
    base: str | None,
    port: int | None,
    host: str | None,
    *,
    no_changes: bool,
    no_browser: bool,
) -> int:
    """Make the project's site: what is labeled, by whom, how well, and why each label is what it is.

    generate: write it to target/docs/; it works from there as well, and on any server of files.
    serve: write it anew, then show it on this machine until Ctrl-C.
    """
    project = settings.project()

    def write() -> Path:
        return project.generate_docs(items=items, changes=None if no_changes else _changes(project, base))

    if action == "generate":
        for option, given in (("--port", port is not None), ("--host", host is not None), ("--no-browser", no_browser)):
            if given:
                problem, advice = "it is not for 'generate'", "give it to 'docs serve', or leave it out"
                raise BadOption(None, option=option, problem=problem, advice=advice)
        click.echo(f"wrote {_shown(project, write())}")
        return 0
    _serve(project, write, host or _HOST, _PORT if port is None else port, browser=not no_browser)
    return 0


def _changes(project: Project, base: str | None) -> Diff | None:
    """What the present files do to the labels; without a base to compare with there is no such page."""
    try:
        return project.diff(base, splits=("tune",))  # what is shown here again and again is no look at the test split
    except GitError as error:
        if base is not None:
            raise
        if not isinstance(error, NoGit):
            click.echo(f"no page of changes: {error.message}", err=True)
        return None


def _shown(project: Project, folder: Path) -> str:
    place = folder / "index.html"
    return (place.relative_to(project.root) if place.is_relative_to(project.root) else place).as_posix()


def _serve(project: Project, write: Callable[[], Path], host: str, port: int, *, browser: bool) -> None:
    """Listen first, so that a port that is taken is known before the work; then write, then serve."""
    with project.docs_server(host, port) as server:
        try:
            write()
            click.echo(f"the site of this project is at {server.url}\nstop it with Ctrl-C")
            if browser:
                import webbrowser

                webbrowser.open(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("stopped")
