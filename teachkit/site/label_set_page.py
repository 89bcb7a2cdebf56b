"""The values of a label set's page and of the pages of its sampled items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from teachkit.build.stored_votes import votes_of
from teachkit.site.items import against_the_most, gold_name, item_pages, label_name, sample
from teachkit.site.label_sets import label_set_figures, mistakes
from teachkit.site.measure import fits
from teachkit.site.rows import snippets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.site.label_sets import Labels
    from teachkit.site.measure import Measured
    from teachkit.site.view import View
    from teachkit.store import LockedLabels

_IN_TABLE = ("key", "href", "why", "label", "confidence", "decided_by", "answers", "text")


@dataclass(frozen=True, slots=True)
class LabelSetPage:
    """The values of a label set's page, and those of its items' pages."""

    values: dict[str, Any]
    items: list[dict[str, Any]]


def label_set_values(
    view: View, measured: Measured, labels: Labels, ranks: Any, known: Mapping[str, LockedLabels], limit: int
) -> LabelSetPage:
    """What the page of a label set and those of its items show.

    Args:
        view: The project.
        measured: The label set's task.
        labels: Its rows.
        ranks: A rank for each row of the dataset, by a hash of its key.
        known: The label sets of ``teachkit.lock``.
        limit: How many items get a page.
    """
    node = labels.node
    entry = known.get(node.name)
    figures = label_set_figures(view, measured, labels, entry.quality if entry else {})
    figures["in_lock"] = entry is not None and entry.digest == view.run.outputs[node.id].digest
    wrong = mistakes(measured, labels)
    contested, rank = _of_rows(labels, _contested(view, labels)), _of_rows(labels, ranks)
    chosen = sample(labels, wrong, contested, rank, limit)
    texts = snippets(view, measured.task, [int(labels.row_of[row]) for row in {*chosen, *wrong}])
    items = item_pages(view, measured, labels, chosen)
    for row, item in zip(chosen, items, strict=True):
        item["answers"], item["text"] = int(labels.votes[row]), texts.get(int(labels.row_of[row]), "")
    for before, after in pairwise(items):
        before["after"], after["before"] = after["href"], before["href"]
    figures["items"] = [{name: item[name] for name in _IN_TABLE} for item in items]
    pages = {row: item["href"] for row, item in zip(chosen, items, strict=True)}
    figures["mistakes"] = [_mistake(measured, labels, row, texts, pages) for row in wrong]
    return LabelSetPage(figures, items)


def _contested(view: View, labels: Labels) -> Any:
    """How many votes on each row of the dataset go against the most frequent one; none where votes are of earlier."""
    import numpy as np

    node = labels.node
    task = view.graph.tasks[node.task or ""]
    voters = [view.graph[i] for i in (*node.spec.voters, *node.spec.annotations)]
    if not voters or not all(v.id in view.run.outputs and fits(view, v, task) for v in voters):
        return np.zeros(view.rows(task.dataset) or 0, dtype=np.int64)
    return against_the_most(votes_of(view.run, node).votes)


def _of_rows(labels: Labels, values: Any) -> Any:
    """Values of the dataset's rows for those of the label set; 0 for a row that is gone."""
    import numpy as np

    if not len(values):
        return np.zeros(len(labels.keys), dtype=np.int64)
    return np.where(labels.row_of >= 0, values[np.maximum(labels.row_of, 0)], 0)


def _mistake(
    measured: Measured, labels: Labels, row: int, texts: Mapping[int, str], pages: Mapping[int, str]
) -> dict[str, Any]:
    place = int(labels.row_of[row])
    confidence = float(labels.confidence[row])
    return {
        "key": labels.keys[row],
        "href": pages.get(row),
        "label": label_name(labels.labels[row], measured.task),
        "gold": gold_name(measured, place),
        "confidence": confidence if confidence == confidence else None,
        "text": texts.get(place, ""),
    }
