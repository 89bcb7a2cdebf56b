"""Files for trainers: Parquet, CSV, JSONL."""

from __future__ import annotations

import csv
import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-][0-9]+(\.[0-9]+)?")  # a label or key that is no more than this runs nothing


def write_parquet(table: pa.Table, path: Path) -> None:
    """One Parquet file, zstd."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd")


def write_csv(table: pa.Table, path: Path) -> None:
    """RFC 4180 in UTF-8; NULL is an empty field, structs and lists are JSON.

    A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP's advice on CSV injection); a
    number is none.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow([_safe(name) for name in table.column_names])
        for batch in table.to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            writer.writerows([_field(value) for value in row] for row in zip(*columns, strict=True))


def write_jsonl(table: pa.Table, path: Path) -> None:
    """One JSON object a line, in UTF-8; times in ISO 8601, bytes in hex, what is no number in JSON as null.

    Whole numbers of any size are numbers; decimals are texts, which keep their digits.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in table.to_batches():
            for row in batch.to_pylist():
                file.write(_json(row) + "\n")


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return _json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    return _safe(value) if isinstance(value, str) else value


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, default=_other, allow_nan=False)


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {k: _finite(v) for k, v in value.items()}
        case list():
            return [_finite(v) for v in value]
    return value


def _other(value: Any) -> str | int:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)  # DuckDB's HUGEINT: a sum, or keys of which one is negative
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
