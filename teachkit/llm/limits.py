"""How fast requests may leave: rate-limit headers, token buckets, and a limit that learns from what comes back.

Everything here is arithmetic on a time that the caller passes in (seconds, any origin): no clock, no waiting.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Quota:
    """What a provider says of one of its limits: units a minute (or longer), units left, seconds until it is whole."""

    limit: float
    remaining: float | None
    reset: float | None

    @property
    def per_second(self) -> float:
        """The rate at which units come back.

        Providers state limits by the minute. A limit by the day is told by what is used up and how long it takes to
        come back: 8.6 s for one of 10,000.
        """
        usual = self.limit / 60
        if self.remaining is not None and self.reset is not None and self.reset >= 2:
            measured = (self.limit - self.remaining) / self.reset
            if 0 < measured * 10 < usual:
                return measured
        return usual


def read_quota(headers: Mapping[str, str], unit: str) -> Quota | None:
    """Read ``x-ratelimit-{limit,remaining,reset}-UNIT``; ``unit`` is ``requests`` or ``tokens``."""
    limit = _number(headers.get(f"x-ratelimit-limit-{unit}"))
    if not limit:
        return None
    remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}"))
    return Quota(limit, remaining, read_duration(headers.get(f"x-ratelimit-reset-{unit}")))


def read_duration(text: str | None) -> float | None:
    """Read ``1m30s``, ``20ms`` or plain seconds; ``None`` if it is neither."""
    if text is None:
        return None
    if (plain := _number(text)) is not None:
        return plain
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` or ``retry-after`` (seconds, or a date beside the reply's own ``date``); in seconds."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None or text is None:
        return seconds
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < float("inf") else None


_NOTHING: Final = 1e-6  # units; a wait for less than the clock can tell would never end


class Bucket:
    """A token bucket: ``rate`` units a second, at most ``capacity`` at once. It may be overdrawn by one request."""

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self.rate = rate
        self.capacity = capacity
        self._level = capacity
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until ``amount`` may be taken; more than the capacity waits for a full bucket."""
        missing = min(amount, self.capacity) - self._filled(now)
        return missing / self.rate if missing > _NOTHING else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take ``amount`` out."""
        self._level = self._filled(now) - amount

    def cap(self, level: float, now: float) -> None:
        """Believe a server that says that no more than ``level`` is left."""
        self._level = min(self._filled(now), level)

    def raise_capacity(self, capacity: float, level: float) -> None:
        """Hold up to ``capacity`` from now on; the first time, ``level`` is there already."""
        if capacity > self.capacity:
            self.capacity, self._level = capacity, level

    def set_rate(self, rate: float, now: float) -> None:
        """Fill at another rate from now on."""
        self._level = self._filled(now)
        self.rate = rate

    def _filled(self, now: float) -> float:
        self._level = min(self.capacity, self._level + max(0.0, now - self._at) * self.rate)
        self._at = max(now, self._at)
        return self._level


WINDOW: Final = 64  # outcomes that are looked back on
TOLERATED: Final = 0.1  # share of them that may fail before anything slows down
BURST_SECONDS: Final = 0.25  # how much of a second's rate may leave at once
_ENOUGH: Final = 32


class Pace:
    """When the next request may leave, learned from replies (version 2 of the rule: single failures slow nothing).

    Concurrency is halved when more than a tenth of the last 64 outcomes failed, and grows by one for each round of
    successes. The rate is that of the configured limits and of the rate-limit headers; where a server refuses (429)
    more than a tenth without headers, it is found by ``Search``.
    """

    def __init__(
        self,
        concurrency: int,
        now: float,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """Start at full ``concurrency`` (requests in flight) and at the configured limits a minute, if any."""
        self.most = concurrency
        self.limit = float(concurrency)
        self.paused_until = now
        self._configured = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._buckets = {unit: _bucket(rate / 60, now) for unit, rate in self._configured.items() if rate}
        self._told = False  # by headers
        self._search = Search(now)
        self._failures: deque[bool] = deque(maxlen=WINDOW)  # of the last outcomes
        self._refusals: deque[bool] = deque(maxlen=WINDOW)

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until a request of about ``tokens`` may leave."""
        waits = [bucket.wait(1 if unit == "requests" else tokens, now) for unit, bucket in self._buckets.items()]
        return max(0.0, self.paused_until - now, self._search.wait(now), *waits)

    def take(self, tokens: float, now: float) -> None:
        """A request of about ``tokens`` leaves."""
        for unit, bucket in self._buckets.items():
            bucket.take(1 if unit == "requests" else tokens, now)
        self._search.take(now)

    def accepted(self, headers: Mapping[str, str], now: float) -> None:
        """A reply came, whatever it says."""
        self._believe(headers, now)
        self._failures.append(False)
        self._refusals.append(False)
        self._search.accepted(now)
        self.limit = min(float(self.most), self.limit + 1 / self.limit)

    def failed(self) -> None:
        """A server error, a timeout or a cut connection."""
        self._failures.append(True)
        self._refusals.append(False)
        if _many(self._failures):
            self.limit = max(1.0, self.limit / 2)
            self._failures.clear()

    def refused(self, headers: Mapping[str, str], now: float) -> None:
        """The server says 429: too fast."""
        self._believe(headers, now)
        self._failures.append(False)
        self._refusals.append(True)
        many = _many(self._refusals)
        quotas = read_quota(headers, "requests"), read_quota(headers, "tokens")
        wait = read_retry_after(headers)
        if wait is not None and (many or any(quota is not None and quota.remaining == 0 for quota in quotas)):
            self.paused_until = max(self.paused_until, now + wait)
        self._search.refused(now, start=many and not self._told)

    def _believe(self, headers: Mapping[str, str], now: float) -> None:
        for unit in ("requests", "tokens"):
            quota = read_quota(headers, unit)
            if quota is None:
                continue
            configured = self._configured[unit]
            rate = min(quota.per_second, configured / 60) if configured else quota.per_second
            bucket = self._buckets.get(unit)
            if bucket is None:
                bucket = self._buckets[unit] = _bucket(rate, now)
            if bucket.rate != rate:
                bucket.set_rate(rate, now)
            if quota.remaining is not None:
                if not configured:  # what is left may go at once: the server says so
                    bucket.raise_capacity(quota.limit, quota.remaining)
                bucket.cap(quota.remaining, now)
            self._told = self._told or unit == "requests"


