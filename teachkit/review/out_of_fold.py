"""How probable each label is, out of fold: by a label model or a classifier that has not seen the given one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.fitting import fitting, new_model
from teachkit.errors import BadOption, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo
    from teachkit.votes import Votes

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Given:
    """M labels that somebody gave, of one label model: the ``row`` of the item, the ``code``, its ``fold``.

    ``voter``: the index of who gave it among the voters, -1 for gold.
    """

    row: Any
    code: Any
    fold: Any
    voter: Any


def by_votes(run: Executor, node: Node, task: TaskInfo, cast: Cast, label: int, given: Given, clamp: Any) -> Any:
    """The posterior of each given label's item [M, K], NaN where no other vote speaks of it.

    Gold (``clamp`` [N] of the items whose gold is fitted to, None: of none) of the items of a fold is not seen by the
    fit that judges them. Of annotators' judgments all votes on the items of a fold are kept from that fit, and the
    annotator's own vote from the evidence.

    Raises:
        NodeFailed: the label model fails.
    """
    import numpy as np

    votes = cast.votes[label]
    policies = dict(cast.policies)
    people = bool((given.voter >= 0).any())
    if people:  # a vote that is taken away says nothing by its silence
        policies |= {votes.voters[v]: "at_random" for v in np.unique(given.voter[given.voter >= 0]).tolist()}
    found = np.full((len(given.row), votes.n_labels), np.nan)
    for fold in range(FOLDS) if people or clamp is not None else [None]:
        here = np.ones(len(found), dtype=bool) if fold is None else given.fold == fold
        if not here.any():
            continue
        kept = np.ones(votes.n_items, dtype=bool)
        kept[given.row[here]] = False
        seen = votes.of_items(np.flatnonzero(kept)) if people else votes
        gold = None if clamp is None else clamp[kept] if people else np.where(kept, clamp, -1)
        asked, pattern = _without(votes, given.row[here], given.voter[here])
        with fitting(run, node):
            model = new_model(node, task, label, run.files.target.threads, run.files.root)
            fitted = model.fit(seen, gold=gold, abstain=policies)
            shares = np.asarray((fitted if fitted is not None else model).predict_proba(asked), dtype=float)
        shares[asked.votes_per_item == 0] = np.nan
        found[here] = shares[pattern]
    return found


def _without(votes: Votes, rows: Any, voters: Any) -> tuple[Votes, Any]:
    """The votes on each of M items without those of one voter (-1: of none), one item for each different case."""
    import numpy as np

    width = len(votes.voters) + 1
    pairs, case = np.unique(votes.pattern_of[rows].astype(np.int64) * width + voters + 1, return_inverse=True)
    whole = votes.regrouped(pairs // width, np.arange(len(pairs)))
    return whole.keeping(whole.voter != (pairs % width - 1)[whole.entry_pattern]), case


def by_texts(texts: Mapping[int, str], labels: Sequence[str], given: Given) -> Any:
    """What a logistic regression on tf-idf of words and pairs of words says of each given label's item [M, K].

    It is fitted to the given labels of the items of all other folds.

    Raises:
        MissingExtra: scikit-learn is not installed.
        BadOption: there are not two classes to tell apart.
    """
    import numpy as np

    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra(None, what_for="--features text", package="scikit-learn", extra="learn") from error
    found = np.full((len(given.row), len(labels)), np.nan)
    words = np.array([texts[row] for row in given.row.tolist()], dtype=object)
    for fold in range(FOLDS):
        here = given.fold == fold
        if not here.any():
            continue
        classes = np.unique(given.code[~here])
        if len(classes) < 2 or not any(text.strip() for text in words[~here]):
            problem = "there are not texts of two classes, which a classifier could tell apart"
            raise BadOption(None, option="--features", problem=problem, advice="use the votes: --features votes")
        shapes = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]")  # noqa: S106
        learner = LogisticRegression(max_iter=1000, class_weight="balanced")
        learner.fit(shapes.fit_transform(words[~here]), given.code[~here])
        shares = np.zeros((int(here.sum()), len(labels)))
        shares[:, classes] = learner.predict_proba(shapes.transform(words[here]))
        found[here] = shares
    return found
