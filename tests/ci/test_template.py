"""The workflows of the template: safe by their form; the scripts that write comments, run with other tools in place."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from teachkit.cli.app import cli
from teachkit.diff.markdown import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = Path(__file__).parents[2] / "template_project"
WORKFLOWS = sorted((TEMPLATE / ".github/workflows").glob("*.yml"))
RUNS, COMMENTS = "teachkit.yml", "teachkit-comment.yml"
_NAMES = [w.name for w in WORKFLOWS]


def workflow(name: str) -> Any:
    found = yaml.safe_load((TEMPLATE / ".github/workflows" / name).read_text(encoding="utf-8"))
    found["on"] = found.pop(True)  # YAML 1.1 reads "on" as a truth value
    return found


def steps_of(name: str) -> list[Any]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def gitlab() -> Any:
    return yaml.safe_load((TEMPLATE / ".gitlab-ci.yml").read_text(encoding="utf-8"))


def test_there_are_two_workflows() -> None:
    assert set(_NAMES) == {RUNS, COMMENTS}


def test_what_runs_code_of_a_change_may_only_read() -> None:
    found = workflow(RUNS)
    assert found["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in found["jobs"].values())
    assert "secrets." not in (TEMPLATE / ".github/workflows" / RUNS).read_text(encoding="utf-8")
    checkout = next(s for s in steps_of(RUNS) if s.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_what_may_write_runs_no_code_of_a_change() -> None:
    found = workflow(COMMENTS)
    assert found["permissions"] == {}
    (job,) = found["jobs"].values()
    assert job["permissions"] == {"actions": "read", "pull-requests": "write"}
    (step,) = job["steps"]
    assert "uses" not in step
    assert "git " not in step["run"]
    assert found["on"] == {"workflow_run": {"workflows": [workflow(RUNS)["name"]], "types": ["completed"]}}


@pytest.mark.parametrize("name", _NAMES)
def test_no_workflow_starts_with_the_rights_of_the_target_branch(name: str) -> None:
    assert "pull_request_target" not in workflow(name)["on"]


@pytest.mark.parametrize("name", _NAMES)
def test_actions_are_pinned_to_a_commit_and_say_their_version(name: str) -> None:
    text = (TEMPLATE / ".github/workflows" / name).read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert all(re.fullmatch(r"actions/[a-z/-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line) for line in used)
    assert len(used) == sum("uses" in step for step in steps_of(name))


@pytest.mark.parametrize("name", _NAMES)
def test_scripts_hold_no_expressions(name: str) -> None:
    """What others write (a branch's name, a title) reaches a script as a variable, never as part of its text."""
    assert all("${{" not in step.get("run", "") for step in steps_of(name))


@pytest.mark.parametrize("name", _NAMES)
def test_jobs_end_and_do_not_pile_up(name: str) -> None:
    found = workflow(name)
    assert all(0 < job["timeout-minutes"] <= 30 for job in found["jobs"].values())
    assert "group" in found["concurrency"]


def test_the_commands_of_the_workflows_are_commands_of_ours() -> None:
    scripts = [s["run"] for s in steps_of(RUNS) if "run" in s] + gitlab()["labels"]["script"]
    ours = [line for script in scripts for line in script.splitlines() if line.startswith("teachkit ")]
    assert ours == ["teachkit ci --target ci"] * 2
    for line in ours:
        _parse(line)


def _parse(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    command.make_context(name, arguments)


def test_the_marker_is_that_of_the_comment() -> None:
    """Three files and a program must agree on it."""
    for name in (".github/workflows/teachkit-comment.yml", ".gitlab-ci.yml"):
        assert MARKER in (TEMPLATE / name).read_text(encoding="utf-8")


def test_the_job_that_holds_gitlabs_token_runs_no_code_of_a_change() -> None:
    found = gitlab()
    assert "TOKEN" not in str(found["labels"])
    assert found["comment"]["variables"]["GIT_STRATEGY"] == "none"
    assert "TEACHKIT_GITLAB_TOKEN" in found["comment"]["rules"][0]["if"]
    assert found["labels"]["artifacts"]["when"] == "always"


# the scripts

_GH = """#!/usr/bin/env python3
import json, os, pathlib, sys
here = pathlib.Path(os.environ["HERE"])
arguments = sys.argv[1:]
world = json.loads((here / "world.json").read_text())
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
if arguments[:2] == ["run", "download"]:
    folder = pathlib.Path(arguments[arguments.index("--dir") + 1])
    for name, text in world["artifact"].items():
        (folder / name).write_text(text)
elif "artifacts" in arguments[1]:
    print(world["size"])
elif "/pulls/" in arguments[1]:
    number = arguments[1].rpartition("/")[2]
    if number not in world["heads"]:
        sys.exit("gh: Not Found (HTTP 404)")
    print(world["heads"][number])
elif "/comments?" in " ".join(arguments):
    print("\\n".join(world["own"]))
"""


class Hub:
    """GitHub, as far as the script asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        program = folder / "bin/gh"
        program.write_text(_GH, encoding="utf-8")
        program.chmod(0o755)
        self.world: dict[str, Any] = {
            "artifact": {"number": "7\n", "diff.md": f"{MARKER}\n### 3 labels flip\n"},
            "size": "900",
            "heads": {"7": "abc"},
            "own": [],
        }

    def __call__(self, code: int = 0) -> str:
        """Run the script; what it said."""
        (self.folder / "world.json").write_text(json.dumps(self.world), encoding="utf-8")
        (self.folder / "calls").unlink(missing_ok=True)
        (step,) = steps_of(COMMENTS)
        variables = {"REPOSITORY": "o/r", "RUN_ID": "12", "HEAD_SHA": "abc", "GH_TOKEN": "t"}
        assert set(step["env"]) == set(variables)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        env = {**variables, "PATH": path, "HERE": str(self.folder), "TMPDIR": str(self.folder)}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(shell, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text(encoding="utf-8").splitlines()]

    @property
    def written(self) -> list[tuple[str, str]]:
        """Method and place of each call that writes."""
        found = []
        for call in self.calls:
            if "--method" in call:
                at = call.index("--method")
                assert call[-2] == "--field"
                assert call[-1].startswith("body=@")
                found.append((call[at + 1], call[at + 2]))
        return found


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def test_a_comment_is_written_then_updated(hub: Hub) -> None:
    hub()
    assert hub.written == [("POST", "repos/o/r/issues/7/comments")]
    hub.world["own"] = ["41", "42"]
    hub()
    assert hub.written == [("PATCH", "repos/o/r/issues/comments/41")]


def test_only_a_comment_of_the_bots_own_is_updated(hub: Hub) -> None:
    """Anybody can write the marker; the filter is jq's, so its text is looked at."""
    hub()
    (listed,) = [c for c in hub.calls if "--paginate" in c]
    assert 'select(.user.login == "github-actions[bot]" and (.body | startswith("' + MARKER in listed[-1]


@pytest.mark.parametrize("number", ["", "7; id", "$(id)", "../7", "-1", "07", "1\n2", "7" * 30, "７"])
def test_what_is_no_number_is_refused(hub: Hub, number: str) -> None:
    hub.world["artifact"]["number"] = number
    assert "no number of a pull request" in hub(code=1)
    assert hub.written == []


def test_a_pull_request_at_another_commit_gets_no_comment(hub: Hub) -> None:
    hub.world["heads"]["8"] = "def"
    hub.world["artifact"]["number"] = "8"
    assert "no comment is written" in hub()
    assert hub.written == []


def test_a_pull_request_that_is_not_there_gets_no_comment(hub: Hub) -> None:
    hub.world["artifact"]["number"] = "9"
    hub(code=1)
    assert hub.written == []


def _bad_artifacts() -> Iterator[tuple[dict[str, str], str]]:
    good = {"number": "7", "diff.md": f"{MARKER}\n"}
    yield {**good, "diff.md": f"{MARKER}\n" + "x" * 65536}, "too long"
    yield {**good, "diff.md": "hello\n"}, "no comment of teachkit"
    yield {"number": "7"}, "no file diff.md"
    yield {"diff.md": f"{MARKER}\n"}, "no file number"


@pytest.mark.parametrize(("artifact", "said"), list(_bad_artifacts()))
def test_what_is_no_comment_is_refused(hub: Hub, artifact: dict[str, str], said: str) -> None:
    hub.world["artifact"] = artifact
    assert said in hub(code=1)
    assert hub.written == []


def test_a_huge_artifact_is_not_even_fetched(hub: Hub) -> None:
    hub.world["size"] = "200000"
    assert "too large" in hub(code=1)
    assert not any("download" in call for call in hub.calls)


def test_a_run_without_a_comment_is_no_failure(hub: Hub) -> None:
    hub.world["size"] = ""
    assert "left no comment" in hub()
    assert hub.written == []


_CURL = """#!/usr/bin/env python3
import json, os, pathlib, sys
here = pathlib.Path(os.environ["HERE"])
arguments = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
world = json.loads((here / "world.json").read_text())
if arguments[-1].endswith("/user"):
    print('{"id": 5}')
elif "page=" in arguments[-1]:
    page = int(arguments[-1].rpartition("=")[2])
    print(json.dumps(world[page - 1] if page <= len(world) else []))
"""


def _note(tmp_path: Path, pages: list[list[dict[str, Any]]]) -> list[list[str]]:
    """Run GitLab's script; the calls that write."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/curl"
    program.write_text(_CURL, encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "world.json").write_text(json.dumps(pages), encoding="utf-8")
    (tmp_path / "target/ci").mkdir(parents=True)
    (tmp_path / "target/ci/diff.md").write_text(f"{MARKER}\n", encoding="utf-8")
    variables = {
        "CI_API_V4_URL": "https://gitlab.example.org/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "9",
        "TEACHKIT_GITLAB_TOKEN": "t",
        "TEACHKIT_PROJECT_DIR": ".",
    }
    env = {**variables, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HERE": str(tmp_path)}
    (script,) = gitlab()["comment"]["script"]
    subprocess.run(["sh", "-c", script], cwd=tmp_path, env=env, check=True)
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    return [c for c in calls if "--request" in c]


def test_on_gitlab_a_note_is_written(tmp_path: Path) -> None:
    others = [{"id": 1, "author": {"id": 6}, "body": MARKER}, {"id": 2, "author": {"id": 5}, "body": "hello"}]
    (call,) = _note(tmp_path, [others])
    assert call[call.index("--request") + 1] == "POST"
    assert call[-1] == "https://gitlab.example.org/api/v4/projects/3/merge_requests/9/notes"
    assert "body@./target/ci/diff.md" in call


def test_on_gitlab_ones_own_note_is_updated_however_many_there_are(tmp_path: Path) -> None:
    others = [{"id": i, "author": {"id": 6}, "body": "x"} for i in range(100)]
    (call,) = _note(tmp_path, [others, [{"id": 200, "author": {"id": 5}, "body": f"{MARKER}\nold"}]])
    assert call[call.index("--request") + 1] == "PUT"
    assert call[-1].endswith("/notes/200")
