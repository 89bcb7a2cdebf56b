"""Whatever happens to a build: what it finished is kept, nothing half-built is seen, the next gives the same labels."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import xml.etree.ElementTree as ElementTree
from typing import TYPE_CHECKING

import pytest

from teachkit.build.artifacts import junit
from teachkit.build.run import NodeResult, Run
from teachkit.errors import Where
from teachkit.store import Store
from tests.dying import run_and_die
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

NODES = 18


def assert_sound(project: Sandbox) -> None:
    """Every object holds what its description says, the chain of runs holds, nothing temporary is left."""
    with Store.open(project.root / ".teachkit", create=False) as store:
        assert store.verify_chain() is None
        assert [problem for key in list(store.keys()) if (problem := store.verify_object(key))] == []


@pytest.mark.parametrize("finished", [1, 5, 8, 11, 14, 17])
def test_kill_after_a_node_finished_keeps_that_node(finished: int, fresh: Sandbox, once: Sandbox) -> None:
    process = fresh.start("build", "--log-format", "json")
    assert process.stderr is not None
    done: set[str] = set()
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "finished":
            done.add(event["id"])
        if len(done) == finished:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (fresh.root / "teachkit.lock").exists()
    statuses = fresh.build()
    kept = {i for i in done if i.split(".")[0] in ("transform", "lf", "annotations", "label_set")}
    assert {i for i in kept if statuses[i] != "reused"} == set()
    assert fresh.published() == once.published()
    assert fresh.read("teachkit.lock") == once.read("teachkit.lock")
    assert_sound(fresh)


def build_and_die(project: Sandbox, number: int, moment: str = "after") -> CompletedProcess[str]:
    """Build until the ``number``-th file is renamed to its final name, then die as with ``kill -9``."""
    return run_and_die(project, "build", number=number, moment=moment)


@pytest.fixture(scope="module")
def renames(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many files a whole build renames to their final names."""
    number = int(build_and_die(Sandbox(tmp_path_factory.mktemp("whole"), REVIEWS), -1).stdout.split()[-1])
    assert number > 40
    return number


@pytest.mark.parametrize("share", [0.05, 0.4, 0.85, 1.0])
def test_kill_as_a_file_gets_its_name(share: float, renames: int, fresh: Sandbox, once: Sandbox) -> None:
    number = max(1, round(share * renames))
    assert build_and_die(fresh, number, "before").returncode == -signal.SIGKILL
    assert build_and_die(fresh, 1, "after").returncode == -signal.SIGKILL
    fresh("build")
    assert fresh.published() == once.published()
    assert fresh.read("teachkit.lock") == once.read("teachkit.lock")
    assert fresh.read("output/train.csv") == once.read("output/train.csv")
    assert_sound(fresh)
    assert fresh.fresh_nodes() == set()


def test_two_builds_at_once(fresh: Sandbox, once: Sandbox) -> None:
    both = [fresh.start("build", "--format", "json") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [json.loads(out)["passed"] for out, _ in said] == [True, True]
    assert fresh.published() == once.published()
    assert fresh.read("teachkit.lock") == once.read("teachkit.lock")
    assert_sound(fresh)
    assert [p.name for p in sorted(fresh.root.glob(".teachkit/runs/0*.json"))] == ["000001.json", "000002.json"]


def test_a_second_build_runs_nothing_and_leaves_everything(built: Sandbox) -> None:
    def objects() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in built.root.glob(".teachkit/objects/*/*")}

    first = built.fresh_nodes()
    before, files, lock = built.state(), objects(), (built.root / "teachkit.lock").stat().st_mtime_ns
    runs = len(list(built.root.glob(".teachkit/runs/0*.json")))
    statuses = built.build()
    assert first == set()
    assert set(statuses.values()) == {"reused", "passed"}
    assert len(statuses) == NODES
    assert built.state() == before
    assert objects() == files
    assert (built.root / "teachkit.lock").stat().st_mtime_ns == lock
    assert len(list(built.root.glob(".teachkit/runs/0*.json"))) == runs + 1
    assert built.json_file(".teachkit/refs/dev.json")["run"].startswith("000001-")


