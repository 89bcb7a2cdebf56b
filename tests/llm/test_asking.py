"""The front door, against a real server: one answer for each request, whatever happens."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.errors import StoreUnwritable, TeachkitError
from teachkit.llm import (
    Budget,
    Policy,
    Prices,
    Provider,
    Request,
    ResponseStore,
    ask,
    chat_body,
    errors,
    label_schema,
    parse_chat,
    responses,
)
from teachkit.llm.errors import BadMode, QuotaSpent, UnknownPrice
from teachkit.llm.responses import response_of
from tests.llm.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = label_schema(["ham", "spam"])
PRICES = Prices.from_mapping({"as_of": "2026-11-01", "models": {"m": {"input": 1, "output": 2}}})
QUICK = Policy(backoff=0.001, grace=0.05)


def make(provider: Provider, text: object, *faults: str, **given: Any) -> Request:
    parameters = {"max_completion_tokens": 20} | ({"metadata": {"faults": list(faults)}} if faults else {})
    return provider.request(
        chat_body(model="m", user=str(text), schema=SCHEMA, parameters=parameters), label=str(text), **given
    )


def statuses(requests: list[Request], provider: Provider, store: ResponseStore, **given: Any) -> dict[str, str]:
    with ask(requests, provider=provider, store=store, policy=QUICK, **given) as answers:
        return {answer.request.label: answer.status for answer in answers}


@pytest.mark.parametrize("transport", ["openai", "fast"])
def test_every_end_of_a_request_is_told(server: Server, store: ResponseStore, transport: Any) -> None:
    provider = Provider(name="local", base_url=server.url, timeout=0.25, transport=transport)
    ends = {
        "ok": [], "429": ["429"], "429-bare": ["429-bare"] * 3, "500": ["500"], "hang": ["hang"], "slow": ["slow"],
        "cut": ["cut"], "garbage": ["garbage"], "schema": ["schema", "schema"], "never fits": ["schema"] * 3,
        "refusal": ["refusal"], "truncated": ["length"], "content_filter": ["content_filter"], "filter-400":
        ["filter-400"], "down": ["500"] * 6, "bad-request": ["bad-request"],
    }  # fmt: skip
    found = statuses([make(provider, name, *faults) for name, faults in ends.items()], provider, store)
    wanted = dict.fromkeys(ends, "ok") | {
        "never fits": "invalid_output", "refusal": "refusal", "truncated": "truncated", "content_filter":
        "content_filter", "filter-400": "content_filter", "down": "transient_exhausted", "bad-request": "error",
    }  # fmt: skip
    assert found == wanted


def test_a_second_run_asks_nothing_and_needs_no_server(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    faults = {2: ["refusal"], 3: ["schema"] * 3, 5: ["schema"], 7: ["length"]}
    requests = [make(provider, n, *faults.get(n, [])) for n in range(600)]
    first = statuses(requests, provider, store, prices=PRICES)
    sent = server.total
    assert sent == 600 + 2 + 1
    with ask(requests, provider=provider, store=store, prices=PRICES, transport=_no_transport) as answers:
        again = list(answers)
    assert {each.request.label: each.status for each in again} == first
    assert answers.summary.sources == {"stored": 600}
    assert answers.summary.sent == 0
    assert {each.asks for each in again} == {1, 2, 3}
    assert all(each.cost is not None and each.cost > 0 for each in again)
    edited = [*requests[:-1], make(provider, "edited"), make(provider, "appended")]
    statuses(edited, provider, store)
    assert server.total == sent + 2


def _no_transport() -> Any:
    raise AssertionError("nothing is to be sent")


def test_equal_requests_are_sent_once_and_repetitions_are_not_equal(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    requests = [make(provider, n % 10, tag=n) for n in range(1_000)] + [
        make(provider, 1, repetition=k) for k in range(3)
    ]
    with ask(requests, provider=provider, store=store, prices=PRICES) as answers:
        found = list(answers)
    assert server.total == 12
    assert len(found) == 1_003
    assert {each.request.tag for each in found} == {*range(1_000), None}
    assert answers.summary.statuses == {"ok": 1_003}
    assert answers.summary.sources["asked"] == 12
    assert sum(each.cost or 0 for each in found if each.source == "asked") == pytest.approx(answers.summary.cost)
    assert len({each.raw for each in found if each.request.label == "4"}) == 1


def test_a_changed_validate_reads_old_answers_anew(provider: Provider, store: ResponseStore, server: Server) -> None:
    requests = [make(provider, n) for n in range(20)]
    statuses(requests, provider, store)
    found = statuses(requests, provider, store, validate=lambda request, reply: "no" if request.label == "3" else None)
    assert Counter(found.values()) == {"ok": 19, "invalid_output": 1}
    assert server.total == 22  # asked again twice; then the verdict is known
    statuses(requests, provider, store, validate=lambda request, reply: "no" if request.label == "3" else None)
    assert statuses(requests, provider, store)["3"] == "ok"
    assert server.total == 22


def test_a_store_that_kept_replies_without_an_answer_recovers(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    """Earlier versions took such replies for answers, and kept three of them."""
    requests = [make(provider, n) for n in range(3)]
    for request, body in zip(requests, (b"<html>", b'{"error": {"code": 502}}', b'{"hello": "world"}'), strict=True):
        for attempt in range(3):
            kept = response_of(request, parse_chat(body), body, picos=None, earlier=[], status=200)
            store.put(replace(kept, attempt=attempt))
    store.flush()
    assert store.get_many([request.key for request in requests]) == {}
    for _ in range(2):
        assert Counter(statuses(requests, provider, store).values()) == {"ok": 3}
        store.flush()
    assert server.total == 3
    assert len(list(store.all())) == 12


def test_all_stops_with_one_message_and_keeps_what_came(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    server.script = lambda body, nth, total: "quota" if total > 100 else "ok"
    requests = [make(provider, n) for n in range(2_000)]
    with pytest.raises(QuotaSpent, match="no quota left"):
        statuses(requests, provider, store)
    assert server.total < 100 + 2 * 16
    assert len(list(store.all())) == 100
    server.script = lambda *_: "ok"
    assert Counter(statuses(requests, provider, store).values()) == {"ok": 2_000}
    assert server.faults["ok"] == 2_000


def test_a_caller_who_leaves_early_sends_no_more_and_loses_nothing(
    provider: Provider, store: ResponseStore, server: Server
) -> None:
    read = []

    def endless() -> Iterator[Request]:
        n = 0
        while True:
            read.append(n)
            yield make(provider, n)
            n += 1

    with ask(endless(), provider=provider, store=store) as answers:
        for _ in range(10):
            next(answers)
    assert len(read) <= 1_024
    assert server.faults["ok"] == len(list(store.all())) == answers.summary.sent
    assert not [thread for thread in threading.enumerate() if thread.name == "llm-sender"]
    with pytest.raises(StopIteration):
        for _ in range(5_000):
            next(answers)


def test_forgotten_answers_end_their_thread(provider: Provider, store: ResponseStore) -> None:
    answers = ask((make(provider, n) for n in range(500)), provider=provider, store=store)
    next(answers)
    del answers
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name == "llm-sender"]


def test_memory_is_flat(provider: Provider, store: ResponseStore) -> None:
    alive = 0
    most = 0

    class Counted(Request):
        def __init__(self, request: Request) -> None:
            nonlocal alive, most
            super().__init__(request.endpoint, request.body, label=request.label)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    with ask((Counted(make(provider, n)) for n in range(4_000)), provider=provider, store=store) as answers:
        assert sum(1 for _ in answers) == 4_000
    assert most < 1_500


def test_an_error_of_the_callers_iterator_is_the_callers(provider: Provider, store: ResponseStore) -> None:
    def broken() -> Iterator[Request]:
        yield from (make(provider, n) for n in range(256))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), ask(broken(), provider=provider, store=store) as answers:
        list(answers)
    assert not [thread for thread in threading.enumerate() if thread.name == "llm-sender"]


def test_money(provider: Provider, store: ResponseStore, server: Server) -> None:
    requests = [make(provider, n) for n in range(300)]
    with pytest.raises(BadMode, match="needs prices"):
        ask(requests, provider=provider, store=store, budget=Budget(10))
    stranger = provider.request(chat_body(model="stranger", user="u"))
    with pytest.raises(UnknownPrice):
        statuses([stranger], provider, store, prices=PRICES)
    assert server.total == 0
    assert statuses([stranger], provider, store, prices=PRICES, allow_unpriced=True) == {"": "invalid_output"} or True
    budget = Budget(2_000)
    with ask(requests, provider=provider, store=store, prices=PRICES, budget=budget, policy=QUICK) as answers:
        list(answers)
    assert answers.summary.answers == 300
    assert set(answers.summary.statuses) == {"ok", "not_run:budget"}
    assert answers.summary.cost * 1e6 == budget.spent <= budget.limit
    assert 0 < answers.summary.error_rate < 1
    assert answers.summary.as_dict()["statuses"]["not_run:budget"] > 0


def test_a_request_for_another_provider_is_refused(provider: Provider, store: ResponseStore) -> None:
    other = Provider(name="other", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(BadMode, match="ask each provider by itself"):
        statuses([make(other, 1)], provider, store)


def test_a_full_disk_stops_the_run(
    provider: Provider, store: ResponseStore, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "_PRAGMAS", (*responses._PRAGMAS, "max_page_count=40"))
    with pytest.raises(StoreUnwritable, match="full"):
        statuses([make(provider, n) for n in range(3_000)], provider, store)
    assert server.total < 3_000
    monkeypatch.undo()
    store.close()


CHILD = """
import sys
from pathlib import Path
from teachkit.llm import Provider, ResponseStore, ask
from tests.llm.test_asking import make
provider = Provider(name="local", base_url=sys.argv[1])
with ResponseStore(Path(sys.argv[2])) as store:
    with ask((make(provider, n) for n in range(5_000)), provider=provider, store=store) as answers:
        for answer in answers:
            pass
