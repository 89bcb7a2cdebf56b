"""Compiling kernels once for a machine: numba with its cache in a folder that can be written, or without one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: ``NUMBA_CACHE_DIR``, else the user's cache folder; None if none can be written."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for place in [named] if named else [os.path.join(home, "teachkit", "numba")]:
        try:
            Path(place).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                return Path(place)
        except OSError:
            continue
    return None


def jit(function: F) -> F:
    """Compile on first use, without the lock of the interpreter, with IEEE arithmetic as written."""
    folder = cache_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    compiled: F = numba.njit(nogil=True, fastmath=False, error_model="numpy", cache=folder is not None)(function)
    return compiled


def is_compiled() -> bool:
    """Whether this machine has compiled kernels before (a first build waits some seconds for it)."""
    folder = cache_folder()
    return folder is not None and any(folder.rglob("*.nbi"))
