"""A fixed number of workers that send requests as fast as the provider takes them, and lose none.

Knows one event loop, one transport, and jobs. Retries are mixed in with new work; a refusal for speed (429) is no
failed attempt; a refusal that would meet every request stops everything at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from teachkit.errors import TeachkitError
from teachkit.llm.apis import output_limit
from teachkit.llm.errors import AllRefused, Outage
from teachkit.llm.limits import Pace, read_retry_after
from teachkit.llm.outcome import MAX_ASKS, Decision
from teachkit.llm.responses import Response, response_of
from teachkit.llm.transport import NoReply
from teachkit.llm.verdict import judge_answer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from teachkit.llm.money import Budget, Price, Reservation, TokenEstimate
    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request
    from teachkit.llm.transport import Reply, Transport

_OUTPUT_TOKENS: Final = 256  # counted against a token limit where a request names no limit of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a run is; seconds, and numbers of tries.

    A failed request is tried ``max_tries`` times in all, after a random wait of at most ``backoff * 2 ** n``, never
    above ``backoff_cap``. Refusals for speed (429) spend no try, but no request waits longer than ``throttle_cap``
    for them. An invalid output is asked again until ``max_asks`` answers are there. ``outage_after`` requests given
    up in a row, or ``refused_after`` refused in a row with no answer yet, stop the run. ``grace`` is left to requests
    that are under way when a run is stopped.
    """

    max_tries: int = 6
    max_asks: int = MAX_ASKS
    backoff: float = 0.5
    backoff_cap: float = 20.0
    throttle_cap: float = 600.0
    outage_after: int = 50
    refused_after: int = 20
    grace: float = 2.0


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way, and what came of it so far."""

    request: Request
    answers: list[tuple[Response, ModelReply]] = field(default_factory=list)
    asked: int = 0  # answers of this run
    tries: int = 0  # since the last answer
    failures: int = 0
    throttles: int = 0
    throttled_since: float | None = None
    decision: Decision | None = None


@dataclass(slots=True)
class Counts:
    """What went over the wire; picos are exact money (``teachkit.llm.money``)."""

    sent: int = 0
    throttled: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    picos: int = 0
    uncertain_picos: int = 0


class Pool:
    """Workers over a queue of jobs. Make it inside a running loop; ``submit``; ``stop``."""

    def __init__(
        self,
        transport: Transport,
        *,
        concurrency: int,
        decide: Callable[[Job], Decision | None],
        keep: Callable[[Response], None],
        deliver: Callable[[Job], None],
        fail: Callable[[BaseException], None],
        price: Callable[[Request], Price | None],
        budget: Budget | None,
        estimate: TokenEstimate,
        policy: Policy,
        random: random.Random,
        clock: Callable[[], float],
        key_name: str | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """Start ``concurrency`` workers.

        Args:
            transport: sends one request; closed by its owner.
            concurrency: workers, and requests under way at most.
            decide: the verdict on a job's answers; ``None`` asks again.
            keep: called with every answer, before anything else is done with it.
            deliver: called with every job that is done; ``job.decision`` is set.
            fail: called once, with what stops everything.
            price: the price of a request, or ``None``.
            budget: what may be spent; ``None``: anything.
            estimate: of tokens; it learns.
            policy: how patient to be.
            random: where jitter comes from.
            clock: Unix time for the records; waiting goes by the loop's own time.
            key_name: the variable that holds the key, for messages.
            requests_per_minute: a limit known beforehand.
            tokens_per_minute: a limit known beforehand.
        """
        self._loop = asyncio.get_running_loop()
        self._transport, self._decide, self._keep, self._deliver, self._fail = transport, decide, keep, deliver, fail
        self._price, self._budget, self._estimate = price, budget, estimate
        self._policy, self._random, self._clock, self._key_name = policy, random, clock, key_name
        self.pace = Pace(
            concurrency, self._loop.time(), requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute
        )
        self.counts = Counts()
        self._fresh: deque[Job] = deque()
        self._ready: deque[Job] = deque()  # retries whose time has come
        self._idle: deque[asyncio.Future[None]] = deque()
        self._active = 0  # under way
        self._paying = 0  # reservations that are out
        self._moved = asyncio.Event()  # something was finished or settled
        self._turn = asyncio.Lock()
        self._given_up = self._refused = 0  # in a row
        self._answered = self._broke = self._stopping = False
        self._workers = [asyncio.create_task(self._work()) for _ in range(concurrency)]

    def submit(self, jobs: Iterable[Job]) -> None:
        """Queue jobs; from the loop's own thread."""
        for job in jobs:
            self._fresh.append(job)
            self._wake()

    async def stop(self, grace: float) -> None:
        """Send nothing more; give what is under way ``grace`` seconds, then cut it off."""
        self._stopping = True
        try:
            async with asyncio.timeout(grace):
                while self._active:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            pass
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    # ------------------------------------------------------------------ workers

    async def _work(self) -> None:
        while True:
            job = self._next()
            if job is None:
                turn = self._loop.create_future()
                self._idle.append(turn)
                await turn
                continue
            try:
                await self._attend(job)
            except Exception as error:  # whatever it is, the caller must hear of it
                self._abort(error)

    def _next(self) -> Job | None:
        if self._stopping:
            return None
        if self._ready:
            return self._ready.popleft()
        return self._fresh.popleft() if self._fresh else None

    def _wake(self) -> None:
        while self._idle:
            turn = self._idle.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _attend(self, job: Job) -> None:
        """One sending, and what follows from it."""
        if self._broke:
            self._end(job, Decision("not_run:budget", "the budget is spent"))
            return
        price = self._price(job.request)
        await self._enter(self._tokens(job.request))
        try:
            if self._stopping:
                return
            reservation = await self._reserve(job.request, price)
            if reservation is None and self._budget is not None and price is not None:
                self._broke = True
                self._end(job, Decision("not_run:budget", "the budget is spent"))
                return
            await self._send(job, price, reservation)
        finally:
            self._active -= 1
            self._moved.set()

    async def _enter(self, tokens: float) -> None:
        """Wait until one more request may be under way."""
        pace, now = self.pace, self._loop.time
        if self._turn.locked() or self._active >= int(pace.limit) or pace.wait(tokens, now()) > 0:
            async with self._turn:
                while not self._stopping:
                    if self._active >= int(pace.limit):
                        self._moved.clear()
                        await self._moved.wait()
                    elif (wait := pace.wait(tokens, now())) > 0:
                        await asyncio.sleep(wait)
                    else:
                        break
                self._active += 1
        else:
            self._active += 1
        pace.take(tokens, now())

    def _tokens(self, request: Request) -> float:
        output = output_limit(request)
        return self._estimate.tokens(len(request.wire)) + (_OUTPUT_TOKENS if output is None else output)

    async def _reserve(self, request: Request, price: Price | None) -> Reservation | None:
        """Set the worst case aside; while others may give some back, wait for them."""
        if self._budget is None or price is None:
            return None
        worst = price.worst(request)
        while (found := self._budget.reserve(worst)) is None:
            if self._budget.closed or not self._paying:
                return None
            self._moved.clear()
            await self._moved.wait()
        self._paying += 1
        return found

    def _settle(self, reservation: Reservation | None, cost: int | None) -> None:
        if reservation is not None and self._budget is not None:
            self._paying -= 1
            self._budget.settle(reservation, cost)
            self._moved.set()
        if cost is not None:
            self.counts.picos += cost
        elif reservation is not None:
            self.counts.uncertain_picos += reservation.amount

    # ------------------------------------------------------------------ one sending

    async def _send(self, job: Job, price: Price | None, reservation: Reservation | None) -> None:
        started = self._clock()
        job.tries += 1
        self.counts.sent += 1
        cost: int | None = None  # not known: it may have been paid
        try:
            reply = await self._transport.send(job.request)
            verdict = judge_answer(reply, job.request, self._key_name)
            if verdict.reply is not None:
                cost = self._answer(job, reply, verdict.reply, price, started)
            elif not verdict.maybe_paid:
                cost = 0
        except NoReply as error:
            cost = None if error.maybe_paid else 0
            self._failed(job, error.reason, None)
            return
        except TeachkitError:  # refused before it left
            cost = 0
            raise
        finally:
            self._settle(reservation, cost)
        if verdict.reply is not None:
            self._judge(job)
        elif verdict.fatal is not None:
            self._abort(verdict.fatal)
        elif verdict.kind == "throttled":
            self._throttled(job, reply)
        elif verdict.kind == "transient":
            self._failed(job, verdict.said, read_retry_after(reply.headers))
        else:
            self._refuse(job, reply, verdict.said, filtered=verdict.kind == "filtered")

    def _answer(self, job: Job, reply: Reply, parsed: ModelReply, price: Price | None, started: float) -> int | None:
        """Keep an answer; return its cost in picos."""
        request = job.request
        usage = parsed.usage
        cost = price.cost(usage) if price and usage else None
        response = response_of(
            request,
            parsed,
            reply.body,
            picos=cost,
            earlier=[each for each, _ in job.answers],
            status=reply.status,
            request_id=reply.headers.get("x-request-id"),
            tries=job.tries,
            started=started,
            finished=self._clock(),
        )
        self._keep(response)
        self.pace.accepted(reply.headers, self._loop.time())
        self._answered, self._given_up, self._refused = True, 0, 0
        job.answers.append((response, parsed))
        job.asked += 1
        job.tries = job.failures = job.throttles = 0
        job.throttled_since = None
        if usage:
            self._estimate.learn(len(request.wire), usage.input)
            self.counts.input_tokens += usage.input
            self.counts.output_tokens += usage.output
        return cost

    def _judge(self, job: Job) -> None:
        decision = self._decide(job)
        if decision is None:
            self._again(job)
        else:
            self._end(job, decision)

    def _throttled(self, job: Job, reply: Reply) -> None:
        now = self._loop.time()
        self.counts.throttled += 1
        self.pace.refused(reply.headers, now)
        job.throttled_since = now if job.throttled_since is None else job.throttled_since
        told = read_retry_after(reply.headers)
        wait = self._jitter(job.throttles) if told is None else told + self._random.uniform(0, 0.1 * told)
        job.throttles += 1
        if now + wait - job.throttled_since > self._policy.throttle_cap:
            self._give_up(job, f"refused as too fast (429) for {self._policy.throttle_cap:g} s")
        else:
            self._park(job, wait)

    def _failed(self, job: Job, reason: str, told: float | None) -> None:
        self.counts.failed += 1
        self.pace.failed()
        job.failures += 1
        if job.failures >= self._policy.max_tries:
            self._give_up(job, f"{reason}, {job.failures} times")
        else:
            wait = self._jitter(job.failures - 1)
            self._park(job, wait if told is None else min(max(told, wait), self._policy.throttle_cap))

    def _give_up(self, job: Job, reason: str) -> None:
        self._given_up += 1
        self._end(job, Decision("transient_exhausted", reason))
        if self._given_up >= self._policy.outage_after:
            host, count = job.request.endpoint.netloc, self._given_up
            self._abort(Outage(host=host, count=count, tries=self._policy.max_tries, said=reason))

    def _refuse(self, job: Job, reply: Reply, said: str, *, filtered: bool) -> None:
        if filtered:
            self._end(job, Decision("content_filter", f"HTTP {reply.status}: {said}"))
            return
        self._end(job, Decision("error", f"HTTP {reply.status}: {said}"))
        self._refused += 1
        if not self._answered and self._refused >= self._policy.refused_after:
            host = job.request.endpoint.netloc
            self._abort(AllRefused(host=host, count=self._refused, status=reply.status, said=said))

    # ------------------------------------------------------------------ ends

    def _jitter(self, step: int) -> float:
        """Full jitter: anything up to the bound of this step."""
        return self._random.uniform(0, min(self._policy.backoff_cap, self._policy.backoff * 2 ** min(step, 30)))

    def _park(self, job: Job, seconds: float) -> None:
        self._loop.call_later(seconds, self._again, job)

    def _again(self, job: Job) -> None:
        self._ready.append(job)
        self._wake()

    def _end(self, job: Job, decision: Decision) -> None:
        job.decision = decision
        self._deliver(job)

    def _abort(self, error: BaseException) -> None:
        if not self._stopping:
            self._stopping = True
            self._fail(error)
