"""Builds of a part, of which the rest has changed: what they publish says what it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FILES: dict[str, str | bytes | None] = {
    "teachkit.yml": "name: part\n",
    "data/a.csv": "id,text\n1,aa\n2,bb\n3,cc\n",
    "sources/s.yml": "sources: [{name: s, tables: [{name: a, path: data/*.csv, key: id}]}]\n",
    "transforms/t1.sql": "select id, text from {{ source('s', 'a') }}\n",
    "transforms/t2.sql": "select * from {{ ref('t1') }}\n",
    "tasks/q.yml": "tasks: [{name: q, labels: [p, n], dataset: ref('t2'), key: id}]\n",
    "labeling_functions/q/r.yml": """
        labeling_functions:
          - {name: a, label: p, any_of: [aa]}
          - {name: b, label: n, any_of: [bb]}
        """,
    "label_models/m.yml": "label_models: [{name: m, task: q, type: majority}]\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(tmp_path / "part", FILES)
    sandbox("build")
    return sandbox


def labels(sandbox: Sandbox) -> dict[int, str | None]:
    return {r["id"]: r["label"] for r in sandbox("sql", "select * from labels.m", "--format", "json").json["rows"]}


def changed(sandbox: Sandbox) -> set[str]:
    return set(sandbox("ls", "--select", "state:modified", "--output", "name").out.split())


def lock_of(sandbox: Sandbox) -> Any:
    return yaml.safe_load(sandbox.read("teachkit.lock"))["label_sets"]["m"]


EDITS = {
    "a rule": ("labeling_functions/q/r.yml", "[bb]", "[bb, cc]"),
    "a transform far away": (
        "transforms/t1.sql",
        "id, text",
        "id, case text when 'cc' then 'bb' else text end as text",
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_labels_made_of_what_was_published_are_not_called_current(project: Sandbox, edit: tuple[str, str, str]) -> None:
    before = lock_of(project)
    project.replace(*edit)
    shown = project("build", "--select", "m").out
    assert "taken as published, not as the files say now: " in shown
    assert "--select +NAME builds what NAME rests on" in shown
    assert lock_of(project) == before  # the same labels of the same files
    assert labels(project)[3] is None
    assert "m" in changed(project)
    assert project("audit", "verify", "--format", "json").json["holds"]
    shown = project("build", "--select", "state:modified").out
    assert "taken as published" not in shown
    assert changed(project) == set()
    assert labels(project)[3] == "n"
    assert project("audit", "verify", "--format", "json").json["holds"]
    after = lock_of(project)
    assert after["fingerprint"] != before["fingerprint"]
    assert after["digest"] != before["digest"]
    project("build", "--full-refresh")
    assert lock_of(project) == after


def test_lineage_names_the_rule_that_cast_the_vote(project: Sandbox) -> None:
    version = project("lineage", "m", "2", "--format", "json").json["votes"][0]["version"]
    project.replace("labeling_functions/q/r.yml", "[bb]", "[bb, cc]")
    project.replace("label_models/m.yml", "type: majority", "type: majority, tie_policy: first")
    project("build", "--select", "m")
    assert project("lineage", "m", "2", "--format", "json").json["votes"][0]["version"] == version
    project("build")
    assert project("lineage", "m", "2", "--format", "json").json["votes"][0]["version"] != version


def test_a_judgment_that_was_not_read_leaves_the_label_set_modified(project: Sandbox) -> None:
    project.write(
        {
            "annotations/q/eva.jsonl": '{"item": "1", "label": "n", "annotator": "eva", "at": "2026-01-02T03:04Z"}\n',
            "annotations/q/_meta.yml": "files: {eva.jsonl: {role: curator}}\n",
        }
    )
    project("build")
    before = lock_of(project)
    line = '{"item": "3", "label": "p", "annotator": "eva", "at": "2026-01-03T03:04Z"}\n'
    project.write({"annotations/q/eva.jsonl": project.read("annotations/q/eva.jsonl") + line})
    project("build", "--select", "m")
    assert lock_of(project) == before
    assert "m" in changed(project)
    project("build")
    assert labels(project) == {1: "n", 2: "n", 3: "p"}
    assert changed(project) == set()


TESTED: dict[str, str | bytes | None] = {
    "label_models/m.yml": "label_models: [{name: m, task: q, type: majority, tests: [coverage: {max: 0.7}]}]\n",
    "exports/e.yml": "exports: [{name: e, label_set: ref('m'), format: csv, columns: [id, label], path: out/e.csv}]\n",
}


def test_labels_that_failed_their_test_are_not_exported_by_another_build(project: Sandbox) -> None:
    project.write(TESTED)
    project("build")
    good = project.read("out/e.csv")
    project.replace("labeling_functions/q/r.yml", "[bb]", "[bb, cc]")
    shown = project("show", "m")
    assert "not the published ones" not in shown.all
    project("build", code=1)
    shown = project("show", "m")
    assert "these labels of m are not the published ones" in shown.err
    assert "not the published ones" not in shown.out
    for _ in range(2):
        found = project("build", "--select", "e", code=1)
        assert "the labels of 'm' as the files say now are not published: test.m.coverage failed" in found.out
        assert "teachkit build --select +e" in found.out
        assert project.read("out/e.csv") == good
    project.replace("label_models/m.yml", "0.7", "1.0")
    found = project("build", "--select", "e", code=1)
    assert "test.m.coverage was not run" in found.out
    project("build", "--select", "+e")
    assert project.read("out/e.csv") != good


def test_labels_of_another_branch_that_passed_their_tests_are_exported(project: Sandbox) -> None:
    """What is published is another branch's; this branch's labels are in the store, tested."""
    project.write(TESTED)
    project("build")
    good = project.read("out/e.csv")
    with project.changed({"labeling_functions/q/r.yml": "labeling_functions: [{name: a, label: n, any_of: [aa]}]\n"}):
        project("build")
        assert project.read("out/e.csv") != good
    project("build", "--select", "e")
    assert project.read("out/e.csv") == good
