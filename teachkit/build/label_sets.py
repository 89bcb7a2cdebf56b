"""From votes to a label set: patterns, fit, decisions, one object of rows for each part."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

from teachkit import registry
from teachkit.build.decisions import label_counts, rows
from teachkit.build.gold import read_gold
from teachkit.build.keys import described, node_key, output_of
from teachkit.build.recipe import recipe_of
from teachkit.build.stored_votes import votes_of
from teachkit.errors import BadValue, NodeFailed, TeachkitError
from teachkit.hashing import canonical_json, digest
from teachkit.voters.python_file import load_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.gold import Gold
    from teachkit.build.run import Output
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import LabelSetSpec, Node, TaskInfo

_ALGORITHM_ROWS = 1


def label_keys(run: Executor, node: Node) -> list[str]:
    """The keys of the label set's parts; the last one is that of its parameters."""
    key = node_key(node, run.outputs, _ALGORITHM_ROWS)
    task = run.graph.tasks[node.task or ""]
    parts = range(len(run.outputs[task.dataset].parts))
    return [*(digest(["labels", key, part]) for part in parts), digest(["parameters", key])]


def find_label_set(run: Executor, node: Node) -> Output | None:
    """The stored label set, if its rows and its parameters are all there."""
    metas = [run.store.meta(key) for key in label_keys(run, node)]
    return output_of([m for m in metas[:-1] if m is not None]) if all(metas) else None


def make_label_set(run: Executor, node: Node) -> Output:
    """Fit the label model and decide every item.

    The parameters are an object of their own, which also says which votes (of which version of which voter) it all
    was made of: what ``lineage`` walks.
    """
    task = run.graph.tasks[node.task or ""]
    keys = label_keys(run, node)
    _say_if_compiling(run, node, task)
    with fitting(run, node):
        votes, models, gold = fit(run, node)
        parameters = parameters_of(models)
        tables = rows(run, node, task, votes, models, gold)
    _say_uncalibrated(run, node, task, models)
    doubt = _doubt(parameters, task)
    if doubt:
        run.note(f"{node.id}: the fit was not believed, and all voters count alike: {doubt}")
    metas = []
    for part, (key, table) in enumerate(zip(keys, tables, strict=False)):
        counts = label_counts(table, task.labels if task.coded else (), multi=task.multi)
        metas.append(run.put(key, table, node, part, {**counts, "parameters": keys[-1]}))
    about = {
        "inputs": _inputs(run, node),
        "labels": list(task.labels),
        "algorithm": node.spec.algorithm,
        "conflict": conflict_of(votes),
        "recipe": recipe_of(node, task),
        "doubt": doubt,
    }
    run.put(keys[-1], parameter_table(parameters), node, -1, about)
    return output_of(metas)


def _say_uncalibrated(run: Executor, node: Node, task: TaskInfo, models: Sequence[Any]) -> None:
    """Note where calibration was asked for and gold was too little."""
    if node.spec.config.calibrate is None:
        return
    for label, model in zip(task.labels, models, strict=False):
        problem = model.diagnostics_["calibration"]["problem"]
        if problem is not None:
            of_label = f" (label '{label}')" if task.multi else ""
            run.note(f"{node.id}: posteriors are not calibrated{of_label}: in gold.tune {problem}")


def _doubt(parameters: Sequence[Any], task: TaskInfo) -> str:
    """Why a fit was not believed; of multichoice with the label, the first that was not."""
    for label, kept in zip(task.labels if task.multi else [""], parameters, strict=False):
        if found := ((kept or {}).get("diagnostics") or {}).get("fallback"):
            return f"{label}: {found}" if label else str(found)
    return ""


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
        said = f"raised {type(error).__name__}" if advice is None else "cannot be fitted"
        problem = f"label model '{node.spec.algorithm}' {said}: {error}"
        raise NodeFailed(node.where, problem=problem, advice=advice or "check its parameters") from error
    finally:
        for line in printed.getvalue().splitlines():
            run.note(f"{node.id}: {line}")


def conflict_of(cast: Cast) -> float:
    """The share of items on which voters disagree; of multichoice the mean over the labels."""
    from teachkit.votes.analysis import conflict_rate

    return float(sum(conflict_rate(votes) for votes in cast.votes) / len(cast.votes))


def _inputs(run: Executor, node: Node) -> dict[str, Any]:
    found = {}
    for name in node.inputs:
        output, parent = run.outputs[name], run.graph[name]
        found[name] = {
            "name": parent.name,
            "definition": parent.own,
            "fingerprint": parent.fingerprint,
            "objects": [p.key for p in output.parts],
            "described": described(run.store, output.parts),
            "path": parent.where.path,
            "line": parent.where.line,
        }
    return found


