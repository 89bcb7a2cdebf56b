"""What the scores of a prompt's votes are worth: a cascade's threshold, calibration, and bands for label models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import ask_votes
from teachkit.build.asking.examples import gold_of
from teachkit.build.asking.prompting import LEAST_GOLD, strong_node
from teachkit.build.asking.tally import EMPTY
from teachkit.build.gold import rows_with_gold
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.asking.tally import VoteTally
    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.votes.thresholds import Refusal


@dataclass(slots=True)
class Scored:
    """For each part more columns of its votes (``raw_score``, ``probability``, ``band``); and how they came about."""

    columns: dict[int, dict[str, Any]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The items of the tune split that have gold: where each stands (part, row), and its label's code [N]."""

    places: Sequence[tuple[int, int]]
    truth: Any

    def of(self, values: Mapping[int, Any]) -> Any:
        """The values of these items, from arrays over the rows of each part."""
        import numpy as np

        return np.array([values[part][row] for part, row in self.places])


def check_cascade(run: Executor, node: Node, task: TaskInfo) -> None:
    """Refuse a cascade before anything is asked where gold of the tune split cannot show its target.

    Raises:
        NodeFailed: there are too few items.
    """
    from teachkit.votes import thresholds

    cascade, count = node.spec.config.cascade, len(rows_with_gold(gold_of(run, task), "tune"))
    needed = thresholds.items_needed(cascade.target, cascade.delta)
    if count < needed:
        raise _refused(node, thresholds.Refusal("too few items", count, needed))


def score_votes(
    run: Executor, node: Node, tables: Mapping[int, pa.Table], tallies: dict[int, VoteTally], task: TaskInfo
) -> Scored:
    """Learn on gold of the tune split; with a cascade, first ask the strong model where the score is too low.

    Raises:
        NodeFailed: there is too little gold for the cascade's target.
        TeachkitError: as ``ask_votes``, of the strong model.
    """
    sample = _sample(run, task, tables)
    if node.spec.strong is not None:
        return _cascade(run, node, tables, tallies, task, sample)
    return _calibrated(run, node, tallies, sample)


def _sample(run: Executor, task: TaskInfo, tables: Mapping[int, pa.Table]) -> _Sample:
    import numpy as np

    gold = gold_of(run, task)
    chosen = rows_with_gold(gold, "tune")
    starts = np.cumsum([0, *(tables[number].num_rows for number in sorted(tables))])
    part = np.searchsorted(starts, chosen, side="right") - 1
    return _Sample(list(zip(part.tolist(), (chosen - starts[part]).tolist(), strict=True)), gold.codes[chosen])


# ---------------------------------------------------------------------------- calibration


def _calibrated(run: Executor, node: Node, tallies: Mapping[int, VoteTally], sample: _Sample) -> Scored:
    import numpy as np

    from teachkit.votes import calibration

    confidence = node.spec.config.confidence
    raw = {number: tally.raw_score for number, tally in tallies.items()}
    score, vote = sample.of(raw), sample.of({number: tally.vote for number, tally in tallies.items()})
    judged = ~np.isnan(score)
    right = (vote == sample.truth)[judged]
    report: dict[str, Any] = {"by": confidence.by, "calibrated": None, "items": int(judged.sum())}
    probability = None
    if judged.sum():
        report["ece_raw"] = calibration.expected_calibration_error(score[judged], right)
        report["auroc"] = calibration.auroc(score[judged], right)
    if confidence.calibrate != "none" and judged.sum() < LEAST_GOLD:
        run.note(
            f"prompt '{node.name}': {int(judged.sum())} of the {LEAST_GOLD} items that calibration takes have gold in "
            "tune and a vote; its scores stay raw"
        )
    elif confidence.calibrate == "isotonic":
        curve = calibration.fit_isotonic(score[judged], right)
        probability = {number: _applied(curve, values) for number, values in raw.items()}
        honest = calibration.cross_fitted(score[judged], right)
        report |= {"calibrated": "isotonic", "ece": calibration.expected_calibration_error(honest, right)}
    elif confidence.calibrate == "temperature":
        shares = {number: tally.shares for number, tally in tallies.items()}
        known, truth = sample.of(shares)[judged], sample.truth[judged]
        scaled = calibration.fit_temperature(known, truth)
        probability = {n: _of_vote(_applied(scaled, shares[n]), tally) for n, tally in tallies.items()}
        honest = calibration.cross_fitted(known, truth, fit=calibration.fit_temperature)
        said = honest[np.arange(len(truth)), vote[judged]]
        report |= {"calibrated": "temperature", "ece": calibration.expected_calibration_error(said, right)}
    found = Scored(report=report)
    edges = confidence.bands
    report["bands"] = ["low", *(f"{edge:g}" for edge in edges)]
    for number, values in raw.items():
        used = values if probability is None else probability[number]
        found.columns[number] = {
            "raw_score": values,
            **({"probability": probability[number]} if probability is not None else {}),
            "band": np.searchsorted(edges, np.nan_to_num(used), side="right").astype(np.int8),
        }
    return found


def _applied(calibrator: Any, scores: Any) -> Any:
    """Calibrated scores [N] or [N, K]; where there is none, none."""
    import numpy as np

    known = ~np.isnan(scores) if scores.ndim == 1 else scores.sum(axis=1) > 0
    found = np.full(scores.shape, np.nan)
    if known.any():
        found[known] = calibrator.apply(scores[known])
    return found


