"""Errors on the screen: the sentence, the line of the file with a caret, what to write instead."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from teachkit.errors import ProjectErrors, TeachkitError

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.cli.settings import Settings
    from teachkit.errors import Where

_QUOTED = frozenset({".sql", ".yml", ".yaml", ".py", ".md", ".txt"})  # files of rules; data stays out of logs
_WIDTH = 100


def show_error(error: TeachkitError, settings: Settings) -> None:
    """Write an error to stderr; of several, each."""
    errors = error.errors if isinstance(error, ProjectErrors) else [error]
    if settings.log_format == "json":
        for one in errors:
            click.echo(json.dumps({"level": "error", **one.as_dict()}, ensure_ascii=False), err=True)
        return
    color = colors(settings, sys.stderr)
    for one in errors:
        click.echo(error_text(one, project_root(settings), color=color), err=True, color=color)
    if len(errors) > 1:
        click.echo(f"{len(errors)} errors", err=True)


def error_text(error: TeachkitError, root: Path | None, *, color: bool = False) -> str:
    """An error as lines of text."""

    def style(text: str, **how: object) -> str:
        return click.style(text, **how) if color else text  # type: ignore[arg-type]

    place = f"{error.where}: " if error.where else ""
    lines = [f"{style('error', fg='red', bold=True)}: {style(place, bold=True)}{error.message}  [{error.slug}]"]
    if error.where is not None and root is not None:
        lines += excerpt(error.where, root)
    if error.advice:
        lines.append("  " + error.advice.replace("\n", "\n  "))
    return "\n".join(lines)


def excerpt(where: Where, root: Path) -> list[str]:
    """The line of the file and a caret below it; nothing where there is none to show."""
    path = root / where.path
    if where.line is None or path.suffix.lower() not in _QUOTED:
        return []
    try:
        line = path.read_text(encoding="utf-8").splitlines()[where.line - 1]
    except (OSError, UnicodeDecodeError, IndexError):
        return []
    column = where.column - 1 if where.column else len(line) - len(line.lstrip())
    end = where.end_column - 1 if where.end_column else column + 1
    start = max(0, column - _WIDTH + 20) if len(line) > _WIDTH else 0
    shown = line[start : start + _WIDTH].replace("\t", " ")
    number = str(where.line)
    found = [f"  {number} | {shown}"]
    if where.column and column <= len(line):
        from rich.cells import cell_len

        before = cell_len(line[start:column].replace("\t", " "))
        under = max(1, cell_len(line[column : min(end, start + _WIDTH)]))
        found.append(f"  {' ' * len(number)} | {' ' * before}{'^' * under}")
    return found


def project_root(settings: Settings) -> Path | None:
    """The project's folder, None outside of one."""
    from teachkit.project import find_root

    try:
        return find_root(settings.project_dir)
    except TeachkitError:
        return None


def colors(settings: Settings, stream: object) -> bool:
    """Whether to use colours on a stream."""
    import os

    is_terminal = getattr(stream, "isatty", lambda: False)()
    return is_terminal and not settings.no_color and not os.environ.get("NO_COLOR")
