"""What compiled SQL and the text of commands look like, kept as files: ``pytest --update-golden`` writes them anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    Compare = Callable[[Path, str], None]

GOLDEN = Path(__file__).parent / "golden"
MORE = {
    "transforms/stats.sql": """
        {{ config(tags=['stats']) }}
        -- how many words each star is worth
        with counted as (
          select stars, length(text) - length(replace(text, ' ', '')) + 1 as words from {{ ref('reviews') }}
        )
        select stars, avg(words) as words, count(*) as n from counted group by stars
        """,
    "labeling_functions/mood/copied.sql": """
        select id, 'bad' as label
        from (select id, count(*) over (partition by text) as n from {{ ref('reviews') }})
        where n > 4
        """,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    made = Sandbox(tmp_path_factory.mktemp("golden") / "reviews", {**REVIEWS, **MORE})
    made("build")
    return made


def normal(text: str) -> str:
    """A text without what differs from run to run: times, digests, run ids, versions of packages."""
    text = re.sub(r" *\d[\d.]* (ms|s)\b", " TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
    text = re.sub(r"\b(version|content|parameters) [0-9a-f]{10}\b", r"\1 DIGEST", text)
    text = re.sub(r"\b[0-9a-f]{10}$", "DIGEST", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=  )[0-9a-f]{10}(?=  )", "DIGEST", text)
    text = re.sub(r"\d{6}-[0-9a-f]{3,8}", "RUN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", "WHEN", text)
    return re.sub(r"\b(teachkit|python|duckdb|numba|numpy|pyarrow|sqlglot) \d[\w.+]*", r"\1 VERSION", text)


COMMANDS = {
    "build_again": ["build"],
    "dry_run": ["build", "--dry-run"],
    "ls": ["ls"],
    "show_labels": ["show", "moods", "--limit", "5"],
    "show_votes": ["show", "praise", "--limit", "3"],
    "analyze": ["analyze"],
    "lineage_item": ["lineage", "moods", "r002"],
    "lineage_node": ["lineage", "moods"],
    "sql": ["sql", "select label, count(*) as n, avg(confidence) as sure from labels.moods group by 1 order by 1"],
    "help": ["--help"],
    "help_build": ["build", "--help"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_text(name: str, project: Sandbox, golden: Compare) -> None:
    found = project(*COMMANDS[name], env={"COLUMNS": "80"})
    assert found.err == ""
    golden(GOLDEN / f"{name}.txt", normal(found.out))


ERRORS = {
    "unknown_label": {
        "labeling_functions/mood/words.yml": "labeling_functions:\n  - {name: blame, label: bda, any_of: [x]}\n"
    },
    "unknown_column": {"transforms/reviews.sql": "select id, txt\nfrom {{ source('shop', 'reviews') }}\n"},
    "several": {
        "labeling_functions/mood/stars.sql": "case when starz > 3 then 'good' end",
        "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majorty}\n",
        "teachkit.yml": "name: reviews\nvars: {low: 2}\n",
    },
    "failed_test": {"tests/labeled_once.sql": "select id from {{ ref('moods') }} where id < 'r003'"},
    "failed_python": {
        "labeling_functions/mood/style.py": (
            "from teachkit import labeling_function\n"
            "\n"
            "\n"
            "@labeling_function(label='good')\n"
            "def short_praise(text: str) -> bool:\n"
            "    return text[100] == 'x'\n"
        )
    },
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str, project: Sandbox, golden: Compare) -> None:
    with project.changed(ERRORS[name]):
        found = project("build", code=None)
    golden(
        GOLDEN / f"error_{name}.txt",
        f"exit code {found.code}\n---- stdout\n{normal(found.out)}---- stderr\n{normal(found.err)}",
    )


def test_compiled_sql(project: Sandbox, golden: Compare) -> None:
    project("compile")
    folder = project.root / "target/compiled"
    written = {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*.sql")}
    for name, text in written.items():
        golden(GOLDEN / "compiled" / name, text)
    assert {p.relative_to(GOLDEN / "compiled").as_posix() for p in (GOLDEN / "compiled").rglob("*.sql")} == set(written)


def test_the_lock(project: Sandbox, golden: Compare) -> None:
    golden(GOLDEN / "teachkit.lock.txt", normal(project.read("teachkit.lock")))


def test_no_golden_file_is_left_over() -> None:
    names = {f"{n}.txt" for n in COMMANDS} | {f"error_{n}.txt" for n in ERRORS} | {"teachkit.lock.txt"}
    assert {p.name for p in GOLDEN.glob("*.txt")} == names
