"""People's judgments: JSONL or CSV files in git, one judgment a line, merged by union.

JSONL: ``item`` and ``label`` (null: looked at and declined; a list for multichoice), and if known ``annotator``,
``at`` (ISO time), ``seconds``, ``tool``, ``guideline``, ``shown``, ``op`` (``set`` or ``undo``). CSV: ``item,label``
and if known ``annotator,at,seconds,op``, with commas, semicolons or tabs between them. Of several judgments of one
annotator on one item the latest by ``at`` counts; ``undo`` takes the annotator's judgment of the item back.

The order of lines means nothing: a merge may put them in any, and may keep the same line twice. Where ``at`` does not
say which of two judgments is the later one, and they differ, that is an error.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from teachkit.errors import BadAnnotation, ProjectErrors, TeachkitError, Where, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.node import AnnotationsSpec, TaskInfo
from teachkit.project.conflicts import refuse_conflict
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.project import Definition
    from teachkit.project.models import AnnotationMeta

VERSION = 3
"""1: of judgments of the same time the last line counted, and times were compared as texts.
2: of several files the last by name counted."""
_KNOWN = {"item", "label", "annotator", "at", "seconds", "tool", "guideline", "shown", "op", "note", "id"}
_MOST_ERRORS = 20
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_KEEP_BOTH = (
    "keep the lines of both sides, in any order, and remove the marks ('merge=union' in .gitattributes does that)"
)


@dataclass(frozen=True, slots=True)
class Judgment:
    """One person's answer on one item; ``labels`` is empty where the person declined.

    Where answers are values, it holds the one that was given. In a multichoice task it is empty, too, where the person
    said that no label holds; ``declined`` tells.
    """

    item: str
    annotator: str
    labels: tuple[Any, ...]
    at: str
    seconds: float | None
    line: int
    declined: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the judgment, when it was made as an instant, whether it takes one back."""

    judgment: Judgment
    when: datetime | None
    undo: bool