def test_a_renamed_folder_keeps_everything(built: Sandbox, tmp_path: Path) -> None:
    before = built.state()
    moved = built.root.rename(tmp_path / "elsewhere")
    project = Sandbox(moved)
    assert project.fresh_nodes() == set()
    assert project.state() == before
    assert len(project.rows("moods")) == 40
    assert project("sql", "select count(*) as n from data.reviews", "--format", "json").json["rows"] == [{"n": 40}]
    assert project("lineage", "moods", "r002").out.startswith("moods  r002:  bad")


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [500, 1500, 3500, 12_000])
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_lost(size: int, built: Sandbox) -> None:
    before = {n: d for n, d in built.state().items() if not n.startswith("output")}
    shutil.rmtree(built.root / "target")
    (built.root / ".teachkit/teachkit.duckdb").unlink()
    with built.changed(
        {
            "data/reviews.csv": built.read("data/reviews.csv").replace("r001", "r900").replace("r002", "r901"),
            "annotations/mood/ann.jsonl": "",
        }
    ):
        found = built.spawn("build", code=None, preexec_fn=lambda: limited(size))
        assert found.code in (1, 2)
        assert "[store-unwritable]" in found.all
        assert "File too large" in found.all
        if size < 3000:
            assert {n: d for n, d in built.state().items() if not n.startswith("output")} == before
    assert list(built.root.glob(".teachkit/objects/tmp/*")) == []
    built("build")
    assert {n: d for n, d in built.state().items() if not n.startswith("output")}["teachkit.lock"] == before[
        "teachkit.lock"
    ]
    assert_sound(built)


