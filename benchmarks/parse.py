"""``teachkit parse`` on 1,000 labeling function files beside ``dbt parse`` on 1,000 models, cold and warm.

dbt needs an interpreter of its own:

    python3 -m venv dbt
    dbt/bin/pip install 'dbt-core==1.11.*' dbt-duckdb
    python benchmarks/parse.py --dbt dbt/bin/dbt

Cold: nothing kept from before (no store, no target folder). Warm: right after a cold one, nothing changed. Runs of both
tools alternate; printed are medians of whole processes, and their ratios.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("text", "author", "title")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def teachkit_project(folder: Path, count: int) -> None:
    """One source, one transform, one task, ``count`` labeling functions, each a file with Jinja and SQL."""
    write(
        folder,
        {
            "teachkit.yml": "name: big\nvars: {shortest: 3}\n",
            "items.csv": "id,text,author,title\n1,a text,someone,a title\n",
            "sources/raw.yml": "sources:\n  - name: raw\n    tables:\n"
            "      - {name: items, path: items.csv, key: id}\n",
            "transforms/items.sql": "select id, text, author, title from {{ source('raw', 'items') }}\n",
            "tasks/spam.yml": "tasks:\n  - {name: spam, kind: choice, labels: [ham, spam], dataset: ref('items'), "
            "key: id}\n",
            "label_models/spam.yml": "label_models:\n  - {name: labels, task: spam, type: majority}\n",
        },
    )
    bodies = {
        f"labeling_functions/spam/rule_{i:04}.sql": f"{{{{ config(label='{('ham', 'spam')[i % 2]}', tags=['t{i % 7}']) "
        f"}}}}\n-- rule {i}\nlower({COLUMNS[i % 3]}) like '%word{i}%' and length({COLUMNS[(i + 1) % 3]}) > "
        "{{ var('shortest') }}\n"
        for i in range(count)
    }
    write(folder, bodies)


def dbt_project(folder: Path, count: int) -> None:
    """One seed's worth of source and ``count`` models of about the same text."""
    write(
        folder,
        {
            "dbt_project.yml": "name: big\nversion: 1.0.0\nprofile: big\nmodels: {big: {+materialized: view}}\n"
            "vars: {shortest: 3}\n",
            "profiles.yml": "big: {target: dev, outputs: {dev: {type: duckdb, path: big.duckdb}}}\n",
            "models/items.sql": "select 1 as id, 'a text' as text, 'someone' as author, 'a title' as title\n",
        },
    )
    bodies = {
        f"models/rules/rule_{i:04}.sql": f"{{{{ config(tags=['t{i % 7}']) }}}}\n-- rule {i}\nselect id from "
        f"{{{{ ref('items') }}}} where lower({COLUMNS[i % 3]}) like '%word{i}%' and length({COLUMNS[(i + 1) % 3]}) > "
        "{{ var('shortest') }}\n"
        for i in range(count)
    }
    write(folder, bodies)


def seconds(command: Sequence[str], folder: Path) -> float:
    """How long a command takes."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    taken = time.perf_counter() - begun
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return taken


def main() -> None:
    """Run both, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--dbt", help="the dbt command; without it teachkit runs alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        ours, theirs = Path(temporary) / "ours", Path(temporary) / "theirs"
        teachkit_project(ours, options.files)
        dbt_project(theirs, options.files)
        commands = {"teachkit": ([sys.executable, "-m", "teachkit", "parse"], ours, (".teachkit", "target"))}
        if options.dbt:
            parse = [options.dbt, "--quiet", "parse", "--profiles-dir", "."]
            commands["dbt"] = (parse, theirs, ("target", "logs"))
        taken: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.runs):
            for name, (command, folder, kept) in commands.items():
                for left in kept:
                    shutil.rmtree(folder / left, ignore_errors=True)
                taken.setdefault((name, "cold"), []).append(seconds(command, folder))
                taken.setdefault((name, "warm"), []).append(seconds(command, folder))
        median = {key: statistics.median(values) for key, values in taken.items()}
        for (name, kind), value in median.items():
            print(f"{name:<9} {kind}  {value:6.2f} s   (median of {options.runs})")
        if options.dbt:
            for kind in ("cold", "warm"):
                print(f"dbt to teachkit, {kind}: {median['dbt', kind] / median['teachkit', kind]:.1f}")


if __name__ == "__main__":
    main()
