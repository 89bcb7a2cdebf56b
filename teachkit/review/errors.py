"""The errors of a label set against gold: confusion cells, whose fault each item is, which voters bring them about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import Fitted, has_likelihood, log_prior_of
from teachkit.build.execute import looking_at
from teachkit.build.fitting import load_fitted, stored_parameters
from teachkit.build.keys import output_of
from teachkit.build.looks import record_look
from teachkit.build.stored_votes import cast_votes, compared, label_codes
from teachkit.errors import BadOption, NotBuilt, UnknownNode, did_you_mean, listing
from teachkit.graph.node import FUNCTIONS
from teachkit.review.advice import advice_on
from teachkit.review.analyze import check_gold_name, gold_for, needed_label_set
from teachkit.review.error_report import Cell, Culprit, ErrorItem, ErrorReport, Fault, Share
from teachkit.review.excerpts import excerpt, order_of, rows_of, shown_columns
from teachkit.review.standing import aligned, record_of, resolved, shares_of
from teachkit.review.tried import check_kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.build.workspace import Workspace
    from teachkit.graph import Graph, Node, TaskInfo
    from teachkit.store import ObjectMeta
    from teachkit.votes.faults import Errors

NONE = "none"
"""How a cell is called whose items have no label."""
_PRIOR = "the class prior"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to list: items of a ``cell``, of a ``fault``, up to ``limit``; measured on which ``gold``."""

    gold: str | None = None
    cell: str | None = None
    fault: str | None = None
    limit: int = 20


def find_errors(work: Workspace, name: str, wish: Wish) -> ErrorReport:
    """Where a label set differs from gold, by the label model's own answer, and whose fault each error is.

    Args:
        work: The compiled project.
        name: A task, for its first label set, or a label set.
        wish: Which gold, and which items to list. Gold of the test split is left out unless asked for.

    Raises:
        UnknownNode, BadOption: there is no such task, label set or cell.
        NotBuilt: the label set was never built.
    """
    from teachkit.votes.faults import FAULTS

    check_gold_name(wish.gold)
    if wish.fault is not None and wish.fault not in FAULTS:
        advice = f"write one of: {listing(FAULTS)}"
        raise BadOption(None, option="--fault", problem=f"'{wish.fault}' is no fault", advice=advice)
    node = _label_set(work.graph, name)
    check_kind(work.graph.tasks[node.task or ""].kind, node.task or "", "errors")
    with looking_at(work) as run:
        return _find(run, work.graph.tasks[node.task or ""], node, wish)


def _label_set(graph: Graph, name: str) -> Node:
    if name in graph.tasks:
        return needed_label_set(graph, graph.tasks[name], None)
    there = {n.name: n for n in graph.of("label_set")}
    short = name.removeprefix("label_set.")
    if short not in there:
        known = sorted({*graph.tasks, *there})
        kind = "task or label set"
        raise UnknownNode(None, kind=kind, name=name, known=listing(known, 30), hint=did_you_mean(name, known))
    return there[short]


def _find(run: Executor, task: TaskInfo, node: Node, wish: Wish) -> ErrorReport:
    import numpy as np

    made = _made(run, task, node)
    gold, splits, test_gold = gold_for(run, task, wish.gold)
    looks = record_look(run, task.name, [node], by="errors", gold=splits) if test_gold else None
    groups = [_Group(task, made, gold, label) for label in range(len(task.labels))] if task.multi else None
    found = groups or [_Group(task, made, gold, None)]
    known = (gold >= 0).all(axis=1) if task.multi else gold >= 0
    judged = sum(int(g.known.sum()) for g in found)
    undecided = sum(g.undecided for g in found)
    wrong = sum(len(g.errors.rows) for g in found)
    unlabeled = sum(int((g.errors.label[g.errors.group_of] < 0).sum()) for g in found)
    cells = sorted((c for g in found for c in g.cells(made)), key=lambda c: (-c.items, c.cell))
    faults = Counter(dict.fromkeys(_names(), 0))
    for cell in cells:
        for fault in cell.faults:
            faults[fault.fault] += fault.items
    notes = _notes(node, task, made, int(np.count_nonzero(known)), splits)
    items, listed_of = _items(run, task, made, found, cells, wish)
    from teachkit.votes.faults import INDEPENDENT, RELIABLE, SURE

    return ErrorReport(
        task=task.name,
        label_set=node.name,
        gold_splits=splits,
        gold_items=int(np.count_nonzero(known)),
        right=judged - wrong - undecided,
        wrong=wrong,
        unlabeled=unlabeled,
        undecided=undecided,
        faults=dict(faults),
        cells=cells,
        voters=_culprits(found, made),
        items=items,
        listed_of=listed_of,
        measure=made.measure,
        thresholds={"posterior": SURE, "voters": INDEPENDENT, "precision": RELIABLE},
        notes=notes,
        test_looks=looks,
    )


