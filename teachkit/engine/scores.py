"""The scores of what a label set compares, read from the parameters of its label model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from teachkit.engine.session import parquet
from teachkit.graph.label_sets import SCORES
from teachkit.graph.sql import literal, quote

if TYPE_CHECKING:
    from pathlib import Path


def scores_sql(parameters: Path) -> str:
    """A SELECT of the scores in the object of a label model's parameters; no rows if it gives none."""
    shape = literal(json.dumps([SCORES]))
    rows = f"from_json(json_extract(parameters, '$[0].scores'), {shape})"
    columns = ", ".join(f"one.{quote(name)}" for name in SCORES)
    return f"select {columns} from (select unnest({rows}) as one from {parquet([parameters])})"
