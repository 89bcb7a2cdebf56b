"""Annotators: their confusions against the label set without them, and against gold; speed, leaning, spammers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import standing_rows, voter_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import TaskInfo

MOST = 1_000
"""So many annotators are shown: those with most judgments."""
TIMED = 10
"""Timed judgments that it takes to call anybody fast."""


@dataclass(frozen=True, slots=True)
class AnnotatorRow:
    """One annotator; of a multichoice task each judgment counts once for every label.

    ``judged`` judgments are on items that have a label without this annotator's vote: ``same`` as that label is the
    share, with its Wilson interval; ``confusion`` [K][K] counts (label, answer), ``used`` for each label how often it
    was the answer and ``expected`` how often the label. ``gold_confusion``, ``gold`` and ``accuracy`` are the same
    against gold. ``with_others``: the share of ``others`` pairs of judgments with other annotators that are equal.
    ``score``: Raykar and Yu's spammer score, 0 for a spammer, less what ``chance`` gives. Seconds are of ``timed``
    judgments.
    """

    annotator: str
    votes: int
    judged: int
    same: float | None
    low: float | None
    high: float | None
    gold: int
    accuracy: float | None
    gold_low: float | None
    gold_high: float | None
    others: int
    with_others: float | None
    score: float | None
    chance: float | None
    timed: int
    seconds: float | None
    seconds_low: float | None
    seconds_high: float | None
    used: Mapping[str, int]
    expected: Mapping[str, int]
    confusion: Sequence[Sequence[int]]
    gold_confusion: Sequence[Sequence[int]]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class AnnotatorsSection:
    """The annotators, most judgments first; ``labels`` name the rows and columns of confusions."""

    labels: Sequence[str]
    annotators: Sequence[AnnotatorRow]
    note: str = ""


def annotators_section(
    run: Executor, task: TaskInfo, cast: Cast, models: Sequence[Any], gold: Any, people: Sequence[str]
) -> AnnotatorsSection:
    """Look at the annotators among the voters; ``gold`` as of ``gold_for``, ``people`` their annotations nodes."""
    if not task.coded:
        return AnnotatorsSection(
            [], [], f"not for tasks of the kind '{task.kind}': their figures are in the table above"
        )
    from teachkit.votes.pairs import votes_by_voter

    names = [voter for voter, node in cast.kinds.items() if node.startswith("annotations.")]
    if not names:
        return AnnotatorsSection([], [], "no annotator is among the voters")
    labels = ["no", "yes"] if task.multi else list(task.labels)
    total = votes_by_voter(cast.votes)
    names, count = sorted(names, key=lambda name: (-total[name], name))[:MOST], len(names)
    against, on_gold, pairs = _counts(cast, models, gold, names, len(labels), multi=task.multi)
    seconds = _seconds(run, task, cast, people)
    usual = _usual(seconds)
    rows = [
        _row(name, labels, total[name], against[a], on_gold[a], pairs[a], seconds.get(name), usual)
        for a, name in enumerate(names)
    ]
    note = f"the {MOST:,} of {count:,} annotators with most judgments" if count > MOST else ""
    return AnnotatorsSection(labels, rows, note)


def _counts(
    cast: Cast, models: Sequence[Any], gold: Any, names: Sequence[str], k: int, *, multi: bool
) -> tuple[Any, Any, Any]:
    """Confusions against the others and gold [A, K, K], pairs with others (all, equal) [A, 2]."""
    import numpy as np

    from teachkit.votes.pairs import agreed_with

    place = {name: a for a, name in enumerate(names)}
    against, on_gold = np.zeros((len(names), k, k), np.int64), np.zeros((len(names), k, k), np.int64)
    pairs = np.zeros((len(names), 2), np.int64)
    for number, votes in enumerate(cast.votes):
        model = _model(votes, cast.policies, models[number] if number < len(models) else None)
        known = gold[:, number] if multi else gold
        numbers = [v for v, name in enumerate(votes.voters) if name in place]
        order = np.argsort(votes.voter, kind="stable")
        ends = np.searchsorted(votes.voter[order], np.arange(len(votes.voters) + 1))
        gold_of = np.bincount(votes.pattern_of[known >= 0] * k + known[known >= 0], minlength=votes.n_patterns * k)
        gold_of, rows = gold_of.reshape(-1, k), votes.entry_pattern
        for v in numbers:
            a, mine = place[votes.voters[v]], order[ends[v] : ends[v + 1]]
            said, patterns = votes.code[mine], rows[mine]
            np.add.at(on_gold[a].T, said, gold_of[patterns])
            label = _label_without(votes, model, patterns, v)
            there = label >= 0
            np.add.at(against[a], (label[there], said[there]), votes.counts[patterns[there]])
        others, equal = agreed_with(votes, [cast.kinds[name].startswith("annotations.") for name in votes.voters])
        for v in numbers:
            pairs[place[votes.voters[v]]] += (others[v], equal[v])
    return against, on_gold, pairs


def _model(votes: Any, policies: Mapping[str, str], model: Any) -> Any:
    """The label set's model; where it is not there, majority."""
    if model is not None:
        return model
    from teachkit.label_models import Majority

    return Majority().fit(votes, abstain={v: policies[v] for v in votes.voters})


