"""Python labeling functions, compiled from their source; ``python_pool`` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import TeachkitError, UnknownColumn, UnknownLabel, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.node import VoterSpec
from teachkit.graph.python import PythonLF, package_versions, project_modules, python_text, read_python
from teachkit.voters.python_child import PythonJob
from teachkit.voters.python_pool import PythonPool, PythonResult
from teachkit.voters.sql_lf import refuse_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from teachkit.project import Definition

__all__ = ["PythonJob", "PythonPool", "PythonResult", "compile_python", "meanings_now"]


def compile_python(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile all labeling functions of a Python file; ``VoterSpec.python`` is the ``PythonJob`` to run."""
    found = read_python(definition.where.path, definition.text, modules=context.modules)
    versions = package_versions({name for lf in found for name in lf.packages})
    return [_voter(lf, definition, context, {name: versions[name] for name in lf.packages}) for lf in found]


def _voter(lf: PythonLF, definition: Definition, context: VoterContext, versions: Mapping[str, str]) -> Voter:
    task = context.task
    columns = tuple(name.lower() for name in lf.parameters)
    for name, where in zip(lf.parameters, lf.parameter_where, strict=True):
        if context.columns and name.lower() not in context.columns:
            owner, hint = f"the dataset of task '{task.name}'", did_you_mean(name, context.columns)
            raise UnknownColumn(where, column=name, owner=owner, known=listing(context.columns, 30), hint=hint)
    if lf.label is not None:
        refuse_label(lf.label, task, lf.label_where or lf.where)
    if lf.label is not None and lf.label not in task.labels:
        hint = did_you_mean(lf.label, task.labels)
        raise UnknownLabel(lf.label_where, label=lf.label, task=task.name, known=listing(task.labels), hint=hint)
    timeout = lf.timeout or context.timeout
    job = PythonJob(f"lf.{task.name}.{lf.name}", lf.path, lf.function, columns, lf.label, lf.batch, timeout, lf.line)
    return Voter(
        name=lf.name,
        where=lf.where,
        spec=VoterSpec("python", columns, label=lf.label, abstain=_abstain(context), python=job, memo=lf.memo),
        canonical={"code": lf.canonical, "packages": versions},
        reads={task.dataset: columns},
        tags=lf.tags,
        description=lf.description,
        text=definition.text,
        compiled=lf.canonical,
    )


def meanings_now(root: Path, path: str) -> tuple[dict[str, str], list[str]]:
    """What each labeling function of a file means by what is on disk now, by its name; which files that was read from.

    There is none if the file cannot be read, or declares something wrong.
    """
    known, reached = project_modules(root), {path: None}

    def modules(name: str) -> tuple[str, str] | None:
        found = known(name)
        if found is not None:
            reached[found[0]] = None
        return found

    try:
        text = python_text(root / path, root)
        return {lf.function: lf.canonical for lf in read_python(path, text, modules=modules)}, list(reached)
    except (OSError, TeachkitError):
        return {}, list(reached)


def _abstain(context: VoterContext) -> str:
    return getattr(context.defaults, "abstain", None) or context.task.silence(looks_at_all=False)
