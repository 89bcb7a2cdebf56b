"""Arithmetic on time that is passed in."""

from __future__ import annotations

import pytest

from teachkit.llm.limits import Bucket, Pace, Quota, read_duration, read_quota, read_retry_after


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3s", 3723), ("7.66s", 7.66), ("12", 12),
    ("soon", None), ("", None),
     ("1s later", None), (None, None), ("-1", None), ("nan", None)],
)  # fmt: skip
def test_durations(text: str | None, seconds: float | None) -> None:
    assert read_duration(text) == (seconds if seconds is None else pytest.approx(seconds))


def test_retry_after_in_all_its_forms() -> None:
    date = {"date": "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}
    assert read_retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert read_retry_after({"retry-after": "9"}) == 9
    assert read_retry_after(date) == 30
    assert read_retry_after({"retry-after": "whenever"}) is None
    assert read_retry_after({}) is None


def test_a_limit_by_the_day_is_told_from_one_by_the_minute() -> None:
    assert Quota(10_000, 9_999, 8.64).per_second == pytest.approx(10_000 / 86_400)
    assert Quota(10_000, 9_000, 6).per_second == 10_000 / 60
    assert Quota(200, 199, 1).per_second == 200 / 60
    assert read_quota({"x-ratelimit-limit-requests": "0"}, "requests") is None


def test_a_bucket_lets_its_rate_through() -> None:
    bucket = Bucket(10, 2, now=0)
    now = 0.0
    for _ in range(102):
        now += bucket.wait(1, now)
        bucket.take(1, now)
    assert now == pytest.approx(10)
    assert bucket.wait(100, now + 9) == 0  # more than it holds waits for a full one, not forever


def test_configured_limits_hold_for_requests_and_tokens() -> None:
    pace = Pace(64, 0, requests_per_minute=600, tokens_per_minute=6_000)
    now = 0.0
    for _ in range(50):
        now += pace.wait(20, now)
        pace.take(20, now)
    assert now == pytest.approx(50 * 20 / 100, rel=0.1)


def test_single_failures_slow_nothing_and_many_halve_the_concurrency() -> None:
    pace = Pace(64, 0)
    for n in range(200):
        if n % 20 == 0:
            pace.failed()
        else:
            pace.accepted({}, n / 100)
    assert pace.limit == 64
    for _ in range(64):
        pace.failed()
    assert pace.limit == 64 / 2**2
    for n in range(64 * 64):
        pace.accepted({}, 10 + n)
    assert pace.limit == 64


def test_the_whole_pool_pauses_where_nothing_remains() -> None:
    pace = Pace(64, 0)
    pace.refused({"retry-after": "7"}, 1)
    assert pace.wait(1, 1) == 0
    empty = {"retry-after": "7", "x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "0"}
    pace.refused(empty, 1)
    assert pace.wait(1, 1) == 7
