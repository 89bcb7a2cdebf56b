"""What every label model promises, as checks that anyone can run on a class of their own.

A check takes a factory (a class, or a function without arguments), votes and what silence says; it raises
``AssertionError`` with a sentence. Those of ``PROMISES`` hold for every class with ``fit`` and ``predict_proba``, those
of ``PROMISES_OF_LABEL_MODELS`` for subclasses of ``LabelModel`` also.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from teachkit.label_models.base import LabelModel
from teachkit.votes import Votes

if TYPE_CHECKING:
    from collections.abc import Iterator

Factory = Callable[[], Any]
Check = Callable[[Factory, Votes, str], None]

SILENCES = ("informative", "at_random")
_SUM, _SAME = 1e-9, 1e-7


def check_label_model(factory: Factory) -> None:
    """Run all checks on models that ``factory`` makes: a class whose parameters have defaults, or a function.

    Raises:
        AssertionError: a promise is broken; the message says which, and on which votes.
    """
    for _, check in label_model_checks(factory):
        check()


def label_model_checks(factory: Factory) -> Iterator[tuple[str, Callable[[], None]]]:
    """The checks one by one, with names, for a test to be parametrised with.

    ``@pytest.mark.parametrize(("name", "check"), label_model_checks(MyModel))``.
    """
    found = dict(PROMISES)
    if isinstance(factory(), LabelModel):
        found |= PROMISES_OF_LABEL_MODELS
    for name, check in found.items():
        yield name, partial(_on_all_examples, name, check, factory)


def _on_all_examples(name: str, check: Check, factory: Factory) -> None:
    for title, votes in examples().items():
        for silence in SILENCES:
            try:
                check(factory, votes, silence)
            except Exception as error:
                problem = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
                raise AssertionError(f"{name}: on votes '{title}', silence {silence}: {problem}") from error


def examples() -> dict[str, Votes]:
    """Votes of every sort: ordinary ones, and those that a real project has on a bad day."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 90)
    crowd = np.where(random.random((90, 5)) < 0.8, truth[:, None], random.integers(0, 3, (90, 5)))
    crowd[random.random(crowd.shape) < 0.4] = -1
    sides = np.where(random.random((80, 4)) < 0.3, np.arange(4) % 2, -1)
    sides[0, 0] = 0  # so that there are votes, whatever the generator
    return {
        "of people": Votes.from_matrix(crowd, 3),
        "for one label by each voter": Votes.from_matrix(sides, 2),
        "on no item": Votes.from_matrix(np.zeros((0, 3), np.int64), 2),
        "on one item": Votes.from_matrix([[0, 1, -1]], 2),
        "by one voter": Votes.from_matrix(random.integers(-1, 2, (20, 1)), 2),
        "that all abstain": Votes.from_matrix(np.full((7, 3), -1), 3),
        "for one label only": Votes.from_matrix(np.ones((9, 3), np.int64), 2),
        "never for the last label": Votes.from_matrix(random.integers(-1, 2, (40, 4)), 4),
        "always equal": Votes.from_matrix(np.repeat(random.integers(0, 2, (30, 1)), 4, axis=1), 2),
        "for one of 40 labels": Votes.from_matrix(random.integers(-1, 40, (60, 3)), 40),
    }


def _fitted(factory: Factory, votes: Votes, silence: str, gold: Any = None) -> Any:
    model = factory()
    found = model.fit(votes, gold=gold, abstain=dict.fromkeys(votes.voters, silence))
    return model if found is None else found


def _promised(kept: Any, problem: str) -> None:
    """An assertion that stands under ``python -O`` as well."""
    if not kept:
        raise AssertionError(problem)


def fit_gives_the_model(factory: Factory, votes: Votes, silence: str) -> None:
    """``fit`` returns the model."""
    model = factory()
    found = model.fit(votes, gold=None, abstain=silence)
    _promised(found is model, f"fit returned {type(found).__name__}, not the model")


