"""Two branches' ``teachkit.lock`` made one, label set by label set; in doubt nobody's labels, never a wrong figure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from teachkit.errors import BadLock, LockTooNew, MergeConflict, Where
from teachkit.store.lock import Lock, parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MARK = re.compile(r"(<{7,}|>{7,}|\|{7,}|={7,})(?: .*)?")
_LABEL_SET = re.compile(r"  (\S.*):")

Line = tuple[str, bool]  # and whether it stands within marks

_BOTH = "was changed on both sides"
_GONE = "was deleted on one side and changed on the other"
_ALONE = "stands on one side alone, and nothing says whether it was added there or deleted on the other"
_DIFFERS = "differs between the sides, and nothing says which of them changed it"
_TORN = "lies partly within the marks of the conflict"


@dataclass(frozen=True, slots=True)
class MergedLock:
    """What came of a merge; ``left_out``: the label sets that a build must make, each with the reason."""

    lock: Lock
    left_out: Mapping[str, str] = field(default_factory=dict)


def merge_locks(base: Lock | None, ours: Lock, theirs: Lock) -> MergedLock:
    """Merge label set by label set; ``base`` is what both sides started from, None if nobody knows.

    What one side changed, added or deleted is taken from it; what both made the same is that. What both changed to
    different things is left out: neither side's figures are true of the merged files.
    """
    kept, left_out = {}, {}
    for name in sorted({*ours.label_sets, *theirs.label_sets}):
        mine, other = ours.label_sets.get(name), theirs.label_sets.get(name)
        before = None if base is None else base.label_sets.get(name)
        if mine == other or (base is not None and other == before):
            chosen = mine
        elif base is not None and mine == before:
            chosen = other
        else:
            alone = mine is None or other is None
            left_out[name] = (_ALONE if alone else _DIFFERS) if base is None else _GONE if alone else _BOTH
            continue
        if chosen is not None:
            kept[name] = chosen
    return MergedLock(Lock(kept), left_out)


def merge_texts(base: str | None, ours: str | None, theirs: str | None) -> MergedLock:
    """Merge files as they were on each side, None where there was none.

    Raises:
        BadLock, LockTooNew, MergeConflict: a side cannot be read.
    """
    return merge_locks(_base(base), _lock(ours), _lock(theirs))


def merge_marked(text: str) -> MergedLock:
    """Resolve a file with marks of a conflict, with or without the base between them (``merge.conflictStyle``).

    A label set that lies partly within the marks was changed on both sides, whatever the marks themselves show of it.

    Raises:
        BadLock, LockTooNew: what is left on either side of the marks is no lock.
    """
    base, ours, theirs = (list(_side(text, mark)) for mark in "|<>")
    mine, other = _side_lock(ours), _side_lock(theirs)
    before = _base(_text(base)) if all("|" in marks for marks in _conflicts(text)) else None
    found = merge_locks(before, mine, other)
    torn = {name for side in (base, ours, theirs) for name in _torn(side)}
    unsure = {name: _TORN for name in torn if mine.label_sets.get(name) != other.label_sets.get(name)}
    kept = {name: labels for name, labels in found.lock.label_sets.items() if name not in unsure}
    return MergedLock(Lock(kept), dict(sorted({**found.left_out, **unsure}.items())))


def has_marks(text: str) -> bool:
    """Whether marks of a conflict stand in the text of a lock."""
    return any(_MARK.fullmatch(line.rstrip("\r")) for line in text.split("\n"))


def _lock(text: str | None) -> Lock:
    return parse_lock(text) if text and text.strip() else Lock()


def _base(text: str | None) -> Lock | None:
    """None for one that cannot be read: git leaves conflicts in a merge of bases, and ``zdiff3`` lines of the sides."""
    try:
        return _lock(text)
    except LockTooNew:
        raise
    except (BadLock, MergeConflict):
        return None


def _side_lock(side: Sequence[Line]) -> Lock:
    try:
        return _lock(_text(side))
    except LockTooNew:
        raise
    except BadLock as error:
        problem = f"one side of the conflict is no lock: {error.facts.get('problem')} (counted without the other side)"
        raise BadLock(Where("teachkit.lock"), problem=problem) from error


def _tagged(text: str) -> Iterator[tuple[str, str]]:
    """Each line with the section that it lies in: '' outside of marks, else '<', '|' or '>'.

    Raises:
        BadLock: the marks do not belong together.
    """
    after = {"<": ("",), "|": ("<",), "=": ("<", "|"), ">": (">",)}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        match = _MARK.fullmatch(line.rstrip("\r"))
        if match is None:
            yield line, section
            continue
        mark = match[1][0]
        if section not in after[mark]:
            raise BadLock(Where("teachkit.lock", number), problem="the marks of the conflict do not belong together")
        section = {"=": ">", ">": ""}.get(mark, mark)
        yield "", mark + "!"
    if section:
        raise BadLock(Where("teachkit.lock"), problem="the last mark of the conflict is missing")


def _conflicts(text: str) -> list[set[str]]:
    """The marks of each conflict."""
    found: list[set[str]] = []
    for _, section in _tagged(text):
        if section == "<!":
            found.append(set())
        if section.endswith("!"):
            found[-1].add(section[0])
    return found


def _side(text: str, mark: str) -> Iterator[Line]:
    return ((line, bool(section)) for line, section in _tagged(text) if section in ("", mark))


def _text(side: Sequence[Line]) -> str:
    return "\n".join(line for line, _ in side)


def _torn(side: Sequence[Line]) -> set[str]:
    """The label sets of a side that lie partly within marks."""
    places: dict[str, set[bool]] = {}
    name = None
    for line, within in side:
        if match := _LABEL_SET.fullmatch(line.rstrip()):
            name = match[1]
        if name is not None and line.strip():
            places.setdefault(name, set()).add(within)
    torn = [name for name, found in places.items() if len(found) > 1]
    return {json.loads(name) if name.startswith('"') else name for name in torn}
