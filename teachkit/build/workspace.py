"""A project, read and compiled, with its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from teachkit.build.memo import CacheMemo
from teachkit.graph import Graph, compile_graph
from teachkit.project import ProjectFiles, read_project
from teachkit.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
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


def open_workspace(
    root: Path,
    options: BuildOptions,
    *,
    create: bool = True,
    change: Callable[[ProjectFiles], ProjectFiles] | None = None,
) -> Workspace:
    """Read and compile the project, as ``change`` makes it; without ``create`` a missing store is not made."""
    files = read_project(root, options)
    if change is not None:
        files = change(files)
    store = Store.open(files.store_path, create=create)
    try:
        graph = compile_files(files, store, keep=create)
    except BaseException:
        store.close()
        raise
    return Workspace(files, store, graph)


def open_store(root: Path, options: BuildOptions) -> tuple[ProjectFiles, Store]:
    """The project's files, and its store as it is, for what needs no graph: sources may be gone, or a file wrong SQL.

    Raises:
        TeachkitError: the files cannot be read, or the store cannot be used.
    """
    files = read_project(root, options)
    return files, Store.open(files.store_path, create=False)


def compile_files(files: ProjectFiles, store: Store, *, keep: bool = False) -> Graph:
    """Compile what was read; ``keep`` what was worked out for the next time."""
    from teachkit.engine.sources import SourceReader

    memo = CacheMemo(store.cache)
    graph = compile_graph(files, SourceReader(files.root, store).describe, memo)
    if keep:
        memo.save()
    return graph
