"""What prompts would cost, before anything is spent: worked out from the store alone, without a socket."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor, looking_at
from teachkit.build.prompting import prices, prompt_rows, requests, response_store
from teachkit.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node
    from teachkit.llm import Request

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Spending:
    """One prompt. ``low`` and ``high`` are USD (None: no price): input alone, and the longest answers allowed.

    ``minutes`` is the least time at the provider's limit of requests, None without one.
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

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def plan_spending(work: Workspace, nodes: Sequence[Node]) -> list[Spending]:
    """Look at every request that the prompts would make.

    Raises:
        NotBuilt: the items of a prompt's task have not been built yet.
    """
    with looking_at(work) as run:
        return [_spending(run, node) for node in nodes]


def request_of(work: Workspace, node: Node, item: str) -> Request:
    """The exact request about one item.

    Raises:
        BadOption: there is no such item.
    """
    import pyarrow.compute as pc

    with looking_at(work) as run:
        task = run.graph.tasks[node.task or ""]
        for table in prompt_rows(run, node):
            chosen = table.filter(pc.equal(table.column("__key"), item))
            if chosen.num_rows:
                return next(requests(run, node, chosen, task))
        problem = f"'{task.dataset.partition('.')[2]}' has no item with {task.key} = '{item}'"
        raise BadOption(None, option="ITEM", problem=problem, advice="'teachkit show' lists some items")


def _spending(run: Executor, node: Node) -> Spending:
    from teachkit.llm import TokenEstimate

    task, table, spec = run.graph.tasks[node.task or ""], prices(run), node.spec
    price = table.models.get(spec.model) if table is not None else None
    rows, seen, answered, tokens, low, high = 0, set[str](), 0, 0, 0, 0
    with response_store(run) as store:
        size, count = store.usage(spec.model)
        estimate = TokenEstimate(bytes_seen=size, tokens_seen=count)
        for part in prompt_rows(run, node):
            rows += part.num_rows
            for start in range(0, part.num_rows, _CHUNK):
                asked = {r.key: r for r in requests(run, node, part.slice(start, _CHUNK), task) if r.key not in seen}
                known = store.get_many(list(asked))
                seen |= asked.keys()
                answered += len(known)
                for request in (r for key, r in asked.items() if key not in known):
                    needed = estimate.tokens(len(request.wire))
                    tokens += needed
                    low += needed * price.input if price else 0
                    high += price.worst(request) if price else 0
    missing = len(seen) - answered
    limit = spec.provider.requests_per_minute
    return Spending(
        node.id,
        spec.model,
        rows,
        len(seen),
        answered,
        missing,
        tokens,
        low / 1e12 if price else None,
        high / 1e12 if price else None,
        missing / limit if limit else None,
    )
