"""What a comparison comes to, in sentences: the same ones on a terminal, in a comment and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from teachkit.diff.labels import NOT
from teachkit.errors import counted, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.diff.result import Change, DataDiff, Diff, End, LabelSetDiff, QualityChange, VoterDiff

Verdict = Literal["same", "better", "worse", "open", "unknown"]
"""``open``: labels change, and gold does not tell whether that is good."""

SURE = 0.05  # p-values below that are believed
_WRONG = 0.5
_MORE_CONFLICT = 0.1
NAMED_FLIPS = 2
_NAMED = 6
_SHOWN_SHIFT = 0.00005
_FOREMOST = ("accuracy", "exact_match", "item_f1", "mae")
_ERRORS = ("mae",)
_EFFECTLESS = ("test", "unit_test", "export")


def headline(diff: Diff) -> str:
    """One sentence on all label sets."""
    if not diff.label_sets:
        return "There are no label sets to compare."
    if diff.unchanged:
        return _nothing(diff)
    said = [sentence(s) for s in diff.label_sets if s.status != "same"]
    same = [s for s in diff.label_sets if s.status == "same"]
    if same and said:
        said.append(f"{listing([s.name for s in same], _NAMED)}: no label changes")
    return ". ".join(said) + "."


def no_base(base: End) -> str:
    """Why there is little to compare with."""
    return "The base has no project" if base.missing else "The base does not compile"


def sentence(found: LabelSetDiff) -> str:
    """What happens to one label set."""
    match found.status:
        case "same":
            return f"{found.name}: no label changes"
        case "added":
            return f"{found.name} is new" + (f": {found.items_after:,} items" if found.items_after is not None else "")
        case "removed":
            return f"{found.name} is gone"
        case "unknown":
            return f"{found.name}: labels cannot be compared"
        case "moved":
            moved = counted(found.moved or 0, "item")
            return f"{found.name}: no label flips; posteriors of {moved} moved, {_at_most(found)}"
    parts = []
    if found.flips or not (found.gained or found.lost or ((found.added or found.removed) and not found.compared)):
        share = found.flips / found.compared if found.flips and found.compared else 0.0
        flips = f"{found.flips or 0:,} of {found.compared or 0:,} labels {'flips' if found.flips == 1 else 'flip'}"
        parts.append(flips + (f" ({percent(share)}{_directions(found)})" if found.flips else ""))
    parts += [f"{counted(found.gained, 'item')} gained a label"] if found.gained else []
    parts += [f"{counted(found.lost, 'item')} lost theirs"] if found.lost else []
    parts += [counted(found.added, "new item")] if found.added else []
    parts += [f"{counted(found.removed, 'item')} gone"] if found.removed else []
    return f"{found.name}: {', '.join(parts)}"


def directions(found: LabelSetDiff) -> list[tuple[int, str, str]]:
    """How many labels flip from which to which, most first."""
    return sorted(((n, a, b) for a, row in found.matrix.items() for b, n in row.items()), key=lambda f: (-f[0], f[1:]))


def _directions(found: LabelSetDiff) -> str:
    """All directions where they are few."""
    flips = directions(found)
    if not flips or len(flips) > NAMED_FLIPS or any(a.startswith(NOT) or b.startswith(NOT) for _, a, b in flips):
        return ""
    return "; " + ", ".join(f"{a} → {b} {n:,}" for n, a, b in flips)


def verdict(found: LabelSetDiff) -> Verdict:
    """Whether labels are better on gold: by the test split if it tells, else by the tune split."""
    if found.status in ("same", "moved"):
        return "same"
    if found.status in ("unknown", "removed") or found.labels_gone:
        return "unknown"
    for split in ("test", "tune"):
        figure = accuracy_on(found, split)
        if figure is not None and figure.p_value is not None and figure.p_value < SURE:
            gain = (figure.delta or 0.0) * (-1 if figure.metric in _ERRORS else 1)
            return "better" if gain > 0 else "worse"
    return "open"


def judgment(found: LabelSetDiff) -> str:
    """The verdict in words, with the figures that it rests on; empty where neither labels nor gold changed."""
    decided = verdict(found)
    if found.labels_gone:
        return f"labels of the task are gone ({listing(found.labels_gone)}), so gold cannot tell whether that is better"
    if decided in ("same", "unknown"):
        return gold_words(found)
    figures = [f for f in (accuracy_on(found, split) for split in ("test", "tune")) if f is not None]
    if not figures:
        return "no gold tells whether that is better"
    sure = [f for f in figures if f.p_value is not None and f.p_value < SURE][:1]
    by = sure or [f for f in figures if f.better or f.worse] or figures[:1]
    word = {"better": "better", "worse": "worse", "open": "no clear change"}[decided]
    said = f"{word} on gold: {', '.join(quality_words(f) for f in by)}"
    return f"{said}; {gold_words(found)}" if found.gold_changed else said


def gold_words(found: LabelSetDiff) -> str:
    """What other gold makes of the same labels; empty where gold is as it was."""
    if not found.gold_changed:
        return ""
    said = []
    for figure in (f for f in (accuracy_on(found, split) for split in ("test", "tune")) if f is not None):
        old = found.old_gold.get(figure.split)
        if old is None:
            name = metric_name(figure.metric)
            said.append(f"{name} on {figure.split} {metric_value(figure.metric, figure.before)} by the new gold")
        elif percent(old) != percent(figure.before):
            said.append(f"accuracy on {figure.split} {percent(old)} by the old, {percent(figure.before)} by the new")
    return f"gold changed: {'; '.join(said)}" if said else "gold changed, and no accuracy with it"


def alerts(diff: Diff) -> list[str]:
    """What a reviewer should look at even where labels hardly change."""
    return [*(a for v in diff.voters for a in _about_voter(v)), *(a for s in diff.label_sets for a in _about_set(s))]


def _about_voter(voter: VoterDiff) -> Iterator[str]:
    if voter.precision_after is None or voter.high_after is None or voter.change == "removed":
        return
    of = f"{percent(voter.precision_after)} of {counted(voter.gold_after or 0, 'vote')} on gold"
    if voter.high_after < _WRONG:
        yield f"{voter.node} is more often wrong than right: {of}"
    elif voter.low_before is not None and voter.high_after < voter.low_before:
        yield f"{voter.node} became less precise: {of}, {percent(voter.precision_before)} before"


def _about_set(found: LabelSetDiff) -> Iterator[str]:
    before, after = found.conflict.before, found.conflict.after
    if before is not None and after is not None and after - before > _MORE_CONFLICT:
        yield f"{found.name}: voters disagree on {percent(after)} of the items, {percent(before)} before"


def quality_words(figure: QualityChange) -> str:
    """``accuracy on test 93.1 % → 90.0 % (4 items became wrong, 0 right; p = 0.125)``."""
    before, after = (metric_value(figure.metric, value) for value in (figure.before, figure.after))
    said = f"{metric_name(figure.metric)} on {figure.split} {before} → {after}"
    if figure.metric not in _FOREMOST:
        return said
    if not figure.better and not figure.worse:
        return f"{said} (the labels of all {figure.n:,} gold items are as right as before)"
    p_value = "p < 0.001" if (figure.p_value or 0.0) < 0.001 else f"p = {figure.p_value:.2g}"
    if figure.metric in _ERRORS:
        return f"{said} ({figure.worse:,} farther from gold, {figure.better:,} nearer, of {figure.n:,}; {p_value})"
    return f"{said} ({figure.worse:,} became wrong, {figure.better:,} right, of {figure.n:,}; {p_value})"


def accuracy_on(found: LabelSetDiff, split: str) -> QualityChange | None:
    """The foremost figure on a gold split (of labels that is accuracy), None if it has no gold."""
    return next((q for q in found.quality if q.split == split and q.metric in _FOREMOST), None)


def metric_name(metric: str) -> str:
    """A figure's name for people."""
    return {"macro_f1": "macro F1", "mae": "mean error"}.get(metric, metric.replace("_", " "))


