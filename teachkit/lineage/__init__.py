"""Why a label is what it is, and what a node is made of."""

from teachkit.lineage.explain import Explanation, VoteShare, explain, explain_items
from teachkit.lineage.records import SourceRecord
from teachkit.lineage.upstream import upstream
from teachkit.lineage.weigh import WhatIf

__all__ = ["Explanation", "SourceRecord", "VoteShare", "WhatIf", "explain", "explain_items", "upstream"]
