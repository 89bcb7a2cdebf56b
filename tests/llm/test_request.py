"""The key: everything that can change an answer is in it, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from teachkit.llm import Endpoint, Request
from teachkit.llm.errors import BadEndpoint, BadRequestBody

ENDPOINT = Endpoint.parse("https://api.openai.com/v1")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=3))
bodies = st.dictionaries(names, values, max_size=6)


def key(body: dict[str, Any], **given: Any) -> str:
    return Request(ENDPOINT, body, **given).key


@given(bodies, names, values, values)
def test_any_parameter_changes_the_key(body: dict[str, Any], name: str, one: Any, other: Any) -> None:
    assume(name not in body)
    added, changed = {**body, name: one}, {**body, name: other}
    assert key(added) != key(body)
    assert (key(added) == key(changed)) == _same(one, other)


@given(bodies)
def test_the_order_of_keys_and_a_trip_through_json_change_nothing(body: dict[str, Any]) -> None:
    backwards = dict(reversed(list(body.items())))
    assert key(body) == key(backwards) == key(json.loads(json.dumps(body))) == key(copy.deepcopy(body))
    assert json.loads(Request(ENDPOINT, body).wire) == body


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON values."""
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float | list | dict):
        return type(one) is type(other) and bool(one == other)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_same(one[n], other[n]) for n in one)
    if isinstance(other, int | float):
        big = abs(one) >= 2**53
        return (type(one) is type(other) if big else True) and bool(one == other)
    return False


def test_the_key_is_stable() -> None:
    body = {
        "model": "m",
        "temperature": 0.3,
        "seed": 2**60,
        "messages": [{"role": "user", "content": "naïve 日本 \U0001f600"}],
    }
    assert key(body) == "b61737ca32fbd092adb49e9ffbec161c3223deb9388949928f87521db43a6255"


def test_numbers_are_numbers() -> None:
    assert key({"temperature": 0}) == key({"temperature": 0.0}) == key({"temperature": -0.0})
    assert key({"t": 0.1 + 0.2}) != key({"t": 0.3})
    assert key({"t": 1}) != key({"t": True}) != key({"t": "1"})
    assert Request(ENDPOINT, {"t": 1.0}).wire == b'{"t":1}'


def test_everything_around_the_body_is_in_the_key_but_the_callers_own() -> None:
    body = {"model": "m"}
    other = Endpoint.parse("https://api.openai.com/v2")
    keys = {key(body), key(body, repetition=1), key(body, api="responses"), Request(other, body).key}
    assert len(keys) == 4
    assert key(body, label="row 7", tag=object()) == key(body)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://API.openai.com:443/v1/", "https://api.openai.com/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        (" http://127.0.0.1:80 ", "http://127.0.0.1"),
    ],
)
def test_one_endpoint_has_one_name(url: str, same: str) -> None:
    assert str(Endpoint.parse(url)) == same


@pytest.mark.parametrize(
    "url",
    ["api.openai.com", "ftp://x/y", "https://", "https://u:secret@host/v1", "https://host/v1?key=secret", "https://h/#secret",
     "https://host:port/v1", "https://a b/v1", "", "https://[::1/v1"],
)  # fmt: skip
def test_a_url_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        Endpoint.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"bytes", {1: "a"}, "\ud800", {"\ud800": 1}, object()]
)
def test_what_is_not_json_is_refused_by_the_requests_name(value: object) -> None:
    with pytest.raises(BadRequestBody, match="row 7"):
        _ = Request(ENDPOINT, {"model": "m", "x": value}, label="row 7").key


def test_a_bottomless_body_is_refused() -> None:
    body: dict[str, Any] = {}
    body["self"] = body
    with pytest.raises(BadRequestBody):
        _ = Request(ENDPOINT, body).key