def _names() -> Sequence[str]:
    from teachkit.votes.faults import FAULTS

    return FAULTS


def _notes(node: Node, task: TaskInfo, made: _Made, gold_items: int, splits: str) -> list[str]:
    notes = []
    if not gold_items:
        notes.append(f"no item has gold ({splits}), so there is nothing to compare {node.name} with")
    if made.stale:
        notes.append(f"{node.name} is as it was last built, and not up to date: files have changed since")
    if made.measure == "votes":
        notes.append(f"{node.name} does not say what a vote weighs: each counts the same here")
    return notes


# ---------------------------------------------------------------------------- as it was made


@dataclass(frozen=True, slots=True)
class _Made:
    """A label set as it was made: the votes, what was fitted (None where models do not keep parameters), its rows.

    ``decided`` [N] or [N, L] is the label model's own answer, ``final`` that of the label set; ``posterior`` [N, L].
    ``stale``: a build would make another one.
    """

    cast: Cast
    fitted: Fitted
    learned: Sequence[Mapping[str, float | None]]
    decided: Any
    final: Any
    posterior: Any
    stale: bool

    @property
    def kinds(self) -> dict[str, str]:
        """Voter -> its kind."""
        return {voter: node.partition(".")[0] for voter, node in self.cast.kinds.items()}

    @property
    def measure(self) -> str:
        """What weights are: ``log_odds``, ``share``, or just ``votes``."""
        if any(model is None for model in self.fitted.models):
            return "votes"
        return "log_odds" if all(map(has_likelihood, self.fitted.models)) else "share"


def _made(run: Executor, task: TaskInfo, node: Node) -> _Made:
    import numpy as np

    parts = resolved(run, node)
    if parts is None:
        raise NotBuilt(None, node=node.id, name=node.name, target=run.files.target_name)
    inputs = record_of(run, parts)
    stale = run.find(node) is None or any(
        name not in run.graph.nodes or about["fingerprint"] != run.graph[name].fingerprint
        for name, about in inputs.items()
    )
    _as_recorded(run, node, inputs)
    voters = [i for i in inputs if i.startswith(tuple(f"{kind}." for kind in FUNCTIONS))]
    people = [i for i in inputs if i.startswith("annotations.") and run.graph[i].spec.meta.role == "annotator"]
    cast = cast_votes(run, task, voters, people, dict.fromkeys([*voters, *people], ""))
    parameters = run.store.meta(parts[0].extra["parameters"])
    if parameters is None:
        raise NotBuilt(None, node=node.id, name=node.name, target=run.files.target_name)
    sides = parameters.extra.get("recipe", {}).get("sides")
    cast = compared(run, task, cast, tuple(sides) if sides else None)
    table = run.store.read(parameters.key)
    fitted = load_fitted(parameters.extra["algorithm"], table)
    if any(m is not None and m.voters_ != v.voters for m, v in zip(fitted.models, cast.votes, strict=True)):
        fitted = Fitted([None] * len(cast.votes))
    kept = stored_parameters(table)
    learned = [{one["voter"]: one["accuracy"] for one in (p or {}).get("learned", ())} for p in kept]
    rows = aligned(run, task, parts, inputs, ["posterior", "model_label", "label"])
    decided = [label_codes(t.column("model_label"), task.labels, multi=task.multi) for t in rows]
    final = [label_codes(t.column("label"), task.labels, multi=task.multi) for t in rows]
    posterior = [shares_of(t.column("posterior"), task.labels) for t in rows]
    own, in_the_end, shares = (np.concatenate(codes) for codes in (decided, final, posterior))
    return _Made(cast, fitted, learned, own, in_the_end, shares, stale)


