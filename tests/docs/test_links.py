"""Every relative link of the pages leads somewhere, and every page can be reached from the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS, anchors, links, name_of, own_pages, pages

if TYPE_CHECKING:
    from pathlib import Path

_ELSEWHERE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_resolve(page: Path) -> None:
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith(_ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)}: {link}"
        assert found.is_relative_to(DOCS.parent), f"{name_of(page)}: {link} leads out of the repository"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{name_of(page)}: {link}"


def test_every_page_is_reached_from_the_index() -> None:
    seen, queue = set(), [DOCS / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        found = [link.partition("#")[0] for link in links(page.read_text(encoding="utf-8"))]
        queue += [(page.parent / f).resolve() for f in found if f and not f.startswith(_ELSEWHERE)]
    left = {name_of(p) for p in own_pages()} - {name_of(p) for p in seen if p.is_relative_to(DOCS)}
    assert not left
