"""Answers read from the store: of voters, of people, of label sets, in the order of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import Cast, rows_of_items, spoken
from teachkit.build.valued.candidates import of_candidates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.votes import Answers


def cast_answers(
    run: Executor, task: TaskInfo, voters: Sequence[str], annotations: Sequence[str], abstain: Mapping[str, str]
) -> Cast:
    """The answers of some labeling functions, prompts and annotators of a task."""
    from teachkit.votes import Answers

    n = items_of(run, task)
    names = [run.graph[v].name for v in voters]
    functions = Answers.from_columns(task.kind, names, [values_column(run, v, task) for v in voters], n)
    people, nodes = people_answers(run, annotations, names, task)
    kinds = {**dict(zip(names, voters, strict=True)), **nodes}
    policies = {voter: abstain[node_id] for voter, node_id in kinds.items()}
    found = Answers.joined(functions, people) if people.voters else functions
    return Cast((of_candidates(run, task, found, kinds),), policies, kinds)


def items_of(run: Executor, task: TaskInfo) -> int:
    """How many items the task's dataset has."""
    return sum(p.rows for p in run.outputs[task.dataset].parts)


def values_column(run: Executor, voter: str, task: TaskInfo) -> Any:
    """The answers of a labeling function or prompt over all items [N]."""
    import numpy as np

    parts = [task.answers.values(run.store.read(m.key, ["value"]).column(0)) for m in run.outputs[voter].parts]
    return np.concatenate(parts) if parts else task.answers.empty(0)


def people_answers(
    run: Executor, annotations: Sequence[str], taken: Sequence[str], task: TaskInfo
) -> tuple[Answers, Mapping[str, str]]:
    """The answers of the annotators of some files, and the node id that each of them votes in."""
    import numpy as np

    from teachkit.votes import Answers

    said = spoken(run, annotations, taken, task)
    values = [task.answers.values(table.column("value")) for table in said.tables]
    value = np.concatenate(values) if values else task.answers.empty(0)
    entries = (said.row, said.voter, value)
    return Answers.from_long(task.kind, *entries, voters=said.names, n_items=items_of(run, task)), said.nodes


def labels_of(run: Executor, node: Node, task: TaskInfo) -> Any:
    """A label set's decisions over all items of the dataset [N]."""
    import numpy as np

    columns = [task.answers.values(table.column("label")) for table in rows_of_items(run, node, task, ["label"])]
    return np.concatenate(columns) if columns else task.answers.empty(0)


def earlier_values(run: Executor, objects: Sequence[str], task: TaskInfo) -> tuple[Any, Any]:
    """What a stored label set says of the items of the dataset as it is now [N], and whether it has the item at all."""
    import numpy as np

    from teachkit.build.stored_votes import earlier_columns

    columns, there = earlier_columns(run, objects, task)
    found = [task.answers.values(column) for column in columns]
    return np.concatenate(found) if found else task.answers.empty(0), there
