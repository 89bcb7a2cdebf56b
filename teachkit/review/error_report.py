"""What ``errors`` finds: cells of gold against label, faults, and the voters that bring them about."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.review.excerpts import Excerpt


@dataclass(frozen=True, slots=True)
class Share:
    """A voter's part in a fault: on how many of its items; ``votes`` and ``wrong`` are all its votes on gold.

    ``kind`` is None for a silence and for the class prior.
    """

    voter: str
    kind: str | None
    items: int
    votes: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Items of a cell whose error has one cause, the voters that brought it about, most items first, and advice.

    ``voters``: of ``wrong`` and ``gold`` those that voted against gold; of ``outvoted`` what weighed most against gold
    (a voter, the silence of one, the class prior). ``outvoted``: who voted for gold.
    """

    fault: str
    items: int
    voters: Sequence[Share]
    outvoted: Sequence[Share]
    advice: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Items with the same gold and the same label, not its equal (None: without a label).

    Of a multichoice task a cell is about one label: ``gold`` is that it holds and ``label`` that it is ``missed``, or
    ``gold`` that it does not and ``label`` that it is ``given``; ``cell`` is how the cell is called.
    """

    cell: str
    gold: str
    label: str | None
    items: int
    faults: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A voter: its ``votes`` and ``wrong`` votes on gold, and in how many ``errors`` it voted against gold.

    ``decisive``: in how many of these it weighed most. ``weight``: how much it moved the label set from gold there, all
    in all, in log-odds, or in shares where the label model has no likelihood; None where the model does not say.
    """

    voter: str
    kind: str
    votes: int
    wrong: int
    errors: int
    decisive: int
    weight: float | None


@dataclass(frozen=True, slots=True)
class ErrorItem:
    """An item: its gold and label, whose fault, the posterior of both, who is right, who is wrong and says what.

    ``strongest`` weighed most against gold. ``decided``: what the label set says in the end, if a curator or gold
    decided otherwise than the label model.
    """

    item: str
    cell: str
    gold: str
    label: str | None
    fault: str
    p_gold: float | None
    p_label: float | None
    right: Sequence[str]
    wrong: Mapping[str, str]
    strongest: str | None
    decided: str | Sequence[str] | None
    texts: Mapping[str, Excerpt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """Where a label set differs from gold. Of a multichoice task each label of an item counts on its own.

    ``gold_items`` items have gold (of ``gold_splits``); of their labels ``right`` are as gold, ``wrong`` are not,
    ``unlabeled`` of these because there is none. Of multichoice items without a decision ``undecided`` labels do not
    hold by gold: nobody gives them, and nobody says so. ``faults``: how many each is responsible for. ``items``, of
    ``listed_of``, are listed if a cell or a fault is asked for. ``measure`` is what weights are: ``log_odds``,
    ``share``, or ``votes`` where the label model does not say. ``thresholds``: what makes gold suspicious.
    """

    task: str
    label_set: str
    gold_splits: str
    gold_items: int
    right: int
    wrong: int
    unlabeled: int
    undecided: int
    faults: Mapping[str, int]
    cells: Sequence[Cell]
    voters: Sequence[Culprit]
    items: Sequence[ErrorItem]
    listed_of: int
    measure: str
    thresholds: Mapping[str, float]
    notes: Sequence[str]
    test_looks: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)
