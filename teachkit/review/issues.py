"""Gold and annotators' judgments that are likely wrong, by probabilities in which they have no say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import looking_at
from teachkit.build.gold import gold_files
from teachkit.build.looks import record_look
from teachkit.build.stored_votes import standing_rows, voter_of, votes_of
from teachkit.build.voting import annotations_text
from teachkit.errors import BadOption, NotBuilt, listing
from teachkit.graph import find_task
from teachkit.review.analyze import check_gold_name, gold_of_task, measured_gold, needed_label_set, voters_of
from teachkit.review.excerpts import Excerpt, excerpt, order_of, rows_of, shown_columns
from teachkit.review.out_of_fold import Given, by_texts, by_votes
from teachkit.review.tried import check_kind
from teachkit.voters.corrections import Corrections

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.build.workspace import Workspace
    from teachkit.graph import Node, TaskInfo

OF = ("gold", "annotations")
FEATURES = ("votes", "text")


@dataclass(frozen=True, slots=True)
class Issue:
    """A label that is likely wrong: ``given`` by whom, at which ``place`` (a column, or ``file:line``).

    ``suggested`` with its probability beside that of the given one. ``against`` and ``agreeing``: the votes on the
    item, without the judged one. ``file`` and ``line``: what to append where, if it is wrong indeed; both None where
    no line that is appended outdoes it.
    """

    item: str
    given: str
    suggested: str
    p_given: float
    p_suggested: float
    margin: float
    by: str | None
    place: str
    against: Mapping[str, str]
    agreeing: Sequence[str]
    file: str | None
    line: str | None
    texts: Mapping[str, Excerpt] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClassNoise:
    """Of one given label: how often it is ``given``, how many of these are expected to be wrong.

    ``threshold``: its mean probability where it is given, above which a probability counts as confident.
    """

    label: str
    given: int
    expected_wrong: float
    noise: float | None
    threshold: float | None
    issues: int


@dataclass(frozen=True, slots=True)
class Annotator:
    """How many labels of one person were ``judged``, and how many of these are likely wrong."""

    name: str
    judged: int
    issues: int


@dataclass(frozen=True, slots=True)
class Issues:
    """Given labels that are likely wrong, the surest first: ``issues``, of ``found``.

    ``judged`` of ``given`` labels could be judged: other votes speak of their items. ``role``: which role the file
    needs that corrections are appended to.
    """

    task: str
    label_set: str | None
    of: str
    features: str
    gold_splits: str | None
    given: int
    judged: int
    found: int
    expected_wrong: float
    classes: Sequence[ClassNoise]
    annotators: Sequence[Annotator]
    issues: Sequence[Issue]
    role: str
    notes: Sequence[str]
    test_looks: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is judged (``gold`` or ``annotations``), by which ``features`` (``votes`` or ``text``), on which gold."""

    of: str = "gold"
    features: str = "votes"
    gold: str | None = None
    label_set: str | None = None
    limit: int = 20


def find_issues(work: Workspace, name: str, wish: Wish) -> Issues:
    """Find gold or annotators' judgments that are likely wrong.

    Gold of the test split is left out unless ``wish.gold`` is ``test`` or ``all``; such a look is counted.

    Raises:
        UnknownNode, BadOption: there is no such task or label set, or no such way.
        NotBuilt: the votes are not there.
        MissingExtra: texts are to be read, and scikit-learn is not installed.
    """
    task = find_task(work.graph, name)
    check_kind(task.kind, name, "issues")
    check_gold_name(wish.gold)
    for option, value, ways in (("--of", wish.of, OF), ("--features", wish.features, FEATURES)):
        if value not in ways:
            advice = f"write one of: {listing(ways)}"
            raise BadOption(None, option=option, problem=f"'{value}' is not known", advice=advice)
    if wish.of == "annotations" and wish.gold is not None:
        advice = "leave it out: annotators' judgments are of all items"
        raise BadOption(None, option="--gold", problem="it does not go with --of annotations", advice=advice)
    node = needed_label_set(work.graph, task, wish.label_set)
    with looking_at(work) as run:
        return _find(run, task, node, wish)


# ---------------------------------------------------------------------------- what was given


@dataclass(frozen=True, slots=True)
class _Said:
    """Labels that were given, about one label model: who said them and where, one for each entry of ``given``.

    ``files``: what corrections are appended to. ``whole``: of a multichoice task, all labels that the same answer
    names.
    """

    given: Given
    by: Sequence[str | None]
    places: Sequence[str]
    files: Sequence[str]
    whole: Sequence[frozenset[int]] = ()


