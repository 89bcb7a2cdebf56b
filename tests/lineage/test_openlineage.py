"""Runs as OpenLineage events: each is checked against the client's classes, what they say against the project."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.lineage.forms.openlineage import run_uuid
from tests.lineage.openlineage_check import check_event
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Event = dict[str, Any]
NAMESPACE = "teachkit://reviews/dev"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def events(project: Sandbox, *arguments: str) -> list[Event]:
    """The events of a run, each checked."""
    found = [json.loads(line) for line in project("lineage", "--openlineage", *arguments).out.splitlines()]
    for event in found:
        check_event(event)
    check_order(found)
    return found


def check_order(found: Sequence[Event]) -> None:
    """One START and one end of each run, in this order and within its parent's, and no run twice."""
    assert found[0]["eventType"] == "START"
    assert found[-1]["eventType"] in ("COMPLETE", "FAIL")
    run = found[0]["run"]["runId"]
    assert found[-1]["run"]["runId"] == run
    inner = found[1:-1]
    for start, end in zip(inner[::2], inner[1::2], strict=True):
        assert start["run"]["runId"] == end["run"]["runId"]
        assert start["job"] == end["job"]
        assert (start["eventType"], start["outputs"]) == ("START", [])
        assert end["eventType"] in ("COMPLETE", "FAIL", "ABORT")
        assert found[0]["eventTime"] <= start["eventTime"] <= end["eventTime"] <= found[-1]["eventTime"]
        assert end["run"]["facets"]["parent"]["run"] == {"runId": run}
    ids = [event["run"]["runId"] for event in found]
    assert all(uuid.UUID(i).version == 5 for i in ids)
    assert sorted(ids) == sorted([*set(ids)] * 2)


def end_of(found: Sequence[Event], job: str) -> Event:
    return next(e for e in found if e["job"]["name"] == job and e["eventType"] != "START")


def node_facet(event: Event) -> Any:
    return event["run"]["facets"]["teachkit_node"]


