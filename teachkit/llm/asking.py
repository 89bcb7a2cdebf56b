"""The front door: requests in, one answer for each out, whatever happened in between.

The caller's thread reads requests, looks them up and hands out answers; a thread of its own sends what is missing. So
a slow caller delays no reply, an answer that is stored starts no thread, and ``replay`` has nothing that could open a
socket.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from teachkit.errors import did_you_mean
from teachkit.llm.errors import BadMode
from teachkit.llm.money import microdollars
from teachkit.llm.outcome import Answer, Decision, Source, Summary, decide, read_all
from teachkit.llm.pool import Counts, Job, Policy
from teachkit.llm.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Any

    from teachkit.llm.money import Budget, Price, Prices
    from teachkit.llm.outcome import Validate
    from teachkit.llm.provider import Provider
    from teachkit.llm.recordings import Recording
    from teachkit.llm.request import Request
    from teachkit.llm.responses import Response, ResponseStore
    from teachkit.llm.transport import Transport

Mode = Literal["live", "record", "replay"]
MODES: Final[tuple[Mode, ...]] = ("live", "record", "replay")

_CHUNK: Final = 256  # requests that are looked up at once
_ROUNDS: Final = 4  # times the concurrency: how much is queued


def ask(
    requests: Iterable[Request],
    *,
    provider: Provider,
    store: ResponseStore | None = None,
    mode: Mode = "live",
    recording: Recording | None = None,
    budget: Budget | None = None,
    prices: Prices | None = None,
    allow_unpriced: bool = False,
    validate: Validate | None = None,
    policy: Policy | None = None,
    transport: Callable[[], Transport] | None = None,
    seed: int = 0,
) -> Asking:
    """Ask every request, and hand out one ``Answer`` for each, in the order in which they are done.

    Use it as a context manager and loop over it; ``summary`` counts. Leaving early sends nothing more, gives what is
    under way ``policy.grace`` seconds, and keeps every answer that came.

    Args:
        requests: any number of them; read as needed, in this thread. Equal ones (by key) are asked once.
        provider: where they go; all of them must be made for it.
        store: answers of earlier runs, and of this one; not used in ``replay``, needed otherwise.
        mode: ``live``; ``record``: also write what is answered to ``recording``; ``replay``: only read it.
        recording: needed by ``record``, which saves it when all is answered, and by ``replay``.
        budget: the worst case of a request is set aside before it leaves; what does not fit is ``not_run:budget``.
        prices: dated prices; needed with a budget.
        allow_unpriced: let models without a price through, outside the budget.
        validate: called with a request and its parsed reply, returns what is wrong or ``None``; the schema in the
            body is
            checked before. It must be a pure function: it is called in two threads.
        policy: patience.
        transport: makes another way to send, in the sending thread; the caller answers for its safety.
        seed: of the jitter between retries. No answer depends on it.

    Raises (here, or while answers are read):
        BadMode: what the mode needs is not there.
        LlmSetupError: endpoint, host, key, price or request cannot be used.
        ProviderError: the provider refuses everything (key, quota, model), or is down.
        ReplayMiss: ``replay`` met a request that is not recorded.
        StoreUnwritable: answers cannot be kept; those that are written are safe.
    """
    return Asking(
        iter(requests),
        provider=provider,
        source=_source(mode, store, recording, _pricing(prices, None, allow_unpriced=True)),
        mode=mode,
        budget=budget,
        price=_pricing(prices, budget, allow_unpriced=allow_unpriced),
        validate=validate,
        policy=policy or Policy(),
        transport=transport,
        seed=seed,
    )


def _source(
    mode: str, store: ResponseStore | None, recording: Recording | None, price: Callable[[Request], Price | None]
) -> _Source:
    if mode not in MODES:
        hint = did_you_mean(mode, MODES)
        raise BadMode(problem=f"there is no mode '{mode}'", advice=f"write one of: {', '.join(MODES)}.{hint}")
    if mode != "live" and recording is None:
        raise BadMode(problem=f"mode '{mode}' needs a recording", advice="name the file of recordings")
    if mode != "replay" and store is None:
        raise BadMode(problem=f"mode '{mode}' needs a store", advice="answers that are paid for are kept: name a store")
    return _Source(None if mode == "replay" else store, None if mode == "live" else recording, price)


def _pricing(
    prices: Prices | None, budget: Budget | None, *, allow_unpriced: bool
) -> Callable[[Request], Price | None]:
    if prices is None and budget is not None:
        raise BadMode(problem="a budget needs prices", advice="pass a price table with the models that are asked")

    def price(request: Request) -> Price | None:
        if prices is None or (allow_unpriced and request.model not in prices.models):
            return None
        return prices.of(request.model)

    return price


def _deciding(validate: Validate | None, max_asks: int) -> Callable[[Job], Decision | None]:
    """For the sending thread, which must not keep the ``Asking`` alive that a caller has forgotten."""
    return lambda job: decide(job.request, job.answers, validate, max_asks=max_asks)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where known answers are: a store, or a recording alone, which knows no prices."""

    store: ResponseStore | None
    recording: Recording | None
    price: Callable[[Request], Price | None]

    def find(self, requests: Iterable[Request]) -> dict[str, list[Response]]:
        if self.store is not None:
            return self.store.get_many([request.key for request in requests])
        if self.recording is None:
            raise AssertionError("_source sees to it that one of the two is there")
        wanted = list(requests)
        found = self.recording.find(wanted, self.price)
        missing = next((request for request in wanted if request.key not in found), None)
        if missing is not None:
            raise self.recording.miss(missing)
        return found