def _as_recorded(run: Executor, node: Node, inputs: Mapping[str, Any]) -> None:
    """Look at what the label set was made of, whatever was built since."""
    for name, about in inputs.items():
        metas: list[ObjectMeta | None] = [run.store.meta(key) for key in about["objects"]]
        if name not in run.graph.nodes or not all(metas):
            problem = f"it was made with '{name}', which is not there any more"
            raise BadOption(None, option=node.name, problem=problem, advice="run 'teachkit build' first")
        run.outputs[name] = output_of([m for m in metas if m is not None])


# ---------------------------------------------------------------------------- one confusion


class _Group:
    """The errors of a task with one label an item, or those about one ``about`` of a multichoice task."""

    def __init__(self, task: TaskInfo, made: _Made, gold: Any, about: int | None) -> None:
        from teachkit.votes.faults import find_errors as errors_of
        from teachkit.votes.faults import right_votes

        self.task = task
        self.about = about
        self.votes = made.cast.votes[about or 0]
        self.models = [one[about or 0] for one in (made.fitted.models, *(held.models for held in made.fitted.held))]
        self.kinds = made.kinds
        self.gold = gold if about is None else gold[:, about]
        decided = made.decided if about is None else made.decided[:, about]
        self.posterior = made.posterior if about is None else _two(made.posterior[:, about])
        self.known = self.gold >= 0
        wrong = self.known & (decided != self.gold)
        if about is not None:
            wrong &= (self.gold == 1) | (decided == 1)  # a label that does not hold and is not given is no error
        self.undecided = int((self.known & (decided < 0) & ~wrong).sum())
        learned = [made.learned[about or 0].get(voter) for voter in self.votes.voters]
        judge = made.fitted.judges(len(decided))
        self.errors: Errors = errors_of(self.votes, self.gold, decided, self.posterior, wrong, learned, judge)
        right, judged = right_votes(self.votes, self.gold)
        self.judged, self.wrong = judged.sum(axis=1), (judged - right).sum(axis=1)
        self.odds = self._odds()
        self.strongest = [self._strongest(number) for number in range(len(self.odds))]

    def _odds(self) -> list[dict[str, float]]:
        """For each group of errors, what each vote and silence moved the label set from gold, and the class prior."""
        found = []
        errors, kept = self.errors, {}
        for number, judged in enumerate(zip(errors.pattern.tolist(), errors.judge.tolist(), strict=True)):
            if judged not in kept:
                kept[judged] = self._moved(*judged)
            moved = kept[judged]
            gold, label = int(errors.gold[number]), int(errors.against[number])
            found.append({voter: float(by[label] - by[gold]) for voter, by in moved.items()})
        return found

    def _moved(self, pattern: int, judge: int) -> dict[str, Any]:
        import numpy as np

        model = self.models[judge]
        part = slice(int(self.votes.indptr[pattern]), int(self.votes.indptr[pattern + 1]))
        entries = zip(self.votes.voter[part], self.votes.code[part], strict=True)
        said = {self.votes.voters[v]: int(c) for v, c in entries}
        if model is None:
            return {voter: np.eye(self.votes.n_labels)[code] for voter, code in said.items()}
        moved = {
            voter if voter in said else f"the silence of {voter}": by
            for voter, by in model.contributions(self.votes, pattern).items()
        }
        prior = log_prior_of(model, self.votes, pattern)
        return moved if prior is None else {**moved, _PRIOR: prior}

    def said(self, number: int) -> dict[str, int]:
        """The votes on the items of a group of errors."""
        votes = self.errors.votes
        part = slice(int(votes.indptr[number]), int(votes.indptr[number + 1]))
        return {votes.voters[v]: int(c) for v, c in zip(votes.voter[part], votes.code[part], strict=True)}

    def _strongest(self, number: int) -> str | None:
        """What weighed most against gold; of equals the first by name."""
        odds = self.odds[number]
        best = min(odds, key=lambda voter: (-odds[voter], voter), default=None)
        return best if best is not None and odds[best] > 0 else None

    # -- cells

    def key(self, gold: int, label: int) -> tuple[str, str, str | None]:
        """How a cell is called, its gold and its label."""
        if self.about is not None:
            name = self.task.labels[self.about]
            kind = "missed" if gold == 1 else "given"
            return f"{name}:{kind}", name if gold == 1 else f"not {name}", kind
        given = self.task.labels[label] if label >= 0 else None
        return f"{self.task.labels[gold]}:{given or self.none}", self.task.labels[gold], given

    @property
    def none(self) -> str:
        """How a cell is called whose items have no label: told apart from a label of that name."""
        return f"({NONE})" if NONE in self.task.labels else NONE

    def cells(self, made: _Made) -> list[Cell]:
        groups: dict[tuple[str, str, str | None], dict[int, list[int]]] = {}
        for number, (gold, label, fault) in enumerate(
            zip(self.errors.gold, self.errors.label, self.errors.fault, strict=True)
        ):
            groups.setdefault(self.key(int(gold), int(label)), {}).setdefault(int(fault), []).append(number)
        return [self._cell(key, by_fault) for key, by_fault in groups.items()]

    def _cell(self, key: tuple[str, str, str | None], by_fault: Mapping[int, Sequence[int]]) -> Cell:
        cell, gold, label = key
        faults = [self._fault(key, _names()[fault], numbers) for fault, numbers in sorted(by_fault.items())]
        return Cell(cell, gold, label, sum(f.items for f in faults), faults)

    def _fault(self, key: tuple[str, str, str | None], fault: str, numbers: Sequence[int]) -> Fault:
        counts = self.errors.counts
        against: Counter[str] = Counter()
        for_gold: Counter[str] = Counter()
        for number in numbers:
            items, gold = int(counts[number]), int(self.errors.gold[number])
            strongest = self.strongest[number] if fault == "outvoted" else None
            if strongest is not None:
                against[strongest] += items
            for voter, code in self.said(number).items():
                if code == gold:
                    for_gold[voter] += items
                elif fault != "outvoted":
                    against[voter] += items
        voters, outvoted = self._shares(against), self._shares(for_gold)
        items = int(sum(counts[n] for n in numbers))
        cell, gold_name, label = key
        advice = advice_on(self.task, fault, cell, gold_name, label, voters, outvoted)
        return Fault(fault, items, voters, outvoted, advice)

    def _shares(self, found: Counter[str]) -> list[Share]:
        place = {voter: number for number, voter in enumerate(self.votes.voters)}
        shares = []
        for voter, items in sorted(found.items(), key=lambda one: (-one[1], one[0])):
            number = place.get(voter)
            votes, wrong = (int(self.judged[number]), int(self.wrong[number])) if number is not None else (0, 0)
            shares.append(Share(voter, self.kinds.get(voter), items, votes, wrong))
        return shares