def _find(run: Executor, task: TaskInfo, node: Node, wish: Wish) -> Issues:
    _resolve(run, task, node)
    cast = votes_of(run, node)
    known = gold_of_task(run, task)
    codes, splits, test_gold = measured_gold(task, known, wish.gold)
    on_gold = wish.of == "gold"
    order = order_of(run, task)
    labels = range(len(task.labels)) if task.multi else [None]
    if on_gold:
        said = [_gold_said(run, task, codes, label, order) for label in labels]
    else:
        said = [_people_said(run, task, node, cast, label, order) for label in labels]
    looks = record_look(run, task.name, [node], by="issues", gold=splits) if on_gold and test_gold else None
    found = [_judge(run, task, node, cast, known, label, one, wish) for label, one in zip(labels, said, strict=True)]
    issues = sorted((i for f in found for i in f.ranked), key=lambda i: (-i.margin, i.p_given, i.row, i.label))
    judged = sum(len(f.kept) for f in found)
    notes = _notes(task, node, wish, said, judged, splits)
    return Issues(
        task=task.name,
        label_set=node.name if wish.features == "votes" else None,
        of=wish.of,
        features=wish.features,
        gold_splits=splits if on_gold else None,
        given=sum(len(one.given.row) for one in said),
        judged=judged,
        found=len(issues),
        expected_wrong=sum(c.expected_wrong for f in found for c in f.classes),
        classes=[c for f in found for c in f.classes],
        annotators=[] if on_gold else _annotators(found),
        issues=_shown(run, task, node, cast, found, issues[: wish.limit]),
        role="gold" if on_gold else "annotator",
        notes=notes,
        test_looks=looks,
    )


def _resolve(run: Executor, task: TaskInfo, node: Node) -> None:
    for name in voters_of(run, task, node, current=True)[1]:
        raise NotBuilt(None, node=name, name=run.graph[name].name, target=run.files.target_name)
    for file in gold_files(run.graph, task):
        if run.find(file) is None:
            raise NotBuilt(None, node=file.id, name=file.id, target=run.files.target_name)


def _notes(task: TaskInfo, node: Node, wish: Wish, said: Sequence[_Said], judged: int, splits: str) -> list[str]:
    given = sum(len(one.given.row) for one in said)
    if not given and wish.of == "gold":
        return [f"no item has gold ({splits}), so there is nothing to judge"]
    if not given:
        return [f"{node.name} has no annotators, so there is nothing to judge"]
    whose = "other votes" if wish.of == "annotations" else "votes"
    if judged < given:
        return [f"{given - judged:,} of {given:,} could not be judged: no {whose} on their items"]
    return []


def _gold_said(run: Executor, task: TaskInfo, codes: Any, label: int | None, order: Any) -> _Said:
    """Gold, and where it stands: the column, or a line of a file, which wins."""
    import numpy as np

    from teachkit.votes.confident import folds_of

    folder = f"{run.files.config.paths.annotations}/{task.name}"
    column = f"column {task.gold.column}" if task.gold is not None else "?"
    lines: dict[int, tuple[str, str, str]] = {}
    gold = [file.id for file in gold_files(run.graph, task)]
    for file, table in zip(gold, standing_rows(run, gold, task), strict=True):
        path = run.graph[file].spec.path
        names = ("row", "annotator", "line", "code")
        for row, who, line, code in zip(*(table.column(c).to_pylist() for c in names), strict=True):
            if code >= 0:
                lines[row] = (who, f"{path}:{line}", f"{folder}/{PurePosixPath(path).stem}_review.jsonl")
    mine = codes if label is None else codes[:, label]
    rows = np.flatnonzero(mine >= 0)
    where = [lines.get(row, (None, column, f"{folder}/gold_review.jsonl")) for row in rows.tolist()]
    given = mine[rows].astype(np.int64)
    fold = folds_of(given, order[rows], 5)
    nobody = np.full(len(rows), -1, np.int64)
    by, places, files = zip(*where, strict=True) if where else ((), (), ())
    whole = [frozenset(np.flatnonzero(codes[row] == 1).tolist()) for row in rows.tolist()] if task.multi else []
    return _Said(Given(rows, given, fold, nobody), by, places, files, whole)


