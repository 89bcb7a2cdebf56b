"""Labeling functions worth having: terms that lean to a label, on items where votes are missing or wrong.

What a term is worth for a label is its z-score (``teachkit.votes.log_odds``) times its expected new correct votes: its
precision, drawn to the label's share by 2 items, times the items that hold it and need a vote. Items that no voter
speaks of, and those that the label set has wrong by gold, count 1; others a tenth; those with other gold nothing.
Suggestions are taken greedily: items that one has taken count nothing for the next ones of the same label.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import looking_at
from teachkit.errors import BadOption, did_you_mean, listing
from teachkit.graph import find_task
from teachkit.graph.node import FUNCTIONS
from teachkit.review.analyze import gold_of_task, label_set_of
from teachkit.review.excerpts import order_of, shown_columns
from teachkit.review.hits import Seen
from teachkit.review.standing import Standing, as_built
from teachkit.review.terms import Found, Term, nothing, rows_to_read, terms_of
from teachkit.review.tried import Draft, check_kind, save
from teachkit.review.trying import Claim, Overlap, Rival, compared, others_of, rivals_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.workspace import Workspace
    from teachkit.graph import TaskInfo

EVIDENCE = ("gold", "posterior")
LEAST_GOLD = 10
"""With fewer items of gold, the posterior tells what leans to a label."""
_LEAST_Z = 1.645  # one-sided, 95 %
_SHRINK = 2.0  # items by which a precision is drawn to the share of its label
_COVERED = 0.1  # what a vote on an item is worth that has one already
_MOST = 3000  # of the best, those that are compared
_ALIKE = 0.5  # share of the items of either that two suggestions may have in common
_WITHIN = 0.8  # share of its items that another suggestion may have
_CHECKED = 10  # times as many as are wanted are compared with the voters that exist
_KINDS = ("word", "phrase", "stem", "regex")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A labeling function to add: ``kind`` of term, its ``keys`` in YAML; ``score`` is ``z`` times ``expected``.

    ``expected`` new correct votes; ``precision`` as expected (drawn to the label's share); ``errors``: items that the
    label set has wrong and this has right. ``claim`` is counted over all items, as by ``teachkit try``, ``overlaps``
    with the voters that speak of the same items most.
    """

    name: str
    label: str
    kind: str
    keys: Mapping[str, Any]
    score: float
    z: float
    expected: float
    precision: float
    errors: int
    claim: Claim
    overlaps: Sequence[Overlap]


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Labeling functions for a task, the most valuable first.

    ``evidence`` (gold or posterior) tells what leans to a label: ``evidence_items``. Of ``items``, ``uncovered`` have
    no vote, ``errors`` are wrong by gold, and ``read`` were searched, in ``columns``. ``path`` and ``text``: the file.
    """

    task: str
    label_set: str | None
    evidence: str
    evidence_items: int
    items: int
    read: int
    uncovered: int
    errors: int
    columns: Sequence[str]
    suggestions: Sequence[Suggestion]
    notes: Sequence[str]
    path: str
    text: str
    saved: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wish:
    """What to suggest: for which labels, from which columns, how many; ``from_errors``: what mends wrong labels."""

    labels: Sequence[str] = ()
    columns: Sequence[str] = ()
    limit: int = 10
    min_precision: float = 0.7
    from_errors: bool = False
    evidence: str | None = None
    label_set: str | None = None
    save: str | None = None


def suggest(work: Workspace, name: str, wish: Wish) -> Suggestions:
    """Suggest labeling functions for a task. Gold of the test split is never looked at.

    Raises:
        UnknownNode, BadOption: there is no such task, label, column, or the file is there already.
        NotBuilt: the items have not been built.
    """
    task = find_task(work.graph, name)
    check_kind(task.kind, name, "suggest")
    if wish.evidence is not None and wish.evidence not in EVIDENCE:
        advice = f"write one of: {listing(EVIDENCE)}"
        raise BadOption(None, option="--evidence", problem=f"'{wish.evidence}' is no evidence", advice=advice)
    for label in wish.labels:
        if label not in task.labels:
            advice = f"write one of: {listing(task.labels, 30)}.{did_you_mean(label, task.labels)}"
            problem = f"'{label}' is not a label of task '{name}'"
            raise BadOption(None, option="--label", problem=problem, advice=advice)
    path = _path(work, task, wish.save)
    with looking_at(work) as run:
        found = _suggest(run, task, wish, path)
        if wish.save is None or not found.suggestions:
            return found
        save(work.files, Draft(path, found.text))
        return Suggestions(**{**{f: getattr(found, f) for f in found.__slots__}, "saved": True})


def _path(work: Workspace, task: TaskInfo, wanted: str | None) -> str:
    folder = f"{work.files.config.paths.labeling_functions}/{task.name}"
    file = Path(wanted or "suggested.yml")
    file = file if file.suffix else file.with_suffix(".yml")
    if file.suffix not in (".yml", ".yaml"):
        problem = f"'{wanted}' is no name of a YAML file"
        raise BadOption(None, option="--save", problem=problem, advice=f"write one such as {folder}/words.yml")
    path = Path(folder, file) if file.parent == Path() else file
    if path.parent != Path(folder):
        problem = f"labeling functions of task '{task.name}' are not in {path.parent}"
        raise BadOption(None, option="--save", problem=problem, advice=f"write {folder}/{file.name}")
    if wanted is not None and (work.files.root / path).exists():
        problem = f"{path.as_posix()} is there already"
        raise BadOption(None, option="--save", problem=problem, advice="choose another name")
    return path.as_posix()


# ---------------------------------------------------------------------------- what is known of the items


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of N items and L labels: each array [N, L].

    ``share``: how probable the label is, where ``told`` is true; ``worth``: what a correct vote would be worth;
    ``wrong``: whether the label holds by gold, and the label set has it wrong.
    """

    share: Any
    told: Any
    worth: Any
    wrong: Any


