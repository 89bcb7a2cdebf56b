"""Policies: tests that compare a label set with an earlier one, or with answers that it may not contradict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from teachkit.checks.base import SHOWN_ROWS, Check, CompileContext, Finding
from teachkit.checks.labels import share_of, with_gold
from teachkit.errors import BadLock, BadValue, GitError, MergeConflict, listing
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
        """``max`` is a share (``2%``) of the items that had a label and still have one."""

        against: Revision = "lock"
        max: Share

    def look(self, arguments: Any, around: Surroundings) -> Finding:
        """Compare with the labels that the lock names."""
        before = _earlier(arguments.against, around)
        if isinstance(before, Finding):
            return before
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


class MinAccuracyDelta(Policy):
    """Accuracy on gold now minus that of the labels that a lock names, on the same items, is not below ``min``."""

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
        message = f"{figures}: {delta:+.2%} on the same {n} items ({doubt}); at least {arguments.min:+.2%} wanted"
        return Finding(int(delta < arguments.min), message, delta, test_gold=arguments.split == "test")


class ProtectedLabels(Policy):
    """No label contradicts an answer of a curator or gold; with ``against``, none that agreed there is gone either."""

    class Arguments(Model):
        """``splits`` narrows gold; curators' answers count wherever they are."""

        from_: list[Literal["curator", "gold"]] = Field(default=["curator", "gold"], alias="from", min_length=1)
        splits: list[Split] = Field(default=["train", "tune"], min_length=1)
        against: Revision | None = None

    @classmethod
    def check(cls, arguments: Any, target: Node, context: CompileContext, where: Where) -> None:
        """There is something to protect."""
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
        bad, lost = [], 0
        for answer in answers:
            now, was = labels.decided[answer.row], None if then is None else then[answer.row]
            held = was is not None and _same(was, answer.codes)
            if not _same(now, answer.codes) and (held or _decided(now)):
                bad.append((answer, now, was))
                lost += held
        message = f"{len(bad)} of {len(answers)} protected answers are contradicted"
        if before is not None:
            message = f"{len(bad)} of {len(answers)} protected answers are contradicted or lost, {lost} of them since "
            message += before.lock
        test_gold = any(answer.gold and answer.split == "test" for answer in answers)
        return Finding(len(bad), message, len(bad), _table(bad[:SHOWN_ROWS], labels, around), test_gold=test_gold)


def _same(codes: Any, wanted: Any) -> bool:
    return bool((codes == wanted).all())


def _decided(codes: Any) -> bool:
    return bool((codes >= 0).all())


def _table(bad: list[tuple[ProtectedAnswer, Any, Any]], labels: LabelData, around: Surroundings) -> Any:
    """The items at fault: key, label, protected label, whose it is, and the label before."""
    import pyarrow as pa

    if not bad:
        return None
    answers, now, before = zip(*bad, strict=True)
    columns = {
        around.task.key: around.keys([answer.row for answer in answers]),
        "label": pa.array([_words(codes, labels) for codes in now], pa.string()),
        "protected": pa.array([_words(codes, labels) for codes in (a.codes for a in answers)], pa.string()),
        "by": pa.array([answer.by for answer in answers], pa.string()),
        "before": pa.array([None if codes is None else _words(codes, labels) for codes in before], pa.string()),
    }
    return pa.table(columns)


def _words(codes: Any, labels: LabelData) -> str | None:
    if not _decided(codes):
        return None
    if labels.multi:
        return "|".join(name for name, code in zip(labels.labels, codes, strict=True) if code == 1)
    return labels.labels[int(codes)]


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
