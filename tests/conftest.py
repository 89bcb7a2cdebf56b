"""What all tests share: golden files, and a project that was built once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Compare = Callable[[Path, str], None]


settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write golden files anew instead of comparing.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Compare:
    """Compare a text with a golden file, or write that file with ``--update-golden``."""
    update = request.config.getoption("--update-golden")

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path.name} is missing: run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs: if meant, run pytest --update-golden"

    return compare


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Tests see no TEACHKIT_* option of the developer's, nor the server that they run on."""
    outside = ("TEACHKIT_", "CI_", "GITHUB_", "GITLAB_")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if (n == "CI" or n.startswith(outside)) and n != "TEACHKIT_DATA"]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def _built_once(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("built") / "reviews", REVIEWS)
    project("build")
    return project


@pytest.fixture
def once(_built_once: Sandbox) -> Sandbox:
    """The project ``REVIEWS``, built; shared by all tests, which leave it as it is."""
    return _built_once


@pytest.fixture
def built(_built_once: Sandbox, tmp_path: Path) -> Sandbox:
    """The project ``REVIEWS``, built, in a folder of this test's own."""
    return _built_once.copy(tmp_path / "reviews")


@pytest.fixture
def fresh(tmp_path: Path) -> Sandbox:
    """The project ``REVIEWS``, never built."""
    return Sandbox(tmp_path / "reviews", REVIEWS)
