"""A project's folder as it was at a commit: in a temporary place, with what lies outside git as it is now."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from teachkit.build.revisions.git import run_git

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINKED_BYTES = 1 << 20  # a larger file that did not change is linked to, not written again
_LEVELS, _SIBLINGS = 3, 1000
_GITLINK = "160000"
_NOT_SHARED = ("__pycache__", "teachkit.lock")


@contextmanager
def checked_out(root: Path, commit: str, *, leave_out: Sequence[Path] = ()) -> Iterator[Path]:
    """The folder ``root`` as ``commit`` has it. The work tree, its index and its hooks are not touched.

    What git ignores (data too large for it, profiles with secrets) is there as well, as it is now; ``leave_out`` names
    folders that are not. Folders beside the repository are there too, so that ``../data`` means what it did.

    Raises:
        GitFailed: git cannot read the commit.
    """
    top = Path(run_git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))
    prefix = run_git(root, "rev-parse", "--show-prefix").removesuffix("\n")
    with tempfile.TemporaryDirectory(prefix="teachkit-", ignore_cleanup_errors=True) as temporary:
        base = Path(temporary).resolve()
        tree = _beside(base / "tree", top)
        _write(top, commit, base / "index", tree, prefix)
        _share_ignored(top, tree, {p.resolve() for p in leave_out})
        folder = tree / prefix
        if not folder.is_dir():  # the commit has no such folder, or a file in its place
            folder = base / "tree" / "nothing"
            folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(base / "tree", ignore_errors=True)


def _beside(folder: Path, top: Path) -> Path:
    """A new folder in ``folder`` that stands for ``top``, with links to what lies beside it and above."""
    ancestors = top.parents[:_LEVELS]
    place = folder.joinpath(*reversed([a.name for a in ancestors[:-1]])) if ancestors else folder
    here = place
    child = top
    for ancestor in ancestors:
        here.mkdir(parents=True, exist_ok=True)
        for number, entry in enumerate(_entries(ancestor)):
            if number >= _SIBLINGS:
                break
            if entry != child and not (here / entry.name).is_symlink():
                (here / entry.name).symlink_to(entry)
        child, here = ancestor, here.parent
    tree = place / (top.name or "top")
    tree.mkdir(parents=True)
    return tree


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _write(top: Path, commit: str, index: Path, tree: Path, prefix: str) -> None:
    """Write the files of a commit: what did not change as it is in the work tree, the rest as a checkout would.

    So a file means the same in both, although git might write its lines with other ends. Outside of the project's
    folder ``prefix``, what did not change is linked to, by whole folders: a repository may hold much else.
    """
    own = {"GIT_INDEX_FILE": str(index)}
    run_git(top, "read-tree", commit, env=own)
    changed = _changed(top, commit)
    new = _names(run_git(top, "ls-files", "--others", "--exclude-standard", "--directory", "-z"))
    split = {parent for name in (*changed, *new, f"{prefix}.") for parent in PurePosixPath(name).parents}
    written, linked = [], set[PurePosixPath]()
    for entry in _names(run_git(top, "ls-files", "--stage", "-z", env=own)):
        about, _, name = entry.partition("\t")
        there, gitlink = top / name, about.startswith(_GITLINK)
        if name in changed or not os.path.lexists(there):  # it may be gone since git looked
            written += [] if gitlink else [name]
        elif not name.startswith(prefix):
            _link_whole(PurePosixPath(name), split, linked, (tree, top))
        elif gitlink or _is_large(there):
            _link(tree / name, there)
        else:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(there, tree / name, follow_symlinks=False)
    names = "".join(f"{name}\0" for name in written)
    run_git(top, "checkout-index", "-z", "--stdin", f"--prefix={tree}/", env=own, stdin=names)


def _link_whole(
    name: PurePosixPath, split: set[PurePosixPath], linked: set[PurePosixPath], places: tuple[Path, Path]
) -> None:
    """Link to the largest folder around a file in which nothing is other, or to the file; once for each."""
    around = [parent for parent in reversed(name.parents) if parent not in split]
    whole = around[0] if around else name
    if whole not in linked:
        linked.add(whole)
        tree, top = places
        _link(tree / whole, top / whole)


def _changed(top: Path, commit: str) -> set[str]:
    """The files of the work tree that differ from the commit, or at which git was told not to look."""
    how = ("-c", "diff.autoRefreshIndex=false", "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z")
    found = run_git(top, *how, commit, "--")
    flags = [entry.partition(" ") for entry in _names(run_git(top, "ls-files", "-v", "-z"))]
    return {*_names(found), *(name for flag, _, name in flags if flag != "H")}


def _is_large(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size > _LINKED_BYTES
    except OSError:
        return False


def _share_ignored(top: Path, tree: Path, left_out: set[Path]) -> None:
    found = run_git(top, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    for name in _names(found):
        if _may_hold(tree, PurePosixPath(name)):
            _share(tree / name, top / name, left_out)


def _may_hold(tree: Path, name: PurePosixPath) -> bool:
    """Whether the folders of a file are folders, or not there: nothing is written through a link that leads away."""
    folders = [tree / parent for parent in name.parents]
    return all(f.is_dir() and not f.is_symlink() if os.path.lexists(f) else True for f in folders)


def _share(place: Path, path: Path, left_out: set[Path]) -> None:
    """Link to what lies outside git; of a folder that the commit has as well, to what that lacks."""
    resolved = path.resolve()
    if resolved in left_out or path.name in _NOT_SHARED:
        return
    is_folder = path.is_dir() and not path.is_symlink()
    if is_folder and (place.is_dir() or any(out.is_relative_to(resolved) for out in left_out)):
        if not place.is_symlink():
            for entry in _entries(path):
                _share(place / entry.name, entry, left_out)
    elif not os.path.lexists(place):
        _link(place, path)


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]
