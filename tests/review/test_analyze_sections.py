"""The sections of ``analyze``: pairs, agreement, annotators, marginal value, slices; in a crowd with a spammer."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from teachkit import Project
from teachkit.errors import BadOption
from teachkit.votes import Votes
from teachkit.votes.agreement import cohen_kappa, krippendorff_alpha
from teachkit.votes.annotators import remarks, spammer_score
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABELS = ("猫", "hund", "fågel")
N = 120
PEOPLE = {"ann": 0.95, "bo": 0.9, "çelik": 0.85, "dee": 0.9, "spam": None}
"""How often each is right; who has no figure does not look."""


def truth(number: int) -> str:
    return LABELS[(number * 7 + number // 5) % 3]


def said(name: str, number: int) -> str:
    draw = random.Random(f"{number} {name}")
    skill = PEOPLE[name]
    if skill is None:
        return draw.choice(LABELS)
    others = [label for label in LABELS if label != truth(number)]
    return truth(number) if draw.random() < skill else draw.choice(others)


def asked(name: str, number: int) -> bool:
    return random.Random(f"asked {name} {number}").random() < 0.7


def judgments() -> str:
    lines = ["item,label,annotator,seconds"]
    for number in range(N):
        for name in PEOPLE:
            if asked(name, number):
                seconds = 0.5 if name == "spam" else 4 + number % 7
                lines.append(f"k{number},{said(name, number)},{name},{seconds}")
    return "\n".join(lines) + "\n"


def items() -> str:
    rows = ["key,words,truth,part"]
    for number in range(N):
        hint = truth(number) if number % 4 else "okänd"
        part = ("test", "tune", "train")[number % 3]
        rows.append(f"k{number},{hint} nr {number},{truth(number) if number % 2 else ''},{part}")
    return "\n".join(rows) + "\n"


FILES = {
    "teachkit.yml": "name: zoo\n",
    "animals.csv": items(),
    "sources/zoo.yml": "sources:\n  - {name: zoo, tables: [{name: animals, path: animals.csv, key: key}]}\n",
    "transforms/animals.sql": "select * from {{ source('zoo', 'animals') }}\n",
    "tasks/art.yml": "tasks:\n  - {name: art, kind: choice, labels: [猫, hund, fågel], dataset: ref('animals'), "
    "key: key, gold: {column: truth}, splits: {column: part}}\n",
    "labeling_functions/art/words.yml": "labeling_functions:\n"
    "  - {name: meow, label: 猫, sql: \"words like '猫%'\"}\n"
    "  - {name: meow_again, label: 猫, sql: \"words like '%猫%'\"}\n"
    "  - {name: woof, label: hund, sql: \"words like 'hund%'\"}\n"
    "  - {name: wrong, label: hund, sql: \"words like 'fågel%'\"}\n",
    "annotations/art/crowd.csv": judgments(),
    "slices/art/unknown.sql": "words like 'okänd%'\n",
    "slices/art/nobody.sql": "length(words) > 100",
    "label_models/art.yml": "label_models:\n  - {name: arts, task: art}\n"
    "  - {name: few, task: art, type: majority, voters: [meow, meow_again, crowd]}\n",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("zoo"), FILES)
    sandbox("build", "-q")
    yield sandbox


def analyze(zoo: Sandbox, *options: str) -> Any:
    return zoo("analyze", "art", "--format", "json", *options).json


def matrix() -> Any:
    """The judgments as codes."""
    rows = [[LABELS.index(said(name, n)) if asked(name, n) else -1 for name in PEOPLE] for n in range(N)]
    return np.array(rows)


# ---------------------------------------------------------------------------- agreement


def test_agreement_of_people_is_that_of_their_judgments(zoo: Sandbox) -> None:
    found = analyze(zoo, "--agreement")["agreement"]
    people = next(c for c in found["coefficients"] if (c["of"], c["coefficient"]) == ("people", "krippendorff"))
    expected = krippendorff_alpha(Votes.from_matrix(matrix(), 3))
    assert people["value"] == pytest.approx(expected.value)
    assert people["low"] < people["value"] < people["high"]
    assert (people["voters"], people["units"], people["metric"]) == (5, expected.n, "nominal")
    assert {c["of"] for c in found["coefficients"]} == {"people", "labeling functions", "all"}
    pair = next(p for p in found["pairs"] if {p["first"], p["second"]} == {"ann", "spam"})
    kappa = cohen_kappa(matrix()[:, 0], matrix()[:, 4], 3)
    assert (pair["kappa"], pair["units"]) == (pytest.approx(kappa.value), kappa.n)
    pair = next(p for p in found["pairs"] if {p["first"], p["second"]} == {"meow", "meow_again"})
    assert (pair["kappa"], pair["reason"]) == (None, "no variation: both always say the same one label")
    assert found == analyze(zoo, "--agreement")["agreement"]


def test_agreement_on_the_screen_says_what_is_undefined(zoo: Sandbox) -> None:
    out = zoo("analyze", "art", "--agreement", "--label-set", "few").out
    assert "agreement beyond chance (1: perfect, 0: as by chance)" in out
    assert "Krippendorff's alpha  nominal" in out
    assert "undef. (" in out
    assert "undefined: no variation: both always say the same one label" in out
    out = zoo("analyze", "art", "--agreement").out
    assert "Cohen's kappa of two voters: the lowest on 10 items or more" in out
    assert "kappa says nothing, as one of the two always says the same there" in out


# ---------------------------------------------------------------------------- pairs


def test_a_copy_is_found_and_said(zoo: Sandbox) -> None:
    found = analyze(zoo, "--pairs")["pairs"]
    copies = {(r["voter"], r["by"]): r for r in found["redundant"]}
    assert copies["meow", "meow_again"]["copy"]
    assert copies["meow_again", "meow"]["repeated"] == 1.0
    assert not any("ann" in pair for pair in copies)
    pair = {frozenset((p["first"], p["second"])): p for p in found["pairs"]}
    assert pair[frozenset(("meow", "meow_again"))]["dependence"] > 0.1
    assert pair[frozenset(("ann", "bo"))]["dependence"] < 0.1
    both = [(a, b) for a, b in matrix()[:, :2] if a >= 0 and b >= 0]
    one = pair[frozenset(("ann", "bo"))]
    assert (one["shared"], one["conflicts"]) == (len(both), sum(a != b for a, b in both))
    out = zoo("analyze", "art", "--pairs").out
    assert "votes of meow are also votes of meow_again, and the other way round" in out
    assert "dependent: they agree more than the labels explain" in out


# ---------------------------------------------------------------------------- annotators


def test_a_spammer_is_called_one_and_a_fast_one_fast(zoo: Sandbox) -> None:
    found = analyze(zoo, "--annotators")["annotators"]
    rows = {r["annotator"]: r for r in found["annotators"]}
    assert set(rows) == set(PEOPLE)
    assert rows["spam"]["remarks"] == [
        "spammer: its answers say nearly nothing of the label",
        "fast: 0.5 seconds, where 7 are usual",
    ]
    assert all(not rows[name]["remarks"] for name in ("ann", "bo", "dee"))
    assert rows["spam"]["score"] < 0.05 < 0.5 < rows["ann"]["score"]
    assert rows["ann"]["votes"] == sum(asked("ann", n) for n in range(N))
    assert rows["ann"]["seconds_low"] <= rows["ann"]["seconds"] <= rows["ann"]["seconds_high"]
    seen = [n for n in range(N) if n % 2 and n % 3 and asked("ann", n)]  # gold outside the test split
    assert rows["ann"]["gold"] == len(seen)
    assert rows["ann"]["accuracy"] == sum(said("ann", n) == truth(n) for n in seen) / len(seen)
    assert np.array(rows["ann"]["gold_confusion"]).sum() == len(seen)
    out = zoo("analyze", "art", "--annotators").out
    assert "spam: spammer: its answers say nearly nothing of the label" in out


def test_an_annotator_is_not_judged_by_its_own_vote(tmp_path: Path) -> None:
    files = {**FILES, "annotations/art/crowd.csv": "item,label,annotator\nk0,hund,solo\nk1,hund,solo\nk4,猫,solo\n"}
    files["label_models/art.yml"] = "label_models:\n  - {name: arts, task: art, type: majority, voters: [crowd]}\n"
    zoo = Sandbox(tmp_path / "alone", files)
    zoo("build", "-q")
    (row,) = analyze(zoo, "--annotators")["annotators"]["annotators"]
    assert (row["votes"], row["judged"], row["same"], row["score"]) == (3, 0, None, None)


@pytest.mark.parametrize(
    ("table", "said_"),
    [
        ([[30, 0], [0, 30]], []),
        ([[30, 0], [30, 0]], ["always says a, whatever the label"]),
        ([[15, 15], [15, 15]], ["spammer: its answers say nearly nothing of the label"]),
        ([[2, 28], [28, 2]], ["right less often than by chance: labels mixed up?"]),
        (
            [[60, 0], [40, 60]],
            ["says a too often: 100 times, expected 60", "says b too seldom: 60 times, expected 100"],
        ),
        ([[5, 5], [5, 4]], []),
        ([[9, 6, 0], [0, 0, 9], [6, 9, 0]], ["not told apart from chance: right in 23%, by chance in 33%"]),
    ],
)
def test_remarks(table: Any, said_: list[str]) -> None:
    assert remarks(table, ("a", "b"), spammer_score(table)[0]) == said_


def test_the_spammer_score_of_two_labels_is_the_square_of_youdens_index() -> None:
    table = [[8_000_000, 2_000_000], [1_000_000, 9_000_000]]
    score, chance = spammer_score(table)
    assert score == pytest.approx((0.8 + 0.9 - 1) ** 2, abs=1e-5)
    assert chance == pytest.approx(0, abs=1e-5)
    assert spammer_score(np.eye(5) * 1e9)[0] == pytest.approx(1)
    assert spammer_score([[3, 1], [0, 0]]) == (None, None)


# ---------------------------------------------------------------------------- marginal value


def test_what_a_voter_adds_is_what_a_fit_without_it_lacks(zoo: Sandbox) -> None:
    found = analyze(zoo, "--marginal")["marginal"]
    rows = {r["voter"]: r for r in found["voters"]}
    assert set(rows) == {*PEOPLE, "meow", "meow_again", "woof", "wrong"}
    assert found["gold_labels"] == sum(1 for n in range(N) if n % 2 and n % 3)
    base = analyze(zoo)
    assert base["gold_items"] == found["gold_labels"]
    with zoo.changed(
        {"label_models/art.yml": FILES["label_models/art.yml"].replace("arts,", "arts, voters: ['*', '-wrong'],")}
    ):
        zoo("build", "-q")
        other = analyze(zoo, "--marginal")["marginal"]
    zoo("build", "-q")
    assert rows["wrong"]["accuracy"] == pytest.approx(found["accuracy"] - other["accuracy"])
    assert rows["wrong"]["macro_f1"] == pytest.approx(found["macro_f1"] - other["macro_f1"])
    mended = round(rows["wrong"]["accuracy"] * found["gold_labels"])
    assert rows["wrong"]["mended"] - rows["wrong"]["broken"] == mended
    out = zoo("analyze", "art", "--marginal").out
    assert "with all voters: accuracy" in out


def test_marginal_value_says_why_it_is_not_there(zoo: Sandbox, tmp_path: Path) -> None:
    with zoo.changed({"labeling_functions/art/late.sql": "{{ config(label='hund') }}\nwords = 'late'\n"}):
        found = analyze(zoo, "--marginal")["marginal"]
    assert found["note"] == "some voters are not built: run 'teachkit build' first"
    bare = Sandbox(tmp_path / "bare", {**FILES, "label_models/art.yml": None})
    bare("build", "-q")
    assert analyze(bare, "--marginal")["marginal"]["note"] == "the task has no label model to fit again"
    only = FILES["label_models/art.yml"].replace("arts,", "arts, voters: [woof],")
    one = Sandbox(tmp_path / "one", {**FILES, "label_models/art.yml": only})
    one("build", "-q")
    assert "there is one voter only: nothing is left without it" in one("analyze", "art", "--marginal").out


# ---------------------------------------------------------------------------- slices


def test_a_slice_has_its_own_figures(zoo: Sandbox) -> None:
    found = {r["slice"]: r for r in analyze(zoo, "--slices")["slices"]["slices"]}
    assert list(found) == ["all items", "nobody", "unknown"]
    assert found["all items"]["items"] == N
    assert found["unknown"]["items"] == N // 4
    assert found["unknown"]["gold"] == 0
    assert found["nobody"]["items"] == 0
    assert sum(found["all items"]["balance"].values()) == pytest.approx(1)
    narrow = analyze(zoo, "--slice", "unknown", "--all")
    assert (narrow["slice"], narrow["items"]) == ("unknown", N // 4)
    assert next(r for r in narrow["voters"] if r["voter"] == "woof")["votes"] == 0
    people = next(c for c in narrow["agreement"]["coefficients"] if c["of"] == "people")
    assert people["value"] == pytest.approx(krippendorff_alpha(Votes.from_matrix(matrix()[::4], 3)).value)
    assert "slices" not in narrow
    assert "slice unknown" in zoo("analyze", "art", "--slice", "unknown", "--all").out
    assert "0 items" in zoo("analyze", "art", "--slice", "nobody", "--all").out


@pytest.mark.parametrize(
    ("text", "said_"),
    [
        ("", "the file is empty"),
        ("word = 'a'", "Did you mean 'words'"),
        ("length(words)", "it gives int64, not true or false"),
        ("words::int > 3", "Could not convert string"),
        ("select 1", "a slice is a condition over the columns"),
        ("length(words) > (select 1)", "a slice is a condition over the columns"),
        ("words = '{{ vaar('x') }}'", "slices/art/bad.sql:1"),
        (b"words = '\xff'", "slices/art/bad.sql:1"),
    ],
)
def test_a_slice_that_is_no_condition_is_an_error_with_its_place(zoo: Sandbox, text: str | bytes, said_: str) -> None:
    with zoo.changed({"slices/art/bad.sql": text}):
        done = zoo("analyze", "art", "--slices", code=2)
    assert "slices/art/bad.sql:1" in done.err
    assert said_ in done.err


def test_a_slice_that_is_not_there_is_said(zoo: Sandbox) -> None:
    err = zoo("analyze", "art", "--slice", "unknow", code=2).err
    assert "task 'art' has no slice 'unknow'  [unknown-slice]" in err
    assert "write one of: nobody, unknown. Did you mean 'unknown'?" in err
    with zoo.changed({"slices/art/unknown.sql": None, "slices/art/nobody.sql": None}):
        assert "there are none: write a condition into slices/art/<name>.sql" in zoo("analyze", "art", "--slices").out
        none = zoo("analyze", "art", "--slice", "unknown", code=2).err
        assert "it has none: write a condition into slices/art/<name>.sql" in none
    with zoo.changed({"slices/art/loud.SQL": "words like '%!'"}):
        assert "slice loud" in zoo("analyze", "art", "--slice", "loud", "--all").out


# ---------------------------------------------------------------------------- what all have in common


def test_the_default_screen_has_no_section_and_all_has_each(zoo: Sandbox) -> None:
    plain, full = analyze(zoo), analyze(zoo, "--all")
    names = {"pairs", "agreement", "annotators", "marginal", "slices"}
    assert not names & set(plain)
    assert names <= set(full)
    out = zoo("analyze", "art", "--all").out
    for title in ("pairs of voters", "agreement beyond chance", "annotators", "what each voter adds", "slices"):
        assert f"\n{title}" in out


def test_a_voter_that_is_believed_against_gold_is_a_gap(zoo: Sandbox, tmp_path: Path) -> None:
    found = analyze(zoo)
    wrong = next(r for r in found["voters"] if r["voter"] == "wrong")
    assert wrong["accuracy"] == 0
    believed = FILES["label_models/art.yml"].replace("arts,", "arts, type: majority, voters: [wrong],")
    fooled = Sandbox(tmp_path / "fooled", {**FILES, "label_models/art.yml": believed})
    fooled("build", "-q")
    (sentence,) = analyze(fooled)["gaps"]
    assert sentence.startswith("wrong is believed to be right in 100%")
    assert "gap: wrong is believed" in fooled("analyze", "art").out


def test_a_look_at_the_test_split_is_counted_once(zoo: Sandbox) -> None:
    before = analyze(zoo, "--gold", "test")["test_looks"]
    assert analyze(zoo, "--gold", "test", "--all")["test_looks"] == before + 1


def test_values_say_what_makes_no_sense(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i * 1.5}" for i in range(12))
    answers = "".join(f"{i},{i * 1.5 + e},{who}\n" for i in range(12) for who, e in (("a", 0.1), ("b", -0.1)))
    numbers = Sandbox(
        tmp_path / "numbers",
        {
            "teachkit.yml": "name: n\n",
            "n.csv": f"key,x\n{rows}\n",
            "sources/n.yml": "sources:\n  - {name: n, tables: [{name: n, path: n.csv, key: key}]}\n",
            "tasks/price.yml": "tasks:\n  - {name: price, kind: number, dataset: \"source('n', 'n')\", key: key}\n",
            "annotations/price/crowd.csv": "item,label,annotator\n" + answers,
            "label_models/price.yml": "label_models:\n  - {name: prices, task: price}\n",
            "slices/price/low.sql": "x < 3",
        },
    )
    numbers("build", "-q")
    found = numbers("analyze", "price", "--all", "--format", "json").json
    (alpha,) = found["agreement"]["coefficients"]
    assert alpha["metric"] == "interval"
    assert alpha["value"] > 0.99
    for section in ("pairs", "annotators", "marginal", "slices"):
        assert found[section]["note"].startswith("not for tasks of the kind 'number'")
    out = numbers("analyze", "price", "--all").out
    assert "pairs of voters: not for tasks of the kind 'number', whose answers are values" in out
    assert "of the kind 'number'" in numbers("analyze", "price", "--slice", "low", code=2).err


def test_sets_of_labels_have_their_own_distances(tmp_path: Path) -> None:
    rows = [("a", "red|big", "red|big"), ("b", "red", "red|big"), ("c", "", "round"), ("d", "round", "round")]
    judged = "".join(f"{k},{one},kim\n{k},{two},lee\n" for k, one, two in rows)
    sets = Sandbox(
        tmp_path / "sets",
        {
            "teachkit.yml": "name: s\n",
            "s.csv": "key,t\n" + "".join(f"{k},{k}\n" for k, _, _ in rows),
            "sources/s.yml": "sources:\n  - {name: s, tables: [{name: s, path: s.csv, key: key}]}\n",
            "tasks/t.yml": "tasks:\n  - {name: t, kind: multichoice, labels: [red, big, round], "
            "dataset: \"source('s', 's')\", key: key}\n",
            "annotations/t/crowd.csv": "item,label,annotator\n" + judged,
            "label_models/t.yml": "label_models:\n  - {name: ts, task: t}\n",
            "slices/t/a.sql": "t = 'a'",
        },
    )
    sets("build", "-q")
    found = sets("analyze", "t", "--all", "--format", "json").json
    metrics = {
        c["metric"]: c["value"] for c in found["agreement"]["coefficients"] if c["coefficient"] == "krippendorff"
    }
    assert set(metrics) == {"jaccard", "masi", "nominal"}
    assert 0 < metrics["masi"] < metrics["jaccard"] < 1
    assert found["annotators"]["labels"] == ["no", "yes"]
    assert found["slices"]["slices"][1]["items"] == 1
    assert "people, sets of labels" in sets("analyze", "t", "--all").out


def test_of_what_is_not_built_the_sections_say_so(tmp_path: Path) -> None:
    zoo = Sandbox(tmp_path / "zoo", FILES)
    zoo("build", "-q", "--exclude", "arts", "few")
    found = analyze(zoo, "--slices", "--annotators")
    assert found["slices"]["note"] == "no label set is built, so there is no accuracy"
    assert [row["items"] for row in found["slices"]["slices"]] == [N, 0, N // 4]
    judged = next(r for r in found["annotators"]["annotators"] if r["annotator"] == "ann")
    assert judged["same"] > 0.8  # as the majority of the others
    lines = {name: zoo.read(name).splitlines() for name in ("animals.csv", "annotations/art/crowd.csv")}
    kept = {name: [line for line in text if not line.startswith("k119,")] for name, text in lines.items()}
    zoo.write({name: "\n".join([*text, ""]).encode() for name, text in kept.items()})
    zoo("build", "-q", "--select", "+transform.animals")
    found = analyze(zoo, "--agreement", "--annotators", "--pairs")
    assert (found["agreement"]["note"], found["agreement"]["coefficients"]) == ("there are no voters", [])
    assert found["annotators"]["note"] == "no annotator is among the voters"
    assert "no two voters share an item" in zoo("analyze", "art", "--pairs").out


@pytest.mark.parametrize("option", ["--slice", "--label-set"])
def test_what_is_of_one_task_needs_it(tmp_path: Path, option: str) -> None:
    other = FILES["tasks/art.yml"].replace("name: art", "name: another")
    two = Sandbox(tmp_path / "two", {**FILES, "tasks/another.yml": other})
    assert "it needs a TASK" in two("analyze", option, "x", code=2).err


def test_a_section_that_is_not_there_is_refused(zoo: Sandbox) -> None:
    with pytest.raises(BadOption, match="'pear' is no section"):
        Project.load(zoo.root).analyze("art", sections=["pear"])


# ---------------------------------------------------------------------------- agreement as a test


@pytest.mark.parametrize(
    ("test", "status", "message"),
    [
        ("{min: 0.9}", "failed", "agreement 0.4"),
        ("{min: 0.3}", "passed", "(krippendorff) on 118 items judged by two or more; at least 0.3 wanted"),
        ("{min: 0.9, severity: warn}", "warned", "agreement 0.4"),
        ("{min: 0.3, coefficient: cohen}", "passed", "(cohen) on 118 items"),
        ("{max: 1, of: voters}", "passed", "(krippendorff) on 120 items voted on by two or more"),
    ],
)
def test_agreement_is_a_test(zoo: Sandbox, test: str, status: str, message: str) -> None:
    model = FILES["label_models/art.yml"].replace("task: art}", f"task: art, tests: [{{agreement: {test}}}]}}", 1)
    with zoo.changed({"label_models/art.yml": model}):
        zoo("test", "-q", "--select", "arts", code=int(status == "failed"))
        found = zoo.result("test.arts.agreement")
    assert found["status"] == status
    assert message in found["message"]


@pytest.mark.parametrize(
    ("more", "status"), [("", "failed"), (", undefined: pass", "passed"), (", severity: warn", "warned")]
)
def test_what_cannot_be_worked_out_fails_unless_it_may(tmp_path: Path, more: str, status: str) -> None:
    model = FILES["label_models/art.yml"].replace(
        "task: art}", f"task: art, tests: [{{agreement: {{min: 0.1{more}}}}}]}}", 1
    )
    alone = "item,label,annotator\nk0,hund,solo\n"
    zoo = Sandbox(tmp_path / "zoo", {**FILES, "label_models/art.yml": model, "annotations/art/crowd.csv": alone})
    zoo("build", "-q", code=int(status == "failed"))
    found = zoo.result("test.arts.agreement")
    assert found["status"] == status
    assert (
        "agreement undefined (krippendorff): no item is judged by two or more; at least 0.1 wanted" in found["message"]
    )
