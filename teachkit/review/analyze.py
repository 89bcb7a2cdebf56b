"""The analysis of a task's voters: coverage, overlaps, conflicts, polarity, accuracy on gold and as learned."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import looking_at
from teachkit.build.fitting import load_fitted, stored_parameters
from teachkit.build.gold import gold_files, read_gold
from teachkit.build.looks import record_look
from teachkit.build.stored_votes import cast_votes
from teachkit.errors import BadOption, OfOtherItems, TeachkitError, UnknownNode, did_you_mean, listing
from teachkit.graph import find_task
from teachkit.graph.node import FUNCTIONS
from teachkit.review.analyze_agreement import agreement_section
from teachkit.review.analyze_annotators import annotators_section
from teachkit.review.analyze_marginal import marginal_section
from teachkit.review.analyze_pairs import pairs_section
from teachkit.review.analyze_slices import items_of, narrowed, slice_named, slices_section
from teachkit.review.analyze_values import value_rows
from teachkit.review.calibration import calibration_of
from teachkit.review.contestants import SideRow, scores, side_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Graph, Node, TaskInfo
    from teachkit.review.analyze_agreement import AgreementSection
    from teachkit.review.analyze_annotators import AnnotatorsSection
    from teachkit.review.analyze_marginal import MarginalSection
    from teachkit.review.analyze_pairs import PairsSection
    from teachkit.review.analyze_slices import SlicesSection
    from teachkit.votes.calibration import PosteriorCalibration

SECTIONS = ("pairs", "agreement", "annotators", "marginal", "slices")
GOLD = ("train", "tune", "test", "all")


@dataclass(frozen=True, slots=True)
class VoterRow:
    """One voter (of a multichoice task: and one label). Shares are of all items.

    ``accuracy`` is over the voter's votes on items with gold, with its Wilson interval; ``learned`` is what the label
    model believes, which knows gold only as far as it was told.
    """

    voter: str
    kind: str
    label: str | None
    polarity: Sequence[str]
    votes: int
    coverage: float
    overlaps: float
    conflicts: float
    correct: int
    incorrect: int
    accuracy: float | None
    low: float | None
    high: float | None
    learned: float | None
    learned_low: float | None
    learned_high: float | None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """Where answers are values: their quality on the items with gold, and under ``learned_…`` what the label model
    believes, both by the names that the kind of answer and the model have for them."""

    @property
    def gap(self) -> bool:
        """Whether what the label model believes and what gold shows cannot both be: their intervals do not meet."""
        known = None not in (self.low, self.high, self.learned_low, self.learned_high)
        return known and (self.learned_low > self.high or self.learned_high < self.low)  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class TaskAnalysis:
    """All voters of a task. ``gold_splits`` says which gold ``accuracy`` is measured on.

    ``gold_in_fit``: the label model was told some of this gold, so that what it believes of voters is nearer to it; its
    labels are not, as a fit that was not told an item's gold judges it.

    ``test_looks``: which look at the task's test split this is, None if it is none. Of a pairwise task: ``scores`` of
    what is compared, and to which of the ``sides`` voters lean.
    """

    task: str
    label_set: str | None
    items: int
    covered: int
    conflicts: float
    gold_splits: str
    gold_items: int
    gold_in_fit: bool
    voters: Sequence[VoterRow]
    missing: Sequence[str]
    test_looks: int | None = None
    calibration: PosteriorCalibration | None = None
    """How far the label set's posteriors keep their word on this gold; None without."""
    doubts: Sequence[str] = ()
    """What the fit can be doubted for, in sentences."""
    scores: Sequence[Mapping[str, Any]] = ()
    sides: Sequence[SideRow] = ()
    slice: str | None = None
    """The slice that all of this is about; None: all items."""
    gaps: Sequence[str] = ()
    """Voters of which the label model believes what gold contradicts, in sentences."""
    pairs: PairsSection | None = None
    agreement: AgreementSection | None = None
    annotators: AnnotatorsSection | None = None
    marginal: MarginalSection | None = None
    slices: SlicesSection | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values; sections that were not asked for are left out."""
        return {k: v for k, v in asdict(self).items() if v is not None or k not in SECTIONS}


@dataclass(frozen=True, slots=True)
class Ask:
    """What to look at: a ``label_set``, a split of ``gold`` (or ``all``), a ``slice``, and which more ``sections``."""

    label_set: str | None = None
    gold: str | None = None
    slice: str | None = None
    sections: Collection[str] = ()


def analyze_task(work: Workspace, name: str, ask: Ask | None = None) -> TaskAnalysis:
    """Analyze the voters of a task.

    Args:
        work: The compiled project.
        name: The task.
        ask: What to look at. Without a label set, the task's first one; without ``gold``, all gold outside the test
            split, so that working on voters does not tune them to it (a task without splits has all measured).

    Raises:
        UnknownNode, UnknownSlice, BadOption: there is no such task, label set, slice or split.
        NotBuilt: its votes are not there.
    """
    task = find_task(work.graph, name)
    ask = ask or Ask()
    check_gold_name(ask.gold)
    for section in ask.sections:
        if section not in SECTIONS:
            advice = f"write some of: {listing(SECTIONS)}"
            raise BadOption(None, option="sections", problem=f"'{section}' is no section", advice=advice)
    with looking_at(work) as run:
        return _analyze(work, run, task, ask)


def _analyze(work: Workspace, run: Executor, task: TaskInfo, ask: Ask) -> TaskAnalysis:
    node = label_set_of(work.graph, task, ask.label_set)
    voters, missing = voters_of(run, task, node)
    if not voters and missing:
        with suppress(OfOtherItems):  # these are left out
            run.resolve(work.graph[missing[0]])  # says that nothing was built
    codes, splits, test_gold = gold_for(run, task, ask.gold)
    chosen: Any = slice(None)
    if ask.slice is not None:
        check_kind_of_slice(task)
        chosen = items_of(run, task, slice_named(run, task, ask.slice))
    looks = record_look(run, task.name, voters, by="analyze", gold=splits) if test_gold else None
    cast, rows = voter_rows(run, task, node, voters, codes, chosen)
    parameters, current = _parameters(run, node), _is_current(run, node)
    from teachkit.votes.analysis import conflict_rate

    first = cast.votes[0]
    covered = first.votes_per_item > 0
    for votes in cast.votes[1:]:
        covered |= votes.votes_per_item > 0
    return TaskAnalysis(
        task=task.name,
        label_set=node.name if node else None,
        items=first.n_items,
        covered=int(covered.sum()),
        conflicts=sum(conflict_rate(v) for v in cast.votes) / len(cast.votes),
        gold_splits=splits,
        gold_items=int(_known(codes[chosen], task).sum()),
        gold_in_fit=learned_from(node, task, splits),
        voters=rows,
        missing=missing,
        test_looks=looks,
        calibration=(
            calibration_of(run, task, node, codes) if node and task.coded and ask.slice is None and current else None
        ),
        doubts=_doubts(run, node, task, splits, current=current),
        scores=scores(parameters),
        sides=side_rows(run, task, cast, parameters) if ask.slice is None else (),
        slice=ask.slice,
        gaps=[_gap(row) for row in rows if row.gap and current],
        **_sections(run, task, node, cast, codes, chosen, voters, missing, ask),
    )


def learned_from(node: Node | None, task: TaskInfo, splits: str) -> bool:
    """Whether a label set is fitted with gold that is measured on (``splits``, as ``gold_for`` has them)."""
    return node is not None and node.spec.taught and task.has_splits and splits not in ("train", "test")


def _is_current(run: Executor, node: Node | None) -> bool:
    """Whether a label set is built of what there is now; what was published before may be of other rows."""
    return node is not None and node.id in run.outputs and run.find(node) is not None


def _gap(row: VoterRow) -> str:
    about = f" about {row.label}" if row.label is not None else ""
    believed = f"{row.learned:.0%} ({row.learned_low:.0%} to {row.learned_high:.0%})"
    return (
        f"{row.voter}{about} is believed to be right in {believed}, but on gold it is in {row.accuracy:.0%} "
        f"({row.low:.0%} to {row.high:.0%})"
    )


def check_kind_of_slice(task: TaskInfo) -> None:
    """Refuse ``--slice`` where answers are values."""
    if not task.coded:
        problem = f"task '{task.name}' is of the kind '{task.kind}', whose answers are values"
        raise BadOption(None, option="--slice", problem=problem, advice="leave it out")


def _sections(
    run: Executor,
    task: TaskInfo,
    node: Node | None,
    cast: Cast,
    codes: Any,
    chosen: Any,
    voters: Sequence[Node],
    missing: Sequence[str],
    ask: Ask,
) -> dict[str, Any]:
    """The sections that are asked for."""
    people = [v.id for v in voters if v.kind == "annotations"]
    asked, models = ask.sections, _models(run, node, cast) if {"pairs", "annotators"} & set(ask.sections) else []
    found: dict[str, Any] = {}
    if "pairs" in asked:
        found["pairs"] = pairs_section(task, cast, models)
    if "agreement" in asked:
        found["agreement"] = agreement_section(run, task, cast, people if ask.slice is None else ())
    if "annotators" in asked:
        found["annotators"] = annotators_section(run, task, cast, models, codes[chosen], people)
    if "marginal" in asked:
        found["marginal"] = marginal_section(run, task, node, codes, missing, chosen)
    if "slices" in asked and ask.slice is None:
        found["slices"] = slices_section(run, task, node if _is_current(run, node) else None, cast, codes)
    return found


def _models(run: Executor, node: Node | None, cast: Cast) -> list[Any]:
    """The fitted label models of a label set that is built; None for those that do not know just these voters."""
    output = run.outputs.get(node.id) if node is not None else None
    parameters = run.store.meta(output.parts[0].extra["parameters"]) if output and output.parts else None
    if node is None or parameters is None:
        return []
    models = load_fitted(node.spec.algorithm, run.store.read(parameters.key)).models
    sides = node.spec.sides is not None  # such a model wants to know what is compared
    return [
        m if m is not None and not sides and m.voters_ == v.voters else None
        for m, v in zip(models, cast.votes, strict=False)
    ]


def _known(gold: Any, task: TaskInfo) -> Any:
    """Which items have gold [N]."""
    if not task.coded:
        return ~task.answers.missing(gold)
    return (gold >= 0).all(axis=1) if task.multi else gold >= 0


def voter_rows(
    run: Executor, task: TaskInfo, node: Node | None, voters: Sequence[Node], codes: Any, chosen: Any = None
) -> tuple[Cast, list[VoterRow]]:
    """The votes of some voters of a task, and a row for each of them.

    Args:
        run: What has their outputs.
        task: The task.
        node: The label set whose learned accuracies are shown.
        voters: Voters, as of ``voters_of``.
        codes: Gold, as of ``gold_for``; -1 (or no answer) where it is not known, or not to be looked at.
        chosen: A mask [N] of the items to look at; default: all.
    """
    abstain = {v.id: v.spec.abstain for v in voters}
    functions = [v.id for v in voters if v.kind in FUNCTIONS]
    people = [v.id for v in voters if v.kind == "annotations"]
    cast = cast_votes(run, task, functions, people, abstain)
    learned = _learned(run, node)
    if chosen is not None and not isinstance(chosen, slice):
        cast, codes = narrowed(cast, chosen), codes[chosen]
    if not task.coded:
        return cast, [VoterRow(**row) for row in value_rows(cast, codes, learned[0] if learned else {})]
    rows: list[VoterRow] = []
    for number, votes in enumerate(cast.votes):
        of_label = codes[:, number] if task.multi else codes
        rows += _rows(votes, of_label, task, number, cast.kinds, learned[number] if number < len(learned) else {})
    return cast, rows


def label_set_of(graph: Graph, task: TaskInfo, name: str | None) -> Node | None:
    """The label set of a task with this name; without a name its first, None if it has none."""
    there = [n for n in graph.of("label_set") if n.task == task.name]
    if name is None:
        return there[0] if there else None
    found = next((n for n in there if name in (n.name, n.id)), None)
    if found is None:
        known, kind = [n.name for n in there], f"label model of task '{task.name}'"
        raise UnknownNode(None, kind=kind, name=name, known=listing(known), hint=did_you_mean(name, known))
    return found


def needed_label_set(graph: Graph, task: TaskInfo, name: str | None) -> Node:
    """``label_set_of``, where without one there is nothing to show.

    Raises:
        UnknownNode, BadOption: there is none of this name, or none at all.
    """
    found = label_set_of(graph, task, name)
    if found is None:
        advice = f"write one in label_models/ for task '{task.name}'"
        raise BadOption(None, option="TASK", problem=f"task '{task.name}' has no label model", advice=advice)
    return found


def voters_of(
    run: Executor, task: TaskInfo, node: Node | None, *, current: bool = False
) -> tuple[list[Node], list[str]]:
    """The voters of a label set, or of the task, whose votes are there, and the ids of those whose are not.

    What was published before the items changed is of other rows: it is not there. The votes of a voter whose file has
    changed since are, unless only ``current`` ones are asked for.
    """
    chosen = {*node.spec.voters, *node.spec.annotations} if node else None
    there = [n for n in run.graph.of(*FUNCTIONS, "annotations") if n.task == task.name]
    if chosen is None:
        voters = [n for n in there if n.kind in FUNCTIONS or n.spec.meta.role == "annotator"]
    else:
        voters = [n for n in there if n.id in chosen]
    run.resolve_upstream(task.dataset)
    run.resolve(run.graph[task.dataset])
    found: list[Node] = []
    missing: list[str] = []
    for voter in voters:
        try:
            run.resolve_upstream(voter.id)
            run.resolve(voter)
            there_now = run.find(voter) is not None or (not current and _of_an_earlier_definition(run, voter, task))
        except TeachkitError:
            there_now = False
        if there_now:
            found.append(voter)
        else:
            missing.append(voter.id)
    return found, missing


def _of_an_earlier_definition(run: Executor, voter: Node, task: TaskInfo) -> bool:
    """Whether votes that are published are by another definition of the voter, of the items that there are."""
    before = run.published["nodes"].get(voter.id)
    rows = [[p.rows for p in run.outputs[i].parts] for i in (voter.id, task.dataset)]
    same = before is not None and (before["items"] is not None or rows[0] == rows[1])  # else it is not resolved
    return before is not None and before["definition"] != voter.own and same


def check_gold_name(gold: str | None) -> None:
    """Refuse what is no split."""
    if gold is not None and gold not in GOLD:
        raise BadOption(None, option="--gold", problem=f"'{gold}' is no split", advice=f"write one of: {listing(GOLD)}")


def gold_for(run: Executor, task: TaskInfo, wanted: str | None) -> tuple[Any, str, bool]:
    """Gold to measure on, -1 elsewhere; in words which, by default all but the test split; whether test is in it."""
    return measured_gold(task, gold_of_task(run, task), wanted)


def gold_of_task(run: Executor, task: TaskInfo) -> Any:
    """All gold of a task, with the splits of its items."""
    files = gold_files(run.graph, task)
    for node in files:
        run.resolve(node)
    return read_gold(run, task, [n.id for n in files])


def measured_gold(task: TaskInfo, gold: Any, wanted: str | None) -> tuple[Any, str, bool]:
    """Of gold that was read what is measured on, as ``gold_for`` gives it."""
    import numpy as np

    from teachkit.votes import SPLITS

    known_test = gold.known & (gold.split == SPLITS.index("test"))
    if wanted == "all" or (wanted is None and not task.has_splits):
        return gold.codes if task.coded else gold.values, "all", bool(known_test.any())
    chosen = gold.split != SPLITS.index("test") if wanted is None else gold.split == SPLITS.index(wanted)
    if not task.coded:
        values = np.where(chosen, gold.values, task.answers.empty(1))
        return values, wanted or "train, tune", bool((known_test & chosen).any())
    mask = chosen[:, None] if task.multi else chosen
    return np.where(mask, gold.codes, -1), wanted or "train, tune", bool((known_test & chosen).any())


def _learned(run: Executor, node: Node | None) -> list[dict[str, Any]]:
    """What the label model learned of each voter, for each of its binary models."""
    return [{found["voter"]: found for found in p["learned"]} if p else {} for p in _parameters(run, node)]


def _doubts(run: Executor, node: Node | None, task: TaskInfo, splits: str, *, current: bool) -> list[str]:
    """Doubts about the fit, in sentences; of multichoice those about each label's model, by its name."""
    from teachkit.label_models.diagnostics import doubts

    kept = [(p or {}).get("diagnostics", {}) for p in _parameters(run, node)]
    said = []
    if node is not None and node.id in run.outputs and not current:
        said.append(f"{node.name} is as it was last built, and not up to date: what it believes is of earlier votes.")
    if splits not in ("train", "test") and any(k.get("calibration", {}).get("problem", "") is None for k in kept):
        said.append("Posteriors are calibrated on gold of tune, so they look too good on it: see --gold test.")
    for label, found in zip(task.labels, _of_own_labels(kept) if task.multi else kept, strict=False):
        if task.multi:
            said += [f"{label}: {sentence}" for sentence in doubts(found, (None, label))]
        else:
            said += doubts(found, task.labels)
    return said


