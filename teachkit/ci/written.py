"""The files that CI leaves: ``target/ci/`` and ``target/junit.xml``, and what servers take."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from teachkit.build.artifacts import junit, write_json
from teachkit.build.run import NodeResult, Run
from teachkit.ci import github, gitlab
from teachkit.ci.comment import comment
from teachkit.errors import TeachkitError
from teachkit.store import write_bytes_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.ci.result import Ci


def write_files(root: Path, done: Ci) -> Ci:
    """Write everything; the result with its files. What an earlier run left and this one has not is removed."""
    target = _target(root)
    folder = target / "ci"
    files = {"markdown": folder / "diff.md", "junit": target / "junit.xml"}
    write_bytes_atomic(files["markdown"], comment(done).encode())
    write_bytes_atomic(files["junit"], junit(_with_troubles(done)).encode())
    made = {"html": folder / "diff.html", "json": folder / "diff.json"}
    if done.diff is not None:
        write_bytes_atomic(made["html"], done.diff.html(texts=False).encode())
        # whoever may read what CI leaves may not be meant to read the data
        write_json(made["json"], done.diff.as_dict(texts=False))
        files |= made
    quality = folder / "codequality.json"
    if gitlab.is_here(os.environ):
        files["codequality"] = quality
        write_bytes_atomic(quality, gitlab.code_quality(done).encode())
    for old in {*made.values(), quality} - set(files.values()):
        old.unlink(missing_ok=True)
    files["result"] = folder / "ci.json"
    done = replace(done, files={n: _below(p, root) for n, p in files.items()})
    write_json(files["result"], done.as_dict())
    if github.is_here(os.environ):
        github.hand_over(done, files["markdown"], os.environ)
    return done


def _target(root: Path) -> Path:
    from teachkit.project import read_config

    try:
        return root / read_config(root).paths.target
    except TeachkitError:
        return root / "target"  # what is wrong with teachkit.yml is what is to be told


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


def _with_troubles(done: Ci) -> Run:
    """The run, with what failed outside of its nodes as results of their own: servers show nothing but these."""
    run = done.run or Run(None, "ci", None, None, "", sum(s.seconds for s in done.steps), 0.0, ())
    known = {r.error for r in run.results if r.error is not None}
    more = [
        NodeResult(f"{step.name}: {f.check}", step.name, "error", message=f.message, where=f.where)
        for step in done.steps
        for f in step.findings
        if f.error is not None and f.error not in known and not _of_node(f.check, run)
    ]
    return replace(run, results=(*run.results, *more))


def _of_node(check: str, run: Run) -> bool:
    return any(r.id == check for r in run.results)
