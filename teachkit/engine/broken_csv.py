"""What is wrong with a CSV file that DuckDB cannot make out, or takes for one column: the line that does not fit."""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING

from teachkit.graph.sql import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import duckdb

    from teachkit.graph.node import SourceSpec

UNKNOWN_FORM = "Error when sniffing file"
"""What DuckDB says of a file that it cannot make out."""
_DELIMITERS = (",", ";", "|", "\t")
_LOOKED_AT = 1000  # lines
_ELSEWHERE = frozenset({"skip", "header", "names", "encoding", "columns", "column_names"})
"""Options with which a file does not begin with its header, in UTF-8."""


def misfit(
    connection: duckdb.DuckDBPyConnection, spec: SourceSpec, files: Sequence[Path], columns: Iterable[str] | None = None
) -> duckdb.Error | None:
    """What DuckDB says of the first line that has another number of columns than its file's header, if one has.

    ``columns``: those that it found. Only files are looked at whose whole header became one of them.
    """
    import duckdb

    options = spec.table.options
    if _ELSEWHERE & options.keys():
        return None
    said = next((str(options[name]) for name in ("delim", "sep", "delimiter") if name in options), "")
    quote = str(options.get("quote", '"'))
    whole = None if columns is None else {_bare(name) for name in columns if any(d in name for d in _DELIMITERS)}
    for file in _plain(files) if whole is None or whole else ():
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            header = lines.readline().rstrip("\n")
        delimiter = said or max(_DELIMITERS, key=header.count)
        if whole is not None and _bare(header) not in whole:
            continue
        if delimiter not in header or len(delimiter) != 1 or len(quote) != 1:
            continue
        names = next(csv.reader([header], delimiter=delimiter, quotechar=quote))
        if whole is not None and not _is_parted(file, delimiter, quote, len(names)):
            continue
        made = ", ".join(f"c{index}: 'varchar'" for index in range(len(names)))
        form = f"delim = {literal(delimiter)}, quote = {literal(quote)}, escape = {literal(quote)}"
        relation = f"read_csv({literal(str(file))}, auto_detect = false, header = true, columns = {{{made}}}, {form})"
        try:
            connection.execute(f"select count(columns(*)) from {relation}").fetchall()
        except duckdb.Error as error:
            if "Expected Number of Columns" in str(error):
                return error
    return None


def _is_parted(file: Path, delimiter: str, quote: str, width: int) -> bool:
    """Whether half of the first lines have as many fields as the header; else it is a column that holds delimiters."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        first = list(islice(lines, 1, _LOOKED_AT))
    try:
        widths = [len(row) for row in csv.reader(first, delimiter=delimiter, quotechar=quote) if row]
    except csv.Error:
        return True
    fit = sum(found == width for found in widths)
    return fit > 0 and 2 * fit >= len(widths)


def mixed_ends(files: Sequence[Path]) -> tuple[Path, int] | None:
    """The first file whose lines do not all end alike, and the first line that ends otherwise than those before."""
    for file in _plain(files):
        first = None
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                end = line[-2:] if line.endswith(b"\r\n") else line[-1:]
                first = first or end
                if end != first and end.endswith(b"\n"):
                    return file, number
    return None


def _bare(name: str) -> str:
    return name.strip().strip("\"'")


def _plain(files: Sequence[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() not in (".gz", ".zst")]
