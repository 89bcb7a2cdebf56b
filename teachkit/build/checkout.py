"""A project's folder as it was at a commit: in a temporary place, with what lies outside git as it is now."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from teachkit.build.git import run_git

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
    top = Path(run_git(root, "rev-parse", "--show-toplevel").strip())
    prefix = run_git(root, "rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory(prefix="teachkit-", ignore_cleanup_errors=True) as temporary:
        base = Path(temporary).resolve()
        tree = _beside(base / "tree", top)
        _write(top, commit, base / "index", tree)
        _link_ignored(top, tree, {p.resolve() for p in leave_out})
        (tree / prefix).mkdir(parents=True, exist_ok=True)
        try:
            yield tree / prefix
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


def _write(top: Path, commit: str, index: Path, tree: Path) -> None:
    """Write the files of a commit as a checkout would, through an index of our own."""
    changed = set(_changed(top, commit, index.with_name("index of the work tree")))
    own = {"GIT_INDEX_FILE": str(index)}
    run_git(top, "read-tree", commit, env=own)
    written = []
    for entry in _names(run_git(top, "ls-files", "--stage", "-z", env=own)):
        about, _, name = entry.partition("\t")
        there = top / name
        linked = name not in changed and (about.startswith(_GITLINK) or _is_large(there))
        if linked:
            _link(tree / name, there)
        elif not about.startswith(_GITLINK):
            written.append(name)
    names = "".join(f"{name}\0" for name in written)
    run_git(top, "checkout-index", "-z", "--stdin", f"--prefix={tree}/", env=own, stdin=names)


def _changed(top: Path, commit: str, index: Path) -> list[str]:
    """The files that differ between a commit and the work tree, by a copy of its index: git writes into that."""
    real = top / run_git(top, "rev-parse", "--git-path", "index").strip()
    if real.is_file():
        shutil.copyfile(real, index)
    own = {"GIT_INDEX_FILE": str(index)}
    return _names(run_git(top, "diff", "--name-only", "--no-renames", "-z", commit, "--", env=own))


def _is_large(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size > _LINKED_BYTES
    except OSError:
        return False


def _link_ignored(top: Path, tree: Path, left_out: set[Path]) -> None:
    found = run_git(top, "ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
    for name in _names(found):
        path = top / name
        if path.resolve() in left_out or PurePosixPath(name).name in _NOT_SHARED:
            continue
        place = tree / name
        if not place.exists() and not place.is_symlink():
            _link(place, path)


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def _names(listed: str) -> list[str]:
    return [name for name in listed.split("\0") if name]
