"""What is switched off is not part of the project; tags are inherited."""

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
    "data/a.csv": "id,text\n1,fine\n2,bad\n",
    "sources/shop.yml": "sources:\n"
    "  - {name: shop, tags: [raw], tables: [{name: reviews, path: data/a.csv, key: id}]}\n",
    "transforms/reviews.sql": "select id, text from {{ source('shop', 'reviews') }}\n",
    "transforms/old/gone.sql": "{{ config(enabled=false) }}\nselect id, nothing_like_it from {{ ref('reviews') }}\n",
    "transforms/_schema.yml": "transforms:\n"
    "  - {name: reviews, tests: [{few: {where: \"id = '1'\", error_if: '> 1'}}]}\n"
    "  - {name: gone, tests: [{row_count: {min: 9}}]}\n",
    "macros/few.sql": "{% test few(model) %}select * from {{ model }}{% endtest %}\n",
    "tests/off.sql": "{{ config(enabled=false) }}\nselect * from {{ ref('nowhere') if false else ref('reviews') }}\n",
    "tasks/mood.yml": "tasks:\n"
    "  - {name: mood, labels: [good, bad], dataset: ref('reviews'), key: id, tags: [feelings]}\n",
    "labeling_functions/mood/bad.sql": "{{ config(label='bad') }}\ntext = 'bad'\n",
    "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majority}\n",
}


def ids(root: Path, *select: str) -> set[str]:
    return {node.id for node in Project.load(root).ls(select)}


def test_a_transform_that_is_off_is_not_there(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    assert {i for i in ids(tmp_path) if i.startswith("transform.")} == {"transform.reviews"}
    assert "test.off" not in ids(tmp_path)
    sandbox("build")


def test_a_folder_of_transforms_can_be_off(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    sandbox.write({"transforms/old/gone.sql": "select id from {{ ref('reviews') }}\n"})
    assert "transform.gone" in ids(tmp_path)
    sandbox.write({"teachkit.yml": "name: shop\ntransforms: {old: {enabled: false}}\n"})
    assert "transform.gone" not in ids(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("transforms/more.sql", "select * from {{ ref('gone') }}\n"),
        ("tests/more.sql", "select * from {{ ref('gone') }}\n"),
        ("tasks/more.yml", "tasks:\n  - {name: m, labels: [a, b], dataset: ref('gone'), key: id}\n"),
    ],
)
def test_a_reference_to_it_is_refused(name: str, text: str, tmp_path: Path) -> None:
    Sandbox(tmp_path, {**FILES, name: text})
    with pytest.raises(ProjectErrors, match=r"switched off \(enabled: false\)  \[disabled-ref\]") as found:
        Project.load(tmp_path).parse()
    assert found.value.errors[0].where is not None
    assert found.value.errors[0].where.path == name


def test_the_where_of_a_macro_test_narrows_its_rows(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    sandbox("build")
    sandbox.replace("transforms/_schema.yml", "id = '1'", "id is not null")
    assert "failed test.reviews.few" in sandbox("build", code=1).out


def test_tags_of_a_group_and_of_a_task_are_inherited(tmp_path: Path) -> None:
    Sandbox(tmp_path, FILES)
    assert ids(tmp_path, "tag:raw") == {"source.shop.reviews", "test.shop.reviews.key"}
    assert ids(tmp_path, "tag:feelings") >= {"lf.mood.bad", "label_set.moods"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tests/empty.sql", "select\n", "selects nothing"),
        ("transforms/none.sql", "select from {{ ref('reviews') }}\n", "selects nothing"),
        (
            "exports/out.yml",
            "exports:\n  - {name: out, label_set: ref('moods'), path: output/, format: csv}\n",
            "'output/' is a folder",
        ),
    ],
)
def test_what_can_only_fail_later_is_refused(name: str, text: str, said: str, tmp_path: Path) -> None:
    Sandbox(tmp_path, {**FILES, name: text})
    with pytest.raises(ProjectErrors, match=said) as found:
        Project.load(tmp_path).parse()
    assert found.value.errors[0].where is not None
    assert found.value.errors[0].where.path == name