def _label_without(votes: Any, model: Any, patterns: Any, voter: int) -> Any:
    """The label of some patterns without a voter's vote; -1 where nobody else voted, and for ties."""
    import numpy as np

    from teachkit.label_models.base import decide

    some = votes.regrouped(patterns, np.arange(len(patterns)))
    others = some.keeping(some.voter != voter)
    return decide(model.pattern_proba(others), others.votes_per_pattern, model.prior_, "abstain")


def _seconds(run: Executor, task: TaskInfo, cast: Cast, people: Sequence[str]) -> dict[str, Any]:
    """How long each annotator took for each judgment, where that is known."""
    import numpy as np

    functions = {v for v, node in cast.kinds.items() if not node.startswith("annotations.")}
    found: dict[str, list[Any]] = {}
    for table in standing_rows(run, people, task):
        seconds = table.column("seconds").to_numpy(zero_copy_only=False).astype(np.float64)
        row, who = table.column("row").to_numpy(), np.array(table.column("annotator").to_pylist(), dtype=object)
        first = np.ones(len(row), dtype=bool)
        if task.multi and len(row):  # a judgment is a row for each label
            _, at = np.unique(np.array([f"{r} {w}" for r, w in zip(row, who, strict=True)]), return_index=True)
            first = np.isin(np.arange(len(row)), at)
        timed = np.flatnonzero(first & np.isfinite(seconds))
        names, number = np.unique(who[timed].astype(str), return_inverse=True)
        order = np.argsort(number, kind="stable")
        ends = np.searchsorted(number[order], np.arange(len(names) + 1))
        for i, name in enumerate(names.tolist()):
            mine = seconds[timed[order[ends[i] : ends[i + 1]]]]
            found.setdefault(voter_of(name, functions), []).append(mine)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _usual(seconds: Mapping[str, Any]) -> float | None:
    """The median of the annotators' medians; None if fewer than two are timed."""
    import numpy as np

    medians = [float(np.median(s)) for s in seconds.values() if len(s) >= TIMED]
    return float(np.median(medians)) if len(medians) > 1 else None


def _row(
    name: str, labels: Sequence[str], votes: int, against: Any, gold: Any, pairs: Any, seconds: Any, usual: float | None
) -> AnnotatorRow:
    import numpy as np

    from teachkit.votes.annotators import FAST, remarks, spammer_score

    judged, same, known, right = (int(n) for n in (against.sum(), np.trace(against), gold.sum(), np.trace(gold)))
    score, chance = spammer_score(against)
    said = remarks(against, labels, score)
    timed = 0 if seconds is None else len(seconds)
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist() if timed else (None, None, None)
    if middle is not None and usual is not None and timed >= TIMED and middle < usual * FAST:
        said = [*said, f"fast: {middle:.3g} seconds, where {usual:.3g} are usual"]
    others, equal = (int(n) for n in pairs)
    return AnnotatorRow(
        name,
        votes,
        judged,
        same / judged if judged else None,
        *_ends(same, judged),
        known,
        right / known if known else None,
        *_ends(right, known),
        others,
        equal / others if others else None,
        score,
        chance,
        timed,
        middle,
        low,
        high,
        dict(zip(labels, against.sum(axis=0).tolist(), strict=True)),
        dict(zip(labels, against.sum(axis=1).tolist(), strict=True)),
        against.tolist(),
        gold.tolist(),
        said,
    )


def _ends(right: int, n: int) -> tuple[float | None, float | None]:
    from teachkit.votes.intervals import wilson

    return wilson(right, n) or (None, None)
