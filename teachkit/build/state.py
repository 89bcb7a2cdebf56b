"""Which nodes a command is about; what ``state:`` and ``result:`` compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadState, BaseDoesNotCompile, NoGit, NotAProject, ProjectErrors
from teachkit.graph import select
from teachkit.graph.select import Known, methods_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.build.run import BuildOptions
    from teachkit.build.workspace import Workspace
    from teachkit.errors import TeachkitError
    from teachkit.graph import Graph

TESTS = ("test", "unit_test")
_SCHEMA = 1

Fingerprints = dict[str, tuple[str, str]]


def chosen(work: Workspace, options: BuildOptions) -> set[str]:
    """The ids of the nodes that a command is about."""
    found = select(work.graph, options.select, options.exclude, known_state(work, options))
    return of_command(work.graph, found, options.command)


def of_command(graph: Graph, nodes: set[str], command: str) -> set[str]:
    """The nodes that a command looks at: ``run`` leaves out tests, ``test`` all else."""
    match command:
        case "run":
            return {i for i in nodes if graph[i].kind not in TESTS}
        case "test":
            return {i for i in nodes if graph[i].kind in TESTS}
    return nodes


def known_state(work: Workspace, options: BuildOptions) -> Known:
    """What the selection compares with: saved artefacts or a git revision (``options.state``), else the environment.

    Only what the selection asks for is looked at: a revision is compiled for ``state:`` alone.

    Raises:
        BadState, UnknownRevision, ShallowClone: ``options.state`` names nothing that can be compared with.
        BaseDoesNotCompile: the project as it was has errors.
    """
    selectors = work.files.selectors
    methods = methods_of((*options.select, *options.exclude), selectors)
    saved = _saved(options.state)
    fingerprints: Fingerprints = {}
    results: dict[str, str] = {}
    if "state" in methods:
        if saved is not None:
            fingerprints = _of_manifest(saved)
        elif options.state is not None:
            fingerprints = _of_revision(work, options, options.state)
        else:
            fingerprints = _of_environment(work)
    if "result" in methods:
        results = _last_results(work) if saved is None else _saved_results(saved)
    return Known(fingerprints, results, selectors)


def _saved(state: str | None) -> Path | None:
    """The path that is meant: a file or folder that is there is meant before a revision of the same name."""
    return Path(state) if state is not None and Path(state).exists() else None


# ---------------------------------------------------------------------------- state


def _of_environment(work: Workspace) -> Fingerprints:
    environment = work.store.read_environment(work.files.target_name)["nodes"]
    return {i: (n["definition"], n["fingerprint"]) for i, n in environment.items()}


def _of_manifest(saved: Path) -> Fingerprints:
    path = saved / "manifest.json" if saved.is_dir() else saved
    nodes = _read(path, saved, "nodes")
    try:
        return {str(i): (str(n["definition"]), str(n["fingerprint"])) for i, n in nodes.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise _bad(saved, f"{path.name} is no manifest of teachkit") from error


def _of_revision(work: Workspace, options: BuildOptions, name: str) -> Fingerprints:
    from teachkit.build.revisions.git import commit_of
    from teachkit.build.revisions.revision import at_revision

    root = work.files.root
    try:
        commit_of(root, name, source=", and there is no file or folder of this name")
    except NoGit as error:
        problem = f"there is no such file or folder, and no revision can be looked up: {error.facts['problem']}"
        raise BadState(None, state=name, problem=problem, advice=_ADVICE) from error
    with at_revision(root, options, name, create=work.files.store_path.is_dir()) as base:
        if base.work is not None:
            return {n.id: (n.own, n.fingerprint) for n in base.work.graph}
        if isinstance(base.problem, NotAProject):
            return {}  # a commit from before the project: all of it is new
        raise BaseDoesNotCompile(None, state=name, errors=_told(base.problem)) from base.problem


def _told(problem: TeachkitError | None) -> str:
    """Errors of another revision, without the lines of files as they are now."""
    errors = problem.errors if isinstance(problem, ProjectErrors) else [problem]
    return "\n".join(str(error) for error in errors)


# ---------------------------------------------------------------------------- result


def _last_results(work: Workspace) -> dict[str, str]:
    path = work.files.target_path / "run_results.json"
    try:
        return _statuses(json.loads(path.read_bytes())["results"]) if path.is_file() else {}
    except (ValueError, KeyError, TypeError):
        return {}  # another tool's file, or a torn one: as if nothing had run


def _saved_results(saved: Path) -> dict[str, str]:
    path = (saved if saved.is_dir() else saved.parent) / "run_results.json"
    try:
        return _statuses(_read(path, saved, "results"))
    except (KeyError, TypeError) as error:
        raise _bad(saved, f"{path.name} is not that of a run of teachkit") from error


def _statuses(results: Any) -> dict[str, str]:
    return {str(r["id"]): str(r["status"]) for r in results}


# ---------------------------------------------------------------------------- saved files

_ADVICE = (
    "name a git revision, or a folder with the manifest.json and run_results.json that a build left in target/; "
    "a branch of the same name as a folder is meant by heads/NAME"
)


def _read(path: Path, saved: Path, what: str) -> Any:
    """One entry of an artefact of ours."""
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
        version, value = found["schema_version"], found[what]
    except OSError as error:
        said = "there is no" if isinstance(error, FileNotFoundError) else f"{error.strerror}:"
        raise _bad(saved, f"{said} {path.name}" if saved.is_dir() else f"{said} {path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _bad(saved, f"{path.name} is no artefact of teachkit") from error
    if version != _SCHEMA:
        raise _bad(saved, f"{path.name} has schema_version {version}; this teachkit reads {_SCHEMA}")
    return value


def _bad(saved: Path, problem: str) -> BadState:
    return BadState(None, state=saved, problem=problem, advice=_ADVICE)
