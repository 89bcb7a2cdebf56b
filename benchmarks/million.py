"""A million texts, fifty keyword labeling functions, Dawid–Skene: from Parquet to labels, beside Snorkel.

Each side runs in a process of its own: ``teachkit build`` on a fresh project, and PandasLFApplier with LabelModel on
the same texts and the same keywords. Snorkel needs an interpreter of its own:

    python3 -m venv peers
    peers/bin/pip install --no-deps snorkel
    peers/bin/pip install numpy pandas pyarrow scikit-learn scipy tqdm nltk networkx munkres torch
    python benchmarks/million.py --peer-python peers/bin/python

Prints seconds and peak memory of each (the largest process), what later builds cost, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "lo", "mu", "ne", "pi", "ro", "sa", "tu", "ve", "wi", "xo", "za")
KEYWORDS_EACH = 3
WORDS_IN_A_TEXT = (4, 28)
SEED = 20


def words(count: int, rng: np.random.Generator) -> list[str]:
    """Made-up words, all different, of two to four syllables."""
    made: dict[str, None] = {}
    while len(made) < count:
        made["".join(rng.choice(SYLLABLES, size=rng.integers(2, 5)))] = None
    return list(made)


def make_data(folder: Path, rows: int, functions: int) -> list[tuple[str, str, list[str]]]:
    """Write the texts; the rules as (name, label, keywords). A keyword stands in one text in ten that fit its label."""
    rng = np.random.default_rng(SEED)
    lexicon = words(4000 + functions * KEYWORDS_EACH, rng)
    common, special = np.array(lexicon[:4000]), lexicon[4000:]
    rules = [
        (f"rule_{i:02}", ("ham", "spam")[i % 2], special[i * KEYWORDS_EACH : (i + 1) * KEYWORDS_EACH])
        for i in range(functions)
    ]
    truth = rng.integers(0, 2, rows)
    lengths = rng.integers(*WORDS_IN_A_TEXT, rows)
    picks = common[rng.zipf(1.3, int(lengths.sum())) % len(common)]
    ends = np.cumsum(lengths)
    hits = [rng.random(rows) < np.where(truth == i % 2, 0.08, 0.01) for i in range(functions)]
    chosen = rng.integers(0, KEYWORDS_EACH, (functions, rows))
    texts = []
    for row, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        found = list(picks[start:end])
        found += [rules[i][2][chosen[i, row]] for i in range(functions) if hits[i][row]]
        texts.append(" ".join(found).capitalize())
    table = pa.table({"id": pa.array(range(rows), pa.int64()), "text": pa.array(texts)})
    pq.write_table(table, folder / "texts.parquet")
    print(f"{rows:,} texts, {np.mean([len(t) for t in texts[:10_000]]):.0f} characters each, {functions} rules")
    return rules


def make_project(folder: Path, rules: list[tuple[str, str, list[str]]]) -> None:
    """A project as a user would write it."""
    files = {
        "teachkit.yml": "name: million\n",
        "sources/texts.yml": "sources:\n  - name: raw\n    tables:\n"
        "      - {name: texts, path: texts.parquet, key: id}\n",
        "transforms/items.sql": "select id, text from {{ source('raw', 'texts') }}\n",
        "tasks/spam.yml": "tasks:\n  - {name: spam, kind: choice, labels: [ham, spam], "
        "dataset: ref('items'), key: id}\n",
        "labeling_functions/spam/words.yml": "labeling_functions:\n"
        + "".join(f"  - {{name: {n}, label: {label}, any_of: [{', '.join(w)}]}}\n" for n, label, w in rules),
        "label_models/spam.yml": "label_models:\n  - {name: labels, task: spam, type: dawid_skene}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


SNORKEL = """
import json, re, sys, time
import pandas as pd
from snorkel.labeling import LabelingFunction, PandasLFApplier
from snorkel.labeling.model import LabelModel
rules = json.load(open(sys.argv[1])); frame = pd.read_parquet(sys.argv[2])
def make(name, label, words):
    pattern = re.compile(r"\\\\b(?:" + "|".join(words) + r")\\\\b", re.IGNORECASE)
    code = ("ham", "spam").index(label)
    return LabelingFunction(name, lambda row: code if pattern.search(row.text) else -1)
begun = time.perf_counter()
votes = PandasLFApplier([make(*rule) for rule in rules]).apply(frame, progress_bar=False)
applied = time.perf_counter() - begun
model = LabelModel(cardinality=2, verbose=False)
model.fit(votes, n_epochs=100, seed=1, progress_bar=False)
model.predict(votes)
print(json.dumps({"apply": applied, "all": time.perf_counter() - begun}))
"""


def timed(command: list[str]) -> tuple[float, float, str]:
    """Run a command; its seconds, the peak memory in MB of its largest process, its output."""
    script = (
        "import json,resource,subprocess,sys,time\n"
        "begun=time.perf_counter()\n"
        "done=subprocess.run(sys.argv[1:],capture_output=True,text=True)\n"
        "peak=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024\n"
        "print(json.dumps([done.returncode,time.perf_counter()-begun,peak,done.stdout,done.stderr]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    code, seconds, peak, out, err = json.loads(done.stdout)
    if code != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{out}\n{err}")
    return seconds, peak, out


def main() -> None:
    """Run both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--peer-python", help="interpreter with Snorkel; without it teachkit runs alone")
    parser.add_argument("--keep", type=Path, help="folder for the project, to look at it afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rules = make_data(folder, options.rows, options.functions)
        make_project(folder, rules)
        teachkit = [sys.executable, "-m", "teachkit", "--project-dir", str(folder), "build", "-q"]
        seconds, peak, _ = timed(teachkit)
        print(f"teachkit, first build      {seconds:7.2f} s   {peak:6.0f} MB at its peak")
        again, peak, _ = timed(teachkit)
        print(f"teachkit, nothing changed  {again:7.2f} s   {peak:6.0f} MB")
        _edit(folder / "labeling_functions/spam/words.yml", rules[7][2][0], "something-else")
        edited, peak, _ = timed(teachkit)
        print(f"teachkit, one rule changed {edited:7.2f} s   {peak:6.0f} MB")
        for more in ([], ["--from-sources"]):
            audited, peak, _ = timed([*teachkit[:-2], "audit", "verify", *more])
            print(f"{' '.join(['teachkit audit verify', *more]):<38} {audited:7.2f} s   {peak:6.0f} MB")
        if options.peer_python:
            (folder / "rules.json").write_text(json.dumps(rules))
            command = [options.peer_python, "-c", SNORKEL, str(folder / "rules.json"), str(folder / "texts.parquet")]
            _, peak, out = timed(command)
            figures = json.loads(out.splitlines()[-1])
            print(f"Snorkel, apply and fit     {figures['all']:7.2f} s   {peak:6.0f} MB", end="")
            print(f"   (applying alone {figures['apply']:.2f} s)")
            print("ratio, Snorkel's applying, fitting and predicting to teachkit's whole first build: ", end="")
            print(f"{figures['all'] / seconds:.1f}")


def _edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    begun = time.perf_counter()
    main()
    print(f"all of it: {time.perf_counter() - begun:.0f} s")