def rows_are_probabilities(factory: Factory, votes: Votes, silence: str) -> None:
    """``predict_proba`` gives [N, K], from 0 up, and rows sum to 1; with gold as well."""
    gold = np.arange(votes.n_items) % (votes.n_labels + 1) - 1
    for known in (None, np.full(votes.n_items, -1), gold):
        found = np.asarray(_fitted(factory, votes, silence, known).predict_proba(votes))
        wanted = (votes.n_items, votes.n_labels)
        _promised(found.shape == wanted, f"predict_proba gave the shape {found.shape}, not {wanted}")
        _promised(found.dtype.kind == "f", f"predict_proba gave {found.dtype}, not floats")
        _promised(np.isfinite(found).all(), "a posterior is not finite")
        _promised((found >= 0).all(), "a posterior is below 0")
        off = float(np.abs(found.sum(axis=1) - 1).max(initial=0))
        _promised(off <= _SUM, f"a row of posteriors sums to 1 up to {off:.1e} only")


def same_votes_give_the_same_bits(factory: Factory, votes: Votes, silence: str) -> None:
    """Two fits to the same votes give the same posteriors, bit for bit, and leave the votes as they are."""
    before = copy.deepcopy(votes)
    first, second = (np.asarray(_fitted(factory, votes, silence).predict_proba(votes)).tobytes() for _ in range(2))
    _promised(first == second, "two fits to the same votes differ")
    for name in ("indptr", "voter", "code", "counts", "pattern_of"):
        _promised(np.array_equal(getattr(before, name), getattr(votes, name)), f"the votes' {name} was changed")


def order_does_not_matter(factory: Factory, votes: Votes, silence: str) -> None:
    """Items and voters in another order have the same posteriors (up to 1e-7)."""
    random = np.random.default_rng(1)
    items, voters = random.permutation(votes.n_items), random.permutation(len(votes.voters))
    moved = Votes.from_matrix(
        votes.to_dense()[items][:, voters], votes.n_labels, [votes.voters[int(v)] for v in voters]
    )
    first, second = (np.asarray(_fitted(factory, v, silence).predict_proba(v)) for v in (votes, moved))
    off = float(np.abs(second - first[items]).max(initial=0))
    _promised(off <= _SAME, f"items or voters in another order move a posterior by {off:.1e}")


def parameters_have_names(factory: Factory, votes: Votes, silence: str) -> None:
    """``get_params`` and ``set_params`` are as in scikit-learn: a copy by parameters fits alike; ``fit`` sets none."""
    model = factory()
    parameters = model.get_params(deep=False)
    copied = type(model)(**parameters)
    for name, value in parameters.items():
        _promised(getattr(copied, name) is value, f"__init__ does not store '{name}' as it is")
    model.fit(votes, abstain=silence)
    changed = [name for name, value in model.get_params(deep=False).items() if value is not parameters[name]]
    _promised(not changed, f"fit sets the parameters {changed}")
    _promised(model.set_params(**parameters) is model, "set_params does not return the model")
    same = np.array_equal(copied.fit(votes, abstain=silence).predict_proba(votes), model.predict_proba(votes))
    _promised(same, "a copy by parameters has other posteriors")
    _promised(model.n_features_in_ == len(votes.voters), "n_features_in_ is not the number of voters")
    _promised(len(model.classes_) == votes.n_labels, "classes_ are not the labels")


def arrays_and_tables_are_votes(factory: Factory, votes: Votes, silence: str) -> None:
    """A matrix and a long table give the posteriors that ``Votes`` give; NaN, floats and codes below -1 are refused."""
    wanted = _fitted(factory, votes, silence).predict_proba(votes)
    model = _fitted(factory, votes, silence)
    dense = votes.to_dense()
    _promised(np.array_equal(model.predict_proba(dense), wanted), "a matrix has other posteriors than Votes")
    rows, columns = np.nonzero(dense >= 0)
    table = {"item": rows, "voter": np.array(votes.voters)[columns], "label": dense[rows, columns]}
    named = Votes.from_table(table, items=range(votes.n_items), voters=votes.voters, labels=range(votes.n_labels))
    _promised(np.array_equal(model.predict_proba(named), wanted), "a long table has other posteriors than Votes")
    for wrong in (np.full(dense.shape, np.nan), dense.astype(float), np.full(dense.shape, -2), np.zeros((2, 99), int)):
        if wrong.size:
            try:
                model.predict_proba(wrong)
            except ValueError:
                continue
            raise AssertionError(f"votes that are none are not refused: {wrong.dtype} like {wrong.flat[0]}")


