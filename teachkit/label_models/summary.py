"""The analysis of labeling functions on plain arrays, as users of Snorkel know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from teachkit.label_models.base import as_votes
from teachkit.votes import Votes
from teachkit.votes.analysis import analyze

if TYPE_CHECKING:
    from collections.abc import Sequence


def lf_summary(L: Any, Y: Any | None = None, names: Sequence[str] | None = None) -> Any:
    """Summarise what each voter does, and how often it is right: an Arrow table with a row for each voter.

    Args:
        L: A matrix of integers [N, V] with -1 for abstain, ``Votes``, or a long table (see ``LabelModel``).
        Y: Known labels, if there are any: codes [N], -1 where unknown (such items count for nothing); for votes with
            names also a mapping from item to label.
        names: Names of the voters of a matrix.

    Returns:
        Snorkel's columns: ``j``, ``Polarity``, ``Coverage``, ``Overlaps``, ``Conflicts`` (shares of all items),
        ``Correct``, ``Incorrect``, ``Emp. Acc.`` (null, not 0, where nothing was judged); beside them ``voter``,
        ``Acc. low`` and ``Acc. high`` (Wilson, 95 %), ``Votes``, and overlaps and conflicts as shares of the votes.

    Raises:
        ValueError: these are no votes, or Y or names do not fit them.
    """
    from teachkit.votes.tables import analysis_table

    given = as_votes(L)
    if isinstance(given, Votes):
        gold = given.codes_of(Y) if isinstance(Y, Mapping) else Y
        return analysis_table(analyze(given, gold), given.labels)
    matrix, columns = given
    return analysis_table(analyze(matrix, Y, voters=columns if names is None else names))
