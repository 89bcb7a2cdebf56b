"""``teachkit.lock``: what the labels are, in a file that git can compare and merge line by line.

The file is YAML of a narrow kind: mappings, one entry a line, two spaces for each level. A small reader of
just that kind finds what YAML would pass over in silence: a label set that a merge has put in twice.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadLock, LockTooNew, Where
from teachkit.project.conflicts import refuse_conflict
from teachkit.store.atomic import write_bytes_atomic

if TYPE_CHECKING:
    from pathlib import Path

LOCK_VERSION = 1

_NAME = "teachkit.lock"
_HEADER = """\
# What the labels of this project are: written by 'teachkit build'; commit it.
# A change here is a change of labels. 'teachkit build --locked' proves that they still come out the same.
"""
_LINE = re.compile(r'( *)("(?:[^"\\]|\\.)*"|[^\s":#][^":]*):(?: (.*))?')
_PLAIN = re.compile(r"(?!(?:yes|no|on|off|true|false|null)$)[a-z_][\w.-]*|[0-9a-f]{64}", re.IGNORECASE | re.ASCII)
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_METRICS = ("accuracy", "low", "high", "n", "macro_f1")
_RESOLVE = "run 'teachkit lock --resolve'; or take either side, run 'teachkit build', and commit"

Number = int | float | None


@dataclass(frozen=True, slots=True)
class LockedLabels:
    """One label set: where it comes from, what is in it, how good it is by split, what its answers cost.

    ``doubt`` says why the fit of its label model was not believed; it is in the file only where there is one.
    """

    task: str
    fingerprint: str
    digest: str
    rows: int
    labeled: int
    classes: Mapping[str, int] = field(default_factory=dict)
    quality: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    cost: float = 0.0
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """All label sets of a project by name."""

    label_sets: Mapping[str, LockedLabels] = field(default_factory=dict)


def read_lock(path: Path) -> Lock | None:
    """Read ``teachkit.lock``, None if there is none.

    Raises:
        BadLock: it is not one, or names a label set twice.
        MergeConflict: it holds marks of a merge.
        LockTooNew: a newer teachkit wrote it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadLock(Where(path.name), problem=str(error)) from error
    return parse_lock(text)


def write_lock(path: Path, lock: Lock) -> bool:
    """Write the lock as a whole; return False, and leave the file alone, if it says the same already."""
    text = render_lock(lock)
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    write_bytes_atomic(path, text.encode())
    return True


def render_lock(lock: Lock) -> str:
    """Return the text of ``teachkit.lock``: label sets by name, fractions rounded to four digits."""
    lines = [_HEADER + f"version: {LOCK_VERSION}", "", "label_sets:"]
    for name, labels in sorted(lock.label_sets.items()):
        lines += ["", *_render(name, _entries(labels), 1)]
    if not lock.label_sets:
        lines[-1] += " {}"
    return "\n".join(lines) + "\n"


def parse_lock(text: str) -> Lock:
    """Read the text of ``teachkit.lock``; raises as ``read_lock``."""
    tree = _parse(text)
    version = tree.get("version")
    if not isinstance(version, int) or set(tree) != {"version", "label_sets"}:
        raise BadLock(Where(_NAME), problem="it needs 'version' and 'label_sets', and nothing else")
    if version > LOCK_VERSION:
        raise LockTooNew(Where(_NAME), found=version, known=LOCK_VERSION)
    sets = tree["label_sets"]
    if not isinstance(sets, dict):
        raise BadLock(Where(_NAME), problem="'label_sets' holds no label sets")
    return Lock({name: _labels(name, value) for name, value in sets.items()})


def differences(expected: Lock, actual: Lock) -> list[str]:
    """Say in plain sentences where the labels are not what the lock says; one for each label set.

    Cost is left out: what was paid is no property of the labels.
    """
    sentences = []
    for name in sorted({*expected.label_sets, *actual.label_sets}):
        was, now = expected.label_sets.get(name), actual.label_sets.get(name)
        if was is None:
            sentences.append(f"label set {name}: is not in {_NAME}")
        elif now is None:
            sentences.append(f"label set {name}: is in {_NAME}, and the project does not make it")
        elif found := list(_changes(was, now)):
            sentences.append(f"label set {name}: {'; '.join(found)}")
    return sentences


def _changes(was: LockedLabels, now: LockedLabels) -> Iterator[str]:
    if was.task != now.task:
        yield f"task was {was.task}, is {now.task}"
    if was.fingerprint != now.fingerprint:
        yield f"fingerprint was {was.fingerprint[:8]}…, is {now.fingerprint[:8]}…"
    if was.digest != now.digest:
        yield f"digest was {was.digest[:8]}…, is {now.digest[:8]}…"
    for what, more in (("rows", now.rows - was.rows), ("labeled", now.labeled - was.labeled)):
        if more:
            yield f"{abs(more)} {what} {'more' if more > 0 else 'fewer'}"
    for label in {**was.classes, **now.classes}:
        before, after = was.classes.get(label, 0), now.classes.get(label, 0)
        if before != after:
            yield f"{label} {before} -> {after}"
    if was.doubt != now.doubt:
        yield f"doubt was {was.doubt or 'none'}, is {now.doubt or 'none'}"
    for split in {**was.quality, **now.quality}:
        yield from _quality_changes(split, was.quality.get(split, {}), now.quality.get(split, {}))