def compile_annotations(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """One file of annotations is one node."""
    from teachkit.hashing import digest_bytes

    meta: AnnotationMeta = definition.config
    path = definition.where.path
    data = as_committed((context.root / path).read_bytes())
    refuse_conflict(data.decode(errors="replace"), path, advice=_KEEP_BOTH, lines=True)
    silence = meta.abstain or context.defaults.abstain or context.task.silence(looks_at_all=True)
    spec = AnnotationsSpec(path, meta, silence, digest_bytes(data))
    settings = meta.model_dump(mode="json", exclude={"tags", "description", "enabled", "abstain"})
    canonical = {
        "annotations": spec.digest,
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


def as_committed(data: bytes) -> bytes:
    """A file's content as git keeps it: a checkout on Windows has other ends of lines, and says nothing else."""
    return data.replace(b"\r\n", b"\n")


def read_judgments(text: str, path: str, name: str, meta: AnnotationMeta, task: TaskInfo) -> list[Judgment]:
    """The judgments of a file that stand, one for each (item, annotator), in the order of item and annotator.

    The same lines in another order, or some of them twice, give the same judgments (but for the numbers of lines).

    Raises:
        ProjectErrors: lines that cannot be used, each with its number.
    """
    errors: list[TeachkitError] = []
    standing = []
    for _, entries in sorted(read_entries(text, path, name, meta, task, errors).items()):
        try:
            standing.append(entries[0] if len(entries) == 1 else latest(entries, path))
        except TeachkitError as error:
            errors.append(error)
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise ProjectErrors(errors)
    return [entry.judgment for entry in standing if not entry.undo]


def read_entries(
    text: str, path: str, name: str, meta: AnnotationMeta, task: TaskInfo, errors: list[TeachkitError]
) -> dict[tuple[str, str], list[Entry]]:
    """All lines of a file, by item and annotator; what is wrong with lines goes to ``errors``."""
    said: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    rows = _jsonl(text, path, errors) if path.lower().endswith(".jsonl") else _csv(text, path, meta, task, errors)
    for line, row in rows:
        try:
            entry = _entry(row, line, path, name, meta, task)
        except TeachkitError as error:
            errors.append(error)
        else:
            said[entry.judgment.item, entry.judgment.annotator].append(entry)
        if len(errors) >= _MOST_ERRORS:
            break
    return said


def latest(entries: Sequence[Entry], path: str) -> Entry:
    """What stands of all that one annotator said of one item.

    A line without a time may be later than any with one: so it must say what the latest of those says, unless an undo
    with a time takes it back.

    Raises:
        BadAnnotation: nothing says which of two different judgments is the later one.
    """
    timed = [entry for entry in entries if entry.when is not None]
    others = [entry for entry in entries if entry.when is None]
    unclear = [entry.judgment.line for entry in others if entry.undo]
    if timed and unclear:
        line = min(entry.judgment.line for entry in timed)
        problem = f"this undo has no 'at', and line {line} about the same item has one: nothing says which is later"
        raise BadAnnotation(Where(path, min(unclear)), problem=problem, advice="give the undo its time")
    if any(entry.undo for entry in timed):
        others = []
    last = max((entry.when for entry in timed if entry.when is not None), default=None)
    there = sorted([*(e for e in timed if e.when == last), *others], key=_order)
    _refuse_two_answers([entry.judgment for entry in there if not entry.undo], path)
    return next((entry for entry in there if entry.undo), there[0])


def _refuse_two_answers(judgments: Sequence[Judgment], path: str) -> None:
    one = judgments[0] if judgments else None
    other = next((j for j in judgments if one is not None and _answer(j) != _answer(one)), None)
    if one is None or other is None:
        return
    first, second = sorted((one, other), key=lambda j: j.line)
    same = f"both are of {one.at}" if one.at and other.at else "one has no 'at'" if one.at else "neither has 'at'"
    problem = f"'{second.annotator}' judged item '{second.item}' otherwise on line {first.line}"
    advice = f"nothing says which of the two is later ({same}): remove one, or give the later one a later 'at'"
    raise BadAnnotation(Where(path, second.line), problem=problem, advice=advice)


def _answer(judgment: Judgment) -> tuple[Any, ...]:
    return judgment.labels, judgment.declined


def _order(entry: Entry) -> tuple[Any, ...]:
    """An order that the place of a line decides last, between lines that say the same."""
    judgment = entry.judgment
    return entry.when is None, judgment.at, judgment.seconds is None, judgment.seconds or 0.0, judgment.line


def judgments_table(
    judgments: Sequence[Judgment],
    rows: Mapping[str, tuple[int, int]],
    path: str,
    task: TaskInfo,
    alike: Mapping[str, str] | None = None,
) -> pa.Table:
    """Judgments as rows of (part, row, annotator, code, yes, line, at, seconds).

    ``rows`` maps an item's key, as text, to its part and row; ``alike`` what is no key to one that may be meant. A
    declined judgment has the code -1. In a multichoice task any other has a row for each label, with ``yes`` false for
    those that it does not name. Where answers are values, there is a column ``value`` too, and the code of all that are
    given is 0.

    Raises:
        ProjectErrors: items that the dataset does not have.
    """
    import pyarrow as pa

    errors: list[TeachkitError] = []
    out: list[tuple[Any, ...]] = []
    for judgment in judgments:
        place = rows.get(judgment.item)
        if place is None:
            problem = f"there is no item '{judgment.item}' in the dataset of task '{task.name}'"
            advice = f"'item' holds values of '{task.key}'; remove the line if the item is gone"
            if alike and judgment.item in alike:
                advice = f"'item' holds values of '{task.key}'. Did you mean '{alike[judgment.item]}'?"
            errors.append(BadAnnotation(Where(path, judgment.line), problem=problem, advice=advice))
            if len(errors) >= _MOST_ERRORS:
                break
            continue
        value = judgment.labels[0] if judgment.labels else None
        for code, yes in _codes(judgment, task):
            out.append((*place, judgment.annotator, code, yes, judgment.line, judgment.at, judgment.seconds, value))
    if errors:
        raise ProjectErrors(errors)
    out.sort(key=lambda r: r[:4])
    *columns, values = list(zip(*out, strict=True)) or [()] * 9
    names = ("part", "row", "annotator", "code", "yes", "line", "at", "seconds")
    types = (pa.int32(), pa.int64(), pa.string(), pa.int16(), pa.bool_(), pa.int32(), pa.string(), pa.float64())
    table = pa.table({n: pa.array(c, type=t) for n, c, t in zip(names, columns, types, strict=True)})
    return table if task.coded else table.append_column("value", task.answers.array(list(values)))


def standing(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Several files' judgments (see ``judgments_table``) without those that their annotator made anew in another file.

    The latest by ``at`` stands, one without it before all others; of the same time that of the later file.
    """
    import pyarrow as pa

    names = [name for table in tables for name in table.column("annotator").unique().to_pylist()]
    if len(set(names)) == len(names):
        return list(tables)
    said = [list(zip(*(t.column(c).to_pylist() for c in ("annotator", "part", "row")), strict=True)) for t in tables]
    last: dict[tuple[Any, ...], tuple[datetime, int]] = {}
    for number, (keys, table) in enumerate(zip(said, tables, strict=True)):
        for key, at in zip(keys, table.column("at").to_pylist(), strict=True):
            last[key] = max(last.get(key, (instant(""), 0)), (instant(at), number))
    kept = [[last[key][1] == number for key in keys] for number, keys in enumerate(said)]
    return [t.filter(pa.array(stands, type=pa.bool_())) for t, stands in zip(tables, kept, strict=True)]


def _codes(judgment: Judgment, task: TaskInfo) -> Iterator[tuple[int, bool]]:
    if not task.coded:
        yield (0, True) if judgment.labels else (-1, False)
    elif judgment.declined:
        yield -1, False
    elif task.multi:
        said = {task.labels.index(label) for label in judgment.labels}
        yield from ((code, code in said) for code in range(len(task.labels)))
    else:
        yield task.labels.index(judgment.labels[0]), True


def _jsonl(text: str, path: str, errors: list[TeachkitError]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removeprefix("\ufeff")  # of a file that a merge put after another
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            errors.append(
                BadAnnotation(
                    Where(path, number), problem=f"this line is not JSON: {error}", advice="write one object a line"
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


def csv_form(text: str, meta: AnnotationMeta) -> tuple[str, list[str]]:
    """What parts the columns of a CSV file of judgments, and its header (none, if there is nothing in it).

    That is the comma, if the header then has the column of items; else the semicolon or the tab, if it then has it.
    Excel writes either, depending on the country, and may say so in a first line ``sep=;``, which is passed over.
    """
    item = meta.columns.get("item", "item")
    headers = [(delimiter, _header(text, delimiter)) for delimiter in _DELIMITERS]
    found = next((one for one in headers if item in one[1]), None)
    return found or max(headers, key=lambda one: len(one[1]))


def _header(text: str, delimiter: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return next((fields for fields in map(_unmarked, rows) if not _is_empty(fields) and not _is_hint(fields)), [])
    except csv.Error:
        return []


def _unmarked(fields: list[str]) -> list[str]:
    """The fields of a row without a byte order mark, which a merge may have put between the lines."""
    return [*(field.removeprefix("\ufeff") for field in fields[:1]), *fields[1:]]


def _is_empty(fields: Sequence[str]) -> bool:
    """Whether nothing stands in a row: programs for tables write such rows below the last one."""
    return not any(field.strip() for field in fields)


def _is_hint(fields: Sequence[str]) -> bool:
    return "".join(fields).rstrip(";\t") == "sep="


def _csv(
    text: str, path: str, meta: AnnotationMeta, task: TaskInfo, errors: list[TeachkitError]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows below the header. A merge of two files may repeat the header: that is passed over."""
    delimiter, _ = csv_form(text, meta)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    item = meta.columns.get("item", "item")
    label = meta.columns.get("label", "label")
    title = {item, label}
    in_a_line = {"op", *(meta.columns.get(name, name) for name in ("annotator", "at", "seconds"))}
    header: list[str] = []
    start = before = 0
    try:
        for fields in map(_unmarked, reader):
            start, before = before + 1, reader.line_num
            if _is_empty(fields) or fields == header:
                continue
            if not header:
                if _is_hint(fields):
                    continue
                header = fields
                wrong = _wrong_header(header, Where(path, start), meta, task)
                if wrong is not None:
                    errors.append(wrong)
                    return
            elif title <= set(fields):
                problem = f"a second header, other than the first ({','.join(header)})"
                advice = "a merge has put together two files with other columns: give all lines the same columns"
                errors.append(BadAnnotation(Where(path, reader.line_num), problem=problem, advice=advice))
            elif len(fields) != len(header):
                problem = "this line has another number of fields than the header"
                advice = f"quote fields that hold {_DELIMITERS[delimiter]}"
                errors.append(BadAnnotation(Where(path, reader.line_num), problem=problem, advice=advice))
            else:
                row = dict(zip(header, fields, strict=True))
                broken = next((k for k, v in row.items() if k in in_a_line and ("\n" in v or "\r" in v)), None)
                if broken is not None:
                    problem = f"'{broken}' goes over several lines, to line {reader.line_num}"
                    errors.append(
                        BadAnnotation(Where(path, start), problem=problem, advice="look for a quote too many")
                    )
                    continue
                if row[item] == "":
                    problem, advice = f"the cell '{item}' is empty", "write the item's key, or remove the line"
                    errors.append(BadAnnotation(Where(path, reader.line_num), problem=problem, advice=advice))
                    continue
                yield reader.line_num, {k: v for k, v in row.items() if v != "" or k == label}
    except csv.Error as error:
        where = Where(path, before + 1)
        errors.append(BadAnnotation(where, problem=f"this is not CSV: {error}", advice="look for a quote too many"))


def _wrong_header(header: list[str], where: Where, meta: AnnotationMeta, task: TaskInfo) -> BadAnnotation | None:
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        problem = f"the header names the column '{twice}' more than once"
        return BadAnnotation(where, problem=problem, advice="leave one of them out")
    wanted: list[Literal["item", "label"]] = ["item"] if "op" in header else ["item", "label"]
    missing = [key for key in wanted if meta.columns.get(key, key) not in header]
    if not missing:
        return None
    names = " and no column ".join(f"'{meta.columns.get(key, key)}'" for key in missing)
    problem = f"the header has no column {names} (found: {listing(header, 30)})"
    return BadAnnotation(where, problem=problem, advice=_naming(missing, header, where, meta, task))


def _naming(
    missing: Sequence[Literal["item", "label"]],
    found: Iterable[str],
    where: Where,
    meta: AnnotationMeta,
    task: TaskInfo,
) -> str:
    """How ``_meta.yml`` names columns that are called otherwise."""
    wrong = [key for key in missing if key in meta.columns]
    if wrong:
        return f"columns: in _meta.yml says '{wrong[0]}: {meta.columns[wrong[0]]}': name one of those that are there"
    key = task.key if task.key in found else "…"
    columns = ", ".join(f"{name}: {key if name == 'item' else '…'}" for name in missing)
    file = PurePosixPath(where.path).name
    return f"write in _meta.yml how they are called: files: {{{file}: {{columns: {{{columns}}}}}}}"


def _entry(row: Mapping[str, Any], line: int, path: str, name: str, meta: AnnotationMeta, task: TaskInfo) -> Entry:
    where = Where(path, line)
    names = {key: meta.columns.get(key, key) for key in ("item", "label", "annotator", "at", "seconds")}
    op = row.get("op", "set")
    if op not in ("set", "undo"):
        raise BadAnnotation(where, problem=f"op is {op!r}", advice="write 'set' or 'undo'")
    if row.get(names["item"]) is None:
        if names["item"] in row:
            raise BadAnnotation(where, problem=f"'{names['item']}' is null", advice="write the item's key")
        advice = _naming(["item"], row, where, meta, task)
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
        if taken is not None and not math.isfinite(taken):
            raise ValueError(taken)
    except (TypeError, ValueError, OverflowError):
        raise BadAnnotation(where, problem=f"seconds is {seconds!r}", advice="write a number") from None
    at = str(row.get(names["at"]) or "")
    read = _labels if task.coded else _value
    labels = () if op == "undo" else read(row[names["label"]], where, meta, task)
    declined = op != "undo" and not labels and not (task.multi and row[names["label"]] == [])
    judgment = Judgment(str(row[names["item"]]), annotator, labels, at, taken, line, declined)
    try:
        return Entry(judgment, instant(at) if at else None, op == "undo")
    except ValueError:
        advice = "write a time in ISO form, such as 2026-04-07T09:02:13Z"
        raise BadAnnotation(where, problem=f"at is {at!r}, which is no time", advice=advice) from None


def _value(value: Any, where: Where, meta: AnnotationMeta, task: TaskInfo) -> tuple[Any, ...]:
    """The answer that a line gives; none where the person declined."""
    mapping = {str(k): v for k, v in (meta.values or {}).items()}
    given = mapping.get(str(value), value) if isinstance(value, str | int | float) else value
    try:
        found = task.answers.read(given, task.labels)
    except NotAnAnswer as error:
        problem, advice = f"the label {error.problem}", error.advice
        if mapping and given is value:
            problem, advice = _unmapped(value, mapping, problem, advice)
        raise BadAnnotation(where, problem=problem, advice=advice) from error
    return () if found is None else (found,)


def _unmapped(value: Any, mapping: Mapping[str, str], problem: str, advice: str) -> tuple[str, str]:
    """The problem and advice about an answer that ``values`` of ``_meta.yml`` does not have."""
    there = f"'values:' in _meta.yml has no '{value}'"
    return f"{problem}, and {there}", f"add it there (it has: {listing(mapping, 30)}), or {advice}"


def instant(at: str) -> datetime:
    """When a judgment was made; a time without a zone is UTC, and no time is before all others.

    Raises:
        ValueError: it is no time.
    """
    if not at:
        return datetime.min.replace(tzinfo=UTC)
    found = datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
            problem = f"'{label}' is not a label of task '{task.name}'"
            if mapping and str(item) not in mapping:
                problem, advice = _unmapped(item, mapping, problem, advice)
            raise BadAnnotation(where, problem=problem, advice=advice)
        found.append(label)
    return tuple(label for label in task.labels if label in found)
