"""A labeling function tried before it is kept: what it matches, how right it is, what it adds to the voters there."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import looking_at
from teachkit.build.gold import gold_files
from teachkit.build.looks import record_look
from teachkit.build.stored_votes import judgments, votes_column
from teachkit.build.voting import votes_now
from teachkit.errors import NotBuilt
from teachkit.graph.node import FUNCTIONS
from teachkit.review.analyze import check_gold_name, gold_of_task, label_set_of, measured_gold, voters_of
from teachkit.review.hits import Example, Seen, examples
from teachkit.review.standing import Standing, standing
from teachkit.review.tried import check_save, draft, open_tried, save

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from teachkit.build.execute import Executor
    from teachkit.build.run import BuildOptions
    from teachkit.graph import Node, TaskInfo
    from teachkit.review.tried import Draft, Wanted


@dataclass(frozen=True, slots=True)
class Claim:
    """What a voter says, one label (``yes`` false: of a multichoice task, that it does not hold), and how right it is.

    ``right`` of ``judged`` votes agree with gold: ``precision``, with its 95 % Wilson interval. ``believed``: the mean
    posterior of what is said, over the ``informed`` votes on items that voters of the label set speak of; ``base_rate``
    the same over all these items; ``lift`` the one divided by the other. ``true_items`` have gold that says this; of
    these the voter finds ``recall``, the voters that exist ``recall_before``, both together ``recall_after``.
    ``new``: votes on items that no voter has voted on.
    """

    label: str
    yes: bool
    votes: int
    coverage: float
    new: int
    right: int
    judged: int
    precision: float | None
    low: float | None
    high: float | None
    informed: int
    believed: float | None
    base_rate: float | None
    lift: float | None
    true_items: int
    recall: float | None
    recall_before: float | None
    recall_after: float | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """A voter beside the one that is tried: on how many both vote, and say the ``same``.

    ``share``: ``both`` of the votes of what is tried; ``similarity``: ``same`` of the votes of either, taken together.
    """

    voter: str
    kind: str
    votes: int
    both: int
    same: int
    conflicts: int
    share: float | None
    similarity: float | None
    near_copy: bool
    contains: bool
    """Whether it says nearly all that is tried, and more."""


@dataclass(frozen=True, slots=True)
class VoterTrial:
    """A labeling function, tried on all ``items``; ``votes`` is how many it votes on.

    ``label_set`` is whose posterior is meant, None with a note where there is none; ``fitted_without``: the voter was
    in it, so it was fitted again without. ``path`` and ``text``: what to write to keep a rule, which is ``saved`` then.
    ``test_looks``: which look at the task's test split this is, None if it is none.
    """

    voter: str
    task: str
    items: int
    votes: int
    coverage: float
    new: int
    polarity: Sequence[str]
    label_set: str | None
    fitted_without: bool
    gold_splits: str
    gold_items: int
    claims: Sequence[Claim]
    overlaps: Sequence[Overlap]
    hits: Sequence[Example]
    misses: Sequence[Example]
    notes: Sequence[str]
    path: str | None
    text: str | None
    saved: bool
    test_looks: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a labeling function is looked at: with which ``gold``, against which label set, with how many examples."""

    label_set: str | None = None
    gold: str | None = None
    examples: int = 10


def try_voters(root: Path, options: BuildOptions, wanted: Wanted, asked: Asked) -> list[VoterTrial]:
    """Try what is wanted: a trial for each labeling function that it means.

    Gold of the test split is left out unless ``asked.gold`` is ``test`` or ``all``; items of that split are no examples
    then, either.

    Raises:
        BadOption, UnknownNode: it is not said what is tried, or there is no such thing.
        NotBuilt: the items have not been built.
        TeachkitError: what is wrong with it, as in a build.
    """
    check_gold_name(asked.gold)
    with open_tried(root, options, wanted) as (work, nodes), looking_at(work) as run:
        task = work.graph.tasks[nodes[0].task or ""]  # of all of them: they are of one file
        written = draft(work.files, wanted, task.name)
        check_save(work, wanted, written, task.name)
        found = [_try(run, task, node, written, asked) for node in nodes]
        if any(looked for _, looked in found):
            number = record_look(run, task.name, nodes, by="try", gold=found[0][0].gold_splits)
            found = [(replace(one, test_looks=number), looked) for one, looked in found]
        if wanted.save is not None and written is not None:
            save(work.files, written)
            found = [(replace(one, saved=True), looked) for one, looked in found]
        return [one for one, _ in found]


