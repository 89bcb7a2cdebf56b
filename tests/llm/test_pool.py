"""The pool against a simulated provider, in virtual time: no row is lost, and no time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import Budget, Policy
from teachkit.llm.errors import AllRefused, AuthRefused, ModelUnknown, Outage, QuotaSpent, RedirectRefused
from teachkit.llm.money import Price
from tests.llm.server import Bucket, faulty
from tests.llm.simulated import Provider, make_request, simulate

if TYPE_CHECKING:
    from teachkit.llm import ModelReply, Request


def test_workers_are_kept_busy() -> None:
    provider = Provider(latency=0.05)
    outcome = simulate(provider, (make_request(n) for n in range(1_280)))
    assert outcome.statuses == {"ok": 1_280}
    assert provider.most_active == 64
    assert outcome.seconds == pytest.approx(1.0)


@pytest.mark.parametrize(
    "fault", ["429", "429-bare", "500", "cut", "hang", "garbage", "not-chat", "gateway", "gateway-429", "slow"]
)
def test_a_fault_costs_no_row(fault: str) -> None:
    outcome = simulate(Provider(), [make_request(n, faults=[fault] if n % 7 == 0 else []) for n in range(300)])
    assert outcome.statuses == {"ok": 300}


def test_a_bad_day_costs_no_row_and_single_failures_no_time() -> None:
    provider = Provider(script=lambda *at: "500" if (fault := faulty(*at)) == "hang" else fault)
    outcome = simulate(provider, (make_request(n) for n in range(2_000)))
    assert outcome.statuses == {"ok": 2_000}
    assert len(provider.sent) < 2_200
    assert outcome.seconds < 4  # 1.6 s without a fault


@pytest.mark.parametrize(("told", "wasted"), [(True, 0.03), (False, 0.08)])
def test_a_limit_is_used_and_not_fought(told: bool, wasted: float) -> None:
    provider = Provider(bucket=Bucket(200, 20, told))
    outcome = simulate(provider, (make_request(n) for n in range(2_000)))
    assert outcome.statuses == {"ok": 2_000}
    late = [at for at in outcome.times if at > 1]
    assert (len(late) - 1) / (max(late) - min(late)) >= 0.95 * 200
    assert provider.count("429-bare") / len(provider.sent) < wasted


def test_tokens_a_minute_hold() -> None:
    provider = Provider()
    outcome = simulate(provider, (make_request(n, max_tokens=70) for n in range(200)), tokens_per_minute=60_000)
    tokens = sum(70 + (each.input_tokens or 0) for each in outcome.kept)
    assert tokens / outcome.seconds < 1_000 * 1.1


def test_retry_after_is_obeyed() -> None:
    provider = Provider(headers={}, script=lambda body, nth, total: "ok" if nth else "429")
    outcome = simulate(provider, [make_request(1)])
    assert provider.sent[1][0] - provider.sent[0][0] >= 0.02 + 0.01
    assert outcome.kept[0].tries == 2


def test_jitter_is_full_and_grows() -> None:
    provider = Provider(latency=0)
    simulate(provider, [make_request(1, faults=["500"] * 5)])
    waits = [b[0] - a[0] for a, b in pairwise(provider.sent)]
    assert len(waits) == 5
    assert all(0 <= wait <= 0.5 * 2**n for n, wait in enumerate(waits))
    assert len({round(wait, 6) for wait in waits}) == 5


def test_retries_are_mixed_in_and_not_left_to_the_end() -> None:
    provider = Provider(latency=1)
    outcome = simulate(provider, [make_request(n, faults=["500"] if n == 0 else []) for n in range(100)], concurrency=4)
    place = [job.request.label for job in outcome.done].index("0")
    assert place < 30


def test_patience_ends() -> None:
    policy = Policy(throttle_cap=30)
    faults: list[list[str]] = [["500"] * 9, ["429-bare"] * 999, ["429-long"], ["hang"] * 9]
    outcome = simulate(Provider(), [make_request(n, faults=each) for n, each in enumerate(faults)], policy=policy)
    assert outcome.statuses == {"transient_exhausted": 4}
    details = {job.request.label: job.decision.detail for job in outcome.done if job.decision}
    assert details["0"] == "HTTP 500, 6 times"
    assert details["1"] == details["2"] == "refused as too fast (429) for 30 s"
    assert "within 60 s, 6 times" in details["3"]


def test_429_spends_no_try() -> None:
    outcome = simulate(Provider(), [make_request(1, faults=["429", "500"] * 5 + ["429"] * 20)])
    assert outcome.statuses == {"ok": 1}


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [("auth", AuthRefused, "THE_KEY"), ("quota", QuotaSpent, "quota"), ("model", ModelUnknown, "'small'"),
     ("redirect", RedirectRefused, "307")],
)  # fmt: skip
def test_what_would_meet_all_stops_all_at_once(fault: str, error: type[Exception], said: str) -> None:
    provider = Provider(script=lambda *_: fault)
    outcome = simulate(provider, (make_request(n) for n in range(1_000)), key_name="THE_KEY")
    assert [type(each) for each in outcome.failed] == [error]
    assert said in str(outcome.failed[0])
    assert len(provider.sent) == 64
    assert outcome.kept == []


def test_answers_under_way_are_kept_when_all_stops() -> None:
    provider = Provider(script=lambda body, nth, total: "quota" if total == 10 else "ok")
    outcome = simulate(provider, (make_request(n) for n in range(1_000)))
    assert isinstance(outcome.failed[0], QuotaSpent)
    assert len(outcome.kept) == len(provider.sent) - 1 < 200


def test_one_refused_request_is_an_error_of_its_own() -> None:
    faults = {3: ["bad-request"], 4: ["filter-400"]}
    outcome = simulate(Provider(), [make_request(n, faults=faults.get(n)) for n in range(100)])
    assert outcome.statuses == {"ok": 98, "error": 1, "content_filter": 1}
    (bad,) = (job.decision for job in outcome.done if job.decision and job.decision.status == "error")
    assert bad.detail == "HTTP 400: Unsupported parameter: 'top_k' (unsupported_parameter, invalid_request_error)"


def test_nothing_but_refusals_and_nothing_but_failures_stop() -> None:
    outcome = simulate(Provider(script=lambda *_: "bad-request"), (make_request(n) for n in range(500)))
    assert [type(each) for each in outcome.failed] == [AllRefused]
    provider = Provider(script=lambda *_: "500")
    outcome = simulate(provider, (make_request(n) for n in range(500)))
    assert [type(each) for each in outcome.failed] == [Outage]
    assert len(provider.sent) < 1_500


@pytest.mark.parametrize(
    ("faults", "status", "asks"),
    [(["refusal"], "refusal", 1), (["content_filter"], "content_filter", 1), (["length"], "truncated", 1),
     (["misfit"] * 9, "invalid_output", 3), (["misfit", "misfit", "ok"], "ok", 3),
     (["misfit", "500", "429", "refusal"], "refusal", 2)],
)  # fmt: skip
def test_every_end_has_a_status_and_every_answer_is_kept(faults: list[str], status: str, asks: int) -> None:
    def validate(request: Request, reply: ModelReply) -> str | None:
        return "it does not fit" if "mood" in reply.text else None

    outcome = simulate(Provider(), [make_request(1, faults=faults)], validate=validate)
    assert outcome.statuses == {status: 1}
    assert [each.attempt for each in outcome.kept] == list(range(asks))


@pytest.mark.parametrize(
    ("fault", "said"),
    [("garbage", "HTTP 200, but the reply is not JSON, 6 times"),
     ("not-chat", "HTTP 200, but the reply is not a chat completion, 6 times"),
     ("gateway", "HTTP 200, but the reply is not a chat completion: Provider returned error (502), 6 times")],
)  # fmt: skip
def test_a_reply_that_holds_no_answer_is_a_failure_on_the_way(fault: str, said: str) -> None:
    provider = Provider(latency=0)
    outcome = simulate(provider, [make_request(1, faults=[fault] * 9)])
    assert outcome.statuses == {"transient_exhausted": 1}
    assert [job.decision.detail for job in outcome.done if job.decision] == [said]
    assert outcome.kept == []
    assert outcome.seconds > 1  # not six times within milliseconds
    outcome = simulate(Provider(script=lambda *_: fault), (make_request(n) for n in range(500)))
    assert [type(each) for each in outcome.failed] == [Outage]
    assert outcome.kept == []


def test_the_code_in_an_error_is_the_status_that_a_gateway_means() -> None:
    outcome = simulate(Provider(), [make_request(1, faults=["gateway-429"] * 20)])
    assert outcome.statuses == {"ok": 1}
    assert outcome.pool.counts.throttled == 20


def test_what_no_model_was_asked_costs_nothing_and_what_may_have_been_asked_is_uncertain() -> None:
    price = Price(input=1, output=1, cached=1)
    for fault, uncertain in (("gateway", False), ("garbage", True)):
        budget = Budget(1_000_000)
        request = make_request(1, faults=[fault], max_completion_tokens=9)
        simulate(Provider(), [request], price=lambda request: price, budget=budget)
        assert (budget.uncertain > 0) == uncertain
        assert budget.spent > 0


def test_validate_decides_and_is_told_of_the_request() -> None:
    def validate(request: Request, reply: ModelReply) -> str | None:
        return "a bad one" if request.label == "2" else None

    outcome = simulate(Provider(), [make_request(n) for n in range(4)], validate=validate)
    assert outcome.statuses == {"ok": 3, "invalid_output": 1}
    assert Counter(each.request for each in outcome.kept).most_common(1)[0][1] == 3


def test_a_broken_validate_is_told() -> None:
    def validate(*_: Any) -> str | None:
        raise ZeroDivisionError

    outcome = simulate(Provider(), [make_request(1)], validate=validate)
    assert [type(each) for each in outcome.failed] == [ZeroDivisionError]
    assert len(outcome.kept) == 1


def test_a_stopped_pool_leaves_its_grace_to_what_is_under_way() -> None:
    outcome = simulate(Provider(latency=1), (make_request(n) for n in range(500)), stop_after=64)
    assert len(outcome.kept) == 128
    outcome = simulate(Provider(latency=9), (make_request(n) for n in range(500)), stop_after=64)
    assert len(outcome.kept) == 64
    assert outcome.seconds == pytest.approx(9 + 2)


def test_a_message_that_quotes_a_row_is_not_passed_on() -> None:
    from teachkit.llm.transport import Reply
    from teachkit.llm.verdict import judge_reply

    request = make_request("the text of a row that nobody may see in a log")
    body = b'{"error": {"message": "Invalid: the text of a row that nobody may", "code": "bad"}}'
    assert judge_reply(Reply(400, {}, body), request, None).said == "(its message quotes the request) (bad)"
    assert judge_reply(Reply(400, {}, b"<html>"), request, None).said == "(no message)"
