"""The log of runs: every kind of record, what it published, and a chain that does not hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from teachkit import Project
from teachkit.store import Store
from tests.build.test_git import git

if TYPE_CHECKING:
    from tests.sandbox import Sandbox


def log(project: Sandbox, *options: str, code: int = 0) -> Any:
    found = project("audit", "log", "--format", "json", *options, code=code).json
    assert found["holds"] == (code == 0)
    return found


def test_runs_stand_newest_first_with_what_they_published(built: Sandbox) -> None:
    built("build", "--target", "ci")
    built("test")
    built("analyze", "mood", "--gold", "test")
    built.replace("labeling_functions/mood/style.py", 'return "love"', 'raise ValueError("no")\n    return "love"')
    built("run", code=1)
    found = log(built)
    runs = found["runs"]
    assert [run["number"] for run in runs] == [5, 4, 3, 2, 1]
    assert [run["status"] for run in runs] == ["failed", "looked", "done", "published", "published"]
    assert [run["command"] for run in runs] == ["run", "look", "test", "build", "build"]
    assert [run["target"] for run in runs] == ["dev", "dev", "dev", "ci", "dev"]
    assert [bool(run["label_sets"]) for run in runs] == [False, False, False, True, True]
    assert [run["previous"] for run in runs] == [*(run["hash"] for run in runs[1:]), None]
    (moods,) = runs[-1]["label_sets"]
    assert moods == {"name": "moods", "digest": built.published()["label_set.moods"], "rows": 40}
    assert runs[-1]["others"] == 9  # source, transform, five functions, one annotator, one export
    assert runs[1]["by"] == "analyze"
    assert "lf.mood.stars" in runs[1]["looks"]["mood"]
    assert runs[-1]["looks"] == {"mood": ["label_set.moods"]}
    text = built("audit", "log").out
    assert "the chain holds: 5 runs, each with the hash of the one before it" in text
    assert f"  {runs[1]['run_id']}  task mood, look by analyze: " in text
    api = Project.load(built.root).audit_log(limit=2)
    assert json.loads(json.dumps(api.as_dict())) == log(built, "--limit", "2")


def test_a_limit_says_what_is_left_out(built: Sandbox) -> None:
    built("test")
    found = log(built, "--limit", "1")
    assert (len(found["runs"]), found["total"]) == (1, 2)
    assert "1 older run not shown: --limit -1 shows all" in built("audit", "log", "--limit", "1").out
    assert len(log(built, "--limit", "-1")["runs"]) == 2
    assert "older" not in built("audit", "log", "--limit", "-1").out


def test_a_commit_and_files_that_were_not_in_it(fresh: Sandbox) -> None:
    fresh("build")
    fresh.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(fresh.root, "init", "-q")
    fresh("build")
    git(fresh.root, "add", ".")
    git(fresh.root, "commit", "-qm", "first")
    fresh("build")
    fresh.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    fresh("build")
    head = git(fresh.root, "rev-parse", "HEAD")
    runs = log(fresh)["runs"]
    assert [run["commit"] for run in runs] == [head, head, None, None]
    assert [run["changed"] for run in runs[:2]] == [["labeling_functions/mood/stars.sql"], []]
    assert runs[3]["changed"] is None
    lines = fresh("audit", "log").out.splitlines()[1:5]
    said = [
        "not in git" in lines[3],
        "none + changes" in lines[2],
        head[:10] in lines[1],
        f"{head[:10]} + " in lines[0],
    ]
    assert all(said)


def test_nothing_was_run(fresh: Sandbox) -> None:
    assert fresh("audit", "log").out == "nothing was run yet\n"
    assert log(fresh)["runs"] == []
    assert not (fresh.root / ".teachkit").exists()


def test_a_project_that_does_not_compile_has_a_log(built: Sandbox) -> None:
    built.write({"labeling_functions/mood/stars.sql": "this is no SQL", "data/reviews.csv": None})
    assert log(built)["total"] == 1


def test_a_record_of_a_kind_that_is_not_known(built: Sandbox) -> None:
    with Store.open(built.root / ".teachkit") as store:
        store.append_run({"command": "review", "target": "dev"})
        store.append_run({})
    runs = log(built)["runs"]
    assert [run["command"] for run in runs] == ["", "review", "build"]
    assert [run["status"] for run in runs] == ["done", "done", "published"]
    assert "review" in built("audit", "log").out
    assert built("audit", "verify").code == 0


def test_a_chain_that_does_not_hold(built: Sandbox) -> None:
    for _ in range(3):
        built("test")
    path = ".teachkit/runs/000002.json"
    built.replace(path, '"dev"', '"dex"')
    found = log(built, code=1)
    assert found["broken"]["path"] == ".teachkit/runs/000003.json"
    assert [run["number"] for run in found["runs"]] == [4, 3, 2, 1]
    text = built("audit", "log", code=1).out
    assert "THE CHAIN DOES NOT HOLD: .teachkit/runs/000003.json: it does not follow the run before it" in text
    built.write({path: b"{"})
    found = log(built, code=1)
    assert [run["number"] for run in found["runs"]] == [4, 3, 1]
    assert [fault["path"] for fault in found["unreadable"]] == [path]
    assert f"{path} cannot be read" in built("audit", "log", code=1).out


def test_a_head_that_is_gone_or_names_nothing(built: Sandbox) -> None:
    built("test")
    for text in (b"{", None):
        built.write({".teachkit/runs/HEAD": text})
        found = log(built, code=1)
        assert [run["number"] for run in found["runs"]] == [2, 1]
        assert found["broken"]["path"] == ".teachkit/runs/HEAD"


def test_a_record_that_its_process_did_not_name_in_head(built: Sandbox) -> None:
    head = built.read(".teachkit/runs/HEAD")
    built("test")
    built.write({".teachkit/runs/HEAD": head.encode()})
    assert log(built)["total"] == 2
