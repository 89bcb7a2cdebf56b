"""From a prompt and items to requests, and what must hold before any is sent."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.examples import choice_of_examples, gold_of
from teachkit.build.asking.tally import USD
from teachkit.build.gold import rows_with_gold
from teachkit.errors import FileChanged, NodeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.asking.vectors import Vectors
    from teachkit.build.execute import Executor
    from teachkit.build.run import Kept
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Asking, Budget, Prices, Provider, Recording, Request, ResponseStore, Validate
    from teachkit.project.llm_models import LlmMode, LlmProvider
    from teachkit.store import ObjectMeta

LEAST_GOLD = 50  # items in tune, and as many in test: fewer can tell little of a prompt
TOP_LOGPROBS = 20  # rivals of a token; no provider gives more

_LOOKED_UP = 256  # keys that are looked up at once


def prompt_rows(run: Executor, node: Node) -> Iterator[pa.Table]:
    """What a prompt shows of the items, part by part, beside their keys.

    Raises:
        NotBuilt: the items have not been built.
    """
    task = run.graph.tasks[node.task or ""]
    run.resolve_upstream(task.dataset)
    run.resolve(run.graph[task.dataset])
    for part in run.outputs[task.dataset].parts:
        yield part_rows(run, node, part, task)


def part_rows(run: Executor, node: Node, part: ObjectMeta, task: TaskInfo) -> pa.Table:
    """What a prompt shows of the items of one part; see ``shown_rows``."""
    from teachkit.engine.session import parquet

    return shown_rows(run, node, parquet([run.store.path(part.key)]), task)


def requests(
    run: Executor,
    node: Node,
    table: pa.Table,
    task: TaskInfo,
    *,
    rows: Iterable[int] | None = None,
    repetitions: Iterable[int] = (0,),
    vectors: Vectors | None = None,
) -> Iterator[Request]:
    """The requests of some rows; a column of an item is a JSON value in the text, so no row can alter a template.

    ``vectors``: where those come from that a prompt chooses its examples by.
    """
    provider, body, item_of = provider_of(node.spec), body_of(run, node, task), items(run, node, table)
    keys = table.column("__key")
    again = tuple(repetitions)
    wanted = range(table.num_rows) if rows is None else rows
    if node.spec.vectors is not None and vectors is not None:
        from teachkit.build.asking.vectors import nearest_of

        wanted = nearest_of(run, node, task).prepare(wanted, keys, item_of, vectors)
    for row in wanted:
        key = str(keys[row].as_py())
        whole = body(key, item_of(row))
        for repetition in again:
            yield provider.request(whole, label=key, tag=row, repetition=repetition, api=node.spec.api)


def is_empty(table: pa.Table, spec: PromptSpec) -> Callable[[int], bool]:
    """Whether a row shows nothing: nothing can be said of an item whose columns are all NULL or white space."""
    columns = [table.column(name) for name in spec.columns]

    def empty(row: int) -> bool:
        values = (column[row].as_py() for column in columns)
        return bool(columns) and all(v is None or (isinstance(v, str) and not v.strip()) for v in values)

    return empty


def items(run: Executor, node: Node, table: pa.Table) -> Callable[[int], dict[str, Any]]:
    """From the number of a row to what a prompt sees of it.

    Raises (when called):
        NodeFailed: the project's own function for redaction fails.
        FileChanged: it is not the one that was compiled.
    """
    spec: PromptSpec = node.spec
    columns = [table.column(name) for name in spec.columns]
    redaction = spec.redaction

    def failed(error: Exception, at: str) -> NodeFailed:
        problem = f"redact: {redaction.file}:{redaction.function} fails{at}: {type(error).__name__}"
        return NodeFailed(node.where, problem=problem, advice=f"mend {redaction.file}")

    try:
        clean = run.once("redaction", node, lambda: redaction.cleaner(run.files.root)) if redaction else None
    except Exception as error:
        raise failed(error, "") from error
    if redaction and not run.once("redaction checked", node, lambda: redaction.is_as_compiled(run.files.root)):
        raise FileChanged(node.where, file=f"'{redaction.file}', or what it imports,")

    def item(row: int) -> dict[str, Any]:
        values = {name: column[row].as_py() for name, column in zip(spec.columns, columns, strict=True)}
        if clean is None:
            return values
        try:
            return {name: clean(value) for name, value in values.items()}
        except Exception as error:
            raise failed(error, f" at item '{table.column('__key')[row].as_py()}'") from error

    return item


def body_of(run: Executor, node: Node, task: TaskInfo) -> Callable[[str, Mapping[str, Any]], dict[str, Any]]:
    """From an item's key and columns to the body of its request."""
    from teachkit.llm import chat_body, decision_body
    from teachkit.voters.prompt import decision_question, shown, shown_questions, shown_task
    from teachkit.voters.prompt_answer import answer_schema

    spec: PromptSpec = node.spec
    config, schema = spec.config, answer_schema(spec.config, task)
    choose = choice_of_examples(run, node, task)
    seen = {"task": shown_task(task), "questions": shown_questions(config)}
    templates = run.files.templates
    system = templates.prepared(spec.system, spec.system_where, **seen)
    user = templates.prepared(spec.user, spec.user_where, **seen)
    parameters = {**config.parameters, spec.provider.limit_parameter: config.max_tokens}
    if config.temperature is not None:
        parameters["temperature"] = config.temperature
    if config.confidence and config.confidence.by == "logprobs":
        parameters |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}

    def body(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
        values = shown(item)
        examples = [shown(example) for example in choose(key, item)]
        above, asked = (text(item=values, examples=examples).strip() for text in (system, user))
        if spec.api == "decisions":
            messages = [{"role": "system", "content": above}] if above else []
            messages.append({"role": "user", "content": asked})
            question = decision_question(config, task)
            return decision_body(model=spec.model, input=messages, questions=[question], parameters=config.parameters)
        return chat_body(
            model=spec.model,
            system=above or None,
            user=asked,
            parameters=parameters,
            schema=schema,
            structured_output=spec.provider.structured_output,
        )

    return body


def mode_of(run: Executor) -> LlmMode | Kept:
    """How prompts are answered: as the command line says, else as the target does."""
    return run.options.llm or run.files.target.llm.mode


def is_offline(mode: LlmMode | Kept) -> bool:
    """Whether nothing is sent in a mode."""
    return mode in ("replay", "kept")


def provider_of(spec: PromptSpec) -> Provider:
    """The provider of a prompt as the executor of requests knows it."""
    return as_provider(spec.provider_name, spec.provider)


def as_provider(name: str, said: LlmProvider) -> Provider:
    """A provider of ``profiles.yml`` as the executor of requests knows it."""
    from teachkit.llm import Provider

    return Provider(
        name=name,
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


def batch_folder(run: Executor) -> Path:
    """What is known of batches at providers."""
    return run.store.root / "llm" / "batches"


def prices(run: Executor) -> Prices | None:
    """``prices.yml``, if there is one."""
    from teachkit.llm import Prices

    found = run.files.prices
    return Prices.from_mapping(found.model_dump(exclude_none=True)) if found is not None else None


def shown_rows(run: Executor, node: Node, relation: str, task: TaskInfo) -> pa.Table:
    """The columns that a prompt shows, redacted, beside the items' keys as text (``__key``).

    Raises:
        NodeFailed: the SQL of a redaction fails.
    """
    import duckdb

    from teachkit.graph import quote
    from teachkit.graph.names import fold

    spec: PromptSpec = node.spec
    expressions = {c: quote(c) for c in spec.columns}
    try:
        if spec.redaction:
            kinds = {fold(name): kind for name, kind, *_ in run.session.rows(f"describe select * from {relation}")}
            expressions = {c: spec.redaction.expression(c, is_text=kinds.get(c) == "VARCHAR") for c in spec.columns}
        columns = "".join(f", {sql} as {quote(c)}" for c, sql in expressions.items())
        return run.session.table(f"select cast({quote(task.key)} as varchar) as __key{columns} from {relation}")
    except duckdb.Error as error:
        raise run.session.failure(error, node) from error


def budget_of(run: Executor, node: Node, mode: LlmMode | Kept) -> Budget | None:
    """What a build may spend on a prompt: one budget for all parts, within that of all prompts; replay spends nothing.

    Raises:
        NodeFailed: there are no prices to count with.
    """
    from teachkit.llm import Budget

    own, whole = node.spec.config.budget, run.files.target.llm.budget
    if (own is None and whole is None) or is_offline(mode):
        return None
    if run.files.prices is None:
        of = f"prompt '{node.name}'" if own is not None else f"target '{run.files.target_name}'"
        problem = f"{of} has a budget, and there is no prices.yml to count with"
        raise NodeFailed(node.where, problem=problem, advice="write prices.yml beside teachkit.yml: as_of, models")
    within = None if whole is None else run.budgets.setdefault("", Budget(float(whole) * USD))
    return within if own is None else run.budgets.setdefault(node.id, Budget(float(own) * USD, within=within))


def recording_of(run: Executor, node: Node, kind: str = "") -> Recording:
    """The file of recorded answers: one for each file of prompts, beside it ``.embeddings`` and ``.improve``."""
    from teachkit.llm import Recording

    folder = run.files.root / run.files.config.paths.recordings
    return Recording(folder / (node.task or "") / f"{file_name(node)}{kind}.jsonl")


def _kept(run: Executor, node: Node, kind: str, store: ResponseStore) -> Recording:
    """Answers that are recorded or in the store, in the order in which a build takes them."""
    from teachkit.llm import KeptAnswers

    return KeptAnswers(recording_of(run, node, kind).path, store, recorded_first=run.files.target.llm.mode == "replay")


def count_missing(run: Executor, node: Node, asked: Iterator[Request]) -> tuple[int, int]:
    """How many requests of a prompt have no answer that is kept, and how many there are."""
    keys, found = set[str](), set[str]()
    with response_store(run) as store:
        kept = _kept(run, node, "", store)
        while lot := list(islice(asked, _LOOKED_UP)):
            keys |= {request.key for request in lot}
            found |= kept.find(lot).keys()
    return len(keys - found), len(keys)


def file_name(node: Node) -> str:
    """The name of a prompt's file, without its ending: several nodes may come from it."""
    return node.where.path.rpartition("/")[2].removesuffix(".md")


def strong_node(node: Node) -> Node:
    """A cascade's node with the strong model in place of its own."""
    return dataclasses.replace(node, spec=node.spec.strongly())


@contextmanager
def asking_alone(run: Executor, node: Node) -> Iterator[None]:
    """Two builds that share a store never ask one prompt at once: the second finds what the first was answered."""
    from teachkit.store.atomic import locked, would_wait

    path = run.store.root / "llm" / "asking" / f"{node.task}.{file_name(node)}.lock"
    if would_wait(path):
        run.note(f"another build is asking prompt '{node.name}'; this one waits for it")
    with locked(path):
        yield


@contextmanager
def asking(
    run: Executor,
    node: Node,
    asked: Iterable[Request],
    *,
    provider: Provider,
    kind: str = "",
    validate: Validate | None = None,
) -> Iterator[Asking]:
    """Ask for a prompt: in the mode of the run, from the store of answers, at the project's prices, in its budgets.

    What is paid is noted for the node, however it ends. ``kind`` tells apart files of recordings, see ``recording_of``.
    Raises as ``teachkit.llm.ask`` does.
    """
    from teachkit.llm import ask

    mode, known = mode_of(run), prices(run)
    with response_store(run) as store:
        answers = ask(
            asked,
            provider=provider,
            store=store,
            mode="replay" if mode == "kept" else mode,
            recording=_kept(run, node, kind, store)
            if mode == "kept"
            else recording_of(run, node, kind)
            if mode != "live"
            else None,
            budget=budget_of(run, node, mode),
            prices=known,
            allow_unpriced=node.spec.config.unpriced == "allow" or known is None,
            validate=validate,
        )
        try:
            with answers:
                yield answers
        finally:
            run.paid[node.id] = run.paid.get(node.id, 0.0) + answers.summary.cost / USD
        if store.recovery is not None:
            run.note(str(store.recovery))


# ---------------------------------------------------------------------------- what must hold


def check_gold(run: Executor, node: Node, task: TaskInfo) -> None:
    """A prompt votes only where gold can tell what its votes are worth, or where the project says that it may."""
    if node.spec.config.unvalidated == "allow":
        return
    gold = gold_of(run, task)
    counts = {split: len(rows_with_gold(gold, split)) for split in ("tune", "test")}
    short = [f"{count} in {split}" for split, count in counts.items() if count < LEAST_GOLD]
    if short and run.options.sample is None:
        problem = (
            f"prompt '{node.name}' is not validated: of {LEAST_GOLD} items with gold there are {' and '.join(short)}"
        )
        advice = "label more items by hand, or write 'unvalidated: allow' in the prompt's front matter"
        raise NodeFailed(node.where, problem=problem, advice=advice)


def check_no_batch(run: Executor, node: Node, asked: Iterable[Request]) -> None:
    """What a batch was bought for is not asked beside it: it would be paid twice.

    Raises:
        NodeFailed: some of the requests have no answer yet and are in a batch that may bring one.
    """
    from teachkit.llm.batch_state import open_keys

    waiting = open_keys(batch_folder(run))
    if not waiting:
        return
    keys = sorted({request.key for request in asked if request.key in waiting})
    with response_store(run) as store:
        lots = (keys[at : at + _LOOKED_UP] for at in range(0, len(keys), _LOOKED_UP))
        found = sum(len(lot) - len(store.get_many(lot)) for lot in lots)
    if found:
        problem = f"a batch was bought for {found:,} requests of prompt '{node.name}', and is not collected"
        advice = "run 'teachkit llm batch collect' when it is done, or stop it with 'teachkit llm batch cancel'"
        raise NodeFailed(node.where, problem=problem, advice=advice)


def check_recordable(run: Executor, node: Node, task: TaskInfo) -> None:
    """Recordings hold the text of rows and go into git: each source must say that it may."""
    read = run.graph.upstream(task.dataset) | {task.dataset}
    for source in run.graph.of("source"):
        if source.id in read and not source.spec.table.record:
            problem = f"prompt '{node.name}' cannot be recorded: source '{source.name}' does not say that it may"
            advice = "recordings hold the text of rows; if that may go into git, write 'record: true' at the source"
            raise NodeFailed(source.where, problem=problem, advice=advice)