def silence_has_no_label(factory: Factory, votes: Votes, silence: str) -> None:
    """Items that nobody votes on have the prior, and never a label; a label is one of the most likely."""
    model = _fitted(factory, votes, silence)
    posterior, silent = model.predict_proba(votes), (votes.votes_per_pattern == 0)[votes.pattern_of]
    _promised(
        np.array_equal(posterior[silent], np.tile(model.prior_, (int(silent.sum()), 1))),
        "an item without votes has another posterior than prior_",
    )
    for policy in ("abstain", "prior", "first"):
        labels = np.asarray(model.predict(votes, tie_policy=policy))
        _promised((labels[silent] == -1).all(), f"an item without votes has a label under the tie policy '{policy}'")
        done = np.flatnonzero(labels >= 0)
        _promised(
            (posterior[done, labels[done]] >= posterior[done].max(axis=1) * (1 - 1e-8)).all(),
            "a label is not one of the most likely",
        )
    _promised(
        (np.asarray(model.predict(votes, tie_policy="first")) >= 0)[~silent].all(),
        "an item with votes has no label under the tie policy 'first'",
    )


def parameters_give_the_model_again(factory: Factory, votes: Votes, silence: str) -> None:
    """``from_parameters`` of ``parameters``, sent through JSON, gives the same bits."""
    model = _fitted(factory, votes, silence)
    kept = json.loads(json.dumps(model.parameters(), allow_nan=False))
    again = type(model).from_parameters(kept)
    _promised(again.predict_proba(votes).tobytes() == model.predict_proba(votes).tobytes(), "posteriors differ")
    _promised(again.voter_report() == model.voter_report(), "the report on voters differs")
    _promised(again.parameters() == kept == model.parameters(), "the parameters differ")


def contributions_add_up(factory: Factory, votes: Votes, silence: str) -> None:
    """Each vote has a contribution; with ``log_prior`` they sum to the log posterior up to a constant."""
    model = _fitted(factory, votes, silence)
    posterior = model.pattern_proba(votes)
    for pattern in range(votes.n_patterns):
        moved = model.contributions(votes, pattern)
        part = slice(votes.indptr[pattern], votes.indptr[pattern + 1])
        missing = {votes.voters[v] for v in votes.voter[part]} - set(moved)
        _promised(not missing, f"votes of {sorted(missing)} have no contribution")
        if hasattr(model, "log_prior"):
            logs = sum(moved.values(), np.asarray(model.log_prior))
            odds = np.exp(logs - logs.max())
            off = float(np.abs(odds / odds.sum() - posterior[pattern]).max())
            _promised(off <= _SUM, f"prior and contributions miss a posterior by {off:.1e}")


def voters_are_reported(factory: Factory, votes: Votes, silence: str) -> None:
    """``voter_report`` names the voters in order; an accuracy lies within its interval, confusions are probabilities.

    A row of a confusion sums to 1 at most: to less where silence is left out.
    """
    model = _fitted(factory, votes, silence)
    report = model.voter_report()
    _promised(tuple(found.voter for found in report) == votes.voters, "the report is not on the voters, in their order")
    for found in report:
        if found.accuracy is not None:
            inside = 0 <= found.low <= found.accuracy + 1e-9 <= found.high + 2e-9 <= 1 + 2e-9
            _promised(inside, f"{found.voter}: {found.accuracy} is not within {found.low} to {found.high}")
        for row in found.confusion or ():
            sound = min(row) >= 0 and sum(row) <= 1 + 1e-6
            _promised(sound, f"{found.voter}: a row of the confusion has {min(row)} at least, and sums to {sum(row)}")


PROMISES: dict[str, Check] = {
    "fit_gives_the_model": fit_gives_the_model,
    "rows_are_probabilities": rows_are_probabilities,
    "same_votes_give_the_same_bits": same_votes_give_the_same_bits,
    "order_does_not_matter": order_does_not_matter,
}
PROMISES_OF_LABEL_MODELS: dict[str, Check] = {
    "parameters_have_names": parameters_have_names,
    "arrays_and_tables_are_votes": arrays_and_tables_are_votes,
    "silence_has_no_label": silence_has_no_label,
    "parameters_give_the_model_again": parameters_give_the_model_again,
    "contributions_add_up": contributions_add_up,
    "voters_are_reported": voters_are_reported,
}
