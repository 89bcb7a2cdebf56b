"""Voters before and after: votes gained, lost and changed, how often they are right, what prompts cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import answers_key
from teachkit.build.asking.prompting import response_store
from teachkit.build.stored_votes import annotation_rows, stacked_votes
from teachkit.build.valued.stored import values_column
from teachkit.diff.labels import pair
from teachkit.diff.result import VoterDiff
from teachkit.graph.node import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.diff.labels import Pairing
    from teachkit.diff.sides import Side
    from teachkit.graph import Node, TaskInfo
    from teachkit.votes.values.kind import ValueKind

_PEOPLE = "annotations"


def compare_voters(before: Side, after: Side) -> list[VoterDiff]:
    """The voters whose definition or votes are other; those that only see other data come last."""
    if before.run is None or after.run is None:
        return []
    return sorted(_compare(before.run, after.run, (before, after)), key=lambda voter: voter.change == "data")


def _compare(before: Executor, after: Executor, sides: tuple[Side, Side]) -> Iterator[VoterDiff]:
    was = {n.id: n for n in before.graph.of(*FUNCTIONS, _PEOPLE)}
    now = {n.id: n for n in after.graph.of(*FUNCTIONS, _PEOPLE)}
    tasks: dict[str, _Task | None] = {}
    for node_id in {**now, **was}:
        old, new = was.get(node_id), now.get(node_id)
        change = _change(before, after, old, new)
        node = new or old
        if node is None or not change:
            continue
        name = node.task or ""
        if name not in tasks:
            tasks[name] = _task(before, after, sides, name)
        about = VoterDiff(node.id, node.kind, name, change, node.where.path, node.where.line)
        yield _figures(about, before, after, (old, new), tasks[name])


def _change(before: Executor, after: Executor, old: Node | None, new: Node | None) -> str:
    """What happened to a voter; empty if nothing did."""
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old.own != new.own:
        return "modified"
    was, now = before.outputs.get(old.id), after.outputs.get(new.id)
    return "data" if was is not None and now is not None and was.digest != now.digest else ""


@dataclass(frozen=True, slots=True)
class _Task:
    """A task that both sides have: its items that both have, and gold [M] of these in codes of ``names``."""

    tasks: tuple[TaskInfo, TaskInfo]
    pairing: Pairing
    names: tuple[str, ...]
    gold: Any


def _task(before: Executor, after: Executor, sides: tuple[Side, Side], name: str) -> _Task | None:
    import numpy as np

    from teachkit.votes import SPLITS

    if name not in before.graph.tasks or name not in after.graph.tasks:
        return None
    tasks = before.graph.tasks[name], after.graph.tasks[name]
    runs = before, after
    if tasks[0].form != tasks[1].form or any(t.dataset not in r.outputs for t, r in zip(tasks, runs, strict=True)):
        return None
    contents = [[p.columns.get(t.key) for p in r.outputs[t.dataset].parts] for t, r in zip(tasks, runs, strict=True)]
    keys = [side.keys(task) for side, task in zip(sides, tasks, strict=True)]
    pairing = pair(keys[0], keys[1], same=contents[0] == contents[1] and None not in contents[0])
    names = (*tasks[1].labels, *(n for n in tasks[0].labels if n not in tasks[1].labels))
    gold = sides[1].gold(tasks[1])
    seen = gold.split != SPLITS.index("test")
    if not tasks[1].coded:
        values = np.where(seen, gold.values, tasks[1].answers.empty(1))
        return _Task(tasks, pairing, names, values[pairing.after])
    codes = np.where(seen[:, None] if tasks[1].multi else seen, gold.codes, -1)[pairing.after]
    return _Task(tasks, pairing, names, codes)


def _figures(
    about: VoterDiff, before: Executor, after: Executor, nodes: tuple[Node | None, Node | None], task: _Task | None
) -> VoterDiff:
    sides = [
        (end, run, node if node is not None and node.id in run.outputs else None)
        for end, run, node in zip(("before", "after"), (before, after), nodes, strict=True)
    ]
    found: dict[str, Any] = {}
    for end, run, node in sides:
        if node is not None:
            found |= {f"{key}_{end}": value for key, value in _alone(run, node).items()}
    if task is not None and about.kind == _PEOPLE:
        found |= _people(before, after, nodes, task)
    elif task is not None and not task.tasks[1].coded:
        found |= _of_values(sides, task)
    elif task is not None:
        codes = [_codes(run, node, task, n) if node is not None else None for n, (_, run, node) in enumerate(sides)]
        for end, code in zip(("before", "after"), codes, strict=True):
            found |= _precision(code, task, end) if code is not None else {}
        if codes[0] is not None and codes[1] is not None:
            found |= _moves(codes[0], codes[1])
            if about.kind == "prompt" and not task.tasks[1].multi:
                found["kappa"] = _kappa(codes[0], codes[1], len(task.names))
    return replace(about, **found)


def _of_values(sides: Sequence[tuple[str, Executor, Node | None]], task: _Task) -> dict[str, Any]:
    """Answers gained, lost and changed, and how many of those on gold are the same as gold."""
    kind = task.tasks[1].answers
    rows = (task.pairing.before, task.pairing.after)
    said = [
        values_column(run, node.id, task.tasks[n])[rows[n]] if node is not None else None
        for n, (_, run, node) in enumerate(sides)
    ]
    found: dict[str, Any] = {}
    for (end, _, _), values in zip(sides, said, strict=True):
        if values is not None:
            found |= _same_as_gold(kind, values, task.gold, end)
    if said[0] is None or said[1] is None:
        return found
    had, has = (~kind.missing(values) for values in said)
    both = (had & has).nonzero()[0]
    changed = int((~kind.same(said[0][both], said[1][both])).sum())
    moves = {"gained": int((~had & has).sum()), "lost": int((had & ~has).sum()), "changed": changed}
    return {**found, "compared": len(had), **moves}


_ENDS = (("low", "precision_low"), ("high", "precision_high"))


def _same_as_gold(kind: ValueKind, said: Any, gold: Any, end: str) -> dict[str, Any]:
    """A text is right or not, of spans each one is; of numbers precision says nothing, and is left out."""
    from teachkit.votes.intervals import wilson

    both = (~kind.missing(said) & ~kind.missing(gold)).nonzero()[0]
    if kind.name == "number":
        return {f"gold_{end}": len(both)}
    if kind.name == "span":
        found = kind.quality(said[both], gold[both])
        shares = {f"{name}_{end}": found[of] for name, of in (("precision", "precision"), *_ENDS)}
        return {f"gold_{end}": len(both), **shares}
    right = int(kind.same(said[both], gold[both]).sum())
    low, high = wilson(right, len(both)) or (None, None)
    share = right / len(both) if len(both) else None
    return {f"precision_{end}": share, f"gold_{end}": len(both), f"low_{end}": low, f"high_{end}": high}


def _alone(run: Executor, node: Node) -> dict[str, Any]:
    """What is known of a voter of one side: votes, and of a prompt what they cost."""
    output = run.outputs[node.id]
    if node.kind == _PEOPLE:
        return {"votes": sum(p.rows for p in output.parts)}
    task = run.graph.tasks[node.task or ""]
    if task.coded:
        votes = int(_spoken(stacked_votes(run, node.id, task)).sum())
    else:
        votes = int((~task.answers.missing(values_column(run, node.id, task))).sum())
    if node.kind != "prompt":
        return {"votes": votes}
    cost = float(sum(p.extra.get("cost", 0.0) for p in output.parts))
    return {"votes": votes, "cost": cost, "tokens": _tokens(run, node)}


def _tokens(run: Executor, node: Node) -> int | None:
    """The tokens in and out of all answers of a prompt, None if its answers came from elsewhere (recordings)."""
    keys: list[str] = []
    for part in run.outputs[node.id].parts:
        beside = answers_key(part.key)
        if run.store.has(beside):
            keys += [k for k in run.store.read(beside, ["request"]).column(0).to_pylist() if k]
    with response_store(run) as answers:
        return sum(answers.tokens(keys)) or None


def _spoken(codes: Any) -> Any:
    return (codes >= 0).any(axis=1)


def _codes(run: Executor, node: Node, task: _Task, side: int) -> Any:
    """Votes on the items of both sides, [M, 1] in codes of ``names``; of a multichoice task [M, L]."""
    import numpy as np

    mine = task.tasks[side]
    rows = (task.pairing.before, task.pairing.after)[side]
    codes = stacked_votes(run, node.id, mine)[rows]
    if mine.labels == task.names:
        return codes
    place = [task.names.index(label) for label in mine.labels]
    if not mine.multi:
        return np.array([*place, -1])[codes]
    wide = np.full((len(codes), len(task.names)), -1, dtype=codes.dtype)
    wide[:, place] = codes
    return wide


def _moves(before: Any, after: Any) -> dict[str, int]:
    had, has, other = _spoken(before), _spoken(after), (before != after).any(axis=1)
    return {
        "compared": len(before),
        "gained": int((~had & has).sum()),
        "lost": int((had & ~has).sum()),
        "changed": int((had & has & other).sum()),
    }


def _precision(codes: Any, task: _Task, end: str) -> dict[str, Any]:
    """How often votes on gold outside the test split are right."""
    from teachkit.votes.intervals import wilson

    gold = task.gold if task.gold.ndim == 2 else task.gold[:, None]
    if gold.shape[1] < codes.shape[1]:
        codes = codes[:, : gold.shape[1]]
    both = (codes >= 0) & (gold >= 0)
    n, right = int(both.sum()), int((both & (codes == gold)).sum())
    low, high = wilson(right, n) or (None, None)
    return {f"precision_{end}": right / n if n else None, f"gold_{end}": n, f"low_{end}": low, f"high_{end}": high}


def _kappa(before: Any, after: Any, n_labels: int) -> float | None:
    from teachkit.votes.agreement import cohen_kappa

    return cohen_kappa(before[:, 0], after[:, 0], n_labels).value


def _people(before: Executor, after: Executor, nodes: tuple[Node | None, Node | None], task: _Task) -> dict[str, int]:
    """Judgments gained, lost and changed, by item and annotator."""
    was = _judgments(before, nodes[0], task, 0)
    now = _judgments(after, nodes[1], task, 1)
    return {
        "compared": len(task.pairing.after),
        "gained": len(now.keys() - was.keys()),
        "lost": len(was.keys() - now.keys()),
        "changed": sum(was[key] != now[key] for key in was.keys() & now.keys()),
    }


def _judgments(run: Executor, node: Node | None, task: _Task, side: int) -> Mapping[tuple[int, str], Any]:
    """What each annotator says of each item of both sides: labels by name with yes or no."""
    if node is None or node.id not in run.outputs:
        return {}
    rows = (task.pairing.before, task.pairing.after)[side]
    place = {int(row): number for number, row in enumerate(rows.tolist())}
    labels = task.tasks[side].labels
    found: dict[tuple[int, str], set[tuple[str, bool]]] = {}
    for said in annotation_rows(run, node.id, task.tasks[side]).to_pylist():
        item = place.get(said["row"])
        if item is not None:
            label = str(said["value"]) if "value" in said else labels[said["code"]] if said["code"] >= 0 else ""
            found.setdefault((item, said["annotator"]), set()).add((label, bool(said["yes"])))
    return found
