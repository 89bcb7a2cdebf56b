"""The site of a project with ten thousand items and five hundred labeling functions: seconds, and the largest page.

    python benchmarks/site.py

Builds a project of made-up texts with ``benchmarks/million.py``, with gold on one item in five, then runs
``teachkit docs generate`` on it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

from million import make_data, make_project, timed


def main() -> None:
    """Build the project, make its site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--functions", type=int, default=500)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="folder for the project, to look at it afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make_project(folder, make_data(folder, options.rows, options.functions))
        table = pq.read_table(folder / "texts.parquet")
        truth = ["" if i % 5 else ("ham", "spam")[i // 5 % 2] for i in range(table.num_rows)]
        pq.write_table(table.append_column("truth", [truth]), folder / "texts.parquet")
        (folder / "transforms/items.sql").write_text("select id, text, truth from {{ source('raw', 'texts') }}\n")
        task = (folder / "tasks/spam.yml").read_text().rstrip("}\n")
        gold = "gold: {column: truth}, splits: {hash: {tune: 40%, test: 40%}}, show: [text]}\n"
        (folder / "tasks/spam.yml").write_text(f"{task}, {gold}")
        teachkit = [sys.executable, "-m", "teachkit", "--project-dir", str(folder)]
        seconds, peak, _ = timed([*teachkit, "build", "-q"])
        print(f"build          {seconds:6.1f} s   {peak:6.0f} MB at its peak")
        seconds, peak, _ = timed([*teachkit, "docs", "generate", "--items", str(options.items)])
        print(f"docs generate  {seconds:6.1f} s   {peak:6.0f} MB at its peak")
        files = [path for path in (folder / "target/docs").rglob("*") if path.is_file()]
        largest = max(files, key=lambda path: path.stat().st_size)
        total = sum(path.stat().st_size for path in files)
        size = largest.stat().st_size / 1e6
        print(f"{len(files):,} files, {total / 1e6:.1f} MB; the largest: {largest.name}, {size:.2f} MB")


if __name__ == "__main__":
    main()
