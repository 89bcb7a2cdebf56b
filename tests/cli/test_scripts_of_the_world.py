"""Labels, names and texts in the scripts of the world, on the screen: nothing is lost, columns stay columns."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

FAMILY = "👩\u200d👩\u200d👧"
PERSIAN = "می\u200cخواهم"
LONG = "東京の速報です" * 40
LABELS = ["日本 語", "none", "الرياضة"]
TEXTS = [f"東京 {FAMILY}", f"nothing {PERSIAN}", "كرة", "東京 nothing", f"silent {LONG}", f"{LONG} silent too {LONG}"]
GOLD = ["日本 語", "none", "الرياضة", "none", "none", "日本 語"]
WORLD = {
    "teachkit.yml": "name: world\n",
    "data/items.csv": "id,text,gold,topics\n"
    + "".join(f"{n},{t},{g},{'kept' if n else ''}\n" for n, (t, g) in enumerate(zip(TEXTS, GOLD, strict=True))),
    "sources/s.yml": "sources:\n  - name: raw\n    tables:\n      - {name: items, path: data/items.csv, key: id}\n",
    "tasks/t.yml": f"""
        tasks:
          - name: theme
            labels: {LABELS}
            dataset: source('raw', 'items')
            key: id
            show: [text]
            gold: {{column: gold}}
          - name: topics
            kind: multichoice
            labels: [kept, lost]
            dataset: source('raw', 'items')
            key: id
            show: [text]
        """,
    "labeling_functions/theme/words.yml": """
        labeling_functions:
          - {name: tokyo, label: 日本 語, any_of: [東京]}
          - {name: nothing, label: none, any_of: [nothing]}
          - {name: ball, label: الرياضة, any_of: [كرة]}
        """,
    "annotations/theme/田中.csv": "item,label\n0,日本 語\n2,none\n3,日本 語\n",
    "annotations/topics/anna.jsonl": '{"item": 0, "label": []}\n{"item": 1, "label": ["kept"]}\n',
    "label_models/m.yml": """
        label_models:
          - {name: themes, task: theme, type: majority}
          - {name: kept_topics, task: topics, type: majority}
        """,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("world"), WORLD)
    project("build")
    return project


def test_joiners_of_letters_and_of_emoji_are_shown_as_they_are(world: Sandbox) -> None:
    for command in (
        ["show", "source.raw.items"],
        ["try", "--task", "theme", "--label", "none", "--sql", "true"],
        ["errors", "theme", "--cell", "none:(none)"],
    ):
        assert "\N{REPLACEMENT CHARACTER}" not in world(*command).out
    shown = world("show", "source.raw.items").out
    assert FAMILY in shown
    assert PERSIAN in shown


def test_what_a_build_says_stands_in_columns_whatever_nodes_are_called(world: Sandbox, tmp_path: Path) -> None:
    lines = world.copy(tmp_path / "anew")("build", "--full-refresh").out.splitlines()
    ends = {cell_len(line[: line.index(" rows")]) for line in lines if " rows" in line}
    assert len(ends) == 1
    assert any("田中" in line for line in lines)


def test_no_label_is_told_apart_from_a_label_called_none(world: Sandbox) -> None:
    rows = [line.split() for line in world("errors", "theme", "--gold", "all").out.splitlines()]
    assert ["none", "(none)"] in [row[:2] for row in rows]
    assert ["none", "none"] not in [row[:2] for row in rows]


def test_commands_in_advice_can_be_copied(world: Sandbox) -> None:
    lines = world("errors", "theme", "--gold", "all").out.splitlines()
    tries = [line[line.index("teachkit try ") : line.rindex(" …)")] for line in lines if "teachkit try " in line]
    looks = [line[line.index("teachkit errors ") :] for line in lines if "teachkit errors " in line]
    assert {shlex.split(command)[-1] for command in tries} == {"日本 語", "none"}
    assert {shlex.split(command)[-1] for command in looks} == {"日本 語:(none)", "none:(none)"}


def test_none_of_the_labels_is_told_apart_from_no_decision(world: Sandbox) -> None:
    rows = {line.split()[0]: line.split()[1] for line in world("show", "kept_topics").out.splitlines()[1:3]}
    assert rows == {"0": "[]", "1": "kept"}


def test_texts_are_cut_to_the_columns_that_they_take(world: Sandbox) -> None:
    shown = world("errors", "theme", "--gold", "all", "--fault", "uncovered").out
    tried = world("try", "--task", "theme", "--label", "none", "--any-of", "too").out
    for out in (shown, tried):
        lines = [line for line in out.splitlines() if "速報" in line]
        assert lines
        assert all(80 < cell_len(line) <= 100 for line in lines)
    assert "«too»" in tried