def _of_vote(probabilities: Any, tally: VoteTally) -> Any:
    """The probability of what each row votes for [N], NaN without a vote."""
    import numpy as np

    found = probabilities[np.arange(tally.rows), np.maximum(tally.vote, 0)]
    return np.where(tally.vote < 0, np.nan, found)


# ---------------------------------------------------------------------------- cascade


def _cascade(
    run: Executor,
    node: Node,
    tables: Mapping[int, pa.Table],
    tallies: dict[int, VoteTally],
    task: TaskInfo,
    sample: _Sample,
) -> Scored:
    import numpy as np

    from teachkit.votes import thresholds

    strong, cascade = strong_node(node), node.spec.config.cascade
    scores = {n: np.where(t.vote < 0, -np.inf, np.nan_to_num(t.raw_score, nan=-np.inf)) for n, t in tallies.items()}
    promise = {"target": cascade.target, "delta": cascade.delta, "kind": cascade.of}
    population = np.concatenate([*scores.values()])
    tested = thresholds.candidates(population, len(sample.places), **promise)
    right = sample.of({number: tally.vote for number, tally in tallies.items()}) == sample.truth
    right_strong, bought = None, dict[tuple[int, int], float]()
    if cascade.of == "accuracy" and tested.thresholds:
        by_strong = _ask_strong(run, strong, tables, task, sample.places)
        right_strong = np.array([by_strong[at][0] for at in sample.places], dtype=np.int64) == sample.truth
        bought = {at: cost for at, (_, cost) in by_strong.items()}
    judged = sample.of(scores).astype(float)
    fitted = thresholds.fit_threshold(judged, right, candidates=tested, right_strong=right_strong, **promise)
    if isinstance(fitted, thresholds.Refusal):
        raise _refused(node, fitted)
    found = Scored()
    rows, passed_on, strong_cost = 0, set[tuple[int, int]](), 0.0
    for number, tally in tallies.items():
        unsure = np.flatnonzero(scores[number] < fitted.threshold).tolist()
        asked = [row for row in unsure if tally.status_of(row) != EMPTY]
        by = ask_votes(run, strong, tables[number], task, asked)
        strong_cost += float(by.cost.sum())
        tally.take_over(by, asked)
        passed_on |= {(number, row) for row in asked}
        band = np.zeros(tally.rows, dtype=np.int8)
        band[asked] = 1
        raw = tally.raw_score.copy()
        raw[asked] = np.nan
        found.columns[number] = {"raw_score": raw, "band": band}
        rows += tally.rows
    for_fit = {at: price for at, price in bought.items() if at not in passed_on}  # the others are counted by now
    for (number, row), price in for_fit.items():
        tallies[number].cost[row] += price
    cost = sum(float(tally.cost.sum()) for tally in tallies.values())
    fit_cost, kept, answered = sum(for_fit.values()), rows - len(passed_on), len(passed_on) + len(for_fit)
    alone = (strong_cost + fit_cost) / answered * rows if answered else None
    found.report = {
        "by": node.spec.config.confidence.by,
        "calibrated": None,
        "items": len(sample.places),
        "bands": [node.spec.model, strong.spec.model],
        "cascade": {
            **cascade.model_dump(),
            "threshold": fitted.threshold,
            "bound": fitted.bound,
            "trace": [each.as_dict() for each in fitted.trace],
            "sample": len(sample.places),
            "rows": rows,
            "kept": kept,
            "cost": cost,
            "cost_fit": fit_cost,
            "cost_strong_alone": alone,
        },
    }
    fit = f" with {fit_cost:.4f} for answers that only chose the score" if fit_cost else ""
    saved = f"; {cost:.4f} USD{fit}, about {alone:.4f} by {strong.spec.model} alone" if alone and cost else ""
    run.note(
        f"prompt '{node.name}': {node.spec.model} keeps {kept:,} of {rows:,} answers (score {fitted.threshold:.3g} or "
        f"more), {strong.spec.model} gave the rest{saved}; {cascade.of} {cascade.target:g} holds with confidence "
        f"{1 - cascade.delta:g} if the {len(sample.places):,} items of tune are a fair sample and their gold is right"
    )
    return found


def _refused(node: Node, refusal: Refusal) -> NodeFailed:
    cascade = node.spec.config.cascade
    why = _why_not(refusal)
    problem = f"the cascade of prompt '{node.name}' cannot promise {cascade.of} {cascade.target:g}: {why}"
    advice = "label more items of the tune split, or lower 'target'; or leave out 'cascade' and name one model"
    return NodeFailed(node.where, problem=problem, advice=advice)


def _why_not(refusal: Refusal) -> str:
    """In words: too few items, or too few of them right."""
    if refusal.reason == "too few items":
        return f"it takes {refusal.needed} items at least, all right, and tune has {refusal.n_items} with gold"
    if not refusal.trace:
        return "none of its answers has a score"
    shown = max(refusal.trace, key=lambda each: each.right / each.n if each.n else 0.0)
    return f"at best {shown.right} of {shown.n} items of tune are right, which does not show it"


def _ask_strong(
    run: Executor, strong: Node, tables: Mapping[int, pa.Table], task: TaskInfo, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, float]]:
    """What the strong model votes on the items of the sample, and what that costs."""
    found = {}
    for number, table in tables.items():
        rows = [row for part, row in places if part == number]
        by = ask_votes(run, strong, table, task, rows)
        found.update({(number, row): (int(by.vote[i]), float(by.cost[i])) for i, row in enumerate(rows)})
    return found