class Search:
    """Finds the rate that a server takes which refuses without saying what it would take.

    It starts at the rate of admissions (sent less refused) of the last second, grows fast until the next refusal,
    starts from the admissions again, and then holds where about 3 % are refused. Without a refusal for some seconds
    it looks again whether more is possible.
    """

    SPAN: Final = 1.0  # seconds over which admissions are counted
    LEAST: Final = 0.25
    FAST: Final = 2.0  # growth a second (e-folding) while looking
    SLOW: Final = 0.0003  # growth with each answer, otherwise
    DOWN: Final = 0.01  # fall with each refusal
    QUIET: Final = 5.0  # seconds without a refusal until it looks again

    def __init__(self, now: float) -> None:
        """Note the time; nothing is limited yet."""
        self._bucket: Bucket | None = None
        self._looking = False
        self._since = self._grown_at = self._refused_at = now
        self._sent: deque[float] = deque()
        self._refusals: deque[float] = deque()

    @property
    def rate(self) -> float | None:
        """Requests a second that may leave; ``None``: any number."""
        return self._bucket.rate if self._bucket else None

    def wait(self, now: float) -> float:
        """Seconds until the next may leave."""
        return self._bucket.wait(1, now) if self._bucket else 0.0

    def take(self, now: float) -> None:
        """One leaves."""
        self._sent.append(now)
        _forget(self._sent, now - self.SPAN)
        if self._bucket is None:
            return
        self._looking = self._looking or now - self._refused_at > self.QUIET
        if self._looking and self._bucket.rate < 1.5 * max(1, len(self._sent)) / self.SPAN:  # only while it binds
            grown = min(now - self._grown_at, 0.25) * self.FAST
            self._bucket.set_rate(self._bucket.rate * (1 + grown), now)
        self._grown_at = now
        self._bucket.take(1, now)

    def accepted(self, now: float) -> None:
        """One was answered."""
        if self._bucket and not self._looking:
            self._bucket.set_rate(self._bucket.rate * (1 + self.SLOW), now)

    def refused(self, now: float, *, start: bool) -> None:
        """One was refused; ``start`` if that happens too often for a chance."""
        self._refused_at = now
        self._refusals.append(now)
        _forget(self._refusals, now - self.SPAN)
        if self._bucket is None:
            if start:
                rate = self._admitted(now)
                self._bucket, self._looking, self._grown_at = Bucket(rate, 1.0, now), True, now
        elif self._looking:
            self._looking = False
            recent = max(self.LEAST, 16 / self._bucket.rate)  # a rate that grows is measured at its end
            self._bucket.set_rate(min(self._bucket.rate, self._admitted(now, recent)), now)
        else:
            self._bucket.set_rate(self._bucket.rate * (1 - self.DOWN), now)

    def _admitted(self, now: float, most: float = SPAN) -> float:
        span = min(self.SPAN, most, max(self.LEAST, now - self._since))
        sent = sum(at >= now - span for at in self._sent)
        refused = sum(at >= now - span for at in self._refusals)
        return max(1, sent - refused) / span


def _many(outcomes: deque[bool]) -> bool:
    return len(outcomes) >= _ENOUGH and sum(outcomes) > TOLERATED * len(outcomes)


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] < before:
        times.popleft()


def _bucket(rate: float, now: float) -> Bucket:
    return Bucket(rate, max(1.0, rate * BURST_SECONDS), now)
