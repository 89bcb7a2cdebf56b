"""The label models of a label set: fitted to its votes, kept as parameters, and made of these again."""

from __future__ import annotations

import contextlib
import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.build.answers import Fitted, Held, answers_of
from teachkit.build.gold import key_hashes, read_gold, rows_with_gold
from teachkit.build.stored_votes import votes_of
from teachkit.errors import BadValue, NodeFailed, TeachkitError
from teachkit.hashing import canonical_json
from teachkit.voters.python_file import load_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.gold import Gold
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import LabelSetSpec, Node, TaskInfo

FOLDS = 5
"""So many parts has the gold that a fit is told; a change raises ``graph.label_sets.TAUGHT_VERSION``."""
SCARCE = 20
"""Up to so many items with gold each is a part of its own: a fifth of them less would be another fit."""


@contextlib.contextmanager
def fitting(run: Executor, node: Node) -> Iterator[None]:
    """Let a label model work that may be a user's class: what it prints is noted, what it raises is its fault.

    An error may have ``advice``, which is passed on.

    Raises:
        NodeFailed: it raised something, or left.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):  # stdout is for results
            yield
    except TeachkitError:
        raise
    except (Exception, SystemExit) as error:
        advice = getattr(error, "advice", None)
        ours = isinstance(error, ValueError) and ":" not in node.spec.algorithm  # who says what is wrong in its words
        said = f"raised {type(error).__name__}" if advice is None and not ours else "cannot be fitted"
        problem = f"label model '{node.spec.algorithm}' {said}: {error}"
        raise NodeFailed(node.where, problem=problem, advice=advice or "check its parameters") from error
    finally:
        for line in printed.getvalue().splitlines():
            run.note(f"{node.id}: {line}")


def fit(run: Executor, node: Node) -> tuple[Cast, Fitted, Gold | None]:
    """The votes of a label set, its label models fitted to them, and gold, if it looks at any."""
    config = node.spec.config
    votes = votes_of(run, node)
    wants_gold = node.spec.taught or config.prefer_gold or config.calibrate is not None
    gold = read_gold(run, run.graph.tasks[node.task or ""], node.spec.gold) if wants_gold else None
    return votes, fit_votes(run, node, votes, gold), gold


def fit_votes(run: Executor, node: Node, cast: Cast, gold: Gold | None) -> Fitted:
    """The label models of a label set fitted to given votes."""
    folds = _folds(run, node, gold)
    whole, held = [], []
    for label in range(len(cast.votes)):
        model, others = _fit_label(run, node, cast, gold, label, folds)
        whole.append(model)
        held.append(others)
    return Fitted(whole, [Held.of(rows, models) for rows, models in zip(folds, zip(*held, strict=True), strict=True)])


def _folds(run: Executor, node: Node, gold: Gold | None) -> list[Any]:
    """The rows of the items of each fold, of those whose gold the fit is told; a key decides its item's fold."""
    import numpy as np

    task = run.graph.tasks[node.task or ""]
    if gold is None or not node.spec.taught:
        return []
    rows = rows_with_gold(gold, "tune")
    if len(rows) <= SCARCE:
        return [rows[place : place + 1] for place in range(len(rows))]
    fold = (key_hashes(run, task, "fold:") % FOLDS)[rows]
    return [rows[fold == number] for number in np.unique(fold)]