def _suggest(run: Executor, task: TaskInfo, wish: Wish, path: str) -> Suggestions:
    import numpy as np

    run.resolve_upstream(task.dataset)
    run.resolve(run.graph[task.dataset])
    notes: list[str] = []
    seen, rivals, covered = _seen(run, task, wish, notes)
    gold_items = int(_with_gold(task, seen.gold).sum())
    evidence = wish.evidence or ("gold" if gold_items >= LEAST_GOLD or isinstance(seen.belief, str) else "posterior")
    known = _known(task, seen, covered, evidence, from_errors=wish.from_errors)
    told = known.told.any(axis=1)
    columns = _columns(run, task, wish.columns)
    read = rows_to_read(run, task, columns, told | known.wrong.any(axis=1), order_of(run, task))
    found = nothing()
    if told.any():
        for column in columns:
            found = found.joined(terms_of(run, task, column, read))
    else:
        notes.append(f"nothing tells what leans to a label: no {evidence} is known of any item")
    chosen = _chosen(task, wish, found, known, rivals)
    made = _made(run, task, seen, rivals, known, found, chosen)
    if evidence == "gold" and len(made) < wish.limit and isinstance(seen.belief, Standing):
        notes.append("the posterior tells of more items than gold, less surely: --evidence posterior")
    if len(read) < len(covered):
        notes.append(f"{len(read):,} of {len(covered):,} items were searched; the figures are of all")
    return Suggestions(
        task=task.name,
        label_set=seen.belief.label_set if isinstance(seen.belief, Standing) else None,
        evidence=evidence,
        evidence_items=int(told.sum()),
        items=len(covered),
        read=len(read),
        uncovered=int(np.count_nonzero(~covered)),
        errors=int(known.wrong.any(axis=1).sum()),
        columns=columns,
        suggestions=made,
        notes=notes,
        path=path,
        text=_yaml(made),
    )


def _seen(run: Executor, task: TaskInfo, wish: Wish, notes: list[str]) -> tuple[Seen, list[Rival], Any]:
    """Gold outside the test split and what the label set believes; the voters; which items they speak of [N]."""
    import numpy as np

    from teachkit.votes import SPLITS

    gold = gold_of_task(run, task)
    test = gold.split == SPLITS.index("test")
    if gold.known.any() and not (gold.known & ~test).any():
        notes.append("all gold is of the test split, which is not looked at here (see 'splits:' of the task)")
    codes = np.where(test[:, None] if task.multi else test, -1, gold.codes)
    belief = as_built(run, task, label_set_of(run.graph, task, wish.label_set))
    if isinstance(belief, str):
        notes.append(f"without a posterior: {belief}")
    nobody = np.full(codes.shape, -1, dtype=np.int16)
    shown = np.ones(len(codes), dtype=bool)
    seen = Seen(task, nobody, None, codes, "train, tune", False, belief, shown)
    others, left_out = others_of(run, task, None)
    if left_out:
        notes.append(f"not built as they are now, so left out: {listing(left_out)}")
    rivals = rivals_of(run, task, others)
    return seen, rivals, compared(seen, rivals)[2]


def _with_gold(task: TaskInfo, gold: Any) -> Any:
    return (gold >= 0).all(axis=1) if task.multi else gold >= 0


