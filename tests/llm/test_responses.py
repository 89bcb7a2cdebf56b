"""What was paid for is never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from random import Random
from typing import TYPE_CHECKING

import pytest

from teachkit.errors import StoreTooNew, StoreUnwritable
from teachkit.llm import Response, ResponseStore, responses

if TYPE_CHECKING:
    from pathlib import Path


def response(n: int, *, attempt: int = 0, size: int = 200, body: bytes | None = None) -> Response:
    """An answer that differs from all others; every field is set."""
    return Response(
        key=f"{n:064x}", attempt=attempt, status=200, body=body or f"{n} {attempt} ".encode() + b"\xff" * size,
        endpoint="https://api.openai.com/v1", api="chat", repetition=n % 3, request='{"model":"m","x":"ä"}',
        model="m-1", system_fingerprint="fp", request_id=f"req-{n}", input_tokens=12, output_tokens=3,
        cached_tokens=1, reasoning_tokens=2, tries=2, started=1_760_000_000.25, finished=1_760_000_001.0, cost=1.5,
    )  # fmt: skip


def keys(*numbers: int) -> list[str]:
    return [f"{n:064x}" for n in numbers]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm" / "responses.sqlite"


def test_an_answer_is_found_before_and_after_it_is_on_the_disk(path: Path) -> None:
    with ResponseStore(path) as store:
        assert store.get_many(keys(1)) == {}
        assert not path.parent.exists()
        store.put(response(1))
        assert store.get_many(keys(1, 2)) == {keys(1)[0]: [response(1)]}
        store.flush()
        assert store.get_many(keys(1, 2)) == {keys(1)[0]: [response(1)]}
    with ResponseStore(path) as store:
        assert store.get_many(keys(1)) == {keys(1)[0]: [response(1)]}
        assert list(store.all()) == [response(1)]
        assert store.usage() == store.usage("m") == (22, 12)
        assert store.usage("other") == (0, 0)


def test_attempts_come_in_order_and_the_same_attempt_of_two_processes_is_kept_twice(path: Path) -> None:
    with ResponseStore(path) as one, ResponseStore(path) as other:
        one.put(response(1, body=b"first"))
        one.flush()
        other.put(response(1, body=b"of another process"))
        other.flush()
        one.put(response(1, attempt=1, body=b"asked again"))
        one.flush()
        found = one.get_many(keys(1))[keys(1)[0]]
    assert [(each.attempt, each.body) for each in found] == [
        (0, b"first"), (1, b"of another process"), (2, b"asked again"),
    ]  # fmt: skip


def test_sixty_four_answers_or_the_clock_end_the_wait(path: Path) -> None:
    sizes: list[int] = []
    written = threading.Event()

    def note(size: int) -> None:
        sizes.append(size)
        if sum(sizes) == 65:
            written.set()

    with ResponseStore(path, on_commit=note) as store:
        for n in range(65):
            store.put(response(n))
        assert written.wait(30)  # nobody flushed, nothing more came
        assert sizes[0] <= 65


CHILD = """
import sys
from pathlib import Path
from tests.llm.test_responses import response
from teachkit.llm import ResponseStore
count, done = int(sys.argv[2]), [0]
def note(size):
    done[0] += size
    print(done[0], flush=True)
store = ResponseStore(Path(sys.argv[1]), on_commit=note)
for n in range(count):
    store.put(response(n))
