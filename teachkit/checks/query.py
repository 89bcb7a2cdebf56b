"""Tests that select the rows at fault: singular tests, and generic tests written as macros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.checks.base import SHOWN_ROWS, Finding
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.checks.base import Surroundings


class SqlCheck:
    """Every row that the test's SELECT gives is a failure."""

    def look(self, around: Surroundings) -> Finding:
        """Run the SELECT."""
        sql = around.spec.sql or ""
        limit = around.spec.limit or SHOWN_ROWS
        return failing_rows(around, f"select * from (\n{sql}\n)", limit)


def failing_rows(
    around: Surroundings, sql: str, limit: int, one: str = "row at fault", many: str = "rows at fault"
) -> Finding:
    """Count the rows of a query and keep some of them; ``one`` and ``many`` say what they are, after their number."""
    count = int(around.query(f"select count(*) from ({sql})")[0][0])
    rows = around.table(f"select * from ({sql}) limit {limit}") if count else None
    return Finding(count, counted(count, one, many) if count else "", count, rows)
