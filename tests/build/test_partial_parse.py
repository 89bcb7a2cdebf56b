"""A second parse reads nothing where nothing was touched, and everything where anything was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.build import workspace
from teachkit.graph import compile_graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG_AGO = 1_000_000_000

FILES = {
    "teachkit.yml": "name: moods\nvars: {low: 2}\n",
    "profiles.yml": "targets:\n  dev: {threads: \"{{ env_var('MOOD_THREADS', '2') }}\"}\n  ci: {}\n",
    "sources/shop.yml": "sources:\n  - name: shop\n    tables:\n"
    '      - {name: reviews, path: \'{{ var("folder", "data") }}/*.csv\', key: id}\n',
    "data/one.csv": "id,text,stars\n1,fine,5\n",
    "transforms/items.sql": "select id, text, stars from {{ source('shop', 'reviews') }}\n",
    "tasks/mood.yml": "tasks:\n  - {name: mood, kind: choice, labels: [good, bad], dataset: ref('items'), key: id}\n",
    "labeling_functions/mood/low.sql": "{{ config(label='bad') }}\nstars <= {{ var('low') }}\n",
    "labeling_functions/mood/high.sql": "{{ config(label='good') }}\nstars >= 4\n",
    "label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, type: majority}\n",
}


def write(folder: Path, name: str, text: str) -> None:
    """Write a file as of long ago, each version at a time of its own: the clock plays no part."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (LONG_AGO + len(text), LONG_AGO + len(text)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        write(tmp_path, name, text)
    return tmp_path


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The projects that were compiled, one entry for each time."""
    found: list[Path] = []
    real = compile_graph

    def noted(files: Any, *rest: Any) -> Any:
        found.append(files.root)
        return real(files, *rest)

    monkeypatch.setattr(workspace, "compile_graph", noted)
    return found


def test_an_untouched_project_is_parsed_once(project: Path, compiled: list[Path]) -> None:
    first = Project.load(project).parse()
    assert Project.load(project).parse() == first
    assert len(compiled) == 1


CHANGES: dict[str, Callable[[Path], None]] = {
    "a rule says something else": lambda p: write(
        p, "labeling_functions/mood/low.sql", "{{ config(label='bad') }}\nfalse"
    ),
    "a new rule": lambda p: write(p, "labeling_functions/mood/new.sql", "{{ config(label='good') }}\nstars = 5\n"),
    "a rule is gone": lambda p: (p / "labeling_functions/mood/low.sql").unlink(),
    "a variable": lambda p: write(p, "teachkit.yml", "name: moods\nvars: {low: 1}\n# longer"),
    "a new column in the source": lambda p: write(p, "data/one.csv", "id,text,stars,place\n1,fine,5,here\n"),
    "a new file of the source": lambda p: write(p, "data/two.csv", "id,text,stars\n2,fine,5\n"),
    "the manifest": lambda p: write(p, "target/manifest.json", "{}\n"),
    "the memory": lambda p: write(p, "target/partial_parse.json", "[]\n"),
    "a new profile": lambda p: write(p, "profiles.yml", "targets: {dev: {threads: 1}}\n"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_seen(change: Callable[[Path], None], project: Path, compiled: list[Path]) -> None:
    Project.load(project).parse()
    change(project)
    again = Project.load(project).parse()
    assert len(compiled) == 2
    with Project.load(project).workspace() as work:
        assert set(again["nodes"]) == set(work.graph.nodes)
    assert (project / "target/manifest.json").stat().st_size > 100


def test_options_and_the_environment_are_seen(
    project: Path, compiled: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Project.load(project).parse()
    Project.load(project, vars={"low": 4}).parse()
    Project.load(project, target="ci").parse()
    Project.load(project).parse()
    monkeypatch.setenv("MOOD_THREADS", "1")
    Project.load(project).parse()
    assert len(compiled) == 5
    Project.load(project).parse()
    assert len(compiled) == 5


def test_a_source_outside_of_the_project_is_watched(
    project: Path, compiled: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    write(folder, "one.csv", FILES["data/one.csv"])
    variables = {"folder": str(folder)}
    Project.load(project, vars=variables).parse()
    Project.load(project, vars=variables).parse()
    assert len(compiled) == 1
    write(folder, "two.csv", "id,text,stars\n2,fine,5\n")
    Project.load(project, vars=variables).parse()
    assert len(compiled) == 2


def test_a_file_changed_just_now_is_not_trusted(project: Path, compiled: list[Path]) -> None:
    """Its next change may show the same time: file systems count in ticks."""
    (project / "data/one.csv").touch()
    stat = (project / "data/one.csv").stat()
    os.utime(project / "data/one.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**12))
    Project.load(project).parse()
    Project.load(project).parse()
    assert len(compiled) == 2
