"""What became of a request: a status of its own kind, never an abstention and never a missing row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from teachkit.llm import schema
from teachkit.llm.apis import parse_reply
from teachkit.llm.chat import schema_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from teachkit.llm.replies import ModelReply
    from teachkit.llm.request import Request
    from teachkit.llm.responses import Response

Status = Literal[
    "ok",  # an answer that fits the schema and that ``validate`` takes
    "refusal",  # the model declines
    "content_filter",  # the provider's filter cut in
    "truncated",  # the answer ran into its limit of tokens; it is never parsed
    "invalid_output",  # asked three times, and no answer fits
    "transient_exhausted",  # outage, timeouts or 429 beyond patience
    "not_run:budget",  # it did not fit into the budget and was not sent
    "error",  # the provider refuses this one request
]
STATUSES: Final[tuple[Status, ...]] = (
    "ok", "refusal", "content_filter", "truncated", "invalid_output", "transient_exhausted", "not_run:budget", "error",
)  # fmt: skip

# given a request and its parsed reply: what is wrong with it, or None
Validate: TypeAlias = "Callable[[Request, ModelReply], str | None]"

Source = Literal["asked", "stored", "recorded", "duplicate"]

MAX_ASKS: Final = 3  # the first, and twice more where an output is invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request.

    ``reply`` and ``raw`` are the last answer that came (kept for an invalid one too), ``None`` if none did. ``asks``
    counts the answers that were given to this request, now or earlier. ``cost`` is what they cost in micro-dollars:
    ``None`` without a price, 0 for a duplicate. ``detail`` says what is wrong, without row text.
    """

    request: Request
    status: Status
    source: Source
    reply: ModelReply | None = None
    raw: bytes | None = None
    detail: str = ""
    asks: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on the answers to one request."""

    status: Status
    detail: str = ""
    response: Response | None = None
    reply: ModelReply | None = None


@dataclass(slots=True)
class Summary:
    """What a run did; complete when its answers are used up.

    ``statuses`` and ``sources`` count answers, ``models`` the names that replies carry (an alias that moved shows
    here). ``sent`` counts HTTP requests, ``throttled`` those refused with 429, ``failed`` those that failed on the
    way. ``cost`` is what this run paid in micro-dollars (priced requests alone), ``uncertain`` what it may have paid
    without an answer.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    sources: Counter[Source] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    throttled: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    uncertain: float = 0.0

    @property
    def answers(self) -> int:
        """All answers, of any status: one for each request."""
        return sum(self.statuses.values())

    @property
    def error_rate(self) -> float:
        """The share of answers that are not ``ok``, of all of them; 0 for none."""
        return 1 - self.statuses["ok"] / self.answers if self.answers else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, every status named."""
        return {
            "answers": self.answers,
            "statuses": {status: self.statuses[status] for status in STATUSES},
            "sources": dict(self.sources),
            "models": dict(self.models),
            "sent": self.sent,
            "throttled": self.throttled,
            "failed": self.failed,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost": self.cost,
            "uncertain": self.uncertain,
        }


def read_all(request: Request, responses: Iterable[Response]) -> list[tuple[Response, ModelReply]]:
    """Parse the answers to a request."""
    return [(response, parse_reply(request.api, request.body, response.body)) for response in responses]


def decide(
    request: Request,
    answers: Sequence[tuple[Response, ModelReply]],
    validate: Validate | None,
    *,
    max_asks: int = MAX_ASKS,
) -> Decision | None:
    """Return the verdict on the answers to a request, or ``None`` where it should be asked (again).

    The first answer that is valid counts; so a changed ``validate`` reads old answers anew and asks only where it must.
    """
    invalid: Decision | None = None
    for response, reply in answers:
        if reply.status != "answered":
            return Decision(reply.status, _why(reply), response, reply)
        problem = find_problem(request, reply, validate)
        if problem is None:
            return Decision("ok", "", response, reply)
        invalid = Decision("invalid_output", problem, response, reply)
    return invalid if len(answers) >= max_asks else None


def find_problem(request: Request, reply: ModelReply, validate: Validate | None) -> str | None:
    """Say what makes an output invalid: its envelope, the request's own schema, or the caller's ``validate``."""
    if reply.problem:
        return reply.problem
    wanted = schema_of(request.body)
    if wanted is not None and (problem := reply.not_json or schema.problem(reply.data, wanted)):
        return problem
    return validate(request, reply) if validate else None


def _why(reply: ModelReply) -> str:
    if reply.status == "truncated":
        return "the answer ran into its limit of tokens"
    return "the model declines" if reply.status == "refusal" else "the provider's content filter cut in"
