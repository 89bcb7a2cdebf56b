"""Whether orders name what is there to be ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.errors import NotACandidate, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.build.execute import Executor
    from teachkit.graph import TaskInfo
    from teachkit.votes import Answers


def of_candidates(run: Executor, task: TaskInfo, answers: Answers, kinds: Mapping[str, str]) -> Answers:
    """The answers of a ranking task that name candidates of their item alone.

    Those of a prompt that name something else do not count, and a note says how many: a model cannot be mended as a
    labeling function can.

    Raises:
        NotACandidate: an answer of any other voter names something else.
    """
    if task.candidates is None:
        return answers
    import numpy as np

    known = _candidates(run, task, task.candidates)
    good, odd = np.ones(len(answers.item), dtype=bool), dict[str, int]()
    for entry, (item, voter, order) in enumerate(zip(answers.item, answers.voter, answers.value, strict=True)):
        other = next((name for name in order if name not in known[item]), None)
        if other is None:
            continue
        name = answers.voters[voter]
        node = run.graph[kinds[name]]
        if node.kind != "prompt":
            from teachkit.build.decisions import keys_of

            there = listing(sorted(known[item]), 20) or "none"
            facts = {"voter": name, "item": keys_of(run, task)[int(item)].as_py(), "candidate": other, "known": there}
            raise NotACandidate(node.where, task=task.name, **facts)
        good[entry], odd[name] = False, odd.get(name, 0) + 1
    for name, count in odd.items():
        run.note(f"prompt '{name}' names what is no candidate on {count:,} items: these answers do not count")
    return answers if good.all() else answers.chosen(good)


def _candidates(run: Executor, task: TaskInfo, column: str) -> list[frozenset[str]]:
    """The candidates of each item."""
    from teachkit.build.stored_votes import texts_of

    return [names_in(value) for value in texts_of(run, task, column)]


def names_in(value: Any) -> frozenset[str]:
    """The candidates that a value of the column names: a list, or a text with | between them."""
    names = value.split("|") if isinstance(value, str) else value or ()
    return frozenset(str(name).strip() for name in names if name is not None)
