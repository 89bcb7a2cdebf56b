"""The project, or what a node is made of, as a Mermaid flowchart: what GitHub, GitLab and many editors draw.

They draw no more than 500 edges and 50,000 characters, so a large graph is folded, voters and tests first, until it is
well below that. Every label is quoted, with all but plain characters written as ``#CODE;``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teachkit.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from teachkit.graph import Node

MANY_NODES = 40
MOST_EDGES = 400
MOST_CHARACTERS = 40_000

_LONGEST = 60  # characters of a label


@dataclass(frozen=True, slots=True)
class Kind:
    """How nodes of a kind look: brackets of the shape, fill and stroke (text is always dark on light), plural noun."""

    opening: str
    closing: str
    fill: str
    stroke: str
    plural: str


KINDS: Mapping[str, Kind] = {
    "source": Kind("[(", ")]", "#e3e8ee", "#57606a", "sources"),
    "transform": Kind("[", "]", "#dbeafe", "#1d4ed8", "transforms"),
    "enrichment": Kind("[", "]", "#ede9fe", "#6d28d9", "enrichments"),
    "lf": Kind("([", "])", "#dcfce7", "#15803d", "labeling functions"),
    "prompt": Kind("{{", "}}", "#f3e8ff", "#7e22ce", "prompts"),
    "annotations": Kind(">", "]", "#fef3c7", "#b45309", "annotation files"),
    "label_set": Kind("[[", "]]", "#fee2e2", "#b91c1c", "label sets"),
    "export": Kind("[/", "/]", "#ccfbf1", "#0f766e", "exports"),
    "test": Kind("(", ")", "#f6f8fa", "#8c959f", "tests"),
    "unit_test": Kind("(", ")", "#f6f8fa", "#8c959f", "unit tests"),
}
_TEXT = "#1f2328"
_VOTERS = ("lf", "prompt", "annotations")
_TESTS = ("test", "unit_test")


@dataclass(frozen=True, slots=True)
class Diagram:
    """A flowchart as text, how many nodes it is about, and what stands in it as one though it is several."""

    text: str
    nodes: int
    folded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Box:
    """What is drawn as one: a node, or several of a kind."""

    kind: str
    label: str
    ids: tuple[str, ...]


def mermaid(nodes: Sequence[Node]) -> Diagram:
    """The flowchart of some nodes in topological order; edges go from what is read to what reads it."""
    foldings = _FOLDINGS if len(nodes) <= MANY_NODES else _FOLDINGS[1:]
    for folding in foldings:
        boxes = _boxes(nodes, folding)
        edges = _edges(nodes, boxes)
        text = _text(boxes, edges)
        if len(edges) <= MOST_EDGES and len(text) <= MOST_CHARACTERS:
            break
    return Diagram(text, len(nodes), tuple(f"{len(b.ids):,} {b.label}" for b in boxes if len(b.ids) > 1))


def _alone(node: Node) -> str:
    return node.id


def _voters_and_tests(node: Node) -> str:
    """Voters of a kind and task together, with their unit tests; other tests with those of the same node."""
    if node.kind in _VOTERS or node.kind == "unit_test":
        return f"{node.kind} of {_task(node)}"
    return f"tests of {node.spec.target}" if node.kind == "test" else node.id


def _kinds_of_tasks(node: Node) -> str:
    return "tests" if node.kind in _TESTS else f"{node.kind} of {_task(node)}"


def _kinds(node: Node) -> str:
    return "tests" if node.kind in _TESTS else node.kind


def _task(node: Node) -> str | None:
    return str(node.spec.voter).split(".")[1] if node.kind == "unit_test" else node.task


_FOLDINGS: tuple[Callable[[Node], str], ...] = (_alone, _voters_and_tests, _kinds_of_tasks, _kinds)


def _boxes(nodes: Sequence[Node], folding: Callable[[Node], str]) -> list[_Box]:
    groups: dict[str, list[Node]] = {}
    for node in nodes:
        groups.setdefault(folding(node), []).append(node)
    return [_box(group) for group in groups.values()]


def _box(group: list[Node]) -> _Box:
    first = group[0]
    if len(group) == 1:
        return _Box(first.kind, first.id, (first.id,))
    noun = KINDS[first.kind].plural if len({n.kind for n in group}) == 1 else "tests"
    about = {n.spec.target if n.kind == "test" else _task(n) for n in group}
    only = next(iter(about)) if len(about) == 1 else None
    return _Box(first.kind, f"{noun} of {only}" if only else noun, tuple(n.id for n in group))


def _edges(nodes: Sequence[Node], boxes: Sequence[_Box]) -> list[tuple[int, int]]:
    box_of = {i: number for number, box in enumerate(boxes) for i in box.ids}
    found: dict[tuple[int, int], None] = {}
    for node in nodes:
        for parent in node.inputs:
            if parent in box_of and box_of[parent] != box_of[node.id]:
                found[box_of[parent], box_of[node.id]] = None
    return list(found)


def _text(boxes: Sequence[_Box], edges: Iterable[tuple[int, int]]) -> str:
    lines = ["flowchart LR"]
    for number, box in enumerate(boxes):
        kind = KINDS[box.kind]
        label = box.label if len(box.ids) == 1 else f"{len(box.ids):,} {box.label}"
        lines.append(f'  n{number}{kind.opening}"{escaped(label)}"{kind.closing}:::{box.kind}')
    lines += [f"  n{start} --> n{end}" for start, end in edges]
    used = {box.kind for box in boxes}
    lines += [
        f"  classDef {name} fill:{kind.fill},stroke:{kind.stroke},color:{_TEXT}"
        for name, kind in KINDS.items()
        if name in used
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """A text for a quoted label: one line, cut where it is long, all that Mermaid or HTML could read as ``#CODE;``."""
    line = printable(" ".join(text.split()))
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return re.sub(r"[^\w ,./…-]|^\W|_(?=_)|(?<=_)_|(?<=\d)\.(?= )", lambda found: f"#{ord(found[0])};", line)
