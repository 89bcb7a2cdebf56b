"""A fit that is not believed: said while building, in the lock, by analyze and lineage, and audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

WHY = "fewer than three voters vote, so nothing shows how far to trust each"


@pytest.fixture
def doubted(tmp_path: Path) -> Sandbox:
    model = """
        label_models:
          - {name: moods, task: mood, voters: [stars], gold: ignore}
    """
    return Sandbox(tmp_path / "reviews", {**REVIEWS, "label_models/mood.yml": model})


def test_it_is_said_everywhere(doubted: Sandbox) -> None:
    said = doubted("build").all
    assert f"label_set.moods: the fit was not believed, and all voters count alike: {WHY}" in said
    assert f'doubt: "{WHY}"' in doubted.read("teachkit.lock")
    assert f"The fit was not believed, and all voters count alike: {WHY}." in doubted("analyze", "mood").out
    key = doubted.rows("label_set.moods")[0]["id"]
    assert doubted("lineage", "moods", str(key), "--format", "json").json["diagnostics"]["fallback"] == WHY
    doubted("build", "--locked")


def test_a_doubt_that_is_taken_out_of_the_lock_is_found(doubted: Sandbox) -> None:
    doubted("build", "-q")
    doubted("audit", "verify", "-q")
    lines = doubted.read("teachkit.lock").split("\n")
    doubted.write({"teachkit.lock": "\n".join(x for x in lines if "doubt" not in x).encode()})
    assert "doubt" in doubted("audit", "verify", "-q", code=1).all
    assert "doubt was none" in doubted("build", "--locked", "-q", code=1).all
