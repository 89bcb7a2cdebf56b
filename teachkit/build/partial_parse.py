"""A parse of a project in which nothing was touched: the manifest of the last one stands.

What a compilation depends on is written beside the manifest: size and time of every file of the project, the sources'
files elsewhere, options, the environment variables that templates read, the versions at work. Where all that is as it
was, there is nothing to parse. Whatever cannot be watched so (a source in a database, a huge folder) is parsed anew.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.hashing import digest, digest_bytes
from teachkit.store.atomic import write_bytes_atomic
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from teachkit.build.run import BuildOptions
    from teachkit.build.workspace import Workspace

_NAME = "partial_parse.json"
_LEFT_OUT = frozenset({".teachkit", ".git", "__pycache__"})
_MOST_FILES = 50_000
_TICK_NS = 20_000_000  # a file changed twice within one tick of the file system's clock may show one time


def remembered_manifest(root: Path, options: BuildOptions) -> bytes | None:
    """The manifest of the last parse, if a parse would give the same."""
    target = _target_path(root)
    try:
        kept = json.loads((target / _NAME).read_bytes())
        manifest = (target / "manifest.json").read_bytes()
        watched = _watched(root, options, target, kept["patterns"], kept["environment"])
        same = watched is not None and kept["watched"] == digest(watched) and kept["manifest"] == digest_bytes(manifest)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return manifest if same else None


class Watch:
    """What the project's files are before a parse reads them."""

    def __init__(self, root: Path, options: BuildOptions) -> None:
        """Look at the files."""
        self._root = root
        self._options = options
        self._begun = time.time_ns()
        self._target = _target_path(root)
        self._tree = _tree(root, self._target)

    def remember(self, work: Workspace) -> None:
        """Keep for the next parse what this one depended on, once its manifest is written."""
        kept = self._target / _NAME
        patterns = _patterns(work, self._options)
        environment = sorted({*work.files.templates.environment_read, "TEACHKIT_PROFILES_DIR", "HOME"})
        watched = None
        if patterns is not None and self._tree is not None:
            watched = _watched(self._root, self._options, self._target, patterns, environment, self._tree)
        if watched is None or _newest(watched) > self._begun - _TICK_NS:
            kept.unlink(missing_ok=True)
            return
        found = {
            "watched": digest(watched),
            "manifest": digest_bytes((self._target / "manifest.json").read_bytes()),
            "patterns": patterns,
            "environment": environment,
        }
        write_bytes_atomic(kept, json.dumps(found).encode() + b"\n")


def _target_path(root: Path) -> Path:
    """The folder of artefacts, by a look at ``teachkit.yml`` that does not validate it."""
    text = (root / "teachkit.yml").read_text(encoding="utf-8-sig")
    if "paths" not in text:
        return root / "target"
    import yaml

    found = yaml.safe_load(text)
    return root / str((found.get("paths") or {}).get("target") or "target")


def _patterns(work: Workspace, options: BuildOptions) -> list[str] | None:
    """Files and globs outside of the project that it depends on; None if it depends on more than files."""
    if work.files.target_path != _target_path(work.files.root):
        return None
    folders = [options.profiles_dir, os.environ.get("TEACHKIT_PROFILES_DIR"), Path.home() / ".teachkit"]
    found = [str(Path(folder).absolute() / "profiles.yml") for folder in folders if folder]
    for node in work.graph.of("source"):
        if node.spec.table.database is not None or any("://" in path for path in node.spec.paths):
            return None
        found += [str(work.files.root / path) for path in node.spec.paths]
    return sorted(set(found))


def _watched(
    root: Path,
    options: BuildOptions,
    target: Path,
    patterns: Sequence[str],
    environment: Sequence[str],
    tree: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Any] | None:
    """All that a parse depends on, as plain values; None if it is too much to look at."""
    tree = _tree(root, target) if tree is None else tree
    if tree is None:
        return None
    packages = [p for p in sys.path if p.endswith("-packages") and Path(p).is_dir()]
    return {
        "versions": [__version__, platform.python_version(), sys.prefix],
        "packages": _stats(packages),
        "root": str(root),
        "options": [options.target, str(options.profiles_dir), dict(options.variables), options.threads],
        "environment": {name: os.environ.get(name) for name in environment},
        "tree": tree,
        "elsewhere": _stats(path for pattern in patterns for path in sorted(glob.glob(pattern, recursive=True))),
    }


def _newest(watched: Mapping[str, Any]) -> int:
    return max((time for part in ("tree", "elsewhere") for _, time in watched[part].values()), default=0)


def _stats(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    found = {}
    for path in paths:
        stat = Path(path).stat()
        found[path] = (stat.st_size, stat.st_mtime_ns)
    return found


def _tree(root: Path, target: Path) -> dict[str, tuple[int, int]] | None:
    """Size and time of every file of the project but those that teachkit makes; None if they are too many."""
    found = {}
    for count, entry in enumerate(_files(str(root), str(target))):
        if count >= _MOST_FILES:
            return None
        stat = entry.stat()
        found[entry.path] = (stat.st_size, stat.st_mtime_ns)
    return dict(sorted(found.items()))


def _files(folder: str, target: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name not in _LEFT_OUT and entry.path != target:
                    yield from _files(entry.path, target)
            elif entry.is_file():
                yield entry
