"""Tests of label sets whose labels are values: how far they are from gold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from teachkit.checks.base import Check, CompileContext, Finding, Surroundings, need_one
from teachkit.checks.labels import Bounds, LabelCheck, figure, need_gold, with_gold
from teachkit.errors import counted
from teachkit.project.model import Model

if TYPE_CHECKING:
    from teachkit.errors import Where
    from teachkit.graph import Node
    from teachkit.graph.node import Reads

Against = Literal["gold", "gold.train", "gold.tune", "gold.test"]


class ValueQuality(Check):
    """A figure against a gold split."""

    kinds: ClassVar[tuple[str, ...]] = ("label_set",)
    narrows: ClassVar[bool] = False
    title: ClassVar[str]

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed, and gold."""
        need_one(arguments, ("min", "max"), cls.title.replace(" ", "_"), where)
        need_gold(target, context, where, cls.title.replace(" ", "_"))

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Labels and gold."""
        return with_gold(target, context)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare labels with gold."""
        labels, split = around.labels(), arguments.against.partition(".")[2] or None
        decided, gold = labels.chosen(split)
        known = ~labels.kind.missing(gold)
        n, labeled = int(known.sum()), int((known & ~labels.kind.missing(decided)).sum())
        if not n:
            return Finding(1, f"{self.title}: no item of {arguments.against} has gold")
        value = self.measure(arguments, labels.kind, decided, gold)
        rest = f"on {counted(n, 'item')} of {arguments.against}, {labeled} of them labeled"
        rest += self.more(labels.kind, decided, gold)
        tests = ~labels.kind.missing(labels.chosen("test")[1])
        test_gold = split in (None, "test") and bool(tests.any())
        return replace(figure(self.title, value, arguments, rest), test_gold=test_gold)

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The figure, None where it is undefined."""
        raise TypeError(f"{type(self).__name__} does not define measure")

    def more(self, kind: Any, decided: Any, gold: Any) -> str:
        """What else the message says."""
        return ""


class MeanError(ValueQuality):
    """The mean absolute difference between labels and a gold split, over the labeled items (see coverage).

    Of ordered labels in steps: neighbours are 1 apart.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("number", "ordinal")
    title: ClassVar[str] = "mean error"

    class Arguments(Model):
        """``max`` and ``min`` are in the unit of the labels, of an ordinal task in steps."""

        against: Against = "gold.test"
        min: float | None = Field(default=None, ge=0)
        max: float | None = Field(default=None, ge=0)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare labels with gold."""
        if not around.task.ordered:
            return super().look(arguments, around)
        labels, split = around.labels(), arguments.against.partition(".")[2] or None
        labeled, n, value = labels.mean_error(split)
        if not n:
            return Finding(1, f"{self.title}: no item of {arguments.against} has gold")
        rest = f"on {counted(n, 'item')} of {arguments.against}, {labeled} of them labeled"
        test_gold = split in (None, "test") and labels.quality("test").n > 0
        return replace(figure(self.title, value, arguments, rest), test_gold=test_gold)

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The mean absolute error."""
        found: float | None = kind.quality(decided, gold)["mae"]
        return found


class Within(ValueQuality):
    """The share of items of a gold split whose label differs from gold by ``tolerance`` at most.

    Items without a label count as wrong unless ``over: labeled``.
    """

    tasks: ClassVar[tuple[str, ...] | None] = ("number",)
    title: ClassVar[str] = "within"

    class Arguments(Bounds):
        """``tolerance`` is in the unit of the labels."""

        tolerance: float = Field(ge=0)
        against: Against = "gold.test"
        over: Literal["all", "labeled"] = "all"

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The share of those near enough."""
        known = ~kind.missing(gold)
        there = known & ~kind.missing(decided)
        whole = int(there.sum() if arguments.over == "labeled" else known.sum())
        near = int((kind.distance(decided[there], gold[there]) <= arguments.tolerance).sum())
        return near / whole if whole else None


class TextQuality(ValueQuality, LabelCheck):
    """A figure of texts against a gold split; items without a label count as wrong."""

    tasks: ClassVar[tuple[str, ...] | None] = ("text",)

    class Arguments(Bounds):
        """Bounds and the gold to measure on."""

        against: Against = "gold.test"

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The figure of the kind with this name."""
        found: float | None = kind.quality(decided, gold)[self.title.replace(" ", "_")]
        return found


class Tau(ValueQuality):
    """Kendall's tau between labels and a gold split, from -1 to 1: the mean over the labeled items (see coverage)."""

    tasks: ClassVar[tuple[str, ...] | None] = ("ranking",)
    title: ClassVar[str] = "tau"

    class Arguments(Model):
        """``max`` and ``min`` may be negative."""

        against: Against = "gold.test"
        min: float | None = Field(default=None, ge=-1, le=1)
        max: float | None = Field(default=None, ge=-1, le=1)

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The mean tau."""
        found: float | None = kind.quality(decided, gold)["tau"]
        return found


class FirstMatch(ValueQuality, LabelCheck):
    """The share of items of a gold split whose first is that of gold; items without a label count as wrong."""

    tasks: ClassVar[tuple[str, ...] | None] = ("ranking",)
    title: ClassVar[str] = "first match"

    class Arguments(Bounds):
        """Bounds and the gold to measure on."""

        against: Against = "gold.test"

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """The share of those."""
        found: float | None = kind.quality(decided, gold)["first_match"]
        return found


class ExactMatch(TextQuality):
    """The share of items of a gold split whose label is the same text as gold, case and punctuation aside."""

    title: ClassVar[str] = "exact match"


class TokenF1(TextQuality):
    """The mean F1 of the words of the labels against those of gold, case and punctuation aside."""

    title: ClassVar[str] = "token f1"


class SpanF1(ValueQuality, LabelCheck):
    """F1 of the spans of the labels against those of a gold split; start, end and label have to be right."""

    tasks: ClassVar[tuple[str, ...] | None] = ("span",)
    title: ClassVar[str] = "span f1"

    class Arguments(Bounds):
        """Bounds and the gold to measure on."""

        against: Against = "gold.test"

    def measure(self, arguments: Any, kind: Any, decided: Any, gold: Any) -> float | None:
        """F1 over all spans."""
        found: float | None = kind.quality(decided, gold)["f1"]
        return found

    def more(self, kind: Any, decided: Any, gold: Any) -> str:
        """Precision and recall, and F1 of each label where there are several."""
        found, by_label = kind.quality(decided, gold), kind.quality_by_label(decided, gold)
        shown = [f"{name} {found[name]:.3f}" for name in ("precision", "recall") if found[name] is not None]
        shown += [f"{name}: {one['f1']:.3f}" for name, one in by_label.items() if len(by_label) > 1]
        return "; " + ", ".join(shown) if shown else ""
