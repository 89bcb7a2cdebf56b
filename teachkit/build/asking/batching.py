"""Prompts in batches: what no answer is there for is bought for less, and answered within a day."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.prompting import (
    asking_alone,
    batch_folder,
    budget_of,
    check_gold,
    file_name,
    is_empty,
    mode_of,
    prices,
    prompt_rows,
    requests,
    response_store,
)
from teachkit.build.asking.tally import USD
from teachkit.build.execute import looking_at
from teachkit.build.run import quiet
from teachkit.errors import BadOption, NodeFailed, TeachkitError
from teachkit.llm.errors import BadMode, BatchTooDear, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.run import Reporter
    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node
    from teachkit.llm import Prices, Request, ResponseStore
    from teachkit.llm.batch_api import BatchApi
    from teachkit.llm.batch_input import Lot, Prepared
    from teachkit.llm.batch_state import Batch
    from teachkit.llm.money import Price
    from teachkit.project.llm_models import LlmProvider

_CHUNK = 1000
_PICOS = 1e12  # of a dollar


@dataclass(frozen=True, slots=True)
class SubmittedPrompt:
    """One prompt; see ``Lot`` for the counts. ``low`` and ``high``: USD at the price of a batch, None without one."""

    id: str
    model: str
    requests: int
    answered: int
    waiting: int
    submitted: int
    low: float | None
    high: float | None


@dataclass(slots=True)
class Submission:
    """What was submitted, or would be; ``error`` is what kept the rest from it."""

    prompts: list[SubmittedPrompt]
    batches: list[Batch] = field(default_factory=list)
    error: TeachkitError | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "prompts": [asdict(one) for one in self.prompts],
            "batches": [batch_dict(batch) for batch in self.batches],
            "error": self.error.as_dict() if self.error else None,
        }


def batch_dict(batch: Batch) -> dict[str, Any]:
    """A batch as plain values: money in USD, times in ISO 8601."""
    return {
        "batch": batch.shown_id,
        "id": batch.id,
        "prompts": dict(batch.names),
        "model": batch.model,
        "endpoint": batch.endpoint,
        "status": status_of(batch),
        "said": batch.said,
        "requests": batch.requests,
        "completed": batch.completed,
        "failed": batch.failed,
        "submitted": _iso(batch.created or batch.tried),
        "expires": _iso(batch.expires),
        "collected": _iso(batch.collected),
        "kept": batch.kept,
        "failures": dict(batch.failures),
        "worst": None if batch.worst is None else batch.worst / USD,
        "cost": None if batch.cost is None else batch.cost / USD,
    }


def status_of(batch: Batch) -> str:
    """The provider's word, or ours where there is none."""
    return batch.status if batch.batch_id else batch.phase


# ---------------------------------------------------------------------------- submit


def submit(
    work: Workspace,
    nodes: Sequence[Node],
    *,
    max_cost: float | None = None,
    dry_run: bool = False,
    report: Reporter = quiet,
) -> Submission:
    """Buy answers to all requests of some prompts that have none and are in no open batch.

    Args:
        work: the project.
        nodes: prompts.
        max_cost: USD that all may cost at most, beside the budgets of prompts and target.
        dry_run: send nothing: work out what would be submitted.
        report: is told what takes long.

    Raises:
        NodeFailed: too little gold to know what answers are worth; a budget without prices.
        LlmSetupError: the provider cannot be used, a price is missing, or it would cost more than is allowed.
        BatchUnclear: it cannot be found out what an earlier, broken-off submission bought.
        NotBuilt: the items of a prompt's task have not been built.
    """
    with looking_at(work, report=report) as run, ExitStack() as held:
        known = _check(run, nodes, max_cost)
        if not nodes:
            return Submission([])
        from teachkit.llm.batch_input import drop, drop_unsent
        from teachkit.llm.batch_state import load_batches, open_keys, remove_leftovers
        from teachkit.llm.batches import settle, working_on

        folder = batch_folder(run)
        held.enter_context(working_on(folder, run.note))
        for node in {(node.task, file_name(node)): node for node in nodes}.values():
            held.enter_context(asking_alone(run, node))
        store = held.enter_context(response_store(run))
        apis = {way: held.enter_context(api_of(said, run)) for way, said in _ways(nodes).items()}
        drop_unsent(folder)
        remove_leftovers(folder)
        for batch in () if dry_run else load_batches(folder):
            there = {key: api for (endpoint, key), api in apis.items() if endpoint == batch.endpoint}
            api = there.get(batch.key_name) or next(iter(there.values()), None)
            if batch.phase == "unclear" and api is not None and settle(folder, batch, api) is None:
                drop(folder, [batch])
        prepared = _prepare(run, nodes, apis, store, open_keys(folder), known)
        batches = [(api, batch) for api, found in prepared for batch in found.batches]
        try:
            found = Submission(_prompts(nodes, prepared, store, known))
            _check_cost(run, nodes, prepared, max_cost)
        except BaseException:
            drop(folder, [batch for _, batch in batches])
            raise
        if dry_run:
            drop(folder, [batch for _, batch in batches])
            found.batches = [batch for _, batch in batches]
            return found
        _send(run, batches, found)
        return found


