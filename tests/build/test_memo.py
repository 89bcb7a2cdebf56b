"""A Python labeling function marked ``memo`` is asked once for equal inputs, whatever happens around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FUNCTION = """
from pathlib import Path

from teachkit import labeling_function


@labeling_function(memo=True)
def slow(text, stars):
    with Path("asked.txt").open("a") as file:
        file.write(f"{text} {stars}\\n")
    if text == "broken":
        raise ValueError("broken")
    return {answer}
"""


def project(folder: Path, kind: str = "choice", answer: str = '"good" if stars == "5" else None') -> Sandbox:
    return Sandbox(
        folder,
        {
            "teachkit.yml": "name: shop\n",
            "data/a.csv": 'id,text,stars\n1,fine,"5"\n2,fine,"5"\n3,fine,"1"\n4,,"5"\n',
            "sources/shop.yml": "sources:\n"
            "  - {name: shop, tables: [{name: reviews, path: data/a.csv, key: id, "
            "columns: {stars: {type: varchar}}}]}\n",
            "transforms/reviews.sql": "select * from {{ source('shop', 'reviews') }}\n",
            "tasks/mood.yml": f"tasks:\n  - {{name: mood, kind: {kind}, labels: [good, bad], dataset: ref('reviews'), "
            "key: id}\n",
            "labeling_functions/mood/slow.py": FUNCTION.replace("{answer}", answer),
            "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majority}\n",
        },
    )


def asked(sandbox: Sandbox) -> list[str]:
    """What the function was asked since the last look."""
    path = sandbox.root / "asked.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def votes(sandbox: Sandbox) -> dict[str, str]:
    rows = sandbox("show", "slow", "--limit", "-1", "--format", "json").json["rows"]
    return {str(row["id"]): row["label"] for row in rows}


def test_equal_inputs_are_asked_once(tmp_path: Path) -> None:
    sandbox = project(tmp_path)
    sandbox("build")
    assert sorted(asked(sandbox)) == ["None 5", "fine 1", "fine 5"]
    assert votes(sandbox) == {"1": "good", "2": "good", "4": "good"}
    sandbox.write({"data/a.csv": 'id,text,stars\n7,fine,"5"\n8,new,"5"\n3,fine,"1"\n'})
    sandbox("build")
    assert asked(sandbox) == ["new 5"]
    assert votes(sandbox) == {"7": "good", "8": "good"}


def test_a_changed_function_is_asked_anew(tmp_path: Path) -> None:
    sandbox = project(tmp_path)
    sandbox("build")
    asked(sandbox)
    sandbox.replace("labeling_functions/mood/slow.py", '"5"', '"1"')
    sandbox("build")
    assert len(asked(sandbox)) == 3
    assert votes(sandbox) == {"3": "good"}
    sandbox("build", "--full-refresh")
    assert len(asked(sandbox)) == 3


def test_a_failure_names_the_row(tmp_path: Path) -> None:
    sandbox = project(tmp_path)
    sandbox.write({"data/a.csv": 'id,text,stars\n1,fine,"5"\n2,broken,"5"\n'})
    shown = sandbox("build", code=1)
    assert "raised ValueError" in shown.all
    assert "key 2" in shown.all


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('["good", "bad"] if stars == "5" else ["bad"]', {"1": ["good", "bad"], "2": ["good", "bad"], "3": ["bad"]}),
        ("None", {}),
    ],
)
def test_several_labels(answer: str, expected: dict[str, list[str]], tmp_path: Path) -> None:
    sandbox = project(tmp_path, "multichoice", answer)
    sandbox("build")
    asked(sandbox)
    sandbox.replace("data/a.csv", '4,,"5"\n', "")
    sandbox("build")
    assert asked(sandbox) == []
    said: dict[str, list[str]] = {}
    for row in sandbox("show", "slow", "--limit", "-1", "--format", "json").json["rows"]:
        said.setdefault(str(row["id"]), []).append(row["label"])
    assert {k: sorted(v) for k, v in said.items()} == {k: sorted(v) for k, v in expected.items()}
