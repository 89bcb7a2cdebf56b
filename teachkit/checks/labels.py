"""Tests of label sets: coverage, quality on gold, conflict, balance, agreement."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from teachkit.checks.base import Check, CompileContext, Finding, Surroundings, bounds, in_bounds, need_one
from teachkit.errors import BadValue, UnknownLabel, counted, did_you_mean, listing
from teachkit.label_models import CODED
from teachkit.project.model import Model

if TYPE_CHECKING:
    from teachkit.errors import Where
    from teachkit.graph import Node, TaskInfo
    from teachkit.graph.node import Reads


def share_of(value: Any) -> Any:
    """A share, written as 0.02 or as '2%'."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*%\s*", value):
        return float(Decimal(value.strip().rstrip("% ")) / 100)
    return value


class Bounds(Model):
    """``min`` and ``max``: shares between 0 and 1, also as ``2%``."""

    min: float | None = Field(default=None, ge=0, le=1)
    max: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _percent(cls, values: Any) -> Any:
        return (
            {k: share_of(v) if k in ("min", "max") else v for k, v in values.items()}
            if isinstance(values, dict)
            else values
        )


class LabelCheck(Check):
    """A test of a label set with bounds on one figure."""

    kinds: ClassVar[tuple[str, ...]] = ("label_set",)
    narrows: ClassVar[bool] = False
    Arguments = Bounds

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed."""
        need_one(arguments, ("min", "max"), _name_of(cls), where)


def _name_of(cls: type) -> str:
    return re.sub(r"(?<!^)([A-Z][a-z])", r"_\1", cls.__name__).lower()


def with_gold(target: Node, context: CompileContext) -> Reads:
    """The label set and everything that says what is gold."""
    task = context.tasks[target.task or ""]
    columns = [task.key, *task.secret_columns, *([task.split_column] if task.split_column else [])]
    gold = [
        n.id
        for n in context.nodes.values()
        if n.kind == "annotations" and n.task == task.name and n.spec.meta.role == "gold"
    ]
    return {target.id: None, task.dataset: tuple(sorted(set(columns))), **dict.fromkeys(gold)}


def need_gold(target: Node, context: CompileContext, where: Where, key: str) -> None:
    """Refuse a test that measures on gold where there is none."""
    task = context.tasks[target.task or ""]
    if not task.secret_columns and len(with_gold(target, context)) < 3:
        advice = "declare 'gold:' in the task, or an annotations file with 'role: gold'"
        raise BadValue(where, key=key, problem=f"task '{task.name}' has no gold", advice=advice)


class Coverage(LabelCheck):
    """The share of items with a label."""

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Count the labeled items among all items of the dataset."""
        done = around.labels().labeled
        value = float(done.mean()) if len(done) else None
        return figure("coverage", value, arguments, f"({int(done.sum())} of {len(done)} items have a label)")


