"""Votes of prompts: one request for each item, asked once, priced, kept; an item without an answer is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import read_gold
from teachkit.errors import NodeFailed
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Answer, Asking, Prices, Provider, Recording, Request, ResponseStore
    from teachkit.store import ObjectMeta

LEAST_GOLD = 50  # items in tune, and as many in test: fewer can tell little of a prompt
_USD = 1e6  # micro-dollars


@dataclass(slots=True)
class Asked:
    """What became of one prompt on one part: votes, what each answer was, money in USD."""

    codes: Mapping[str, Any] = field(default_factory=dict)
    answers: pa.Table | None = None
    cost: float = 0.0
    paid: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)


def answers_key(votes_key: str) -> str:
    """The key of the answers beside the votes of a part."""
    return digest(["answers", votes_key])


def vote_by_prompt(run: Executor, node: Node, part: ObjectMeta, relation: str, task: TaskInfo) -> Asked:
    """Ask about every row of a part.

    Raises:
        NodeFailed: too little gold to know what the answers are worth, or too many items without an answer.
        TeachkitError: the provider cannot be used, refuses everything, or is down; a recording is missing.
    """
    from teachkit.llm import ask

    spec: PromptSpec = node.spec
    _check_gold(run, node, task)
    table = run.session.table(_select(node, relation, task))
    provider, mode = provider_of(spec), run.files.target.llm.mode if run.options.llm is None else run.options.llm
    recording = _recording(run, node) if mode != "live" else None
    if mode == "record":
        _check_recordable(run, node, task)
    asked = Asked()
    found: list[Answer | None] = [None] * table.num_rows
    with response_store(run) as store:
        answers: Asking = ask(
            requests(run, node, table, task),
            provider=provider,
            store=store,
            mode=mode,
            recording=recording,
            budget=_budget(spec, mode),
            prices=prices(run),
            allow_unpriced=spec.config.unpriced == "allow" or prices(run) is None,
        )
        with answers:
            for answer in answers:
                row = int(answer.request.tag)  # type: ignore[call-overload]
                found[row] = answer
        if store.recovery is not None:
            run.note(str(store.recovery))
        asked.paid = answers.summary.cost / _USD
    asked.statuses = {status: count for status, count in answers.summary.statuses.items() if count}
    asked.cost = sum(a.cost or 0.0 for a in found if a is not None) / _USD
    _check_errors(node, [a for a in found if a is not None])
    asked.codes = _votes([a for a in found if a is not None], task)
    asked.answers = _answer_table([a for a in found if a is not None])
    return asked


def prompt_rows(run: Executor, node: Node) -> Iterator[pa.Table]:
    """What a prompt shows of the items, part by part, beside their keys.

    Raises:
        NotBuilt: the items have not been built.
    """
    from teachkit.engine.session import parquet

    task = run.graph.tasks[node.task or ""]
    for parent in run.graph:
        if parent.id == task.dataset or parent.id in run.graph.upstream(task.dataset):
            run.resolve(parent)
    for part in run.outputs[task.dataset].parts:
        yield run.session.table(_select(node, parquet([run.store.path(part.key)]), task))


def requests(run: Executor, node: Node, table: pa.Table, task: TaskInfo) -> Iterator[Request]:
    """The requests of some rows; a column of an item is a JSON value in the text, so no row can alter a template."""
    spec: PromptSpec = node.spec
    provider, body = provider_of(spec), body_of(run, node, task)
    columns = [table.column(name) for name in spec.columns]
    keys = table.column("__key")
    for row in range(table.num_rows):
        item = {name: column[row].as_py() for name, column in zip(spec.columns, columns, strict=True)}
        yield provider.request(body(item), label=str(keys[row].as_py()), tag=row)


def body_of(run: Executor, node: Node, task: TaskInfo) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """From an item's columns to the body of its request."""
    from teachkit.llm import chat_body
    from teachkit.voters.prompt import answer_schema, shown, shown_task

    spec: PromptSpec = node.spec
    config, schema = spec.config, answer_schema(spec.config, task)
    examples = [shown(example) for example in config.examples]
    seen = {"task": shown_task(task), "examples": examples}
    templates = run.files.templates
    system = templates.prepared(spec.system, spec.system_where, **seen)
    user = templates.prepared(spec.user, spec.user_where, **seen)
    parameters = {**config.parameters, spec.provider.limit_parameter: config.max_tokens}
    if config.temperature is not None:
        parameters["temperature"] = config.temperature

    def body(item: Mapping[str, Any]) -> dict[str, Any]:
        values = shown(item)
        return chat_body(
            model=spec.model,
            system=system(item=values).strip() or None,
            user=user(item=values).strip(),
            parameters=parameters,
            schema=schema,
            structured_output=spec.provider.structured_output,
        )

    return body


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


