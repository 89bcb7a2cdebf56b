"""What changes a fingerprint and what does not: pairs of projects.

``own`` is a node's meaning alone, ``fingerprint`` that and all upstream. A row of a table names the node, what is
written otherwise, and which of the two stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.graph.projects import BASE, compiled

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.graph import Graph

Files = dict[str, str | bytes | None]

PROJECT: Files = {
    **BASE,
    "teachkit.yml": """
        name: demo
        vars: {least: 10, unused: 1, words: [http, www]}
        """,
    "transforms/items.sql": """
        -- every comment
        select id, author, {{ trimmed('content') }} as text, class, split
        from {{ source('raw', 'comments') }} where length(content) > {{ var('least') }}
        """,
    "transforms/famous.sql": """
        select i.id, a.fame from {{ ref('items') }} i join {{ source('raw', 'authors') }} a using (author)
        """,
    "macros/a.sql": """
        {% macro trimmed(c) %}trim({{ c }}){% endmacro %}
        {% macro unused(c) %}{{ c }}{% endmacro %}
        """,
    "macros/b.sql": """
        {% macro any_like(words) -%}
          ({% for w in words %}{{ liked(w) }}{{ ' or ' if not loop.last }}{% endfor %})
        {%- endmacro %}
        {% macro liked(w) %}text ilike '%{{ w }}%'{% endmacro %}
        """,
    "labeling_functions/spam/link.sql": """
        {{ config(label='spam', tags=['url']) }}
        {{ any_like(var('words')) }}
        """,
    "labeling_functions/spam/who.sql": "case when author = 'bot' then 'spam' when author = 'ann' then 'ham' end",
    "labeling_functions/spam/known.sql": """
        {{ config(label='ham') }}
        select id from {{ ref('famous') }} where fame::int > 3
        """,
    "labeling_functions/spam/rules.yml": """
        labeling_functions:
          - name: buy
            label: spam
            any_of: [buy, "buy now"]
            none_of: [not]
          - {name: praise, label: ham, dictionary: praise.txt, min_hits: 2}
          - {name: short, label: ham, sql: "length(text) < 20"}
          - {name: url, label: spam, regex: 'https?://'}
        """,
    "labeling_functions/spam/praise.txt": "great\nlove\nnice song\n",
    "labeling_functions/spam/style.py": '''
        """Style."""
        import re
        from teachkit import labeling_function
        from helpers.text import share
        LEAST = 0.5

        @labeling_function(label="spam")
        def shouting(text: str) -> bool:
            """Capitals."""
            return share(text) > LEAST  # loud

        @labeling_function(label="ham", tags=["calm"])
        def calm(text):
            return not re.search("!", text)
        ''',
    "helpers/text.py": """
        from helpers.more import FACTOR

        def share(text):
            return FACTOR * sum(c.isupper() for c in text) / max(1, len(text))

        def unrelated():
            return 1
        """,
    "helpers/more.py": "FACTOR = 1\n",
    "annotations/spam/maria.jsonl": '{"item": "1", "label": "spam"}\n{"item": "2", "label": "ham"}\n',
    "annotations/spam/_meta.yml": "files: {maria.jsonl: {role: annotator, tags: [people]}}\n",
    "label_models/spam.yml": """
        label_models:
          - name: spam_labels
            task: spam
            type: dawid_skene
            parameters: {n_iter: 50, tolerance: 0.01}
            tests:
              - coverage: {min: 0.8}
        """,
    "exports/out.yml": """
        exports:
          - {name: out, label_set: ref('spam_labels'), path: out.csv, format: csv, columns: [id, text, label],
             where: "confidence > 0.5"}
        """,
    "tests/none.sql": "select * from {{ ref('items') }} where text is null",
    "tests/unit.yml": "unit_tests: [{name: u, voter: buy, rows: [{text: buy}], expect: [spam]}]",
}
LINK, BUY, PRAISE = "lf.spam.link", "lf.spam.buy", "lf.spam.praise"
SHOUT, CALM, SET = "lf.spam.shouting", "lf.spam.calm", "label_set.spam_labels"
RULES, STYLE, MODELS = (
    str(PROJECT["labeling_functions/spam/rules.yml"]),
    str(PROJECT["labeling_functions/spam/style.py"]),
    str(PROJECT["label_models/spam.yml"]),
)


def edit(path: str, *changes: tuple[str, str]) -> Files:
    """A file of the project with some words replaced."""
    text = str(PROJECT[path])
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return {path: text}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return compiled(tmp_path_factory.mktemp("before"), PROJECT)


def _ids(graph: Graph, nodes: str) -> list[str]:
    return [n.id for n in graph] if nodes == "*" else nodes.split()


UNCHANGED: dict[str, tuple[str, Files]] = {
    # name: (nodes, what is written otherwise); own and fingerprint stay
    "comments in SQL": ("*", edit("transforms/items.sql", ("-- every comment", "/* all */ -- of them"))),
    "layout of SQL": ("*", edit("transforms/items.sql", ("from {{", "\n\n  FROM\n  {{"), (", class", " ,\tclass"))),
    "case of SQL": (
        "*",
        edit("transforms/items.sql", ("select id", "SELECT Id"), ("length(", "LENGTH("), ("as text", "AS TEXT")),
    ),
    "quotes around names in SQL": ("*", edit("transforms/items.sql", ("select id, author", 'select "id", "author"'))),
    "a semicolon": ("*", edit("transforms/famous.sql", ("using (author)", "using (author) ;"))),
    "Windows newlines": ("*", {"transforms/items.sql": str(PROJECT["transforms/items.sql"]).replace("\n", "\r\n")}),
    "white space in Jinja": (
        "*",
        edit("transforms/items.sql", ("{{ trimmed('content') }}", "{{trimmed(  'content')}}")),
    ),
    "white space control": (
        "*",
        edit("macros/b.sql", ("{% macro any_like(words) -%}", "{%- macro any_like( words ) %}")),
    ),
    "quotes in Jinja": ("*", edit("transforms/items.sql", ("'content'", '"content"'))),
    "Jinja comments": ("*", edit("macros/a.sql", ("trim(", "{# x #}trim("))),
    "a macro in another file": (
        "*",
        {
            **edit("macros/a.sql", ("{% macro trimmed(c) %}trim({{ c }}){% endmacro %}", "")),
            "macros/z.sql": "{% macro trimmed(c) %}trim({{ c }}){% endmacro %}",
        },
    ),
    "another name of a macro's file": ("*", {"macros/a.sql": None, "macros/0/x.jinja": str(PROJECT["macros/a.sql"])}),
    "a macro that nothing calls": (
        "*",
        edit("macros/a.sql", ("{{ c }}{% endmacro %}\n        ", "{{ c }}{{ c }}{% endmacro %}\n        ")),
    ),
    "a macro written otherwise": ("*", edit("macros/a.sql", ("trim({{ c }})", "{% set x = c %}trim({{ x }})"))),
    "a macro written out": ("*", edit("transforms/items.sql", ("{{ trimmed('content') }}", "trim(content)"))),
    "a variable that nothing reads": ("*", edit("teachkit.yml", ("unused: 1", "unused: 2"))),
    "a date among the variables": ("*", edit("teachkit.yml", ("unused: 1", "unused: 2024-01-01"))),
    "a variable written out": ("*", edit("transforms/items.sql", ("{{ var('least') }}", "10"))),
    "order in config()": (
        "*",
        edit("labeling_functions/spam/link.sql", ("label='spam', tags=['url']", "tags=['url'],\n  label='spam'")),
    ),
    "order of keys in YAML": (
        "*",
        edit(
            "label_models/spam.yml",
            ("task: spam\n            type: dawid_skene", "type: dawid_skene\n            task: spam"),
        ),
    ),
    "order of a rule's keys": (
        BUY,
        edit(
            "labeling_functions/spam/rules.yml",
            ('label: spam\n            any_of: [buy, "buy now"]', 'any_of: [buy, "buy now"]\n            label: spam'),
        ),
    ),
    "quotes in YAML": (
        "*",
        edit("labeling_functions/spam/rules.yml", ("label: spam\n", "label: 'spam'\n"), ("'https?://'", '"https?://"')),
    ),
    "flow and block style": (
        "*",
        edit(
            "labeling_functions/spam/rules.yml",
            ('any_of: [buy, "buy now"]', "any_of:\n            - buy\n            - buy now"),
        ),
    ),
    "comments in YAML": ("*", edit("label_models/spam.yml", ("type: dawid_skene", "type: dawid_skene  # as measured"))),
    "defaults written out": (
        "*",
        edit(
            "label_models/spam.yml",
            ("task: spam", "task: spam\n            tie_policy: abstain\n            voters: ['*']"),
        ),
    ),
    "order of a rule's words": (
        BUY,
        edit("labeling_functions/spam/rules.yml", ('[buy, "buy now"]', '["buy now", buy, buy]')),
    ),
    "case of a rule's words": (
        BUY,
        edit("labeling_functions/spam/rules.yml", ('[buy, "buy now"]', '[BUY, "Buy  now"]')),
    ),
    "order of a dictionary": (PRAISE, {"labeling_functions/spam/praise.txt": "nice song\nlove\ngreat\n"}),
    "comments and blank lines in a dictionary": (
        PRAISE,
        {"labeling_functions/spam/praise.txt": "# words\n\n great \n\nlove\nnice song\n\n# end\n"},
    ),
    "another name of a dictionary": (
        PRAISE,
        {
            **edit("labeling_functions/spam/rules.yml", ("praise.txt", "p.txt")),
            "labeling_functions/spam/p.txt": "great\nlove\nnice song",
        },
    ),
    "a rule in another file": (
        "lf.spam.url",
        {
            **edit(
                "labeling_functions/spam/rules.yml", ("          - {name: url, label: spam, regex: 'https?://'}\n", "")
            ),
            "labeling_functions/spam/0.yml": "labeling_functions: [{name: url, label: spam, regex: 'https?://'}]",
        },
    ),
    "layout and comments of SQL in YAML": (
        "*",
        edit("labeling_functions/spam/rules.yml", ('"length(text) < 20"', '"LENGTH( text )<20 /* x */"')),
    ),
    "comments, docstrings and types in Python": (
        "*",
        edit(
            "labeling_functions/spam/style.py",
            ("# loud", "# very loud"),
            ('"""Capitals."""\n', ""),
            ("text: str) -> bool", "text)"),
        ),
    ),
    "an unrelated function of a helper": (SHOUT, edit("helpers/text.py", ("return 1", "return 2"))),
    "a function in the same file": (CALM, edit("labeling_functions/spam/style.py", ("> LEAST", "< LEAST"))),
    "order of Python definitions": (
        f"{SHOUT} {CALM}",
        edit(
            "labeling_functions/spam/style.py",
            ("LEAST = 0.5\n", ""),
            ("from helpers.text import share\n", "from helpers.text import share\n        LEAST = 0.5\n"),
        ),
    ),
    "a description": (
        "*",
        edit("label_models/spam.yml", ("task: spam", "task: spam\n            description: the best")),
    ),
    "tags": (f"{LINK} {SET}", edit("labeling_functions/spam/link.sql", ("['url']", "['url', 'x']"))),
    "where a data file lies": ("*", edit("sources/raw.yml", ("comments.csv", "data/comments.csv"))),
    "notes on columns": (
        "transform.items " + SET,
        {"transforms/_schema.yml": "transforms: [{name: items, description: d, columns: {text: {description: e}}}]"},
    ),
    "the guideline": (
        "*",
        {**edit("tasks/spam.yml", ("key: id", "key: id\n            guideline: g.md")), "tasks/g.md": "Think."},
    ),
    "the order of an export's condition's layout": (
        "export.out",
        edit("exports/out.yml", ("confidence > 0.5", "CONFIDENCE>0.5")),
    ),
    "a singular test's layout": (
        "test.none",
        {"tests/none.sql": "SELECT *\nFROM {{ ref('items') }}\nWHERE text IS NULL;"},
    ),
    "a label at the end, for a voter that says another": (
        f"{LINK} {BUY} {SHOUT}",
        edit("tasks/spam.yml", ("[ham, spam]", "[ham, spam, unsure]")),
    ),
    "the values of gold, for voters": (
        f"{LINK} {BUY} {SHOUT} {SET}",
        edit("tasks/spam.yml", ("{0: ham, 1: spam}", "{0: spam, 1: ham}")),
    ),
}

CHANGED: dict[str, tuple[str, Files]] = {
    # own (and so the fingerprint) changes
    "a constant in SQL": (
        "transform.items",
        edit("transforms/items.sql", ("length(content) >", "length(content) + 1 >")),
    ),
    "a column": ("transform.items", edit("transforms/items.sql", ("select id,", "select id, posted_at,"))),
    "a variable that is read": (LINK, edit("teachkit.yml", ("[http, www]", "[http, www, ftp]"))),
    "a variable that a condition reads": ("transform.items", edit("teachkit.yml", ("least: 10", "least: 11"))),
    "a macro": (LINK, edit("macros/b.sql", ("text ilike", "text like"))),
    "a label": (LINK, edit("labeling_functions/spam/link.sql", ("label='spam'", "label='ham'"))),
    "a label in an expression": (
        "lf.spam.who",
        edit("labeling_functions/spam/who.sql", ("'bot' then 'spam'", "'bot' then 'ham'")),
    ),
    "a constant of a SELECT": ("lf.spam.known", edit("labeling_functions/spam/known.sql", ("> 3", "> 4"))),
    "a word": (BUY, edit("labeling_functions/spam/rules.yml", ('"buy now"', '"buy it"'))),
    "none_of": (BUY, edit("labeling_functions/spam/rules.yml", ("none_of: [not]", "none_of: [never]"))),
    "word boundaries": (
        BUY,
        edit(
            "labeling_functions/spam/rules.yml",
            ("none_of: [not]", "none_of: [not]\n            word_boundaries: false"),
        ),
    ),
    "case": (
        BUY,
        edit(
            "labeling_functions/spam/rules.yml", ("none_of: [not]", "none_of: [not]\n            case_sensitive: true")
        ),
    ),
    "the column": (
        BUY,
        edit("labeling_functions/spam/rules.yml", ("none_of: [not]", "none_of: [not]\n            column: author")),
    ),
    "a rule's label": (
        BUY,
        edit(
            "labeling_functions/spam/rules.yml",
            ("name: buy\n            label: spam", "name: buy\n            label: ham"),
        ),
    ),
    "min_hits": (PRAISE, edit("labeling_functions/spam/rules.yml", ("min_hits: 2", "min_hits: 1"))),
    "a regular expression": ("lf.spam.url", edit("labeling_functions/spam/rules.yml", ("https?://", "https://"))),
    "a dictionary": (PRAISE, {"labeling_functions/spam/praise.txt": "great\nlove\nnice\n"}),
    "a constant in Python": (SHOUT, edit("labeling_functions/spam/style.py", ("LEAST = 0.5", "LEAST = 0.6"))),
    "a helper that a function calls": (SHOUT, edit("helpers/text.py", ("isupper", "islower"))),
    "a constant of a module of a module": (SHOUT, edit("helpers/more.py", ("FACTOR = 1", "FACTOR = 2"))),
    "a label in Python": (SHOUT, edit("labeling_functions/spam/style.py", ('label="spam"', 'label="ham"'))),
    "a function's body": (CALM, edit("labeling_functions/spam/style.py", ('"!"', '"?"'))),
    "an annotation": ("annotations.spam.maria", {"annotations/spam/maria.jsonl": '{"item": "1", "label": "ham"}\n'}),
    "what an annotation file is": (
        "annotations.spam.maria",
        {"annotations/spam/_meta.yml": "files: {maria.jsonl: {role: annotator, values: {spam: ham}}}\n"},
    ),
    "the algorithm": (SET, edit("label_models/spam.yml", ("dawid_skene", "one_coin"))),
    "a parameter": (SET, edit("label_models/spam.yml", ("n_iter: 50", "n_iter: 51"))),
    "another parameter": (SET, edit("label_models/spam.yml", ("tolerance: 0.01", "tolerance: 0.02"))),
    "the prior": (
        SET,
        edit("label_models/spam.yml", ("0.01}", "0.01}\n            class_prior: {ham: 0.5, spam: 0.5}")),
    ),
    "how ties end": (SET, edit("label_models/spam.yml", ("task: spam", "task: spam\n            tie_policy: first"))),
    "how a voter's silence counts": (
        SET,
        edit("label_models/spam.yml", ("task: spam", "task: spam\n            abstain: {link: at_random}")),
    ),
    "order of the labels": (f"{LINK} {BUY} {SHOUT} {SET}", edit("tasks/spam.yml", ("[ham, spam]", "[spam, ham]"))),
    "a label at the end, for what knows all": (
        f"lf.spam.who {SET}",
        edit("tasks/spam.yml", ("[ham, spam]", "[ham, spam, unsure]")),
    ),
    "the kind of task": (
        f"{LINK} {SET}",
        edit("tasks/spam.yml", ("key: id", "key: id\n            kind: multichoice")),
    ),
    "how a source is read": (
        "source.raw.comments",
        edit("sources/raw.yml", ("path: comments.csv", "path: comments.csv, options: {delim: ';'}")),
    ),
    "the type of a source's column": (
        "source.raw.comments",
        edit("sources/raw.yml", ("path: comments.csv", "path: comments.csv, columns: {id: {type: int}}")),
    ),
    "an export's columns": ("export.out", edit("exports/out.yml", ("[id, text, label]", "[id, label]"))),
    "an export's format": ("export.out", edit("exports/out.yml", ("format: csv", "format: jsonl"))),
    "an export's condition": ("export.out", edit("exports/out.yml", ("0.5", "0.6"))),
    "a test's argument": ("test.spam_labels.coverage", edit("label_models/spam.yml", ("min: 0.8", "min: 0.9"))),
    "a test's severity": (
        "test.spam_labels.coverage",
        edit("label_models/spam.yml", ("min: 0.8", "min: 0.8, severity: warn")),
    ),
    "a unit test's row": ("unit_test.u", edit("tests/unit.yml", ("{text: buy}", "{text: by}"))),
}

DOWNSTREAM: dict[str, tuple[str, str, Files]] = {
    # name: (nodes whose fingerprint changes while own stays, nodes that do not change at all, what is written)
    "a transform": (
        f"{LINK} {SHOUT} transform.famous export.out test.none",
        "source.raw.comments",
        edit("transforms/items.sql", ("trimmed('content')", "trimmed('author')")),
    ),
    "a voter": (
        f"{SET} export.out test.spam_labels.coverage",
        f"{BUY} transform.items",
        edit("macros/b.sql", ("ilike", "like")),
    ),
    "a source": (
        f"transform.items {LINK} {SET}",
        "source.raw.authors",
        edit("sources/raw.yml", ("comments.csv", "comments.csv, options: {delim: ';'}")),
    ),
    "an annotator": (SET, LINK, {"annotations/spam/maria.jsonl": '{"item": "1", "label": "ham"}\n'}),
    "another transform": (
        "lf.spam.known",
        f"{LINK} transform.items",
        edit("transforms/famous.sql", ("i.id,", "i.id + 0 as id,")),
    ),
    "which voters are chosen": (
        "export.out",
        LINK,
        edit("label_models/spam.yml", ("task: spam", "task: spam\n            voters: ['*', -link]")),
    ),
}


def _same(before: Graph, after: Graph, node: str) -> tuple[bool, bool]:
    return before[node].own == after[node].own, before[node].fingerprint == after[node].fingerprint


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_does_not_matter_changes_nothing(before: Graph, tmp_path: Path, name: str) -> None:
    nodes, files = UNCHANGED[name]
    after = compiled(tmp_path, {**PROJECT, **files})
    for node in _ids(before, nodes):
        assert _same(before, after, node) == (True, True), node


@pytest.mark.parametrize("name", CHANGED)
def test_what_matters_changes_a_node_s_own_digest(before: Graph, tmp_path: Path, name: str) -> None:
    nodes, files = CHANGED[name]
    after = compiled(tmp_path, {**PROJECT, **files})
    for node in nodes.split():
        assert _same(before, after, node) == (False, False), node


@pytest.mark.parametrize("name", DOWNSTREAM)
def test_a_change_reaches_the_fingerprints_downstream_and_nothing_else(
    before: Graph, tmp_path: Path, name: str
) -> None:
    nodes, others, files = DOWNSTREAM[name]
    after = compiled(tmp_path, {**PROJECT, **files})
    for node in nodes.split():
        assert _same(before, after, node) == (True, False), node
    for node in others.split():
        assert _same(before, after, node) == (True, True), node


def test_the_same_files_give_the_same_fingerprints_anywhere(before: Graph, tmp_path: Path) -> None:
    again = compiled(tmp_path / "elsewhere" / "deep", PROJECT)
    assert {n.id: n.fingerprint for n in again} == {n.id: n.fingerprint for n in before}


def test_what_is_remembered_gives_the_same_graph(before: Graph, tmp_path: Path) -> None:
    class Memory(dict[str, str]):
        asked = 0
        found = 0

        def get(self, key: str) -> str | None:  # type: ignore[override]
            self.asked += 1
            self.found += key in self
            return super().get(key)

        def put(self, key: str, value: str) -> None:
            self[key] = value

    memory = Memory()
    first = compiled(tmp_path / "a", PROJECT, memory)
    assert memory.found < memory.asked / 2  # two tests may ask the same
    assert len(memory) > 10
    asked, memory.found = memory.asked, 0
    second = compiled(tmp_path / "b", PROJECT, memory)
    assert memory.found == memory.asked - asked
    assert dict(second.nodes) == dict(first.nodes)
    assert {n.id: n.fingerprint for n in second} == {n.id: n.fingerprint for n in before}


def test_renaming_a_voter_keeps_its_votes_and_makes_the_label_set_new(before: Graph, tmp_path: Path) -> None:
    """Votes are kept by what a voter means, so they are used again under its new name. A label set says who decided,
    by name, so it is made again, with the same labels.
    """
    sql = str(PROJECT["labeling_functions/spam/link.sql"])
    renamed = compiled(
        tmp_path / "sql",
        {**PROJECT, "labeling_functions/spam/links.sql": sql, "labeling_functions/spam/link.sql": ""}
        | {"labeling_functions/spam/link.sql": "{{ config(enabled=false, label='spam') }} true"},
    )
    assert LINK not in renamed.nodes
    new = renamed["lf.spam.links"]
    assert (new.own, new.fingerprint) == (before[LINK].own, before[LINK].fingerprint)
    assert renamed[SET].own != before[SET].own
    for change in (
        edit("labeling_functions/spam/style.py", ("def shouting", "def loud")),
        edit("labeling_functions/spam/style.py", ('(label="spam")', '(label="spam", name="loud")')),
    ):
        python = compiled(tmp_path / str(len(str(change))), {**PROJECT, **change})
        assert python["lf.spam.loud"].fingerprint == before[SHOUT].fingerprint
    rule = compiled(
        tmp_path / "rule",
        {
            **PROJECT,
            **edit("labeling_functions/spam/rules.yml", ("name: buy", "name: purchase")),
            **edit("tests/unit.yml", ("voter: buy", "voter: purchase")),
        },
    )
    assert rule["lf.spam.purchase"].fingerprint == before[BUY].fingerprint


def test_renaming_a_transform_is_a_change_of_what_names_it(before: Graph, tmp_path: Path) -> None:
    sql = str(PROJECT["transforms/famous.sql"])
    files = {
        **PROJECT,
        "transforms/stars.sql": sql,
        **edit("labeling_functions/spam/known.sql", ("'famous'", "'stars'")),
    }
    renamed = compiled(tmp_path, files)
    assert renamed["transform.stars"].fingerprint == before["transform.famous"].fingerprint
    assert renamed["lf.spam.known"].own != before["lf.spam.known"].own


def test_environment_variables_count_by_what_they_make_of_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = edit("transforms/items.sql", ("{{ var('least') }}", "{{ env_var('TEACHKIT_TEST_LEAST', '10') }}"))
    memory = _Memory()
    monkeypatch.delenv("TEACHKIT_TEST_LEAST", raising=False)
    one = compiled(tmp_path / "a", {**PROJECT, **files}, memory)["transform.items"].own
    monkeypatch.setenv("TEACHKIT_TEST_LEAST", "10")
    same = compiled(tmp_path / "b", {**PROJECT, **files}, memory)["transform.items"].own
    monkeypatch.setenv("TEACHKIT_TEST_LEAST", "1122334455")
    other = compiled(tmp_path / "c", {**PROJECT, **files}, memory)["transform.items"].own
    assert one == same != other
    kept = [v for k, v in memory.items() if k.startswith("render:") and "environment" in v and "TEACHKIT" in v]
    assert kept
    assert not any('"TEACHKIT_TEST_LEAST":"10"' in v for v in kept)


class _Memory(dict[str, str]):
    def put(self, key: str, value: str) -> None:
        self[key] = value


def test_the_target_counts_where_a_template_looks_at_it(tmp_path: Path) -> None:
    files = {
        **PROJECT,
        "profiles.yml": "targets: {dev: {}, prod: {}}",
        **edit(
            "transforms/famous.sql",
            ("using (author)", "using (author) {% if target.name == 'dev' %}where i.id::int < 100{% endif %}"),
        ),
    }
    dev, prod = (compiled(tmp_path / t, files, target=t) for t in ("dev", "prod"))
    changed = {n.id for n in dev if n.own != prod[n.id].own}
    assert changed == {"transform.famous"}


def test_a_python_label_model_counts_by_its_text(tmp_path: Path) -> None:
    files = {
        **PROJECT,
        **edit("label_models/spam.yml", ("dawid_skene", "label_models/mine.py:Mine")),
        "label_models/mine.py": "class Mine:\n    x = 1\n",
    }
    one = compiled(tmp_path / "a", files)[SET].own
    commented = compiled(
        tmp_path / "b", {**files, "label_models/mine.py": "# mine\nclass Mine:\n    '''Doc.'''\n    x = 1  # one\n"}
    )[SET].own
    other = compiled(tmp_path / "c", {**files, "label_models/mine.py": "class Mine:\n    x = 2\n"})[SET].own
    assert one == commented
    assert one != other
