"""The thread that sends: an event loop with a pool in it, and two queues to the thread that reads answers."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from teachkit.llm.money import TokenEstimate
from teachkit.llm.pool import Counts, Job, Policy, Pool
from teachkit.llm.safety import check_way
from teachkit.llm.transport import Transport, make_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.llm.money import Budget, Price
    from teachkit.llm.outcome import Decision
    from teachkit.llm.provider import Provider
    from teachkit.llm.request import Request
    from teachkit.llm.responses import ResponseStore

_DELIVERY_SECONDS: Final = 0.005  # answers are handed over in lots


class Sender:
    """Sends jobs in a thread of its own. ``submit`` and ``take`` are for one other thread; ``stop`` ends it."""

    def __init__(
        self,
        provider: Provider,
        *,
        store: ResponseStore,
        decide: Callable[[Job], Decision | None],
        price: Callable[[Request], Price | None],
        budget: Budget | None,
        policy: Policy,
        transport: Callable[[], Transport] | None,
        seed: int,
    ) -> None:
        """Check the way to the provider, then start; arguments as in ``ask`` and ``Pool``.

        Raises:
            LlmSetupError: the host is not allowed, the key is missing, and so on.
        """
        way = None if transport else check_way(provider.endpoint, provider.api_key_env)
        self._provider, self._store, self._policy, self._seed = provider, store, policy, seed
        self._decide, self._price, self._budget = decide, price, budget
        self._key_name = way.key.name if way and way.key else None
        self._make: Callable[[], Transport] = transport or (
            lambda: make_transport(provider.transport, way, timeout=provider.timeout, connections=provider.concurrency)  # type: ignore[arg-type]
        )
        bytes_seen, tokens_seen = store.usage()
        self._estimate = TokenEstimate(bytes_seen=bytes_seen, tokens_seen=tokens_seen)
        self.counts = Counts()
        self._changed = threading.Condition()  # around what follows
        self._finished: list[Job] = []
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._grace = policy.grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Pool | None = None
        self._stop: asyncio.Event | None = None
        self._lot: list[Job] = []  # of the loop's thread
        self._thread = threading.Thread(target=self._run, name="llm-sender", daemon=True)
        self._thread.start()
        self._ready.wait()

    def submit(self, jobs: list[Job]) -> None:
        """Queue jobs."""
        self._call(lambda pool: pool.submit(jobs))

    def take(self) -> list[Job]:
        """Wait for finished jobs and return them.

        Raises:
            BaseException: what stopped the pool.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._finished or self._error)
            if self._error is not None:
                raise self._error
            finished, self._finished = self._finished, []
            return finished

    def stop(self) -> None:
        """Send nothing more, give what is under way its grace, and end the thread."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # the loop ended by itself meanwhile
                loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    # ------------------------------------------------------------------ in the thread

    def _call(self, action: Callable[[Pool], None]) -> None:
        loop, pool = self._loop, self._pool
        if loop is None or pool is None or self._error is not None:
            return  # ``take`` raises
        loop.call_soon_threadsafe(action, pool)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # the reading thread raises it
            self._failed(error)
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        transport = self._make()
        try:
            self._pool = pool = Pool(
                transport,
                concurrency=self._provider.concurrency,
                decide=self._decide,
                keep=self._store.put,
                deliver=self._deliver,
                fail=self._failed,
                price=self._price,
                budget=self._budget,
                estimate=self._estimate,
                policy=self._policy,
                random=random.Random(self._seed),
                clock=time.time,
                key_name=self._key_name,
                requests_per_minute=self._provider.requests_per_minute,
                tokens_per_minute=self._provider.tokens_per_minute,
            )
            self.counts = pool.counts
            self._ready.set()
            await self._stop.wait()
            await pool.stop(self._grace)
        finally:
            await transport.close()

    def _deliver(self, job: Job) -> None:
        if not self._lot and self._loop is not None:
            self._loop.call_later(_DELIVERY_SECONDS, self._hand_over)
        self._lot.append(job)

    def _hand_over(self) -> None:
        lot, self._lot = self._lot, []
        with self._changed:
            self._finished += lot
            self._changed.notify_all()

    def _failed(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
