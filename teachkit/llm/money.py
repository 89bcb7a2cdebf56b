"""What requests cost: prices, token estimates without a network, and a budget that holds before the money is gone.

Amounts are exact integers of a millionth of a micro-dollar (``PICO`` = 1e-12 dollars): tokens times the price of a
million tokens in micro-dollars, so nothing is rounded on the way.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from teachkit.errors import did_you_mean, listing
from teachkit.llm.apis import count_parts, output_limit
from teachkit.llm.errors import BadPrices, UnboundedRequest, UnknownPrice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.llm.replies import Usage
    from teachkit.llm.request import Request

PICO: Final = 10**12  # of a dollar
_PER_MICRO: Final = 10**6

_KNOWN: Final = ("input", "output", "cached", "max_output", "batch", "context")
_OVERHEAD: Final = 64  # tokens that a provider may wrap around a request
_WRAPPING: Final = 16  # and around each message, question and option


def microdollars(picos: int) -> float:
    """Turn an exact amount into micro-dollars."""
    return picos / _PER_MICRO


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-dollars for a million tokens, and the most tokens that the model writes (``None``: not known).

    ``batch`` is the share of the price that a request costs in a batch, in millionths; ``context`` the tokens that a
    request and its answer may have together (``None``: not known).
    """

    input: int
    output: int
    cached: int
    max_output: int | None = None
    batch: int = _PER_MICRO
    context: int | None = None

    def cost(self, usage: Usage) -> int:
        """The exact cost of a usage, in picos."""
        cached = min(usage.cached, usage.input)
        return (usage.input - cached) * self.input + cached * self.cached + usage.output * self.output

    def worst(self, request: Request) -> int:
        """The most that a request can cost, in picos: a token is at least a byte, and output has a limit.

        Raises:
            UnboundedRequest: neither the request nor the price table limits the output.
        """
        limit = output_limit(request)
        output = self.max_output if limit is None else limit
        if output is None:
            ways = "max_completion_tokens (or max_tokens), or " if request.api == "chat" else ""
            raise UnboundedRequest(label=request.name, model=request.model, ways=ways)
        most = len(request.wire) + _OVERHEAD + _WRAPPING * count_parts(request)
        return most * max(self.input, self.cached) + output * self.output

    def in_batch(self, amount: int) -> int:
        """What costs ``amount`` picos by itself, in a batch; rounded up to a whole pico."""
        return -(-amount * self.batch // _PER_MICRO)


@dataclass(frozen=True, slots=True)
class Prices:
    """A dated price table: model -> price."""

    as_of: str
    models: Mapping[str, Price]

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any]) -> Prices:
        """Read ``{"as_of": "2026-11-01", "models": {"MODEL": {"input": 0.15, "output": 0.6, "cached": 0.075}}}``.

        Prices are dollars for a million tokens; ``cached`` is ``input`` where it is left out; ``max_output`` and
        ``context`` (tokens) and ``batch`` (the share of the price that a batch costs, 1 where it is left out) are
        optional.

        Raises:
            BadPrices: a key, a date or a price cannot be used.
        """
        if unknown := sorted(set(table) - {"as_of", "models"}):
            advice = f"write 'as_of' and 'models'.{did_you_mean(unknown[0], ('as_of', 'models'))}"
            raise BadPrices(problem=f"'{unknown[0]}' is not a key of it", advice=advice)
        as_of = str(table.get("as_of") or "")
        if not as_of:
            raise BadPrices(problem="it has no date", advice="write as_of: the day on which the prices were looked up")
        models = table.get("models") or {}
        if not hasattr(models, "items"):
            raise BadPrices(
                problem="'models' is not a mapping", advice="write models: {MODEL: {input: ..., output: ...}}"
            )
        return cls(as_of, {str(model): _price(str(model), entry) for model, entry in models.items()})

    def of(self, model: str) -> Price:
        """The price of a model.

        Raises:
            UnknownPrice: the table does not have it.
        """
        if (price := self.models.get(model)) is None:
            hint = did_you_mean(model, self.models)
            raise UnknownPrice(as_of=self.as_of, model=model, known=listing(self.models), hint=hint)
        return price


def _price(model: str, entry: object) -> Price:
    if not hasattr(entry, "items"):
        raise BadPrices(problem=f"the price of '{model}' is not a mapping", advice="write input and output")
    fields: dict[str, Any] = dict(entry.items())
    if unknown := sorted(set(fields) - set(_KNOWN)):
        advice = f"write one of: {', '.join(_KNOWN)}.{did_you_mean(unknown[0], _KNOWN)}"
        raise BadPrices(problem=f"'{unknown[0]}' is not a price of '{model}'", advice=advice)
    if missing := [name for name in ("input", "output") if name not in fields]:
        raise BadPrices(problem=f"'{model}' has no '{missing[0]}'", advice="write dollars for a million tokens")
    cost = {name: _micro(model, name, fields[name]) for name in ("input", "output", "cached") if name in fields}
    return Price(
        cost["input"],
        cost["output"],
        cost.get("cached", cost["input"]),
        max_output=_tokens(model, "max_output", fields),
        batch=_share(model, fields.get("batch", 1)),
        context=_tokens(model, "context", fields),
    )