sys.stdin.read()
"""


@pytest.mark.parametrize("count", [1, 300])
def test_kill_9_loses_nothing_that_was_committed_by_the_clock(path: Path, count: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    assert child.stdin
    while int(child.stdout.readline()) < count:  # the last, incomplete lot comes by the clock alone
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    with ResponseStore(path) as store:
        assert list(store.all()) == [response(n) for n in range(count)]
        assert store.recovery is None


def test_processes_write_at_once(path: Path) -> None:
    code = CHILD.replace("range(count)", "range(int(sys.argv[3]), int(sys.argv[3]) + count)").replace(
        "sys.stdin.read()", "store.close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(path), "200", str(first)], stdout=subprocess.DEVNULL)
        for first in (0, 100, 200)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    with ResponseStore(path) as store:
        assert {each.key for each in store.all()} == set(keys(*range(400)))
        assert len(list(store.all())) == 600


def fill(path: Path, count: int, *, size: int = 200) -> None:
    with ResponseStore(path) as store:
        for n in range(count):
            store.put(response(n, size=size if n % 10 else 20_000))


@pytest.mark.parametrize(
    ("at", "length", "least"),
    [(0, 100, 395), (0, 4096, 395), (40_000, 4_096, 370), (0.5, 30_000, 330), (0.9, "cut", 300)],
)
def test_a_damaged_file_gives_back_its_whole_rows(path: Path, at: float, length: int | str, least: int) -> None:
    fill(path, 400)
    data = bytearray(path.read_bytes())
    start = int(at * len(data)) if isinstance(at, float) else at
    if length == "cut":
        del data[start:]
    else:
        assert isinstance(length, int)
        data[start : start + length] = bytes(n * 37 % 256 for n in range(length))
    path.write_bytes(data)
    with ResponseStore(path) as store:
        found = {key: rows for n in range(400) for key, rows in store.get_many(keys(n)).items()}
        assert all(
            rows == [response(int(key, 16), size=200 if int(key, 16) % 10 else 20_000)] for key, rows in found.items()
        )
        assert least <= len(found) < 400 or (len(found) == 400 and at == 0)
        assert store.recovery
        assert store.recovery.recovered == len(found)
        kept = path.with_name("responses.sqlite.damaged-1")
        assert str(kept) in str(store.recovery)
        assert kept.read_bytes() == bytes(data)
        store.put(response(1_000))
    with ResponseStore(path) as store:
        assert len(list(store.all())) == len(found) + 1
        assert store.recovery is None


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_never_become_an_answer(path: Path, seed: int) -> None:
    fill(path, 150)
    random = Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 60)):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)
    with ResponseStore(path) as store:
        found = (
            [*store.all()] if seed % 2 else [row for rows in store.get_many(keys(*range(150))).values() for row in rows]
        )
        bodies = {f"{n:064x}": response(n, size=200 if n % 10 else 20_000).body for n in range(150)}
        assert all(row.body == bodies[row.key] for row in found)
        assert len(found) >= 150 - 60
        store.put(response(1_000))


def test_answers_in_the_log_are_recovered_too(path: Path) -> None:
    fill(path, 100)
    store = ResponseStore(path)
    for n in range(100, 300):
        store.put(response(n))
    store.flush()
    copy = path.with_name("copy.sqlite")
    data = bytearray(path.read_bytes())
    data[:200] = b"\0" * 200
    copy.write_bytes(data)
    path.with_name("copy.sqlite-wal").write_bytes(path.with_name("responses.sqlite-wal").read_bytes())
    store.close()
    with ResponseStore(copy) as store:
        found = store.get_many(keys(*range(300)))
        if store.recovery is None:  # sqlite took the first page from the log
            assert len(found) == 300
        assert len(found) > 290


def test_what_is_no_database_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 1_000)
    with ResponseStore(path) as store:
        store.put(response(1))
        store.flush()
        assert store.recovery
        assert (store.recovery.recovered, store.recovery.lost) == (0, 0)
    with ResponseStore(path) as store:
        assert list(store.all()) == [response(1)]


def test_a_full_disk_is_told_and_loses_nothing_that_was_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "_PRAGMAS", (*responses._PRAGMAS, "max_page_count=60"))
    store = ResponseStore(path)
    with pytest.raises(StoreUnwritable, match="full"):
        for n in range(10_000):
            store.put(response(n))
    with pytest.raises(StoreUnwritable, match="free some space"):
        store.close()
    monkeypatch.undo()
    store.close()  # there is room again: what could not be written is
    with ResponseStore(path) as again:
        numbers = [int(each.key, 16) for each in again.all()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 64


def test_what_cannot_be_written_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path, 3)
    monkeypatch.setattr(responses, "_PRAGMAS", (*responses._PRAGMAS, "query_only=1"))
    with ResponseStore(path) as store:
        assert len(store.get_many(keys(0, 1, 2))) == 3
        store.put(response(4))
        with pytest.raises(StoreUnwritable, match="readonly"):
            store.flush()
        monkeypatch.undo()
        store._disconnect()
    in_the_way = path.parent / "file"
    in_the_way.write_text("")
    with ResponseStore(in_the_way / "llm" / "r.sqlite") as store:
        store._pending.clear()
        with pytest.raises(StoreUnwritable):
            store._connect()


def test_a_newer_store_is_left_alone(path: Path) -> None:
    fill(path, 1)
    with ResponseStore(path) as store:
        store._connect().execute("pragma user_version=99")
    with ResponseStore(path) as store, pytest.raises(StoreTooNew):
        store.get_many(keys(1))
