"""People's judgments: JSONL or CSV files in git, one judgment a line, merged by union.

JSONL: ``item`` and ``label`` (null: looked at and declined; a list for multichoice), and if known ``annotator``,
``at`` (ISO time), ``seconds``, ``tool``, ``guideline``, ``shown``, ``op`` (``set`` or ``undo``). CSV: ``item,label``
and if known ``annotator,at,seconds``. Of several judgments of one annotator on one item the latest counts, by ``at``,
then by line. ``undo`` takes the annotator's judgment of the item back.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadAnnotation, ProjectErrors, TeachkitError, Where, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.node import AnnotationsSpec, TaskInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.project import Definition
    from teachkit.project.models import AnnotationMeta

VERSION = 1
_KNOWN = {"item", "label", "annotator", "at", "seconds", "tool", "guideline", "shown", "op", "note", "id"}
_MOST_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Judgment:
    """One person's answer on one item; ``labels`` is empty where the person declined."""

    item: str
    annotator: str
    labels: tuple[str, ...]
    at: str
    seconds: float | None
    line: int


def compile_annotations(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """One file of annotations is one node."""
    from teachkit.hashing import digest_file

    meta: AnnotationMeta = definition.config
    path = definition.where.path
    content = digest_file(context.root / path)
    spec = AnnotationsSpec(path, meta, meta.abstain or context.defaults.abstain or "at_random")
    settings = meta.model_dump(mode="json", exclude={"tags", "description", "enabled", "abstain"})
    canonical = {
        "annotations": content,
        "settings": settings,
        "annotator": meta.annotator or definition.name,
        "version": VERSION,
    }
    return [
        Voter(
            definition.name,
            definition.where,
            spec,
            canonical,
            {context.task.dataset: (context.task.key,)},
            tuple(meta.tags),
            meta.description,
            "",
            "",
            meta.enabled,
            "annotations",
        )
    ]


def read_judgments(text: str, path: str, name: str, meta: AnnotationMeta, task: TaskInfo) -> list[Judgment]:
    """The judgments of a file that stand, one for each (item, annotator), in the order of item and annotator.

    Raises:
        ProjectErrors: lines that cannot be used, each with its number.
    """
    errors: list[TeachkitError] = []
    standing: dict[tuple[str, str], tuple[tuple[str, int], Judgment | None]] = {}
    rows = _jsonl(text, path, errors) if path.endswith(".jsonl") else _csv(text, path, errors)
    for line, row in rows:
        try:
            judgment, undo = _judgment(row, line, path, name, meta, task)
        except TeachkitError as error:
            errors.append(error)
        else:
            place, order = (judgment.item, judgment.annotator), (judgment.at, line)
            if place not in standing or standing[place][0] <= order:
                standing[place] = (order, None if undo else judgment)
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise ProjectErrors(errors)
    return [found for _, (_, found) in sorted(standing.items()) if found is not None]


def judgments_table(
    judgments: Sequence[Judgment], rows: Mapping[str, tuple[int, int]], path: str, task: TaskInfo
) -> pa.Table:
    """Judgments as rows of (part, row, annotator, code, yes, line, at, seconds).

    ``rows`` maps an item's key, as text, to its part and row. A declined judgment has the code -1. In a multichoice
    task a judgment has a row for each label, with ``yes`` false for those that it does not name.

    Raises:
        ProjectErrors: items that the dataset does not have.
    """
    import pyarrow as pa

    errors: list[TeachkitError] = []
    out: list[tuple[int, int, str, int, bool, int, str, float | None]] = []
    for judgment in judgments:
        place = rows.get(judgment.item)
        if place is None:
            problem = f"there is no item '{judgment.item}' in the dataset of task '{task.name}'"
            errors.append(
                BadAnnotation(
                    Where(path, judgment.line),
                    problem=problem,
                    advice=f"'item' holds values of '{task.key}'; remove the line if the item is gone",
                )
            )
            if len(errors) >= _MOST_ERRORS:
                break
            continue
        for code, yes in _codes(judgment, task):
            out.append((*place, judgment.annotator, code, yes, judgment.line, judgment.at, judgment.seconds))
    if errors:
        raise ProjectErrors(errors)
    out.sort(key=lambda r: (r[0], r[1], r[2], r[3]))
    columns = list(zip(*out, strict=True)) or [()] * 8
    names = ("part", "row", "annotator", "code", "yes", "line", "at", "seconds")
    types = (pa.int32(), pa.int64(), pa.string(), pa.int16(), pa.bool_(), pa.int32(), pa.string(), pa.float64())
    return pa.table({n: pa.array(c, type=t) for n, c, t in zip(names, columns, types, strict=True)})


def _codes(judgment: Judgment, task: TaskInfo) -> Iterator[tuple[int, bool]]:
    if task.multi:
        said = {task.labels.index(label) for label in judgment.labels}
        yield from ((code, code in said) for code in range(len(task.labels)))
    else:
        yield (task.labels.index(judgment.labels[0]), True) if judgment.labels else (-1, False)


def _jsonl(text: str, path: str, errors: list[TeachkitError]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            errors.append(
                BadAnnotation(
                    Where(path, number),
                    problem=f"this line is not JSON: {error}",
                    advice="write one object a line; look for conflict markers",
                )
            )
            continue
        if not isinstance(row, dict):
            errors.append(
                BadAnnotation(
                    Where(path, number),
                    problem="this line is not an object",
                    advice='write {"item": "…", "label": "…"}',
                )
            )
            continue
        yield number, row


def _csv(text: str, path: str, errors: list[TeachkitError]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        if None in row or None in row.values():
            errors.append(
                BadAnnotation(
                    Where(path, reader.line_num),
                    problem="this line has another number of fields than the header",
                    advice="quote fields that hold commas",
                )
            )
            continue
        yield reader.line_num, {k: v for k, v in row.items() if v != "" or k == "label"}


def _judgment(
    row: Mapping[str, Any], line: int, path: str, name: str, meta: AnnotationMeta, task: TaskInfo
) -> tuple[Judgment, bool]:
    where = Where(path, line)
    names = {key: meta.columns.get(key, key) for key in ("item", "label", "annotator", "at", "seconds")}
    op = row.get("op", "set")
    if op not in ("set", "undo"):
        raise BadAnnotation(where, problem=f"op is {op!r}", advice="write 'set' or 'undo'")
    if row.get(names["item"]) is None:
        advice = (
            "name the column of _meta.yml: columns: {item: …}"
            if names["item"] == "item"
            else "check columns: in _meta.yml"
        )
        raise BadAnnotation(where, problem=f"there is no '{names['item']}' (found: {listing(row)})", advice=advice)
    if op == "set" and names["label"] not in row:
        raise BadAnnotation(
            where,
            problem=f"there is no '{names['label']}' (found: {listing(row)})",
            advice="write a label, or null to decline",
        )
    annotator = str(row.get(names["annotator"]) or meta.annotator or name)
    seconds = row.get(names["seconds"])
    try:
        taken = None if seconds is None else float(seconds)
    except (TypeError, ValueError):
        raise BadAnnotation(where, problem=f"seconds is {seconds!r}", advice="write a number") from None
    labels = () if op == "undo" else _labels(row[names["label"]], where, meta, task)
    return Judgment(
        str(row[names["item"]]), annotator, labels, str(row.get(names["at"]) or ""), taken, line
    ), op == "undo"


def _labels(value: Any, where: Where, meta: AnnotationMeta, task: TaskInfo) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values = (
        value
        if isinstance(value, list)
        else str(value).split("|")
        if task.multi and isinstance(value, str)
        else [value]
    )
    if len(values) > 1 and not task.multi:
        raise BadAnnotation(
            where, problem=f"{len(values)} labels stand here", advice=f"task '{task.name}' asks for one"
        )
    mapping = {str(k): v for k, v in (meta.values or {}).items()}
    found = []
    for item in values:
        label = mapping.get(str(item), str(item))
        if label not in task.labels:
            hint = did_you_mean(label, task.labels)
            advice = f"write one of: {listing(task.labels, 30)}.{hint}"
            raise BadAnnotation(where, problem=f"'{label}' is not a label of task '{task.name}'", advice=advice)
        found.append(label)
    return tuple(found)
