"""The selection grammar, over one small graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit.errors import BadSelector
from teachkit.graph import select
from teachkit.graph.select import Known, methods_of
from teachkit.project.models import Selector
from tests.graph.projects import compiled

if TYPE_CHECKING:
    from teachkit.graph import Graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return compiled(
        tmp_path_factory.mktemp("project"),
        {
            "transforms/famous.sql": "select author from {{ source('raw', 'authors') }}",
            "labeling_functions/spam/rules.yml": """
                labeling_functions:
                  - {name: buy, label: spam, any_of: [buy], tags: [words]}
                  - {name: bye, label: ham, any_of: [bye], tags: [words, rude]}
                """,
            "annotations/spam/maria.csv": "item,label\n1,spam\n",
            "exports/out.yml": "exports: [{name: out, label_set: ref('spam_labels'), path: out.csv}]",
            "tests/none.sql": "select * from {{ ref('items') }} where false",
            "tests/unit.yml": "unit_tests: [{name: u, voter: buy, rows: [{text: buy}], expect: [spam]}]",
            "transforms/_schema.yml": "transforms: [{name: items, tests: [unique: {column: id}]}]",
        },
    )


ALL_LFS = "lf.spam.link lf.spam.buy lf.spam.bye unit_test.u"
ABOVE = "source.raw.comments transform.items"
OF_ITEMS = "transform.items test.items.unique.id test.none test.spam_key"

SELECTIONS: dict[str, str] = {
    "link": "lf.spam.link",
    "lf.spam.link": "lf.spam.link",
    "spam.link": "lf.spam.link",
    "l*": "lf.spam.link",
    "items.unique.id": "test.items.unique.id",
    "b*": "lf.spam.buy lf.spam.bye unit_test.u",
    "lf.*": ALL_LFS,
    "items": OF_ITEMS,
    "raw.authors": "source.raw.authors",
    "authors": "source.raw.authors",
    "link buy": "lf.spam.link lf.spam.buy unit_test.u",
    "tag:words": "lf.spam.buy lf.spam.bye unit_test.u",
    "tag:words,tag:rude": "lf.spam.bye",
    "tag:w*": "lf.spam.buy lf.spam.bye unit_test.u",
    "tag:nope": "",
    "path:labeling_functions": ALL_LFS,
    "path:labeling_functions/": ALL_LFS,
    "path:./labeling_functions": ALL_LFS,
    "path:./labeling_functions/spam/*.sql": "lf.spam.link",
    "path:labeling_functions/spam/rules.yml": "lf.spam.buy lf.spam.bye unit_test.u",
    "path:labeling_functions/spam/*.sql": "lf.spam.link",
    "source:raw": "source.raw.comments source.raw.authors test.raw.comments.key",
    "source:raw.authors": "source.raw.authors",
    "type:source": "source.raw.comments source.raw.authors test.raw.comments.key",
    "type:transform": f"{OF_ITEMS} transform.famous",
    "type:lf": ALL_LFS,
    "type:annotations": "annotations.spam.maria",
    "type:label_set": "label_set.spam_labels",
    "type:label_model": "label_set.spam_labels",
    "type:export": "export.out",
    "type:unit_test": "unit_test.u",
    "test_type:singular": "test.none",
    "test_type:generic": "test.items.unique.id test.spam_key test.raw.comments.key",
    "voter:link": "lf.spam.link",
    "voter:*": f"{ALL_LFS} annotations.spam.maria",
    "link+": "lf.spam.link label_set.spam_labels export.out",
    "link+1": "lf.spam.link label_set.spam_labels",
    "+link": f"lf.spam.link {ABOVE} {OF_ITEMS} test.raw.comments.key",
    "1+link": f"lf.spam.link {OF_ITEMS}",
    "+out": f"export.out label_set.spam_labels {ALL_LFS} {ABOVE} {OF_ITEMS} "
    f"annotations.spam.maria test.raw.comments.key",
    "1+famous": "transform.famous source.raw.authors",
    "@link": f"lf.spam.link {ALL_LFS} {ABOVE} {OF_ITEMS} label_set.spam_labels export.out "
    f"annotations.spam.maria test.raw.comments.key",
    "+spam_labels,type:lf": ALL_LFS,
    "selector:mine": "lf.spam.buy lf.spam.bye unit_test.u",
    "state:new": "lf.spam.bye",
    "state:modified.definition": "lf.spam.bye lf.spam.link",
    "state:modified": "lf.spam.bye lf.spam.link label_set.spam_labels",
    "state:modified.inputs": "label_set.spam_labels",
    "state:modified.body": "lf.spam.bye lf.spam.link",
    "state:modified.configs": "lf.spam.bye lf.spam.link",
    "state:modified.macros": "lf.spam.bye lf.spam.link",
    "state:old,type:lf": "lf.spam.buy lf.spam.link unit_test.u",
    "result:failed": "test.none",
    "result:error+,state:modified": "label_set.spam_labels",
    "state:modified+": "lf.spam.bye lf.spam.link label_set.spam_labels export.out",
    "result:error": "lf.spam.buy unit_test.u",
    "result:fail": "test.none",
    "result:success": "transform.famous",
}


@pytest.fixture(scope="module")
def known(graph: Graph) -> Known:
    fingerprints = {n.id: (n.own, n.fingerprint) for n in graph if n.id != "lf.spam.bye"}
    fingerprints["lf.spam.link"] = ("other", "other")
    fingerprints["label_set.spam_labels"] = (graph["label_set.spam_labels"].own, "other")
    results = {"lf.spam.buy": "error", "test.none": "failed", "transform.famous": "built"}
    return Known(fingerprints, results, {"mine": Selector(name="mine", definition="tag:words")})


@pytest.mark.parametrize("text", SELECTIONS)
def test_a_selection_means_what_it_says(graph: Graph, known: Known, text: str) -> None:
    assert select(graph, [text], known=known) == set(SELECTIONS[text].split())


def test_nothing_selected_is_everything_and_exclude_takes_away(graph: Graph) -> None:
    assert select(graph, []) == set(graph.nodes)
    assert select(graph, [], ["type:lf", "link+"]) == set(graph.nodes) - {
        *["lf.spam.link", "lf.spam.buy", "lf.spam.bye", "unit_test.u", "label_set.spam_labels", "export.out"]
    }
    assert select(graph, ["tag:words"], ["buy"]) == {"lf.spam.bye"}


def test_tests_of_what_is_excluded_go_with_it(graph: Graph) -> None:
    tests = {n.id for n in graph.of("test")}
    assert {"test.items.unique.id", "test.none", "test.spam_key"} <= select(graph, [])
    assert not select(graph, [], ["items"]) & set(OF_ITEMS.split())
    assert select(graph, ["items"], ["items"]) == set()
    assert select(graph, [], ["famous"]) & tests == tests  # test.none reads it, and tests something else
    assert "unit_test.u" not in select(graph, [], ["buy"])


def test_a_test_comes_with_the_node_that_it_tests_although_it_reads_more(graph: Graph) -> None:
    assert "test.none" in select(graph, ["items"])
    assert "test.none" not in select(graph, ["famous"])


BAD = {
    "nope": ("no node has this name", "'teachkit ls' lists them."),
    "lnik": ("no node has this name", "Did you mean 'link'?"),
    "+": ("a name is missing", "write for example"),
    "link,,buy": ("a name is missing", ""),
    "tga:x": (
        "there is no method 'tga'",
        "write one of: tag, path, source, task, type, voter, state, result, selector",
    ),
    "type:lfs": ("'lfs' is unknown", "Did you mean 'lf'?"),
    "task:spma": ("'spma' is unknown", "write one of: spam. Did you mean 'spam'?"),
    "state:changed": ("'changed' is unknown", "write one of: new, old, modified"),
    "result:bad": ("'bad' is unknown", "write one of: built, reused"),
    "selector:x": ("'x' is unknown", "write one of: mine"),
}


@pytest.mark.parametrize("text", BAD)
def test_a_selector_that_cannot_be_read_says_why(graph: Graph, known: Known, text: str) -> None:
    with pytest.raises(BadSelector) as caught:
        select(graph, [text], known=known)
    problem, advice = BAD[text]
    assert problem in caught.value.message
    assert advice in caught.value.advice


def test_a_selector_that_names_itself_is_an_error(graph: Graph) -> None:
    selectors = {"a": Selector(name="a", definition="selector:b"), "b": Selector(name="b", definition="selector:a")}
    with pytest.raises(BadSelector, match="selector 'a' selects itself"):
        select(graph, ["selector:a"], known=Known({}, {}, selectors))


USED = {
    "link": set(),
    "+link,b* 2+lf.spam.buy+": set(),
    "state:new": {"state"},
    "@state:new tag:a,1+result:error+2": {"state", "tag", "result"},
    "selector:a": {"selector", "type", "state"},
    "selector:b+ selector:nobody": {"selector", "state"},
    "selector:loop": {"selector"},
    "+ ,, :": {""},
}


@pytest.mark.parametrize("text", USED)
def test_the_methods_that_a_selection_needs_are_known_before_it_is_read(text: str) -> None:
    definitions = {"a": "type:lf selector:b", "b": "+state:modified", "loop": "selector:pool", "pool": "selector:loop"}
    selectors = {name: Selector(name=name, definition=words) for name, words in definitions.items()}
    assert methods_of([text], selectors) - {""} == USED[text] - {""}
    assert methods_of(text.split(), selectors) == methods_of([text], selectors)


def test_upstream_and_downstream_stop_at_a_depth(graph: Graph) -> None:
    assert graph.upstream("label_set.spam_labels", 1) == {
        *["transform.items", "lf.spam.link", "lf.spam.buy", "lf.spam.bye", "annotations.spam.maria"]
    }
    assert graph.downstream("transform.famous") == set()
