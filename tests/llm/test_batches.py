"""Batches against a real server: bought once whatever fails when, every answer kept, what is missing said."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import StoreUnwritable
from teachkit.llm import (
    Endpoint,
    Price,
    Prices,
    Provider,
    Request,
    ResponseStore,
    ask,
    batch_input,
    batch_state,
    batches,
    chat_body,
    check_way,
)
from teachkit.llm.batch_api import BatchApi, Patience
from teachkit.llm.batch_input import drop_unsent, prepare
from teachkit.llm.batch_state import (
    Batch,
    keep,
    load_batches,
    open_keys,
    read_rows,
    remove_leftovers,
    rows_path,
    upload_path,
)
from teachkit.llm.errors import (
    AuthRefused,
    BadBatchState,
    BadMode,
    BadRequestBody,
    BatchMissing,
    BatchOutage,
    BatchRefused,
    BatchUnclear,
    KeyInRequest,
    NoBatches,
    QuotaSpent,
    RedirectRefused,
    UnboundedRequest,
)
from tests.llm.batch_server import BatchServer, Stored
from tests.llm.test_asking import QUICK, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

PRICES = Prices.from_mapping({"as_of": "2026-11-01", "models": {"m": {"input": 1, "output": 2, "batch": 0.5}}})
CANARY = "sk-canary-0123456789"


@dataclass
class Clock:
    """Time that passes in sleep alone."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Desk:
    """All that a batch needs, for one provider."""

    root: Path
    server: BatchServer
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    key: str | None = None
    tries: int = 4

    @property
    def folder(self) -> Path:
        return self.root / "llm" / "batches"

    @property
    def store(self) -> ResponseStore:
        return ResponseStore(self.root / "llm" / "responses.sqlite")

    @property
    def provider(self) -> Provider:
        return Provider(name="local", base_url=self.server.url, api_key_env=self.key, timeout=30)

    def api(self) -> BatchApi:
        patience = Patience(tries=self.tries, sleep=self.clock.sleep, clock=self.clock.time)
        way = check_way(Endpoint.parse(self.server.url), self.key)
        return BatchApi(
            way, timeout=0.3 if self.server.call_faults["create"] else 30, patience=patience, say=self.said.append
        )

    def make(self, text: object, model: str = "m", **given: Any) -> Request:
        parameters = {"max_completion_tokens": 20}
        body = chat_body(model=model, user=str(text), schema=SCHEMA, parameters=parameters)
        return self.provider.request(body, **{"label": str(text), **given})

    def prepare(self, requests: Iterable[Request], *, price: Callable[[Request], Price | None] | None = None) -> Any:
        with self.api() as api, self.store as store:
            return prepare(
                self.folder,
                {"prompt.a": requests},
                way=api.way,
                store=store,
                waiting=open_keys(self.folder),
                price=price or (lambda request: PRICES.models.get(request.model)),
                clock=self.clock.time,
            )

    def submit(self, requests: Iterable[Request]) -> list[Batch]:
        with self.api() as api:
            found = self.prepare(requests).batches
            return [batches.send(self.folder, batch, api) for batch in found]

    def collect(self) -> list[batches.Collected]:
        with self.api() as api, self.store as store:
            return [
                batches.collect(self.folder, batch, api, store=store, price=lambda r: PRICES.models.get(r.model))
                for batch in load_batches(self.folder)
                if batch.phase != "collected"
            ]

    def settle(self, batch: Batch) -> Batch | None:
        with self.api() as api:
            return batches.settle(self.folder, batch, api)

    def cancel(self, batch: Batch, *, forgetting: bool = False) -> Batch | None:
        with self.api() as api:
            return batches.cancel(self.folder, batch, api, forgetting=forgetting)

    def answers(self, requests: Iterable[Request]) -> dict[str, list[Any]]:
        with self.store as store:
            return store.get_many([request.key for request in requests])

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.iterdir()) if self.folder.is_dir() else []


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, server: BatchServer) -> Desk:
    return Desk(tmp_path, server)


# ---------------------------------------------------------------------------- what is sent


