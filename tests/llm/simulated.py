"""A provider without a network, in virtual time, and a pool that asks it."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.llm.chat import chat_body
from teachkit.llm.money import Budget, Price, TokenEstimate
from teachkit.llm.outcome import decide
from teachkit.llm.pool import Job, Policy, Pool
from teachkit.llm.request import Endpoint, Request
from teachkit.llm.transport import NoReply, Reply
from tests.llm.server import ERRORS, Bucket, completion, faults_in_request
from tests.llm.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from teachkit.llm.outcome import Validate
    from teachkit.llm.responses import Response
    from tests.llm.server import Script

ENDPOINT = Endpoint.parse("http://127.0.0.1:8080/v1")


def make_request(text: object = "a text", **parameters: Any) -> Request:
    """A request to nowhere; ``faults=[...]`` are what its first sendings meet."""
    faults = parameters.pop("faults", None)
    parameters |= {"metadata": {"faults": faults}} if faults else {}
    return Request(ENDPOINT, chat_body(model="small", user=str(text), parameters=parameters), label=str(text))


@dataclass
class Provider:
    """Answers after ``latency`` seconds; refuses after a fifth of it, as servers do."""

    script: Script = faults_in_request
    latency: float = 0.05
    bucket: Bucket | None = None
    headers: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[float, str]] = field(default_factory=list)  # when, what became of it
    active: int = 0
    most_active: int = 0
    nth: Counter[str] = field(default_factory=Counter)

    async def send(self, request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        fault = self.script(json.loads(request.wire), self.nth[request.key], len(self.sent))
        self.nth[request.key] += 1
        more = self.headers
        if self.bucket:
            fault = fault if self.bucket.take(loop.time()) else "429-bare"
            more = self.bucket.headers()
        self.sent.append((loop.time(), fault))
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            await asyncio.sleep(self.latency * (0.2 if fault.startswith("429") else 1))
            if fault == "hang":
                await asyncio.sleep(60)
                raise NoReply("no whole reply within 60 s", maybe_paid=True)
            if fault == "cut":
                raise NoReply("the connection failed", maybe_paid=True)
            if fault == "unreachable":
                raise NoReply("the connection failed", maybe_paid=False)
        finally:
            self.active -= 1
        if fault in ERRORS:
            status, whole, own = ERRORS[fault]
            return Reply(status, {**more, **own}, whole if isinstance(whole, bytes) else json.dumps(whole).encode())
        body = b"<html>" if fault == "garbage" else json.dumps(completion(dict(request.body), fault)).encode()
        return Reply(200, more, body)

    async def close(self) -> None:
        pass

    def count(self, fault: str) -> int:
        return sum(each == fault for _, each in self.sent)


@dataclass
class Outcome:
    """What a simulated run came to."""

    done: list[Job]
    kept: list[Response]
    failed: list[BaseException]
    pool: Pool
    seconds: float
    times: list[float]

    @property
    def statuses(self) -> Counter[str]:
        return Counter(job.decision.status if job.decision else "none" for job in self.done)


def simulate(
    provider: Provider,
    requests: Iterable[Request],
    *,
    concurrency: int = 64,
    validate: Validate | None = None,
    policy: Policy | None = None,
    price: Callable[[Request], Price | None] = lambda request: None,
    budget: Budget | None = None,
    stop_after: int | None = None,
    **limits: Any,
) -> Outcome:
    """Ask everything in virtual time; ``stop_after`` so many answers the pool is stopped."""
    wanted = [Job(request) for request in requests]
    done: list[Job] = []
    kept: list[Response] = []
    failed: list[BaseException] = []
    times: list[float] = []
    policy = policy or Policy()

    async def main() -> Pool:
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()

        def deliver(job: Job) -> None:
            done.append(job)
            times.append(loop.time())
            if len(done) == (stop_after or len(wanted)):
                finished.set()

        def fail(error: BaseException) -> None:
            failed.append(error)
            finished.set()

        pool = Pool(
            provider,
            concurrency=concurrency,
            decide=lambda job: decide(job.request, job.answers, validate, max_asks=policy.max_asks),
            keep=kept.append,
            deliver=deliver,
            fail=fail,
            price=price,
            budget=budget,
            estimate=TokenEstimate(),
            policy=policy,
            random=random.Random(1),
            clock=lambda: 1_760_000_000 + loop.time(),
            **limits,
        )
        pool.submit(wanted)
        await finished.wait()
        await pool.stop(policy.grace)
        return pool

    pool, seconds = run(main)
    return Outcome(done, kept, failed, pool, seconds, times)
