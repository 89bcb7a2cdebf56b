"""``teachkit try`` and ``teachkit errors`` on 100,000 items with fifty labeling functions and the store warm.

    python benchmarks/loop.py

Prints the seconds of whole processes, from start to exit, the best and the median of ``--times`` runs, and peak memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from diff import add_gold
from million import make_data, make_project, timed


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rules = make_data(folder, options.rows, options.functions)
        make_project(folder, rules)
        add_gold(folder)
        program = [sys.executable, "-m", "teachkit", "--project-dir", str(folder), "-q"]
        timed([*program, "build"])
        words = ",".join(rules[0][2])
        for what in (
            ["try", "--any-of", words, "--label", "spam"],
            ["try", "--regex", f"(?i){rules[1][2][0]}.{{0,20}}{rules[1][2][1][:3]}", "--label", "spam"],
            ["try", "--sql", "length(text) < 60", "--label", "ham"],
            ["try", "--voter", rules[0][0]],
            ["errors", "spam"],
            ["errors", "spam", "--fault", "outvoted"],
        ):
            runs = [timed([*program, *what]) for _ in range(options.times)]
            best, median = min(r[0] for r in runs), statistics.median(r[0] for r in runs)
            print(
                f"{' '.join(what)[:60]:60} best {best:.2f} s, median {median:.2f} s, {max(r[1] for r in runs):.0f} MB"
            )


if __name__ == "__main__":
    main()
