"""Prices, estimates, and a budget that holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm import Budget, Prices, TokenEstimate, Usage, microdollars
from teachkit.llm.errors import BadPrices, UnboundedRequest, UnknownPrice
from tests.llm.simulated import Provider, make_request, simulate

PRICES = Prices.from_mapping(
    {
        "as_of": "2026-11-01",
        "models": {"small": {"input": 0.15, "output": 0.6, "cached": "0.075"}, "free": {"input": 0, "output": 0}},
    }
)


def test_a_cost_is_exact() -> None:
    price = PRICES.of("small")
    cost = price.cost(Usage(input=1_000, output=10, cached=400))
    assert microdollars(cost) == 600 * 0.15 + 400 * 0.075 + 10 * 0.6
    assert PRICES.of("free").cost(Usage(10, 10)) == 0


def test_a_batch_costs_its_share_and_never_less_than_that() -> None:
    table = {"half": {"input": 1, "output": 1, "batch": 0.5}, "free": {"input": 1, "output": 1, "batch": 0}}
    half, free = (Prices.from_mapping({"as_of": "x", "models": table}).of(name) for name in ("half", "free"))
    assert [half.in_batch(picos) for picos in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert free.in_batch(10**12) == 0
    assert PRICES.of("small").in_batch(12_345) == 12_345


def test_an_unknown_model_has_no_price() -> None:
    with pytest.raises(UnknownPrice, match="Did you mean 'small'"):
        PRICES.of("smal")


@pytest.mark.parametrize(
    "table",
    [{}, {"as_of": "x", "models": 3}, {"as_of": "x", "modles": {}}, {"as_of": "x", "models": {"m": 3}},
     *({"as_of": "x", "models": {"m": entry}} for entry in (
         {"input": 1}, {"input": -1, "output": 1}, {"input": "much", "output": 1}, {"input": float("nan"), "output": 1},
         {"input": True, "output": 1}, {"input": 1, "output": 1, "cache": 1}, {"input": 1e-9, "output": 1},
         {"input": 1, "output": 1, "max_output": 0.5}, {"input": 1, "output": 1, "batch": 1.5},
         {"input": 1, "output": 1, "batch": -0.1}, {"input": 1, "output": 1, "batch": "half"},
         {"input": 1, "output": 1, "batch": True}, {"input": 1, "output": 1, "batch": 1e-7}))],
)  # fmt: skip
def test_a_table_that_cannot_be_read(table: dict[str, Any]) -> None:
    with pytest.raises(BadPrices):
        Prices.from_mapping(table)


def test_the_worst_case_needs_a_bound() -> None:
    price = PRICES.of("small")
    with pytest.raises(UnboundedRequest, match="'row 1'"):
        price.worst(make_request("row 1"))
    small, large = (price.worst(make_request("row 1", max_tokens=n)) for n in (1, 1_000))
    assert large - small == 999 * 600_000 + len("000") * 150_000


calls = st.lists(st.tuples(st.integers(0, 50), st.none() | st.integers(0, 80)), max_size=40)


@given(st.integers(0, 300), st.integers(0, 300), calls, st.randoms(use_true_random=False))
def test_a_budget_is_never_exceeded_but_by_what_a_provider_takes_beyond_the_worst_case(
    inner: int, outer: int, wanted: list[tuple[int, int | None]], random: Any
) -> None:
    build = Budget(outer / 1e6)
    node = Budget(inner / 1e6, within=build)
    out = []
    for worst, cost in wanted:
        closed = node.closed
        reservation = node.reserve(worst)
        if reservation is not None:
            assert not closed
            out.append((reservation, cost))
        if out and random.random() < 0.5:
            node.settle(*out.pop(random.randrange(len(out))))
        for budget in (node, build):
            assert budget.spent + budget.uncertain + budget.reserved <= budget.limit + budget.overrun
            assert budget.reserved >= 0
    for reservation, cost in out:
        node.settle(reservation, cost)
    assert node.reserved == build.reserved == 0
    assert (node.spent, node.uncertain, node.overrun) == (build.spent, build.uncertain, build.overrun)


def test_a_run_stops_cleanly_at_its_budget_and_uses_it_up() -> None:
    price = PRICES.of("small")
    requests = [make_request(n, max_tokens=10) for n in range(200)]
    worst = max(price.worst(request) for request in requests)
    budget = Budget(300)
    outcome = simulate(Provider(), requests, price=lambda request: price, budget=budget)
    assert set(outcome.statuses) == {"ok", "not_run:budget"}
    assert sum(outcome.statuses.values()) == 200
    assert budget.spent <= budget.limit
    assert budget.left < worst
    assert budget.reserved == 0
    assert budget.spent == outcome.pool.counts.picos == round(sum(each.cost or 0 for each in outcome.kept) * 1e6)


def test_a_budget_of_nothing_asks_nothing() -> None:
    provider = Provider()
    outcome = simulate(provider, [make_request(1, max_tokens=1)], price=lambda r: PRICES.of("small"), budget=Budget(0))
    assert outcome.statuses == {"not_run:budget": 1}
    assert provider.sent == []


def test_a_usage_above_the_worst_case_is_recorded_and_stops_the_run() -> None:
    requests = [make_request(n, max_tokens=10, faults=["costly"]) for n in range(50)]
    budget = Budget(10_000_000)
    outcome = simulate(Provider(), requests, concurrency=4, price=lambda r: PRICES.of("small"), budget=budget)
    assert budget.overrun > 0
    assert outcome.statuses["ok"] == 4
    assert outcome.statuses["not_run:budget"] == 46


def test_what_may_have_been_paid_without_an_answer_counts() -> None:
    price = PRICES.of("small")
    budget = Budget(1_000_000)
    requests = [make_request(1, max_tokens=5, faults=["cut", "unreachable", "500", "no-usage"])]
    simulate(Provider(), requests, price=lambda r: price, budget=budget)
    assert budget.uncertain == 2 * price.worst(requests[0])
    assert budget.spent == 0


def test_an_estimate_learns() -> None:
    estimate = TokenEstimate()
    assert estimate.tokens(400) == 100
    for _ in range(1_000):
        estimate.learn(300, 150)
    assert 190 < estimate.tokens(400) <= 200
    assert TokenEstimate(bytes_seen=10**6, tokens_seen=10**6).tokens(100) > 99


def test_how_many_tokens_fit_into_a_model() -> None:
    table = {"as_of": "2026-11-01", "models": {"m": {"input": 1, "output": 1, "context": 8000}}}
    assert Prices.from_mapping(table).of("m").context == 8000
    for wrong in (0, -1, True, "many", 1.5):
        table["models"]["m"]["context"] = wrong  # type: ignore[index]
        with pytest.raises(BadPrices, match="context of 'm' is not a number of tokens"):
            Prices.from_mapping(table)
