"""Which columns the columns of a node's output come from, in the form of OpenLineage's facet ``columnLineage``.

``DIRECT``: the values are computed from them; ``INDIRECT``: they can change a value, or choose the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.graph.sql import ALL, ROWS
from teachkit.lineage.forms.openlineage_facets import facet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.lineage.forms.places import Place
    from teachkit.lineage.forms.runs import RanNode

MOST_FILES = 100
"""A source of more files has no lineage of columns: it would be one entry for each file and column."""

_VOTERS = ("lf", "prompt", "annotations")
_ANSWER = "label"  # what files of annotations call it
_DIRECT, _INDIRECT = "DIRECT", "INDIRECT"
_IDENTITY, _TRANSFORMATION, _AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"

# A column of an input: relation or place, column, type, subtype ("" if nobody knows which)
Origin = tuple["str | Place", str, str, str]


def column_lineage(
    node: RanNode, places: Sequence[Place], nodes: Mapping[str, RanNode], namespace: str
) -> dict[str, Any] | None:
    """The facet of a node's output; ``places`` are what it reads outside. None if nothing is known."""
    origins = {c: _plain(_of_column(node, c, places, nodes), namespace) for c in node.columns or ()}
    fields = {c: {"inputFields": found} for c, found in origins.items() if found}
    rows = [(r, c, _INDIRECT, "") for r, c in _expanded(node.influences.get(ROWS, ()), nodes)]
    if not fields and not rows:
        return None
    return facet("columnLineage", fields=fields, dataset=_plain(rows, namespace) or None)


def _of_column(node: RanNode, column: str, places: Sequence[Place], nodes: Mapping[str, RanNode]) -> Iterator[Origin]:
    if node.kind == "source":
        if len(places) <= MOST_FILES:
            yield from ((place, column, _DIRECT, _IDENTITY) for place in places)
        return
    if node.kind == "export":
        yield from _of_export(node, column, nodes)
        return
    if node.kind in _VOTERS:
        yield from ((place, _ANSWER, _DIRECT, _IDENTITY) for place in places)
        kind, how = (_INDIRECT, "JOIN") if node.kind == "annotations" else (_DIRECT, _TRANSFORMATION)
        yield from ((r, c, kind, how) for r, c in _read(node, nodes))
        return
    direct = node.lineage.get(column, ())
    values = _expanded(direct, nodes)
    copied = _IDENTITY if node.kind == "label_set" else ""
    yield from ((r, c, _DIRECT, copied) for r, c in values)
    if node.kind == "label_set" and not direct:
        votes = [i for i in node.inputs if i.partition(".")[0] in _VOTERS]
        yield from ((i, "vote", _DIRECT, _AGGREGATION) for i in votes)
    yield from (
        (r, c, _INDIRECT, "") for r, c in _expanded(node.influences.get(column, ()), nodes) if (r, c) not in values
    )


def _of_export(node: RanNode, column: str, nodes: Mapping[str, RanNode]) -> Iterator[Origin]:
    """An export's column is the label set's, and the dataset's where the label set has none of that name."""
    for relation in sorted(node.inputs, key=lambda i: not i.startswith("label_set.")):
        parent = nodes.get(relation)
        if parent is not None and column in (parent.columns or ()):
            yield relation, column, _DIRECT, _IDENTITY
            return


def _read(node: RanNode, nodes: Mapping[str, RanNode]) -> list[tuple[str, str]]:
    found = [(i, c) for i, columns in node.reads.items() for c in (ALL,) if columns is None]
    found += [(i, c) for i, columns in node.reads.items() for c in columns or ()]
    return _expanded(found, nodes)


def _expanded(pairs: Sequence[tuple[str, str]], nodes: Mapping[str, RanNode]) -> list[tuple[str, str]]:
    """Pairs with all columns in place of ``*``; which rows a relation has is no column of it."""
    found: dict[tuple[str, str], None] = {}
    for relation, column in pairs:
        if column == ALL:
            known = nodes[relation].columns if relation in nodes else None
            found |= dict.fromkeys((relation, c) for c in known or ())
        elif column != ROWS:
            found[relation, column] = None
    return list(found)


def _plain(origins: Iterator[Origin] | Sequence[Origin], namespace: str) -> list[dict[str, Any]]:
    plain = []
    for origin, column, kind, how in origins:
        place = (namespace, origin) if isinstance(origin, str) else (origin.namespace, origin.name)
        transformation = {"type": kind, "subtype": how} if how else {"type": kind}
        plain.append({"namespace": place[0], "name": place[1], "field": column, "transformations": [transformation]})
    return plain
