"""Reads a generated site as a browser would: pages, their links, their text."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_LINKS = {"a": "href", "link": "href", "script": "src", "img": "src", "iframe": "src"}


class Page(HTMLParser):
    """A page: its links, its text, the tags and attributes that it uses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.attributes: set[str] = set()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._inside = tag
        values = dict(attrs)
        if tag == "script" and "src" not in values:
            self.scripts.append(values.get("type") or "")
        found = values.get(_LINKS.get(tag, ""))
        if found:
            self.links.append(found)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.data += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def all_pages(docs: Path) -> dict[str, Page]:
    return {p.relative_to(docs).as_posix(): read(p) for p in sorted(docs.rglob("*.html"))}


def search_index(docs: Path) -> list[Any]:
    text = (docs / "static/search-index.js").read_text(encoding="ascii")
    return list(json.loads(text.removeprefix("window.teachkitIndex=").removesuffix(";\n")))


def broken(docs: Path, pages: dict[str, Page]) -> list[str]:
    """Links that lead nowhere, and whatever a strict policy of content or a missing network would stop."""
    found = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                found.append(f"{name} leads outside: {link}")
            elif parts.path and not (docs / name).parent.joinpath(unquote(parts.path)).resolve().is_file():
                found.append(f"{name}: no {link}")
        found += [f"{name}: script {kind!r} in the page" for kind in page.scripts if kind != "application/json"]
        found += [f"{name}: attribute {a}" for a in page.attributes if a == "style" or a.startswith("on")]
    return found
