"""Rules over words: the expression that is run beside the plain one, a regular expression for each word.

    python benchmarks/rules.py

Prints nanoseconds for a row with one thread, for lists of words that mostly do not match, and the ratio.
"""

from __future__ import annotations

import itertools
import time

import duckdb
import pyarrow as pa

from teachkit.voters.rules import Rule, compile_rule, plain_rule

ROWS = 200_000
PLAIN_ROWS = 5_000
COUNTS = (1, 2, 3, 5, 50, 500, 5000)


def words(count: int) -> tuple[str, ...]:
    """Made-up words of five letters, all different."""
    return tuple("".join(letters) for letters in itertools.islice(itertools.product("qxzjkv", repeat=5), count))


def nanoseconds(connection: duckdb.DuckDBPyConnection, sql: str, rows: int) -> float:
    """The least time for a row, of three runs, without what counting alone takes."""

    def run(condition: str) -> float:
        begun = time.perf_counter()
        connection.execute(f"select count(*) from (select * from texts limit {rows}) where {condition}").fetchall()
        return time.perf_counter() - begun

    return (min(run(sql) for _ in range(3)) - min(run("length(text) > 0") for _ in range(3))) / rows * 1e9


def main() -> None:
    """Measure both forms for lists of all lengths."""
    connection = duckdb.connect(config={"threads": "1"})
    text = "some words of a comment, number {} of many, and more of them to look through for a while"
    connection.register("arrow", pa.table({"text": [text.format(i) for i in range(ROWS)]}))
    connection.execute("create table texts as from arrow")
    for count in COUNTS:
        rule = Rule(words=words(count))
        fast = nanoseconds(connection, compile_rule(rule), ROWS)
        some = nanoseconds(connection, plain_rule(Rule(words=rule.words[:50])), PLAIN_ROWS)
        plain = some * max(1.0, count / 50)
        by = "" if count <= 50 else " (of 50 words, times their number)"
        print(f"{count:>5} words  {fast:8.0f} ns a row   plain {plain:10.0f} ns{by}   ratio {plain / fast:8.1f}")


if __name__ == "__main__":
    main()
