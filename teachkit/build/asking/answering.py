"""From a prompt and rows to answers: each asked once, again where it is uncertain, priced, kept, counted."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from teachkit.build.asking.prompting import (
    asking,
    asking_alone,
    check_no_batch,
    check_recordable,
    count_missing,
    is_empty,
    is_offline,
    items,
    mode_of,
    provider_of,
    requests,
)
from teachkit.build.asking.tally import FINE, UNFINISHED, USD, Tally, VoteTally, tally_of
from teachkit.build.asking.vectors import AskedVectors, Forecast
from teachkit.build.run import NodeProgress
from teachkit.errors import NodeFailed, NotAnswered
from teachkit.hashing import digest
from teachkit.llm.errors import ReplayMiss
from teachkit.llm.schema import problem
from teachkit.voters.prompt_answer import answer_schema, misquoted, not_an_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import ModelReply, Request, Validate

    T = TypeVar("T", bound=Tally)

_SAY_EVERY = 1.0  # seconds between two words on how far a prompt is


def answers_key(votes_key: str) -> str:
    """The key of the answers beside the votes of a part."""
    return digest(["answers", votes_key])


def ask_votes(
    run: Executor, node: Node, table: pa.Table, task: TaskInfo, rows: Sequence[int] | None = None
) -> VoteTally:
    """What a prompt votes on some rows of a table (None: all), as it sees them; uncertain ones are asked again.

    Raises:
        TeachkitError: the provider cannot be used, refuses everything, or is down; a recording is missing; a source may
            not be recorded; a comparison lacks answers.
    """
    import pyarrow as pa

    chosen = table if rows is None else table.take(pa.array(rows, pa.int64()))  # typed: there may be none
    texts = chosen.column(task.text).to_pylist() if task.text else ()
    tally = tally_of(chosen.num_rows, node.spec, task, texts)
    first, most = node.spec.times
    ask_rows(run, node, chosen, task, tally, repetitions=range(first))
    if most > first:
        uncertain = tally.uncertain().tolist()
        ask_rows(run, node, chosen, task, tally, rows=uncertain, repetitions=range(first, most))
    tally.score()
    return tally


def ask_rows(
    run: Executor,
    node: Node,
    table: pa.Table,
    task: TaskInfo,
    tally: T,
    *,
    rows: Sequence[int] | None = None,
    repetitions: Iterable[int] = (0,),
) -> T:
    """Ask about rows of a table into ``tally``; raises as ``ask_votes`` does."""
    spec: PromptSpec = node.spec
    mode = mode_of(run)
    if mode == "record":
        check_recordable(run, node, task)
    made = partial(requests, run, node, table, task, repetitions=repetitions)
    said, count = time.monotonic(), table.num_rows if rows is None else len(rows)
    with nullcontext() if is_offline(mode) else asking_alone(run, node):
        if not is_offline(mode) and spec.vectors is None:
            check_no_batch(run, node, made(rows=rows))
        asked = made(
            rows=_not_empty(table, spec, tally, rows),
            vectors=AskedVectors(run, node, tally) if spec.vectors is not None else None,
        )
        checking = _checking(spec, task, items(run, node, table))
        try:
            with asking(run, node, asked, provider=provider_of(spec), validate=checking) as answers:
                for done, answer in enumerate(answers, 1):
                    tally.add(answer)
                    if time.monotonic() - said > _SAY_EVERY:
                        said = time.monotonic()
                        run.report(NodeProgress(node.id, done, count, answers.summary.cost / USD))
        except ReplayMiss as error:
            if mode != "kept":
                raise
            wanted = made(rows=_not_empty(table, spec, tally, rows), vectors=Forecast(run))
            missing, total = count_missing(run, node, wanted)
            raise NotAnswered(node.where, name=node.name, count=missing, total=total) from error
    if rows is None and count > 1 and tally.asks_alike:
        run.note(f"prompt '{node.name}' asks the same about all {count:,} items: does it show any column?")
    return tally


def _not_empty(table: pa.Table, spec: PromptSpec, tally: Tally, rows: Sequence[int] | None) -> Iterable[int]:
    """The rows that show something: nothing can be said of an item whose columns are all NULL or white space."""
    empty = is_empty(table, spec)
    for row in range(table.num_rows) if rows is None else rows:
        if empty(row):
            tally.skip(row)
        else:
            yield row


def _checking(spec: PromptSpec, task: TaskInfo, item_of: Callable[[int], Mapping[str, Any]]) -> Validate:
    """Holds answers against their schema, also where a provider was only told of it in words; and their quotations."""
    schema, quoting = answer_schema(spec.config, task), bool(spec.config.output.columns)

    def check(request: Request, reply: ModelReply) -> str | None:
        text = item_of(int(request.tag)).get(task.text) if task.text else None  # type: ignore[call-overload]
        found = problem(reply.data, schema) or not_an_answer(reply.data, spec.config, task, text)
        if found is None and quoting:
            found = misquoted(reply.data, spec.config, item_of(int(request.tag)))  # type: ignore[call-overload]
        return found

    return check


def too_many_errors(
    node: Node, tallies: Sequence[Tally], known: Iterable[Mapping[str, int]] = ()
) -> TeachkitError | None:
    """The error where more than ``max_error_rate`` of all items have no answer; ``known``: statuses of other parts."""
    counts: Counter[str] = Counter()
    for statuses in (*(tally.statuses for tally in tallies), *known):
        counts.update(statuses)
    rows = counts.total()
    bad = {status: count for status, count in counts.items() if status not in FINE}
    if sum(bad.values()) <= node.spec.config.max_error_rate * rows:
        return None
    said = ", ".join(f"{count} {status}" for status, count in sorted(bad.items()))
    answer = next((tally.first_bad for tally in tallies if tally.first_bad is not None), None)
    first = ""
    if answer is not None:
        first = f"; the first is '{answer.request.label}'" + (f": {answer.detail}" if answer.detail else "")
    advice = "change the prompt, or let 'max_error_rate' allow a share; what was answered is kept"
    if set(bad) == {"not_run:budget"}:
        advice = "raise 'budget' in the prompt's front matter, or that of the target; what was answered is kept"
    elif UNFINISHED & set(bad):
        advice = "build again: what was answered is kept, and only the rest is asked"
    problem = f"{sum(bad.values())} of {rows} items have no answer ({said}){first}"
    return NodeFailed(node.where, problem=problem, advice=advice)
