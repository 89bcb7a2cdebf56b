"""Small charts as SVG: drawn here, coloured by the style sheet, told in words for who cannot see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SPLIT_CLASSES = {"tune": "tune", "test": "test", "train": "train"}

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 34


def share_bar(share: float | None, style: str = "") -> Markup:
    """A bar that is as full as a share."""
    width = round(100 * min(max(share or 0.0, 0.0), 1.0), 1)
    inner = Markup('<rect class="fill {}" width="{}" height="10" rx="2"/>').format(style, width) if width else ""
    return _svg("bar", 100, 10, "", [Markup('<rect class="track" width="100" height="10" rx="2"/>'), inner])


def interval_bar(value: float | None, low: float | None, high: float | None) -> Markup:
    """A point between 0 and 1 with its interval."""
    if value is None:
        return Markup("")
    marks = [Markup('<rect class="track" width="100" height="10" rx="2"/>')]
    if low is not None and high is not None:
        width = round(max(100 * (high - low), 1.0), 1)
        marks.append(
            Markup('<rect class="range" x="{}" y="3" width="{}" height="4"/>').format(round(100 * low, 1), width)
        )
    place = round(2.5 + 95 * value, 1)
    marks.append(Markup('<circle class="point" cx="{}" cy="5" r="3.5"/>').format(place))
    return _svg("bar", 100, 10, "", marks)


def moved_bar(moved: float | None, most: float) -> Markup:
    """How far a vote moved the result, from the middle to the right or to the left."""
    if moved is None:
        return Markup("")
    width = round(60 * min(abs(moved) / most, 1.0), 1) if most else 0
    start = 60 if moved >= 0 else 60 - width
    style = "toward" if moved >= 0 else "away"
    bar = Markup('<rect class="{}" x="{}" y="1" width="{}" height="8" rx="1"/>').format(style, start, max(width, 0.5))
    return _svg("moved", 120, 10, "", [Markup('<line class="axis" x1="60" y1="0" x2="60" y2="10"/>'), bar])


def history_chart(points: Sequence[Mapping[str, Any]], name: str) -> Markup:
    """Accuracy with its interval on each split, commit by commit, oldest at the left."""
    splits = [s for s in ("tune", "test", "train") if any(s in p["quality"] for p in points)]
    values = [
        v
        for p in points
        for q in p["quality"].values()
        if q.get("accuracy") is not None
        for v in (q.get("accuracy"), q.get("low"), q.get("high"))
        if v is not None
    ]
    if not values:
        return Markup("")
    floor = max(0.0, min(values) - 0.02) // 0.05 * 0.05
    marks = [_grid(floor, 1.0)]
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(points))
    for which, split in enumerate(splits):
        marks.append(_series(points, split, floor, step, (which - (len(splits) - 1) / 2) * min(8, step / 3)))
    every = -(-len(points) // 10)
    for i, point in enumerate(points):
        if i % every == 0 or i == len(points) - 1:
            text = (point["commit"] or "now")[:7]
            marks.append(
                Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                    round(_LEFT + step * (i + 0.5), 1), _HEIGHT - 14, text
                )
            )
    return _svg("chart", _WIDTH, _HEIGHT, f"Accuracy of {name} by commit", marks)


def _series(points: Sequence[Mapping[str, Any]], split: str, floor: float, step: float, shift: float) -> Markup:
    marks, line = [], []
    for i, point in enumerate(points):
        figures = point["quality"].get(split)
        if figures is None or figures.get("accuracy") is None:
            continue
        x = round(_LEFT + step * (i + 0.5) + shift, 1)
        y = _height(figures["accuracy"], floor)
        line.append(f"{x},{y}")
        if figures.get("low") is not None and figures.get("high") is not None:
            low, high = _height(figures["low"], floor), _height(figures["high"], floor)
            marks.append(Markup('<line class="whisker" x1="{x}" y1="{}" x2="{x}" y2="{}"/>').format(low, high, x=x))
        told = f"{split}: {figures['accuracy']:.1%} on {figures.get('n')} items"
        where = f"{(point['commit'] or '')[:10]} {point['date']} {point['subject']}".strip()
        marks.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="4"><title>{}\n{}</title></circle>').format(x, y, told, where)
        )
    path = Markup('<polyline class="line" points="{}"/>').format(" ".join(line)) if len(line) > 1 else Markup("")
    return Markup('<g class="split-{}">{}{}</g>').format(split, path, Markup("").join(marks))


def _height(value: float, floor: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - (value - floor) / max(1.0 - floor, 1e-9)), 1)


def _grid(low: float, high: float) -> Markup:
    """Horizontal lines with shares beside them."""
    marks = []
    for i in range(5):
        value = low + (high - low) * i / 4
        y = _height(value, low)
        marks.append(
            Markup('<line class="grid" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(_LEFT, _WIDTH - _RIGHT, y=y)
        )
        marks.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y + 4, f"{value:.0%}"
            )
        )
    return Markup("").join(marks)


def histogram(counts: Sequence[int], label: str) -> Markup:
    """How many items have a posterior in each of some bins from 0 to 1."""
    width, height, top, bottom = 320, 130, 14, 24
    most = max(counts, default=0)
    step = (width - 12) / max(1, len(counts))
    marks = [Markup('<line class="axis" x1="6" y1="{y}" x2="{}" y2="{y}"/>').format(width - 6, y=height - bottom)]
    for i, count in enumerate(counts):
        tall = round((height - top - bottom) * count / most, 1) if most else 0
        if count:
            tall = max(tall, 1.0)
        told = f"{i / len(counts):.2f} to {(i + 1) / len(counts):.2f}: {count:,}"
        x = round(6 + i * step, 1)
        marks.append(
            Markup('<rect class="column" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                x, round(height - bottom - tall, 1), round(step - 1.5, 1), tall, told
            )
        )
    for value, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        x = round(6 + (width - 12) * value, 1)
        marks.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(x, height - 8, anchor, value)
        )
    marks.append(Markup('<text class="tick" x="6" y="10">{} at most</text>').format(f"{most:,}"))
    return _svg("chart small", width, height, f"Posterior of {label}", marks)


def reliability_chart(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """What confidences say (left to right) against how often they are right (upwards); the diagonal is perfect."""
    size, left, top, bottom = 300, 40, 10, 34
    inner = size - left - 20
    down = top + inner

    def x(value: float) -> float:
        return round(left + inner * value, 1)

    def y(value: float) -> float:
        return round(down - inner * value, 1)

    marks = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(Markup('<line class="grid" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(left, x(1), y=y(value)))
        marks.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
                left - 5, y(value) + 4, f"{value:.0%}"
            )
        )
        marks.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x(value), down + 16, f"{value:.0%}"
            )
        )
    marks.append(Markup('<line class="diagonal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(x(0), y(0), x(1), y(1)))
    most = max((b["count"] for b in bins), default=0)
    for one in bins:
        if not one["count"]:
            continue
        place = x(one["mean"])
        radius = round(3 + 6 * (one["count"] / most) ** 0.5, 1)
        told = f"{one['count']} items, {one['mean']:.1%} sure, {one['share']:.1%} right"
        marks.append(
            Markup('<line class="whisker" x1="{x}" y1="{}" x2="{x}" y2="{}"/>').format(
                y(one["share_low"]), y(one["share_high"]), x=place
            )
        )
        marks.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
                place, y(one["share"]), radius, told
            )
        )
    return _svg("chart square", size, down + bottom, "Confidence against how often labels are right", marks)


def _svg(style: str, width: int, height: float, title: str, marks: Iterable[Any]) -> Markup:
    named = Markup('role="img" aria-label="{}"').format(title) if title else Markup('aria-hidden="true"')
    body = Markup("").join(escape(mark) for mark in marks)
    return Markup('<svg class="{}" viewBox="0 0 {} {}" {}>{}</svg>').format(style, width, height, named, body)
