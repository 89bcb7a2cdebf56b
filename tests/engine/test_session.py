"""What DuckDB says while a node runs is said of the node's own place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

BELOW_OTHERS = """
    labeling_functions:
      - {name: number, label: good, sql: "text::int > 4"}
      - {name: first, label: good, any_of: [aa]}
      - {name: second, label: bad, any_of: [bb]}
    """
OF_LINES = """
    labeling_functions:
      - name: number
        label: good
        sql: |
          length(text) > 3
          and text::int > 4
    """
OF_A_FILE = "{{ config(label='bad') }}\nlength(text) > 3\nand text::int > 4\n"
SELECT = "select id, 'good' as label from {{ ref('reviews') }}\nwhere text::int > 4\n"


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("labeling_functions/mood/z.yml", BELOW_OTHERS, "z.yml:2:5: DuckDB"),
        ("labeling_functions/mood/z.yml", OF_LINES, "z.yml:2:5: DuckDB"),
        ("labeling_functions/mood/z.sql", OF_A_FILE, "z.sql:1: DuckDB"),
        ("labeling_functions/mood/z.sql", SELECT, "z.sql:1: DuckDB"),
        ("transforms/z.sql", "select id, text::int as n from {{ ref('reviews') }}", "z.sql:1: DuckDB"),
    ],
)
def test_what_fails_in_duckdb_is_said_at_the_node_and_not_in_a_line_of_the_statement_that_ran(
    tmp_path: Path, path: str, text: str, said: str
) -> None:
    sandbox = Sandbox(tmp_path, {**REVIEWS, path: text})
    name = "z" if path.endswith(".sql") else "number"
    found = sandbox("build", "--select", f"+{name}", code=1)
    assert f"error: {path.rpartition('/')[0]}/" in found.out
    assert said in found.out
    assert "Could not convert string" in found.out
