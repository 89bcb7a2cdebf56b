"""The selection grammar: names, graph operators, methods, and, or, exclude.

``a b`` is a or b, ``a,b`` is a and b, ``+a+`` adds what is upstream and downstream, ``2+a`` two steps of it, ``@a``
also all that the descendants need. Methods: ``tag: path: source: task: type: voter: state: result: selector:``.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadSelector, UnknownNode, did_you_mean, listing
from teachkit.graph.node import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph.node import Graph, Node, TaskInfo

_ATOM = re.compile(r"^(?P<at>@)?(?:(?P<up>\d*)(?P<plus>\+))?(?P<body>.*?)(?:(?P<plus2>\+)(?P<down>\d*))?$")
_TYPES = {
    "source": ("source",),
    "transform": ("transform",),
    "model": ("transform",),
    "lf": ("lf",),
    "labeling_function": ("lf",),
    "annotations": ("annotations",),
    "label_set": ("label_set",),
    "label_model": ("label_set",),
    "export": ("export",),
    "test": ("test", "unit_test"),
    "unit_test": ("unit_test",),
    "data_test": ("test",),
    "prompt": ("prompt",),
    "enrichment": ("enrichment",),
    "voter": (*FUNCTIONS, "annotations"),
}
METHODS = ("tag", "path", "source", "task", "type", "voter", "state", "result", "selector", "test_type")


@dataclass(frozen=True, slots=True)
class Known:
    """What ``state:`` and ``result:`` compare with."""

    fingerprints: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Node id -> (own digest, fingerprint) of what is compared with."""
    results: Mapping[str, str] = field(default_factory=dict)
    """Node id -> status in the run that is asked about."""
    selectors: Mapping[str, Any] = field(default_factory=dict)


def select(graph: Graph, include: Sequence[str], exclude: Sequence[str] = (), known: Known | None = None) -> set[str]:
    """The ids of the selected nodes; everything if ``include`` is empty. Tests of nodes come and go with them.

    Raises:
        BadSelector: the text cannot be read, or names nothing.
    """
    known = known or Known()
    chosen = _with_tests(graph, _union(graph, include, known)) if include else {n.id for n in graph}
    return chosen - _with_tests(graph, _union(graph, exclude, known))


def methods_of(texts: Sequence[str], selectors: Mapping[str, Any]) -> set[str]:
    """The methods that selections make use of, also inside the selectors that they name."""
    found: set[str] = set()
    waiting, seen = list(texts), set()
    while waiting:
        for part in re.split(r"[\s,]+", waiting.pop()):
            match = _ATOM.match(part)
            method, colon, value = (match["body"] if match else "").partition(":")
            if colon:
                found.add(method)
            if method == "selector" and value in selectors and value not in seen:
                seen.add(value)
                waiting.append(selectors[value].definition)
    return found


def find_node(graph: Graph, name: str, kinds: Sequence[str] | None) -> Node:
    """The node of an id or a name; ``UnknownNode`` if none or several have it."""
    there = [n for n in graph if kinds is None or n.kind in kinds]
    if name in graph.nodes and graph[name] in there:
        return graph[name]
    found = [n for n in there if name in (n.name, f"{n.task}.{n.name}")]
    if len(found) == 1:
        return found[0]
    noun = "node" if kinds is None or len(kinds) != 1 else kinds[0].replace("_", " ")
    if found:
        known = listing(n.id for n in found)
        raise UnknownNode(None, kind=f"single {noun}", name=name, known=known, hint=" Write the whole id")
    names = [n.id for n in there] + [n.name for n in there]
    known = listing(sorted({n.id for n in there if n.kind not in ("test", "unit_test")}), 30)
    raise UnknownNode(None, kind=noun, name=name, known=known, hint=did_you_mean(name, names))


def find_task(graph: Graph, name: str) -> TaskInfo:
    """The task of this name; ``UnknownNode`` if there is none."""
    if name not in graph.tasks:
        known = sorted(graph.tasks)
        raise UnknownNode(None, kind="task", name=name, known=listing(known), hint=did_you_mean(name, known))
    return graph.tasks[name]


def _with_tests(graph: Graph, chosen: set[str]) -> set[str]:
    """Some nodes, and the tests that read nothing else but what is upstream of what they test."""
    tests = (n for n in graph.of("test", "unit_test") if n.inputs)
    return chosen | {n.id for n in tests if set(n.inputs) <= chosen | _tables(graph, n, chosen)}


def _tables(graph: Graph, test: Node, chosen: set[str]) -> set[str]:
    """A test of a chosen node may also read what is upstream of it."""
    target = getattr(test.spec, "target", None)
    return graph.upstream(target) if target in chosen else set()


def _union(graph: Graph, texts: Sequence[str], known: Known) -> set[str]:
    found: set[str] = set()
    for text in texts:
        for word in text.split():
            parts = [_atom(graph, part, known) for part in word.split(",")]
            found |= set.intersection(*parts)
    return found