def _try(run: Executor, task: TaskInfo, node: Node, written: Draft | None, asked: Asked) -> tuple[VoterTrial, bool]:
    """A trial, and whether gold of the test split was looked at."""
    run.resolve_upstream(task.dataset)
    run.resolve(run.graph[task.dataset])
    seen = _seen(run, task, node, asked)
    others, left_out = others_of(run, task, node)
    rivals = rivals_of(run, task, others)
    claims, overlaps, covered = compared(seen, rivals)
    known = (seen.gold >= 0).all(axis=1) if task.multi else seen.gold >= 0
    notes = [*([f"without a posterior: {seen.belief}"] if isinstance(seen.belief, str) else [])]
    if left_out:
        notes.append(f"not built as they are now, so left out: {', '.join(left_out)}")
    voted = seen.voted
    items = len(voted)
    hits, misses = examples(run, task, node, seen, asked.examples)
    belief = seen.belief if isinstance(seen.belief, Standing) else None
    trial = VoterTrial(
        voter=node.name,
        task=task.name,
        items=items,
        votes=int(voted.sum()),
        coverage=_share(voted.sum(), items) or 0.0,
        new=int((voted & ~covered).sum()),
        polarity=[c.label if c.yes else f"not {c.label}" for c in claims if c.votes],
        label_set=belief.label_set if belief else None,
        fitted_without=belief is not None and belief.without is not None,
        gold_splits=seen.splits,
        gold_items=int(known.sum()),
        claims=claims,
        overlaps=overlaps,
        hits=hits,
        misses=misses,
        notes=notes,
        path=written.path if written else node.where.path,
        text=written.text if written else None,
        saved=False,
    )
    return trial, seen.test_gold


def _seen(run: Executor, task: TaskInfo, node: Node, asked: Asked) -> Seen:
    """The votes of what is tried, gold, and what the label set believes."""
    import numpy as np

    from teachkit.votes import SPLITS

    run.resolve_upstream(node.id)
    if node.kind != "lf":
        if run.find(node) is None:  # a prompt is not asked here
            raise NotBuilt(None, node=node.id, name=node.name, target=run.files.target_name)
        run.resolve(node)
        names = [f"v{code}" for code in range(len(task.labels))] if task.multi else ["vote"]
        numbers = range(len(task.labels)) if task.multi else [None]
        codes = {name: votes_column(run, node.id, label) for name, label in zip(names, numbers, strict=True)}
    else:
        codes = votes_now(run, node)
    items = sum(part.rows for part in run.outputs[task.dataset].parts)
    if task.multi:
        said = np.full((items, len(task.labels)), -1, dtype=np.int8)
        for name, column in codes.items():
            if name.startswith("v") and name[1:].isdigit():
                said[:, int(name[1:])] = column
    else:
        said = codes.get("vote", np.full(items, -1, dtype=np.int8))
    for file in gold_files(run.graph, task):
        if run.find(file) is None:  # what was published is of other rows, or of other lines of the file
            raise NotBuilt(None, node=file.id, name=file.id, target=run.files.target_name)
    known = gold_of_task(run, task)
    gold, splits, test_gold = measured_gold(task, known, asked.gold)
    target = label_set_of(run.graph, task, asked.label_set)
    belief = standing(run, task, target, node) if target is not None else f"task '{task.name}' has no label model"
    always = task.labels.index(node.spec.label) if node.kind == "lf" and node.spec.label else None
    hides_test = task.has_splits and asked.gold not in ("test", "all")
    shown = known.split != SPLITS.index("test") if hides_test else np.ones(items, dtype=bool)
    return Seen(task, said, always, gold, splits, test_gold, belief, shown)


def others_of(run: Executor, task: TaskInfo, node: Node | None) -> tuple[list[Node], list[str]]:
    """The other voters of the task, and the ids of those that have no votes on these items as they are now.

    What was published before the items or the voter changed is of other rows.
    """
    found, missing = voters_of(run, task, None, current=True)
    left_out = sorted(voter for voter in missing if node is None or run.graph[voter].where.path != node.where.path)
    return [voter for voter in found if node is None or voter.id != node.id], left_out


@dataclass(frozen=True, slots=True)
class Rival:
    """Another voter: its codes on the ``rows`` [M] that it speaks of (None: on all); of a multichoice task [M, L]."""

    name: str
    kind: str
    codes: Any
    rows: Any = None


def rivals_of(run: Executor, task: TaskInfo, others: Sequence[Node]) -> list[Rival]:
    """What other voters of a task say."""
    return [*_functions(run, task, others), *_people(run, task, others)]


