"""``teachkit try`` for labeling functions, against figures counted by hand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.build.run import BuildOptions
from teachkit.errors import BadOption
from teachkit.review.tried import Wanted, open_tried
from teachkit.votes.intervals import wilson
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

ZOO = {
    "teachkit.yml": "name: zoo\n",
    "profiles.yml": "default: dev\ntargets: {dev: {memory: 500MB, threads: 1}}\n",
    "animals.csv": "id,text,name,kind,split\n"
    "a,furry cat,Tom,cat,tune\n"
    "b,furry dog,Rex,dog,tune\n"
    "c,a cat that barks,Ida,cat,test\n"
    "d,furry and loud,Bo,dog,tune\n"
    "e,cat and dog,Mo,,train\n"
    "f,furry friend,Al,,train\n"
    "g,a furry one,Su,dog,train\n"
    "h,a mouse,Jo,,train\n",
    "sources/zoo.yml": "sources:\n  - {name: zoo, tables: [{name: animals, path: animals.csv, key: id}]}\n",
    "transforms/animals.sql": "select * from {{ source('zoo', 'animals') }}\n",
    "tasks/kind.yml": "tasks:\n  - {name: kind, kind: choice, labels: [cat, dog], dataset: ref('animals'), key: id, "
    "gold: {column: kind}, splits: {column: split}}\n",
    "labeling_functions/kind/words.yml": "labeling_functions:\n"
    "  - {name: meow, label: cat, any_of: [cat]}\n"
    "  - {name: woof, label: dog, any_of: [dog]}\n",
    "annotations/kind/kim.csv": "item,label\ne,dog\nf,cat\n",
    "label_models/kind.yml": "label_models:\n  - {name: kinds, task: kind, type: majority}\n",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("zoo"), ZOO)
    sandbox("build")
    return sandbox


def trial(sandbox: Sandbox, *options: str) -> dict[str, Any]:
    (found,) = trials(sandbox, *options)
    return found


def trials(sandbox: Sandbox, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox("try", "--format", "json", *options).json["trials"]
    return found


def furry(zoo: Sandbox, *options: str) -> dict[str, Any]:
    return trial(zoo, "--any-of", "furry", "--label", "cat", *options)


# ---------------------------------------------------------------------------- figures


def test_matches_precision_and_recall_are_counted_on_gold_outside_the_test_split(zoo: Sandbox) -> None:
    found = furry(zoo)
    assert (found["items"], found["votes"], found["coverage"]) == (8, 5, 5 / 8)  # a b d f g
    assert (found["gold_splits"], found["gold_items"], found["polarity"]) == ("train, tune", 4, ["cat"])
    (claim,) = found["claims"]
    assert (claim["label"], claim["votes"], claim["right"], claim["judged"]) == ("cat", 5, 1, 4)
    assert claim["precision"] == 1 / 4
    assert (claim["low"], claim["high"]) == wilson(1, 4)
    assert (claim["true_items"], claim["recall"]) == (1, 1.0)
    assert (claim["recall_before"], claim["recall_after"]) == (1.0, 1.0)  # meow finds a


def test_what_nobody_covered_is_new_and_recall_grows(zoo: Sandbox) -> None:
    found = furry(zoo)
    assert found["new"] == 2  # d, g: a has meow, b has woof, f has kim
    dogs = trial(zoo, "--any-of", "furry", "--label", "dog")["claims"][0]
    assert (dogs["true_items"], dogs["right"], dogs["new"]) == (3, 3, 2)
    assert (dogs["recall_before"], dogs["recall_after"]) == (1 / 3, 1.0)


def test_the_posterior_of_the_label_set_tells_an_estimate_and_its_lift(zoo: Sandbox) -> None:
    posterior = {row["id"]: row["posterior"]["cat"] for row in zoo.rows("kinds") if row["votes"]}
    assert set(posterior) == {"a", "b", "c", "e", "f"}
    claim = furry(zoo)["claims"][0]
    matched = [posterior[i] for i in ("a", "b", "f")]
    assert claim["informed"] == 3
    assert claim["believed"] == pytest.approx(sum(matched) / 3)
    assert claim["base_rate"] == pytest.approx(sum(posterior.values()) / 5)
    assert claim["lift"] == pytest.approx(claim["believed"] / claim["base_rate"])


def test_overlaps_with_each_voter_most_first_and_people_are_among_them(zoo: Sandbox) -> None:
    found = {o["voter"]: o for o in furry(zoo)["overlaps"]}
    assert set(found) == {"meow", "woof", "kim"}
    assert [found["meow"][k] for k in ("votes", "both", "same", "conflicts", "share")] == [3, 1, 1, 0, 1 / 5]
    assert [found["woof"][k] for k in ("votes", "both", "same", "conflicts")] == [2, 1, 0, 1]
    assert [found["kim"][k] for k in ("kind", "votes", "both", "same")] == ["annotations", 2, 1, 1]
    assert found["meow"]["similarity"] == 1 / 7
    both = [o["both"] for o in trial(zoo, "--any-of", "cat,furry", "--label", "cat")["overlaps"]]
    assert both == sorted(both, reverse=True)
    assert len(set(both)) > 1


def test_a_near_copy_is_called_one_and_what_another_says_already_is_said(zoo: Sandbox) -> None:
    copy = trial(zoo, "--regex", "c.t", "--label", "cat")
    assert [o["voter"] for o in copy["overlaps"] if o["near_copy"]] == ["meow"]
    part = trial(zoo, "--regex", "a cat", "--label", "cat")
    assert [o["voter"] for o in part["overlaps"] if o["contains"]] == ["meow"]
    assert not any(o["near_copy"] for o in part["overlaps"])
    assert "near-copy: 100.0%" in zoo("try", "--regex", "c.t", "--label", "cat").out
    assert "says nearly all of this already" in zoo("try", "--regex", "a cat", "--label", "cat").out


def test_hits_and_misses_say_who_tells_and_never_show_the_test_split(zoo: Sandbox) -> None:
    found = furry(zoo)
    hits = {h["item"]: (h["verdict"], h["by"]) for h in found["hits"]}
    assert hits == {
        "a": ("right", "gold"),
        "b": ("wrong", "gold"),
        "d": ("wrong", "gold"),
        "g": ("wrong", "gold"),
        "f": ("right", "posterior"),
    }
    assert [h["item"] for h in found["hits"]][-1] == "f" or found["hits"][0]["verdict"] == "wrong"
    assert not found["misses"]  # c would be one, in the test split
    barks = trial(zoo, "--any-of", "barks", "--label", "cat")
    assert [barks["misses"][0][k] for k in ("item", "verdict", "by")] == ["a", "missed", "gold"]
    assert "c" not in {e["item"] for e in (*barks["hits"], *barks["misses"])}
    shown = trial(zoo, "--any-of", "barks", "--label", "cat", "--gold", "all")
    assert [h["item"] for h in shown["hits"]] == ["c"]


def test_examples_are_the_same_each_time_and_as_many_as_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"k{i:03d},say {i % 7},{'cat' if i % 3 else 'dog'},train\n" for i in range(200))
    sandbox = Sandbox(tmp_path, {**ZOO, "animals.csv": "id,text,kind,split\n" + rows, "annotations/kind/kim.csv": None})
    sandbox("build", "--select", "+transform.animals")
    rule = ("--regex", "[1-5]", "--label", "cat")
    first = trial(sandbox, *rule)
    assert trial(sandbox, *rule)["hits"] == first["hits"]
    assert (len(first["hits"]), len(first["misses"])) == (10, 10)
    assert sum(h["verdict"] == "wrong" for h in first["hits"]) == 5
    few = trial(sandbox, *rule, "--examples", "4")
    assert (len(few["hits"]), len(few["misses"])) == (4, 4)
    assert few["misses"] == first["misses"][:4]
    none = trial(sandbox, *rule, "--examples", "0")
    assert (none["hits"], none["misses"]) == ([], [])
    turned = "".join(f"{row}\n" for row in reversed(rows.splitlines()))
    sandbox.write({"animals.csv": "id,text,kind,split\n" + turned})
    sandbox("build", "--select", "+transform.animals")
    assert trial(sandbox, *rule)["hits"] == first["hits"]  # whatever the order of the rows


def test_gold_of_the_test_split_is_measured_on_request_and_counted(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    assert furry(sandbox)["test_looks"] is None
    first = trial(sandbox, "--any-of", "barks", "--label", "cat", "--gold", "test")
    assert (first["claims"][0]["right"], first["claims"][0]["judged"]) == (1, 1)
    again = sandbox("try", "--any-of", "barks", "--label", "cat", "--gold", "test").out
    assert f"look no. {first['test_looks'] + 1} at the test split of task 'kind'" in again
    assert sandbox("audit", "log", "--format", "json").json["runs"][0]["by"] == "try"
    several = trials(sandbox, "--file", "labeling_functions/kind/words.yml", "--gold", "all")
    assert [t["test_looks"] for t in several] == [first["test_looks"] + 2] * 2  # one command, one look


# ---------------------------------------------------------------------------- ways to say what is tried


def test_words_phrases_and_sql_say_what_a_build_says(zoo: Sandbox) -> None:
    by_words = trial(zoo, "--any-of", "dog, friend", "--none-of", "cat", "--label", "dog")
    assert (by_words["votes"], {h["item"] for h in by_words["hits"]}) == (2, {"b", "f"})
    assert trial(zoo, "--all-of", "furry", "--all-of", "loud", "--label", "dog")["votes"] == 1
    assert trial(zoo, "--any-of", "fur", "--label", "dog")["votes"] == 0
    assert trial(zoo, "--any-of", "fur", "--label", "dog", "--no-word-boundaries")["votes"] == 5
    assert trial(zoo, "--any-of", "Furry", "--label", "dog", "--case-sensitive")["votes"] == 0
    assert trial(zoo, "--any-of", "cat,dog,furry", "--min-hits", "2", "--label", "dog")["votes"] == 3
    assert trial(zoo, "--any-of", "Rex", "--column", "name", "--label", "dog")["votes"] == 1
    assert trial(zoo, "--sql", "length(text) < 9", "--label", "dog")["votes"] == 1
    whole = trial(zoo, "--sql", "select id from {{ ref('animals') }} where name < 'C'", "--label", "dog")
    assert whole["votes"] == 2


def test_sql_without_a_label_is_measured_label_by_label(zoo: Sandbox) -> None:
    found = trial(zoo, "--sql", "case when text like '%furry%' then 'dog' when text like '%cat%' then 'cat' end")
    assert found["polarity"] == ["cat", "dog"]
    cat, dog = found["claims"]
    assert (cat["label"], cat["votes"], dog["label"], dog["votes"], dog["right"]) == ("cat", 2, "dog", 5, 3)
    assert {(h["item"], h["label"]) for h in found["hits"]} >= {("a", "dog"), ("b", "dog"), ("e", "cat")}


def test_a_file_is_tried_before_it_is_built_after_a_change_and_switched_off(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.write({"labeling_functions/kind/new.sql": "{{ config(label='dog', enabled=false) }}\ntext like '%loud%'\n"})
    new = trial(sandbox, "--file", "labeling_functions/kind/new.sql")
    assert (new["voter"], new["votes"], new["path"], new["text"]) == ("new", 1, "labeling_functions/kind/new.sql", None)
    assert new["label_set"] == "kinds"
    sandbox.replace("labeling_functions/kind/words.yml", "any_of: [dog]", "any_of: [dog, loud]")
    meow, woof = trials(sandbox, "--file", "labeling_functions/kind/words.yml")
    assert (meow["voter"], meow["votes"], woof["voter"], woof["votes"]) == ("meow", 3, "woof", 3)
    sandbox.write(
        {
            "labeling_functions/kind/more.py": "from teachkit import labeling_function\n\n\n"
            "@labeling_function(label='cat')\ndef short(text):\n    return len(text) < 9\n\n\n"
            "@labeling_function\ndef named(name, text):\n    return 'dog' if name < 'C' else None\n"
        }
    )
    named, short = sorted(trials(sandbox, "--file", str(sandbox.root / "labeling_functions/kind/more.py")), key=str)
    assert {named["voter"]: named["votes"], short["voter"]: short["votes"]} == {"named": 2, "short": 1}
    assert sandbox("ls", "--select", "new", code=None).out == ""


def test_a_voter_of_the_label_set_is_compared_with_the_others_alone(zoo: Sandbox) -> None:
    found = trial(zoo, "--voter", "meow")
    assert found["fitted_without"] is True
    assert {o["voter"] for o in found["overlaps"]} == {"woof", "kim"}
    claim = found["claims"][0]
    assert (claim["informed"], claim["believed"]) == (1, 0.0)  # e alone has other votes, both for dog
    assert "fitted without it" in zoo("try", "--voter", "kind.meow").out
    by_task = trial(zoo, "--voter", "meow", "--task", "kind")
    assert by_task == found


def test_with_nothing_but_items_built_it_says_that_there_is_no_posterior(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, ZOO)
    refused = sandbox("try", "--any-of", "cat", "--label", "cat", code=2)
    assert "has not been built" in refused.err
    sandbox("build", "--select", "+transform.animals")
    found = trial(sandbox, "--any-of", "cat", "--label", "cat")
    assert (found["label_set"], found["claims"][0]["believed"]) == (None, None)
    assert found["notes"] == [
        "without a posterior: kinds is not built",
        "not built as they are now, so left out: annotations.kind.kim, lf.kind.meow, lf.kind.woof",
    ]
    assert found["claims"][0]["judged"] == 1
    sandbox.write({"label_models/kind.yml": None})
    assert "task 'kind' has no label model" in sandbox("try", "--any-of", "cat", "--label", "cat").out


def test_a_label_set_without_unlabeled_items_or_of_other_items_is_matched_by_key(zoo: Sandbox, tmp_path: Path) -> None:
    expected = furry(zoo)["claims"][0]
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.replace("label_models/kind.yml", "type: majority", "type: majority, unlabeled: drop")
    sandbox("build")
    assert furry(sandbox)["claims"][0] == expected
    head, *rows = ZOO["animals.csv"].splitlines()
    sandbox.write({"animals.csv": "\n".join([head, *reversed(rows)]) + "\n"})
    sandbox("build", "--select", "+transform.animals")
    turned = furry(sandbox)["claims"][0]
    assert (turned["believed"], turned["base_rate"]) == pytest.approx((expected["believed"], expected["base_rate"]))
    sandbox.write({"animals.csv": ZOO["animals.csv"].replace("g,a furry one,Su,dog,train\n", "")})
    sandbox("build", "--select", "+transform.animals")
    fewer = furry(sandbox)
    claim = fewer["claims"][0]
    assert (claim["votes"], claim["believed"], claim["informed"]) == (4, expected["believed"], 3)
    assert fewer["overlaps"] == []  # their votes are on other rows
    assert "left out: annotations.kind.kim, lf.kind.meow, lf.kind.woof" in fewer["notes"][0]
    alone = trial(sandbox, "--voter", "meow")
    assert (alone["label_set"], alone["claims"][0]["votes"]) == (None, 3)
    assert alone["notes"][0].startswith("without a posterior: kinds cannot be fitted without meow: ")


def test_items_in_another_order_have_their_own_posterior(zoo: Sandbox, tmp_path: Path) -> None:
    expected = furry(zoo)["claims"][0]
    sandbox = zoo.copy(tmp_path / "zoo")
    head, *rows = ZOO["animals.csv"].splitlines()
    sandbox.write({"animals.csv": "\n".join([head, *rows[3:], *rows[:3]]) + "\n"})
    sandbox("build", "--select", "+transform.animals")
    turned = furry(sandbox)["claims"][0]
    assert turned["informed"] == expected["informed"]
    assert turned["believed"] == pytest.approx(expected["believed"])


def test_gold_in_a_file_must_be_built_for_these_items(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    sandbox.write(
        {
            "annotations/kind/_meta.yml": "files: {boss.csv: {role: gold}}\n",
            "annotations/kind/boss.csv": "item,label\nh,cat\n",
        }
    )
    assert (
        "'annotations.kind.boss' has not been built"
        in sandbox("try", "--any-of", "mouse", "--label", "cat", code=2).err
    )
    sandbox("build")
    assert trial(sandbox, "--any-of", "mouse", "--label", "cat")["claims"][0]["right"] == 1
    sandbox.write({"animals.csv": ZOO["animals.csv"].replace("b,furry dog,Rex,dog,tune\n", "")})
    sandbox("build", "--select", "+transform.animals")  # the row of h is another one now
    assert (
        "'annotations.kind.boss' has not been built"
        in sandbox("try", "--any-of", "mouse", "--label", "cat", code=2).err
    )


def test_a_prompt_that_was_not_asked_is_no_voter_to_look_at(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    providers = "{here: {base_url: 'http://127.0.0.1:9/v1', model: m}}"
    sandbox.write(
        {
            "profiles.yml": f"default: dev\ntargets: {{dev: {{llm: {{providers: {providers}}}}}}}\n",
            "prompts/kind/ask.md": "---\nunvalidated: allow\n---\nCat or dog? {{ item.text }}\n",
        }
    )
    refused = sandbox("try", "--voter", "ask", code=2)
    assert "'prompt.kind.ask' has not been built" in refused.err, refused.err


# ---------------------------------------------------------------------------- to keep it


def test_what_is_to_be_written_says_the_same_and_can_be_saved(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    rule = ("--any-of", "furry, a: 'b' #", "--none-of", "loud", "--min-hits", "1", "--label", "cat")
    tried = trial(sandbox, *rule)
    assert tried["path"] == "labeling_functions/kind/furry_a_b.yml"
    assert not (sandbox.root / tried["path"]).exists()
    shown = sandbox("try", *rule).out
    assert all(f"    {line}" in shown for line in tried["text"].splitlines())
    saved = trial(sandbox, *rule, "--save", "fur")
    assert (saved["saved"], saved["path"]) == (True, "labeling_functions/kind/fur.yml")
    assert sandbox.read(saved["path"]) == saved["text"]
    again = trial(sandbox, "--file", saved["path"])
    assert (again["voter"], again["claims"], again["hits"]) == ("fur", tried["claims"], tried["hits"])
    assert sandbox.build()["lf.kind.fur"] == "built"
    refused = sandbox("try", *rule, "--save", "fur", code=2)
    assert "has a voter 'fur' already" in refused.err
    sandbox.write({"labeling_functions/kind/full.yml": "labeling_functions: []\n"})
    assert "--save" in sandbox("try", *rule, "--save", "full", code=2).err
    assert sandbox.read(saved["path"]) == saved["text"]


def test_no_label_set_knows_what_is_tried(zoo: Sandbox) -> None:
    wanted = Wanted(any_of=("furry",), label="cat")
    with open_tried(zoo.root, BuildOptions(), wanted) as (work, (node,)):
        assert node.id == "lf.kind.(tried)"
        assert node.id not in work.graph["label_set.kinds"].inputs
        assert work.graph.downstream(node.id) == set()


def test_sql_is_saved_as_sql(zoo: Sandbox, tmp_path: Path) -> None:
    sandbox = zoo.copy(tmp_path / "zoo")
    said = sandbox("try", "--sql", "name = 'Bo'", "--label", "dog", "--save", "bo").out
    assert "wrote labeling_functions/kind/bo.sql; 'teachkit build' lets it vote" in said
    assert sandbox.read("labeling_functions/kind/bo.sql") == "{{ config(label='dog') }}\nname = 'Bo'\n"
    assert trial(sandbox, "--voter", "bo")["votes"] == 1


def test_a_name_that_is_taken_is_passed_over(zoo: Sandbox) -> None:
    assert trial(zoo, "--any-of", "meow", "--label", "cat")["path"] == "labeling_functions/kind/meow_2.yml"
    assert trial(zoo, "--regex", "[?]", "--label", "cat")["path"] == "labeling_functions/kind/new_rule.yml"
    assert trial(zoo, "--regex", "9 lives", "--label", "cat")["path"] == "labeling_functions/kind/rule_9_lives.yml"


# ---------------------------------------------------------------------------- mistakes


MISTAKES: dict[tuple[str, ...], str] = {
    (): "nothing says what is tried",
    ("--any-of", "cat"): "a rule of words or a regular expression needs it",
    ("--any-of", "cat", "--voter", "meow", "--label", "cat"): "do not go together",
    ("--voter", "meow", "--label", "cat"): "--label: it does not go with --file or --voter",
    ("--voter", "woofs"): "Did you mean 'woof'?",
    ("--file", "labeling_functions/kind/nothing.sql"): "there is no file",
    ("--file", "tasks/kind.yml"): "holds no labeling function of this project",
    ("--any-of", "cat,,dog", "--label", "cat"): "a word is empty",
    ("--regex", "(", "--label", "cat"): "[bad-regex]",
    ("--regex", "x", "--label", "cta"): "Did you mean 'cat'?",
    ("--regex", "x", "--label", "cat", "--column", "txt"): "Did you mean 'text'?",
    ("--regex", "x", "--label", "cat", "--task", "kid"): "Did you mean 'kind'?",
    ("--regex", "x", "--label", "cat", "--label-set", "kids"): "Did you mean 'kinds'?",
    ("--regex", "x", "--label", "cat", "--gold", "tset"): "'tset' is no split",
    ("--regex", "x", "--label", "cat", "--limit", "3"): "--limit: it is for prompts",
    ("--regex", "x", "--label", "cat", "--llm", "replay"): "--llm: it is for prompts",
    ("--prompt", "x", "--label", "cat"): "--label: it does not go with --prompt",
    ("--prompt", "x", "--no-word-boundaries"): "--no-word-boundaries: it does not go with --prompt",
    ("--sql", " ", "--label", "cat"): "--sql: it is empty",
    ("--sql", "length(txt) > 3", "--label", "cat"): "Did you mean 'text'?",
    ("--sql", "length(text) >", "--label", "cat"): "[bad-sql]",
    ("--sql", "kind = 'dog'", "--label", "dog"): "[reads-gold]",
    ("--sql", "select kind as id from {{ ref('animals') }}", "--label", "dog"): "[reads-gold]",
    ("--sql", "case when true then 'dgo' end"): "Did you mean 'dog'?",
    ("--sql", "true", "--any-of", "cat", "--label", "cat"): "--any-of: it does not go with --sql",
    ("--none-of", "cat", "--label", "cat"): "it says nothing about when to vote",
    ("--any-of", "cat", "--min-hits", "2", "--label", "cat"): "min_hits is 2, but there is only 1 word",
    ("--any-of", "x", "--label", "cat", "--save", "9 lives"): "'9 lives' is no name",
    ("--any-of", "x", "--label", "cat", "--save", "meow"): "has a voter 'meow' already",
    ("--voter", "meow", "--save", "other"): "what is tried has a file",
}


@pytest.mark.parametrize("options", MISTAKES, ids=" ".join)
def test_a_mistake_is_explained_and_nothing_is_written(options: tuple[str, ...], zoo: Sandbox) -> None:
    before = {p for p in zoo.root.rglob("*") if ".teachkit" not in p.parts}
    found = zoo("try", *options, code=2)
    assert MISTAKES[options] in found.err, found.err
    assert found.out == ""
    assert "(tried):" not in found.err  # it has no place in a file
    assert {p for p in zoo.root.rglob("*") if ".teachkit" not in p.parts} == before


ELSEWHERE = {
    "a unit test": {"tests/u.yml": "unit_tests:\n  - {name: u, voter: woow, rows: [{text: cat}], expect: [cat]}\n"},
    "a unit test of what is tried": {
        "tests/u.yml": "unit_tests:\n  - {name: u, voter: (tried), rows: [{text: furry}], expect: [cat]}\n"
    },
    "a test of a node": {"tests/t.yml": "tests:\n  - {node: lf.kind.tried, tests: [not_empty]}\n"},
    "a label model": {"label_models/kind.yml": "label_models:\n  - {name: kinds, task: kind, voters: [tried]}\n"},
    "silence": {"label_models/kind.yml": "label_models:\n  - {name: kinds, task: kind, abstain: {tried: at_random}}\n"},
    "an export": {"exports/e.yml": "exports:\n  - {name: e, label_set: ref('tried'), path: output/e.jsonl}\n"},
}


@pytest.mark.parametrize("rule", [("--any-of", "furry"), ("--sql", "text like 'furry%'")])
@pytest.mark.parametrize("place", ELSEWHERE)
def test_a_mistake_elsewhere_is_explained_as_in_a_build(place: str, rule: tuple[str, ...], zoo: Sandbox) -> None:
    """What is tried is none of the names that a file of the project could mean."""
    with zoo.changed(ELSEWHERE[place]):
        found = zoo("try", *rule, "--label", "cat", code=2).err
        built = zoo("build", code=2).err
    assert "  known: " in found or "  voters of the task: " in found or "  write one of: " in found
    assert found == built


def test_a_mistake_in_a_file_has_its_place(zoo: Sandbox) -> None:
    with zoo.changed({"labeling_functions/kind/new.sql": "{{ config(label='cat') }}\nlength(txt) > 3\n"}):
        found = zoo("try", "--file", "labeling_functions/kind/new.sql", code=2)
    assert found.err.startswith("error: labeling_functions/kind/new.sql:2:8: ")
    assert found.err.count("error") == 1


def test_sql_that_fails_while_it_runs_says_so(zoo: Sandbox) -> None:
    found = zoo("try", "--sql", "cast(name as integer) > 3", "--label", "cat", code=1)
    assert "DuckDB: " in found.err
    assert "Tom" not in found.err
    labels = zoo("try", "--sql", "lower(name)", code=1)
    assert "results in something that is no label of the task" in labels.err


def test_a_file_that_holds_nothing_is_refused(zoo: Sandbox) -> None:
    with zoo.changed({"labeling_functions/kind/none.py": "WORDS = 3\n"}):
        found = zoo("try", "--file", "labeling_functions/kind/none.py", code=2)
    assert "holds no labeling function" in found.err


def test_of_no_votes_nothing_is_claimed(zoo: Sandbox) -> None:
    said = zoo("try", "--any-of", "unicorn", "--label", "cat").out
    assert said.startswith("votes on 0 of 8 items (0.0%)\n")
    assert "heard no voter" not in said
    assert "finds 0 of 1 item with gold 'cat'" in said


def test_a_kind_that_is_not_tried_is_said_before_a_label_is_asked_for(tmp_path: Path, zoo: Sandbox) -> None:
    sandbox = zoo.copy(tmp_path / "numbers")
    sandbox.write({"tasks/age.yml": "tasks: [{name: age, kind: number, dataset: ref('animals'), key: id}]\n"})
    for rule in (("--any-of", "old"), ("--regex", "[0-9]+"), ("--sql", "length(text)")):
        refused = sandbox("try", "--task", "age", *rule, code=2)
        assert "task 'age' is of the kind 'number'" in refused.err


def test_without_a_task_the_project_must_have_one(tmp_path: Path, zoo: Sandbox) -> None:
    second = ZOO["tasks/kind.yml"].replace("name: kind,", "name: other,")
    with zoo.changed({"tasks/other.yml": second}):
        found = zoo("try", "--any-of", "x", "--label", "cat", code=2)
    assert "--task: the project has 2 tasks" in found.err
    assert "kind, other" in found.err
    empty = Sandbox(tmp_path, {"teachkit.yml": "name: x\n"})
    assert "--task: the project has 0 tasks" in empty("try", "--any-of", "x", "--label", "cat", code=2).err


# ---------------------------------------------------------------------------- other projects


LABELS = ["naïve", "größe", "日本", "ok", "五", "it's", "x y"]


def unicode_project(rows: list[str], kind: str = "choice") -> dict[str, str]:
    return {
        "teachkit.yml": "name: seven\n",
        "profiles.yml": "default: dev\ntargets: {dev: {memory: 500MB, threads: 1}}\n",
        "things.csv": "schlüssel,körper,wahr,teil\n" + "".join(f"{row}\n" for row in rows),
        "sources/s.yml": "sources:\n  - name: s\n    tables:\n      - {name: things, path: things.csv, key: schlüssel, "
        f"columns: {{{', '.join(f'{c}: {{type: varchar}}' for c in ('schlüssel', 'körper', 'wahr', 'teil'))}}}}}\n",
        "transforms/things.sql": "select * from {{ source('s', 'things') }}\n",
        "tasks/t.yml": f"tasks:\n  - name: sort\n    kind: {kind}\n"
        f"    labels: {json.dumps(LABELS, ensure_ascii=False)}\n"
        "    dataset: ref('things')\n    key: schlüssel\n    show: [körper]\n"
        "    gold: {column: wahr}\n    splits: {column: teil}\n",
        "labeling_functions/sort/a.yml": "labeling_functions:\n"
        "  - {name: jp, label: 日本, column: körper, any_of: [東京, 日本]}\n"
        "  - {name: size, label: größe, column: körper, any_of: [groß]}\n"
        '  - {name: its, label: "it\'s", column: körper, regex: "it.s"}\n',
        "label_models/m.yml": "label_models:\n  - {name: sorted, task: sort, type: majority}\n",
    }


ROWS = [
    "ключ1,東京 は 大きい,日本,tune",
    "🔑2,das ist groß,größe,tune",
    "k 3,it's fine,it's,train",
    "k4,Groß 東京,,train",
]


def test_seven_labels_unicode_keys_and_texts(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(ROWS))
    sandbox("build")
    found = trial(sandbox, "--any-of", "GROSS,groß", "--column", "körper", "--label", "größe")
    assert (found["votes"], found["claims"][0]["right"]) == (2, 1)
    (mine,) = (h for h in found["hits"] if h["item"] == "🔑2")
    text = mine["texts"]["körper"]
    assert [text["text"][s:e] for s, e in text["marks"]] == ["groß"]
    shown = sandbox("try", "--regex", "東.", "--column", "körper", "--label", "日本").out
    assert "«東京»" in shown
    assert "says nearly all of this already" in shown or "near-copy" in shown
    its = trial(sandbox, "--sql", "körper like '%fine'", "--label", "it's", "--save", "fine")
    assert its["claims"][0]["right"] == 1
    assert trial(sandbox, "--file", its["path"])["claims"][0]["label"] == "it's"
    many = trial(sandbox, "--sql", "case when körper like '%東京%' then '日本' else 'ok' end")
    assert many["polarity"] == ["日本", "ok"]


@pytest.mark.parametrize("rows", [[], ROWS[:1]], ids=["no row", "one row"])
def test_hardly_any_items(rows: list[str], tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(rows))
    sandbox("build")
    for options in (("--any-of", "東京", "--column", "körper", "--label", "日本"), ("--voter", "jp")):
        found = trial(sandbox, *options)
        assert (found["items"], found["votes"], len(found["hits"])) == (len(rows), len(rows), len(rows))
        assert sandbox("try", *options).out.startswith(("votes on", "jp: votes on"))
    nothing = sandbox("try", "--sql", "case when körper = 'x' then 'ok' end").out
    assert "it matches nothing" in nothing


def test_a_multichoice_task_counts_each_label_on_its_own(tmp_path: Path) -> None:
    rows = ["a,東京 groß,日本|größe,tune", "b,groß,größe,tune", "c,it's groß,it's,train", "d,x,,train"]
    sandbox = Sandbox(tmp_path, unicode_project(rows, "multichoice"))
    sandbox("build")
    found = trial(sandbox, "--any-of", "groß", "--column", "körper", "--label", "größe")
    (claim,) = found["claims"]
    assert (claim["votes"], claim["right"], claim["judged"], claim["true_items"]) == (3, 2, 3, 2)
    overlaps = {o["voter"]: (o["votes"], o["both"], o["same"]) for o in found["overlaps"]}
    assert overlaps == {"size": (3, 3, 3), "jp": (1, 0, 0), "its": (1, 0, 0)}
    hits = {h["item"]: (h["verdict"], h["gold"]) for h in found["hits"]}
    assert hits == {"a": ("right", "größe"), "b": ("right", "größe"), "c": ("wrong", "not größe")}
    lists = trial(sandbox, "--sql", "['größe', 'ok']")
    assert {c["label"]: (c["votes"], c["right"]) for c in lists["claims"]} == {"größe": (4, 2), "ok": (4, 0)}
    voter = trial(sandbox, "--voter", "size")
    assert voter["claims"][0]["right"] == 2


def test_a_task_without_gold_or_splits(tmp_path: Path) -> None:
    files = {**ZOO, "tasks/kind.yml": re.sub(r", gold: .*", "}\n", ZOO["tasks/kind.yml"])}
    sandbox = Sandbox(tmp_path, files)
    sandbox("build")
    found = furry(sandbox)
    assert (found["gold_items"], found["claims"][0]["judged"], found["claims"][0]["precision"]) == (0, 0, None)
    assert "no vote of it is on an item with gold" in sandbox("try", "--any-of", "cat", "--label", "cat").out
    assert {h["by"] for h in found["hits"]} == {"posterior", None}


def test_the_reviews(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox("build")
    shown = sandbox("try", "--task", "mood", "--regex", "waste|smell", "--label", "bad").out
    assert shown.startswith("votes on ")
    assert "«smell»" in shown
    assert max(map(len, shown.splitlines())) <= 110
    for voter in ("praise", "short_praise", "stars"):
        assert trial(sandbox, "--voter", voter)["voter"] == voter


def test_it_says_what_analyze_says_of_each_voter(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox("build")
    analyzed = {v["voter"]: v for v in sandbox("analyze", "mood", "--format", "json").json["voters"]}
    for name in ("praise", "blame", "stars", "refund", "short_praise"):
        found, known = trial(sandbox, "--voter", name), analyzed[name]
        assert (found["votes"], found["coverage"], found["polarity"]) == tuple(
            known[k] for k in ("votes", "coverage", "polarity")
        )
        assert sum(c["right"] for c in found["claims"]) == known["correct"]
        assert sum(c["judged"] - c["right"] for c in found["claims"]) == known["incorrect"]
        assert found["votes"] - found["new"] == round(known["overlaps"] * 40)


def test_from_python(zoo: Sandbox) -> None:
    (found,) = Project.load(zoo.root).try_voter(any_of=["furry"], label="cat", examples=2)
    assert (found.votes, len(found.hits)) == (5, 2)
    with pytest.raises(BadOption):
        Project.load(zoo.root).try_voter(label="cat")
