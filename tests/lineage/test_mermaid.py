"""Flowcharts: read back by a strict grammar of what we write, they hold the nodes and edges of the project."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit import Project
from teachkit.errors import Where
from teachkit.graph import Node
from teachkit.lineage.forms.mermaid import KINDS, MANY_NODES, MOST_CHARACTERS, MOST_EDGES, escaped, mermaid
from teachkit.printable import printable
from tests.lineage.test_openlineage import ODD
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

_NODE = re.compile(r'^  (n\d+)(\[\(|\[\[|\[/|\[|\(\[|\(|\{\{|>)"([^"]*)"(\)\]|\]\]|/\]|\]\)|\]|\)|\}\}):::(\w+)$')
_EDGE = re.compile(r"^  (n\d+) --> (n\d+)$")
_CLASS = re.compile(r"^  classDef (\w+) fill:(#[0-9a-f]{6}),stroke:(#[0-9a-f]{6}),color:(#[0-9a-f]{6})$")
# What a quoted label may hold: letters and digits of any script, a few signs with no meaning, and codes.
_LABEL = re.compile(r"^(#\d+;|[\w ,./…-])+$")
_CLOSING = {k.opening: k.closing for k in KINDS.values()}


def parsed(text: str) -> tuple[dict[str, tuple[str, str]], set[tuple[str, str]]]:
    """Label and class of each node by its id, and the edges; fails on whatever the grammar does not have."""
    lines = text.splitlines()
    assert lines[0] == "flowchart LR"
    assert text.endswith("\n")
    nodes: dict[str, tuple[str, str]] = {}
    edges: set[tuple[str, str]] = set()
    classes: set[str] = set()
    for line in lines[1:]:
        if node := _NODE.match(line):
            name, opening, label, closing, kind = node.groups()
            assert not classes
            assert not edges
            assert _CLOSING[opening] == closing
            assert _LABEL.match(label), label
            assert name not in nodes
            nodes[name] = (read(label), kind)
        elif edge := _EDGE.match(line):
            assert edge.groups() not in edges
            assert edge[1] != edge[2]
            edges.add((edge[1], edge[2]))
        else:
            found = _CLASS.match(line)
            assert found, line
            classes.add(found[1])
            assert contrast(found[2], found[4]) > 7
    assert {end for edge in edges for end in edge} <= set(nodes)
    assert {kind for _, kind in nodes.values()} == classes
    assert len(edges) <= MOST_EDGES
    assert len(text) <= MOST_CHARACTERS
    return nodes, edges


def read(label: str) -> str:
    """A label as Mermaid shows it."""
    return html.unescape(re.sub(r"#(\d+);", r"&#\1;", label))


def contrast(one: str, other: str) -> float:
    """The ratio of contrast of two colours, as WCAG 2 computes it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def named(text: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The labels, and the edges between labels."""
    nodes, edges = parsed(text)
    return {label for label, _ in nodes.values()}, {(nodes[a][0], nodes[b][0]) for a, b in edges}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("mermaid") / "reviews", REVIEWS)


def test_the_whole_project(project: Sandbox) -> None:
    found = project("lineage", "--graph")
    graph = Project.load(project.root).graph()
    labels, edges = named(found.out)
    assert labels == set(graph.nodes)
    assert edges == {(parent, n.id) for n in graph for parent in n.inputs}
    assert found.err == ""
    assert all(kind == label.partition(".")[0] for label, kind in parsed(found.out)[0].values())


def test_what_a_node_is_made_of(project: Sandbox) -> None:
    labels, edges = named(project("lineage", "moods", "--graph").out)
    assert "source.shop.reviews" in labels
    assert "lf.mood.stars" in labels
    assert not any(label.startswith(("test.", "export.")) for label in labels)
    assert ("lf.mood.stars", "label_set.moods") in edges
    assert named(project("lineage", "source.shop.reviews", "--graph").out) == ({"source.shop.reviews"}, set())


def test_a_selection(project: Sandbox) -> None:
    chosen = project("lineage", "--graph", "--select", "+label_set.moods+", "--exclude", "type:test tag:words")
    labels, _ = named(chosen.out)
    listed = project("ls", "--select", "+label_set.moods+", "--exclude", "type:test tag:words").out.split()
    assert labels == set(listed)
    empty = project("lineage", "--graph", "--select", "state:old")
    assert (empty.out, empty.err) == ("flowchart LR\n", "the selection holds no node\n")
    assert "Did you mean 'moods'" in project("lineage", "--graph", "--select", "mods", code=2).err


def test_odd_names_are_shown_as_they_are(tmp_path: Path) -> None:
    names = ('Zoë "the\'s" [1] <b>#35; `x` 1. %%{init} 😀', "日本語;end", "- a (b) {c} |d| & e --\\")
    files = {f"annotations/class/{name}.csv": "item,label\n" for name in names}
    labels, _ = named(Sandbox(tmp_path / "odd", {**ODD, **files})("lineage", "--graph").out)
    assert {f"annotations.class.{name}" for name in names} <= labels
    assert {"source.end.graph", "lf.class.click", "label_set.default"} <= labels


def test_many_voters_stand_as_one(tmp_path: Path) -> None:
    many = {
        f"labeling_functions/mood/f{i}.sql": f"{{{{ config(label='bad') }}}}\ntext like '%{i}%'\n"
        for i in range(MANY_NODES)
    }
    found = Sandbox(tmp_path / "many", {**REVIEWS, **many})("lineage", "--graph")
    labels, edges = named(found.out)
    group = f"{MANY_NODES + 5} labeling functions of mood"
    assert {group, "3 tests of label_set.moods", "transform.reviews", "annotations.mood.ann"} <= labels
    assert {("transform.reviews", group), (group, "label_set.moods"), (group, "unit_test.blame_is_bad")} <= edges
    assert found.err.startswith(f"drawn as one: {group}; 3 tests of source.shop.reviews; ")


def test_at_the_limit_nothing_is_folded() -> None:
    nodes = [node("lf", i, task="t") for i in range(MANY_NODES)]
    assert mermaid(nodes).folded == ()
    assert mermaid([*nodes, node("lf", MANY_NODES, task="t")]).folded == (f"{MANY_NODES + 1} labeling functions of t",)


@pytest.mark.parametrize(("tasks", "inputs"), [(1, 1), (700, 3), (60, 30)])
def test_any_graph_is_small_enough_to_be_drawn(tasks: int, inputs: int) -> None:
    nodes = [node("transform", i, inputs=[f"transform.n{j}" for j in range(max(0, i - inputs), i)]) for i in range(900)]
    nodes += [
        node(kind, i, task=f"task_{i % tasks}", inputs=[f"transform.n{i}"])
        for i in range(900)
        for kind in ("lf", "prompt", "label_set", "export")
    ]
    found = mermaid(nodes)
    boxes, edges = parsed(found.text)
    assert edges
    drawn = sum(int(label.split()[0].replace(",", "")) if " " in label else 1 for label, _ in boxes.values())
    assert drawn == len(nodes)
    assert len(found.folded) == sum(" " in label for label, _ in boxes.values())


def node(kind: str, number: int, *, task: str | None = None, inputs: Any = ()) -> Node:
    name = f"{kind}.{task}.n{number}" if task else f"{kind}.n{number}"
    return Node(name, kind, f"n{number}", Where("x"), None, None, inputs=tuple(inputs), task=task)


@given(st.text(max_size=50))
def test_labels_can_hold_any_text(text: str) -> None:
    shown = escaped(text)
    assert shown == "" or _LABEL.match(shown)
    assert "".join(read(shown).split()) == "".join(printable(" ".join(text.split())).split())


def test_long_labels_are_cut() -> None:
    assert escaped("x" * 61) == "x" * 59 + "…"
    assert escaped("x" * 60) == "x" * 60


def test_no_label_is_read_as_a_list_or_as_emphasis() -> None:
    assert escaped("- one") == "#45; one"
    assert escaped("1. one") == "1#46; one"
    assert escaped("__one__") == "#95;#95;one#95;#95;"
    assert escaped("end") == "end"
