"""The pages of sampled items: why each has its label, down to the record that it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.graph.node import FUNCTIONS
from teachkit.lineage import explain_items
from teachkit.site.names import item_page
from teachkit.site.rows import as_text, gold_columns, shown_row
from teachkit.votes import SPLITS, Answers
from teachkit.votes.values import shown_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import TaskInfo
    from teachkit.lineage import Explanation, VoteShare
    from teachkit.site.label_sets import Labels
    from teachkit.site.measure import Measured
    from teachkit.site.view import View

_SILENT = 12  # silent voters whose weight is shown one by one
_AT_ONCE = 500

_NONE_OF_THEM = "none of them"  # of the labels of multichoice holds

MISTAKE, UNSURE, CONTESTED, CHANCE = "differs from gold", "unsure", "contested", "sample"


def choose(
    limit: int, mistakes: Sequence[int], unsure: Sequence[int], contested: Sequence[int], rest: Sequence[int]
) -> dict[int, str]:
    """Which items get a page, and why: up to a quarter for each reason, the sample by chance fills what is left.

    All arguments are row numbers, those wanted most first; ``rest`` holds every row. Returns ``limit`` of them, or all.
    """
    chosen: dict[int, str] = {}
    quarter = -(-limit // 4)
    for rows, why in ((mistakes, MISTAKE), (unsure, UNSURE), (contested, CONTESTED)):
        until = min(limit, len(chosen) + quarter)
        for row in rows:
            if len(chosen) >= until:
                break
            chosen.setdefault(row, why)
    for row in rest:
        if len(chosen) >= limit:
            break
        chosen.setdefault(row, CHANCE)
    return chosen


def sample(labels: Labels, mistakes: Sequence[int], contested: Any, ranks: Any, limit: int) -> dict[int, str]:
    """Rows of a label set that get a page, in the order of the label set.

    ``contested`` [M] is how many votes went against the most frequent answer, ``ranks`` [M] an order by hash.
    """
    import numpy as np

    doubt = labels.doubt
    doubt[labels.votes == 0] = -np.inf  # nobody spoke: nothing to be unsure of
    by_doubt = [i for i in np.lexsort((ranks, -doubt)).tolist() if doubt[i] > 0]
    by_conflict = [i for i in np.lexsort((ranks, -contested)).tolist() if contested[i] > 0]
    chosen = choose(limit, mistakes, by_doubt, by_conflict, np.argsort(ranks, kind="stable").tolist())
    return {row: chosen[row] for row in sorted(chosen)}


def against_the_most(votes: Sequence[Any]) -> Any:
    """How many votes on each item [N] go against its most frequent answer, over all labels of a multichoice task."""
    import numpy as np

    total: Any = 0
    for one in votes:
        if isinstance(one, Answers):  # no two of them need be the same: whether they are not
            return one.conflicting.astype(np.int64)
        table = np.zeros((one.n_patterns, one.n_labels), dtype=np.int64)
        np.add.at(table, (one.entry_pattern, one.code), 1)
        against = table.sum(axis=1) - table.max(axis=1, initial=0)
        total = total + against[one.pattern_of]
    return total


def item_pages(view: View, measured: Measured, labels: Labels, chosen: Mapping[int, str]) -> list[dict[str, Any]]:
    """The values of each item's page."""
    rows = list(chosen)
    node = labels.node
    found: list[Explanation] = []
    for start in range(0, len(rows), _AT_ONCE):
        found += explain_items(view.run, node, [labels.keys[row] for row in rows[start : start + _AT_ONCE]])
    columns = list(found[0].row) if found else []
    secret = gold_columns(view.graph, measured.task, columns)
    return [
        _item(view, measured, why, (int(labels.row_of[row]), chosen[row]), secret)
        for row, why in zip(rows, found, strict=True)
    ]