def _atom(graph: Graph, text: str, known: Known) -> set[str]:
    match = _ATOM.match(text)
    if not match or not match["body"]:
        raise BadSelector(
            None, text=text, problem="a name is missing", advice="write for example spam_labels, +spam_labels, tag:url"
        )
    found = _matching(graph, match["body"], known)
    if not found and ":" not in match["body"] and not any(c in match["body"] for c in "*?["):
        names = sorted({n.name for n in graph} | {n.id for n in graph})
        raise BadSelector(
            None,
            text=text,
            problem="no node has this name",
            advice=f"'teachkit ls' lists them.{did_you_mean(match['body'], names)}",
        )
    result = set(found)
    for node in found:
        if match["plus"]:
            result |= graph.upstream(node, int(match["up"]) if match["up"] else None)
        if match["plus2"] or match["at"]:
            result |= graph.downstream(node, int(match["down"]) if match["down"] else None)
    if match["at"]:
        for node in list(result):
            result |= graph.upstream(node)
    return result


def _matching(graph: Graph, body: str, known: Known) -> set[str]:
    method, colon, value = body.partition(":")
    if not colon:
        return {n.id for n in graph if _named(n, body)}
    match method:
        case "tag":
            return {n.id for n in graph if any(fnmatch.fnmatchcase(t, value) for t in n.tags)}
        case "path":
            path = posixpath.normpath(value)  # as a shell completes it: with ./ in front, or / at the end
            return {
                n.id
                for n in graph
                if fnmatch.fnmatchcase(n.where.path, path)
                or n.where.path.startswith(path + "/")
                or n.where.path == path
            }
        case "source":
            return {
                n.id for n in graph.of("source") if fnmatch.fnmatchcase(n.name, value) or n.name.split(".")[0] == value
            }
        case "task":
            _known_value(value, graph.tasks, body)
            return {n.id for n in graph if n.task == value}
        case "type" | "test_type":
            kinds = {"generic": ("test",), "singular": ("test",), "unit": ("unit_test",), "data": ("test",), **_TYPES}
            _known_value(value, kinds, body)
            found = {n.id for n in graph.of(*kinds[value])}
            if value in ("generic", "singular"):
                found = {i for i in found if (graph[i].spec.check == "sql") == (value == "singular")}
            return found
        case "voter":
            return {n.id for n in graph.of(*FUNCTIONS, "annotations") if _named(n, value)}
        case "state":
            return _state(graph, value, known)
        case "result":
            statuses = {"pass": "passed", "fail": "failed", "warn": "warned", "skip": "skipped", "success": "built"}
            wanted = statuses.get(value, value)
            _known_value(wanted, ("built", "reused", "passed", "warned", "failed", "error", "skipped"), body)
            return {n.id for n in graph if known.results.get(n.id) == wanted}
        case "selector":
            _known_value(value, known.selectors, body)
            found = known.selectors[value]
            if found is None:
                advice = "remove one of the references"
                raise BadSelector(None, text=body, problem=f"selector '{value}' selects itself", advice=advice)
            inside = replace(known, selectors={**known.selectors, value: None})
            return _union(graph, [found.definition], inside)
    raise BadSelector(
        None,
        text=body,
        problem=f"there is no method '{method}'",
        advice=f"write one of: {listing(METHODS)}.{did_you_mean(method, METHODS)}",
    )


def _known_value(value: str, known: Any, text: str) -> None:
    if value not in known:
        raise BadSelector(
            None,
            text=text,
            problem=f"'{value}' is unknown",
            advice=f"write one of: {listing(known, 30)}.{did_you_mean(value, known)}",
        )


_OF_DBT = ("modified.body", "modified.configs", "modified.macros")
"""Parts of a definition in dbt; here a definition is what it means, whichever part of it says so."""


def _state(graph: Graph, value: str, known: Known) -> set[str]:
    value = "modified.definition" if value in _OF_DBT else value
    _known_value(
        value, ("new", "old", "modified", "modified.definition", "modified.inputs", "unmodified"), f"state:{value}"
    )
    before = known.fingerprints
    new = {n.id for n in graph if n.id not in before}
    definition = {n.id for n in graph if n.id in before and before[n.id][0] != n.own}
    whole = {n.id for n in graph if n.id in before and before[n.id][1] != n.fingerprint}
    match value:
        case "new":
            return new
        case "old":
            return {n.id for n in graph} - new
        case "modified.definition":
            return new | definition
        case "modified.inputs":
            return whole - definition
        case "modified":
            return new | whole
    return {n.id for n in graph} - new - whole


def _named(node: Node, pattern: str) -> bool:
    """Whether a node has a name; only a pattern with a dot means the longer forms (``l*`` is not every ``lf.…``)."""
    names = {node.id, node.name, f"{node.task}.{node.name}"} if "." in pattern else {node.name.rpartition(".")[2]}
    if node.kind == "test" and "." not in pattern:
        names = {node.name}
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)
