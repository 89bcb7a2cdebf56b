"""``teachkit suggest``: what is suggested, that its YAML finds exactly what was promised, and what is left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from teachkit import Project
from teachkit.votes.log_odds import z_scores
from tests.review.test_try import LABELS, unicode_project
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

SPAM = [
    "Subscribe to my channel",
    "please subscribed me",
    "SUBSCRIBER wanted, free money",
    "subscribers: win 100k now",
    "win 250k today",
    "get 5k free",
    "free\tmoney for all!!",
    "FREE MONEY here!!",
    "free - money no!!",  # no phrase: something stands between
    "visit http://x.y now",
    "see www.z.de now",
    "http://q.r/ nice",
]
HAM = ["what a lovely song", "lovely voice", "a lovely video, thanks", "Lovely!", "this song rocks", "best song ever"]
ROWS = [(text, "spam") for text in SPAM * 3] + [(text, "ham") for text in HAM * 6]


def project(rows: list[tuple[str, str]], voters: str = "[]", splits: str = "splits: {column: split}") -> dict[str, str]:
    lines = [json.dumps({"id": f"i{n:02}", "text": t, "gold": g, "split": "tune"}) for n, (t, g) in enumerate(rows)]
    return {
        "teachkit.yml": "name: p\n",
        "profiles.yml": "default: dev\ntargets: {dev: {memory: 500MB, threads: 1}}\n",
        "c.jsonl": "".join(f"{line}\n" for line in lines),
        "sources/s.yml": "sources:\n  - {name: s, tables: [{name: c, path: c.jsonl, key: id}]}\n",
        "transforms/c.sql": "select * from {{ source('s', 'c') }}\n",
        "tasks/t.yml": "tasks:\n  - {name: t, kind: choice, labels: [spam, ham], dataset: ref('c'), key: id, "
        f"show: [text], gold: {{column: gold}}, {splits}}}\n",
        "labeling_functions/t/w.yml": f"labeling_functions: {voters}\n",
        "label_models/m.yml": "label_models:\n  - {name: m, task: t, type: majority}\n",
    }


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    voters = "[{name: voice, label: ham, any_of: [voice]}, {name: song, label: ham, any_of: [song]}]"
    sandbox = Sandbox(tmp_path_factory.mktemp("comments"), project(ROWS, voters))
    sandbox("build")
    return sandbox


def suggestions(sandbox: Sandbox, *options: str, task: str = "t") -> dict[str, Any]:
    found: dict[str, Any] = sandbox("suggest", task, "--format", "json", *options).json
    return found


def by_rule(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {", ".join(s["keys"].get("any_of", [s["keys"].get("regex")])): s for s in found["suggestions"]}


def test_words_phrases_stems_and_patterns_are_found(comments: Sandbox) -> None:
    found = by_rule(suggestions(comments, "--limit", "30", "--min-precision", "0.6"))
    assert {"word", "stem", "regex"} <= {s["kind"] for s in found.values()}
    stem = found["subscribe, subscribed, subscriber, subscribers"]
    assert (stem["label"], stem["claim"]["votes"], stem["claim"]["right"]) == ("spam", 12, 12)
    assert found["lovely"]["claim"]["votes"] == 24
    (numbers,) = (s for rule, s in found.items() if r"\d+k" in rule)
    assert (numbers["claim"]["votes"], numbers["label"]) == (9, "spam")
    (urls,) = (s for rule, s in found.items() if "https?" in rule)
    assert urls["claim"]["votes"] == 9


def test_what_a_voter_says_already_is_left_out_and_ideas_differ(comments: Sandbox) -> None:
    found = suggestions(comments, "--limit", "30", "--min-precision", "0.5")
    rules = by_rule(found)
    assert "song" not in rules
    assert all(o["similarity"] < 0.9 and not o["contains"] for s in found["suggestions"] for o in s["overlaps"])
    assert "free money" not in rules or "free" not in rules


@pytest.mark.parametrize("limit", ["1", "4"])
def test_the_yaml_finds_exactly_what_was_promised(limit: str, comments: Sandbox, tmp_path: Path) -> None:
    found = suggestions(comments, "--limit", limit)
    shown = comments("suggest", "t", "--limit", limit, "--format", "yaml").out
    assert shown == found["text"]
    entries = yaml.safe_load(shown)["labeling_functions"]
    assert [e["name"] for e in entries] == [s["name"] for s in found["suggestions"]]
    sandbox = comments.copy(tmp_path / "with")
    saved = sandbox("suggest", "t", "--limit", limit, "--save", "words")
    assert "wrote labeling_functions/t/words.yml" in saved.out
    assert sandbox.read("labeling_functions/t/words.yml") == shown
    sandbox("build")
    for one in found["suggestions"]:
        votes = [v["label"] for v in sandbox.rows(one["name"])]
        assert votes.count(one["label"]) == one["claim"]["votes"] > 0
    again = {s["name"] for s in suggestions(sandbox, "--limit", limit)["suggestions"]}
    assert not again & {s["name"] for s in found["suggestions"]}


def test_a_file_that_is_there_is_not_overwritten(comments: Sandbox) -> None:
    before = comments.read("labeling_functions/t/w.yml")
    refused = comments("suggest", "t", "--save", "w.yml", code=2)
    assert "labeling_functions/t/w.yml is there already" in refused.err
    assert comments.read("labeling_functions/t/w.yml") == before
    assert "is no name of a YAML file" in comments("suggest", "t", "--save", "w.txt", code=2).err
    assert "write labeling_functions/t/w.yml" in comments("suggest", "t", "--save", "other/w.yml", code=2).err


def test_precision_counts_gold_and_new_counts_items_without_a_vote(comments: Sandbox) -> None:
    lovely = by_rule(suggestions(comments, "--label", "ham"))["lovely"]
    assert (lovely["claim"]["judged"], lovely["claim"]["right"]) == (24, 24)
    assert lovely["claim"]["new"] == 12  # of 24, six have voice and six song
    assert lovely["score"] == pytest.approx(lovely["z"] * lovely["expected"])
    assert {s["label"] for s in suggestions(comments, "--label", "ham")["suggestions"]} == {"ham"}


def test_only_what_mends_errors(tmp_path: Path) -> None:
    rows = [("red apple", "ham")] * 6 + [("red lamp", "spam")] * 6 + [("green lamp", "spam")] * 6
    voters = "[{name: red, label: ham, any_of: [red]}, {name: green, label: spam, any_of: [green]}]"
    sandbox = Sandbox(tmp_path, project(rows, voters))
    sandbox("build")
    found = suggestions(sandbox, "--from-errors")
    (only,) = found["suggestions"]
    assert (only["keys"], only["label"], only["errors"], only["expected"]) == (
        {"any_of": ["lamp"]},
        "spam",
        6,
        pytest.approx(6 * only["precision"]),
    )
    assert found["errors"] == 6


def test_without_gold_the_posterior_tells_and_test_gold_is_never_looked_at(tmp_path: Path) -> None:
    rows = [("free money", ""), ("money transfer", "")] * 6 + [("lovely song", ""), ("song list", "")] * 6
    voters = "[{name: free, label: spam, any_of: [free]}, {name: lovely, label: ham, any_of: [lovely]}]"
    sandbox = Sandbox(tmp_path, project(rows, voters))
    sandbox("build")
    found = suggestions(sandbox)
    assert (found["evidence"], found["evidence_items"]) == ("posterior", 12)
    assert {k: s["label"] for k, s in by_rule(found).items()} == {"money": "spam", "song": "ham"}
    assert by_rule(found)["money"]["claim"]["new"] == 6
    shown = sandbox("suggest", "t").out
    assert "expected precision" in shown
    assert "what leans to a label: the posterior of m of 12 items" in shown
    hidden = Sandbox(tmp_path / "test", project([(t, "spam") for t, _ in rows], voters, "description: x"))
    hidden("build")
    found = suggestions(hidden)
    assert found["evidence"] == "posterior"
    assert "all gold is of the test split" in found["notes"][0]
    assert all(s["claim"]["judged"] == 0 for s in found["suggestions"])


def test_seven_labels_unicode_and_the_agreement_with_rules(tmp_path: Path) -> None:
    texts = ["東京 は", "東京　は!", "İstanbul ÉTÉ", "istanbul été", "İSTANBUL Été", "naïve_9 groß", "NAÏVE_9 GROß"]
    rows = [f"k{n},{texts[n % 7]},{LABELS[(n % 7) // 2]},tune" for n in range(28)]
    files = unicode_project(rows) | {"label_models/m.yml": None}
    sandbox = Sandbox(tmp_path, {k: v for k, v in files.items() if v is not None})
    sandbox("build", code=None)
    found = suggestions(sandbox, "--column", "körper", "--min-precision", "0.3", task="sort")
    assert len(found["suggestions"]) >= 3
    assert {s["keys"]["column"] for s in found["suggestions"]} == {"körper"}
    sandbox("suggest", "sort", "--column", "körper", "--min-precision", "0.3", "--save", "neu")
    sandbox("build")
    for one in found["suggestions"]:
        votes = [v["label"] for v in sandbox.rows(one["name"])]
        assert votes.count(one["label"]) == one["claim"]["votes"] >= 3


@pytest.mark.parametrize("kind", ["choice", "multichoice", "ordinal"])
@pytest.mark.parametrize("rows", [[], ["k1,groß,größe,tune"]])
def test_hardly_any_items(rows: list[str], kind: str, tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, unicode_project(rows, kind))
    sandbox("build", code=None)
    found = suggestions(sandbox, task="sort")
    assert found["suggestions"] == []
    assert "no labeling function to suggest" in sandbox("suggest", "sort").out
    assert sandbox("suggest", "sort", "--format", "yaml").out == "labeling_functions: []\n"


def test_multichoice_and_a_label_that_nobody_has(tmp_path: Path) -> None:
    one, two = LABELS[0], LABELS[1]
    rows = [f"a{n},rot kraut,{one}|{two},tune" for n in range(6)] + [f"b{n},blau kraut,{two},tune" for n in range(6)]
    sandbox = Sandbox(tmp_path, unicode_project(rows, "multichoice"))
    sandbox("build", code=None)
    found = suggestions(sandbox, task="sort")["suggestions"]
    assert [(s["label"], s["keys"]["any_of"]) for s in found] == [(one, ["rot"])]
    assert (found[0]["claim"]["right"], found[0]["claim"]["judged"]) == (6, 6)


def test_a_second_run_says_the_same_and_python_too(comments: Sandbox) -> None:
    first = suggestions(comments)
    assert suggestions(comments) == first
    made = Project.load(comments.root).suggest("t", limit=3)
    assert [s.name for s in made.suggestions] == [s["name"] for s in first["suggestions"][:3]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("x",), "there is no task 'x'"),
        (("t", "--label", "spm"), "Did you mean 'spam'?"),
        (("t", "--column", "txt"), "Did you mean 'text'?"),
        (("t", "--column", "gold"), "no text in a column 'gold' that voters may read"),
        (("t", "--evidence", "luck"), "write one of: gold, posterior"),
        (("t", "--label-set", "n"), "there is no label model of task 't' 'n'"),
        (("t", "--min-precision", "2"), "--min-precision"),
    ],
)
def test_a_mistake_is_explained(options: tuple[str, ...], said: str, comments: Sandbox) -> None:
    assert said in comments("suggest", *options, code=2).err


def test_not_built_and_without_a_label_model(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, project(ROWS) | {"label_models/m.yml": "label_models: []\n"})
    assert "has not been built" in sandbox("suggest", "t", code=2).err
    sandbox("build", code=None)
    found = suggestions(sandbox)
    assert found["evidence"] == "gold"
    assert found["suggestions"]
    assert any("has no label model" in note for note in found["notes"])


def test_values_are_refused(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, project([("a", "1")]))
    sandbox.write({"tasks/t.yml": "tasks: [{name: t, kind: number, dataset: ref('c'), key: id}]\n"})
    sandbox.write(
        {"labeling_functions/t/w.yml": "labeling_functions: []\n", "label_models/m.yml": "label_models: []\n"}
    )
    for command in ("suggest", "issues"):
        refused = sandbox(command, "t", code=2)
        assert f"'{command}' takes tasks of the kinds choice, multichoice, ordinal, pairwise" in refused.err


def test_the_reviews(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox("build")
    assert suggestions(sandbox, task="mood")["task"] == "mood"


# ---------------------------------------------------------------------------- the measure


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=9))
def test_z_scores_change_their_sign_with_the_sides(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    background = (mine + theirs) / 100
    z = z_scores(mine, 50.0, theirs, 50.0, background)
    assert np.isfinite(z).all()
    assert z == pytest.approx(-z_scores(theirs, 50.0, mine, 50.0, background))
    assert (np.sign(z[mine != theirs]) == np.sign((mine - theirs)[mine != theirs])).all() or np.abs(z).min() < 1e-9


def test_z_scores_by_hand() -> None:
    """Prior 10 items of a term that a tenth of all holds: 1. (9+1)/(20+10-10) against (1+1)/(30+10-2)."""
    (z,) = z_scores(np.array([9.0]), 20.0, np.array([1.0]), 30.0, np.array([0.1]))
    assert z == pytest.approx((np.log(10 / 20) - np.log(2 / 38)) / np.sqrt(1 / 10 + 1 / 20 + 1 / 2 + 1 / 38))
