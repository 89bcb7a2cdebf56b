"""Results on the screen: tables for people, JSON for programs."""

from __future__ import annotations

import json
import math
import os
import sys
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from teachkit.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from rich.console import Console

    from teachkit.cli.settings import Settings

_CELL = 100  # characters of a cell that a table for people shows
_FOLDS = 48  # a column of longer cells is folded where the window is too narrow; others never are

format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the result."
)


@contextmanager
def readers_may_leave() -> Iterator[None]:
    """Go on when whoever read our output has left (``| head``); what is still written goes nowhere."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def print_json(value: Any) -> None:
    """Write a value as one JSON document."""
    click.echo(json.dumps(plain(value), ensure_ascii=False, indent=1))


def plain(value: Any) -> Any:
    """A value as JSON has it: times as text, no NaN."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(k): plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
        case bytes():
            return value.hex()
        case Decimal() if value.as_tuple().exponent == 0:
            return int(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def print_arrow(table: pa.Table, form: str, settings: Settings) -> None:
    """Write rows: ``{"columns": [...], "rows": [{...}]}``, or a table."""
    if form == "json":
        print_json({"columns": table.column_names, "rows": table.to_pylist()})
        return
    numeric = [_is_number(field.type) for field in table.schema]
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    print_table(table.column_names, [[cell(v) for v in row] for row in rows], settings, numeric=numeric)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def cell(value: Any, longest: int = _CELL) -> str:
    """A value as a cell of a table: one line, cut where it is long."""
    match value:
        case None:
            return ""
        case float():
            return f"{value:.4g}"
        case {"start": int(), "end": int(), "label": str(label)}:
            sure = f" {value['probability']:.4f}" if "probability" in value else ""
            text = f"{value['start']}-{value['end']} {label}{sure}"
        case dict():
            text = ", ".join(f"{k}: {cell(v)}" for k, v in value.items())
        case []:
            return "[]"
        case list():
            text = ", ".join(cell(v) for v in value)
        case _:
            text = str(value)
    text = printable(" ".join(text.split()))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], settings: Settings, *, numeric: Sequence[bool] = ()
) -> None:
    """Write a table for people: on a terminal long text is folded to fit the window, elsewhere nothing is cut."""
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    longest = [max([len(name), *(len(row[index]) for row in rows)]) for index, name in enumerate(columns)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        right = index < len(numeric) and numeric[index]
        folds = on_terminal and longest[index] > _FOLDS
        table.add_column(Text(name), justify="right" if right else "left", no_wrap=not folds, overflow="fold")
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    made = console(settings)
    if on_terminal:
        least = sum(min(width, _FOLDS) + 2 for width in longest)
        made.width = max(made.width, least)
        made.print(table)
        return
    with made.capture() as lines:
        made.print(table)
    click.echo("\n".join(line.rstrip() for line in lines.get().splitlines()))


def console(settings: Settings, *, stderr: bool = False) -> Console:
    """Where rich writes; without a terminal lines are as long as they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 10_000
    return Console(
        file=stream, width=width, no_color=settings.no_color or None, highlight=False, markup=False, soft_wrap=False
    )


def width_of(text: str) -> int:
    """How many columns of the screen a text takes: some characters take two, or none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int) -> str:
    """A text with blanks up to a width on the screen."""
    return text + " " * (width - width_of(text))


def percent(share: float | None) -> str:
    """A share for people."""
    return "" if share is None else f"{share:.1%}"


def interval(low: float | None, high: float | None) -> str:
    """An interval of shares for people, in percent."""
    return "" if low is None or high is None else f"{low * 100:.0f}–{high * 100:.0f}"


def test_look(task: str, number: int) -> str:
    """What to say below figures that were measured on the test split."""
    return f"\nlook no. {number:,} at the test split of task '{task}'"


def seconds(value: float) -> str:
    """A time for people."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