def _select(node: Node, relation: str, task: TaskInfo) -> str:
    from teachkit.graph import quote

    columns = "".join(f", {quote(c)} as {quote(c)}" for c in node.spec.columns)
    return f"select cast({quote(task.key)} as varchar) as __key{columns} from {relation}"


def _budget(spec: PromptSpec, mode: str) -> Any:
    from teachkit.llm import Budget

    limit = spec.config.budget
    return Budget(float(limit) * _USD) if limit is not None and mode != "replay" else None


def _recording(run: Executor, node: Node) -> Recording:
    from teachkit.llm import Recording

    folder = run.files.root / run.files.config.paths.recordings
    return Recording(folder / (node.task or "") / f"{node.name}.jsonl")


# ---------------------------------------------------------------------------- what must hold


def _check_gold(run: Executor, node: Node, task: TaskInfo) -> None:
    """A prompt votes only where gold can tell what its votes are worth, or where the project says that it may."""
    if node.spec.config.unvalidated == "allow":
        return
    from teachkit.build.voting import find_annotations, make_annotations
    from teachkit.votes import SPLITS

    files = [n for n in run.graph.of("annotations") if n.task == task.name and n.spec.meta.role == "gold"]
    for file in files:
        if file.id not in run.outputs:
            run.outputs[file.id] = find_annotations(run, file) or make_annotations(run, file)
    gold = read_gold(run, task, [n.id for n in files])
    known = (gold.codes >= 0).all(axis=1) if task.multi else gold.codes >= 0
    counts = {split: int((known & (gold.split == SPLITS.index(split))).sum()) for split in ("tune", "test")}
    short = [f"{count} in {split}" for split, count in counts.items() if count < LEAST_GOLD]
    if short and run.options.sample is None:
        problem = (
            f"prompt '{node.name}' is not validated: of {LEAST_GOLD} items with gold there are {' and '.join(short)}"
        )
        advice = "label more items by hand, or write 'unvalidated: allow' in the prompt's front matter"
        raise NodeFailed(node.where, problem=problem, advice=advice)


def _check_recordable(run: Executor, node: Node, task: TaskInfo) -> None:
    """Recordings hold the text of rows and go into git: each source must say that it may."""
    for source in run.graph.of("source"):
        if source.id in run.graph.upstream(task.dataset) | {task.dataset} and not source.spec.table.record:
            problem = f"prompt '{node.name}' cannot be recorded: source '{source.name}' does not say that it may"
            advice = "recordings hold the text of rows; if that may go into git, write 'record: true' at the source"
            raise NodeFailed(source.where, problem=problem, advice=advice)


def _check_errors(node: Node, answers: list[Answer]) -> None:
    bad = [a for a in answers if a.status != "ok"]
    if not bad or len(bad) <= node.spec.config.max_error_rate * len(answers):
        return
    counts: dict[str, int] = {}
    for answer in bad:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    first = bad[0]
    detail = f": {first.detail}" if first.detail else ""
    problem = (
        f"{len(bad)} of {len(answers)} items have no answer ({said}); the first is '{first.request.label}'{detail}"
    )
    advice = "what was answered is kept, so the next build asks for the rest; 'max_error_rate' allows a share"
    if set(counts) == {"not_run:budget"}:
        advice = "raise 'budget' in the prompt's front matter; what was answered is kept"
    raise NodeFailed(node.where, problem=problem, advice=advice)


# ---------------------------------------------------------------------------- answers


def _votes(answers: list[Answer], task: TaskInfo) -> dict[str, Any]:
    import numpy as np

    code = {label: i for i, label in enumerate(task.labels)}
    kind = np.int8 if len(code) <= 127 else np.int16
    if not task.multi:
        said = [code.get(str(_data(a).get("label")), -1) if a.status == "ok" else -1 for a in answers]
        return {"vote": np.array(said, dtype=kind)}
    found = {c: np.full(len(answers), -1, dtype=np.int8) for c in code.values()}
    for row, answer in enumerate(answers):
        labels = _data(answer).get("labels") if answer.status == "ok" else None
        if labels is None or any(label not in code for label in labels):
            continue  # no answer, or ABSTAIN
        for label, c in code.items():
            found[c][row] = int(label in labels)
    return {f"v{c}": votes for c, votes in found.items()}


def _data(answer: Answer) -> dict[str, Any]:
    data = answer.reply.data if answer.reply is not None else None
    return data if isinstance(data, dict) else {}


def _answer_table(answers: list[Answer]) -> pa.Table:
    """Beside the votes, row by row: what lineage says of an answer."""
    import pyarrow as pa

    return pa.table(
        {
            "status": pa.array([a.status for a in answers]).dictionary_encode(),
            "reason": pa.array([_data(a).get("reason") for a in answers], type=pa.string()),
            "request": pa.array([a.request.key for a in answers], type=pa.string()),
            "model": pa.array([a.reply.model if a.reply else None for a in answers], type=pa.string()),
            "cost": pa.array([(a.cost or 0.0) / _USD for a in answers], type=pa.float64()),
        }
    )