class Quality(LabelCheck):
    """A figure against a gold split."""

    figure: ClassVar[str] = "accuracy"
    tasks: ClassVar[tuple[str, ...] | None] = CODED

    class Arguments(Bounds):
        """``over`` says: all items with gold (unlabeled ones count as wrong), or the labeled ones."""

        against: Literal["gold", "gold.train", "gold.tune", "gold.test"] = "gold.test"
        over: Literal["all", "labeled"] = "all"

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed, and gold."""
        super().check(arguments, target, context, where)
        need_gold(target, context, where, cls.figure)

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Labels and gold."""
        return with_gold(target, context)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare labels with gold."""
        labels, split = around.labels(), arguments.against.partition(".")[2] or None
        found = labels.quality(split)
        if not found.n:
            return Finding(1, f"{self.figure}: no item of {arguments.against} has gold")
        value = found.accuracy_labeled if arguments.over == "labeled" else found.accuracy
        spread = f" (95 %: {found.low:.3f} to {found.high:.3f})" if arguments.over == "all" else ""
        if self.figure == "macro_f1":
            value, spread = found.macro_f1, ""
        rest = f"on {counted(found.n, 'item')} of {arguments.against}, {found.labeled} of them labeled{spread}"
        test_gold = split in (None, "test") and labels.quality("test").n > 0
        return replace(figure(self.figure, value, arguments, rest), test_gold=test_gold)


class Accuracy(Quality):
    """Accuracy against a gold split; items without a label count as wrong unless ``over: labeled``."""


class MacroF1(Quality):
    """Macro-averaged F1 against a gold split."""

    figure: ClassVar[str] = "macro_f1"


class Calibration(Check):
    """How far posteriors keep their word on a gold split: expected calibration error, Brier score and log-loss."""

    kinds: ClassVar[tuple[str, ...]] = ("label_set",)
    tasks: ClassVar[tuple[str, ...] | None] = CODED
    narrows: ClassVar[bool] = False

    class Arguments(Model):
        """``max_ece`` bounds the error over 10 bins of equal width (``bins: equal_mass``: of equal size)."""

        against: Literal["gold", "gold.train", "gold.tune", "gold.test"] = "gold.test"
        max_ece: float | None = Field(default=None, ge=0, le=1)
        max_brier: float | None = Field(default=None, ge=0, le=2)
        max_log_loss: float | None = Field(default=None, ge=0)
        bins: Literal["equal_width", "equal_mass"] = "equal_width"

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed, and gold."""
        need_one(arguments, ("max_ece", "max_brier", "max_log_loss"), "calibration", where)
        need_gold(target, context, where, "calibration")

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Labels and gold."""
        return with_gold(target, context)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare posteriors with gold."""
        import numpy as np

        from teachkit.votes import SPLITS
        from teachkit.votes.label_data import calibration_on

        labels, split = around.labels(), arguments.against.partition(".")[2] or None
        posterior, said = around.posteriors()
        looked = np.ones(len(labels.split), dtype=bool) if split is None else labels.split == SPLITS.index(split)
        gold = np.where(looked[:, None] if labels.multi else looked, labels.gold, -1)
        found = calibration_on(posterior, said, gold)
        if not found.items:
            return Finding(1, f"calibration: no item of {arguments.against} has gold")
        error = found.expected_error if arguments.bins == "equal_width" else found.expected_error_equal_mass
        figures = [
            ("expected calibration error", error, arguments.max_ece),
            ("Brier score", found.brier, arguments.max_brier),
            ("log-loss", found.log_loss, arguments.max_log_loss),
        ]
        bad = sum(not in_bounds(value, None, limit) for _, value, limit in figures if limit is not None)
        shown = ", ".join(
            f"{name} {number(value)}" + ("" if limit is None else f" ({bounds(None, limit)} wanted)")
            for name, value, limit in figures
        )
        units = ("pair of item and label", "pairs of item and label") if labels.multi else ("item", "items")
        test_gold = split in (None, "test") and labels.quality("test").n > 0
        message = f"{shown}; on {counted(found.items, *units)} of {arguments.against}, {found.labeled} of them labeled"
        return Finding(bad, message, error, test_gold=test_gold)


class ConflictRate(LabelCheck):
    """The share of items on which voters disagree (multichoice: of pairs of item and label)."""

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Every vote."""
        return {target.id: None, **dict.fromkeys((*target.spec.voters, *target.spec.annotations))}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Count items with two different votes."""
        from teachkit.votes.analysis import conflict_rate

        rates = [conflict_rate(votes) for votes in around.votes()]
        return figure("conflict rate", sum(rates) / len(rates), arguments, "of all items")