def _quality_changes(split: str, was: Mapping[str, Number], now: Mapping[str, Number]) -> Iterator[str]:
    for metric in _metrics({**was, **now}):
        before, after = _rounded(was.get(metric)), _rounded(now.get(metric))
        if before != after:
            yield f"{metric} on {split} {_scalar(before)} -> {_scalar(after)}"


# ---------------------------------------------------------------------------- the file


def _entries(labels: LockedLabels) -> dict[str, Any]:
    quality = {split: {m: figures[m] for m in _metrics(figures)} for split, figures in sorted(labels.quality.items())}
    return {
        "task": labels.task,
        "fingerprint": labels.fingerprint,
        "digest": labels.digest,
        "rows": labels.rows,
        "labeled": labels.labeled,
        "classes": dict(labels.classes),
        "quality": quality,
        "cost": float(labels.cost),
        **({"doubt": labels.doubt} if labels.doubt else {}),
    }


def _metrics(figures: Mapping[str, Number]) -> list[str]:
    """The names of figures in the order of the file: accuracy first, names that only some tasks have last."""
    return [m for m in _METRICS if m in figures] + sorted(m for m in figures if m not in _METRICS)


def _render(key: str, value: object, depth: int) -> Iterator[str]:
    start = "  " * depth + _word(key) + ":"
    if isinstance(value, Mapping) and value:
        yield start
        for inner, below in value.items():
            yield from _render(inner, below, depth + 1)
    else:
        yield f"{start} {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return _word(value)
    if isinstance(value, Mapping):
        return "{}"
    return json.dumps(_rounded(value))


def _rounded(value: Any) -> Any:
    """A number as the file holds it; what is not a number there (NaN) is null."""
    if isinstance(value, float):
        return round(value, 4) + 0.0 if math.isfinite(value) else None
    return value


def _word(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _parse(text: str) -> dict[str, Any]:
    """Read nested mappings, and refuse every line that ``render_lock`` could not have written."""
    refuse_conflict(text, _NAME, advice=_RESOLVE, lines=True)
    root: dict[str, Any] = {}
    open_blocks = [root]
    for number, line in enumerate(text.split("\n"), 1):
        where = Where(_NAME, number)
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        depth, odd = divmod(len(match[1]), 2) if match else (0, 1)
        if match is None or odd or depth >= len(open_blocks):
            raise BadLock(where, problem=f"line {number} does not fit")
        del open_blocks[depth + 1 :]
        key = _read_scalar(match[2], where) if match[2].startswith('"') else match[2]
        if key in open_blocks[depth]:
            raise BadLock(where, problem=f"line {number} names '{key}' a second time")
        value = {} if match[3] is None else _read_scalar(match[3], where)
        open_blocks[depth][key] = value
        if match[3] is None:
            open_blocks.append(value)
    return root


def _read_scalar(text: str, where: Where) -> Any:
    if _PLAIN.fullmatch(text):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadLock(where, problem=f"line {where.line} holds no value that teachkit writes: {text}") from error
    if isinstance(value, list | bool) or value != value or (isinstance(value, dict) and value):
        raise BadLock(where, problem=f"line {where.line} holds no value that teachkit writes: {text}")
    return value


def _labels(name: str, tree: object) -> LockedLabels:
    needed = [key for key in LockedLabels.__slots__ if key != "doubt"]
    if not isinstance(tree, dict) or set(tree) - {"doubt"} != set(needed):
        raise BadLock(Where(_NAME), problem=f"label set '{name}' needs exactly {', '.join(needed)}")
    wrong = [key for key, value in tree.items() if not _fits(key, value)]
    if wrong:
        raise BadLock(Where(_NAME), problem=f"label set '{name}' has no usable value for {', '.join(wrong)}")
    return LockedLabels(**tree)


def _fits(key: str, value: object) -> bool:
    if key in {"task", "fingerprint", "digest", "doubt"}:
        return isinstance(value, str)
    if key in {"rows", "labeled"}:
        return isinstance(value, int)
    if key == "cost":
        return isinstance(value, int | float)
    if not isinstance(value, dict):
        return False
    if key == "classes":
        return all(isinstance(count, int) for count in value.values())
    return all(
        isinstance(figures, dict) and all(isinstance(f, int | float | None) for f in figures.values())
        for figures in value.values()
    )