def test_a_store_that_cannot_be_written_is_named(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    before = built.state()
    built.replace("labeling_functions/mood/stars.sql", "4", "5")
    built.write({"profiles.yml": "targets:\n  dev: {store: /proc/teachkit}\n"})
    found = built("build", code=2)
    assert "cannot write /proc/teachkit" in found.err
    assert "profiles.yml" in found.err
    assert built.state() == before


def test_a_folder_in_place_of_a_file_of_the_store_is_named(built: Sandbox) -> None:
    lock = built.root / ".teachkit/runs/000002.json"
    lock.mkdir()
    found = built("build", code=2)
    assert "000002.json" in found.err
    lock.rmdir()
    built("build")


def test_a_run_record_that_is_gone_is_named_with_a_way_out(built: Sandbox) -> None:
    built("build")
    (built.root / ".teachkit/runs/000002.json").unlink()
    before = built.state()
    found = built("build", code=2)
    assert "runs/HEAD is damaged: it names run 2, which is missing" in found.err
    assert "remove it; 'teachkit build' makes it again" in found.err
    assert built.state() == before
    (built.root / ".teachkit/runs/HEAD").unlink()
    built("build")
    assert_sound(built)


def test_an_object_that_is_gone_is_made_again(built: Sandbox) -> None:
    before = built.state()
    for path in built.root.glob(".teachkit/objects/*/*.parquet"):
        path.unlink()
    assert "label_set.moods" in built.fresh_nodes()
    assert built.state() == before
    assert_sound(built)


def test_an_object_that_is_torn_is_named(built: Sandbox) -> None:
    key = built.json_file(".teachkit/refs/dev.json")["nodes"]["lf.mood.stars"]["objects"][0]
    path = built.root / f".teachkit/objects/{key[:2]}/{key}.parquet"
    path.write_bytes(path.read_bytes()[:-7])
    built.replace("labeling_functions/mood/words.yml", "great", "grand")
    before = built.state()
    found = built("build", code=1)
    assert f"{key}.parquet is damaged" in found.all
    assert "'teachkit build' makes it again" in found.all
    assert built.state() == before
    path.unlink()
    built("build")
    assert_sound(built)


def test_a_torn_cache_costs_nothing(built: Sandbox) -> None:
    before = built.state()
    (built.root / ".teachkit/cache/cache.sqlite").write_bytes(b"torn" * 1000)
    assert built.fresh_nodes() <= {"export.train"}
    assert built.state() == before


def test_environment_of_another_tool_is_refused(built: Sandbox) -> None:
    built.write({".teachkit/refs/dev.json": "[]"})
    found = built("build", code=2)
    assert "dev.json is damaged" in found.err


MESSY = """
from teachkit import labeling_function


@labeling_function(label="good")
def short_praise(text: str) -> bool:
    raise ValueError("bell \\x07 escape \\x1b[31m null \\x00 <&\\"'> ]]> \\ud800 \\ufffe \\uffff ü 🎉")
"""


def test_artifacts_hold_any_message(built: Sandbox) -> None:
    built.write(
        {
            "labeling_functions/mood/style.py": MESSY,
            "tests/labeled_once.sql": "select id, '<&>]]>' as x from {{ ref('moods') }}",
        }
    )
    for words in (("--format", "json"), ("--log-format", "json"), ()):
        found = built.spawn("build", *words, code=1)
        found.all.encode()
    for line in built("build", "--log-format", "json", code=1).lines:
        assert isinstance(line, dict)
    results = built.json_file("target/run_results.json")
    assert {r["id"]: r["status"] for r in results["results"]}["lf.mood.short_praise"] == "error"
    assert results["passed"] is False
    suite = ElementTree.fromstring(built.read("target/junit.xml"))[0]
    cases = {case.get("name"): case for case in suite}
    assert [child.tag for child in cases["lf.mood.short_praise"]] == ["error"]
    assert "ü 🎉" in str(cases["lf.mood.short_praise"][0].get("message"))
    assert suite.get("errors") == "1"
    assert suite.get("skipped") == str(sum(c[0].tag == "skipped" for c in suite if len(c)))
    assert built.json_file("target/manifest.json")["nodes"].keys() == {r["id"] for r in results["results"]}
    assert_sound(built)


def test_junit_takes_any_message() -> None:
    message = "bell \x07 null \x00 \ud800 \ufffe <&\"'> ]]> ü\nsecond line"
    result = NodeResult('test."<x>', "test", "failed", message=message, where=Where("a&b.sql", 3))
    run = Run(
        "r", "build", None, None, "dev", 1.0, 0.0, (result, NodeResult("test.y", "test", "warned", message="<w>"))
    )
    first, second = ElementTree.fromstring(junit(run).encode())[0]
    assert (first.get("name"), first.get("file"), first.get("line")) == ('test."<x>', "a&b.sql", "3")
    assert first[0].text == "bell \\x07 null \\x00 \\ud800 \\ufffe <&\"'> ]]> ü\nsecond line"
    assert "second" not in str(first[0].get("message"))
    assert (second[0].tag, second[0].text) == ("system-out", "<w>")


def test_junit_of_a_good_build(built: Sandbox) -> None:
    built("build")
    suites = ElementTree.fromstring(built.read("target/junit.xml"))
    assert (suites.tag, suites[0].tag) == ("testsuites", "testsuite")
    assert [suites[0].get(n) for n in ("tests", "failures", "errors", "skipped")] == ["8", "0", "0", "0"]
    assert {c.get("classname") for c in suites[0]} == {"test", "unit_test"}
    assert {c.get("file") for c in suites[0]} == {
        "sources/shop.yml",
        "tasks/mood.yml",
        "label_models/mood.yml",
        "tests/labeled_once.sql",
        "tests/rules.yml",
    }


def test_clean_removes_target_and_nothing_else(built: Sandbox) -> None:
    built("build")
    built("parse")
    built.write({"target/partial_parse.json": "{}"})  # 'parse' leaves one, if its files have settled
    before = {p for p in built.root.rglob("*") if not p.is_relative_to(built.root / "target")}
    built("clean")
    assert set(built.root.rglob("*")) == before
    assert built("clean").out == "nothing to remove: there is no target/\n"
    assert built.fresh_nodes() == set()


@pytest.mark.parametrize("folder", [".", "..", ".teachkit", "data", "{elsewhere}"])
def test_clean_never_removes_what_a_build_cannot_make(folder: str, built: Sandbox, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "photo.jpg").touch()
    place = folder.format(elsewhere=elsewhere)
    built.write({"teachkit.yml": f"name: reviews\nvars: {{low: 2}}\npaths: {{target: '{place}'}}\n"})
    before = set(tmp_path.rglob("*"))
    assert "holds more than what is made anew" in built("clean", code=2).err
    assert set(tmp_path.rglob("*")) == before