def _people_said(run: Executor, task: TaskInfo, node: Node, cast: Cast, label: int | None, order: Any) -> _Said:
    """Annotators' judgments that the label set hears; all on one item are in one fold."""
    import numpy as np

    index = {name: number for number, name in enumerate(cast.votes[label or 0].voters)}
    taken = {run.graph[v].name for v in node.spec.voters}
    found: dict[tuple[int, int], tuple[int, str, int, str]] = {}
    whole: dict[tuple[int, int], set[int]] = {}
    for file, table in zip(node.spec.annotations, standing_rows(run, node.spec.annotations, task), strict=True):
        path = run.graph[file].spec.path
        names = ("row", "annotator", "line", "code", "yes")
        named: dict[tuple[int, int], set[int]] = {}
        for row, who, line, code, yes in zip(*(table.column(c).to_pylist() for c in names), strict=True):
            voter = index.get(voter_of(who, taken))
            if code < 0 or voter is None:
                continue
            if task.multi:
                named.setdefault((row, voter), set()).update([code] if yes else [])
            if label is not None and code != label:
                continue
            found[row, voter] = (code if label is None else int(yes), who, line, path)
        whole |= named
    entries = sorted(found)
    codes = [found[entry][0] for entry in entries]
    by, files = [found[entry][1] for entry in entries], [found[entry][3] for entry in entries]
    places = [f"{path}:{line}" for _, _, line, path in (found[entry] for entry in entries)]
    rows = np.array([row for row, _ in entries], dtype=np.int64)
    voters = np.array([number for _, number in entries], dtype=np.int64)
    distinct, place = np.unique(rows, return_inverse=True)
    ranked = np.empty(len(distinct), dtype=np.int64)
    ranked[np.lexsort((distinct, order[distinct]))] = np.arange(len(distinct)) % 5
    given = Given(rows, np.array(codes, np.int64), ranked[place], voters)
    answers = [frozenset(whole[entry]) for entry in entries] if task.multi else []
    return _Said(given, by, places, files, answers)


# ---------------------------------------------------------------------------- judging


@dataclass(frozen=True, slots=True)
class _Wrong:
    """An issue, by its ``entry`` of what was said."""

    label: int | None
    entry: int
    row: int
    suggested: int
    p_given: float
    p_suggested: float
    margin: float


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found of the given labels of one label model; ``kept``: which of them could be judged."""

    label: int | None
    said: _Said
    kept: Any
    classes: Sequence[ClassNoise]
    ranked: Sequence[_Wrong]


def _judge(
    run: Executor, task: TaskInfo, node: Node, cast: Cast, gold: Any, label: int | None, said: _Said, wish: Wish
) -> _Judged:
    import numpy as np

    from teachkit.votes.confident import confident_learning

    names = _names(task, label)
    given = said.given
    if not len(given.row):
        shares = np.zeros((0, len(names)))
    elif wish.features == "text":
        shares = by_texts(_texts(run, task, given.row), names, given)
    else:
        clamp = gold.of_split("tune", label) if node.spec.taught else None
        shares = by_votes(run, node, task, cast, label or 0, given, clamp)
    kept = np.flatnonzero(~np.isnan(shares).any(axis=1))
    code = given.code[kept]
    found = confident_learning(code, shares[kept])
    ranked = [
        _Wrong(
            label,
            int(kept[one]),
            int(given.row[kept[one]]),
            int(found.suggested[one]),
            float(shares[kept[one], code[one]]),
            float(shares[kept[one], found.suggested[one]]),
            float(found.margin[one]),
        )
        for one in found.issues.tolist()
    ]
    counts, likely = np.bincount(code, minlength=len(names)), np.bincount(code[found.issues], minlength=len(names))
    classes = [
        ClassNoise(
            name,
            int(counts[c]),
            float(counts[c] * found.noise[c]) if counts[c] else 0.0,
            float(found.noise[c]) if counts[c] else None,
            float(found.thresholds[c]) if counts[c] else None,
            int(likely[c]),
        )
        for c, name in enumerate(names)
    ]
    return _Judged(label, said, kept, classes, ranked)


def _names(task: TaskInfo, label: int | None) -> Sequence[str]:
    """What the codes of a label model are called."""
    return task.labels if label is None else (f"not {task.labels[label]}", task.labels[label])


def _texts(run: Executor, task: TaskInfo, rows: Any) -> dict[int, str]:
    import numpy as np

    columns = shown_columns(task, None, run.graph[task.dataset].columns or ())
    found = rows_of(run, task, np.unique(rows).tolist(), columns)
    return {row: " ".join(str(values[c]) for c in columns if values[c] is not None) for row, values in found.items()}


def _annotators(found: Sequence[_Judged]) -> list[Annotator]:
    judged: dict[str, int] = {}
    wrong: dict[str, int] = {}
    for one in found:
        for entry in one.kept.tolist():
            name = one.said.by[entry] or ""
            judged[name] = judged.get(name, 0) + 1
        for issue in one.ranked:
            name = one.said.by[issue.entry] or ""
            wrong[name] = wrong.get(name, 0) + 1
    people = [Annotator(name, n, wrong.get(name, 0)) for name, n in judged.items()]
    return sorted(people, key=lambda a: (-a.issues / a.judged, -a.issues, a.name))


def _shown(
    run: Executor, task: TaskInfo, node: Node, cast: Cast, found: Sequence[_Judged], issues: Sequence[_Wrong]
) -> list[Issue]:
    columns = shown_columns(task, None, run.graph[task.dataset].columns or ())
    rows = rows_of(run, task, sorted({i.row for i in issues}), columns)
    doubted: dict[tuple[int, str | None], set[int]] = {}
    for judged in found if task.multi else ():
        for one in judged.ranked:
            doubted.setdefault((one.row, judged.said.by[one.entry]), set()).add(one.label or 0)
    corrections = _corrections(run, task, node, {found[one.label or 0].said.files[one.entry] for one in issues})
    shown = []
    for one in issues:
        judged = found[one.label or 0]
        answer = _corrected(task, judged, one, doubted)
        line = _line(str(rows[one.row]["key"]), answer, judged.said, one, corrections)
        shown.append(_issue(task, cast, judged, one, rows[one.row], columns, line))
    return shown


def _corrections(run: Executor, task: TaskInfo, node: Node, paths: Container[str]) -> dict[str, Corrections]:
    """Corrections of some files of people's judgments, by path."""
    files = [run.graph[file] for file in node.spec.annotations if run.graph[file].spec.path in paths]
    return {
        file.spec.path: Corrections(annotations_text(run, file), file.spec.path, file.name, file.spec.meta, task)
        for file in files
    }


