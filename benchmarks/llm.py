"""How fast teachkit asks a model, beside raw aiohttp, and what it loses: against the test server on this machine.

    pip install -e '.[dev]'
    python benchmarks/llm.py

Every case is 2,000 distinct short classification requests at concurrency 64 to a server in a process of its own that
answers after 50 ms (so that 1,280 requests a second is the most that can be). Printed:

- plain: requests a second of raw aiohttp (64 workers that post bytes and parse JSON: no store, no retries), of the fast
  transport and of the default one, alternating, best of ``--rounds``; share of raw aiohttp; CPU time a request;
- again: the same requests a second time: requests sent, and time a row;
- edited, appended: one row changed, one row more: requests sent;
- limit: a server that takes 200 requests a second (burst 20), with and without rate-limit headers: share of the limit
  reached after the first second, requests refused;
- faulty: 3 % 429, 2 % 500, 0.5 % without an answer, 0.5 % no JSON: rows without a label (timeout 2 s);
- memory: ``--rows`` requests (default 100,000; ``--rows 0`` leaves it out) through the fast transport at no latency.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))

from teachkit.llm import Provider, ResponseStore, ask, chat_body, label_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.llm import Request, Summary

COUNT, CONCURRENCY, LATENCY = 2_000, 64, 0.05
SCHEMA = label_schema(["ham", "spam"])


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Start the test server; yield its base URL."""
    command = [sys.executable, "-m", "tests.llm.server", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def body(text: str) -> dict[str, Any]:
    """The request of one row."""
    return chat_body(
        model="bench",
        system="You moderate comments under music videos.",
        user=f'Comment: "{text} check out my channel"',
        parameters={"temperature": 0, "max_completion_tokens": 20},
        schema=SCHEMA,
    )


def requests(provider: Provider, count: int, prefix: str = "row") -> Iterator[Request]:
    """``count`` distinct requests."""
    return (provider.request(body(f"{prefix} {n}"), label=str(n)) for n in range(count))


def run(provider: Provider, wanted: Iterator[Request], store: Path) -> tuple[Summary, list[float], float, float]:
    """Ask; return the summary, when each answer came, seconds of wall clock and of CPU."""
    gc.collect()
    started, cpu = time.perf_counter(), time.process_time()
    with ResponseStore(store) as responses, ask(wanted, provider=provider, store=responses) as answers:
        times = [time.perf_counter() - started for answer in answers if answer.status == "ok"]
    return answers.summary, times, time.perf_counter() - started, time.process_time() - cpu


def raw_aiohttp(url: str) -> tuple[float, float]:
    """The peer: requests a second and CPU seconds."""
    import aiohttp

    bodies = iter([body(f"row {n}") for n in range(COUNT)])

    async def work(session: aiohttp.ClientSession) -> None:
        for each in bodies:
            async with session.post(f"{url}/chat/completions", json=each) as response:
                json.loads(json.loads(await response.read())["choices"][0]["message"]["content"])

    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))

    gc.collect()
    started, cpu = time.perf_counter(), time.process_time()
    asyncio.run(main())
    return COUNT / (time.perf_counter() - started), time.process_time() - cpu


def plain(rounds: int) -> None:
    """Speed, and what a second build asks."""
    best: dict[str, tuple[float, float]] = {}
    with server("--latency", str(LATENCY)) as url, tempfile.TemporaryDirectory() as folder:
        for round_ in range(rounds):
            found = {"raw aiohttp": raw_aiohttp(url)}
            for name in ("fast", "openai"):
                provider = Provider(name="bench", base_url=url, transport=name, concurrency=CONCURRENCY)  # type: ignore[arg-type]
                store = Path(folder) / f"{name}-{round_}.sqlite"
                summary, times, seconds, cpu = run(provider, requests(provider, COUNT), store)
                assert len(times) == summary.sent == COUNT
                found[name] = COUNT / seconds, cpu
            best |= {name: max(best.get(name, (0, 0)), rate) for name, rate in found.items()}
        for name, (rate, cpu) in best.items():
            share = rate / best["raw aiohttp"][0]
            each = cpu / COUNT * 1e6
            print(f"plain     {name:12} {rate:6.0f} requests/s  {share:4.0%} of raw  {each:5.0f} us CPU/request")
        cases = {
            "again": requests(provider, COUNT),
            "edited": iter([*requests(provider, COUNT - 1), *requests(provider, 1, "edited")]),
            "appended": requests(provider, COUNT + 1),
        }
        for case, wanted in cases.items():
            summary, times, seconds, _ = run(provider, wanted, store)
            print(f"{case:9} {summary.sent} requests sent, {seconds / len(times) * 1e3:.3f} ms a row")


def limited() -> None:
    """A server with a limit of 200 requests a second."""
    for told in (True, False):
        options = ["--latency", str(LATENCY), "--rate", "200", *([] if told else ["--untold"])]
        with server(*options) as url, tempfile.TemporaryDirectory() as folder:
            provider = Provider(name="bench", base_url=url, transport="openai", concurrency=CONCURRENCY)
            summary, times, _, _ = run(provider, requests(provider, COUNT), Path(folder) / "r.sqlite")
        times.sort()
        late = [at for at in times if at > 1.0]
        share = (len(late) - 1) / (late[-1] - late[0]) / 200
        wasted = summary.throttled / summary.sent
        lost = COUNT - len(times)
        headers = "with" if told else "no"
        print(
            f"limit     {headers:4} headers: {share:.0%} of the limit after 1 s, "
            f"{wasted:.1%} of {summary.sent} requests refused, {lost} rows lost, {times[-1]:.1f} s in all"
        )


def faulty() -> None:
    """A bad day of the server."""
    for name in ("openai", "fast"):
        with server("--latency", str(LATENCY), "--mode", "faulty") as url, tempfile.TemporaryDirectory() as folder:
            provider = Provider(name="bench", base_url=url, transport=name, timeout=2, concurrency=CONCURRENCY)  # type: ignore[arg-type]
            summary, times, seconds, _ = run(provider, requests(provider, COUNT), Path(folder) / "r.sqlite")
            faults = json.load(urlopen(url.replace("/v1", "/stats")))["faults"]
        lost = COUNT - len(times)
        print(f"faulty    {name:6} {lost} rows lost, {summary.sent} requests in {seconds:.1f} s, faults met: {faults}")


def memory(rows: int) -> None:
    """Peak memory of many requests."""
    with server() as url, tempfile.TemporaryDirectory() as folder:
        provider = Provider(name="bench", base_url=url, transport="fast", concurrency=CONCURRENCY)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        summary, _, seconds, _ = run(provider, requests(provider, rows), Path(folder) / "r.sqlite")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory    {summary.answers} rows in {seconds:.0f} s: peak {peak:.0f} MB (before: {before:.0f} MB)")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", choices=["plain", "limit", "faulty", "memory"])
    options = parser.parse_args()
    cases = {
        "plain": lambda: plain(options.rounds),
        "limit": limited,
        "faulty": faulty,
        "memory": lambda: memory(options.rows) if options.rows else None,
    }
    for name, case in cases.items():
        if options.only in (None, name):
            case()


if __name__ == "__main__":
    main()
