"""A project as it was at a git revision, compiled, with the store of the project as it is."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from teachkit.build.revisions.checkout import checked_out
from teachkit.build.revisions.git import commit_of, git_state
from teachkit.build.revisions.locked import lock_at
from teachkit.build.workspace import open_workspace
from teachkit.errors import BadLock, MergeConflict, NotAProject, TeachkitError
from teachkit.project import read_config, read_target
from teachkit.store import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from teachkit.build.revisions.git import GitState
    from teachkit.build.run import BuildOptions
    from teachkit.build.workspace import Workspace
    from teachkit.project import ProjectFiles
    from teachkit.store import Lock

WORKING_TREE = "working tree"


@dataclass(frozen=True, slots=True)
class Revision:
    """A project at a revision; ``work`` is None, and ``problem`` says why, where it does not compile.

    ``name`` is what it was asked for by, ``git`` the commit (of the working tree: with what differs from it), ``lock``
    what its ``teachkit.lock`` says, None if there is none or ``lock_problem`` says why it cannot be read.
    """

    name: str
    git: GitState
    work: Workspace | None
    lock: Lock | None
    problem: TeachkitError | None = None
    lock_problem: TeachkitError | None = None

    @property
    def commit(self) -> str | None:
        """The commit, None for files that are in none."""
        return self.git.commit


@contextmanager
def working_tree(root: Path, options: BuildOptions) -> Iterator[Revision]:
    """The project as its files are now.

    Raises:
        TeachkitError: it does not compile.
    """
    with open_workspace(root, options) as work:
        lock, lock_problem = _lock_on_disk(work.files.lock_path)
        yield Revision(WORKING_TREE, git_state(root), work, lock, None, lock_problem)


@contextmanager
def at_revision(root: Path, options: BuildOptions, name: str, *, create: bool = True) -> Iterator[Revision]:
    """The project as it was at ``name``, in a temporary folder; its store is that of the project at ``root``.

    Without ``create`` a missing store is not made, and nothing is kept in one for the next time.

    Raises:
        NoGit, UnknownRevision, ShallowClone, GitFailed: git does not have it.
        TeachkitError: ``teachkit.yml`` or ``profiles.yml`` cannot be read, so that nobody knows where the store is.
    """
    from teachkit.build.revisions.git import GitState

    commit = commit_of(root, name)
    store = root / read_target(root, options).store
    target = root / read_config(root).paths.target
    lock, lock_problem = _lock_at(root, commit)
    git = GitState(commit, ())
    with checked_out(root, commit, leave_out=(store, target)) as folder:
        try:
            work = open_workspace(folder, options, create=create, change=lambda files: _with_store(files, store))
        except TeachkitError as error:
            problem = _no_project(name, error)
            yield Revision(name, git, None, lock, problem, lock_problem)
            return
        with work:
            yield Revision(name, git, work, lock, None, lock_problem)


def _lock_at(root: Path, commit: str) -> tuple[Lock | None, TeachkitError | None]:
    try:
        return lock_at(root, commit), None
    except (BadLock, MergeConflict) as error:
        return None, error


def _lock_on_disk(path: Path) -> tuple[Lock | None, TeachkitError | None]:
    try:
        return read_lock(path), None
    except (BadLock, MergeConflict) as error:
        return None, error


def _with_store(files: ProjectFiles, store: Path) -> ProjectFiles:
    return replace(files, target=files.target.model_copy(update={"store": str(store)}))


def _no_project(name: str, error: TeachkitError) -> TeachkitError:
    """A revision from before the project is told by its name, not by that of a temporary folder."""
    return NotAProject(None, folder=f"this folder at '{name}'") if isinstance(error, NotAProject) else error
