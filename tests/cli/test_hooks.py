"""The hooks for pre-commit, run by pre-commit itself in a repository of a project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.build.test_git import git
from tests.sandbox import REPOSITORY

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

MANIFEST = Path(REPOSITORY, ".pre-commit-hooks.yaml")
PRE_COMMIT = [sys.executable, "-m", "pre_commit"]


def hooks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def repository(built: Sandbox) -> Sandbox:
    """The project below the top of a repository that has the hooks, as this interpreter runs them."""
    top = built.root.parent
    local = [
        {
            **hook,
            "language": "system",
            "entry": f"{sys.executable} -m {hook['entry']}",
            "args": ["--project-dir", "reviews"],
        }
        for hook in hooks()
    ]
    text = yaml.safe_dump({"repos": [{"repo": "local", "hooks": local}]})
    (top / ".pre-commit-config.yaml").write_text(text, encoding="utf-8")
    built.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(top, "init", "-q")
    git(top, "add", ".")
    git(top, "commit", "-qm", "first")
    return built


def run_hooks(project: Sandbox, *arguments: str) -> tuple[int, dict[str, str], str]:
    """What pre-commit says of each hook: passed, failed or skipped."""
    top = project.root.parent
    env = {**os.environ, "PYTHONPATH": REPOSITORY, "PRE_COMMIT_HOME": str(top / "cache"), "PRE_COMMIT_COLOR": "never"}
    done = subprocess.run(
        [*PRE_COMMIT, "run", *arguments], cwd=top, env=env, capture_output=True, text=True, check=False
    )
    said = dict(re.findall(r"^(teachkit \w+)\.+(?:\(.*?\))?(\w+)$", done.stdout, re.M))
    assert set(said) == {"teachkit parse", "teachkit lock"}, done.stdout + done.stderr
    return done.returncode, said, done.stdout


def test_the_manifest_is_one_of_pre_commit() -> None:
    subprocess.run([*PRE_COMMIT, "validate-manifest", str(MANIFEST)], check=True)
    assert [(h["id"], h["language"], h["pass_filenames"]) for h in hooks()] == [
        ("teachkit-parse", "python", False),
        ("teachkit-lock", "python", False),
    ]


def test_a_good_project_passes(repository: Sandbox) -> None:
    code, said, _ = run_hooks(repository, "--all-files")
    assert (code, set(said.values())) == (0, {"Passed"})


def test_only_what_changed_is_looked_at(repository: Sandbox) -> None:
    (repository.root.parent / "notes.rst").write_text("x")
    git(repository.root.parent, "add", ".")
    assert run_hooks(repository)[1] == {"teachkit parse": "Skipped", "teachkit lock": "Skipped"}
    repository.replace("teachkit.lock", "rows: 40", "rows: 41")
    git(repository.root.parent, "add", ".")
    assert run_hooks(repository)[1] == {"teachkit parse": "Skipped", "teachkit lock": "Passed"}


def test_marks_of_a_merge_are_found(repository: Sandbox) -> None:
    for name in ("teachkit.lock", "annotations/mood/ann.jsonl"):
        repository.write({name: f"<<<<<<< HEAD\n{repository.read(name)}=======\n>>>>>>> topic\n".encode()})
    git(repository.root.parent, "add", ".")
    code, said, text = run_hooks(repository)
    assert (code, set(said.values())) == (1, {"Failed"})
    assert "annotations/mood/ann.jsonl:1: a merge conflict is not resolved" in text
    assert "teachkit.lock:1: a merge conflict is not resolved" in text


def test_a_mistake_in_a_file_is_found(repository: Sandbox) -> None:
    repository.replace("label_models/mood.yml", "type: majority", "type: majorty")
    git(repository.root.parent, "add", ".")
    code, said, text = run_hooks(repository)
    assert (code, said["teachkit parse"]) == (1, "Failed")
    assert "Did you mean 'majority'?" in text


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("tasks/a.yml", 0),
        ("x/transforms/a.sql", 0),
        ("annotations/t/a.csv", 0),
        ("prompts/t/a.md", 0),
        ("teachkit.lock", 1),
        ("x/teachkit.lock", 1),
        ("x-teachkit.lock", None),
        ("image.png", None),
    ],
)
def test_which_files_call_a_hook(name: str, hook: int | None) -> None:
    found = [number for number, one in enumerate(hooks()) if re.search(one["files"], name)]
    assert found == ([] if hook is None else [hook])
