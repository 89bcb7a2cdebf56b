"""The page of a node: its text, what it is made of and who uses it; of a voter how good it is, with examples."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from teachkit.graph.node import FUNCTIONS
from teachkit.site.names import item_page, node_page
from teachkit.site.texts import definition_text
from teachkit.site.view import KINDS, TESTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.graph import Node
    from teachkit.review.analyze import VoterRow
    from teachkit.site.measure import Measured
    from teachkit.site.view import View

_MOST_VOTERS = 200  # annotators of one file, of which a row each is shown
_LONGEST_SQL = 60_000


def node_values(view: View, node: Node) -> dict[str, Any]:
    """What every node's page shows."""
    children = [i for i in view.graph.children.get(node.id, ()) if view.graph[i].kind not in TESTS]
    return {
        **view.reference(node.id),
        "href": node_page(node.id),
        "kind_name": KINDS[node.kind],
        "task": view.task_reference(node.task),
        "path": node.where.path,
        "line": node.where.line,
        "description": view.hide.text(node.description),
        "tags": list(dict.fromkeys(node.tags)),
        "rows": view.rows(node.id),
        "rows_are": _rows_are(view, node),
        "inputs": [view.reference(i) for i in node.inputs if i in view.graph.nodes],
        "children": [view.reference(i) for i in children],
        "columns": _columns(view, node),
        "text": _text(view, node),
        "compiled": _compiled(view, node),
        "tests": view.tests_of(node.id),
        "role": node.spec.meta.role if node.kind == "annotations" else None,
        "version": node.own[:10],
        "fingerprint": node.fingerprint[:10],
    }


def _rows_are(view: View, node: Node) -> str:
    """What a node's rows are; a judgment on an item of multichoice is a row for each label."""
    if node.kind == "annotations" and not view.graph.tasks[node.task or ""].multi:
        return "judgments"
    return "rows"


def _columns(view: View, node: Node) -> list[dict[str, Any]]:
    if node.kind not in ("source", "transform", "enrichment") or node.columns is None:
        return []
    found = []
    for column in node.columns:
        origins = [] if node.kind == "source" else node.lineage.get(column, ())
        shown = [{"column": name, **view.reference(i)} for i, name in origins if i in view.graph.nodes]
        found.append({"name": column, "from": shown})
    return found


def _text(view: View, node: Node) -> dict[str, Any] | None:
    """A definition as it stands in its file; of gold nothing, since it tells the answers of the test split."""
    if node.kind == "annotations" and node.spec.meta.role == "gold":
        return None
    found = definition_text(view.run.files.root, node.where, node.text, judgments=node.kind == "annotations")
    found["lines"] = [view.hide.text(line) for line in found["lines"]]
    return found if found["lines"] else None


def _compiled(view: View, node: Node) -> str | None:
    """The SQL that a definition becomes; nothing where it is no SQL."""
    if node.kind == "transform":
        sql = node.spec.sql
    elif node.kind == "lf" and node.spec.mode in ("expression", "select"):
        sql = node.spec.sql or "\n\n".join(node.spec.sqls.values())
    else:
        return None
    from teachkit.graph import pretty

    if len(sql) > _LONGEST_SQL:
        return f"{view.hide.text(sql[:_LONGEST_SQL])}\n-- and {len(sql) - _LONGEST_SQL:,} more characters"
    return view.hide.text(pretty(sql))


def voter_values(
    view: View,
    measured: Measured,
    node: Node,
    found: Mapping[str, Any],
    texts: Mapping[int, tuple[str, str]],
    pages: Mapping[str, str],
) -> dict[str, Any]:
    """What the page of a voter shows beside.

    Args:
        view: The project.
        measured: Its task.
        node: The voter.
        found: Its examples, as of ``measure.examples``.
        texts: Of the examples' rows, key and start of the text.
        pages: From key to label set, of items that have a page.
    """
    task = measured.task
    rows = list(measured.rows.get(node.id, ()))
    shown = sorted(rows, key=lambda r: -r.votes)[:_MOST_VOTERS] if len(rows) > _MOST_VOTERS else rows
    return {
        "task_labels": list(task.labels),
        "multi": task.multi,
        "valued": list(dict.fromkeys(name for row in shown for name in row.figures)) if not task.coded else [],
        "figures": [_figures(measured, row) for row in shown],
        "figures_more": len(rows) - len(shown),
        "several": len({row.voter for row in rows}) > 1,
        "in_label_sets": [view.reference(n.id) for n in view.graph.of("label_set") if node.id in n.inputs],
        "items": measured.items,
        "gold_in_fit": measured.gold_in_fit,
        "gold_splits": _splits_with_gold(measured),
        "examples": {
            side: [_example(row, said, truth, texts, pages) for row, said, truth in found.get(side, ())]
            for side in ("right", "wrong")
        },
    }


def _splits_with_gold(measured: Measured) -> list[str]:
    return [name for name in ("train", "tune") if measured.in_split.get(name)]


def _figures(measured: Measured, row: VoterRow) -> dict[str, Any]:
    counts = measured.by_class.get((row.voter, row.label), ())
    names = (f"not {row.label}", row.label) if row.label is not None else measured.task.labels
    by_class = [[name, count] for name, count in zip(names, counts, strict=False) if count]
    return {**asdict(row), "polarity": list(row.polarity), "by_class": by_class}


def _example(
    row: int, said: str, truth: str, texts: Mapping[int, tuple[str, str]], pages: Mapping[str, str]
) -> dict[str, Any]:
    key, text = texts.get(row, ("", ""))
    page = item_page(pages[key], key) if key in pages else None
    return {"key": key, "text": text, "said": said, "gold": truth, "href": page}


def is_voter(node: Node) -> bool:
    """Whether a node's page shows votes."""
    return node.kind in FUNCTIONS or (node.kind == "annotations" and node.spec.meta.role == "annotator")


def voter_table(view: View, measured: Measured, voters: Sequence[Node]) -> list[dict[str, Any]]:
    """A row for each voter of a task, as its page lists them; a file of many annotators counts as one."""
    table = []
    for node in voters:
        rows = measured.rows.get(node.id, ())
        one = rows[0] if len(rows) == 1 else None
        correct, incorrect = sum(r.correct for r in rows), sum(r.incorrect for r in rows)
        low, high = _interval(correct, correct + incorrect)
        table.append(
            {
                **view.reference(node.id),
                "polarity": list(dict.fromkeys(p for r in rows for p in r.polarity)),
                "voters": len({r.voter for r in rows}),
                "votes": sum(r.votes for r in rows),
                "coverage": one.coverage if one else None,
                "overlaps": one.overlaps if one else None,
                "conflicts": one.conflicts if one else None,
                "correct": correct,
                "incorrect": incorrect,
                "accuracy": correct / (correct + incorrect) if correct + incorrect else None,
                "low": low,
                "high": high,
                "learned": one.learned if one else None,
                "learned_low": one.learned_low if one else None,
                "learned_high": one.learned_high if one else None,
            }
        )
    return table


def _interval(correct: int, total: int) -> tuple[float | None, float | None]:
    from teachkit.votes.intervals import wilson

    return wilson(correct, total) or (None, None)
