"""Compiling kernels once for a machine: numba with its cache in a folder that can be written, or without one."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Iterator

F = TypeVar("F", bound=Callable[..., Any])

KERNELS = (
    "votes/patterns.py",
    "votes/folding.py",
    "votes/packing.py",
    "votes/counting.py",
    "votes/pairs.py",
    "votes/together.py",
    "label_models/kernels.py",
    "label_models/worth_kernels.py",
    "label_models/hierarchy.py",
    "label_models/dependence.py",
    "label_models/squarem.py",
    "label_models/priors.py",
    "label_models/glad_kernels.py",
    "label_models/kos_kernels.py",
    "label_models/moment_kernels.py",
    "label_models/comparison_kernels.py",
    "label_models/ranking_kernels.py",
)
"""The files of all kernels, from the package's folder."""


def jit(function: F) -> F:
    """Compile on first use, without the lock of the interpreter, with IEEE arithmetic as written."""
    options: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy", "no_cfunc_wrapper": True}
    folder = cache_folder()
    if folder is not None:
        try:
            with _kept_in(folder):
                kept: F = numba.njit(cache=True, **options)(function)
        except (RuntimeError, OSError):  # the folder cannot be used after all: compile in every process
            pass
        else:
            return kept
    compiled: F = numba.njit(**options)(function)
    return compiled


def is_compiled(model: str) -> bool:
    """Whether a label model was fitted with these kernels, by this numba on this machine; else somebody waits."""
    folder = cache_folder()
    return folder is not None and (folder / f"{model}.fitted").is_file()


def note_compiled(model: str) -> None:
    """Keep that a label model was fitted. What other votes call for, such as more labels, may be left to compile."""
    folder = cache_folder()
    if folder is not None:
        with suppress(OSError):
            (folder / f"{model}.fitted").touch()


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, None if nowhere.

    A folder of ``NUMBA_CACHE_DIR``, else of the user's cache folder, named by all that the machine code depends on:
    numba itself looks only at a file's time and size, which two releases can share.
    """
    place, mark = _place(os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), Path.home), _mark()
    return place / mark if place is not None and mark is not None and _writable(place / mark) else None


def _place(named: str | None, caches: str | None, home: Callable[[], Path]) -> Path | None:
    if named:
        return Path(named).absolute() / "teachkit"
    if caches and Path(caches).is_absolute():
        return Path(caches) / "teachkit" / "numba"
    try:
        return home() / ".cache" / "teachkit" / "numba"
    except RuntimeError:  # no home folder
        return None


@cache
def _mark() -> str | None:
    """A digest of the kernels' source, of numba, of Python and of the processor."""
    from llvmlite import __version__ as llvmlite_version  # type: ignore[import-untyped]
    from llvmlite.binding import get_host_cpu_features, get_host_cpu_name  # type: ignore[import-untyped]

    found = hashlib.sha256()
    try:
        for name in ("votes/jit.py", *KERNELS):
            found.update((Path(__file__).parents[1] / name).read_bytes())
    except OSError:  # imported from an archive
        return None
    facts = (numba.__version__, llvmlite_version, sys.implementation.cache_tag, platform.machine())
    for fact in (*facts, get_host_cpu_name(), get_host_cpu_features().flatten()):
        found.update(f"\0{fact}".encode())
    return found.hexdigest()[:16]


@cache
def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Numba's cache folder for the functions that are declared here; others in this process keep theirs."""
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before