def _send(run: Executor, batches: Sequence[tuple[BatchApi, Batch]], found: Submission) -> None:
    """Buy one after the other; the first that is refused ends it."""
    from teachkit.llm.batch_input import drop
    from teachkit.llm.batches import send

    folder = batch_folder(run)
    for number, (api, batch) in enumerate(batches):
        if len(batches) > 1:
            run.note(f"batch {number + 1} of {len(batches)}: {batch.requests:,} requests")
        try:
            found.batches.append(send(folder, batch, api))
        except ProviderError as error:
            drop(folder, [batch for _, batch in batches[number + 1 :]])
            found.error = error
            return


def _check(run: Executor, nodes: Sequence[Node], max_cost: float | None) -> Prices | None:
    """What must hold before anything is looked at; the prices."""
    if mode_of(run) == "replay":
        problem = f"target '{run.files.target_name}' replays recordings and asks nobody"
        raise BadMode(problem=problem, advice="choose another target (--target)")
    known = prices(run)
    if max_cost is not None and known is None:
        advice = "write prices.yml beside teachkit.yml: as_of, models"
        raise BadOption(None, option="--max-cost", problem="there is no prices.yml to count with", advice=advice)
    for node in nodes:
        if node.spec.vectors is not None or node.spec.api != "chat":
            what = "chooses examples by vectors" if node.spec.vectors is not None else f"asks for {node.spec.api}"
            advice = "let a build ask it, or leave it out of the selection"
            raise NodeFailed(node.where, problem=f"prompt '{node.name}' {what}: no batch takes that", advice=advice)
        if node.spec.provider.batches is False:
            problem = f"provider '{node.spec.provider_name}' of prompt '{node.name}' is said to take no batches"
            advice = "let a build ask it; if it does take them, write 'batches: true' in profiles.yml"
            raise NodeFailed(node.where, problem=problem, advice=advice)
        budget_of(run, node, "live")
        if known is not None and node.spec.config.unpriced == "refuse":
            known.of(node.spec.model)
        task = run.graph.tasks[node.task or ""]
        run.resolve_upstream(task.dataset)
        run.resolve(run.graph[task.dataset])
        if node.kind == "prompt":
            check_gold(run, node, task)
    return known


def _prepare(
    run: Executor,
    nodes: Sequence[Node],
    apis: Mapping[tuple[str, str | None], BatchApi],
    store: ResponseStore,
    waiting: set[str],
    known: Prices | None,
) -> list[tuple[BatchApi, Prepared]]:
    """Write the requests of each provider's prompts."""
    from teachkit.llm.batch_input import drop, prepare

    found: list[tuple[BatchApi, Prepared]] = []
    try:
        for way, api in apis.items():
            asked = {node.id: _requests(run, node) for node in nodes if way_of(node.spec.provider) == way}
            prepared = prepare(
                batch_folder(run),
                asked,
                way=api.way,
                store=store,
                waiting=waiting,
                price=batch_prices(known),
                clock=api.patience.clock,
            )
            found.append((api, prepared))
    except BaseException:
        for _, prepared in found:
            drop(batch_folder(run), prepared.batches)
        raise
    return found


