"""A server, a provider that asks it, and a store of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit.llm import Provider, ResponseStore
from tests.llm.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def provider(server: Server) -> Provider:
    return Provider(name="local", base_url=server.url, concurrency=16, timeout=30)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    with ResponseStore(tmp_path / "llm" / "responses.sqlite") as opened:
        yield opened