_OWN_KERNELS = {
    "auto": ("label_models/hierarchy.py", "label_models/dependence.py"),
    "mace": ("label_models/priors.py",),
    "glad": ("label_models/glad_kernels.py",),
    "kos": ("label_models/kos_kernels.py",),
    "metal": ("label_models/moment_kernels.py",),
    "triplet": ("label_models/moment_kernels.py",),
    "bradley_terry": ("label_models/comparison_kernels.py",),
    "plackett_luce": ("label_models/ranking_kernels.py",),
}
"""Label models that have loops of their own to compile."""


def _say_if_compiling(run: Executor, node: Node, task: TaskInfo) -> None:
    from teachkit.votes.jit import is_compiled

    own = _OWN_KERNELS.get(node.spec.algorithm, ())
    if (task.coded or own) and not is_compiled(*own, common=task.coded):
        run.note("compiling the label models' kernels for this machine, once (some seconds)")


def fit(run: Executor, node: Node) -> tuple[Cast, list[Any], Gold | None]:
    """The votes of a label set, its label models fitted to them (one; of multichoice one for each label), and gold."""
    config = node.spec.config
    votes = votes_of(run, node)
    wants_gold = config.gold == "tune" or config.prefer_gold or config.calibrate is not None
    gold = read_gold(run, run.graph.tasks[node.task or ""], node.spec.gold) if wants_gold else None
    return votes, [fit_votes(run, node, votes, gold, label) for label in range(len(votes.votes))], gold


def fit_votes(run: Executor, node: Node, cast: Cast, gold: Gold | None, label: int) -> Any:
    """The label model of a label set fitted to given votes; of multichoice that of one label (its code)."""
    spec: LabelSetSpec = node.spec
    task = run.graph.tasks[node.task or ""]
    config, votes = spec.config, cast.votes[label]
    known = None
    if gold is not None and (config.gold == "tune" or config.calibrate is not None):
        known = gold.of_split("tune", label if task.multi else None)
    model = new_model(node, task, label, run.files.target.threads, run.files.root)
    if config.calibrate is not None:
        from teachkit.label_models.calibrated import Calibrated

        model = Calibrated(model, method=config.calibrate, clamp=config.gold == "tune")
    fitted = model.fit(votes, gold=known, abstain=dict(cast.policies))
    fitted = fitted if fitted is not None else model
    if config.intervals == "bootstrap":
        fitted.bootstrap(votes, known if config.gold == "tune" else None)
    return fitted


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
    try:
        return made(threads=threads, **parameters)
    except TypeError as error:
        import inspect

        known = [p for p in inspect.signature(made.__init__).parameters if p not in ("self", "threads")]
        problem = f"{spec.algorithm} does not take these: {error}"
        raise BadValue(
            node.where, key="parameters", problem=problem, advice=f"its parameters: {', '.join(known)}"
        ) from error


def _own_class(place: str, root: Path, node: Node) -> Any:
    path, _, name = place.partition(":")
    module = load_file(root, path)
    if not hasattr(module, name):
        problem = f"'{path}' has no class '{name}'"
        raise NodeFailed(node.where, problem=problem, advice="write 'label_models/file.py:Class'")
    return getattr(module, name)


def stored_parameters(table: pa.Table) -> list[Any]:
    """The parameters of each fitted model, from the object that holds them; None for those that keep none."""
    return json.loads(table.column("parameters")[0].as_py())  # type: ignore[no-any-return]


def load_models(algorithm: str, table: pa.Table) -> list[Any]:
    """The fitted models again, from their stored parameters; None for those that keep none (classes of users)."""
    return [None if ":" in algorithm or p is None else _loaded(algorithm, p) for p in stored_parameters(table)]


def _loaded(algorithm: str, parameters: Mapping[str, Any]) -> Any:
    if "calibration" in parameters:
        from teachkit.label_models.calibrated import Calibrated

        return Calibrated.from_parameters(parameters)
    return registry.load("label_model", algorithm).from_parameters(parameters)


def parameters_of(models: Sequence[Any]) -> list[Any]:
    """What each fitted model has learned; None for those that do not say."""
    return [model.parameters() if hasattr(model, "parameters") else None for model in models]


def parameter_table(parameters: Sequence[Any]) -> pa.Table:
    """The object that parameters are kept in."""
    import pyarrow as pa

    return pa.table({"parameters": pa.array([canonical_json(list(parameters))])})
