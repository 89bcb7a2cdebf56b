"""Policies: tests that compare a label set with an earlier one, or with answers that it may not contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from teachkit.checks.base import SHOWN_ROWS, Check, CompileContext, Finding
from teachkit.checks.labels import share_of, with_gold
from teachkit.errors import BadLock, BadValue, GitError, MergeConflict, counted, listing
from teachkit.label_models import CODED
from teachkit.project.model import Model

if TYPE_CHECKING:
    from teachkit.checks.base import EarlierLabels, ProtectedAnswer, Surroundings
    from teachkit.errors import Where
    from teachkit.graph import Node
    from teachkit.graph.node import Reads
    from teachkit.votes import LabelData

Revision = Annotated[str, Field(pattern=r"^[^\s-]\S*$")]
"""``lock``, ``base`` or a git revision (a branch called ``lock`` or ``base`` is ``refs/heads/base``)."""
Share = Annotated[float, BeforeValidator(share_of), Field(ge=0, le=1)]
Difference = Annotated[float, BeforeValidator(share_of), Field(ge=-1, le=1)]
Split = Literal["train", "tune", "test"]


class Policy(Check):
    """A test of a label set as a whole that may look at an earlier one."""

    kinds: ClassVar[tuple[str, ...]] = ("label_set",)
    narrows: ClassVar[bool] = False
    compares: ClassVar[bool] = True


class MaxFlips(Policy):
    """The share of items whose label is another than in ``teachkit.lock``, or in that of a git revision."""

    class Arguments(Model):
        """``max`` is a share (``2%``) of the items that had a label and still have one.

        ``tolerance``: numbers that differ by no more are the same.
        """

        against: Revision = "lock"
        max: Share
        tolerance: float | None = Field(default=None, ge=0)

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """Only numbers have a tolerance."""
        _check_tolerance(arguments, target, context, where)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare with the labels that the lock names."""
        before = _earlier(arguments.against, around)
        if isinstance(before, Finding):
            return before
        if not around.task.coded:
            return _value_flips(arguments, before, around)
        from teachkit.graph import quote

        key, now = quote(around.task.key), quote(around.target.id)
        same = f"cast(b.{key} as varchar) = cast(n.{key} as varchar)"
        both = f"{before.relation} b join {now} n on {same} where b.label is not null and n.label is not null"
        total, flips = around.query(f"select count(*), count(*) filter (b.label <> n.label) from {both}")[0]
        if not total and (warning := _nothing_in_common(before, around)):
            return warning
        share = flips / total if total else 0.0
        changes = f"select n.{key}, b.label as before, n.label as now from {both} and b.label <> n.label"
        rows = around.table(f"{changes} order by 1 limit {SHOWN_ROWS}") if flips else None
        changed = f"{flips} of {total} labels ({share:.2%}) are others than in {before.lock}"
        message = f"{changed}; at most {arguments.max:.2%} wanted"
        return Finding(0 if share <= arguments.max else int(flips), message, share, rows)


