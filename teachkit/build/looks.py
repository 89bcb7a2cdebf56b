"""Looks at the test split: each is a record in the chain of runs, or part of one, so that none goes uncounted.

A record that measured anything on gold of the test split names the task under ``looks``, with the nodes that were
measured and their definitions. Commands that only look write a record of their own; a build that measured notes it in
its record. What is known already (a test that is reused, figures of labels that did not change) is no new look.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from teachkit.build.revisions.git import git_state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from teachkit.build.execute import Executor
    from teachkit.graph import Node
    from teachkit.store import Store


def record_look(run: Executor, task: str, nodes: Iterable[Node], *, by: str, gold: str) -> int:
    """Write into the chain that a command shows figures measured on the test split; which look at it this is.

    Call it before the figures are shown: a look that cannot be counted must not happen.

    Raises:
        StoreUnwritable, StoreDamaged: the record cannot be written.
    """
    git = git_state(run.files.root)
    record = {
        "command": "look",
        "by": by,
        "target": run.files.target_name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git.commit,
        "changed": None if git.changed is None else list(git.changed),
        "gold": gold,
        "looks": {task: {node.id: _definition(run, node) for node in nodes}},
    }
    run_id, _ = run.store.append_run(record)
    return looks_at_test(run.store, task, until=int(run_id.partition("-")[0]))


def note_look(run: Executor, node: Node) -> None:
    """Note that a build measures a test, or a label set for the lock, on the test split: its record says so."""
    if node.task is None:
        raise AssertionError("only what has a task can be measured against its gold")
    run.looks.setdefault(node.task, {})[node.id] = node.own


def looks_at_test(store: Store, task: str, *, until: int | None = None) -> int:
    """How many records of the chain (up to number ``until``) hold a look at a task's test split."""
    return sum(task in run.record.get("looks", ()) for run in store.runs() if until is None or run.number <= until)


def _definition(run: Executor, node: Node) -> str:
    """The definition of what is measured: an earlier one where the present one was not built."""
    before = run.published["nodes"].get(node.id)
    return before["definition"] if before is not None and run.find(node) is None else node.own
