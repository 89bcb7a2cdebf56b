"""The options that every command has: where they may stand, what they do; what reaches the screen and how."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox import Sandbox


@pytest.mark.parametrize(
    ("option", "value", "variable"),
    [
        ("--target", "ci", "TEACHKIT_TARGET"),
        ("--vars", "{low: 1}", "TEACHKIT_VARS"),
        ("--project-dir", "../reviews", "TEACHKIT_PROJECT_DIR"),
        ("--profiles-dir", "../profiles", "TEACHKIT_PROFILES_DIR"),
        ("--threads", "1", "TEACHKIT_THREADS"),
        ("--log-format", "json", "TEACHKIT_LOG_FORMAT"),
        ("--quiet", "", "TEACHKIT_QUIET"),
        ("--no-color", "", "TEACHKIT_NO_COLOR"),
    ],
)
def test_an_option_may_stand_before_or_after_the_command_or_in_the_environment(
    built: Sandbox, option: str, value: str, variable: str
) -> None:
    profiles = {"../profiles/profiles.yml": "default: elsewhere\ntargets:\n  elsewhere: {memory: 400MB}\n"}
    built.write(profiles)
    words = [option, value] if value else [option]
    plain = built("build", "--dry-run", "--vars", "{low: 2}")
    found = [
        built(*words, "build", "--full-refresh"),
        built("build", "--full-refresh", *words),
        built("build", "--full-refresh", env={variable: value or "1"}),
    ]
    seen = [re.sub(r" *[\d.]+ m?s\b|\"(seconds|run_id)\": [^,]*", "…", f.all) for f in found]
    first = [re.sub(r"; teachkit.lock changed: commit it", "", s) for s in seen]
    assert first[0] == first[1] == first[2]
    target = {"ci": "ci", "../profiles": "elsewhere"}.get(value, "dev")
    assert built.json_file("target/run_results.json")["target"] == target
    assert (f"target '{target}'" in first[0]) is (value != "json")
    assert plain.code == 0
    if option == "--vars":
        compiled = built.json_file("target/manifest.json")["nodes"]["lf.mood.stars"]["compiled"]
        assert "<= 1" in compiled
    if option == "--quiet":
        assert found[0].out.count("\n") == 3


def test_what_stands_later_counts(once: Sandbox) -> None:
    def target(*words: str, env: dict[str, str] | None = None) -> str:
        return str(once(*words, "--format", "json", env=env).json["target"])

    assert target("parse") == "dev"
    assert target("parse", env={"TEACHKIT_TARGET": "ci"}) == "ci"
    assert target("--target", "dev", "parse", env={"TEACHKIT_TARGET": "ci"}) == "dev"
    assert target("--target", "ci", "parse", "--target", "dev") == "dev"
    assert target("parse", "-t", "ci") == "ci"


def test_a_command_works_in_any_folder_below_the_project(once: Sandbox) -> None:
    from tests.sandbox import Sandbox as Project

    below = Project(once.root / "labeling_functions" / "mood")
    assert below("ls").out == once("ls").out


def test_quiet_leaves_results_and_errors(built: Sandbox) -> None:
    said = built("build", "--quiet")
    assert re.fullmatch(r"\n?18 nodes in .*\npublished to target 'dev'\n", said.out)
    assert json.loads(built("build", "--quiet", "--format", "json").out)["passed"] is True
    assert built("build", "--quiet", "--format", "json").err.count("\n") <= 3
    built.write({"tests/labeled_once.sql": "select id from {{ ref('moods') }} where id = 'r007'"})
    failed = built("build", "--quiet", code=1)
    assert "failed test.labeled_once (tests/labeled_once.sql" in failed.all
    built.write({"tests/labeled_once.sql": "drop table x"})
    assert "tests/labeled_once.sql:1" in built("build", "--quiet", code=2).err


def test_in_json_each_line_of_stderr_is_an_event(built: Sandbox) -> None:
    found = built("--log-format", "json", "build", "--full-refresh")
    assert found.out == ""
    events = found.lines
    assert {e["event"] for e in events} == {"started", "finished"}
    finished = [e for e in events if e["event"] == "finished"]
    assert [e["index"] for e in finished] == list(range(1, 19))
    assert all(e["total"] == 18 for e in events)
    assert {e["id"] for e in events if e["event"] == "started"} == {e["id"] for e in finished}
    assert all(e["level"] == "info" and e["status"] in ("built", "passed") for e in finished)
    both = built("--log-format", "json", "build", "--format", "json")
    assert len(both.json["results"]) == 18
    assert len(both.lines) == 36


def test_in_json_errors_are_lines_too(built: Sandbox) -> None:
    words = "labeling_functions/mood/words.yml"
    built.replace(words, "label: good", "label: goood")
    built.replace(words, "label: bad", "label: bda")
    lines = [e for e in built("--log-format", "json", "build", code=2).lines if e["slug"] == "unknown-label"]
    assert [(e["level"], e["path"], e["line"]) for e in lines] == [("error", words, 2), ("error", words, 3)]
    assert lines[0]["message"] == "'goood' is not a label of task 'mood'"
    assert "Did you mean 'good'?" in lines[0]["advice"]


def test_in_json_a_node_that_fails_is_an_event_with_its_message(built: Sandbox) -> None:
    built.write({"annotations/mood/ann.jsonl": '{"item": "r999", "label": "good"}\n'})
    lines = built("--log-format", "json", "build", code=1).lines
    failed = [e for e in lines if e.get("status") == "error"]
    assert [e["id"] for e in failed] == ["annotations.mood.ann"]
    assert "there is no item 'r999'" in failed[0]["message"]
    assert (failed[0]["path"], failed[0]["line"]) == ("annotations/mood/ann.jsonl", 1)


def test_usage_errors_under_json_are_json(once: Sandbox) -> None:
    for words in (("--log-format", "json", "buidl"), ("--log-format", "json", "build", "--nothing")):
        lines = once(*words, code=2).lines
        assert [line["level"] for line in lines] == ["error"]
    assert "Did you mean 'build'?" in once("--log-format", "json", "buidl", code=2).lines[0]["message"]


def terminal(project: Sandbox, *arguments: str, env: dict[str, str] | None = None) -> str:
    """What a command writes on a terminal."""
    master, slave = pty.openpty()
    environment = {**project.environ({"TERM": "xterm-256color", "COLUMNS": "120"}), **(env or {})}
    with subprocess.Popen(
        [sys.executable, "-m", "teachkit", *arguments], cwd=project.root, env=environment, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        data = b""
        while True:
            try:
                chunk = os.read(master, 1 << 16)
            except OSError:
                break  # the other side is closed
            if not chunk:
                break
            data += chunk
    os.close(master)
    assert process.returncode in (0, 2)
    return data.decode()


def test_colours_on_a_terminal_unless_switched_off(built: Sandbox) -> None:
    assert "\x1b[32mpassed" in terminal(built, "build")
    for words, env in (
        (("--no-color", "build"), {}),
        (("build",), {"NO_COLOR": "1"}),
        (("build",), {"TEACHKIT_NO_COLOR": "1"}),
    ):
        shown = terminal(built, *words, env=env)
        assert "passed" in shown
        assert not re.search(r"\x1b\[[\d;]*3\dm", shown)
    built.replace("teachkit.yml", "name:", "nam:")
    assert "\x1b[31m\x1b[1merror" in terminal(built, "build")
    assert not re.search(r"\x1b\[[\d;]*3\dm", terminal(built, "build", "--no-color"))


def test_a_reader_that_leaves_early_is_no_error(built: Sandbox) -> None:
    for command in ("show moods --limit -1", "build", "ls --output json", "compile --select type:lf"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m teachkit {command} | head -c 1"],
            cwd=built.root,
            env=built.environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == "", command
        assert done.returncode == 0, command


HANGING = """
from teachkit import labeling_function


