"""The steps, one after the other; a failed one does not keep the others from what they can say."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from teachkit.build.revisions.base import base_of
from teachkit.ci.findings import of_diff, of_error, of_run
from teachkit.ci.result import Ci, Step
from teachkit.ci.written import write_files
from teachkit.errors import ProjectErrors, TeachkitError, counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from teachkit.build.run import BuildOptions, Event, Run
    from teachkit.diff import Diff

    Report = Callable[[Event | Step], None]

_ORDER = ("built", "reused", "passed", "warned", "failed", "error", "skipped")


def ci(
    root: Path,
    options: BuildOptions,
    base: str | None = None,
    *,
    locked: bool | None = None,
    report: Report | None = None,
) -> Ci:
    """Do what CI does: parse, build with all tests, compare the labels with those of the base; write ``target/ci/``.

    What is wrong with the project is in the result, not raised. In GitHub Actions and GitLab CI, as their variables
    tell, the result is handed to the server as well.

    Args:
        root: The project's folder.
        options: Target, profile, variables.
        base: A revision; None for the one that a pull request would be compared with, on the main branch the commit
            before.
        locked: Whether labels must be those that ``teachkit.lock`` names; None: if there is such a file.
        report: Hears each step's result, and in between what the build says.
    """
    from teachkit.build.revisions.git import folder_in_repository

    tell = report or _nothing
    revision, trouble = _base(root, base)  # before the build, which may write files into the work tree
    parsed = _parse(root, options)
    tell(parsed)
    if parsed.exit_code:
        built, run = Step("build", "skipped", "the project does not compile"), None
    else:
        locked = (root / "teachkit.lock").exists() if locked is None else locked
        _bring_base(root, options, revision)
        built, run = _build(root, replace(options, locked=locked, base=revision), tell)
    tell(built)
    compared, diff = _compare(root, options, revision, trouble, parsed, tell)
    tell(compared)
    done = Ci(
        steps=(parsed, built, compared),
        run=run,
        diff=diff,
        base=revision,
        prefix=folder_in_repository(root),
        at_stake=_at_stake(root, revision),
    )
    return write_files(root, done)


def _nothing(event: Event | Step) -> None:
    pass


def _base(root: Path, asked: str | None) -> tuple[str | None, TeachkitError | None]:
    try:
        return base_of(root, asked), None
    except TeachkitError as error:
        return None, error


def _bring_base(root: Path, options: BuildOptions, base: str | None) -> None:
    """Have the labels of the base in the store: tests of the build may be against them."""
    from teachkit.diff import bring_base

    if base is None:
        return
    try:
        bring_base(root, options, base)
    except TeachkitError:
        return  # the comparison says so


def _parse(root: Path, options: BuildOptions) -> Step:
    from teachkit.build import open_workspace
    from teachkit.build.artifacts import manifest, write_json

    started = time.perf_counter()
    try:
        with open_workspace(root, options) as work:
            write_json(work.files.target_path / "manifest.json", manifest(work.files, work.graph))
            message = counted(len(work.graph.nodes), "node")
    except TeachkitError as error:
        return _stopped("parse", error, started)
    return Step("parse", "passed", message, seconds=time.perf_counter() - started)


def _build(root: Path, options: BuildOptions, tell: Report) -> tuple[Step, Run | None]:
    from teachkit.build import build

    started = time.perf_counter()
    try:
        run = build(root, options, tell)
    except TeachkitError as error:
        return _stopped("build", error, started), None
    code = 0 if run.passed else run.error.exit_code if run.error is not None else 1
    status = "failed" if code else "warned" if "warned" in run.counts else "passed"
    counts = ", ".join(f"{run.counts[s]} {s}" for s in _ORDER if s in run.counts)
    if run.error is not None:
        counts += f"; {run.error.message.splitlines()[0].rstrip(':')}"
    message = f"{counted(len(run.results), 'node')}: {counts}{'' if options.locked else '; teachkit.lock not compared'}"
    return Step("build", status, message, code, time.perf_counter() - started, of_run(run)), run


def _compare(
    root: Path, options: BuildOptions, base: str | None, trouble: TeachkitError | None, parsed: Step, tell: Report
) -> tuple[Step, Diff | None]:
    from teachkit.diff import diff

    started = time.perf_counter()
    if trouble is not None:
        return _stopped("diff", trouble, started), None
    if base is None:
        return Step("diff", "skipped", "a first commit, or none yet: there is nothing to compare with"), None
    if parsed.exit_code:
        return Step("diff", "skipped", "the project does not compile"), None
    try:
        found = diff(root, options, base, report=tell)
    except TeachkitError as error:
        return _stopped("diff", error, started), None
    return Step("diff", "passed", _said(found), 0, time.perf_counter() - started, of_diff(found)), found


def _said(diff: Diff) -> str:
    from teachkit.diff.words import headline, no_base

    said = headline(diff)
    if diff.base.problem is not None:
        said += f" {no_base(diff.base)}: {diff.base.problem.splitlines()[0]}"
    return said


def _at_stake(root: Path, base: str | None) -> dict[str, int]:
    """The label sets that the lock of the base names, and how many items each has."""
    from teachkit.build.revisions.locked import lock_at

    try:
        lock = lock_at(root, base) if base is not None else None
    except TeachkitError:
        return {}  # the comparison has said so
    return {name: entry.rows for name, entry in lock.label_sets.items()} if lock is not None else {}


def _stopped(name: str, error: TeachkitError, started: float) -> Step:
    several = isinstance(error, ProjectErrors) and len(error.errors) > 1
    first = error.errors[0] if isinstance(error, ProjectErrors) else error
    message = counted(len(of_error(error)), "error") if several else first.message.splitlines()[0]
    return Step(name, "error", message, error.exit_code, time.perf_counter() - started, of_error(error))