def _line(key: str, answer: Any, said: _Said, one: _Wrong, corrections: Mapping[str, Corrections]) -> str | None:
    """What to append: of a judgment the same person's next one, of gold a line of a file that outdoes it."""
    if said.given.voter[one.entry] < 0:
        return json.dumps({"item": key, "label": answer}, ensure_ascii=False)
    labels = [answer] if isinstance(answer, str) else answer
    return corrections[said.files[one.entry]].line(key, said.by[one.entry] or "", labels)


def _issue(
    task: TaskInfo,
    cast: Cast,
    judged: _Judged,
    one: _Wrong,
    values: Mapping[str, Any],
    columns: Sequence[str],
    line: str | None,
) -> Issue:
    said, names = judged.said, _names(task, one.label)
    code = int(said.given.code[one.entry])
    others = {v: c for v, c in _votes_on(cast, one) if v != _voter(cast, one, said)}
    against = sorted(((v, c) for v, c in others.items() if c != code), key=lambda o: (o[1] != one.suggested, o[0]))
    return Issue(
        item=str(values["key"]),
        given=names[code],
        suggested=names[one.suggested],
        p_given=one.p_given,
        p_suggested=one.p_suggested,
        margin=one.margin,
        by=said.by[one.entry],
        place=said.places[one.entry],
        against={v: names[c] for v, c in against},
        agreeing=sorted(v for v, c in others.items() if c == code),
        file=None if line is None else said.files[one.entry],
        line=line,
        texts={c: excerpt(str(values[c])) for c in columns if values[c] is not None},
    )


def _votes_on(cast: Cast, one: _Wrong) -> Iterator[tuple[str, int]]:
    from teachkit.label_models.base import entries

    votes = cast.votes[one.label or 0]
    for voter, code in entries(votes, int(votes.pattern_of[one.row])):
        yield votes.voters[int(voter)], int(code)


def _voter(cast: Cast, one: _Wrong, said: _Said) -> str | None:
    number = int(said.given.voter[one.entry])
    return cast.votes[one.label or 0].voters[number] if number >= 0 else None


def _corrected(task: TaskInfo, judged: _Judged, one: _Wrong, doubted: Mapping[tuple[int, str | None], set[int]]) -> Any:
    """What the answer would say without its mistakes; of a multichoice task, all its labels, whichever is asked of."""
    if one.label is None:
        return task.labels[one.suggested]
    named = judged.said.whole[one.entry] ^ doubted[one.row, judged.said.by[one.entry]]
    return [label for code, label in enumerate(task.labels) if code in named]