def _of_own_labels(kept: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Diagnostics of each label's model without voters that speak of other labels alone: that is no doubt."""
    from teachkit.label_models.diagnostics import NO_VOTES

    silent = [{v for v, why in found.get("weak_voters", {}).items() if why == NO_VOTES} for found in kept]
    never = set.intersection(*silent) if silent else set()
    return [
        {
            **found,
            "weak_voters": {v: why for v, why in found.get("weak_voters", {}).items() if v in never or v not in one},
        }
        for found, one in zip(kept, silent, strict=True)
    ]


def _parameters(run: Executor, node: Node | None) -> list[Any]:
    """The parameters of the label models of a label set; none if it was not built."""
    if node is None:
        return []
    try:
        for parent in node.inputs:
            run.resolve(run.graph[parent])
        output = run.resolve(node)
    except TeachkitError:
        return []
    parameters = run.store.meta(output.parts[0].extra["parameters"]) if output.parts else None
    return stored_parameters(run.store.read(parameters.key)) if parameters is not None else []


def _rows(votes: Any, gold: Any, task: TaskInfo, number: int, kinds: Any, learned: Any) -> list[VoterRow]:
    from teachkit.votes.analysis import analyze

    rows = []
    for found in analyze(votes, gold):
        if task.multi and not found.votes:
            continue
        names = ("not " + task.labels[number], task.labels[number]) if task.multi else task.labels
        known = learned.get(found.voter, {})
        rows.append(
            VoterRow(
                voter=found.voter,
                kind=kinds[found.voter].partition(".")[0],
                label=task.labels[number] if task.multi else None,
                polarity=[names[c] for c in found.polarity],
                votes=found.votes,
                coverage=found.coverage,
                overlaps=found.overlaps,
                conflicts=found.conflicts,
                correct=found.correct,
                incorrect=found.incorrect,
                accuracy=found.accuracy,
                low=found.low,
                high=found.high,
                learned=known.get("accuracy"),
                learned_low=known.get("low"),
                learned_high=known.get("high"),
            )
        )
    return rows