@labeling_function(label="good")
def short_praise(text: str) -> bool:
    import threading

    threading.Event().wait()
    return True
"""


def test_ctrl_c_keeps_what_was_finished(fresh: Sandbox) -> None:
    style = "labeling_functions/mood/style.py"
    good = fresh.read(style)
    fresh.write({style: HANGING})
    process = fresh.start("build", "--log-format", "json", start_new_session=True)
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(json.loads(line))
        if seen[-1]["event"] == "finished" and seen[-1]["id"] == "test.mood_key":
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert "interrupted; what was finished is kept" in err
    assert not (fresh.root / "teachkit.lock").exists()
    assert not list(fresh.root.glob(".teachkit/objects/tmp/*"))
    fresh.write({style: good})
    statuses = fresh.build()
    assert statuses["transform.reviews"] == "reused"
    assert statuses["label_set.moods"] == "built"


def test_ctrl_c_while_duckdb_runs_a_query(once: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise RuntimeError("Query interrupted")  # what its client makes of the signal

    monkeypatch.setattr("teachkit.api.Project.show", interrupted)
    assert once("show", "moods", code=130).err == "interrupted; what was finished is kept\n"
    assert once("--log-format", "json", "show", "moods", code=130).lines[0]["level"] == "error"


def test_ctrl_c_ends_the_workers_too(fresh: Sandbox) -> None:
    fresh.write(
        {
            "labeling_functions/mood/style.py": HANGING.replace(
                "import threading",
                "import os, pathlib, threading\n    pathlib.Path('pid').write_text(str(os.getpid()))\n",
            )
        }
    )
    pid = fresh.root / "pid"
    os.mkfifo(pid)
    process = fresh.start("build", start_new_session=True)
    worker = int(pid.read_text())
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_several_words_may_follow_an_option(built: Sandbox) -> None:
    together = built("ls", "--select", "praise", "blame", "--exclude", "type:unit_test", "type:data_test").out
    apart = built("ls", "-s", "praise", "-s", "blame", "--exclude", "type:unit_test type:data_test").out
    assert together == apart == "lf.mood.praise\nlf.mood.blame\n"
