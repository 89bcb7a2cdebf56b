"""Prompts in a build: their votes on the parts of a dataset, and their tables of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import answers_key, ask_rows, ask_votes, too_many_errors
from teachkit.build.asking.examples import gold_content
from teachkit.build.asking.prompting import check_gold, mode_of, part_rows
from teachkit.build.asking.scoring import check_cascade, score_votes
from teachkit.build.asking.tally import UNFINISHED, ColumnTally, VoteTally
from teachkit.build.keys import content, output_of
from teachkit.graph.names import fold
from teachkit.hashing import digest
from teachkit.store.objects import part_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from teachkit.build.asking.tally import Tally
    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.errors import TeachkitError
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta


def is_finished(meta: ObjectMeta) -> bool:
    """Whether another build would ask about none of its items again."""
    return not meta.extra.get("unfinished")


def what_it_reads(run: Executor, node: Node) -> list[Any]:
    """For the keys of a prompt's parts: what its answers depend on beside the rows of a part."""
    task = run.graph.tasks[node.task or ""]
    gold = gold_content(run, node, task)
    more = [gold] if gold is not None else []
    if node.spec.scored:  # calibration and cascade look at items of all parts
        more.append(content(run.outputs[task.dataset], [*(node.reads[task.dataset] or ()), task.key]))
    return more


def finished_parts(run: Executor, keys: Sequence[str]) -> list[ObjectMeta | None]:
    """The stored parts that nothing is left to do about, None for others.

    All is gone through again, for free, by --full-refresh and while answers are recorded.
    """
    anew = run.options.full_refresh or mode_of(run) == "record"
    found = [None if anew else run.store.meta(key) for key in keys]
    if mode_of(run) == "kept":
        return found  # nothing more will be answered
    return [meta if meta is not None and is_finished(meta) and _has_answers(run, meta) else None for meta in found]


def _has_answers(run: Executor, meta: ObjectMeta) -> bool:
    """Whether the answers beside some votes are there, or are none: a build that was killed may have lost them."""
    beside = meta.extra.get("answers")
    return beside is None or run.store.meta(beside) is not None


# ---------------------------------------------------------------------------- votes


def vote(
    run: Executor, node: Node, keys: Sequence[str], metas: list[ObjectMeta | None], task: TaskInfo
) -> TeachkitError | None:
    """Let a prompt vote on the parts that are missing in ``metas``; votes and answers are stored if it succeeds.

    Raises:
        TeachkitError: as ``ask_votes``; too little gold to know what the answers are worth, or to fit the cascade.
    """
    from teachkit.engine.scan import votes_table

    parts = run.outputs[task.dataset].parts
    todo = [number for number, meta in enumerate(metas) if meta is None]
    if node.spec.scored and todo:
        todo = list(range(len(parts)))
    if not todo:
        return None
    check_gold(run, node, task)
    if node.spec.strong is not None:
        check_cascade(run, node, task)
    tables: dict[int, pa.Table] = {}
    tallies: dict[int, VoteTally] = {}
    for number in todo:
        table = part_rows(run, node, parts[number], task)
        tallies[number] = ask_votes(run, node, table, task)
        if node.spec.scored:  # a cascade asks about some of them again
            tables[number] = table
    scored = score_votes(run, node, tables, tallies, task) if node.spec.scored else None
    known = [meta.extra["statuses"] for number, meta in enumerate(metas) if meta is not None and number not in tallies]
    error = too_many_errors(node, [*tallies.values()], known)
    if error is not None:
        return error
    for number, tally in tallies.items():
        beside = answers_key(keys[number])
        extra = {**_extra(tally), "answers": beside}
        columns = tally.codes()
        if scored is not None:
            extra["scores"] = scored.report
            columns = {**columns, **scored.columns[number]}
        run.store.discard(beside)
        run.put(beside, tally.table(), node, number)  # first: votes that are there are never without their answers
        metas[number] = _replace(run, keys[number], votes_table(columns), node, number, extra)
    return None


def _extra(tally: Tally) -> dict[str, Any]:
    unfinished = not UNFINISHED.isdisjoint(tally.statuses)
    return {"cost": float(tally.cost.sum()), "statuses": tally.statuses, "unfinished": unfinished}


def _replace(run: Executor, key: str, table: pa.Table, node: Node, number: int, extra: dict[str, Any]) -> ObjectMeta:
    """Store a part, in place of one that an earlier build did not get to the end of."""
    before = run.store.meta(key)
    if before is not None and not is_finished(before):
        run.store.discard(key)
    return run.put(key, table, node, number, extra)


# ---------------------------------------------------------------------------- tables of columns


def find_enrichment(run: Executor, node: Node) -> Output | None:
    """The stored table of a prompt's columns."""
    metas = [run.store.meta(key) for key in _enrichment_keys(run, node)]
    return output_of([m for m in metas if m is not None]) if all(metas) else None


def find_finished(run: Executor, node: Node) -> Output | None:
    """The stored table, if nothing is left to do about it."""
    metas = finished_parts(run, _enrichment_keys(run, node))
    return output_of([m for m in metas if m is not None]) if all(metas) else None


def make_enrichment(run: Executor, node: Node) -> Output:
    """Ask about every item, and store what was answered beside the items' keys.

    Raises:
        TeachkitError: as ``ask_votes``; more items without an answer than are allowed.
    """
    import pyarrow as pa

    task = run.graph.tasks[node.task or ""]
    keys, parts = _enrichment_keys(run, node), run.outputs[task.dataset].parts
    metas = finished_parts(run, keys)
    tables: dict[int, tuple[ColumnTally, pa.Table]] = {}
    for number, part in enumerate(parts):
        if metas[number] is not None:
            continue
        shown = part_rows(run, node, part, task)
        tally = ask_rows(run, node, shown, task, ColumnTally(shown.num_rows, node.spec))
        name = next(column for column in part.columns if fold(column) == task.key)
        ids = run.store.read(part.key, [name]).column(0)
        tables[number] = tally, pa.table({task.key: ids, **tally.columns()})
    tallies = [tally for tally, _ in tables.values()]
    error = too_many_errors(node, tallies, [m.extra["statuses"] for m in metas if m is not None])
    if error is not None:
        raise error
    for number, (tally, table) in tables.items():
        metas[number] = _replace(run, keys[number], table, node, number, _extra(tally))
    return output_of([m for m in metas if m is not None])


def _enrichment_keys(run: Executor, node: Node) -> list[str]:
    task = run.graph.tasks[node.task or ""]
    read, more = [task.key, *(node.reads[task.dataset] or ())], what_it_reads(run, node)
    parts = run.outputs[task.dataset].parts
    return [digest(["enriched", node.own, part_content(part, read), *more]) for part in parts]
