"""A project, read and compiled, with its store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from teachkit.build.memo import CacheMemo
from teachkit.graph import Graph, compile_graph
from teachkit.graph.select import Known
from teachkit.project import ProjectFiles, read_project
from teachkit.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.build.run import BuildOptions


@dataclass(frozen=True, slots=True)
class Workspace:
    """A project, compiled, with its store open."""

    files: ProjectFiles
    store: Store
    graph: Graph

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


def open_workspace(root: Path, options: BuildOptions, *, create: bool = True) -> Workspace:
    """Read and compile the project; without ``create`` a store that is not there is not made."""
    from teachkit.engine.sources import SourceReader

    files = read_project(root, options)
    store = Store.open(files.store_path, create=create)
    try:
        memo = CacheMemo(store.cache)
        graph = compile_graph(files, SourceReader(files.root, store).describe, memo)
        if create:
            memo.save()
    except BaseException:
        store.close()
        raise
    return Workspace(files, store, graph)


def known_state(work: Workspace) -> Known:
    """What ``state:`` and ``result:`` compare with: the environment, and the last run's results."""
    environment = work.store.read_environment(work.files.target_name)["nodes"]
    results: dict[str, str] = {}
    path = work.files.target_path / "run_results.json"
    if path.is_file():
        try:
            results = {r["id"]: r["status"] for r in json.loads(path.read_bytes())["results"]}
        except (ValueError, KeyError, TypeError):
            results = {}  # another tool's file, or a torn one: as if nothing had run
    fingerprints = {i: (n["definition"], n["fingerprint"]) for i, n in environment.items()}
    return Known(fingerprints, results, work.files.selectors)
