"""What every label model in the registry promises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit import registry
from teachkit.label_models import ALGORITHMS, check_label_model, contract
from teachkit.label_models import sweep as sweep_module
from teachkit.votes import Votes
from tests.contract.models import assert_probabilities, new
from tests.label_models.examples import crowd
from tests.votes.matrices import matrices, repeatable

CODED_MODELS = [n for n in registry.names("label_model") if "choice" in ALGORITHMS[n].kinds]
pytestmark = pytest.mark.parametrize("name", CODED_MODELS)
silences = st.sampled_from(["informative", "at_random"])


def degenerate() -> dict[str, Votes]:
    random = np.random.default_rng(0)
    return {
        "no items": Votes.from_matrix(np.zeros((0, 3), int), 2),
        "one item": Votes.from_matrix([[0, 1, -1]], 2),
        "no voters": Votes.from_matrix(np.zeros((5, 0), int), 3),
        "neither": Votes.from_matrix(np.zeros((0, 0), int), 2),
        "one voter": Votes.from_matrix(random.integers(-1, 2, (20, 1)), 2),
        "all abstain": Votes.from_matrix(np.full((7, 3), -1), 3),
        "one label only": Votes.from_matrix(np.ones((9, 3), int), 2),
        "a label never given": Votes.from_matrix(random.integers(-1, 2, (40, 4)), 4),
        "always of one mind": Votes.from_matrix(np.repeat(random.integers(0, 2, (30, 1)), 5, axis=1), 2),
        "one label": Votes.from_matrix(random.integers(-1, 1, (10, 3)), 1),
        "seven labels": Votes.from_matrix(random.integers(-1, 7, (50, 5)), 7),
        "200 labels": Votes.from_matrix(random.integers(-1, 200, (300, 3)).astype(np.int16), 200),
    }


def test_it_is_found_by_its_name_and_version(name: str) -> None:
    model = registry.load("label_model", name)
    assert model.name == name
    assert model.version == ALGORITHMS[name].version


def test_it_passes_the_checks_that_users_run_on_their_own(name: str) -> None:
    check_label_model(registry.load("label_model", name))


@repeatable
@given(given_=matrices(), silence=silences)
def test_any_votes_pass_the_checks(name: str, given_: tuple[Any, int], silence: str) -> None:
    votes = Votes.from_matrix(*given_)
    for check in (contract.PROMISES | contract.PROMISES_OF_LABEL_MODELS).values():
        check(registry.load("label_model", name), votes, silence)


@pytest.mark.parametrize("labels", [2, 3, 4])
def test_any_number_of_threads_gives_the_same_bits(name: str, labels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "CHUNK", 50)
    votes, _ = crowd(600, [0.9, 0.8, 0.7, 0.6, 0.6], labels, coverage=0.6)
    assert votes.n_patterns > 100
    found = []
    for threads in (1, 2, 4):
        model = new(name, threads=threads).fit(votes, abstain="at_random")
        found.append((model.predict_proba(votes).tobytes(), json.dumps(model.parameters())))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("case", list(degenerate()))
@pytest.mark.parametrize("silence", ["informative", "at_random"])
def test_degenerate_votes_give_probabilities(name: str, case: str, silence: str) -> None:
    votes = degenerate()[case]
    zero = [1.0] + [0.0] * (votes.n_labels - 1)
    gold = np.random.default_rng(1).integers(0, votes.n_labels, votes.n_items)
    for prior, known in (("learned", None), ("uniform", np.full(votes.n_items, -1)), ("learned", gold), (zero, gold)):
        model = new(name, class_prior=prior).fit(votes, gold=known, abstain=silence)
        assert_probabilities(model.predict_proba(votes), votes)
        for found in model.voter_report():
            assert found.accuracy is None or found.low <= found.accuracy + 1e-12 <= found.high + 2e-12
    json.dumps(model.parameters(), allow_nan=False)


@pytest.mark.parametrize("policy", ["abstain", "prior", "first"])
def test_silent_items_have_no_label_and_the_prior(name: str, policy: str) -> None:
    votes = Votes.from_matrix([[0, 0], [-1, -1], [1, 1]], 2)
    model = new(name).fit(votes)
    assert model.predict(votes, tie_policy=policy).tolist() == [0, -1, 1]
    assert model.predict_proba(votes)[1].tolist() == model.prior_.tolist()


def test_a_plain_matrix_is_votes(name: str) -> None:
    matrix = np.array([[0, 1, -1], [1, 1, 1], [0, 0, -1], [-1, 1, 0]])
    plain, folded = (new(name).fit(v).predict_proba(v) for v in (matrix, Votes.from_matrix(matrix, 2)))
    assert plain.tolist() == folded.tolist()


def test_good_votes_give_good_labels(name: str) -> None:
    votes, truth = crowd(500, [0.85, 0.8, 0.8, 0.75, 0.7], 3, coverage=0.8)
    model = new(name).fit(votes, abstain="at_random")
    assert (model.predict(votes, tie_policy="first") == truth).mean() > 0.85
    for key in ("iterations", "converged", "max_change", "log_likelihood", "flips_against_majority", "weak_voters"):
        assert key in model.diagnostics_


def test_known_labels_all_around_give_the_share_of_right_votes(name: str) -> None:
    votes, truth = crowd(80, [0.9, 0.6], 2)
    found = new(name).fit(votes, gold=truth, abstain="at_random").voter_report()
    right = (votes.to_dense() == truth[:, None]).mean(axis=0)
    assert [f.accuracy for f in found] == pytest.approx(right.tolist())


@pytest.mark.parametrize("value", ["many", float("nan"), True])
def test_a_parameter_that_is_no_number_is_refused(name: str, value: Any) -> None:
    numbers = [p for p, given_ in new(name).get_params().items() if type(given_) in (int, float) or p == "n_iter"]
    for parameter in numbers:
        with pytest.raises(ValueError, match=f"^{parameter} is a number, not {value!r}$"):
            new(name, **{parameter: value}).fit([[0, 1], [1, 1]])
