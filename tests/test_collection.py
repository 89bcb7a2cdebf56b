"""No folder of tests is left out by its name, as pytest would with one called build."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

TESTS = Path(__file__).parent


def test_every_folder_with_tests_is_gone_through(pytestconfig: pytest.Config) -> None:
    folders = {part for file in TESTS.rglob("test_*.py") for part in file.relative_to(TESTS).parent.parts}
    assert "build" in folders
    left_out = pytestconfig.getini("norecursedirs")
    assert [name for name in sorted(folders) if any(fnmatch(name, pattern) for pattern in left_out)] == []