def is_share(metric: str) -> bool:
    """Whether a figure is a share, and not an error in the unit of the labels."""
    return metric not in _ERRORS


def metric_value(metric: str, value: float | None) -> str:
    """A figure for people: shares in percent, errors in the unit of the labels."""
    if is_share(metric):
        return percent(value)
    return "–" if value is None else f"{value:.4g}"


def change_words(change: Change) -> str:
    """``lf.spam.length modified``."""
    return f"{change.node} {'content changed' if change.change == 'data' else change.change}"


def cause_words(change: str) -> str:
    """What a cause is, in a word."""
    return {"data": "data", "interaction": "several changes together"}.get(change, change)


def voter_words(voter: VoterDiff) -> str:
    """What a voter says now that it did not."""
    if voter.gained is None:
        return voter.change
    if voter.same_votes:
        return "same votes"
    parts = ((voter.gained, "gained"), (voter.lost, "lost"), (voter.changed, "changed"))
    return ", ".join(f"{count:,} {word}" for count, word in parts if count)


def data_words(data: DataDiff) -> str:
    """``418 → 430 rows: 14 new, 2 gone, 3 changed in text``."""
    said = f"{data.rows_before or 0:,} → {data.rows_after or 0:,} rows"
    parts = [f"{data.new:,} new"] if data.new else []
    parts += [f"{data.gone:,} gone"] if data.gone else []
    parts += [f"{data.changed:,} changed in {listing(data.columns, _NAMED)}"] if data.changed else []
    parts += [f"columns added: {listing(data.columns_added, _NAMED)}"] if data.columns_added else []
    parts += [f"columns removed: {listing(data.columns_removed, _NAMED)}"] if data.columns_removed else []
    parts += [data.note] if data.note else []
    return f"{said}: {', '.join(parts)}" if parts else f"{said}: in another order"


def percent(share: float | None) -> str:
    """A share for people; small ones keep what tells them from none."""
    if share is None:
        return "–"
    if share == 0 or abs(share) >= 0.001:
        return f"{share:.1%}"
    return f"{share:.2%}" if abs(share) >= 0.0001 else "< 0.01%"


def _nothing(diff: Diff) -> str:
    if any(s.gold_changed for s in diff.label_sets):
        said = "; ".join(f"{s.name}: {gold_words(s)}" for s in diff.label_sets if s.gold_changed)
        return f"No label changes. {said}."
    effective = [c for c in diff.changes if c.kind not in _EFFECTLESS]
    if not effective:
        others = f" ({counted(len(diff.changes), 'test or export', 'tests or exports')} did)" if diff.changes else ""
        return f"No label changes: nothing that labels are made of changed{others}."
    votes = "" if any(not v.same_votes for v in diff.voters) else "votes and "
    which = listing([c.node for c in effective], _NAMED)
    changed = f"{counted(len(effective), 'node')} changed ({which})"
    return f"No label changes: {changed}, and all {votes}labels are the same, bit for bit."


def _at_most(found: LabelSetDiff) -> str:
    shift = found.largest_shift or 0.0
    return f"by at most {shift:.4f}" if shift >= _SHOWN_SHIFT else "in their last digits alone"
