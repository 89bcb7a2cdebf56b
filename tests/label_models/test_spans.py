"""Label models of spans: their probabilities against adding up by hand, what they recover, and real votes."""

from __future__ import annotations

import gzip
import json
import os
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.label_models import CandidateSpans, Hmm
from teachkit.label_models.candidate_spans import _marginals
from teachkit.label_models.span_base import best_spans, overlap
from teachkit.votes import Answers
from tests.label_models.span_worlds import WORLDS, Marker, f1, world
from tests.votes.answer_tables import PLACES, answers, tables
from tests.votes.matrices import repeatable

MODELS: tuple[Any, ...] = (CandidateSpans, Hmm)


def sets_without_overlap(places: list[Any]) -> list[tuple[int, ...]]:
    every = chain.from_iterable(combinations(range(len(places)), n) for n in range(len(places) + 1))
    return [s for s in every if not any(overlap(places[a], places[b]) for a, b in combinations(s, 2))]


@repeatable
@given(table=tables("span", most_items=3, most_voters=4), odds=st.lists(st.floats(-6, 6), min_size=12, max_size=12))
def test_probabilities_are_those_of_all_sets_without_overlap(table: Any, odds: list[float]) -> None:
    given_ = answers("span", table)
    model = CandidateSpans().fit(given_)
    for _, places, rivals in model._rivals(given_):
        mine = odds[: len(places)]
        if len(mine) < len(places):
            continue
        weight = {s: float(np.exp(sum(mine[i] for i in s))) for s in sets_without_overlap(places)}
        wanted = [sum(w for s, w in weight.items() if i in s) / sum(weight.values()) for i in range(len(places))]
        assert _marginals(rivals, mine) == pytest.approx(wanted)


@repeatable
@given(
    places=st.lists(st.tuples(PLACES, st.floats(0, 1)), max_size=7), decode=st.sampled_from(["probability", "log_odds"])
)
def test_the_best_spans_are_the_best_of_all_sets(places: Any, decode: str) -> None:
    ranked = [(place, 0.0, p) for place, p in sorted({(s, s + n, name): p for (s, n, name), p in places}.items())]
    chosen = best_spans(ranked, decode, ties=False)
    worth = {
        place: p - 0.5 if decode == "probability" else np.log(max(p, 1e-12) / max(1 - p, 1e-12))
        for place, _, p in ranked
    }
    kept = [place for place, _, p in ranked if p > 0.5 + 1e-9]
    best = max(sum(worth[kept[i]] for i in s) for s in sets_without_overlap(kept))
    assert sum(worth[place] for place in chosen) == pytest.approx(best, abs=1e-6)
    assert not any(overlap(a, b) for a, b in combinations(chosen, 2))
    assert list(chosen) == sorted(chosen)


def test_a_tie_is_left_out_unless_the_first_is_wanted() -> None:
    ranked = [((0, 3, "a"), 0.5, 0.5), ((2, 6, "a"), 0.5, 0.5), ((7, 9, "a"), 0.6, 0.6)]
    assert best_spans(ranked, "log_odds", ties=False) == ((7, 9, "a"),)
    assert best_spans(ranked, "log_odds", ties=True) == ((0, 3, "a"), (7, 9, "a"))


@repeatable
@given(table=tables("span", most_items=3, most_voters=3), informative=st.booleans())
def test_the_chain_gives_the_probability_of_all_paths(table: Any, informative: bool) -> None:
    given_ = answers("span", table)
    model = Hmm(n_iter=2).fit(given_, abstain="informative" if informative else "at_random")
    steps, states = model._steps(), range(1 + 2 * len(model.labels_))
    for one in model._chains(given_):
        size = len(one.said)
        if len(states) ** size > 700:
            continue
        emit = np.exp(model._emission(one.said))
        weight: dict[tuple[int, ...], float] = {}
        for path in np.ndindex(*[len(states)] * size):
            ways = [steps[a, b] for a, b in zip((0, *path), (*path, 0), strict=True)]
            weight[path] = float(np.prod(ways) * np.prod([emit[t, s] for t, s in enumerate(path)]))
        whole = sum(weight.values())
        for (first, last, label), got in model._spans(one.said, steps).items():
            inside = (2 * label + 1, *[2 * label + 2] * (last - first))
            wanted = sum(
                w
                for path, w in weight.items()
                if path[first : last + 1] == inside and (last + 1 == size or path[last + 1] != 2 * label + 2)
            )
            assert got == pytest.approx(wanted / whole, abs=1e-9)
        assert model._through(one.said, None, steps)[3] == pytest.approx(np.log(whole))


@repeatable
@given(table=tables("span", most_items=6, most_voters=4))
def test_each_step_of_the_chain_is_as_likely_as_the_one_before(table: Any) -> None:
    given_ = answers("span", table)
    if not given_.voters:
        return
    one, more = (Hmm(n_iter=n, strength=0.01).fit(given_).diagnostics_["log_likelihood"] for n in (2, 12))
    if one is not None:
        assert more >= one - 0.5  # with priors as weak as these


def test_overlapping_spans_share_one_probability() -> None:
    given_ = answers("span", [[((0, 6, "a"),)], [((3, 9, "a"),)], [None]])
    found = CandidateSpans().fit(given_).predict(given_)
    sure = [one["probability"] for one in found.posterior[0]]
    assert sure[0] == pytest.approx(sure[1])
    assert sum(sure) < 1
    assert found.label[0] == ()
    assert found.confidence[0] == pytest.approx(1 - max(sure))