def _check_tolerance(arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
    task = context.tasks[target.task or ""]
    if arguments.tolerance is not None and task.kind != "number":
        problem = f"a tolerance is for numbers, and task '{task.name}' is of the kind '{task.kind}'"
        raise BadValue(where, key="tolerance", problem=problem, advice="leave it out")


def _value_flips(arguments: Any, before: EarlierLabels, around: Surroundings) -> Finding:
    """Count labels that are values and no longer the same."""
    import pyarrow as pa

    labels, (then, _) = around.labels(), before.codes()
    kind, now = labels.kind, labels.decided
    both = (~kind.missing(then) & ~kind.missing(now)).nonzero()[0]
    if not len(both) and (warning := _nothing_in_common(before, around)):
        return warning
    same = kind.same(then[both], now[both])
    if arguments.tolerance is not None:
        same |= kind.distance(then[both], now[both]) <= arguments.tolerance
    changed = both[~same]
    share = len(changed) / len(both) if len(both) else 0.0
    shown = changed[:SHOWN_ROWS]
    said = f"{len(changed)} of {len(both)} labels ({share:.2%}) are others than in {before.lock}"
    more = f" by more than {arguments.tolerance:g}" if arguments.tolerance else ""
    message = f"{said}{more}; at most {arguments.max:.2%} wanted"
    if not len(shown):
        return Finding(0, message, share)
    columns = {around.task.key: around.keys(shown.tolist()), "before": then[shown], "now": now[shown]}
    rows = {name: c if isinstance(c, pa.ChunkedArray) else kind.array(c) for name, c in columns.items()}
    return Finding(0 if share <= arguments.max else len(changed), message, share, pa.table(rows))


class MinAccuracyDelta(Policy):
    """Accuracy on gold now minus that of the labels that a lock names, on the same items, is not below ``min``."""

    tasks: ClassVar[tuple[str, ...] | None] = CODED

    class Arguments(Model):
        """``min`` is a difference of shares (``-0.5%``); ``split`` says on which gold."""

        against: Revision = "lock"
        split: Split = "test"
        min: Difference

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """Gold is needed."""
        _need_gold(target, context, where, "min_accuracy_delta")

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Labels and gold."""
        return with_gold(target, context)

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Count on the items with gold that both have; one without a label is wrong."""
        from teachkit.votes import SPLITS
        from teachkit.votes.intervals import mcnemar

        before = _earlier(arguments.against, around)
        if isinstance(before, Finding):
            return before
        labels = around.labels()
        known = _each(labels.gold >= 0, labels) & (labels.split == SPLITS.index(arguments.split))
        if not known.any():
            return Finding(1, f"min_accuracy_delta: no item of gold.{arguments.split} has gold")
        then, there = before.codes()
        both = known & there
        n = int(both.sum())
        if not n:
            message = f"no item with gold in gold.{arguments.split} is in {before.lock}: there is nothing to compare"
            return Finding(1, message, severity="warn")
        right_now, right_then = (_each(codes == labels.gold, labels)[both] for codes in (labels.decided, then))
        won, lost = int((right_now & ~right_then).sum()), int((right_then & ~right_now).sum())
        delta = (won - lost) / n
        figures = f"accuracy on gold.{arguments.split} {right_now.mean():.3f}, in {before.lock} {right_then.mean():.3f}"
        doubt = f"{won} right only now, {lost} only then, McNemar's p {mcnemar(won, lost):.3g}"
        message = (
            f"{figures}: {delta:+.2%} on the same {counted(n, 'item')} ({doubt}); at least {arguments.min:+.2%} wanted"
        )
        return Finding(int(delta < arguments.min), message, delta, test_gold=arguments.split == "test")


class ProtectedLabels(Policy):
    """No label contradicts an answer of a curator or gold; with ``against``, none that agreed there is gone either."""

    class Arguments(Model):
        """``splits`` narrows gold; curators' answers count wherever they are.

        ``tolerance``: numbers that differ by no more do not contradict each other.
        """

        from_: list[Literal["curator", "gold"]] = Field(default=["curator", "gold"], alias="from", min_length=1)
        splits: list[Split] = Field(default=["train", "tune"], min_length=1)
        against: Revision | None = None
        tolerance: float | None = Field(default=None, ge=0)

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """There is something to protect."""
        _check_tolerance(arguments, target, context, where)
        if arguments.from_ == ["gold"]:
            _need_gold(target, context, where, "protected_labels")
        elif not _curators(target, context) and ("gold" not in arguments.from_ or not _has_gold(target, context)):
            problem = f"task '{target.task}' has nothing to protect"
            advice = "declare an annotations file with 'role: curator' or 'role: gold', or 'gold:' in the task"
            raise BadValue(where, key="protected_labels", problem=problem, advice=advice)

    @classmethod
    def reads(cls, arguments: Any, column: str | None, target: Node, context: CompileContext) -> Reads:
        """Labels, gold and the judgments of curators."""
        return {**with_gold(target, context), **dict.fromkeys(_curators(target, context))}

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare each answer with the label of its item."""
        before = None if arguments.against is None else _earlier(arguments.against, around)
        if isinstance(before, Finding):
            if before.failures:
                return before
            before = None  # a new label set
        answers = around.protected(arguments.from_, arguments.splits)
        if not answers:
            where = f" (gold: {', '.join(arguments.splits)})" if "gold" in arguments.from_ else ""
            return Finding(1, f"there is no answer of {' or '.join(arguments.from_)} to protect{where}")
        labels = around.labels()
        then = before.codes()[0] if before is not None else None

        def same(one: Any, other: Any) -> bool:
            near = arguments.tolerance is not None and bool(abs(one - other) <= arguments.tolerance)
            return near or bool(labels.same(one, other))

        bad, lost = [], 0
        for answer in answers:
            now, was = labels.decided[answer.row], None if then is None else then[answer.row]
            held = was is not None and same(was, answer.codes)
            if not same(now, answer.codes) and (held or labels.words(now) is not None):
                bad.append((answer, now, was))
                lost += held
        message = f"{len(bad)} of {len(answers)} protected answers are contradicted"
        if before is not None:
            message = f"{len(bad)} of {len(answers)} protected answers are contradicted or lost, {lost} of them since "
            message += before.lock
        test_gold = any(answer.gold and answer.split == "test" for answer in answers)
        return Finding(len(bad), message, len(bad), _table(bad[:SHOWN_ROWS], labels, around), test_gold=test_gold)


def _table(bad: list[tuple[ProtectedAnswer, Any, Any]], labels: Any, around: Surroundings) -> Any:
    """The items at fault: key, label, protected label, whose it is, and the label before."""
    import pyarrow as pa

    if not bad:
        return None
    answers, now, before = zip(*bad, strict=True)
    columns = {
        around.task.key: around.keys([answer.row for answer in answers]),
        "label": pa.array([labels.words(said) for said in now], pa.string()),
        "protected": pa.array([labels.words(answer.codes) for answer in answers], pa.string()),
        "by": pa.array([answer.by for answer in answers], pa.string()),
        "before": pa.array([None if said is None else labels.words(said) for said in before], pa.string()),
    }
    return pa.table(columns)


def _each(found: Any, labels: LabelData) -> Any:
    """Whether it holds for an item [N], from whether it does for each of its codes."""
    return found.all(axis=1) if labels.multi else found


# ---------------------------------------------------------------------------- earlier labels


def _earlier(against: str, around: Surroundings) -> EarlierLabels | Finding:
    """The labels to compare with, or what is to be said where there are none."""
    try:
        found = around.earlier(against)
    except LookupError as error:
        return Finding(1, str(error), severity="warn" if against == "lock" else None)
    except (GitError, BadLock, MergeConflict) as error:
        return Finding(1, f"{error.message}: {error.advice}")
    if found is None:
        where = "teachkit.lock" if against == "lock" else f"the lock of {against}"
        return Finding(0, f"{where} has no labels to compare with yet")
    problem = _not_comparable(found, around)
    return Finding(1, problem) if problem else found


def _not_comparable(before: EarlierLabels, around: Surroundings) -> str | None:
    """Why labels of then and now are not about the same, if so."""
    from teachkit.graph import quote

    task = around.task
    if before.task != task.name:
        return f"in {before.lock} this label set answers task '{before.task}', now '{task.name}': no comparison is true"
    then, now = (
        {name.lower(): kind for name, kind, *_ in around.query(f"describe select * from {relation}")}
        for relation in (before.relation, quote(around.target.id))
    )
    if task.key not in then:
        return f"in {before.lock} items have no key '{task.key}': no item of then can be found again"
    if then["label"] != now["label"]:
        return f"in {before.lock} the task was of another kind (labels are {then['label']}, now {now['label']})"
    if not task.coded:
        return None
    each = "unnest(label)" if task.multi else "label"
    names = around.query(f"select distinct {each} from {before.relation} where label is not null order by 1")
    gone = [name for (name,) in names if name not in task.labels]
    if gone:
        return (
            f"labels of {before.lock} are no labels of task '{task.name}' now ({listing(gone)}): no comparison is true"
        )
    return None


def _nothing_in_common(before: EarlierLabels, around: Surroundings) -> Finding | None:
    """A warning, if both have labels and no item is in both: the values of the key may have changed."""
    from teachkit.graph import quote

    labeled = (f"select count(label) from {r}" for r in (before.relation, quote(around.target.id)))
    if all(around.query(sql)[0][0] for sql in labeled):
        message = f"no item with a label is in both {before.lock} and the labels now: flips cannot be counted"
        return Finding(1, message, severity="warn")
    return None


# ---------------------------------------------------------------------------- what a task has


def _has_gold(target: Node, context: CompileContext) -> bool:
    task = context.tasks[target.task or ""]
    return bool(task.secret_columns) or len(with_gold(target, context)) > 2


def _need_gold(target: Node, context: CompileContext, where: Where, key: str) -> None:
    if not _has_gold(target, context):
        advice = "declare 'gold:' in the task, or an annotations file with 'role: gold'"
        raise BadValue(where, key=key, problem=f"task '{target.task}' has no gold", advice=advice)


def _curators(target: Node, context: CompileContext) -> list[str]:
    people = [n for n in context.nodes.values() if n.kind == "annotations" and n.task == target.task]
    return [n.id for n in people if n.spec.meta.role == "curator"]