def _known(task: TaskInfo, seen: Seen, covered: Any, evidence: str, *, from_errors: bool) -> _Known:
    import numpy as np

    labels = np.arange(len(task.labels))
    gold = seen.gold if task.multi else np.where(seen.gold[:, None] < 0, -1, seen.gold[:, None] == labels)
    belief = seen.belief if isinstance(seen.belief, Standing) else None
    if evidence == "gold" or belief is None:
        share, told = np.maximum(gold, 0).astype(float), gold >= 0
        if evidence == "posterior":
            told = np.zeros_like(told)
    else:
        told = belief.informed[:, None] & ~np.isnan(belief.posterior)
        share = np.where(told, np.nan_to_num(belief.posterior), 0.0)
    wrong = gold == 1
    if belief is not None:
        posterior = np.nan_to_num(belief.posterior)
        given = posterior > 0.5 if task.multi else posterior.argmax(axis=1)[:, None] == labels
        wrong &= ~(given & belief.informed[:, None])
    else:
        wrong &= ~covered[:, None]
    worth = np.where(wrong, 1.0, 0.0 if from_errors else np.where(covered[:, None], _COVERED, 1.0))
    return _Known(share, told, np.where(gold == 0, 0.0, worth), wrong)


def _columns(run: Executor, task: TaskInfo, wanted: Sequence[str]) -> list[str]:
    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    parts = run.outputs[task.dataset].parts
    there: dict[str, str] = {}
    if parts:
        described = run.session.rows(f"describe select * from {parquet([run.store.path(parts[0].key)])}")
        there = {name: kind for name, kind, *_ in described}
    hidden = {task.key.lower(), *(c.lower() for c in task.secret_columns), (task.split_column or "").lower()}
    texts = [name for name, kind in there.items() if kind == "VARCHAR" and name.lower() not in hidden]
    for name in wanted:
        if parts and name.lower() not in {c.lower() for c in texts}:
            problem = f"the items have no text in a column '{name}' that voters may read"
            advice = f"write one of: {listing(texts, 30)}.{did_you_mean(name, texts)}"
            raise BadOption(None, option="--column", problem=problem, advice=advice)
    if wanted:
        return [next((c for c in texts if c.lower() == name.lower()), name) for name in dict.fromkeys(wanted)]
    shown = [c for c in shown_columns(task, None, list(there)) if c in texts]
    if len(shown) < 2:
        return shown
    lengths = ", ".join(f"avg(length({quote(c)}))" for c in shown)
    (means,) = run.session.rows(f"select {lengths} from {parquet([run.store.path(p.key) for p in parts])}")
    return [max(zip(shown, means, strict=True), key=lambda one: one[1] or 0.0)[0]]


