"""What prompts would cost, before anything is spent: worked out from the store alone, without a socket."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.prompting import is_empty, prices, prompt_rows, requests, response_store, strong_node
from teachkit.build.asking.vectors import Forecast
from teachkit.build.execute import Executor, looking_at
from teachkit.errors import BadOption, NodeFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Price, Prices, Request, ResponseStore, TokenEstimate

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Spending:
    """One prompt. ``low`` and ``high`` are USD (None: no price): input alone, and the longest answers allowed.

    ``minutes`` is the least time at the provider's limit of requests, None without one. What an earlier prompt of the
    same plan asks anyway (another question of the same file) is counted as answered. ``more``: with repeats, a second
    question that every item may need, or a strong model, the most requests that may come on top and have no answer;
    none where a build has finished the votes. ``high`` holds them.
    ``vectors`` and ``vectors_missing``: requests for the vectors that choose examples, all and those to be asked; they
    are among tokens and money. ``unknown`` of the missing requests show examples that are not known before these
    vectors are; those nearest in words stand in for them.
    ``too_long``: requests that do not fit into the model's context by the estimate, and ``longest`` the tokens of the
    longest one with its answer, None where ``prices.yml`` gives no ``context``.
    """

    id: str
    model: str
    rows: int
    requests: int
    answered: int
    missing: int
    input_tokens: int
    low: float | None
    high: float | None
    minutes: float | None
    more: int = 0
    too_long: int | None = None
    longest: int | None = None
    vectors: int = 0
    vectors_missing: int = 0
    unknown: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def plan_spending(work: Workspace, nodes: Sequence[Node]) -> list[Spending]:
    """Look at every request that the prompts would make.

    Raises:
        NotBuilt: the items of a prompt's task have not been built yet.
    """
    with looking_at(work) as run:
        seen: set[str] = set()
        return [_spending(run, node, seen) for node in nodes]


def requests_about(work: Workspace, nodes: Sequence[Node], item: str) -> list[dict[str, Any]]:
    """The exact requests that prompts make about one item; nodes that share a request stand together in ``nodes``.

    Raises:
        BadOption: there is no prompt, or one's dataset has no such item.
        NodeFailed: its examples are not known yet.
    """
    if not nodes:
        problem, advice = "no prompt is selected", "--item shows what a prompt asks: select one that is switched on"
        raise BadOption(None, option="--item", problem=problem, advice=advice)
    found: dict[str, dict[str, Any]] = {}
    with looking_at(work) as run:
        for node in nodes:
            request = _request_about(run, node, item)
            plain = {"endpoint": str(request.endpoint), "key": request.key, "body": dict(request.body)}
            found.setdefault(request.key, {"nodes": [], **plain})["nodes"].append(node.id)
    return list(found.values())


def _request_about(run: Executor, node: Node, item: str) -> Request:
    import pyarrow.compute as pc

    task = run.graph.tasks[node.task or ""]
    for table in prompt_rows(run, node):
        chosen = table.filter(pc.equal(table.column("__key"), item))
        if chosen.num_rows:
            forecast = Forecast(run)
            request = next(requests(run, node, chosen, task, vectors=forecast))
            if forecast.unknown:
                problem = f"the vectors that choose the examples of '{item}' are not there yet"
                advice = f"a build asks for them, and so does 'teachkit try --prompt {node.name}'"
                raise NodeFailed(node.where, problem=problem, advice=advice)
            return request
    problem = f"'{task.dataset.partition('.')[2]}' has no item with {task.key} = '{item}'"
    raise BadOption(None, option="--item", problem=problem, advice="'teachkit show' lists some items")


def _spending(run: Executor, node: Node, asked_before: set[str]) -> Spending:
    from teachkit.llm import TokenEstimate

    task, table, spec = run.graph.tasks[node.task or ""], prices(run), node.spec
    price = table.models.get(spec.model) if table is not None else None
    first, most = spec.times
    context = price.context if price is not None else None
    rows, seen, answered, tokens, low, high, long, longest = 0, set[str](), 0, 0, 0, 0, 0, 0
    unknown = 0
    dear = table.models.get(spec.strong.model) if table is not None and spec.strong is not None else None
    further = _Further()
    with response_store(run) as store:
        size, count = store.usage(spec.model)
        estimate = TokenEstimate(bytes_seen=size, tokens_seen=count)
        vectors = _vector_spending(spec, table, store)
        open_ended = (most > first or spec.strong is not None) and not _is_finished(run, node)
        for part in prompt_rows(run, node):
            rows += part.num_rows
            for start in range(0, part.num_rows, _CHUNK):
                chunk = part.slice(start, _CHUNK)
                forecast, empty = Forecast(run), is_empty(chunk, spec)
                shown = [row for row in range(chunk.num_rows) if not empty(row)]
                made = requests(run, node, chunk, task, rows=shown, repetitions=range(first), vectors=forecast)
                asked = {r.key: r for r in made if r.key not in seen}
                vectors.add(forecast, asked_before)
                guessed = {key for key, r in asked.items() if r.tag in forecast.unknown} - asked_before
                known = store.get_many(list(asked.keys() - guessed)).keys() | (asked.keys() & asked_before)
                unknown += len(guessed)
                seen |= asked.keys()
                answered += len(known)
                for key, request in asked.items():
                    needed = estimate.tokens(len(request.wire))
                    longest = max(longest, needed + spec.config.max_tokens)
                    long += context is not None and needed + spec.config.max_tokens > context
                    if key not in known:
                        tokens += needed
                        low += needed * price.input if price else 0
                        high += price.worst(request) if price else 0
                if open_ended and most > first:
                    again = range(first, most)
                    made = requests(run, node, chunk, task, rows=shown, repetitions=again, vectors=forecast)
                    further.add(made, store, price)
                if open_ended and spec.strong is not None:
                    made = requests(run, strong_node(node), chunk, task, rows=shown, vectors=forecast)
                    further.add(made, store, dear)
    asked_before |= seen | vectors.asked
    missing = len(seen) - answered
    priced = price is not None and (vectors.price is not None or not vectors.missing)
    limit = spec.provider.requests_per_minute
    return Spending(
        node.id,
        spec.model,
        rows,
        len(seen),
        answered,
        missing,
        tokens + vectors.tokens,
        (low + vectors.low) / 1e12 if priced else None,
        (high + further.high + vectors.high) / 1e12 if priced else None,
        missing / limit + vectors.minutes if limit else None,
        further.count,
        None if context is None else long,
        None if context is None else longest,
        len(vectors.asked),
        vectors.missing,
        unknown,
    )


def _is_finished(run: Executor, node: Node) -> bool:
    """Whether a build has asked all that there is to ask for votes whose scores decide what is asked further."""
    from teachkit.build.asking.prompts import is_finished
    from teachkit.build.voting import vote_keys

    dataset = run.graph.tasks[node.task or ""].dataset
    run.resolve_upstream(dataset)
    run.resolve(run.graph[dataset])
    metas = [run.store.meta(key) for key in vote_keys(run, node)]
    return all(meta is not None and is_finished(meta) for meta in metas)


@dataclass(slots=True)
class _Further:
    """Requests that may come on top of those about every item; money in picos."""

    seen: set[str] = field(default_factory=set)
    count: int = 0
    high: int = 0

    def add(self, made: Iterable[Request], store: ResponseStore, price: Price | None) -> None:
        """Count those that were not met before and have no answer."""
        fresh = {request.key: request for request in made if request.key not in self.seen}
        self.seen |= fresh.keys()
        for key in fresh.keys() - store.get_many(list(fresh)).keys():
            self.count += 1
            self.high += price.worst(fresh[key]) if price is not None else 0


@dataclass(slots=True)
class _VectorSpending:
    """What the vectors of a prompt's items and examples take; money in picos."""

    price: Price | None
    estimate: TokenEstimate
    limit: float | None
    asked: set[str] = field(default_factory=set)
    missing: int = 0
    tokens: int = 0
    low: int = 0
    high: int = 0

    @property
    def minutes(self) -> float:
        """The least time at the provider's limit; vectors are asked for before anything else."""
        return self.missing / self.limit if self.limit else 0.0

    def add(self, forecast: Forecast, asked_before: set[str]) -> None:
        """Count requests that were not met before."""
        for key in forecast.requests.keys() - self.asked:
            self.asked.add(key)
            if key in asked_before or (request := forecast.missing.get(key)) is None:
                continue
            needed = self.estimate.tokens(len(request.wire))
            self.missing += 1
            self.tokens += needed
            if self.price is not None:
                self.low += needed * self.price.input
                self.high += self.price.worst(request)


def _vector_spending(spec: PromptSpec, table: Prices | None, store: ResponseStore) -> _VectorSpending:
    from teachkit.llm import TokenEstimate

    if spec.vectors is None:
        return _VectorSpending(None, TokenEstimate(), None)
    size, count = store.usage(spec.vectors.model)
    price = table.models.get(spec.vectors.model) if table is not None else None
    limit = spec.vectors.provider.requests_per_minute
    return _VectorSpending(price, TokenEstimate(bytes_seen=size, tokens_seen=count), limit)
