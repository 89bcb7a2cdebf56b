"""Votes of prompts: one request for each item, asked once, priced, kept; an item without an answer is counted."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING, Any

from teachkit.build.prompting import (
    USD,
    budget_of,
    check_gold,
    check_recordable,
    mode_of,
    prices,
    provider_of,
    recording_of,
    requests,
    response_store,
    rows_sql,
)
from teachkit.build.run import NodeProgress
from teachkit.errors import NodeFailed
from teachkit.hashing import digest
from teachkit.llm.schema import problem
from teachkit.voters.prompt import answer_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Answer, ChatReply, Request, Validate

UNFINISHED = frozenset({"transient_exhausted", "not_run:budget"})
"""Statuses of items that another build would ask about again."""

_SAY_EVERY = 1.0  # seconds between two words on how far a prompt is


@dataclass(slots=True)
class Asked:
    """One prompt on one part. ``cost`` is what its answers cost, ``paid`` what this build paid for them, in USD."""

    codes: Mapping[str, Any] = field(default_factory=dict)
    answers: pa.Table | None = None
    cost: float = 0.0
    paid: float = 0.0
    statuses: Mapping[str, int] = field(default_factory=dict)
    error: TeachkitError | None = None


def answers_key(votes_key: str) -> str:
    """The key of the answers beside the votes of a part."""
    return digest(["answers", votes_key])


def vote_by_prompt(run: Executor, node: Node, relation: str, task: TaskInfo) -> Asked:
    """Ask about every row of a part; ``error`` says if too many have no answer.

    Raises:
        NodeFailed: too little gold to know what the answers are worth; a source that may not be recorded.
        TeachkitError: the provider cannot be used, refuses everything, or is down; a recording is missing.
    """
    check_gold(run, node, task)
    tally = ask_rows(run, node, run.session.table(rows_sql(node, relation, task)), task)
    return Asked(
        tally.codes(),
        tally.table(),
        sum(tally.cost),
        tally.paid,
        dict(Counter(tally.status)),
        _too_many_errors(node, tally),
    )


def ask_rows(run: Executor, node: Node, table: pa.Table, task: TaskInfo) -> Tally:
    """Ask about some rows; raises as ``vote_by_prompt`` does, but for the gold."""
    from teachkit.llm import ask

    spec: PromptSpec = node.spec
    mode = mode_of(run)
    if mode == "record":
        check_recordable(run, node, task)
    known = prices(run)
    tally, said = Tally(table.num_rows, task), time.monotonic()
    with (
        response_store(run) as store,
        ask(
            requests(run, node, table, task),
            provider=provider_of(spec),
            store=store,
            mode=mode,
            recording=recording_of(run, node) if mode != "live" else None,
            budget=budget_of(run, node, mode),
            prices=known,
            allow_unpriced=spec.config.unpriced == "allow" or known is None,
            validate=_checking(answer_schema(spec.config, task)),
        ) as answers,
    ):
        for done, answer in enumerate(answers, 1):
            tally.add(answer)
            if time.monotonic() - said > _SAY_EVERY:
                said = time.monotonic()
                run.report(NodeProgress(node.id, done, table.num_rows, answers.summary.cost / USD))
        if store.recovery is not None:
            run.note(str(store.recovery))
    tally.paid = answers.summary.cost / USD
    if table.num_rows > 1 and len(set(tally.request)) == 1:
        run.note(f"prompt '{node.name}' asks the same about all {table.num_rows:,} items: does it show any column?")
    return tally


def _checking(schema: Any) -> Validate:
    """Holds answers against their schema, also where a provider was only told of it in words."""

    def check(request: Request, reply: ChatReply) -> str | None:
        return problem(reply.data, schema)

    return check


class Tally:
    """What is kept of each answer: little, so that memory grows by some bytes a row."""

    def __init__(self, rows: int, task: TaskInfo) -> None:
        import numpy as np

        from teachkit.engine.scan import vote_dtype

        self._code = {label: i for i, label in enumerate(task.labels)}
        self._multi = task.multi
        kind = vote_dtype(len(self._code))
        self._votes = np.full((len(self._code) if task.multi else 1, rows), -1, dtype=kind)
        self.status = ["error"] * rows
        self.reason: list[str | None] = [None] * rows
        self.request = [""] * rows
        self.model: list[str | None] = [None] * rows
        self.cost = [0.0] * rows
        self.first_bad: Answer | None = None
        self.paid = 0.0

    def add(self, answer: Answer) -> None:
        """Take in the answer about one row."""
        row = int(answer.request.tag)  # type: ignore[call-overload]
        self.status[row], self.request[row] = answer.status, answer.request.key
        self.cost[row] = (answer.cost or 0.0) / USD
        if answer.reply is not None:
            self.model[row] = intern(answer.reply.model)
        if answer.status != "ok":
            earlier = self.first_bad
            if earlier is None or row < int(earlier.request.tag):  # type: ignore[call-overload]
                self.first_bad = answer
            return
        data = answer.reply.data if answer.reply is not None else {}
        self.reason[row] = data.get("reason")
        if not self._multi:
            self._votes[0, row] = self._code.get(data["label"], -1)
        elif all(label in self._code for label in data["labels"]):  # else the model abstains
            self._votes[:, row] = [int(label in data["labels"]) for label in self._code]

    def codes(self) -> dict[str, Any]:
        """The votes as a votes object holds them."""
        return {f"v{c}": votes for c, votes in enumerate(self._votes)} if self._multi else {"vote": self._votes[0]}

    def table(self) -> pa.Table:
        """Beside the votes, row by row: what lineage says of an answer."""
        import pyarrow as pa

        return pa.table(
            {
                "status": pa.array(self.status).dictionary_encode(),
                "reason": pa.array(self.reason, type=pa.string()),
                "request": pa.array(self.request, type=pa.string()),
                "model": pa.array(self.model, type=pa.string()),
                "cost": pa.array(self.cost, type=pa.float64()),
            }
        )


def _too_many_errors(node: Node, tally: Tally) -> TeachkitError | None:
    counts = Counter(status for status in tally.status if status != "ok")
    rows, bad = len(tally.status), counts.total()
    if tally.first_bad is None or bad <= node.spec.config.max_error_rate * rows:
        return None
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    detail = f": {tally.first_bad.detail}" if tally.first_bad.detail else ""
    first = f"the first is '{tally.first_bad.request.label}'{detail}"
    advice = "change the prompt, or let 'max_error_rate' allow a share; what was answered is kept"
    if set(counts) == {"not_run:budget"}:
        advice = "raise 'budget' in the prompt's front matter; what was answered is kept"
    elif UNFINISHED & set(counts):
        advice = "build again: what was answered is kept, and only the rest is asked"
    found = f"{bad} of {rows} items have no answer ({said}); {first}"
    return NodeFailed(node.where, problem=found, advice=advice)
