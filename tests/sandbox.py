"""A project in a folder of its own, used as people use it: its files are written, commands are run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from teachkit.cli.app import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Files = "Mapping[str, str | bytes | None]"
REPOSITORY = __file__.rpartition("/tests/")[0]


@dataclass(frozen=True)
class Outcome:
    """What a command said and returned."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The lines of stderr under ``--log-format json``."""
        return [json.loads(line) for line in self.err.splitlines()]


class Sandbox:
    """A project below ``root``. Calling it runs a command in this process; ``spawn`` runs the program."""

    def __init__(self, root: Path, files: Mapping[str, str | bytes | None] | None = None) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.write(files or {})

    def copy(self, root: Path) -> Sandbox:
        shutil.copytree(self.root, root, symlinks=True)
        return Sandbox(root)

    # files

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files (None removes one); texts are dedented, and start with their second line."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(text if isinstance(text, bytes) else dedent(text.removeprefix("\n")).encode())

    def read(self, name: str) -> str:
        return (self.root / name).read_text(encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert old in text, f"{old!r} is not in {name}"
        self.write({name: text.replace(old, new).encode()})

    @contextlib.contextmanager
    def changed(self, files: Mapping[str, str | bytes | None]) -> Iterator[None]:
        """Some files otherwise, for a while."""
        before = {n: (self.root / n).read_bytes() if (self.root / n).is_file() else None for n in files}
        self.write(files)
        try:
            yield
        finally:
            self.write(before)

    def json_file(self, name: str) -> Any:
        return json.loads(self.read(name))

    # commands

    def __call__(self, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> Outcome:
        """Run a command in this process; ``code`` is the exit code that it must have (None: any)."""
        out, err = io.StringIO(), io.StringIO()
        before = dict(os.environ)
        os.environ.update(env or {})
        try:
            with contextlib.chdir(self.root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                found = run(list(arguments))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return self._checked(Outcome(found, out.getvalue(), err.getvalue()), arguments, code)

    def spawn(self, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None, **how: Any) -> Outcome:
        """Run the program."""
        done = subprocess.run(
            [sys.executable, "-m", "teachkit", *arguments],
            cwd=self.root,
            env=self.environ(env),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            **how,
        )
        return self._checked(Outcome(done.returncode, done.stdout, done.stderr), arguments, code)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **how: Any) -> subprocess.Popen[str]:
        """Start the program and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "teachkit", *arguments],
            cwd=self.root,
            env=self.environ(env),
            text=True,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **how,
        )

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": REPOSITORY, "PYTHONWARNINGS": "error", **(more or {})}

    def _checked(self, found: Outcome, arguments: tuple[str, ...], code: int | None) -> Outcome:
        shown = f"teachkit {' '.join(arguments)}\n{found.out}\n{found.err}"
        assert "Traceback" not in found.all, shown
        assert code is None or found.code == code, f"exit code {found.code} instead of {code}: {shown}"
        return found

    # what came of it

    def build(self, *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """``teachkit build``: the status of each node."""
        found = self("build", "--format", "json", *arguments, code=code, env=env)
        return {r["id"]: r["status"] for r in found.json["results"]}

    def fresh_nodes(self, *arguments: str) -> set[str]:
        """``teachkit build``: the nodes that were not in the store."""
        return {i for i, status in self.build(*arguments).items() if status == "built"}

    def result(self, node: str) -> dict[str, Any]:
        """The result of a node in ``target/run_results.json``."""
        results = self.json_file("target/run_results.json")["results"]
        return next(dict(r) for r in results if r["id"] == node)

    def rows(self, node: str) -> list[dict[str, Any]]:
        """All rows of a node."""
        return list(self("show", node, "--limit", "-1", "--format", "json").json["rows"])

    def labels(self, node: str, key: str = "id") -> dict[Any, Any]:
        """Key -> label of a label set."""
        return {row[key]: row["label"] for row in self.rows(node)}

    def published(self, target: str = "dev") -> dict[str, str]:
        """Node -> digest of what the target's environment holds."""
        nodes = self.json_file(f".teachkit/refs/{target}.json")["nodes"]
        return {i: n["digest"] for i, n in nodes.items() if n["digest"]}

    def state(self) -> dict[str, bytes]:
        """What a build that fails must leave as it is: environments, lock, exported files."""
        paths = [*self.root.glob(".teachkit/refs/*.json"), self.root / "teachkit.lock", *self.root.glob("output/*")]
        return {p.relative_to(self.root).as_posix(): p.read_bytes() for p in paths if p.is_file()}


_GOOD = ("love it", "great value", "works great", "excellent lamp, love the light")
_BAD = ("broken on arrival", "terrible", "a waste of money", "refund please, terrible smell")


def reviews_csv(n: int = 40) -> str:
    """Reviews with ids r001 …; the fifth part is gold for tuning, the fifth part for tests."""
    lines = ["id,text,stars,mood,split"]
    for i in range(n):
        good = i % 2 == 0
        text = (_GOOD if good else _BAD)[i // 2 % 4] if i % 9 else "it is a lamp"
        stars = (4 + i % 4 // 2 if good else 1 + i % 4 // 2) if i % 7 else 3
        split = ("train", "train", "tune", "test", "train")[i % 5]
        mood = "" if split == "train" else "+" if good else "-"
        lines.append(f'r{i + 1:03d},"{text}",{stars},{mood},{split}')
    return "\n".join(lines) + "\n"


REVIEWS: Mapping[str, str] = {
    "teachkit.yml": """
        name: reviews
        vars: {low: 2}
        """,
    "profiles.yml": """
        default: dev
        targets:
          dev: {threads: 2, memory: 500MB}
          ci: {threads: 1, memory: 500MB}
        """,
    "data/reviews.csv": reviews_csv(),
    "sources/shop.yml": """
        sources:
          - name: shop
            tables:
              - name: reviews
                path: data/reviews.csv
                key: id
                columns:
                  text: {tests: [not_null]}
                  stars: {type: integer, tests: [{accepted_values: {values: [1, 2, 3, 4, 5]}}]}
                  mood: {type: varchar}
        """,
    "transforms/reviews.sql": """
        select id, text, stars, mood, split
        from {{ source('shop', 'reviews') }}
        where length(text) > 0
        """,
    "tasks/mood.yml": """
        tasks:
          - name: mood
            labels: [good, bad]
            dataset: ref('reviews')
            key: id
            gold: {column: mood, values: {"+": good, "-": bad}}
            splits: {column: split}
        """,
    "macros/words.sql": """
        {% macro says(word) %}contains(lower(text), '{{ word }}'){% endmacro %}
        """,
    "labeling_functions/mood/words.yml": """
        labeling_functions:
          - {name: praise, label: good, any_of: [love, great, excellent], tags: [words]}
          - {name: blame, label: bad, dictionary: blame.txt, tags: [words]}
        """,
    "labeling_functions/mood/blame.txt": "broken\nterrible\nwaste\n",
    "labeling_functions/mood/stars.sql": """
        case when stars >= 4 then 'good' when stars <= {{ var('low') }} then 'bad' end
        """,
    "labeling_functions/mood/refund.sql": """
        {{ config(label='bad', tags=['words']) }}
        {{ says('refund') }}
        """,
    "labeling_functions/mood/style.py": '''
        """Rules in Python."""

        from teachkit import labeling_function


        def words(text):
            return text.lower().split()


        @labeling_function(label="good")
        def short_praise(text: str) -> bool:
            return "love" in words(text) and len(words(text)) < 4
        ''',
    "annotations/mood/ann.jsonl": """
        {"item": "r001", "label": "bad"}
        {"item": "r002", "label": "bad"}
        {"item": "r003", "label": "good"}
        """,
    "label_models/mood.yml": """
        label_models:
          - name: moods
            task: mood
            type: majority
            tests:
              - coverage: {min: 0.5}
              - accuracy: {min: 0.5}
        """,
    "exports/train.yml": """
        exports:
          - name: train
            label_set: ref('moods')
            format: csv
            path: output/train.csv
            columns: [id, text, label]
            where: split <> 'test' and label is not null
        """,
    "tests/rules.yml": """
        unit_tests:
          - name: blame_is_bad
            voter: blame
            rows: [{text: "Terrible!"}, {text: "a lamp"}]
            expect: [bad, null]
        """,
    "tests/labeled_once.sql": """
        select id from {{ ref('moods') }} group by id having count(*) > 1
        """,
}
"""A project with one of everything; its build takes a moment."""