class ClassBalance(Check):
    """The share of each label among the labeled items lies within bounds: ``class_balance: {spam: [0.3, 0.7]}``."""

    kinds: ClassVar[tuple[str, ...]] = ("label_set",)
    narrows: ClassVar[bool] = False
    tasks: ClassVar[tuple[str, ...] | None] = CODED

    class Arguments(Model):
        """Labels with ``[low, high]``."""

        model_config = ConfigDict(extra="allow", frozen=True)

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """The labels must be the task's, the bounds two shares."""
        task: TaskInfo = context.tasks[target.task or ""]
        if not arguments.model_extra:
            advice = f"write 'class_balance: {{{task.labels[0]}: [0.3, 0.7]}}'"
            raise BadValue(where, key="class_balance", problem="no label is named", advice=advice)
        for label, limits in arguments.model_extra.items():
            if label not in task.labels:
                hint = did_you_mean(label, task.labels)
                raise UnknownLabel(where, label=label, task=task.name, known=listing(task.labels, 30), hint=hint)
            if not _is_range(limits):
                problem = f"{limits!r} are no bounds"
                raise BadValue(where, key=label, problem=problem, advice="write two shares: [0.3, 0.7]")

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare each share with its bounds."""
        labels = around.labels()
        shares = labels.shares()
        bad = []
        for label, (low, high) in arguments.model_extra.items():
            share = shares[labels.labels.index(label)]
            if share is None or not float(share_of(low)) <= share <= float(share_of(high)):
                bad.append(f"{label} {number(share)} is not within {low} to {high}")
        said = ", ".join(f"{n} {number(s)}" for n, s in zip(labels.labels, shares, strict=True))
        return Finding(len(bad), "; ".join(bad) or f"shares of the labels: {said}")


def _is_range(limits: Any) -> bool:
    if not isinstance(limits, list) or len(limits) != 2:
        return False
    low, high = (share_of(v) for v in limits)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
    return numbers and 0 <= low <= high <= 1


class Agreement(LabelCheck):
    """How well voters agree beyond chance: Krippendorff's alpha (default), Fleiss' kappa, Cohen's kappa, or in percent.

    Of ordered labels, alpha weighs a disagreement by how far apart the two are (the ordinal alpha), and Cohen's kappa
    in proportion. Of more than two voters, Cohen's kappa is the mean over pairs, weighted by the items that they share.
    """

    tasks: ClassVar[tuple[str, ...] | None] = CODED

    class Arguments(Model):
        """``min`` and ``max`` may be negative. ``undefined``: whether a coefficient that cannot be worked out fails."""

        coefficient: Literal["krippendorff", "fleiss", "cohen", "percent"] = "krippendorff"
        metric: Literal["nominal", "ordinal", "interval", "jaccard", "masi"] | None = None
        of: Literal["annotators", "voters"] = "annotators"
        undefined: Literal["fail", "pass"] = "fail"
        min: float | None = Field(default=None, ge=-1, le=1)
        max: float | None = Field(default=None, ge=-1, le=1)

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """A bound is needed, and a metric that suits the coefficient and the task."""
        super().check(arguments, target, context, where)
        task, metric = context.tasks[target.task or ""], arguments.metric
        if metric is None:
            return
        if arguments.coefficient != "krippendorff":
            advice = "leave it out, or write 'coefficient: krippendorff'"
            raise BadValue(where, key="metric", problem=f"{arguments.coefficient} has no metric", advice=advice)
        sets = metric in ("jaccard", "masi")
        if sets and (not task.multi or arguments.of == "voters"):
            problem = f"'{metric}' is for the sets of labels that annotators of a multichoice task choose"
            raise BadValue(where, key="metric", problem=problem, advice="write 'metric: nominal', or leave it out")
        if metric in ("ordinal", "interval") and not task.ordered:
            problem = f"the labels of task '{task.name}' have no order"
            raise BadValue(where, key="metric", problem=problem, advice="write 'metric: nominal', or leave it out")

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """The label set's place in the order of a build, and every annotator's judgments, or every vote."""
        if arguments.of == "voters":
            return {target.id: None, **dict.fromkeys((*target.spec.voters, *target.spec.annotations))}
        people = [n.id for n in context.nodes.values() if n.kind == "annotations" and n.task == target.task]
        annotators = [i for i in people if context.nodes[i].spec.meta.role == "annotator"]
        return {target.id: (), **dict.fromkeys(annotators)}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Measure on items with two votes."""
        from teachkit.votes.agreement import NO_UNIT, fleiss_kappa, krippendorff_alpha, percent_agreement
        from teachkit.votes.pairs import mean_kappa, stacked

        task, name, metric = around.task, arguments.coefficient, arguments.metric
        metric = metric or ("ordinal" if task.ordered else "nominal")
        sets = None
        if arguments.of == "voters":
            votes = stacked(around.votes())
        elif metric in ("jaccard", "masi"):
            votes, sets = around.people_sets()
        else:
            votes = around.people()
        if name == "krippendorff":
            found = krippendorff_alpha(votes, metric=metric, sets=sets)
            name = name if metric == "nominal" else f"{name}, {metric}"
        elif name == "cohen":
            found = mean_kappa(votes, weights="linear" if task.ordered else None)
        else:
            found = {"fleiss": fleiss_kappa, "percent": percent_agreement}[name](votes)
        who = "judged" if arguments.of == "annotators" else "voted on"
        if found.value is None:
            reason = f"no item is {who} by two or more" if found.reason == NO_UNIT else found.reason
            wanted = bounds(arguments.min, arguments.max)
            return Finding(
                int(arguments.undefined == "fail"), f"agreement undefined ({name}): {reason}; {wanted} wanted"
            )
        return figure(
            "agreement", found.value, arguments, f"({name}) on {counted(found.n, 'item')} {who} by two or more"
        )


def figure(name: str, value: float | None, arguments: Any, rest: str) -> Finding:
    """A figure held against its bounds."""
    good = in_bounds(value, arguments.min, arguments.max)
    return Finding(
        int(not good), f"{name} {number(value)} {rest}; {bounds(arguments.min, arguments.max)} wanted", value
    )


def number(value: float | None) -> str:
    """A figure in words."""
    return "undefined" if value is None else f"{value:.3f}"