def _requests(run: Executor, node: Node) -> Iterator[Request]:
    """All requests of a prompt that a build would make at first; those about nothing are left out."""
    task = run.graph.tasks[node.task or ""]
    again = range(node.spec.times[0])
    for table in prompt_rows(run, node):
        for start in range(0, table.num_rows, _CHUNK):
            part = table.slice(start, _CHUNK)
            empty = is_empty(part, node.spec)
            rows = (row for row in range(part.num_rows) if not empty(row))
            yield from requests(run, node, part, task, rows=rows, repetitions=again)


def batch_prices(known: Prices | None) -> Callable[[Request], Price | None]:
    """A model without a price is refused before, where it is not allowed."""
    return lambda request: known.models.get(request.model) if known is not None else None


def _prompts(
    nodes: Sequence[Node], prepared: Iterable[tuple[BatchApi, Prepared]], store: ResponseStore, known: Prices | None
) -> list[SubmittedPrompt]:
    from teachkit.llm import TokenEstimate

    lots = _lots(prepared)
    found = []
    for node in nodes:
        lot, price = lots[node.id], known.models.get(node.spec.model) if known is not None else None
        size, count = store.usage(node.spec.model)
        tokens = TokenEstimate(bytes_seen=size, tokens_seen=count).tokens(lot.size)
        low = price.in_batch(tokens * price.input) / _PICOS if price else None
        high = lot.worst / _PICOS if price else None
        counts = (lot.requests, lot.answered, lot.waiting, lot.missing)
        found.append(SubmittedPrompt(node.id, node.spec.model, *counts, low, high))
    return found


def _check_cost(
    run: Executor, nodes: Sequence[Node], prepared: Iterable[tuple[BatchApi, Prepared]], max_cost: float | None
) -> None:
    """Refuse what may cost more than a prompt's budget, the target's or ``max_cost``."""
    lots = _lots(prepared)
    for node in nodes:
        advice = f"raise 'budget' in {node.where.path}, or submit fewer prompts"
        _check_limit([lots[node.id]], node.spec.config.budget, f"of '{node.id}'", "of its budget", advice)
    target = run.files.target.llm.budget
    advice = "raise 'budget' of the target in profiles.yml, or submit fewer prompts"
    _check_limit(lots.values(), target, "of all prompts", f"of the budget of target '{run.files.target_name}'", advice)
    advice = "raise --max-cost, or submit fewer prompts"
    _check_limit(lots.values(), max_cost, "of all prompts", "of --max-cost", advice)


def _check_limit(lots: Iterable[Lot], limit: float | None, of: str, allowed: str, advice: str) -> None:
    chosen = list(lots)
    worst = sum(lot.worst for lot in chosen)
    if limit is None or worst <= int(float(limit) * USD) * USD:
        return
    count = f"{sum(lot.missing for lot in chosen):,}"
    shown = f"{worst / _PICOS:.6f}"
    raise BatchTooDear(count=count, of=of, worst=shown, limit=f"{limit:g}", allowed=allowed, advice=advice)


def _lots(prepared: Iterable[tuple[BatchApi, Prepared]]) -> dict[str, Lot]:
    return {name: lot for _, found in prepared for name, lot in found.lots.items()}


# ---------------------------------------------------------------------------- providers


def _ways(nodes: Iterable[Node]) -> dict[tuple[str, str | None], LlmProvider]:
    """The providers of some prompts, each once."""
    return {way_of(node.spec.provider): node.spec.provider for node in nodes}


def way_of(said: LlmProvider) -> tuple[str, str | None]:
    """What tells providers apart: the endpoint, and the variable of the key."""
    from teachkit.llm import Endpoint

    return str(Endpoint.parse(said.base_url)), said.api_key_env


def api_of(said: LlmProvider, run: Executor) -> BatchApi:
    from teachkit.llm import Endpoint, check_way
    from teachkit.llm.batch_api import BatchApi

    return BatchApi(check_way(Endpoint.parse(said.base_url), said.api_key_env), timeout=said.timeout, say=run.note)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
