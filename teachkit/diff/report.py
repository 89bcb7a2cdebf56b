"""A comparison as sections with tables: what every form of it shows, in the order in which a reviewer asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from teachkit.diff.words import (
    NAMED_FLIPS,
    cause_words,
    change_words,
    data_words,
    directions,
    is_share,
    judgment,
    metric_name,
    metric_value,
    percent,
    sentence,
    verdict,
    voter_words,
)
from teachkit.votes.values import shown_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.diff.result import Diff, Figure, LabelSetDiff, QualityChange, VoterDiff
    from teachkit.diff.words import Verdict

NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Code:
    """A cell that is somebody's name, or with ``prose`` somebody's text: not a word of ours."""

    text: str
    prose: bool = False


Cell = str | Code


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below column names; ``numeric`` columns stand to the right. ``more`` rows are left out."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: Sequence[int] = ()
    open: bool = False
    """Whether it is shown at once where others are folded away."""
    more: int = 0

    def cut(self, rows: int) -> Table:
        """The same with so many rows at most."""
        if len(self.rows) <= rows:
            return self
        return replace(self, rows=self.rows[:rows], more=self.more + len(self.rows) - rows)


@dataclass(frozen=True, slots=True)
class Section:
    """A label set (or, without a name, all that is about none): what happened, how good that is, tables."""

    name: str
    sentence: str
    judgment: str
    verdict: Verdict
    tables: Sequence[Table]
    notes: Sequence[str] = field(default_factory=tuple)


def sections(diff: Diff, *, texts: bool) -> list[Section]:
    """Label sets that are not the same, then what else changed. ``texts``: show what tasks show of items."""
    found = [_section(s, texts=texts) for s in diff.label_sets if s.status != "same" or s.quality or s.notes]
    rest = [t for t in (_voters(diff), _data(diff), _changes(diff)) if t.rows]
    return [*found, Section("", "", "", "same", rest, tuple(diff.notes))]


def _section(found: LabelSetDiff, *, texts: bool) -> Section:
    tables = [
        t for t in (_causes(found), _matrix(found), _quality(found), _figures(found), _examples(found, texts)) if t
    ]
    return Section(
        found.name, sentence(found), judgment(found), verdict(found), [t for t in tables if t.rows], tuple(found.notes)
    )


def _causes(found: LabelSetDiff) -> Table | None:
    if not found.relabeled:
        return None
    kinds = [k for k in ("flips", "gained", "lost") if getattr(found, k)]
    rows: list[list[Cell]] = []
    for cause in found.causes:
        nodes = "" if list(cause.nodes) == [cause.node] else ", ".join(cause.nodes)
        about: Cell = Code(nodes) if nodes and cause.node != "interaction" else cause_words(cause.change)
        rows.append([Code(cause.node), about, *(f"{getattr(cause, k):,}" for k in kinds)])
    return Table("Why", ["change", "", *kinds], rows, numeric=range(2, 5), open=True)


def _matrix(found: LabelSetDiff) -> Table | None:
    """From label to label: a square where it is small, else a list."""
    if not found.matrix:
        return None
    names = list(dict.fromkeys([*found.matrix, *(to for tos in found.matrix.values() for to in tos)]))
    names = [n for n in (*found.balance, *names) if n in names]
    names = list(dict.fromkeys(names))
    if len(names) > 8 or any(n.startswith("not ") for n in names):
        pairs = sorted(((n, a, b) for a, tos in found.matrix.items() for b, n in tos.items()), reverse=True)
        rows: list[list[Cell]] = [[Code(a), Code(b), f"{n:,}"] for n, a, b in pairs]
        return Table("Flips", ["from", "to", "items"], rows, numeric=(2,))
    square: list[list[Cell]] = [
        [Code(a), *(_count_cell(found.matrix.get(a, {}).get(b, 0)) for b in names)] for a in names
    ]
    many = len(directions(found)) > NAMED_FLIPS
    return Table("Flips", ["from \\ to", *names], square, numeric=range(1, 9), open=many)


def _count_cell(count: int) -> str:
    return f"{count:,}" if count else "·"


def _quality(found: LabelSetDiff) -> Table:
    columns = ["split", "figure", "items", "before", "after", "95 %", "change", "95 %", "right / wrong now", "p"]
    return Table(
        "Quality on gold", columns, [_quality_row(q) for q in found.quality], numeric=(2, 3, 4, 6, 8, 9), open=False
    )


def _quality_row(figure: QualityChange) -> list[Cell]:
    if not is_share(figure.metric):
        return _error_row(figure)
    moves = "" if figure.better is None else f"{figure.better:,} / {figure.worse:,}"
    still = not figure.delta and not figure.better and not figure.worse
    p_value = "" if figure.p_value is None or still else _p_value(figure.p_value)
    return [
        figure.split,
        metric_name(figure.metric),
        f"{figure.n:,}",
        percent(figure.before),
        percent(figure.after),
        _range(figure.low, figure.high),
        "" if figure.delta is None else f"{figure.delta * 100:+.1f}",
        "" if still else _signed_range(figure.delta_low, figure.delta_high),
        moves,
        p_value,
    ]


def _error_row(figure: QualityChange) -> list[Cell]:
    """A figure in the unit of the labels; items nearer to gold, and farther from it, in place of right and wrong."""
    still = not figure.better and not figure.worse
    return [
        figure.split,
        metric_name(figure.metric),
        f"{figure.n:,}",
        metric_value(figure.metric, figure.before),
        metric_value(figure.metric, figure.after),
        "" if figure.low is None else f"{figure.low:.4g} to {figure.high:.4g}",
        "" if figure.delta is None else f"{figure.delta:+.4g}",
        "" if still or figure.delta_low is None else f"{figure.delta_low:+.4g} to {figure.delta_high:+.4g}",
        f"{figure.better:,} / {figure.worse:,}",
        "" if figure.p_value is None or still else _p_value(figure.p_value),
    ]


def _p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low * 100:.1f} to {high * 100:.1f}"


def _signed_range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low * 100:+.1f} to {high * 100:+.1f}"


def _figures(found: LabelSetDiff) -> Table:
    rows: list[list[Cell]] = []
    if found.items_before is not None or found.items_after is not None:
        rows.append(["items", _number(found.items_before), _number(found.items_after)])
    rows += _shares("coverage", found.coverage)
    rows += [row for name, figure in found.balance.items() for row in _shares(f"share of {name}", figure)]
    rows += [[f"{name} of the labels", *_digits(figure)] for name, figure in found.summary.items()]
    rows += _shares("conflict of voters", found.conflict)
    if found.agreement.before is not None or found.agreement.after is not None:
        rows.append(["agreement of annotators (alpha)", *_decimals(found.agreement)])
    if found.kappa is not None:
        rows.append(["agreement of labels before and after (kappa)", "", f"{found.kappa:.3f}"])
    if found.cost_before or found.cost_after:
        rows.append(["cost of answers, USD", _money(found.cost_before), _money(found.cost_after)])
    return Table("Coverage, balance, cost", ["", "before", "after"], rows, numeric=(1, 2))


def _shares(name: str, figure: Figure) -> list[list[Cell]]:
    if figure.before is None and figure.after is None:
        return []
    return [[name, percent(figure.before), percent(figure.after)]]


def _digits(figure: Figure) -> tuple[str, str]:
    before, after = ("–" if v is None else f"{v:.4g}" for v in (figure.before, figure.after))
    return before, after


def _decimals(figure: Figure) -> tuple[str, str]:
    before, after = ("–" if v is None else f"{v:.3f}" for v in (figure.before, figure.after))
    return before, after


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _money(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _examples(found: LabelSetDiff, texts: bool) -> Table | None:
    if not found.examples:
        return None
    shown = list(dict.fromkeys(c for e in found.examples for c in e.shown)) if texts else []
    several = len(found.causes) > 1
    rows: list[list[Cell]] = [
        [
            Code(str(e.item)),
            _with_confidence(e.before, e.confidence_before),
            _with_confidence(e.after, e.confidence_after),
            *([Code(e.cause)] if several else []),
            *(Code(_text(e.shown.get(c)), prose=True) for c in shown),
        ]
        for e in found.examples
    ]
    columns = ["item", "before", "after", *(["why"] if several else []), *shown]
    return Table("Items that moved most", columns, rows, more=max(0, found.relabeled - len(rows)))


def _with_confidence(label: Any, confidence: float | None) -> Cell:
    if label is None:
        return NONE
    if isinstance(label, list) and label and isinstance(label[0], dict):
        name = shown_spans(label)
    else:
        name = ", ".join(map(str, label)) or NONE if isinstance(label, list) else _label(label)
    return Code(name if confidence is None else f"{name} {confidence:.2f}")


def _label(label: Any) -> str:
    return f"{label:.6g}" if isinstance(label, float) else str(label)


def _text(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= 120 else text[:119] + "…"


def _voters(diff: Diff) -> Table:
    prompts = [v for v in diff.voters if v.kind == "prompt"]
    columns = ["voter", "", "votes", "precision before", "after", "gold votes"]
    columns += ["kappa", "USD", "tokens"] if prompts else []
    rows = [_voter_row(v, bool(prompts)) for v in diff.voters]
    return Table("Voters", columns, rows, numeric=(3, 4, 5, 6, 7, 8))


def _voter_row(voter: VoterDiff, priced: bool) -> list[Cell]:
    votes = _arrow(voter.votes_before, voter.votes_after)
    moves = voter_words(voter)
    row: list[Cell] = [
        Code(voter.node),
        voter.change if voter.change != "data" else "data",
        votes if voter.gained is None else f"{votes}: {moves}",
        percent(voter.precision_before),
        percent(voter.precision_after),
        _arrow(voter.gold_before, voter.gold_after),
    ]
    if not priced:
        return row
    prompt = voter.kind == "prompt"
    costs = f"{_money(voter.cost_before)} → {_money(voter.cost_after)}" if prompt else ""
    kappa = "" if voter.kappa is None else f"{voter.kappa:.3f}"
    return [*row, kappa, costs, _arrow(voter.tokens_before, voter.tokens_after) if prompt else ""]


def _arrow(before: int | None, after: int | None) -> str:
    return _number(after) if before == after else f"{_number(before)} → {_number(after)}"


def _data(diff: Diff) -> Table:
    return Table("Data", ["dataset", "rows"], [[Code(d.node), data_words(d)] for d in diff.data])


def _changes(diff: Diff) -> Table:
    rows: list[list[Cell]] = []
    for change in diff.changes:
        place = f"{change.path}:{change.line}" if change.line else change.path
        rows.append([Code(change.node), change_words(change).removeprefix(f"{change.node} "), Code(place)])
    return Table("What changed", ["node", "", "file"], rows)


def cut(found: Sequence[Section], rows: int) -> list[Section]:
    """Sections with so many rows in each table at most."""
    return [replace(section, tables=[table.cut(rows) for table in section.tables]) for section in found]