def _item(view: View, measured: Measured, why: Explanation, place: tuple[int, str], secret: set[str]) -> dict[str, Any]:
    row, reason = place
    of_test = row < 0 or bool(measured.split[row] == SPLITS.index("test"))
    votes = [v for v in why.votes if not (v.kind == "gold" and of_test)]
    strongest = sorted(votes, key=lambda v: -abs(v.contribution or 0.0))
    silent = sorted(why.silence.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    return {
        "key": str(why.item),
        "href": item_page(why.label_set, why.item),
        "why": reason,
        "before": None,
        "after": None,
        "label": label_name(why.label, measured.task),
        "model_label": label_name(why.model_label, measured.task),
        "confidence": why.confidence,
        "decided_by": why.decided_by,
        "posterior": _posterior(measured, why),
        "valued": not measured.task.coded,
        "toward": why.toward,
        "against": why.against,
        "measure": why.measure,
        "prior": why.prior,
        "votes": [_vote(view, why.task, vote) for vote in strongest],
        "silent": silent[:_SILENT],
        "silent_more": len(silent[_SILENT:]),
        "silent_rest": sum(moved for _, moved in silent[_SILENT:]),
        "calibration": why.calibration,
        "held_out": why.held_out,
        "sum": why.total,
        "most": max(
            map(
                abs,
                [
                    why.prior or 0.0,
                    why.calibration or 0.0,
                    *why.silence.values(),
                    *(v.contribution or 0.0 for v in votes),
                ],
            )
        ),
        "row": shown_row(why.row, secret if of_test else set()),
        "split": SPLITS[int(measured.split[row])] if row >= 0 and measured.task.has_splits else None,
        "gold": None if of_test else gold_name(measured, row),
        "hidden": of_test and bool(secret),
        "sources": [_source(view, found) for found in why.sources],
        "label_model": {**why.label_model, "node": view.reference(f"label_set.{why.label_set}")},
        "run": why.run,
        "published": why.published,
    }


def _posterior(measured: Measured, why: Explanation) -> list[tuple[str, Any]]:
    """Labels by their probability, the greatest first; where answers are values, what is said of them, as text."""
    found = why.posterior
    if measured.task.coded:
        return sorted(found.items(), key=lambda pair: -pair[1])
    if measured.task.text:
        return [(shown_spans([one]), f"{one['probability']:.1%}") for one in found]
    if isinstance(found, list):
        if found and "candidate" in found[0]:
            shown = "{score:+.2f} ({low:+.2f} to {high:+.2f})"
            return [(one["candidate"], shown.format(**one)) for one in found]
        return [(label_name(one["label"], measured.task) or "", f"{one['share']:.1%}") for one in found]
    return [(name, "not known" if value is None else f"{value:.6g}") for name, value in found.items()]


def label_name(label: Any, task: TaskInfo) -> str | None:
    """A label as text, of multichoice all that hold."""
    if isinstance(label, float):
        return f"{label:.6g}"
    if isinstance(label, list):
        return shown_spans(label) if task.text else ", ".join(map(str, label)) or _NONE_OF_THEM
    return None if label is None else str(label)


def gold_name(measured: Measured, row: int) -> str | None:
    """Gold of a row of the dataset as text; None where there is none that may be seen."""
    if not measured.known[row]:
        return None
    labels = measured.task.labels
    if not measured.task.coded:
        return measured.task.answers.show(measured.codes[row])
    if measured.task.multi:
        return ", ".join(name for name, yes in zip(labels, measured.codes[row], strict=True) if yes) or _NONE_OF_THEM
    return labels[int(measured.codes[row])]


def _vote(view: View, task: str, vote: VoteShare) -> dict[str, Any]:
    node = _node_of(view, task, vote)
    return {
        "voter": vote.voter,
        "node": view.reference(node) if node else None,
        "kind": vote.kind,
        "label": label_name(vote.label, view.graph.tasks[task]),
        "yes": vote.polarity > 0,
        "moved": vote.contribution,
        "place": f"{vote.path}:{vote.line}" if vote.line else vote.path,
        "commit": vote.commit[:10] if vote.commit else None,
        "version": vote.version[:10],
        "at": vote.at,
        "model": vote.model,
        "reason": None if vote.reason is None else as_text(view.hide.text(vote.reason)),
        "request": vote.request[:10] if vote.request else None,
        "cost": vote.cost,
        "raw_score": vote.raw_score,
        "probability": vote.probability,
    }


def _node_of(view: View, task: str, vote: VoteShare) -> str | None:
    """The node that a vote was cast in: of a function by its name (a band of scores in brackets), of people by file."""
    if vote.kind in FUNCTIONS:
        found = f"{vote.kind}.{task}.{vote.voter.partition('[')[0]}"
        return found if found in view.graph.nodes else None
    people = (n for n in view.graph.of("annotations") if n.task == task and n.where.path == vote.path)
    return next((n.id for n in people), None)


def _source(view: View, found: Any) -> dict[str, Any]:
    return {
        "node": view.reference(found.source) if found.source in view.graph.nodes else None,
        "path": view.hide.place(found.path),
        "record": found.record,
        "digest": found.digest[:10] if found.digest else None,
        "column": found.column,
        "note": found.note,
    }
