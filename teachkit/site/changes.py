"""The page of what changed: the comparison of two revisions as part of the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.diff.page import fragment
from teachkit.site.render import ExtraPage

if TYPE_CHECKING:
    from teachkit.diff import Diff


def changes_page(diff: Diff) -> ExtraPage:
    """The comparison, in the styles of the site."""
    return ExtraPage("Changes", "changes.html", fragment(diff, styled=False))
