"""What a change does to the labels: two git revisions, or one and the working tree, beside each other."""

from teachkit.diff.compare import diff
from teachkit.diff.result import Diff, Shown
from teachkit.diff.sides import bring_base

__all__ = ["Diff", "Shown", "bring_base", "diff"]
