"""From votes to a label set: patterns, fit, decisions, one object of rows for each part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import label_counts, rows
from teachkit.build.fitting import fit, fitting, parameter_table
from teachkit.build.keys import described, node_key, output_of
from teachkit.build.recipe import recipe_of
from teachkit.errors import FileChanged, TeachkitError
from teachkit.graph.label_sets import own_algorithm
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.run import Output
    from teachkit.build.stored_votes import Cast
    from teachkit.graph import Node, TaskInfo

_ALGORITHM_ROWS = 1
_COMPILED = ("bradley_terry", "plackett_luce")  # of the label models whose answers are no codes


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
    with _compiling(run, node, task), fitting(run, node):
        votes, fitted, gold = fit(run, node)
        parameters = parameter_table(fitted)
        tables = rows(run, node, task, votes, fitted, gold)
    _check_class(run, node)
    _say_uncalibrated(run, node, task, fitted.models)
    doubt = _doubt(fitted.models, task)
    if doubt:
        run.note(f"{node.id}: the fit was not believed, and all voters count alike: {doubt}")
    elif others := [why for held in fitted.held if (why := _doubt(held.models, task))]:
        doubt = f"fits that judge gold of tune were not believed, and figures on tune are of other labels: {others[0]}"
        run.note(f"{node.id}: {len(others)} of {len(fitted.held)} {doubt}")
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
    run.put(keys[-1], parameters, node, -1, about)
    return output_of(metas)


def _check_class(run: Executor, node: Node) -> None:
    """Look again at a class of the project's own: what was fitted is what was compiled only if it is as it was."""
    written = node.spec.algorithm
    if ":" not in written:
        return
    try:
        same = own_algorithm(written, node.where, run.files.root) == node.canonical["algorithm"]
    except (OSError, TeachkitError):
        same = False
    if not same:
        raise FileChanged(node.where, file=f"'{written.partition(':')[0]}', or what it imports,")


def _say_uncalibrated(run: Executor, node: Node, task: TaskInfo, models: Sequence[Any]) -> None:
    """Note where calibration was asked for and gold was too little."""
    if node.spec.config.calibrate is None:
        return
    for label, model in zip(task.labels, models, strict=False):
        problem = model.diagnostics_["calibration"]["problem"]
        if problem is not None:
            of_label = f" (label '{label}')" if task.multi else ""
            run.note(f"{node.id}: posteriors are not calibrated{of_label}: in gold.tune {problem}")


def _doubt(models: Sequence[Any], task: TaskInfo) -> str:
    """Why a fit was not believed; of multichoice with the label, the first that was not."""
    for label, model in zip(task.labels if task.multi else [""], models, strict=False):
        found = getattr(model, "diagnostics_", None)
        why = found.get("fallback") if isinstance(found, Mapping) else None
        if why:
            return f"{label}: {why}" if label else str(why)
    return ""


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
            **run.made_as(name)._asdict(),
            "objects": [p.key for p in output.parts],
            "described": described(run.store, output.parts),
            "path": parent.where.path,
            "line": parent.where.line,
        }
    return found


@contextmanager
def _compiling(run: Executor, node: Node, task: TaskInfo) -> Iterator[None]:
    """Say that a label model's loops are compiled while it is fitted, if they were not before on this machine."""
    from teachkit.votes.jit import is_compiled, note_compiled

    algorithm = node.spec.algorithm
    model = "votes" if ":" in algorithm else algorithm  # a class of the project's own: the votes are folded
    waits = (task.coded or algorithm in _COMPILED) and not is_compiled(model)
    if waits:
        run.note("compiling the label models' kernels for this machine, once (some seconds)")
    yield
    if waits:
        note_compiled(model)
