"""The check-up: what is installed, which project and target, whether store and sources can be used."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.record import versions
from teachkit.build.revisions.git import git_state
from teachkit.errors import TeachkitError
from teachkit.project import read_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from teachkit.build.run import BuildOptions
    from teachkit.project import ProjectFiles


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was looked at."""

    name: str
    good: bool
    message: str

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def check_up(root: Path, options: BuildOptions) -> Iterator[Point]:
    """Look at everything that a build needs; what is wrong is a point like any other."""
    yield Point("versions", True, ", ".join(f"{name} {version}" for name, version in versions().items()))
    yield Point("project", True, str(root))
    git = git_state(root)
    commit = f"commit {git.commit[:10]}" if git.commit else "nothing committed yet"
    about = "not a git repository: labels carry no commit" if git.changed is None else commit
    yield Point("git", True, about + (f", {len(git.changed)} changed files" if git.changed else ""))
    try:
        files = read_project(root, options)
    except TeachkitError as error:
        yield Point("files", False, str(error))
        return
    target = files.target
    yield Point("target", True, f"{files.target_name}: {target.threads} threads, {target.memory} of memory")
    yield _tried("store", lambda: _check_store(files))
    yield _llm(files)
    yield _tried("compile", lambda: _check_compile(root, options))
    yield _tried("kernels", _check_kernels)


def _tried(name: str, look: Callable[[], str]) -> Point:
    try:
        return Point(name, True, look())
    except TeachkitError as error:
        return Point(name, False, str(error))
    except OSError as error:
        return Point(name, False, f"{error.filename}: {error.strerror}")


def _llm(files: ProjectFiles) -> Point:
    """Providers as they are configured; nobody is asked, and no key is shown."""
    llm = files.target.llm
    lines, good = [], True
    for name, provider in sorted(llm.providers.items()):
        variable = provider.api_key_env
        missing = variable is not None and not os.environ.get(variable)
        key = "without a key" if variable is None else f"key in {variable}{' (not set)' if missing else ''}"
        lines.append(f"{name}: {provider.base_url}, {key}")
        good = good and not (missing and llm.mode != "replay")
    if not lines:
        return Point("llm", True, "no provider; prompts that are switched on need one")
    return Point("llm", good, f"mode {llm.mode}; " + "\n".join(lines))


def _check_store(files: ProjectFiles) -> str:
    from teachkit.store import Store

    with Store.open(files.store_path, create=False) as store:
        if not store.root.is_dir():
            return f"{files.target.store}: empty, the first build makes it"
        with tempfile.TemporaryFile(dir=store.root):
            count = len(store.read_environment(files.target_name)["nodes"])
    return f"{files.target.store}: {count} nodes published in target {files.target_name}"


def _check_compile(root: Path, options: BuildOptions) -> str:
    from teachkit.build import open_workspace

    with open_workspace(root, options, create=False) as work:
        kinds: dict[str, int] = {}
        for node in work.graph:
            kinds[node.kind] = kinds.get(node.kind, 0) + 1
    return "sources were found; " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _check_kernels() -> str:
    from teachkit.votes.jit import cache_folder, is_compiled

    folder = cache_folder()
    if folder is None:
        return "label models are compiled in every process: no folder can be written (set NUMBA_CACHE_DIR)"
    return "label models are compiled" if is_compiled("auto") else "the first build compiles the label models, once"