def origins(event: Event, column: str) -> set[tuple[str, str, str, str | None]]:
    """Dataset, column, type and subtype of what a column of an output is made of."""
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"][column]["inputFields"]
    return {
        (f["name"], f["field"], f["transformations"][0]["type"], f["transformations"][0].get("subtype")) for f in fields
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The project in git, at an address, one file not as committed."""
    made = Sandbox(tmp_path_factory.mktemp("openlineage") / "repository" / "größe", REVIEWS)
    made.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(made.root.parent, "init")
    git(made.root.parent, "add", ".")
    git(made.root.parent, "commit", "-m", "first")
    git(made.root.parent, "remote", "add", "origin", "https://anna:secret@git.example.org:8443/shop/labels.git")
    made.replace("labeling_functions/mood/refund.sql", "refund", "refund me")
    made("build")
    return made


@pytest.fixture(scope="module")
def found(built: Sandbox) -> list[Event]:
    return events(built)


@pytest.fixture
def project(built: Sandbox, tmp_path: Path) -> Sandbox:
    return built.copy(tmp_path / "copy")


def test_every_node_of_the_run_is_a_job(found: list[Event], built: Sandbox) -> None:
    results = built.json_file("target/run_results.json")
    names = [e["job"]["name"] for e in found if e["eventType"] != "START"]
    assert names == [*(r["id"] for r in results["results"]), "build"]
    assert {e["job"]["namespace"] for e in found} == {NAMESPACE}
    about = found[0]["run"]["facets"]["teachkit_run"]
    assert (about["runId"], about["commit"], about["dirty"]) == (results["run_id"], results["commit"], True)


def test_ids_of_runs_come_from_the_chain(found: list[Event], built: Sandbox) -> None:
    chain = built.json_file(".teachkit/runs/HEAD")
    assert found[0]["run"]["runId"] == run_uuid(chain["hash"])
    assert end_of(found, "label_set.moods")["run"]["runId"] == run_uuid(chain["hash"], "label_set.moods")
    assert found == events(built, "--run", "1") == events(built, "--run", f"000001-{chain['hash'][:8]}")


def test_a_source_reads_its_files_by_their_full_names_and_digests(found: list[Event], built: Sandbox) -> None:
    event = end_of(found, "source.shop.reviews")
    path = built.root / "data/reviews.csv"
    [file] = event["inputs"]
    assert (file["namespace"], file["name"]) == ("file", str(path))
    assert file["facets"]["version"]["datasetVersion"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert origins(event, "text") == {(str(path), "text", "DIRECT", "IDENTITY")}


def test_a_transform_tells_values_from_what_chooses_rows(found: list[Event]) -> None:
    event = end_of(found, "transform.reviews")
    assert origins(event, "text") == {("source.shop.reviews", "text", "DIRECT", None)}
    [rows] = event["outputs"][0]["facets"]["columnLineage"]["dataset"]
    assert (rows["name"], rows["field"], rows["transformations"]) == (
        "source.shop.reviews",
        "text",
        [{"type": "INDIRECT"}],
    )
    assert "length" in event["job"]["facets"]["sql"]["query"]


def test_a_label_is_made_of_votes_and_of_what_voters_read(found: list[Event]) -> None:
    event = end_of(found, "label_set.moods")
    voters = {"lf.mood.praise", "lf.mood.blame", "lf.mood.stars", "lf.mood.refund", "lf.mood.short_praise"}
    votes = {(v, "vote", "DIRECT", "AGGREGATION") for v in {*voters, "annotations.mood.ann"}}
    assert votes <= origins(event, "label")
    assert {o for o in origins(event, "label") if o[2] == "INDIRECT"} == {
        ("transform.reviews", column, "INDIRECT", None) for column in ("id", "stars", "text")
    }
    assert origins(event, "id") == {("transform.reviews", "id", "DIRECT", "IDENTITY")}
    assert origins(end_of(found, "lf.mood.stars"), "vote") == {
        ("transform.reviews", "stars", "DIRECT", "TRANSFORMATION")
    }


def test_an_export_writes_a_file_outside(found: list[Event], built: Sandbox) -> None:
    event = end_of(found, "export.train")
    [output] = event["outputs"]
    assert (output["namespace"], output["name"]) == ("file", str(built.root / "output/train.csv"))
    assert origins(event, "label") == {("label_set.moods", "label", "DIRECT", "IDENTITY")}
    assert origins(event, "text") == {("transform.reviews", "text", "DIRECT", "IDENTITY")}


def test_annotations_are_read_from_their_file(found: list[Event], built: Sandbox) -> None:
    event = end_of(found, "annotations.mood.ann")
    path = str(built.root / "annotations/mood/ann.jsonl")
    assert path in [d["name"] for d in event["inputs"]]
    assert (path, "label", "DIRECT", "IDENTITY") in origins(event, "vote")


def test_datasets_have_schema_version_and_size(found: list[Event], built: Sandbox) -> None:
    [output] = end_of(found, "label_set.moods")["outputs"]
    rows = built.rows("moods")
    fields = {f["name"]: f["type"] for f in output["facets"]["schema"]["fields"]}
    assert fields["label"] == "string"
    assert output["facets"]["version"]["datasetVersion"] == built.published()["label_set.moods"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == len(rows)
    labeled = [r["label"] for r in rows if r["label"] is not None]
    metrics = output["facets"]["dataQualityMetrics"]
    assert metrics["rowCount"] == len(rows)
    assert metrics["columnMetrics"]["label"] == {
        "count": len(labeled),
        "nullCount": len(rows) - len(labeled),
        "distinctCount": len(set(labeled)),
    }


def test_a_test_is_an_assertion_on_what_it_tests(found: list[Event]) -> None:
    event = end_of(found, "test.shop.reviews.not_null.text")
    [dataset] = event["inputs"]
    [said] = dataset["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (said["assertion"], said["column"], said["success"], said["severity"]) == ("not_null", "text", True, "error")
    assert event["outputs"] == []


def test_code_is_at_a_commit_if_it_was_committed(found: list[Event], built: Sandbox) -> None:
    commit = git(built.root, "rev-parse", "HEAD")
    where = end_of(found, "lf.mood.stars")["job"]["facets"]["sourceCodeLocation"]
    assert where["version"] == commit
    assert where["repoUrl"] == "https://git.example.org/shop/labels.git"
    assert where["path"] == "größe/labeling_functions/mood/stars.sql"
    assert where["url"].endswith(f"/blob/{commit}/gr%C3%B6%C3%9Fe/labeling_functions/mood/stars.sql")
    assert "sourceCodeLocation" not in end_of(found, "lf.mood.refund")["job"]["facets"]


def test_no_password_gets_out(found: list[Event]) -> None:
    assert "secret" not in json.dumps(found)


def test_python_and_descriptions_go_along(found: list[Event]) -> None:
    facets = end_of(found, "lf.mood.short_praise")["job"]["facets"]
    assert facets["sourceCode"]["language"] == "python"
    assert "def short_praise" in facets["sourceCode"]["sourceCode"]


def test_nodes_that_were_reused_keep_their_lineage(project: Sandbox) -> None:
    before = end_of(events(project), "lf.mood.stars")
    project("build")
    after = end_of(events(project), "lf.mood.stars")
    assert (node_facet(before)["status"], node_facet(after)["status"]) == ("built", "reused")
    assert after["outputs"] == before["outputs"]
    assert after["run"]["runId"] != before["run"]["runId"]


def test_a_definition_that_came_back_is_told_from_the_one_between(project: Sandbox) -> None:
    """A, B, A: the third run finds A's votes in the store, though the record before it holds B's."""
    first = end_of(events(project), "lf.mood.stars")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    project("build")
    second = end_of(events(project), "lf.mood.stars")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 5", "stars >= 4")
    project("build")
    third = end_of(events(project), "lf.mood.stars")
    assert node_facet(third)["status"] == "reused"
    assert third["outputs"] == first["outputs"] != second["outputs"]
    project("build")
    assert end_of(events(project), "lf.mood.stars")["outputs"] == first["outputs"]


def test_a_reused_node_is_what_was_published_before_in_this_target(project: Sandbox) -> None:
    """Neither what another target was given in between, nor what came later."""
    first = end_of(events(project), "lf.mood.stars")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    project("build", "--target", "ci")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 5", "stars >= 4")
    project("build")
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 3")
    project("build")
    third = end_of(events(project, "--run", "3"), "lf.mood.stars")
    assert node_facet(third)["status"] == "reused"
    assert third["outputs"] == first["outputs"]


def test_an_older_run_is_told_as_it_was(project: Sandbox) -> None:
    before = {e["job"]["name"]: e for e in events(project) if e["eventType"] != "START"}
    project.write(
        {
            "transforms/reviews.sql": "select id, text || '' as text, stars, mood, split "
            "from {{ source('shop', 'reviews') }}\n",
            "labeling_functions/mood/stars.sql": None,
            "data/reviews.csv": REVIEWS["data/reviews.csv"] + 'r900,"new",3,,train\n',
        }
    )
    project("build")
    found = project("lineage", "--openlineage", "--run", "1")
    after = {e["job"]["name"]: e for e in map(json.loads, found.out.splitlines()) if e["eventType"] != "START"}
    assert [*after] == [*before]
    for name in ("transform.reviews", "lf.mood.stars", "source.shop.reviews", "label_set.moods"):
        check_event(after[name])
        assert after[name]["outputs"] == before[name]["outputs"], name
        assert after[name]["inputs"] == before[name]["inputs"], name
        assert after[name]["job"] == before[name]["job"], name
    assert node_facet(after["lf.mood.stars"])["definitionFrom"] == "store"
    assert node_facet(after["lf.mood.praise"])["definitionFrom"] == "project"
    assert "changed since the run, taken from the store as defined then: transform.reviews, lf.mood.stars" in found.err


def test_what_the_store_has_no_shape_of_is_said_to_be_the_projects(project: Sandbox) -> None:
    """Definitions of an older teachkit hold no columns; those of a store that lost them nothing at all."""
    stars = end_of(events(project), "lf.mood.stars")
    definition = node_facet(stars)["definition"]
    path = project.root / ".teachkit/definitions" / definition[:2] / f"{definition}.json"
    kept = json.loads(path.read_bytes())
    path.write_text(json.dumps({k: v for k, v in kept.items() if k != "inputs"}))
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    found = project("lineage", "--openlineage")
    assert "1 node changed since the run, lineage as the project has it now: lf.mood.stars" in found.err
    project.write({"labeling_functions/mood/stars.sql": None})
    found = project("lineage", "--openlineage")
    assert "1 node no longer in the project or the store, without lineage: lf.mood.stars" in found.err
    for line in found.out.splitlines():
        check_event(json.loads(line))


def test_tests_of_an_older_run_have_no_definition_on_record(project: Sandbox) -> None:
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    project("build")
    found = project("lineage", "--openlineage", "--run", "1")
    assert re.search(r"\d nodes without a record of the definition, taken from the project as it is now: ", found.err)
    assert node_facet(end_of(events(project), "test.moods.coverage"))["definitionFrom"] == "project"


def test_a_failure_has_its_message(project: Sandbox) -> None:
    project.write({"tests/labeled_once.sql": "select id from {{ ref('moods') }}\n"})
    project.write(
        {
            "labeling_functions/mood/style.py": REVIEWS["labeling_functions/mood/style.py"].replace(
                'return "love"', 'raise ValueError(1)\n            return "love"'
            )
        }
    )
    project("build", code=1)
    assert events(project)[0]["run"]["facets"]["teachkit_run"]["runId"].startswith("000001-")  # none since published
    found = events(project, "--run", "2")
    assert found[-1]["eventType"] == "FAIL"
    assert "lf.mood.short_praise" in found[-1]["run"]["facets"]["errorMessage"]["message"]
    broken = end_of(found, "lf.mood.short_praise")
    assert (broken["eventType"], broken["outputs"]) == ("FAIL", [])
    assert "labeling-function-failed" in broken["run"]["facets"]["errorMessage"]["message"]
    skipped = end_of(found, "label_set.moods")
    assert (skipped["eventType"], skipped["outputs"]) == ("ABORT", [])
    assert "errorMessage" not in skipped["run"]["facets"]


def test_a_failed_test_is_an_assertion_that_does_not_hold(project: Sandbox) -> None:
    project.write({"tests/labeled_once.sql": "select id from {{ ref('moods') }}\n"})
    project("build", code=1)
    event = end_of(events(project, "--run", "2"), "test.labeled_once")
    assert event["eventType"] == "FAIL"
    asserted = [d["inputFacets"].get("dataQualityAssertions") for d in event["inputs"]]
    [said] = [a["assertions"][0] for a in asserted if a]
    assert (said["name"], said["success"]) == ("test.labeled_once", False)
    (project.root / "target/run_results.json").unlink()
    lost = end_of(events(project, "--run", "2"), "test.labeled_once")
    assert lost["run"]["facets"]["errorMessage"]["message"] == "test.labeled_once: failed"


def test_a_run_of_a_part_still_knows_what_it_read(project: Sandbox) -> None:
    project("run", "--select", "lf.mood.stars")
    found = events(project, "--run", "2")
    assert [e["job"]["name"] for e in found[::2]] == ["run", "lf.mood.stars"]
    [dataset] = end_of(found, "lf.mood.stars")["inputs"]
    assert dataset["name"] == "transform.reviews"
    assert dataset["facets"]["version"]["datasetVersion"] == project.published()["transform.reviews"]


def test_a_run_of_nothing_has_a_start_and_an_end(project: Sandbox) -> None:
    project("build", "--select", "state:new")
    found = events(project, "--run", "2")
    assert [e["eventType"] for e in found] == ["START", "COMPLETE"]


def test_another_target_is_another_namespace(project: Sandbox) -> None:
    assert (
        "no run has published anything in target 'ci'"
        in project("lineage", "--openlineage", "--target", "ci", code=2).err
    )
    project("build", "--target", "ci")
    found = events(project, "--target", "ci")
    assert {e["job"]["namespace"] for e in found} == {"teachkit://reviews/ci"}
    assert node_facet(end_of(found, "lf.mood.stars"))["status"] == "reused"
    assert "version" in end_of(found, "lf.mood.stars")["outputs"][0]["facets"]
    assert events(project)[0]["job"]["namespace"] == NAMESPACE


def test_looks_at_the_test_split_are_no_runs(project: Sandbox) -> None:
    project("analyze", "mood", "--gold", "test")
    assert "there is no run '2' in this store" in project("lineage", "--openlineage", "--run", "2", code=2).err
    assert events(project)[0]["run"]["facets"]["teachkit_run"]["runId"].startswith("000001-")


def test_without_a_run_the_advice_is_to_build(tmp_path: Path) -> None:
    fresh = Sandbox(tmp_path / "fresh", REVIEWS)
    said = fresh("lineage", "--openlineage", code=2)
    assert said.out == ""
    assert "no run has published anything in target 'dev'  [no-run]\n  run 'teachkit build' first" in said.err


def test_an_unknown_run_names_the_newest(built: Sandbox) -> None:
    chain = built.json_file(".teachkit/runs/HEAD")
    known = f"000001-{chain['hash'][:8]}"
    said = built("lineage", "--openlineage", "--run", known[:-1], code=2).err
    assert f"there is no run '{known[:-1]}' in this store  [unknown-run]" in said
    assert f"Did you mean '{known}'?" in said


ODD = {
    "teachkit.yml": "name: odd\n",
    "data/a.csv": "Schlüssel,texte\nå 1,größe\n",
    "sources/s.yml": "sources:\n  - {name: end, tables: [{name: graph, path: data/*.csv, key: Schlüssel}]}\n",
    "tasks/class.yml": "tasks:\n  - {name: class, kind: multichoice, labels: [a, b, c, d, e, f, größe], "
    "dataset: \"source('end', 'graph')\", key: Schlüssel}\n",
    "labeling_functions/class/click.sql": "{{ config(label='größe') }}\ntexte like '%größe%'\n",
    "annotations/class/Zoë 日本.csv": "item,label\nå 1,größe\n",
    "label_models/m.yml": "label_models:\n  - {name: default, task: class, type: dawid_skene}\n",
}


@pytest.mark.parametrize("rows", ["Schlüssel,texte\n", "Schlüssel,texte\nå 1,größe\n"], ids=["none", "one"])
def test_odd_names_and_few_rows(tmp_path: Path, rows: str) -> None:
    files = {**ODD, "data/a.csv": rows} | ({} if "å" in rows else {"annotations/class/Zoë 日本.csv": "item,label\n"})
    odd = Sandbox(tmp_path / "ö d", files)
    odd("build")
    found = events(odd)
    [output] = end_of(found, "label_set.default")["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == rows.count("\n") - 1
    assert "sourceCodeLocation" not in found[0]["job"]["facets"]
    names = [d["name"] for d in end_of(found, "annotations.class.Zoë 日本")["inputs"]]
    assert str(odd.root / "annotations/class/Zoë 日本.csv") in names