def test_a_part_does_not_speak_against_the_whole_but_people_do() -> None:
    wide, part = ((0, 13, "a"),), ((7, 13, "a"),)
    given_ = answers("span", [[wide], [part], [part]])
    assert CandidateSpans().fit(given_).predict(given_).label[0] == wide
    assert CandidateSpans().fit(given_, abstain="informative").predict(given_).label[0] == part


def test_people_who_mark_nothing_say_no_and_rules_do_not() -> None:
    given_ = answers("span", [[((0, 4, "a"),)], [()], [()]])
    assert CandidateSpans().fit(given_, abstain="informative").predict(given_).label[0] == ()
    assert CandidateSpans().fit(given_, abstain="at_random").predict(given_).label[0] == ((0, 4, "a"),)
    mixed = {"v0": "at_random", "v1": "informative", "v2": "at_random"}
    assert CandidateSpans().fit(given_, abstain=mixed).informative_.tolist() == [False, True, False]


@pytest.mark.parametrize("model", MODELS)
def test_gold_shows_who_is_wrong(model: Any) -> None:
    right, wrong = ((0, 4, "a"),), ((0, 6, "a"),)
    table = [[right] * 12, [wrong] * 12, [wrong] * 12]
    given_ = answers("span", table)
    gold = np.full(12, None, dtype=object)
    gold[:] = [right] * 8 + [None] * 4
    found = model().fit(given_, gold=gold, abstain="informative").predict(given_)
    assert found.label[11] == right
    assert model().fit(given_, abstain="informative").predict(given_).label[11] == wrong


def test_two_voters_tell_nothing_of_each_other() -> None:
    two = answers("span", [[((0, 4, "a"),)] * 9, [((0, 4, "a"),)] * 5 + [()] * 4])
    model = CandidateSpans().fit(two, abstain="informative")
    assert model.diagnostics_["fallback"] == "fewer than three voters: all count the same"
    assert len({one["yes_to_right"] for one in model.voter_report()}) == 1


@pytest.mark.parametrize("model", MODELS)
def test_parameters_that_make_no_sense_are_refused(model: Any) -> None:
    given_ = answers("span", [[((0, 4, "a"),)]])
    for wrong in ({"decode": "best"}, {"strength": 0}, {"n_iter": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            model(**wrong).fit(given_)
    with pytest.raises(ValueError, match="silence of voter 'v0'"):
        model().fit(given_, abstain="sometimes")


FLOORS = {
    "rules, some know parts": (0.84, 0.84),
    "rules, one marks too much": (0.92, 0.60),
    "five people": (0.93, 0.64),
    "three people and a spammer": (0.85, 0.74),
    "people and rules": (0.81, 0.76),
    "copies": (0.94, 0.94),
}


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("labels", [1, 3])
def test_made_spans_are_recovered(name: str, labels: int) -> None:
    for model, floor in zip(MODELS, FLOORS[name], strict=True):
        scores = []
        for seed in range(3):
            given_, true, policies = world(seed, WORLDS[name], labels=labels)
            scores.append(f1(model().fit(given_, abstain=policies).predict(given_).label, true))
        assert np.mean(scores) > floor - 0.06 * (labels > 1), (model.name, scores)


def test_what_is_learned_of_voters_is_what_they_are_like() -> None:
    people = [Marker(0.9, reads_all=True), Marker(0.6, reads_all=True), Marker(0.9, invents=0.9, reads_all=True)]
    given_, _, policies = world(3, [*people, *people], items=400)
    found = CandidateSpans().fit(given_, abstain=policies).voter_report()
    for finds, one in zip((0.9, 0.6, 0.9) * 2, found, strict=True):
        assert one["yes_to_right"] == pytest.approx(finds, abs=0.05)
    assert found[2]["precision"] < 0.85 < found[0]["precision"]


def test_a_long_text_with_many_spans_is_decided() -> None:
    spans = tuple((10 * i, 10 * i + 7, "a") for i in range(3000))
    shifted = tuple((10 * i + 5, 10 * i + 12, "a") for i in range(3000))
    given_ = answers("span", [[spans], [spans], [shifted]])
    found = CandidateSpans().fit(given_).predict(given_)
    assert found.label[0] == spans
    assert np.isfinite(found.confidence).all()


# ---------------------------------------------------------------------------- votes from the field

DATA = Path(os.environ.get("TEACHKIT_DATA", ""))


def documents(split: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / "ner_ncbi" / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def votes(found: list[dict[str, Any]], rules: list[str]) -> Answers:
    columns = []
    for rule in rules:
        column = np.full(len(found), None, dtype=object)
        for i, one in enumerate(found):
            column[i] = tuple(sorted(tuple(span) for span in one["votes"].get(rule, ()))) or None
        columns.append(column)
    return Answers.from_columns("span", rules, columns, len(found))


@pytest.mark.skipif(not os.environ.get("TEACHKIT_DATA"), reason="TEACHKIT_DATA names no folder")
@pytest.mark.parametrize(("rules", "floors"), [("lf", (0.776, 0.775)), ("lf_rec", (0.785, 0.78))])
def test_diseases_in_abstracts(rules: str, floors: tuple[float, float]) -> None:
    names = json.loads((DATA / "ner_ncbi" / "meta.json").read_text(encoding="utf-8"))[rules]
    train, test = documents("train"), documents("test")
    gold = [tuple(tuple(span) for span in one["gold"]) for one in test]
    for model, floor in zip(MODELS, floors, strict=True):
        for fitted_on in (train, test):
            found = model().fit(votes(fitted_on, names)).predict(votes(test, names)).label
            assert f1(found, gold) > floor, model.name
