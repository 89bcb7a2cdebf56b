"""Tests of an export look at its rows before its file is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit import Project
from teachkit.errors import ProjectErrors
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "teachkit.yml": "name: shop\n",
    "data/a.csv": "id,text,place\n1,good,here\n2,bad,there\n3,nothing,here\n",
    "sources/shop.yml": "sources:\n  - {name: shop, tables: [{name: reviews, path: data/a.csv, key: id}]}\n",
    "transforms/reviews.sql": "select * from {{ source('shop', 'reviews') }}\n",
    "tasks/mood.yml": "tasks:\n  - {name: mood, labels: [good, bad], dataset: ref('reviews'), key: id}\n",
    "labeling_functions/mood/words.yml": "labeling_functions:\n"
    "  - {name: good, label: good, any_of: [good]}\n  - {name: bad, label: bad, any_of: [bad]}\n",
    "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majority}\n",
    "macros/only.sql": "{% test only(model, column_name, value) %}\n"
    "select * from {{ model }} where {{ column_name }} <> '{{ value }}'\n{% endtest %}\n",
}


def project(folder: Path, tests: str) -> Sandbox:
    export = f"""
        exports:
          - name: training
            label_set: ref('moods')
            columns: [id, label, place]
            where: label is not null
            path: output/training.csv
            format: csv
            tests: {tests}
    """
    return Sandbox(folder, {**FILES, "exports/training.yml": export})


@pytest.mark.parametrize(
    "tests", ["[{row_count: {min: 2, max: 2}}, {not_null: {column: label}}]", "[{expression: {expression: id < 3}}]"]
)
def test_its_rows_are_those_of_the_file(tests: str, tmp_path: Path) -> None:
    sandbox = project(tmp_path, tests)
    sandbox("build")
    assert len(sandbox.read("output/training.csv").splitlines()) == 3


def test_a_failing_test_leaves_the_file_unwritten(tmp_path: Path) -> None:
    sandbox = project(tmp_path, "[{row_count: {max: 1}}]")
    shown = sandbox("build", code=1)
    assert "failed test.training.row_count" in shown.out
    assert not (tmp_path / "output").exists()
    sandbox.replace("exports/training.yml", "max: 1", "max: 2")
    sandbox("build")
    assert (tmp_path / "output/training.csv").is_file()
    sandbox.replace("exports/training.yml", "label is not null", "votes >= 0")
    assert "3 rows" in sandbox("build", code=1).out


def test_where_narrows_what_is_looked_at(tmp_path: Path) -> None:
    sandbox = project(tmp_path, "[{row_count: {max: 1, where: \"place = 'here'\"}}]")
    sandbox("build")


def test_a_test_for_another_kind_of_node_is_refused(tmp_path: Path) -> None:
    project(tmp_path, "[{coverage: {min: 1}}]")
    with pytest.raises(ProjectErrors, match="'training' is of the kind export"):
        Project.load(tmp_path).parse()


def test_a_figure_of_a_whole_label_set_takes_no_where(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    tests = "tests: [{coverage: {min: 0.5, where: \"id = '1'\"}}]"
    sandbox.write(
        {"label_models/mood.yml": f"label_models:\n  - {{name: moods, task: mood, type: majority, {tests}}}\n"}
    )
    with pytest.raises(ProjectErrors, match="'coverage' looks at a whole label set"):
        Project.load(tmp_path).parse()


def test_on_a_sample_a_failing_data_test_warns(tmp_path: Path) -> None:
    sandbox = project(tmp_path, "[{row_count: {min: 2}}]")
    for option in (("--sample", "1"), ("--empty",)):
        shown = sandbox("build", *option)
        assert "warned" in shown.out
        assert "(a sample)" in shown.out
