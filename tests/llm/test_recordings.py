"""Recordings in git, and a replay that opens no socket."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.llm import (
    Answer,
    Endpoint,
    Prices,
    Provider,
    Recording,
    Request,
    ResponseStore,
    ask,
    chat_body,
    label_schema,
)
from teachkit.llm.errors import BadMode, BadRecording, ReplayMiss
from tests.llm.server import Server
from tests.llm.test_responses import response

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = Provider(name="nowhere", base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY")
SCHEMA = label_schema(["ham", "spam"])
PRICES = Prices.from_mapping({"as_of": "2026-11-01", "models": {"m": {"input": 1, "output": 2}}})


def requests(provider: Provider, count: int, **parameters: Any) -> list[Request]:
    return [
        provider.request(
            chat_body(model="m", system="Moderate.", user=f"text of row {n}", schema=SCHEMA, parameters=parameters),
            label=f"row {n}",
        )
        for n in range(count)
    ]


def record(folder: Path, server: Server, count: int = 20, **how: Any) -> tuple[Path, dict[str, Answer]]:
    path = folder / "spam.jsonl"
    provider = Provider(name="local", base_url=server.url)
    with ResponseStore(folder / "r.sqlite") as store:
        wanted = requests(provider, count)
        with ask(wanted, provider=provider, store=store, mode="record", recording=Recording(path), **how) as answers:
            return path, {answer.request.label: answer for answer in answers}


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo", "socketpair"):
        monkeypatch.setattr(socket, name, refuse)


def test_a_replay_gives_the_same_answers_and_opens_no_socket(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with Server() as server:
        path, live = record(tmp_path, server)
        url = server.url
    request.getfixturevalue("no_sockets")
    provider = Provider(name="local", base_url=url, api_key_env="A_KEY_THAT_IS_NOT_SET")
    again = requests(provider, 20)
    with ask([*again, again[3]], provider=provider, mode="replay", recording=Recording(path)) as answers:
        replayed = list(answers)
    assert answers.summary.sources == {"recorded": 20, "duplicate": 1}
    assert answers.summary.sent == 0
    for answer in replayed:
        other = live[answer.request.label]
        assert (answer.status, answer.reply) == (other.status, other.reply)


def test_replayed_answers_cost_what_they_did_by_the_prices_of_now(tmp_path: Path) -> None:
    with Server() as server:
        path, live = record(tmp_path, server, prices=PRICES)
        url = server.url
    given: dict[str, Any] = {"provider": Provider(name="local", base_url=url), "mode": "replay"}
    again = requests(given["provider"], 20)
    assert all(answer.cost for answer in live.values())
    with ask(again, recording=Recording(path), prices=PRICES, **given) as answers:
        assert {answer.request.label: answer.cost for answer in answers} == {n: a.cost for n, a in live.items()}
    assert answers.summary.cost == 0
    other = Prices.from_mapping({"as_of": "2026-11-01", "models": {"x": {"input": 1, "output": 2}}})
    for prices in (None, other):  # a model without a price is told before it is asked, not here
        with ask(again, recording=Recording(path), prices=prices, **given) as answers:
            assert {answer.cost for answer in answers} == {None}


def test_the_bytes_are_stable_sorted_and_hold_no_more_than_they_must(tmp_path: Path) -> None:
    with Server() as server:
        path, _ = record(tmp_path, server)
        first = path.read_bytes()
        record(tmp_path, server)  # from the store this time
        assert path.read_bytes() == first
        total = server.total
    assert total == 20
    lines = first.decode().splitlines()
    assert lines == sorted(lines, key=lambda line: str(json.loads(line)["key"]))
    Recording(path).save()
    assert path.read_bytes() == first
    recording = Recording(path)
    recording.get(requests(Provider(name="x", base_url=server.url), 1)[0])
    recording.save(prune=True)
    assert len(Recording(path)) == 1


def test_two_branches_merge_by_union(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    one, two = requests(NOWHERE, 2)
    texts = []
    for request, body in ((one, b"{}"), (two, b"{}"), (one, b'{"another": "answer"}')):
        recording = Recording(tmp_path / "new.jsonl")
        recording.add(request, [response(1, body=body)])
        recording.save()
        texts.append((tmp_path / "new.jsonl").read_text())
        (tmp_path / "new.jsonl").unlink()
    for order in (texts, texts[::-1]):
        path.write_text("".join(order))
        recording = Recording(path)
        assert len(recording) == 2
        recording.save()
        assert path.read_text() == "".join(
            sorted([texts[1], min(texts[0], texts[2])], key=lambda t: json.loads(t)["key"])
        )


def test_bytes_of_any_kind_come_back(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.jsonl")
    (request,) = requests(NOWHERE, 1)
    bodies = [b"\xff\x00", b"<html>", b'{"a":1}', b"NaN", b'{"a":"\\ud83d"}']
    recording.add(request, [response(1, attempt=n, body=body) for n, body in enumerate(bodies)])
    recording.save()
    found = Recording(tmp_path / "r.jsonl").get(request)
    assert found
    assert [each.body for each in found] == bodies


def test_a_private_host_is_not_written(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "r.jsonl")
    request = Request(Endpoint.parse("https://llm.secret-project.internal/v1"), {"model": "m"})
    recording.add(request, [response(1)])
    recording.save()
    assert "secret-project" not in (tmp_path / "r.jsonl").read_text()
    assert Recording(tmp_path / "r.jsonl").get(request)


def miss(tmp_path: Path, wanted: Request) -> str:
    recording = Recording(tmp_path / "r.jsonl")
    for request in requests(NOWHERE, 3, temperature=0, top_p=1):
        recording.add(request, [response(1)])
    with pytest.raises(ReplayMiss) as caught:
        list(ask([wanted], provider=NOWHERE, mode="replay", recording=recording))
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_a_miss_names_the_row_and_what_differs_from_the_nearest(tmp_path: Path) -> None:
    said = miss(tmp_path, requests(NOWHERE, 3, temperature=0.7, seed=1)[2])
    assert "'row 2'" in said
    assert "temperature: recorded 0, asked 0.7" in said
    assert "seed: not recorded, asked 1" in said
    assert "top_p: recorded 1, not asked" in said
    assert "messages" not in said


def test_a_miss_shows_no_row_text(tmp_path: Path) -> None:
    said = miss(tmp_path, requests(NOWHERE, 4, temperature=0, top_p=1)[3])
    assert "messages[1].content: differs from character 13 on (13 characters recorded, 13 asked)" in said
    assert "text of row" not in said


def test_a_miss_in_an_empty_recording(tmp_path: Path) -> None:
    with pytest.raises(ReplayMiss, match="nothing is recorded there"):
        list(ask(requests(NOWHERE, 1), provider=NOWHERE, mode="replay", recording=Recording(tmp_path / "none.jsonl")))


@pytest.mark.parametrize(
    ("text", "line"),
    [("<<<<<<< ours\n", 1), ('\n{"key": "a"\n', 2), ("[]\n", 1), ('{"key": 1}\n', 1),
     ('{"key":"a","api":"chat","endpoint":"x","repetition":0,"request":{},"replies":[{}]}\n', 1)],
)  # fmt: skip
def test_a_line_that_is_no_recording_is_named(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(BadRecording, match=f"r.jsonl:{line}:"):
        Recording(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadRecording, match="UTF-8"):
        Recording(path)


def test_a_mode_needs_what_it_needs(tmp_path: Path) -> None:
    for given, said in (
        ({"mode": "reply"}, "Did you mean 'replay'"),
        ({"mode": "replay"}, "needs a recording"),
        ({"mode": "live"}, "needs a store"),
    ):
        with pytest.raises(BadMode, match=said):
            ask([], provider=NOWHERE, **given)  # type: ignore[arg-type]