def _functions(run: Executor, task: TaskInfo, others: Sequence[Node]) -> Iterator[Rival]:
    from teachkit.build.stored_votes import stacked_votes

    for other in others:
        if other.kind in FUNCTIONS:
            codes = stacked_votes(run, other.id, task) if task.multi else votes_column(run, other.id, None)
            yield Rival(other.name, other.kind, codes)


def _people(run: Executor, task: TaskInfo, others: Sequence[Node]) -> Iterator[Rival]:
    """Annotators: of several judgments of one about an item the last counts."""
    import numpy as np

    files = [other.id for other in others if other.kind == "annotations"]
    if not files:
        return
    said = judgments(run, files, [other.name for other in others if other.kind in FUNCTIONS], task)
    order = np.argsort(said.voter, kind="stable")
    bounds = np.searchsorted(said.voter[order], np.arange(len(said.names) + 1))
    for number, name in enumerate(said.names):
        mine = order[bounds[number] : bounds[number + 1]]
        mine = mine[said.code[mine] >= 0]
        rows, place = np.unique(said.row[mine], return_inverse=True)
        if task.multi:
            several = np.full((len(rows), len(task.labels)), -1, dtype=np.int8)
            several[place, said.code[mine]] = said.yes[mine]
            yield Rival(name, "annotations", several, rows)
        else:
            codes = np.full(len(rows), -1, dtype=np.int16)
            codes[place] = said.code[mine]
            yield Rival(name, "annotations", codes, rows)


def compared(seen: Seen, rivals: Sequence[Rival]) -> tuple[list[Claim], list[Overlap], Any]:
    """What is claimed, how it overlaps with each other voter, and which items other voters speak of [N]."""
    import numpy as np

    claims = seen.claims()
    covered = np.zeros(len(seen.voted), dtype=bool)
    claimed = [np.zeros(len(covered), dtype=bool) for _ in claims]
    overlaps = []
    for rival in rivals:
        rows = slice(None) if rival.rows is None else rival.rows
        overlaps.append(_overlap(seen.said, rival, rows))
        covered[rows] |= (rival.codes >= 0).any(axis=1) if seen.task.multi else rival.codes >= 0
        for number, (code, yes, _) in enumerate(claims):
            theirs = rival.codes[:, code] == int(yes) if seen.task.multi else rival.codes == code
            claimed[number][rows] |= theirs
    overlaps.sort(key=lambda o: (-o.both, -(o.similarity or 0.0), o.voter))
    found = [
        _claim(seen, code, yes, mask, covered, before)
        for (code, yes, mask), before in zip(claims, claimed, strict=True)
    ]
    return found, overlaps, covered


def _overlap(said: Any, rival: Rival, rows: Any) -> Overlap:
    from teachkit.votes.faults import NEAR_COPY

    here = said[rows]
    both = (here >= 0) & (rival.codes >= 0)
    n_both, n_same = int(both.sum()), int((both & (here == rival.codes)).sum())
    mine, theirs = int((said >= 0).sum()), int((rival.codes >= 0).sum())
    similarity = _share(n_same, mine + theirs - n_both)
    near_copy = similarity is not None and similarity >= NEAR_COPY
    contains = not near_copy and mine > 0 and n_same >= NEAR_COPY * mine
    share = _share(n_both, mine)
    return Overlap(
        rival.name, rival.kind, theirs, n_both, n_same, n_both - n_same, share, similarity, near_copy, contains
    )


def _claim(seen: Seen, code: int, yes: bool, mask: Any, covered: Any, before: Any) -> Claim:
    from teachkit.votes.intervals import wilson

    known, true = seen.truth(code, yes=yes)
    judged, right = int((mask & known).sum()), int((mask & true).sum())
    low, high = wilson(right, judged) or (None, None)
    there = int(true.sum())
    informed, shares = seen.belief_in(code, yes=yes)
    believed = _mean(shares, mask & informed)
    base = _mean(shares, informed)
    return Claim(
        label=seen.task.labels[code],
        yes=yes,
        votes=int(mask.sum()),
        coverage=_share(mask.sum(), len(mask)) or 0.0,
        new=int((mask & ~covered).sum()),
        right=right,
        judged=judged,
        precision=_share(right, judged),
        low=low,
        high=high,
        informed=int((mask & informed).sum()),
        believed=believed,
        base_rate=base,
        lift=believed / base if believed is not None and base else None,
        true_items=there,
        recall=_share(right, there),
        recall_before=_share((before & true).sum(), there),
        recall_after=_share(((before | mask) & true).sum(), there),
    )


def _mean(values: Any, mask: Any) -> float | None:
    return float(values[mask].mean()) if mask.any() else None


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
