"""The rows of a label set whose labels are values: what the model answers, what gold and curators decide above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import Decided, latest_judgments
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    import pyarrow as pa

    from teachkit.build.answers import Fitted
    from teachkit.build.execute import Executor
    from teachkit.build.valued.gold import ValueGold
    from teachkit.graph import Node, TaskInfo
    from teachkit.label_models.value_base import Predicted
    from teachkit.votes import Answers


def decide_values(
    run: Executor, node: Node, task: TaskInfo, answers: Answers, fitted: Fitted, gold: ValueGold | None
) -> Decided:
    """Decide every item: by the label model, by gold if that is wanted, by curators above both.

    In ``Decided``, ``codes`` and ``model_codes`` are labels [N], ``posterior`` is the model's ``Predicted``.

    Raises:
        NodeFailed: a model of the user's own gives no labels.
    """
    import numpy as np

    kind = task.answers
    found = _predicted(node, answers, fitted)
    labels, decided_by = found.label.copy(), np.zeros(answers.n_items, dtype=np.int8)
    if gold is not None and node.spec.config.prefer_gold:
        shown = gold.known & (gold.split != 2)
        labels[shown], decided_by[shown] = gold.values[shown], 1
    curated, ruled, _ = latest_judgments(run, node.spec.curators, task, answers.n_items)
    labels[ruled], decided_by[ruled] = curated[ruled], 2
    decided_by[kind.missing(labels) & (decided_by == 0)] = 3
    return Decided(labels, found, decided_by, answers.votes_per_item, found.label)


def _predicted(node: Node, answers: Answers, fitted: Fitted) -> Predicted:
    """What the model answers; of items whose gold is in its fit, what one answers that was not told it."""
    policy = node.spec.config.tie_policy
    found = fitted.models[0].predict(answers, tie_policy=policy)
    _check(found, node, answers)
    if not fitted.held:
        return found  # type: ignore[no-any-return]
    import numpy as np

    from teachkit.label_models.value_base import Predicted

    label, confidence = found.label.copy(), np.array(found.confidence, dtype=np.float64)
    named = isinstance(found.posterior, dict)  # an array for each name; else a plain value for each item
    posterior = {k: np.array(v) for k, v in found.posterior.items()} if named else list(found.posterior)
    for held in fitted.held:
        some = answers.of_items(held.rows)
        other = held.models[0].predict(some, tie_policy=policy)
        _check(other, node, some)
        label[held.rows], confidence[held.rows] = other.label, other.confidence
        for name in other.posterior if named else ():
            posterior[name][held.rows] = other.posterior[name]
        for row, one in zip(held.rows.tolist(), () if named else other.posterior, strict=not named):
            posterior[row] = one
    return Predicted(label, confidence, posterior)


def _check(found: Any, node: Node, answers: Answers) -> None:
    names = ("label", "confidence", "posterior")
    if not all(hasattr(found, name) for name in names) or len(found.label) != answers.n_items:
        problem = "predict must give a Predicted: label, confidence and posterior of each item"
        advice = f"return teachkit.label_models.Predicted with {answers.n_items} labels"
        raise NodeFailed(node.where, problem=problem, advice=advice)


def table_of_values(task: TaskInfo, keys: pa.ChunkedArray, chosen: Any, found: Decided) -> pa.Table:
    """The rows of some items.

    ``confidence`` is that of the model in its own label: NULL where another decided, and where the model has none.
    """
    import numpy as np
    import pyarrow as pa

    kind = task.answers
    predicted: Predicted = found.posterior
    confidence = np.asarray(predicted.confidence, dtype=np.float64)[chosen]
    unknown = (found.decided_by[chosen] != 0) | np.isnan(confidence)
    by = pa.array(["model", "gold", "curator", "none"])
    posterior = kind.posterior_array(predicted.posterior)
    return pa.table(
        {
            task.key: keys.take(pa.array(chosen)),
            "label": kind.array(found.codes[chosen]),
            "confidence": pa.array(confidence, mask=unknown),
            "posterior": posterior.take(pa.array(chosen)),
            "decided_by": by.take(pa.array(found.decided_by[chosen])),
            "votes": pa.array(found.voted[chosen].astype("int32")),
            "model_label": kind.array(found.model_codes[chosen]),
        }
    )