def _tokens(model: str, name: str, fields: Mapping[str, Any]) -> int | None:
    count = fields.get(name)
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise BadPrices(problem=f"{name} of '{model}' is not a number of tokens", advice="write a whole number")
    return count


def _share(model: str, value: object) -> int:
    try:
        share = Decimal(str(value)) * _PER_MICRO
    except InvalidOperation:
        share = Decimal(-1)
    if isinstance(value, bool) or not share.is_finite() or not 0 <= share <= _PER_MICRO or share % 1:
        advice = "write the share of the price that a batch costs, for example 0.5, with at most six decimals"
        raise BadPrices(problem=f"'batch' of '{model}' is not a number from 0 to 1", advice=advice)
    return int(share)


def _micro(model: str, name: str, value: object) -> int:
    advice = "write dollars for a million tokens, with at most six decimals"
    try:
        amount = Decimal(str(value)) * _PER_MICRO
    except InvalidOperation:
        raise BadPrices(problem=f"'{name}' of '{model}' is not a number", advice=advice) from None
    if isinstance(value, bool) or not amount.is_finite() or amount < 0 or amount != amount.to_integral_value():
        raise BadPrices(problem=f"'{name}' of '{model}' cannot be a price", advice=advice)
    return int(amount)


class Reservation:
    """Money set aside for one request."""

    __slots__ = ("amount",)

    def __init__(self, amount: int) -> None:
        self.amount = amount


class Budget:
    """A limit on spending that holds whatever the replies report; shared by threads and by several runs.

    The worst case of a request is set aside before it leaves, and replaced by what it cost. A request that may have
    been paid without an answer (a timeout) counts with its worst case, as ``uncertain``. If a provider reports more
    than the worst case, that is recorded in ``overrun`` and nothing is let through any more.
    """

    def __init__(self, limit: float, *, within: Budget | None = None) -> None:
        """Allow ``limit`` micro-dollars, also counted against ``within`` (a node's budget within a build's)."""
        self.limit = int(limit * _PER_MICRO)
        self.spent = self.uncertain = self.reserved = self.overrun = 0  # picos
        self._within = within
        self._mutex = threading.Lock()

    @property
    def left(self) -> int:
        """Picos that are neither spent nor set aside."""
        return self.limit - self.spent - self.uncertain - self.reserved

    @property
    def closed(self) -> bool:
        """Whether a provider took more than the worst case, here or in the budget around this one."""
        return self.overrun > 0 or (self._within is not None and self._within.closed)

    def reserve(self, worst: int) -> Reservation | None:
        """Set ``worst`` picos aside, or return ``None`` if they are not there."""
        if self._within is not None and self._within.reserve(worst) is None:
            return None
        with self._mutex:
            if not self.overrun and worst <= self.left:
                self.reserved += worst
                return Reservation(worst)
        if self._within is not None:
            self._within.settle(Reservation(worst), 0)
        return None

    def settle(self, reservation: Reservation, cost: int | None) -> None:
        """Replace a reservation by its cost in picos; ``None``: it is not known whether it was paid."""
        with self._mutex:
            self.reserved -= reservation.amount
            if cost is None:
                self.uncertain += reservation.amount
            else:
                self.spent += cost
                self.overrun += max(0, cost - reservation.amount)
        if self._within is not None:
            self._within.settle(reservation, cost)


class TokenEstimate:
    """Tokens of a text without a tokenizer: bytes / 4 at first, then the ratio that past usage shows."""

    def __init__(self, *, bytes_seen: int = 0, tokens_seen: int = 0) -> None:
        """Start from past usage: bytes of request bodies, and the input tokens that they were counted as."""
        self._bytes = 4_000 + bytes_seen
        self._tokens = 1_000 + tokens_seen

    @property
    def bytes_per_token(self) -> float:
        """The ratio now."""
        return self._bytes / self._tokens

    def learn(self, size: int, tokens: int) -> None:
        """Note that a request body of ``size`` bytes was counted as ``tokens``."""
        if tokens > 0:
            self._bytes += size
            self._tokens += tokens

    def tokens(self, size: int) -> int:
        """The tokens of a request body of ``size`` bytes, about."""
        return -(-size * self._tokens // self._bytes)
