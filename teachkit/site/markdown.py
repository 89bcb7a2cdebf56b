"""Guidelines as HTML: what Markdown says, never HTML of their own, nothing fetched from elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

_OUTSIDE = re.compile(r"(?i)https?://|mailto:|#")


def markdown(text: str) -> Markup:
    """Markdown as HTML. HTML in it is shown as text; a picture is its description; links lead only out of the site."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = reader.parse(text)
    _tame(tokens)
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704 - its renderer escapes


def _tame(tokens: Sequence[Token]) -> None:
    """Lower headings below the page's own; take out pictures, styles, and links to files that the site lacks."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        token.attrs.pop("style", None)  # of aligned cells; no style but that of the site is allowed
        if token.type == "link_open" and not _OUTSIDE.match(str(token.attrs.get("href", ""))):
            token.attrs.pop("href", None)
        if token.type == "image":
            token.type, token.tag, token.nesting = "text", "", 0
            token.content = f"[{token.content}]"
            token.children = None
        if token.children:
            _tame(token.children)
