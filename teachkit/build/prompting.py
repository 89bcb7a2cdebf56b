"""From a prompt and items to requests, and what must hold before any is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.examples import choice_of_examples, gold_of
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Budget, Prices, Provider, Recording, Request, ResponseStore
    from teachkit.project.llm_models import LlmMode

LEAST_GOLD = 50  # items in tune, and as many in test: fewer can tell little of a prompt
USD = 1e6  # micro-dollars


def prompt_rows(run: Executor, node: Node) -> Iterator[pa.Table]:
    """What a prompt shows of the items, part by part, beside their keys.

    Raises:
        NotBuilt: the items have not been built.
    """
    from teachkit.engine.session import parquet

    task = run.graph.tasks[node.task or ""]
    run.resolve_upstream(task.dataset)
    run.resolve(run.graph[task.dataset])
    for part in run.outputs[task.dataset].parts:
        yield run.session.table(rows_sql(node, parquet([run.store.path(part.key)]), task))


def requests(run: Executor, node: Node, table: pa.Table, task: TaskInfo) -> Iterator[Request]:
    """The requests of some rows; a column of an item is a JSON value in the text, so no row can alter a template."""
    spec: PromptSpec = node.spec
    provider, body = provider_of(spec), body_of(run, node, task)
    columns = [table.column(name) for name in spec.columns]
    keys = table.column("__key")
    for row in range(table.num_rows):
        item = {name: column[row].as_py() for name, column in zip(spec.columns, columns, strict=True)}
        key = str(keys[row].as_py())
        yield provider.request(body(key, item), label=key, tag=row)


def body_of(run: Executor, node: Node, task: TaskInfo) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """From an item's key and columns to the body of its request."""
    from teachkit.llm import chat_body
    from teachkit.voters.prompt import answer_schema, shown, shown_task

    spec: PromptSpec = node.spec
    config, schema = spec.config, answer_schema(spec.config, task)
    choose = choice_of_examples(run, node, task)
    seen = {"task": shown_task(task)}
    templates = run.files.templates
    system = templates.prepared(spec.system, spec.system_where, **seen)
    user = templates.prepared(spec.user, spec.user_where, **seen)
    parameters = {**config.parameters, spec.provider.limit_parameter: config.max_tokens}
    if config.temperature is not None:
        parameters["temperature"] = config.temperature

    def body(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
        values = shown(item)
        examples = [shown(example) for example in choose(key, item)]
        return chat_body(
            model=spec.model,
            system=system(item=values, examples=examples).strip() or None,
            user=user(item=values, examples=examples).strip(),
            parameters=parameters,
            schema=schema,
            structured_output=spec.provider.structured_output,
        )

    return body


def mode_of(run: Executor) -> LlmMode:
    """How prompts are answered: as the command line says, else as the target does."""
    return run.options.llm or run.files.target.llm.mode


def provider_of(spec: PromptSpec) -> Provider:
    """The provider as the executor of requests knows it."""
    from teachkit.llm import Provider

    said = spec.provider
    return Provider(
        name=spec.provider_name,
        base_url=said.base_url,
        api_key_env=said.api_key_env,
        requests_per_minute=said.requests_per_minute,
        tokens_per_minute=said.tokens_per_minute,
        concurrency=said.concurrency,
        timeout=said.timeout,
        transport="fast" if said.transport == "fast" else "openai",
        structured_output=said.structured_output,
    )


def response_store(run: Executor) -> ResponseStore:
    """The answers that were ever paid for; close it."""
    from teachkit.llm import ResponseStore

    return ResponseStore(run.store.root / "llm" / "responses.sqlite")


def prices(run: Executor) -> Prices | None:
    """``prices.yml``, if there is one."""
    from teachkit.llm import Prices

    found = run.files.prices
    return Prices.from_mapping(found.model_dump(exclude_none=True)) if found is not None else None


def rows_sql(node: Node, relation: str, task: TaskInfo) -> str:
    from teachkit.graph import quote

    columns = "".join(f", {quote(c)} as {quote(c)}" for c in node.spec.columns)
    return f"select cast({quote(task.key)} as varchar) as __key{columns} from {relation}"


def budget_of(run: Executor, node: Node, mode: str) -> Budget | None:
    """What a build may spend on a prompt: one budget for all parts; replaying spends nothing.

    Raises:
        NodeFailed: there are no prices to count with.
    """
    from teachkit.llm import Budget

    limit = node.spec.config.budget
    if limit is None or mode == "replay":
        return None
    if run.files.prices is None:
        problem = f"prompt '{node.name}' has a budget, and there is no prices.yml to count with"
        raise NodeFailed(node.where, problem=problem, advice="write prices.yml beside teachkit.yml: as_of, models")
    return run.budgets.setdefault(node.id, Budget(float(limit) * USD))


def recording_of(run: Executor, node: Node) -> Recording:
    from teachkit.llm import Recording

    folder = run.files.root / run.files.config.paths.recordings
    return Recording(folder / (node.task or "") / f"{node.name}.jsonl")


# ---------------------------------------------------------------------------- what must hold


def check_gold(run: Executor, node: Node, task: TaskInfo) -> None:
    """A prompt votes only where gold can tell what its votes are worth, or where the project says that it may."""
    if node.spec.config.unvalidated == "allow":
        return
    from teachkit.votes import SPLITS

    gold = gold_of(run, task)
    known = gold.known
    counts = {split: int((known & (gold.split == SPLITS.index(split))).sum()) for split in ("tune", "test")}
    short = [f"{count} in {split}" for split, count in counts.items() if count < LEAST_GOLD]
    if short and run.options.sample is None:
        problem = (
            f"prompt '{node.name}' is not validated: of {LEAST_GOLD} items with gold there are {' and '.join(short)}"
        )
        advice = "label more items by hand, or write 'unvalidated: allow' in the prompt's front matter"
        raise NodeFailed(node.where, problem=problem, advice=advice)


def check_recordable(run: Executor, node: Node, task: TaskInfo) -> None:
    """Recordings hold the text of rows and go into git: each source must say that it may."""
    read = run.graph.upstream(task.dataset) | {task.dataset}
    for source in run.graph.of("source"):
        if source.id in read and not source.spec.table.record:
            problem = f"prompt '{node.name}' cannot be recorded: source '{source.name}' does not say that it may"
            advice = "recordings hold the text of rows; if that may go into git, write 'record: true' at the source"
            raise NodeFailed(source.where, problem=problem, advice=advice)