def test_what_is_sent_is_the_request_under_its_key_and_nothing_else(
    desk: Desk, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "http://127.0.0.1:9/v1"
    for variable in ("OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, elsewhere)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-x")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-y: z")
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    desk.key = "LOCAL_KEY"
    asked = [desk.make(text) for text in ("naïve", "line\nbreak", "a\u2028b\u2029c\x85d", '"}{')]
    (batch,) = desk.submit(asked)
    data = server.files[server.batches["batch_0"].whole["input_file_id"]]
    lines = data.decode().splitlines()  # as somebody may read it: text, any line end
    assert [json.loads(line) for line in lines] == [
        {"custom_id": r.key, "method": "POST", "url": "/v1/chat/completions", "body": json.loads(r.wire)} for r in asked
    ]
    assert server.batches["batch_0"].whole["metadata"] == {"teachkit": batch.id}
    assert list(server.names.values()) == [f"teachkit-{batch.id}.jsonl"]
    plain = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type", "content-length"}
    for headers in server.headers:
        assert set(headers) == plain | {"authorization"}
        assert headers["authorization"] == f"Bearer {CANARY}"
    assert not [path for path in desk.root.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


def test_only_what_has_no_answer_and_is_in_no_open_batch_is_bought(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(n) for n in range(12)]
    with desk.store as store, ask(asked[:3], provider=desk.provider, store=store, policy=QUICK) as answers:
        list(answers)
    found = desk.prepare([*asked[:6], *asked[:6]])
    (lot,) = found.lots.values()
    assert (lot.requests, lot.answered, lot.waiting, lot.missing) == (6, 3, 0, 3)
    with desk.api() as api:
        batches.send(desk.folder, found.batches[0], api)
    again = desk.prepare(asked)
    (lot,) = again.lots.values()
    assert (lot.requests, lot.answered, lot.waiting, lot.missing) == (12, 3, 3, 6)
    assert lot.worst == sum(-(-PRICES.of("m").worst(r) // 2) for r in asked[6:])
    with desk.api() as api:
        batches.send(desk.folder, again.batches[0], api)
    assert server.bought == {r.key: 1 for r in asked[3:]}
    assert open_keys(desk.folder) == {r.key for r in asked[3:]}


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab")), max_size=60), st.integers(1, 7), st.integers(1, 2000)
)
def test_files_are_cut_at_their_limits_and_hold_each_key_once(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, str]], most: int, room: int
) -> None:
    root = tmp_path_factory.mktemp("cut")
    provider = Provider(name="x", base_url="http://127.0.0.1:9/v1")
    made = [
        provider.request(chat_body(model=model, user="x" * n), label=str(n), repetition=n % 2) for n, model in asked
    ]
    line = max([len(batch_input._line(r, check_way(r.endpoint, None))) for r in made], default=0)
    with pytest.MonkeyPatch.context() as patch, ResponseStore(root / "r.sqlite") as store:
        patch.setattr(batch_input, "MOST_REQUESTS", most)
        patch.setattr(batch_input, "MOST_BYTES", line + room)
        found = prepare(
            root, {"p": iter(made)}, way=check_way(Endpoint.parse(provider.base_url), None), store=store, waiting=set(),
            price=lambda r: None, clock=lambda: 1.0,
        )  # fmt: skip
    keys: list[str] = []
    for batch in found.batches:
        lines = upload_path(root, batch.id).read_bytes().splitlines(keepends=True)
        rows = dict(read_rows(root, batch.id))
        assert 1 <= len(lines) == batch.requests == len(rows) <= most
        assert sum(map(len, lines)) <= line + room
        assert [json.loads(each)["custom_id"] for each in lines] == list(rows)
        assert {json.loads(each)["body"]["model"] for each in lines} == {batch.model}
        with batch_state.open_upload(root, batch) as upload:
            for key, row in rows.items():
                again = batch_state.read_request(upload, batch, row)
                assert again.key == key
                assert again.wire == next(r.wire for r in made if r.key == key)
        keys += rows
    assert Counter(keys) == Counter({r.key for r in made})
    assert load_batches(root) == sorted(found.batches, key=lambda b: b.id)


def test_a_request_that_cannot_be_in_a_batch_leaves_nothing_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [desk.make(n) for n in range(300)]
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    bad: list[tuple[Request, type[Exception], str]] = [
        (replace(desk.make(1), api="decisions"), BadRequestBody, "takes no 'decisions' request"),
        (desk.make(f"my key is {CANARY}", label="row 3"), KeyInRequest, "'row 3'"),
        (Provider(name="x", base_url="http://127.0.0.1:9/v1").request({"model": "m"}), BadMode, "by itself"),
        (desk.provider.request(chat_body(model="m", user="no limit")), UnboundedRequest, "names no limit"),
    ]
    desk.key = "LOCAL_KEY"
    for request, kind, said in bad:
        with pytest.raises(kind, match=said) as caught:
            desk.prepare([*good, request])
        assert CANARY not in str(caught.value)
        assert desk.files() == []
    monkeypatch.setattr(batch_input, "MOST_BYTES", 1000)
    with pytest.raises(BadRequestBody, match="has 1,"):
        desk.prepare([desk.make("x" * 1000)])
    assert desk.files() == []


def test_a_disk_that_is_full_leaves_nothing_behind(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreUnwritable, match="No space"):
        desk.prepare([desk.make(1)])
    assert desk.files() == []
    monkeypatch.undo()
    desk.root.joinpath("llm").mkdir(exist_ok=True)
    desk.folder.rmdir()
    desk.folder.write_text("a file")
    with pytest.raises(StoreUnwritable):
        desk.prepare([desk.make(1)])


# ---------------------------------------------------------------------------- buying


@pytest.mark.parametrize(
    "fault", ["429", "429-long", "500", "cut", "cut-after", "500-after", "garbage-after", "no-id-after"]
)
def test_an_upload_that_fails_is_made_again(desk: Desk, server: BatchServer, fault: str) -> None:
    server.call_faults["upload"] = [fault]
    asked = [desk.make(n) for n in range(3)]
    desk.submit(asked)
    assert server.bought == {r.key: 1 for r in asked}
    assert desk.clock.slept == [{"429": 0.02, "429-long": 600.0}.get(fault, 1.0)]


@pytest.mark.parametrize(
    "fault", ["500", "500-after", "cut", "cut-after", "garbage-after", "no-id-after", "hang", "hang-after"]
)
@pytest.mark.parametrize("late", [False, True])
def test_an_unclear_purchase_is_looked_up_before_it_is_made_again(
    desk: Desk, server: BatchServer, fault: str, late: bool
) -> None:
    """``late``: the list shows the batch only after a while."""
    server.page = 1
    for number, metadata in enumerate(({"teachkit": "of another store"}, None, {"a": "b"})):
        whole = {"id": f"other_{number}", "status": "completed", "input_file_id": f"of-other-{number}"}
        server.batches[f"other_{number}"] = Stored({**whole, "metadata": metadata, "created_at": number})
    server.call_faults["create"] = [fault]
    if late:
        real, number = desk.clock.sleep, len(server.batches)
        server.hidden = {f"batch_{number}"}

        def sleep(seconds: float) -> None:
            server.hidden = set()
            real(seconds)

        desk.clock.sleep = sleep  # type: ignore[method-assign]
    asked = [desk.make(n) for n in range(3)]
    (batch,) = desk.submit(asked)
    assert server.bought == {r.key: 1 for r in asked}
    assert batch.batch_id in server.batches
    assert server.batches[batch.batch_id or ""].whole["metadata"] == {"teachkit": batch.id}
    done = fault.endswith("-after")
    assert desk.clock.slept == ([] if done and not late else [60.0])
    assert server.calls["create"] == (1 if done else 2)
    assert bool(desk.said) == bool(desk.clock.slept)


def test_an_unclear_purchase_that_cannot_be_looked_up_stays_unclear(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(n) for n in range(3)]
    server.call_faults |= {"create": ["cut-after"], "list": ["500"] * 4}
    with pytest.raises(BatchUnclear, match="failed 4 times on /batches"):
        desk.submit(asked)
    (batch,) = load_batches(desk.folder)
    assert batch.phase == "unclear"
    assert open_keys(desk.folder) == {r.key for r in asked}
    (lot,) = desk.prepare(asked).lots.values()
    assert (lot.waiting, lot.missing) == (3, 0)
    found = desk.settle(batch)
    assert found is not None
    assert (found.phase, found.batch_id) == ("sent", "batch_0")
    server.finish()
    assert desk.collect()[0].outputs.answers == 3  # type: ignore[union-attr]
    assert set(server.bought.values()) == {1}


def test_the_last_try_counts_for_how_long_it_is_unclear(desk: Desk, server: BatchServer) -> None:
    """After a long wait for its turn, a list may still lag behind the try that came through."""
    server.call_faults |= {"create": ["429-long", "cut-after"], "list": ["auth"]}
    with pytest.raises(BatchUnclear, match="refuses the key"):
        desk.submit([desk.make(1)])
    assert desk.clock.slept == [600.0]
    server.hidden = {"batch_0"}
    real = desk.clock.sleep

    def sleep(seconds: float) -> None:
        server.hidden = set()
        real(seconds)

    desk.clock.sleep = sleep  # type: ignore[method-assign]
    found = desk.settle(load_batches(desk.folder)[0])
    assert found is not None
    assert desk.clock.slept == [600.0, 60.0]


def test_a_list_of_another_account_does_not_count(desk: Desk, server: BatchServer) -> None:
    """A key of another project sees neither batch nor file: that is no proof that it was not bought."""
    asked = [desk.make(1)]
    server.call_faults |= {"create": ["cut-after"], "list": ["auth"]}
    with pytest.raises(BatchUnclear):
        desk.submit(asked)
    (batch,) = load_batches(desk.folder)
    server.hidden, files, server.files = {"batch_0"}, server.files, {}
    with pytest.raises(BatchMissing, match=f"does not know batch {batch.id}"):
        desk.settle(batch)
    with pytest.raises(BatchMissing):
        desk.cancel(batch)
    assert load_batches(desk.folder) == [batch]
    server.call_faults["file"] = ["500"] * 4
    with pytest.raises(BatchUnclear):
        desk.settle(batch)
    server.hidden, server.files = set(), files
    assert desk.settle(batch) is not None
    assert set(server.bought.values()) == {1}


def test_a_file_that_goes_while_it_is_bought_leaves_it_unclear(desk: Desk, server: BatchServer) -> None:
    server.call_faults |= {"create": ["cut-after"]}
    server.hidden = {"batch_0"}
    server.on_call = lambda kind, nth, moment: server.files.clear() if kind == "list" else None
    with pytest.raises(BatchMissing):
        desk.submit([desk.make(1)])
    assert load_batches(desk.folder)[0].phase == "unclear"


def test_an_unclear_batch_of_another_account_can_be_forgotten(desk: Desk, server: BatchServer) -> None:
    server.call_faults |= {"create": ["cut"], "list": ["auth"]}
    with pytest.raises(BatchUnclear):
        desk.submit([desk.make(1)])
    server.files.clear()
    assert desk.cancel(load_batches(desk.folder)[0], forgetting=True) is None
    assert desk.files() == []


def test_a_purchase_that_never_gets_clear_is_not_tried_for_ever(desk: Desk, server: BatchServer) -> None:
    server.call_faults["create"] = ["500"] * 9
    with pytest.raises(BatchUnclear, match="HTTP 500"):
        desk.submit([desk.make(1)])
    assert server.calls["create"] == 3
    (batch,) = load_batches(desk.folder)
    assert desk.settle(batch) is None


@pytest.mark.parametrize("ending", ["loops", "no cursor", "no list", "a torn entry"])
def test_a_list_that_cannot_be_read_to_its_end_says_nothing(
    desk: Desk, server: BatchServer, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    pages = {
        "loops": {"data": [{"id": "other", "status": "completed"}], "has_more": True, "last_id": "other"},
        "no cursor": {"data": [], "has_more": True},
        "no list": {"hello": "world"},
        "a torn entry": {"data": [{"status": "completed"}], "has_more": False},
    }
    monkeypatch.setattr(server, "_list", lambda *_: (200, pages[ending]))
    server.call_faults["create"] = ["cut-after"]
    with pytest.raises(BatchUnclear):
        desk.submit([desk.make(1)])
    assert load_batches(desk.folder)[0].phase == "unclear"


def test_a_provider_that_drops_metadata_is_known_by_the_file(desk: Desk, server: BatchServer) -> None:
    server.on_call = lambda kind, nth, moment: [b.whole.update(metadata=None) for b in server.batches.values()]  # type: ignore[assignment]
    server.call_faults["create"] = ["cut-after"]
    (batch,) = desk.submit([desk.make(1)])
    assert batch.batch_id == "batch_0"
    assert set(server.bought.values()) == {1}


def test_a_batch_that_is_there_twice_is_said(desk: Desk, server: BatchServer) -> None:
    server.call_faults["create"] = ["cut-after"]

    def twice(kind: str, nth: int, moment: str) -> None:
        if (kind, moment) == ("create", "after"):
            copy = replace(server.batches["batch_0"])
            copy.whole = {**copy.whole, "id": "batch_1", "created_at": copy.whole["created_at"] + 1}
            server.batches["batch_1"] = copy

    server.on_call = twice
    (batch,) = desk.submit([desk.make(1)])
    assert batch.batch_id == "batch_0"
    assert desk.said == ["the provider has batch batch_0 more than once: cancel batch_1 there"]


REFUSALS = {
    "auth": AuthRefused,
    "quota": QuotaSpent,
    "redirect": RedirectRefused,
    "bad-request": BatchRefused,
    "echo-key": BatchRefused,
}


@pytest.mark.parametrize("call", ["upload", "create"])
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_refusal_buys_nothing_and_leaves_nothing(
    desk: Desk, server: BatchServer, call: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    desk.key = "LOCAL_KEY"
    server.call_faults[call] = [fault]
    with pytest.raises(REFUSALS[fault]) as caught:
        desk.submit([desk.make(1)])
    assert CANARY not in str(caught.value)
    assert not server.bought
    assert desk.files() == []
    assert desk.clock.slept == []


def test_a_provider_without_batches_says_so(desk: Desk, server: BatchServer) -> None:
    server.call_faults["upload"] = ["404"]
    with pytest.raises(NoBatches, match="HTTP 404 for /files"):
        desk.submit([desk.make(1)])
    server.call_faults["create"] = ["404"]
    with pytest.raises(BatchRefused, match="Invalid URL"):
        desk.submit([desk.make(1)])
    assert desk.files() == []


def test_an_outage_ends_after_some_patience(desk: Desk, server: BatchServer) -> None:
    server.call_faults["upload"] = ["500"] * 9
    with pytest.raises(BatchOutage, match="failed 4 times on /files: HTTP 500"):
        desk.submit([desk.make(1)])
    assert desk.clock.slept == [1.0, 2.0, 4.0]
    host = desk.provider.endpoint.netloc
    assert desk.said == [f"{host}: HTTP 500; trying again in {n} s" for n in (2, 4)]
    assert desk.files() == []
    with BatchServer() as other:
        gone = Desk(desk.root, other)
    with pytest.raises(BatchOutage, match="ConnectError"):
        gone.submit([gone.make(1)])


def test_what_was_never_asked_for_is_dropped_and_killed_writers_leave_nothing(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(n) for n in range(3)]
    sent = desk.submit(asked[:1])
    desk.prepare(asked[1:])
    upload_path(desk.folder, "f" * 32).write_text("{}\n")
    rows_path(desk.folder, "f" * 32).write_text("[]\n")
    (desk.folder / ".x.json.1-abc.tmp").write_text("half")
    drop_unsent(desk.folder)
    remove_leftovers(desk.folder)
    assert load_batches(desk.folder) == sent
    assert desk.files() == [".json", ".jsonl", ".rows"]


# ---------------------------------------------------------------------------- collecting


def test_an_answer_is_kept_as_one_that_was_asked_for_by_itself(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(text, repetition=n) for n, text in enumerate(["naïve 🎵", "line\u2028break", "x"])]
    desk.submit(asked)
    assert desk.collect()[0].outputs is None
    server.finish()
    (came,) = desk.collect()
    assert (came.batch.phase, came.outputs.answers, came.outputs.failures) == ("collected", 3, {})  # type: ignore[union-attr]
    batched = desk.answers(asked)
    alone = Desk(desk.root / "alone", server)
    with alone.store as store, ask(asked, provider=desk.provider, store=store, prices=PRICES, policy=QUICK) as answers:
        list(answers)
    for request in asked:
        (kept,), (live,) = batched[request.key], alone.answers([request])[request.key]
        assert json.loads(kept.body) == json.loads(live.body)
        own = {"body": b"", "request_id": "", "started": 0.0, "finished": 0.0, "cost": 0.0}
        assert replace(kept, **own) == replace(live, **own)
        assert kept.cost == live.cost / 2
        assert kept.request_id == f"req_{request.key[:9]}"
        assert kept.started <= kept.finished
    assert came.batch.cost == sum(batched[r.key][0].cost for r in asked)
    with desk.store as store, ask(asked, provider=desk.provider, store=store, policy=QUICK) as found:
        assert {answer.source for answer in found} == {"stored"}
    assert desk.files() == [".json"]
    assert open_keys(desk.folder) == set()


def test_completed_without_the_file_of_its_answers_is_looked_at_again(desk: Desk, server: BatchServer) -> None:
    (batch,) = desk.submit([desk.make(1)])
    server.finish()
    whole = server.batches["batch_0"].whole
    file_id, whole["output_file_id"] = whole["output_file_id"], None
    with desk.api() as api:
        assert batches.refresh(desk.folder, batch, api).status == "completed"
    (came,) = desk.collect()
    assert came.notes == ["the provider has not named the file with its answers yet: collect it later"]
    assert came.batch.is_open
    whole["output_file_id"] = file_id
    assert desk.collect()[0].batch.kept == 1


def test_what_failed_is_counted_and_missing_again(desk: Desk, server: BatchServer) -> None:
    outcomes = ["ok", "expired", "HTTP 429", "HTTP 400", "none", "refusal", "garbage-text", "not-chat", "gateway"]
    asked = [desk.make(f"number {n} of the texts") for n in range(9)]
    desk.submit(asked)
    of = {r.key: outcomes[n] for n, r in enumerate(asked)}
    server.finish(lambda key, body: of[key], status="expired")
    (came,) = desk.collect()
    assert came.batch.status == "expired"
    assert came.outputs is not None
    assert came.outputs.failures == {
        "batch_expired": 1, "bad": 2, "expired": 1, "no chat completion": 2,
    }  # fmt: skip
    assert came.outputs.answers == came.batch.kept == 3  # a refusal is an answer
    assert "number" not in came.outputs.first.partition(":")[2]  # the provider's message quotes the text
    assert desk.submit(asked)[0].requests == 6
    server.finish()
    desk.collect()
    assert len(desk.answers(asked)) == 9
    assert max(server.bought[r.key] for r in asked if of[r.key] in ("ok", "refusal", "garbage-text")) == 1


def test_completed_with_nothing_but_failures_has_no_output_file(desk: Desk, server: BatchServer) -> None:
    desk.submit([desk.make(n) for n in range(3)])
    server.finish(lambda key, body: "HTTP 500")
    (came,) = desk.collect()
    assert came.batch.output_file_id is None
    assert (came.batch.kept, came.batch.failures) == (0, {"bad": 3})
    assert came.batch.cost is None


def test_a_batch_that_is_refused_as_a_whole_says_why_and_not_whom_it_quotes(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make("fine"), desk.make("a forbidden word in a long text")]
    desk.submit(asked)
    with desk.api() as api:
        batch = batches.refresh(desk.folder, load_batches(desk.folder)[0], api)
    assert batch.said == "invalid_request: (its message quotes the request) (line 2)"
    assert batch.is_empty
    assert open_keys(desk.folder) == set()
    (came,) = desk.collect()
    assert came.batch.failures == {"failed": 2}
    assert not server.bought


def test_messages_about_no_line_or_one_that_is_not_there_are_shown(desk: Desk, server: BatchServer) -> None:
    desk.submit([desk.make("fine")])
    problems = [
        {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None},
        {"code": "odd", "message": "what line?", "line": 99},
        {"code": None, "message": None, "line": 1},
        "torn",
        {"code": "one more", "message": "cut", "line": None},
        {"code": "and another", "message": "cut", "line": None},
    ]
    server.batches["batch_0"].whole |= {"status": "failed", "errors": {"data": problems}}
    (came,) = desk.collect()
    assert came.batch.said == (
        "token_limit_exceeded: Enqueued token limit reached; odd: what line? (line 99); error (line 1); and 2 more"
    )


ODD: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str, int]] = {
    "a torn end": (lambda lines: [*lines[:-1], lines[-1][:40]], "1 lines that cannot be read", 3),
    "no JSON": (lambda lines: [b"\xff\xfe\n", b"[" * 9000 + b"\n", *lines], "2 lines that cannot be read", 4),
    "no object": (lambda lines: [b"[]\n", b"7\n", b'{"custom_id": 7}\n', *lines], "3 lines that cannot be read", 4),
    "an unknown id": (
        lambda lines: [lines[0].replace(b'"custom_id": "', b'"custom_id": "x'), *lines],
        "1 lines about a request that is not of this batch",
        4,
    ),
    "a line twice": (lambda lines: [*lines, lines[0]], "1 lines about a request that had one before", 4),
    "empty lines": (lambda lines: [b"\n", *lines, b"  \n"], "", 4),
}


@pytest.mark.parametrize("name", ODD)
def test_lines_that_cannot_be_used_are_said_and_left(desk: Desk, server: BatchServer, name: str) -> None:
    change, said, kept = ODD[name]
    asked = [desk.make(n) for n in range(4)]
    desk.submit(asked)
    server.finish(change=change)
    (came,) = desk.collect()
    assert came.outputs is not None
    assert came.outputs.answers == kept == len(desk.answers(asked))
    assert came.outputs.failures == ({"no answer": 4 - kept} if kept < 4 else {})
    assert [said in note for note in came.notes] == ([True] if said else [])
    assert desk.files() == ([".json", ".output"] if said else [".json"])
    assert came.batch.phase == "collected"


@pytest.mark.parametrize("fault", ["500", "429", "cut", "half"])
def test_a_download_that_breaks_is_made_again(desk: Desk, server: BatchServer, fault: str) -> None:
    asked = [desk.make(n) for n in range(50)]
    desk.submit(asked)
    server.finish()
    server.call_faults["content"] = [fault]
    assert desk.collect()[0].outputs.answers == 50  # type: ignore[union-attr]
    assert len(desk.answers(asked)) == 50
    assert server.calls["content"] == 2


def test_a_file_that_is_gone_is_said_and_the_rest_is_kept(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(n) for n in range(4)]
    desk.submit(asked)
    server.finish(lambda key, body: "ok" if key == asked[2].key else "expired")
    del server.files[server.file_of("batch_0")]
    (came,) = desk.collect()
    assert came.batch.phase == "collected"
    assert came.notes == [f"the provider does not have the file {server.file_of('batch_0')} with its output any more"]
    assert came.batch.failures == {"batch_expired": 3, "no answer": 1}


def test_a_broken_off_collection_adds_nothing_twice(
    desk: Desk, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [desk.make(n) for n in range(5)]
    desk.submit(asked)
    server.finish()

    def broken(*_: Any, **changes: Any) -> Any:
        if "collected" in changes:
            raise StoreUnwritable(path="x", problem="full", advice="-")
        return keep(*_, **changes)

    monkeypatch.setattr(batches, "keep", broken)
    with pytest.raises(StoreUnwritable):
        desk.collect()
    monkeypatch.undo()
    assert open_keys(desk.folder) == {r.key for r in asked}
    (came,) = desk.collect()
    assert came.outputs is not None
    assert (came.outputs.answers, came.outputs.already, came.batch.cost is None) == (5, 5, False)
    assert {len(found) for found in desk.answers(asked).values()} == {1}
    assert desk.collect() == []


def test_an_answer_beside_another_one_is_the_next_attempt(desk: Desk, server: BatchServer) -> None:
    (request,) = asked = [desk.make(1)]
    desk.submit(asked)
    with desk.store as store, ask(asked, provider=desk.provider, store=store, policy=QUICK) as answers:
        list(answers)
    server.finish()
    desk.collect()
    assert [found.attempt for found in desk.answers(asked)[request.key]] == [0, 1]


def test_a_model_without_a_price_costs_nothing_that_is_known(desk: Desk, server: BatchServer) -> None:
    desk.submit([desk.make(1, "other"), desk.make(2)])
    server.finish()
    priced, unpriced = sorted(desk.collect(), key=lambda came: came.batch.model)
    assert priced.batch.cost is not None
    assert (unpriced.batch.cost, unpriced.batch.worst, unpriced.outputs.unpriced) == (None, None, 1)  # type: ignore[union-attr]


def test_a_server_that_sends_the_key_back_leaves_no_trace(
    desk: Desk, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_KEY", CANARY)
    desk.key = "LOCAL_KEY"
    asked = [desk.make(n) for n in range(3)]
    desk.submit(asked)
    first = min(request.key for request in asked)
    server.finish(
        lambda key, body: "ok" if key != first else "HTTP 400",
        change=lambda lines: [
            CANARY.encode() + b" torn\n",
            *(line.replace(b"fp_test", CANARY.encode()) for line in lines),
        ],
    )
    for name, data in server.files.items():  # "fp_test" stands in every answer, "Invalid" in every refusal
        for place in (b"fp_test", b"Invalid"):
            data = data.replace(place, CANARY.encode())
        server.files[name] = data
    (came,) = desk.collect()
    assert came.batch.kept == 2
    assert "[key]" in came.outputs.first  # type: ignore[union-attr]
    assert CANARY not in repr(came)
    for path in desk.root.rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


# ---------------------------------------------------------------------------- stopping


def test_a_cancelled_batch_keeps_what_it_has(desk: Desk, server: BatchServer) -> None:
    asked = [desk.make(n) for n in range(6)]
    (batch,) = desk.submit(asked)
    stopped = desk.cancel(batch)
    assert stopped is not None
    assert (stopped.status, stopped.is_open) == ("cancelling", True)
    assert desk.cancel(stopped) == stopped
    kept = {request.key for request in asked[1:3]}
    server.finish(lambda key, body: "ok" if key in kept else "none", status="cancelled")
    assert desk.cancel(stopped).status == "cancelled"  # type: ignore[union-attr]
    (came,) = desk.collect()
    assert (came.batch.kept, came.batch.failures) == (2, {"cancelled": 4})


def test_cancelling_what_was_not_bought_drops_it(desk: Desk, server: BatchServer) -> None:
    (batch,) = desk.prepare([desk.make(1)]).batches
    assert desk.cancel(batch) is None
    server.call_faults |= {"create": ["500"] * 3}
    with pytest.raises(BatchUnclear):
        desk.submit([desk.make(1)])
    assert desk.cancel(load_batches(desk.folder)[0]) is None
    assert desk.files() == []
    server.call_faults |= {"create": ["cut-after"], "list": ["500"] * 4}
    with pytest.raises(BatchUnclear):
        desk.submit([desk.make(1)])
    stopped = desk.cancel(load_batches(desk.folder)[0])
    assert stopped is not None
    assert (stopped.batch_id, stopped.status) == ("batch_0", "cancelling")


def test_a_batch_that_the_provider_does_not_know_is_kept_until_it_is_to_be_forgotten(
    desk: Desk, server: BatchServer
) -> None:
    (batch,) = desk.submit([desk.make(1)])
    del server.batches["batch_0"]
    for action in (desk.collect, lambda: desk.cancel(batch)):
        with pytest.raises(BatchMissing, match="does not know batch batch_0"):
            action()
    assert open_keys(desk.folder)
    assert desk.cancel(batch, forgetting=True) is None
    assert desk.files() == []


# ---------------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "not what was written"),
        (b"[]", "not what was written"),
        (b'{"version": 2}', "it has format 2; this teachkit knows 1"),
        (b'{"version": 1, "id": "x"}', "not what was written"),
        (b"\xff", "not what was written"),
    ],
)
def test_a_state_that_cannot_be_read_stops_everything(desk: Desk, text: bytes, said: str) -> None:
    desk.folder.mkdir(parents=True)
    (desk.folder / "x.json").write_bytes(text)
    for look in (load_batches, open_keys):
        with pytest.raises(BadBatchState, match=said):
            look(desk.folder)


def test_a_state_under_another_name_and_lost_requests_are_said(desk: Desk, server: BatchServer) -> None:
    (batch,) = desk.submit([desk.make(1)])
    path = desk.folder / f"{batch.id}.json"
    path.rename(desk.folder / "other.json")
    with pytest.raises(BadBatchState, match="its name is not its id"):
        load_batches(desk.folder)
    (desk.folder / "other.json").rename(path)
    server.finish()
    rows = rows_path(desk.folder, batch.id)
    whole = rows.read_bytes()
    for text in (b"[1]\n", b"torn"):
        rows.write_bytes(text)
        with pytest.raises(BadBatchState, match="a line of it cannot be read"):
            open_keys(desk.folder)
    rows.unlink()
    with pytest.raises(BadBatchState, match="No such file"):
        open_keys(desk.folder)
    rows.write_bytes(whole)
    upload = upload_path(desk.folder, batch.id)
    lines = upload.read_bytes()
    upload.write_bytes(lines[:50])
    with pytest.raises(BadBatchState, match="a line of it cannot be read"):
        desk.collect()
    upload.unlink()
    with pytest.raises(BadBatchState, match="No such file"):
        desk.collect()
    upload.write_bytes(lines)
    assert desk.collect()[0].batch.kept == 1


def test_what_another_process_collects_meanwhile_is_no_damage(
    desk: Desk, server: BatchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.submit([desk.make(1)])
    server.finish()
    before = load_batches(desk.folder)
    desk.collect()
    monkeypatch.setattr(batch_state, "load_batches", lambda folder: before)
    assert open_keys(desk.folder) == set()


def test_an_answer_of_an_api_that_is_no_batch_is_asked_for_again(desk: Desk, server: BatchServer) -> None:
    (batch,) = desk.submit([desk.make(1)])
    server.call_faults["retrieve"] = ["garbage-after", "no-id-after", "500", "429"]
    with desk.api() as api, pytest.raises(BatchOutage):
        batches.refresh(desk.folder, batch, api)
    with desk.api() as api:
        assert batches.refresh(desk.folder, batch, api).status == "in_progress"


@pytest.mark.parametrize("module", ["batches", "batch_api", "batch_state", "batch_input", "batch_output"])
def test_heavy_packages_are_imported_on_use(module: str) -> None:
    import subprocess
    import sys

    heavy = ("openai", "httpx2", "aiohttp", "duckdb")
    code = f"import sys, teachkit.llm.{module}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
