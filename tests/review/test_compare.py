"""Prompts side by side, against figures counted by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.llm.server import Server
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path


PROMPT = "---\nunvalidated: allow\ndescription: {name}\n---\n{name}: {{{{ item.text }}}}\n"


def test_prompts_are_compared_on_gold_outside_the_test_split(tmp_path: Path) -> None:
    with Server() as server:
        sandbox = Sandbox(tmp_path, REVIEWS)
        providers = f"{{here: {{base_url: '{server.url}', model: tiny}}}}"
        sandbox.write({"profiles.yml": f"default: dev\ntargets:\n  dev: {{llm: {{providers: {providers}}}}}\n"})
        for name in ("first", "second"):
            sandbox.write({f"prompts/mood/{name}.md": PROMPT.format(name=name)})
        assert "has not been built" in sandbox("llm", "compare", code=2).err
        sandbox("build")
        asked = server.total
        found: dict[str, Any] = sandbox("llm", "compare", "--format", "json").json
        assert server.total == asked
        gold = {r["id"]: r["mood"] for r in _rows(sandbox, "reviews") if r["mood"] and r["split"] != "test"}
        said = {
            name: {r["id"]: {"good": "+", "bad": "-"}[r["label"]] for r in _rows(sandbox, name)}
            for name in ("first", "second")
        }
        for one in found["prompts"]:
            votes = said[one["id"].rpartition(".")[2]]
            assert one["items"] == len(gold)
            assert one["answered"] == sum(key in votes for key in gold)
            assert one["right"] == sum(votes.get(key) == true for key, true in gold.items())
        (pair,) = found["pairs"]
        names = [pair[side].rpartition(".")[2] for side in ("a", "b")]
        hits = [{key for key, true in gold.items() if said[name].get(key) == true} for name in names]
        assert (pair["only_a"], pair["only_b"]) == (len(hits[0] - hits[1]), len(hits[1] - hits[0]))
        assert pair["both_right"] + pair["only_a"] + pair["only_b"] + pair["neither"] == len(gold)
        shown = sandbox("llm", "compare", "first", "--gold", "test").out
        assert "gold: test" in shown
        assert "'dev' is no split" in sandbox("llm", "compare", "--gold", "dev", code=2).err


def _rows(sandbox: Sandbox, node: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(sandbox("show", node, "--limit", "-1", "--format", "json").out)["rows"]
    return rows
