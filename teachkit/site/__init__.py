"""The project's site: what is labeled, by whom, how well, and why each label is what it is, as files for a browser."""

from teachkit.site.changes import changes_page
from teachkit.site.generate import generate
from teachkit.site.render import ExtraPage

__all__ = ["ExtraPage", "changes_page", "generate"]
