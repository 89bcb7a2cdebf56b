"""What a build says while it works: a line for each node, and on a terminal what runs now."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from teachkit.build.run import BAD, NodeFinished, NodeProgress, NodeStarted, Note
from teachkit.cli.output import console, padded, readers_may_leave, seconds
from teachkit.cli.problems import colors
from teachkit.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status

    from teachkit.build.run import Event, NodeResult, Reporter
    from teachkit.cli.settings import Settings

_COLORS = {
    "built": "green",
    "passed": "green",
    "warned": "yellow",
    "failed": "red",
    "error": "red",
    "skipped": "yellow",
}
_ID_WIDTH = 52
_PROGRESS_EVERY = 30.0  # seconds between two lines of progress where there is no terminal


@contextmanager
def progress(settings: Settings, *, stderr: bool) -> Iterator[Reporter]:
    """A reporter for a build. Lines go to stdout, or to stderr where stdout is for a result in JSON."""
    if settings.log_format == "json":
        yield _json_line
        return
    stream = sys.stderr if stderr else sys.stdout
    color = colors(settings, stream)
    if settings.quiet:
        yield lambda event: None
        return
    if not stream.isatty():
        now_and_then = _Sparse()
        yield lambda event: _line(event, None, stderr=stderr, color=color) if now_and_then.wants(event) else None
        return
    with console(settings, stderr=stderr).status("reading the project") as status:
        yield lambda event: _line(event, status, stderr=stderr, color=color)


def _line(event: Event, status: Status | None, *, stderr: bool, color: bool) -> None:
    match event:
        case NodeStarted():
            if status is not None:
                status.update(f"{event.index} of {event.total}  {event.id}")
        case NodeFinished():
            _say(node_line(event.result, event.index, event.total, color=color), status, stderr=stderr, color=color)
        case NodeProgress():
            if status is not None:
                status.update(_how_far(event))
            else:
                _say(f"      {_how_far(event)}", None, stderr=stderr, color=color)
        case Note():
            _say(f"      {event.text}", status, stderr=stderr, color=color)


class _Sparse:
    """Lets progress within a node through every half minute, and everything else at once."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def wants(self, event: Event) -> bool:
        if not isinstance(event, NodeProgress):
            return True
        due = time.monotonic() - self._last >= _PROGRESS_EVERY
        self._last = time.monotonic() if due else self._last
        return due


def _how_far(event: NodeProgress) -> str:
    cost = f", {event.cost:.4f} USD" if event.cost else ""
    return f"{event.id}  {event.done:,} of {event.total:,} answered{cost}"


def _say(text: str, status: Status | None, *, stderr: bool, color: bool) -> None:
    if status is None:
        with readers_may_leave():
            click.echo(text, err=stderr, color=color)
        return
    from rich.text import Text

    status.console.print(Text.from_ansi(text))


def node_line(result: NodeResult, index: int, total: int, *, color: bool) -> str:
    """``12/62 built   lf.spam.short_link   1,956 rows   12 ms``, for a test with what it found."""
    width = len(str(total))
    status = f"{result.status:<7}"
    if color and result.status in _COLORS:
        status = click.style(status, fg=_COLORS[result.status])
    rows = counted(result.rows, "row") if result.rows is not None else ""
    line = f"{index:>{width}}/{total} {status} {padded(result.id, _ID_WIDTH)} {rows:>14} {seconds(result.seconds):>8}"
    about = result.message.split("\n", 1)[0] if result.status not in ("built", "reused") and result.message else ""
    return f"{line}  {about}".rstrip() if result.status not in BAD else line.rstrip()


def _json_line(event: Event) -> None:
    value: dict[str, Any]
    match event:
        case NodeStarted():
            value = {"event": "started", "id": event.id, "index": event.index, "total": event.total}
        case NodeFinished():
            value = {"event": "finished", "index": event.index, "total": event.total, **event.result.as_dict()}
        case NodeProgress():
            value = {"event": "progress", "id": event.id, "done": event.done, "total": event.total, "cost": event.cost}
        case Note():
            value = {"event": "note", "text": event.text}
    with readers_may_leave():
        click.echo(json.dumps({"level": "info", **value}, ensure_ascii=False), err=True)