class Asking:
    """The answers of one ``ask``, as they come; see there."""

    def __init__(
        self,
        requests: Iterator[Request],
        *,
        provider: Provider,
        source: _Source,
        mode: Mode,
        budget: Budget | None,
        price: Callable[[Request], Price | None],
        validate: Validate | None,
        policy: Policy,
        transport: Callable[[], Transport] | None,
        seed: int,
    ) -> None:
        """Use ``ask``."""
        self._requests, self._provider, self._source, self._mode = requests, provider, source, mode
        self._budget, self._price, self._validate, self._policy = budget, price, validate, policy
        self._transport, self._seed = transport, seed
        self._endpoint = provider.endpoint
        self._done: deque[Answer] = deque()
        self._waiting: dict[str, list[Request]] = {}  # asked, not answered yet
        self._queued = 0  # requests in _waiting
        self._exhausted = self._closed = False
        self._sender: Sender | None = None
        self.summary = Summary()

    def __iter__(self) -> Iterator[Answer]:
        return self

    def __next__(self) -> Answer:
        try:
            while not self._done:
                if self._closed:
                    raise StopIteration
                self._refill()
                if self._done:
                    break
                if not self._waiting:
                    self._finish()
                    raise StopIteration
                self._collect()
        except BaseException:
            self.close()
            raise
        return self._done.popleft()

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Send nothing more, keep what came, end the thread. Safe to call twice; done at the end of the loop anyway."""
        if getattr(self, "_closed", True):
            return
        self._closed = True
        try:
            if self._sender is not None:
                self._sender.stop()
                self._count(self._sender.counts)
        finally:
            if self._source.store is not None and self._sender is not None:
                self._source.store.flush()

    # ------------------------------------------------------------------ in

    def _refill(self) -> None:
        """Read and look up requests while there is room for more."""
        room = max(_CHUNK, _ROUNDS * self._provider.concurrency)
        while not (self._exhausted or self._closed or self._done) and self._queued < room:
            chunk = list(islice(self._requests, _CHUNK))
            self._exhausted = len(chunk) < _CHUNK
            self._look_up(chunk)

    def _look_up(self, chunk: list[Request]) -> None:
        first: dict[str, Request] = {}
        for request in chunk:
            if request.endpoint != self._endpoint:
                problem = f"the request {request.name} is made for {request.endpoint}, not for {self._endpoint}"
                raise BadMode(problem=problem, advice="ask each provider by itself")
            if request.key not in self._waiting:
                first.setdefault(request.key, request)
        found = self._source.find(first.values()) if first else {}
        known = {key: read_all(first[key], answers) for key, answers in found.items()}
        verdicts = {key: self._verdict(Job(first[key], answers)) for key, answers in known.items()}
        given: set[str] = set()
        jobs: list[Job] = []
        for request in chunk:
            key = request.key
            if (verdict := verdicts.get(key)) is not None:
                source: Source = "duplicate" if key in given else self._known_as()
                given.add(key)
                self._hand_out(request, known[key], verdict, source)
            elif key in self._waiting:
                self._waiting[key].append(request)
                self._queued += 1
            else:
                self._price(request)  # an unknown price is told before anything is sent
                self._waiting[key] = [request]
                self._queued += 1
                jobs.append(Job(request, known.get(key, [])))
        if jobs:
            self._start().submit(jobs)

    def _verdict(self, job: Job) -> Decision | None:
        asks = len(job.answers) if self._mode == "replay" else self._policy.max_asks
        return decide(job.request, job.answers, self._validate, max_asks=asks)

    def _known_as(self) -> Source:
        return "recorded" if self._mode == "replay" else "stored"

    # ------------------------------------------------------------------ out

    def _collect(self) -> None:
        """Wait for answers of the sending thread."""
        for job in self._start().take():
            waiting = self._waiting.pop(job.request.key)
            self._queued -= len(waiting)
            decision = job.decision
            if decision is None:
                raise AssertionError("a job is handed over with its decision")
            source: Source = "asked" if job.asked or not job.answers else self._known_as()
            for request in waiting:
                self._hand_out(request, job.answers, decision, source)
                source = "duplicate"

    def _hand_out(self, request: Request, answers: list[Any], decision: Decision, source: Source) -> None:
        last = answers[-1] if answers else None
        response, reply = (decision.response, decision.reply) if decision.response else (last or (None, None))
        costs = [each.cost for each, _ in answers]
        cost = None if None in costs or not costs else sum(costs)
        answer = Answer(
            request=request,
            status=decision.status,
            source=source,
            reply=reply,
            raw=response.body if response else None,
            detail=decision.detail,
            asks=len(answers),
            cost=0.0 if source == "duplicate" else cost,
        )
        self.summary.statuses[answer.status] += 1
        self.summary.sources[source] += 1
        if reply is not None and reply.model:
            self.summary.models[reply.model] += 1
        if self._mode == "record" and answers and source != "duplicate" and self._source.recording is not None:
            self._source.recording.add(request, [each for each, _ in answers])
        self._done.append(answer)

    def _finish(self) -> None:
        """All is answered."""
        self.close()
        if self._mode == "record" and self._source.recording is not None:
            self._source.recording.save()

    def _count(self, counts: Counts) -> None:
        summary = self.summary
        summary.sent, summary.throttled, summary.failed = counts.sent, counts.throttled, counts.failed
        summary.input_tokens, summary.output_tokens = counts.input_tokens, counts.output_tokens
        summary.cost, summary.uncertain = microdollars(counts.picos), microdollars(counts.uncertain_picos)

    def _start(self) -> Sender:
        if self._sender is None:
            if self._source.store is None:
                raise AssertionError("replay sends nothing")
            self._sender = Sender(
                self._provider,
                store=self._source.store,
                decide=_deciding(self._validate, self._policy.max_asks),
                price=self._price,
                budget=self._budget,
                policy=self._policy,
                transport=self._transport,
                seed=self._seed,
            )
        return self._sender