def _two(share: Any) -> Any:
    """Shares of yes [N] as shares of no and yes [N, 2]."""
    import numpy as np

    return np.stack([1 - share, share], axis=1)


def _culprits(groups: Sequence[_Group], made: _Made) -> list[Culprit]:
    """The voters that voted against gold in an error, most such votes first; where gold is suspicious they are not."""
    errors: Counter[str] = Counter()
    decisive: Counter[str] = Counter()
    weight: Counter[str] = Counter()
    votes: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for group in groups:
        counts = group.errors.counts
        for voter, judged, missed in zip(group.votes.voters, group.judged, group.wrong, strict=True):
            votes[voter] += int(judged)
            wrong[voter] += int(missed)
        for number, fault in enumerate(group.errors.fault):
            if _names()[fault] == "gold":
                continue
            strongest, items = group.strongest[number], int(counts[number])
            for voter, code in group.said(number).items():
                if code != group.errors.gold[number]:
                    errors[voter] += items
                    decisive[voter] += items * (voter == strongest)
                    weight[voter] += items * group.odds[number].get(voter, 0.0)  # type: ignore[assignment]
    kinds = made.kinds
    known = made.measure != "votes"
    return [
        Culprit(v, kinds[v], votes[v], wrong[v], n, decisive[v], float(weight[v]) if known else None)
        for v, n in sorted(errors.items(), key=lambda one: (-one[1], -weight[one[0]], one[0]))
    ]


