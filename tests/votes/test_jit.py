from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from teachkit.votes import jit

FOLD = """
import numba
from teachkit.votes import Votes
before = numba.config.CACHE_DIR
print(Votes.from_matrix([[0, 1], [0, 1], [1, -1]]).n_patterns, numba.config.CACHE_DIR == before)
"""


def fold(**places: str) -> str:
    """Fold some votes."""
    return run(FOLD, **places)


def run(code: str, **places: str) -> str:
    """In a process of its own, with these places for caches and no others."""
    names = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    environment = {key: value for key, value in os.environ.items() if key not in names} | places
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A folder that nobody can make, root neither."""
    file = tmp_path / "file"
    file.write_text("")
    return file / "folder"


def test_kernels_compile_where_no_cache_can_be_written(blocked: Path) -> None:
    assert fold(HOME=str(blocked)) == "2 True\n"


def test_compiled_kernels_are_kept_apart_from_those_of_others(tmp_path: Path) -> None:
    assert fold(HOME=str(tmp_path / "home"), NUMBA_CACHE_DIR=str(tmp_path)) == "2 True\n"
    kept = [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*.nbi")]
    assert kept
    assert {parts[0] for parts in kept} == {"teachkit"}


def test_the_users_cache_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    folder = jit.cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path / "caches" / "teachkit" / "numba"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = jit.cache_folder()
    assert folder is not None
    assert folder.parent == tmp_path / ".cache" / "teachkit" / "numba"


def test_there_is_no_cache_folder_where_none_can_be_written(blocked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    assert jit.cache_folder() is None
    jit.note_compiled("auto")
    assert not jit.is_compiled("auto")


def test_compiled_means_a_fit_with_these_very_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    stale = tmp_path / "teachkit" / "0123456789abcdef"
    stale.mkdir(parents=True)
    (stale / "auto.fitted").touch()
    assert not jit.is_compiled("auto")
    jit.note_compiled("auto")
    assert jit.is_compiled("auto")
    assert not jit.is_compiled("metal")


def test_every_file_with_kernels_counts_for_the_cache() -> None:
    package = Path(jit.__file__).parents[1]
    using = {p.relative_to(package).as_posix() for p in package.rglob("*.py") if "\n@jit\n" in p.read_text("utf-8")}
    assert using == set(jit.KERNELS)


def test_declaring_a_kernel_leaves_numbas_own_folder_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", "somewhere")

    def twice(x: int) -> int:
        return 2 * x

    assert jit.jit(twice) is not twice
    assert vars(numba.config)["CACHE_DIR"] == "somewhere"