def _fit_label(
    run: Executor, node: Node, cast: Cast, gold: Gold | None, label: int, folds: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """A label model (of multichoice that of one label, by its code), and those of the folds."""
    import numpy as np

    spec: LabelSetSpec = node.spec
    task = run.graph.tasks[node.task or ""]
    config, votes, policies = spec.config, cast.votes[label], dict(cast.policies)
    known = None if gold is None else gold.of_split("tune", label if task.multi else None)
    told = known if spec.taught else None

    def fitted_to(seen: Any) -> Any:
        model = new_model(node, task, label, run.files.target.threads, run.files.root)
        found = model.fit(votes, gold=seen, abstain=policies)
        return found if found is not None else model

    whole = fitted_to(told)
    held = []
    for rows in folds:
        seen = np.array(told)
        seen[rows] = -1 if task.coded else task.answers.empty(len(rows))
        held.append(fitted_to(seen))
    if config.intervals == "bootstrap":
        whole.bootstrap(votes, told)
    if config.calibrate is None or known is None:
        return whole, held
    from teachkit.label_models.calibrated import Calibrated

    judges = Fitted([whole], [Held.of(rows, [model]) for rows, model in zip(folds, held, strict=True)])
    judged, _ = answers_of([votes], judges, "abstain", multi=False)
    calibrated = Calibrated.around(whole, votes, known, lambda items: judged[items], method=config.calibrate)
    return calibrated, [calibrated.over(model) for model in held]


def new_model(node: Node, task: TaskInfo, label: int, threads: int, root: Path) -> Any:
    """The label model with its declared parameters, not fitted."""
    spec: LabelSetSpec = node.spec
    parameters = dict(spec.parameters)
    if task.multi and isinstance(parameters.get("class_prior"), list):
        share = parameters["class_prior"][label]
        parameters["class_prior"] = [1 - share, share]
    if ":" in spec.algorithm:
        return _own_class(spec.algorithm, root, node)(**parameters)
    made = registry.load("label_model", spec.algorithm)
    _check_numbers(made, parameters, node)
    try:
        return made(threads=threads, **parameters)
    except TypeError as error:
        import inspect

        known = [p for p in inspect.signature(made.__init__).parameters if p not in ("self", "threads")]
        problem = f"{spec.algorithm} does not take these: {error}"
        raise BadValue(
            node.where, key="parameters", problem=problem, advice=f"its parameters: {', '.join(known)}"
        ) from error


def _check_numbers(made: Any, parameters: Mapping[str, Any], node: Node) -> None:
    """Refuse what is no number where a label model wants one."""
    import inspect

    for name, about in inspect.signature(made).parameters.items():
        value, wanted = parameters.get(name), str(about.annotation)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        absent = name not in parameters or (value is None and "None" in wanted)
        if wanted in ("float", "int", "int | None") and not number and not absent:
            problem, advice = f"found {value!r}, not a number", "write a number, without quotes"
            raise BadValue(node.where, key=f"parameters.{name}", problem=problem, advice=advice)


def _own_class(place: str, root: Path, node: Node) -> Any:
    path, _, name = place.partition(":")
    module = load_file(root, path)
    if not hasattr(module, name):
        problem = f"'{path}' has no class '{name}'"
        raise NodeFailed(node.where, problem=problem, advice="write 'label_models/file.py:Class'")
    return getattr(module, name)


def parameter_table(fitted: Fitted) -> pa.Table:
    """The object that holds what fitted models have learned; None for those that do not say."""
    import pyarrow as pa

    columns = {"parameters": pa.array([canonical_json(_parameters_of(fitted.models))])}
    if fitted.held:
        held = [{"rows": one.rows, "parameters": canonical_json(_parameters_of(one.models))} for one in fitted.held]
        columns["held"] = pa.array(
            [held], pa.list_(pa.struct({"rows": pa.list_(pa.int64()), "parameters": pa.string()}))
        )
    return pa.table(columns)


def _parameters_of(models: Sequence[Any]) -> list[Any]:
    return [model.parameters() if hasattr(model, "parameters") else None for model in models]


def stored_parameters(table: pa.Table) -> list[Any]:
    """The parameters of each fitted model, from the object that holds them; None for those that keep none."""
    return json.loads(table.column("parameters")[0].as_py())  # type: ignore[no-any-return]


def load_fitted(algorithm: str, table: pa.Table) -> Fitted:
    """The fitted models again, from their stored parameters; None for those that keep none (classes of users)."""
    import numpy as np

    kept = table.column("held")[0] if "held" in table.column_names else ()
    held = [Held(np.asarray(one["rows"].values), partial(_load_kept, algorithm, one["parameters"])) for one in kept]
    return Fitted(_load_all(algorithm, stored_parameters(table)), held)


def _load_kept(algorithm: str, parameters: pa.StringScalar) -> list[Any]:
    return _load_all(algorithm, json.loads(str(parameters.as_py())))


def _load_all(algorithm: str, parameters: Sequence[Any]) -> list[Any]:
    return [None if ":" in algorithm or p is None else _loaded(algorithm, p) for p in parameters]


def _loaded(algorithm: str, parameters: Mapping[str, Any]) -> Any:
    if "calibration" in parameters:
        from teachkit.label_models.calibrated import Calibrated

        return Calibrated.from_parameters(parameters)
    return registry.load("label_model", algorithm).from_parameters(parameters)
