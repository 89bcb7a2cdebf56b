"""What each voter is worth: the label model fitted again without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import BadPosterior, answers_of
from teachkit.build.fitting import fit, fit_votes, fitting
from teachkit.errors import TeachkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.build.answers import Fitted
    from teachkit.build.execute import Executor
    from teachkit.build.gold import Gold
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo

MOST = 100
"""So many voters are left out in turn: those with most votes."""


@dataclass(frozen=True, slots=True)
class Marginal:
    """What changes when a voter joins the others; positive is better.

    ``accuracy``, ``macro_f1`` and ``coverage`` (share of items with a label) are differences; None without gold.
    ``mended`` and ``broken``: gold labels that are right only with it, and only without it; ``p`` of McNemar's test.
    ``moved``: the share of items whose label is another one.
    """

    voter: str
    accuracy: float | None
    macro_f1: float | None
    coverage: float
    mended: int
    broken: int
    p: float | None
    moved: float


@dataclass(frozen=True, slots=True)
class MarginalSection:
    """The label model's figures with all voters, and what each of them adds; ``note``: what is not there, and why."""

    accuracy: float | None
    macro_f1: float | None
    coverage: float | None
    gold_labels: int
    voters: Sequence[Marginal]
    note: str = ""


def marginal_section(
    run: Executor, task: TaskInfo, node: Node | None, codes: Any, missing: Sequence[str], chosen: Any
) -> MarginalSection:
    """Fit again without each voter, in memory; ``codes`` is gold, ``chosen`` [N] the items to look at."""
    why = _why_not(task, node, missing)
    if why or node is None:
        return MarginalSection(None, None, None, 0, [], why)
    try:
        with fitting(run, node):
            cast, fitted, gold = fit(run, node)
            whole = _answers(task, node, cast, fitted)[chosen]
            gone = [(name, _without(run, task, node, cast, gold, out)[chosen]) for name, out in _left_out(cast)]
    except (TeachkitError, BadPosterior) as error:
        return MarginalSection(None, None, None, 0, [], f"{node.name} cannot be fitted again: {error}")
    truth = codes[chosen].ravel()
    base = _figures(task, whole, truth)
    rows = [_row(task, name, whole, other, truth, base) for name, other in gone]
    rows.sort(key=lambda r: (-(r.accuracy or 0), -r.coverage, -r.moved, r.voter))
    note = f"the {MOST} voters with most votes" if len(gone) < len(set(_leavers(cast).values())) else ""
    return MarginalSection(*base, int((truth >= 0).sum()), rows, note)


def _why_not(task: TaskInfo, node: Node | None, missing: Sequence[str]) -> str:
    if not task.coded:
        return f"not for tasks of the kind '{task.kind}', whose answers are values"
    if node is None:
        return "the task has no label model to fit again"
    if node.spec.sides is not None:
        return f"not for label models that compare things ({node.spec.algorithm}): each comparison counts"
    if missing:
        return "some voters are not built: run 'teachkit build' first"
    return ""


def _leavers(cast: Cast) -> dict[str, str]:
    """Who leaves together: the bands of a prompt; annotators one by one."""
    return {v: v if n.startswith("annotations.") else n.rpartition(".")[2] for v, n in cast.kinds.items()}


def _left_out(cast: Cast) -> Iterator[tuple[str, frozenset[str]]]:
    from teachkit.votes.pairs import votes_by_voter

    leavers, count = _leavers(cast), votes_by_voter(cast.votes)
    groups: dict[str, set[str]] = {}
    for voter in sorted(leavers, key=lambda v: -count[v]):
        groups.setdefault(leavers[voter], set()).add(voter)
    if len(groups) < 2:
        return
    for name in list(groups)[:MOST]:
        yield name, frozenset(groups[name])


def _without(run: Executor, task: TaskInfo, node: Node, cast: Cast, gold: Gold | None, gone: frozenset[str]) -> Any:
    from teachkit.votes.pairs import dropped

    votes = tuple(dropped(v, [name in gone for name in v.voters]) for v in cast.votes)
    left = {voter: said for voter, said in cast.policies.items() if voter not in gone}
    other = replace(cast, votes=votes, policies=left)
    return _answers(task, node, other, fit_votes(run, node, other, gold))


def _answers(task: TaskInfo, node: Node, cast: Cast, fitted: Fitted) -> Any:
    """Codes [N]; of multichoice [N, L], of which a row has all its labels or, if one is undecided, none."""
    codes = answers_of(cast.votes, fitted, node.spec.config.tie_policy, multi=task.multi)[1]
    if task.multi:
        codes[(codes < 0).any(axis=1)] = -1
    return codes


def _figures(task: TaskInfo, codes: Any, truth: Any) -> tuple[float | None, float | None, float]:
    from teachkit.votes.intervals import quality

    found = quality(codes.ravel(), truth, 2 if task.multi else len(task.labels))
    there = (codes >= 0).any(axis=1) if task.multi else codes >= 0
    return found.accuracy, found.macro_f1, float(there.mean()) if len(there) else 0.0


def _row(task: TaskInfo, name: str, whole: Any, other: Any, truth: Any, base: Any) -> Marginal:
    from teachkit.votes.intervals import mcnemar

    now = _figures(task, other, truth)
    known = truth >= 0
    right, right_without = (whole.ravel() == truth)[known], (other.ravel() == truth)[known]
    mended, broken = int((right & ~right_without).sum()), int((~right & right_without).sum())
    changed = [None if a is None or b is None else a - b for a, b in zip(base, now, strict=True)]
    moved = float((whole != other).mean()) if whole.size else 0.0
    p = mcnemar(mended, broken) if known.any() else None
    return Marginal(name, changed[0], changed[1], changed[2] or 0.0, mended, broken, p, moved)
