"""What a transform gives is what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path


def test_whole_numbers_of_128_bits_keep_every_digit(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    big = "9007199254740993"  # the first whole number that a float cannot hold
    sql = f"select id, sum(cast({big} as bigint)) as total from {{{{ ref('reviews') }}}} group by id"
    sandbox.write({"transforms/sums.sql": sql})
    sandbox("build", "--select", "+sums")
    rows = sandbox("show", "sums", "--format", "json").json["rows"]
    assert {str(row["total"]) for row in rows} == {big}