# ---------------------------------------------------------------------------- ranking


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A term for a label (a code), with its figures."""

    term: int
    label: int
    z: float
    precision: float
    score: float


def _chosen(task: TaskInfo, wish: Wish, found: Found, known: _Known, rivals: Sequence[Rival]) -> list[_Candidate]:
    import numpy as np

    labels = [task.labels.index(label) for label in wish.labels] or range(len(task.labels))
    ranked = [one for label in labels for one in _ranked(found, known, label, wish)]
    ranked.sort(key=lambda c: (-c.score, _KINDS.index(found.terms[c.term].kind), found.terms[c.term].name, c.label))
    ranked = ranked[:_MOST]
    if not ranked:
        return []
    posts = [found.items[found.indptr[c.term] : found.indptr[c.term + 1]] for c in ranked]
    starts = np.concatenate([[0], np.cumsum([len(p) for p in posts])])[:-1]
    items, code = np.concatenate(posts), np.repeat([c.label for c in ranked], [len(p) for p in posts])
    factor = np.array([c.z * c.precision for c in ranked])
    left = known.worth.copy()
    open_ones = np.ones(len(ranked), dtype=bool)
    chosen: list[int] = []
    for _ in range(wish.limit * _CHECKED):
        scores = np.where(open_ones, factor * np.add.reduceat(left[items, code], starts), 0.0)
        best = int(scores.argmax())
        if scores[best] <= 0.0 or len(chosen) == wish.limit:
            break
        open_ones[best] = False
        one = ranked[best]
        if any(_alike(posts[best], posts[c], same=one.label == ranked[c].label) for c in chosen):
            continue
        if _said_already(task, posts[best], one.label, rivals, len(left)):
            continue
        chosen.append(best)
        left[posts[best], one.label] = 0.0
    return [ranked[number] for number in chosen]


def _ranked(found: Found, known: _Known, label: int, wish: Wish) -> Iterator[_Candidate]:
    import numpy as np

    from teachkit.votes.log_odds import z_scores

    if not found.terms:
        return
    starts, sizes = found.indptr[:-1], np.diff(found.indptr)
    share, told = known.share[:, label], known.told[:, label]
    having = np.add.reduceat(share[found.items], starts)
    of_all = np.add.reduceat(told[found.items].astype(float), starts)
    worth = np.add.reduceat(known.worth[found.items, label], starts)
    mine, everyone = float(share[told].sum()), float(told.sum())
    base = mine / everyone if everyone else 0.0
    z = z_scores(having, mine, of_all - having, everyone - mine, sizes / max(1, len(known.share)))
    precision = (having + _SHRINK * base) / (of_all + _SHRINK)
    fit = (z >= _LEAST_Z) & (precision >= wish.min_precision) & (having >= 2.0) & (worth > 0)
    score = z * precision * worth
    for term in np.flatnonzero(fit).tolist():
        yield _Candidate(term, label, float(z[term]), float(precision[term]), float(score[term]))


def _alike(one: Any, other: Any, *, same: bool) -> bool:
    """Whether two suggestions are about the same items."""
    import numpy as np

    both = len(np.intersect1d(one, other, assume_unique=True))
    return both >= _ALIKE * (len(one) + len(other) - both) or (same and both >= _WITHIN * len(one))


def _said_already(task: TaskInfo, items: Any, label: int, rivals: Sequence[Rival], size: int) -> bool:
    """Whether a voter says nearly the same, or all of it and more; of the items that were searched."""
    import numpy as np

    from teachkit.votes.faults import NEAR_COPY

    mine = np.zeros(size, dtype=bool)
    mine[items] = True
    for rival in rivals:
        codes = rival.codes[:, label] == 1 if task.multi else rival.codes == label
        here = mine if rival.rows is None else mine[rival.rows]
        if int((codes & here).sum()) >= NEAR_COPY * len(items):
            return True
    return False


# ---------------------------------------------------------------------------- what is shown


def _made(
    run: Executor,
    task: TaskInfo,
    seen: Seen,
    rivals: Sequence[Rival],
    known: _Known,
    found: Found,
    chosen: Sequence[_Candidate],
) -> list[Suggestion]:
    """The suggestions with their figures: of the votes that their rules cast on all items."""
    import numpy as np

    terms = [found.terms[one.term] for one in chosen]
    taken = {n.name for n in run.graph.of(*FUNCTIONS) if n.task == task.name}
    made = []
    for one, term, matched in zip(chosen, terms, _matches(run, task, terms), strict=True):
        said = np.full(seen.gold.shape, -1, dtype=np.int16)
        if task.multi:
            said[matched, one.label] = 1
        else:
            said[matched] = one.label
        mine = Seen(task, said, one.label, seen.gold, seen.splits, False, seen.belief, seen.shown)
        claims, overlaps, _ = compared(mine, rivals)
        claim = next(c for c in claims if c.yes and c.label == task.labels[one.label])
        name = _name(term, task.labels[one.label], taken)
        taken.add(name)
        expected = one.precision * float(known.worth[matched, one.label].sum())
        errors = int(known.wrong[matched, one.label].sum())
        same = [o for o in overlaps if o.both]
        made.append(
            Suggestion(
                name,
                claim.label,
                term.kind,
                term.keys,
                one.z * expected,
                one.z,
                expected,
                one.precision,
                errors,
                claim,
                same,
            )
        )
    return made


def _matches(run: Executor, task: TaskInfo, terms: Sequence[Term]) -> list[Any]:
    """Which items each rule matches [N], by the expression that a build runs."""
    import numpy as np

    from teachkit.engine.session import parquet
    from teachkit.voters.rules import compile_rule

    if not terms:
        return []
    columns = ", ".join(f"coalesce({compile_rule(t.rule)}, false) as m{i}" for i, t in enumerate(terms))
    tables = []
    for part in run.outputs[task.dataset].parts:
        relation = parquet([run.store.path(part.key)], row_number=True)
        tables.append(run.session.table(f"select {columns} from {relation} order by file_row_number"))
    return [np.concatenate([t.column(i).to_numpy() for t in tables]) for i in range(len(terms))]


def _name(term: Term, label: str, taken: set[str]) -> str:
    """What the labeling function is called: its label and its words, as far as they are ASCII."""
    parts = re.findall(r"[a-z0-9]+", f"{label} {term.name}".lower())
    name = "_".join(parts)[:40].rstrip("_") or "suggested"
    name = name if name[0].isalpha() else f"rule_{name}"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _yaml(made: Sequence[Suggestion]) -> str:
    import yaml

    entries = [{"name": s.name, "label": s.label, **s.keys} for s in made]
    return yaml.safe_dump({"labeling_functions": entries}, sort_keys=False, allow_unicode=True, width=100)