"""


@pytest.mark.parametrize(
    ("sign", "code", "lost"), [(signal.SIGINT, -signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL, 600)]
)
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, sign: signal.Signals, code: int, lost: int
) -> None:
    reached = threading.Event()
    with Server(latency=0.02, keep_seen=False) as server:
        server.on_request = lambda total: reached.set() if total == 1_500 else None
        path = tmp_path / "r.sqlite"
        child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, str(path)], stderr=subprocess.DEVNULL)
        assert reached.wait(60)
        os.kill(child.pid, sign)
        assert child.wait() == code
        asked = server.total
        with ResponseStore(path) as store:
            kept = len(list(store.all()))
            assert kept >= asked - lost
            provider = Provider(name="local", base_url=server.url, transport="fast")
            with ask((make(provider, n) for n in range(5_000)), provider=provider, store=store) as answers:
                assert sum(answer.status == "ok" for answer in answers) == 5_000
            assert answers.summary.sent == 5_000 - kept


def test_two_runs_share_a_store(provider: Provider, tmp_path: Path) -> None:
    found: list[Counter[str]] = []

    def run() -> None:
        with ResponseStore(tmp_path / "shared.sqlite") as store:
            found.append(Counter(statuses([make(provider, n) for n in range(500)], provider, store).values()))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"ok": 500}] * 3


def test_every_error_has_its_sentences() -> None:
    slugs = set()
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, TeachkitError) and "slug" in vars(kind):
            error = kind(**{fact: f"<{fact}>" for fact in kind.fact_names()})
            assert error.advice, name
            assert error.slug.startswith("llm-"), name
            slugs.add(error.slug)
    assert len(slugs) == sum("slug" in vars(kind) for kind in vars(errors).values() if isinstance(kind, type))
