"""From values to pages: templates with everything escaped, formats of numbers, data for scripts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from teachkit import errors
from teachkit.site import charts
from teachkit.site.markdown import markdown
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jinja2 import Template


@dataclass(frozen=True, slots=True)
class ExtraPage:
    """A page of another part of teachkit: its title (also in the navigation), its file, and its content as HTML."""

    title: str
    filename: str
    html: str


class Renderer:
    """Renders pages of one project."""

    def __init__(self, project: str, extra: Sequence[ExtraPage] = ()) -> None:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=PackageLoader("teachkit.site"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(_FILTERS)
        environment.globals.update(charts=charts, project=project, teachkit=__version__)
        environment.globals["extra_pages"] = [(page.title, page.filename) for page in extra]
        self._environment = environment
        self._templates: dict[str, Template] = {}

    def page(self, template: str, href: str, **values: Any) -> str:
        """A page that lies at ``href`` of the site: its links go up from there."""
        if template not in self._templates:
            self._templates[template] = self._environment.get_template(template)
        return self._templates[template].render(root="../" * href.count("/"), here=href, **values)


def script_data(value: Any) -> Markup:
    """JSON for a ``<script type="application/json">``, which no text in it can end."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate({ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}))  # noqa: S704


def percent(share: float | None, digits: int = 1) -> str:
    """A share for people."""
    return "–" if share is None else f"{share:.{digits}%}"


def number(value: float | None) -> str:
    """A count, or a figure to four digits."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def signed(value: float | None) -> str:
    """A number with its sign."""
    return "" if value is None else f"{value:+.3f}"


def interval(figures: Mapping[str, Any], low: str = "low", high: str = "high") -> str:
    """An interval of shares, in percent."""
    if figures.get(low) is None or figures.get(high) is None:
        return ""
    return f"{figures[low] * 100:.0f}–{figures[high] * 100:.0f} %"


def words(value: Any) -> str:
    """A value of a diagnosis for people."""
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number(value)
    return str(value)


def counted(value: int | None, noun: str) -> str:
    """``1 row``, ``1,956 rows``, ``no rows``."""
    return errors.counted(value, noun) if value else f"no {noun}s"


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "percent": percent,
    "number": number,
    "signed": signed,
    "interval": interval,
    "words": words,
    "counted": counted,
    "markdown": markdown,
    "script_data": script_data,
}