# ---------------------------------------------------------------------------- items


def _items(
    run: Executor, task: TaskInfo, made: _Made, groups: Sequence[_Group], cells: Sequence[Cell], wish: Wish
) -> tuple[list[ErrorItem], int]:
    """The items that are asked for: surest errors first, of equals by the hash of the key; how many there are."""
    if wish.cell is None and wish.fault is None:
        return [], 0
    there = [cell.cell for cell in cells]
    if wish.cell is not None and wish.cell not in there:
        hint = did_you_mean(wish.cell, there)
        problem, advice = f"no error is in a cell '{wish.cell}'", f"cells with errors: {listing(there, 30)}.{hint}"
        raise BadOption(None, option="--cell", problem=problem, advice=advice)
    chosen = []
    for group in groups:
        errors = group.errors
        for row, number in zip(errors.rows.tolist(), errors.group_of.tolist(), strict=True):
            cell, _, _ = group.key(int(errors.gold[number]), int(errors.label[number]))
            fault = _names()[errors.fault[number]]
            if wish.cell in (None, cell) and wish.fault in (None, fault):
                chosen.append((row, number, group))
    order = order_of(run, task)
    chosen.sort(key=lambda one: (-_sure(*one), int(order[one[0]]), one[0]))
    shown = chosen[: wish.limit]
    columns = shown_columns(task, None, run.graph[task.dataset].columns or ())
    rows = rows_of(run, task, sorted({row for row, _, _ in shown}), columns)
    return [_item(task, made, group, number, row, rows[row]) for row, number, group in shown], len(chosen)


def _sure(row: int, number: int, group: _Group) -> float:
    share = float(group.posterior[row, group.errors.against[number]])
    return share if share == share else 0.0


def _item(task: TaskInfo, made: _Made, group: _Group, number: int, row: int, values: Mapping[str, Any]) -> ErrorItem:
    errors = group.errors
    gold, label = int(errors.gold[number]), int(errors.label[number])
    cell, gold_name, label_name = group.key(gold, label)
    names = (f"not {gold_name.removeprefix('not ')}", gold_name.removeprefix("not ")) if task.multi else task.labels
    said = group.said(number)
    shares = group.posterior[row]
    return ErrorItem(
        item=str(values["key"]),
        cell=cell,
        gold=gold_name,
        label=label_name,
        fault=_names()[errors.fault[number]],
        p_gold=_plain(shares[gold]),
        p_label=_plain(shares[label]) if label >= 0 else None,
        right=[voter for voter, code in said.items() if code == gold],
        wrong={voter: names[code] for voter, code in said.items() if code != gold},
        strongest=group.strongest[number],
        decided=_decided(task, made, row),
        texts={c: excerpt(v) for c, v in values.items() if c != "key" and v is not None},
    )


def _plain(share: float) -> float | None:
    return float(share) if share == share else None


def _decided(task: TaskInfo, made: _Made, row: int) -> str | Sequence[str] | None:
    """What a curator or gold made of an item, None where the label model decided."""
    final, own = made.final[row], made.decided[row]
    if task.multi:
        if (final == own).all():
            return None
        return [name for name, holds in zip(task.labels, final, strict=True) if holds == 1]
    return None if final == own or final < 0 else task.labels[int(final)]
