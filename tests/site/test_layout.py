"""Where nodes stand in the drawing of a graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teachkit.site.layout import layers


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], dict[str, list[str]]]:
    """Nodes in topological order, and what each reads."""
    nodes = [f"n{i}" for i in range(draw(st.integers(0, 12)))]
    parents = {n: draw(st.lists(st.sampled_from(nodes[:i]), max_size=3)) if i else [] for i, n in enumerate(nodes)}
    return nodes, parents


@given(graphs())
def test_each_node_stands_once_and_after_all_that_it_reads(graph: tuple[list[str], dict[str, list[str]]]) -> None:
    nodes, parents = graph
    found = layers(nodes, parents)
    assert sorted(n for row in found for n in row) == sorted(nodes)
    layer = {n: i for i, row in enumerate(found) for n in row}
    for node in nodes:
        assert layer[node] == 1 + max((layer[p] for p in parents[node]), default=-1)
    assert all(found)
    assert found == layers(nodes, parents)


def test_neighbours_are_drawn_side_by_side() -> None:
    crossing = layers(["a", "b", "x", "y"], {"x": ["b"], "y": ["a"]})
    place = {n: i for row in crossing for i, n in enumerate(row)}
    assert (place["a"] < place["b"]) == (place["y"] < place["x"])


def test_what_is_not_drawn_is_passed_over() -> None:
    assert layers(["b"], {"b": ["a"]}) == [["b"]]
    assert layers([], {}) == []
