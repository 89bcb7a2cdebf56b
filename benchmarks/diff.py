"""``teachkit diff`` where one labeling function of fifty changed on a million rows, with the store warm.

    python benchmarks/diff.py

Prints seconds beyond starting Python with the same imports left out (``python -c pass``), and peak memory: for a diff
whose labels are in the store; for one that must build the head; for one with five changes, each of which is applied
alone; and, as the physical limit, for reading both label sets from the store.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pyarrow as pa
import pyarrow.parquet as pq
from million import make_data, make_project, timed

READ = """
import sys
from pathlib import Path
import pyarrow.parquet as pq
for path in sys.argv[1:]:
    pq.read_table(path, columns=["id", "label", "confidence", "posterior"])
"""


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def change(folder: Path, rules: list[tuple[str, str, list[str]]], numbers: list[int]) -> None:
    """Drop a keyword from some rules."""
    path = folder / "labeling_functions/spam/words.yml"
    text = path.read_text(encoding="utf-8")
    for number in numbers:
        words = rules[number][2]
        text = text.replace(f"[{', '.join(words)}]", f"[{', '.join(words[:-1])}]")
    path.write_text(text, encoding="utf-8")


def add_gold(folder: Path) -> None:
    """Gold for every twentieth text, half of it for tests; what it says does not matter here."""
    path = folder / "texts.parquet"
    table = pq.read_table(path)
    gold = [("ham", "spam")[i // 20 % 2] if i % 20 == 0 else None for i in range(table.num_rows)]
    pq.write_table(table.append_column("class", pa.array(gold)), path)
    task, items = folder / "tasks/spam.yml", folder / "transforms/items.sql"
    more = ", gold: {column: class}, splits: {hash: {tune: 50%, test: 50%}}}"
    task.write_text(task.read_text(encoding="utf-8").replace("key: id}", f"key: id{more}"), encoding="utf-8")
    items.write_text(items.read_text(encoding="utf-8").replace("id, text", "id, text, class"), encoding="utf-8")


def label_parts(folder: Path, data: str) -> list[str]:
    import json

    nodes = json.loads((folder / ".teachkit/refs/dev.json").read_bytes())["nodes"]
    return [str(folder / f".teachkit/objects/{k[:2]}/{k}.parquet") for k in nodes[data]["objects"]]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rules = make_data(folder, options.rows, options.functions)
        make_project(folder, rules)
        add_gold(folder)
        (folder / ".gitignore").write_text(".teachkit/\ntarget/\n", encoding="utf-8")
        teachkit = [sys.executable, "-m", "teachkit", "--project-dir", str(folder)]
        timed([*teachkit, "build", "-q"])
        git(folder, "init")
        git(folder, "add", "-A")
        git(folder, "commit", "-m", "before")
        before = label_parts(folder, "label_set.labels")
        nothing = min(timed([sys.executable, "-c", "pass"])[0] for _ in range(5))

        change(folder, rules, [7])
        show("one function changed, head not built", [*teachkit, "diff", "-q"], nothing)
        timed([*teachkit, "build", "-q"])
        show("one function changed, all in the store", [*teachkit, "diff", "-q"], nothing)
        show("the same as JSON", [*teachkit, "diff", "-q", "--format", "json"], nothing)
        read = [sys.executable, "-c", READ, *before, *label_parts(folder, "label_set.labels")]
        show("limit: both label sets read", read, nothing)
        change(folder, rules, [11, 12, 13, 14])
        timed([*teachkit, "build", "-q"])
        show("five functions changed", [*teachkit, "diff", "-q"], nothing)
        show("five functions changed, again", [*teachkit, "diff", "-q"], nothing)


def show(what: str, command: list[str], nothing: float) -> None:
    seconds, peak, out = timed(command)
    headline = next((line for line in out.splitlines() if "flip" in line), "")
    print(f"{what:45} {seconds - nothing:6.2f} s   {peak:6.0f} MB   {headline}")


if __name__ == "__main__":
    main()
