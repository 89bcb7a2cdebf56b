"""The template project, built once; pages that need one get a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.snippets import build_template

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    return build_template(tmp_path_factory.mktemp("built") / "comment_spam", home)
