"""Each command in text and JSON: what it says, in which form, with which exit code."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from teachkit.cli.app import COMMANDS, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.sandbox import Sandbox

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
MAYBE_TEXT = {"type": ["string", "null"]}
MAYBE_NUMBER = {"type": ["number", "null"]}
COUNT = {"type": "integer", "minimum": 0}


def record(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object with these keys and no others."""
    properties = {**required, **optional}
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def several(item: dict[str, Any], least: int = 1) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": least}


def by_name(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": item, "minProperties": 1}


STATUS = {"enum": ["built", "reused", "passed", "warned", "failed", "error", "skipped"]}
AUDIT_LOG = record(
    {
        "schema_version": {"const": 1},
        "holds": {"const": True},
        "runs": several(
            record(
                {
                    "number": COUNT,
                    "run_id": {"type": "string", "pattern": "^[0-9]{6}-[0-9a-f]{8}$"},
                    "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "previous": MAYBE_TEXT,
                    "command": TEXT,
                    "by": MAYBE_TEXT,
                    "target": MAYBE_TEXT,
                    "started": MAYBE_TEXT,
                    "seconds": MAYBE_NUMBER,
                    "commit": MAYBE_TEXT,
                    "changed": {"type": ["array", "null"], "items": TEXT},
                    "status": {"enum": ["published", "done", "failed", "looked"]},
                    "error": MAYBE_TEXT,
                    "label_sets": several(record({"name": TEXT, "digest": TEXT, "rows": COUNT})),
                    "others": COUNT,
                    "looks": by_name(several(TEXT)),
                }
            )
        ),
        "total": COUNT,
        "unreadable": {"type": "array", "maxItems": 0},
        "broken": {"type": "null"},
    }
)
VERIFICATION = record(
    {
        "schema_version": {"const": 1},
        "holds": {"const": True},
        "target": TEXT,
        "commit": MAYBE_TEXT,
        "label_sets": several(TEXT),
        "checked": by_name({"type": "integer", "minimum": 1}),
        "notes": {"type": "array", "maxItems": 0},
        "broken": {"type": "null"},
    }
)
RESULT = record(
    {
        "id": TEXT,
        "kind": {"enum": ["source", "transform", "lf", "annotations", "label_set", "export", "test", "unit_test"]},
        "status": STATUS,
        "rows": {"type": ["integer", "null"]},
        "seconds": NUMBER,
        "cost": NUMBER,
        "message": TEXT,
        "path": MAYBE_TEXT,
        "line": {"type": ["integer", "null"]},
        "failures": {"type": ["integer", "null"]},
    }
)
RUN_ID = {"type": "string", "pattern": "^[0-9]{6}-[0-9a-f]{8}$"}
FLAG = {"type": "boolean"}
ARGS = record(
    {
        "command": {"enum": ["build", "run", "test"]},
        "select": several(TEXT, 0),
        "exclude": several(TEXT, 0),
        "state": MAYBE_TEXT,
        "full_refresh": FLAG,
        "fail_fast": FLAG,
        "locked": FLAG,
        "store_failures": FLAG,
        "sample": {"type": ["integer", "null"]},
        "threads": {"type": ["integer", "null"]},
        "llm": {"enum": ["live", "record", "replay", None]},
        "target": TEXT,
        "profiles_dir": MAYBE_TEXT,
        "vars": {"type": "object"},
        "retry_of": {"anyOf": [RUN_ID, {"type": "null"}]},
        "kept": several(TEXT, 0),
        "not_reached": several(TEXT, 0),
    }
)
RUN = record(
    {
        "schema_version": {"const": 1},
        "run_id": RUN_ID,
        "command": {"enum": ["build", "run", "test"]},
        "commit": MAYBE_TEXT,
        "dirty": {"type": ["boolean", "null"]},
        "target": TEXT,
        "seconds": NUMBER,
        "cost": NUMBER,
        "passed": {"type": "boolean"},
        "published": {"type": "boolean"},
        "message": TEXT,
        "args": ARGS,
        "results": several(RESULT),
    }
)
NOTHING_TO_RETRY = {
    **RUN,
    "properties": {**RUN["properties"], "run_id": {"type": "null"}, "results": {"type": "array", "maxItems": 0}},
}
ROWS = record({"columns": several(TEXT), "rows": several({"type": "object"})})
NODE = record(
    {
        "id": TEXT,
        "kind": TEXT,
        "name": TEXT,
        "task": MAYBE_TEXT,
        "path": TEXT,
        "line": {"type": ["integer", "null"]},
        "description": TEXT,
        "tags": several(TEXT, 0),
        "inputs": several(TEXT, 0),
        "reads": {"type": "object"},
        "columns": {"type": ["array", "null"]},
        "column_lineage": {"type": "object"},
        "definition": TEXT,
        "fingerprint": TEXT,
        "compiled": TEXT,
    }
)
MANIFEST = record(
    {
        "schema_version": {"const": 1},
        "teachkit_version": TEXT,
        "project": {"const": "reviews"},
        "project_version": TEXT,
        "target": {"const": "dev"},
        "nodes": by_name(NODE),
        "tasks": by_name(
            record({"kind": TEXT, "labels": several(TEXT), "dataset": TEXT, "key": TEXT, "description": TEXT})
        ),
        "children": by_name(several(TEXT, 0)),
    }
)
VOTER = record(
    {
        "voter": TEXT,
        "kind": TEXT,
        "label": MAYBE_TEXT,
        "polarity": several(TEXT),
        "votes": COUNT,
        "coverage": NUMBER,
        "overlaps": NUMBER,
        "conflicts": NUMBER,
        "correct": COUNT,
        "incorrect": COUNT,
        "accuracy": MAYBE_NUMBER,
        "low": MAYBE_NUMBER,
        "high": MAYBE_NUMBER,
        "learned": MAYBE_NUMBER,
        "learned_low": MAYBE_NUMBER,
        "learned_high": MAYBE_NUMBER,
        "figures": record({}),
    }
)
ANALYSIS = {
    "type": "object",
    "required": ["task", "label_set", "items", "covered", "conflicts", "gold_splits", "gold_items", "voters"],
    "properties": {"voters": several(VOTER), "items": COUNT, "covered": COUNT, "gold_items": COUNT},
}
LINEAGE = {
    "type": "object",
    "required": ["item", "label", "confidence", "decided_by", "votes", "sources", "label_model", "run"],
    "properties": {
        "votes": several(
            {
                "type": "object",
                "required": ["voter", "kind", "label", "version", "path", "commit", "contribution"],
                "properties": {"version": {"type": "string", "pattern": "^[0-9a-f]{16,64}$"}, "path": TEXT},
            }
        ),
        "sources": several({"type": "object", "required": ["path", "record", "digest"]}),
        "posterior": by_name(NUMBER),
    },
}
EXCERPT = record({"text": TEXT, "marks": several({"type": "array", "items": COUNT, "minItems": 2, "maxItems": 2}, 0)})
EXAMPLE = record(
    {
        "item": TEXT,
        "label": TEXT,
        "verdict": {"enum": ["right", "wrong", "missed", None]},
        "by": {"enum": ["gold", "posterior", None]},
        "gold": MAYBE_TEXT,
        "probability": MAYBE_NUMBER,
        "texts": by_name(EXCERPT),
    }
)
CLAIM = record(
    {
        "label": TEXT,
        "yes": FLAG,
        **dict.fromkeys(("votes", "new", "right", "judged", "informed", "true_items"), COUNT),
        "coverage": NUMBER,
        **dict.fromkeys(("precision", "low", "high", "believed", "base_rate", "lift"), MAYBE_NUMBER),
        **dict.fromkeys(("recall", "recall_before", "recall_after"), MAYBE_NUMBER),
    }
)
OVERLAP = record(
    {
        "voter": TEXT,
        "kind": {"enum": ["lf", "prompt", "annotations"]},
        **dict.fromkeys(("votes", "both", "same", "conflicts"), COUNT),
        **dict.fromkeys(("share", "similarity"), MAYBE_NUMBER),
        **dict.fromkeys(("near_copy", "contains"), FLAG),
    }
)
TRIALS = record(
    {
        "trials": several(
            record(
                {
                    **dict.fromkeys(("voter", "task", "gold_splits"), TEXT),
                    **dict.fromkeys(("items", "votes", "new", "gold_items"), COUNT),
                    "coverage": NUMBER,
                    "polarity": several(TEXT),
                    **dict.fromkeys(("label_set", "path", "text"), MAYBE_TEXT),
                    **dict.fromkeys(("fitted_without", "saved"), FLAG),
                    "claims": several(CLAIM),
                    "overlaps": several(OVERLAP),
                    "hits": several(EXAMPLE),
                    "misses": several(EXAMPLE, 0),
                    "notes": several(TEXT, 0),
                    "test_looks": {"type": ["integer", "null"]},
                }
            )
        )
    }
)
SUGGESTIONS = record(
    {
        "task": TEXT,
        "label_set": MAYBE_TEXT,
        "evidence": {"enum": ["gold", "posterior"]},
        **dict.fromkeys(("evidence_items", "items", "read", "uncovered", "errors"), COUNT),
        "columns": several(TEXT, 0),
        "suggestions": several(
            record(
                {
                    **dict.fromkeys(("name", "label"), TEXT),
                    "kind": {"enum": ["word", "phrase", "stem", "regex"]},
                    "keys": {"type": "object", "minProperties": 1},
                    **dict.fromkeys(("score", "z", "expected", "precision"), NUMBER),
                    "errors": COUNT,
                    "claim": CLAIM,
                    "overlaps": several(OVERLAP, 0),
                }
            ),
            0,
        ),
        "notes": several(TEXT, 0),
        **dict.fromkeys(("path", "text"), TEXT),
        "saved": {"type": "boolean"},
    }
)
ISSUES = record(
    {
        "task": TEXT,
        "label_set": MAYBE_TEXT,
        "of": {"enum": ["gold", "annotations"]},
        "features": {"enum": ["votes", "text"]},
        "gold_splits": MAYBE_TEXT,
        **dict.fromkeys(("given", "judged", "found"), COUNT),
        "expected_wrong": NUMBER,
        "classes": several(
            record(
                {
                    "label": TEXT,
                    **dict.fromkeys(("given", "issues"), COUNT),
                    "expected_wrong": NUMBER,
                    **dict.fromkeys(("noise", "threshold"), MAYBE_NUMBER),
                }
            ),
            0,
        ),
        "annotators": several(record({"name": TEXT, "judged": COUNT, "issues": COUNT}), 0),
        "issues": several(
            record(
                {
                    **dict.fromkeys(("item", "given", "suggested", "place"), TEXT),
                    **dict.fromkeys(("file", "line"), MAYBE_TEXT),
                    **dict.fromkeys(("p_given", "p_suggested", "margin"), NUMBER),
                    "by": MAYBE_TEXT,
                    "against": {"type": "object", "additionalProperties": TEXT},
                    "agreeing": several(TEXT, 0),
                    "texts": by_name(EXCERPT),
                }
            ),
            0,
        ),
        "role": {"enum": ["gold", "annotator"]},
        "notes": several(TEXT, 0),
        "test_looks": {"type": ["integer", "null"]},
    }
)
FAULT = {"enum": ["uncovered", "wrong", "outvoted", "gold"]}
PART = record({"voter": TEXT, "kind": MAYBE_TEXT, "items": COUNT, "votes": COUNT, "wrong": COUNT})
ERRORS = record(
    {
        **dict.fromkeys(("task", "label_set", "gold_splits"), TEXT),
        **dict.fromkeys(("gold_items", "right", "wrong", "unlabeled", "undecided", "listed_of"), COUNT),
        "faults": by_name(COUNT),
        "cells": several(
            record(
                {
                    "cell": TEXT,
                    "gold": TEXT,
                    "label": MAYBE_TEXT,
                    "items": COUNT,
                    "faults": several(
                        record(
                            {
                                "fault": FAULT,
                                "items": COUNT,
                                "voters": several(PART, 0),
                                "outvoted": several(PART, 0),
                                "advice": TEXT,
                            }
                        )
                    ),
                }
            ),
            0,
        ),
        "voters": several(
            record(
                {
                    **dict.fromkeys(("voter", "kind"), TEXT),
                    **dict.fromkeys(("votes", "wrong", "errors", "decisive"), COUNT),
                    "weight": MAYBE_NUMBER,
                }
            ),
            0,
        ),
        "items": several(
            record(
                {
                    **dict.fromkeys(("item", "cell", "gold"), TEXT),
                    **dict.fromkeys(("label", "strongest"), MAYBE_TEXT),
                    "fault": FAULT,
                    **dict.fromkeys(("p_gold", "p_label"), MAYBE_NUMBER),
                    "right": several(TEXT, 0),
                    "wrong": {"type": "object", "additionalProperties": TEXT},
                    "decided": {"type": ["string", "array", "null"]},
                    "texts": by_name(EXCERPT),
                }
            ),
            0,
        ),
        "measure": {"enum": ["log_odds", "share", "votes"]},
        "thresholds": by_name(NUMBER),
        "notes": several(TEXT, 0),
        "test_looks": {"type": ["integer", "null"]},
    }
)
PLAN = record({"steps": several(record({"id": TEXT, "action": {"enum": ["run", "reuse", "maybe"]}, "reason": TEXT}))})
LOCKED = record(
    {
        "name": TEXT,
        "task": TEXT,
        "fingerprint": TEXT,
        "digest": TEXT,
        "rows": COUNT,
        "labeled": COUNT,
        "classes": by_name(COUNT),
        "quality": by_name(by_name(MAYBE_NUMBER)),
        "cost": NUMBER,
        "doubt": TEXT,
    }
)
LOCK = record(
    {
        "label_sets": several(LOCKED),
        "left_out": {"type": "object", "additionalProperties": TEXT},
        "resolved": {"type": ["boolean", "null"]},
    }
)

JSON = {
    ("audit", "log"): AUDIT_LOG,
    ("audit", "verify"): VERIFICATION,
    ("llm", "plan"): record({"prompts": {"type": "array", "maxItems": 0}}),
    ("build",): RUN,
    ("run",): RUN,
    ("test",): RUN,
    ("retry",): NOTHING_TO_RETRY,
    ("build", "--dry-run"): PLAN,
    ("run", "--dry-run", "--full-refresh"): PLAN,
    ("parse",): MANIFEST,
    ("compile",): record({"nodes": several(record({"id": TEXT, "compiled": TEXT}))}),
    ("debug",): record({"points": several(record({"name": TEXT, "good": {"const": True}, "message": TEXT}))}),
    ("show", "moods"): ROWS,
    ("show", "source.shop.reviews"): ROWS,
    ("show", "transform.reviews"): ROWS,
    ("show", "praise"): ROWS,
    ("show", "ann"): ROWS,
    ("sql", "select * from labels.moods"): ROWS,
    ("analyze",): record({"tasks": several(ANALYSIS)}),
    ("analyze", "mood"): ANALYSIS,
    ("try", "--any-of", "lamp", "--label", "good"): TRIALS,
    ("errors", "mood", "--gold", "test"): ERRORS,
    ("suggest", "mood"): SUGGESTIONS,
    ("issues", "mood"): ISSUES,
    ("lineage", "moods", "r002"): LINEAGE,
    ("lineage", "moods"): {"type": "object", "required": ["upstream"]},
    ("lock",): LOCK,
    ("lock", "--resolve"): LOCK,
}
COLUMNS = {
    ("show", "moods"): ["id", "label", "confidence", "posterior", "decided_by", "votes", "model_label"],
    ("show", "praise"): ["id", "label"],
    ("show", "ann"): ["id", "annotator", "label", "at", "seconds", "line"],
    ("show", "transform.reviews"): ["id", "text", "stars", "mood", "split"],
}


@pytest.mark.parametrize("command", JSON, ids=" ".join)
def test_json_follows_its_schema_and_is_all_that_stdout_holds(command: tuple[str, ...], built: Sandbox) -> None:
    found = built(*command, "--format", "json")
    Draft202012Validator(JSON[command]).validate(found.json)
    if command in COLUMNS:
        assert found.json["columns"] == COLUMNS[command]
        assert all([*row] == found.json["columns"] for row in found.json["rows"])


TEXTS = {
    (
        "audit",
        "log",
    ): r"(?m)^000001-\w{8} .* build +dev +not in git +published +moods \w{10} \(40 rows\), \d+ other nodes$",
    ("audit", "verify"): r"^target dev, teachkit\.lock: moods\n(.*\n)+\neverything that was checked holds\n$",
    ("llm", "plan"): r"^no prompt is switched on\n$",
    ("build",): r"18 nodes in [\d.]+ m?s: 10 reused, 8 passed\npublished to target 'dev'\n$",
    ("run",): r"10 nodes in [\d.]+ m?s: 10 reused\n",
    ("test",): r"8 nodes in [\d.]+ m?s: 8 passed\n$",
    ("retry",): r"^nothing to retry: run 0+1-[0-9a-f]{8} finished all that it was asked for\n$",
    (
        "build",
        "--dry-run",
    ): r"reuse +label_set\.moods +in the store\n(.*\n)*\n0 to run, \d+ perhaps .*, \d+ to reuse\n$",
    ("parse",): r"^18 nodes, no errors; wrote target/manifest.json\n$",
    ("compile",): r"^wrote 6 files to target/compiled/\n$",
    ("compile", "--select", "stars"): r"^-- lf\.mood\.stars\nCASE\n",
    ("debug",): r"(?m)^ok +store +\.teachkit: 18 nodes published in target dev$",
    ("ls", "--select", "lf.mood.stars+1"): r"^lf\.mood\.stars\nlabel_set\.moods\n",
    ("ls", "--output", "name", "--select", "type:lf"): r"^refund\nstars\npraise\nblame\nshort_praise\nblame_is_bad\n$",
    ("ls", "--output", "path", "--select", "stars"): r"^labeling_functions/mood/stars.sql\n$",
    ("show", "moods", "--limit", "1"): r"^id +label +confidence.*\nr001 +bad +1 +good: 0, bad: 1 +model +1 +bad\n$",
    ("sql", "select count(*) as n from {{ ref('reviews') }}"): r"^ *n\n40\n$",
    ("analyze", "mood"): r"^task mood, as in moods: 40 items, 100.0% with a vote, ",
    ("try", "--any-of", "lamp", "--label", "good"): r"^votes on 10 of 40 items \(25\.0%\); ",
    ("errors", "mood"): r"^task mood, moods: \d+ items with gold \(train, tune\): \d+ right ",
    ("suggest", "mood"): r"^task mood: 0 of 40 items without a vote, ",
    ("issues", "mood"): r"^task mood: \d+ gold labels \(train, tune\) judged by the votes of moods: ",
    ("lineage", "moods", "r002"): r"^moods  r002:  bad, confidence 1\.0000, decided by the model\n",
    ("lineage", "moods"): r"label_set\.moods +label_models/mood\.yml:2",
    ("schema", "tasks"): r'^\{\n "\$schema"',
    ("lock",): r"^label set +digest +rows +labeled +accuracy\nmoods +[0-9a-f]{12} +40 +40 +100.0%\n$",
    ("lock", "--resolve"): r"\nthere is no conflict to resolve\n$",
    ("docs", "generate"): r"^wrote target/docs/index\.html\n$",
    ("clean",): r"^removed target/\n$",
}


@pytest.mark.parametrize("command", TEXTS, ids=" ".join)
def test_text_is_for_people(command: tuple[str, ...], built: Sandbox) -> None:
    found = built(*command)
    assert re.search(TEXTS[command], found.out), found.out
    assert found.err == ""
    assert "\x1b" not in found.out
    assert not re.search(r" +$", found.out, re.MULTILINE)


def test_every_command_is_covered_here(tmp_path: Any) -> None:
    more = {"init", "diff", "ci"}  # tested in rooms of their own: they need git, or no project
    tried = {command[0] for command in (*JSON, *TEXTS)} | more
    assert tried == set(COMMANDS)


def test_ls_writes_an_object_for_each_node(once: Sandbox) -> None:
    nodes = [json.loads(line) for line in once("ls", "--output", "json").out.splitlines()]
    assert len(nodes) == 18
    for node in nodes:
        Draft202012Validator(NODE).validate(node)


def test_schemas_are_schemas_and_take_what_the_project_holds(built: Sandbox) -> None:
    import yaml

    assert "wrote 12 schemas to .teachkit/schemas/" in built("schema").out
    kinds = {
        "tasks": "tasks/mood.yml",
        "project": "teachkit.yml",
        "profiles": "profiles.yml",
        "tests": "tests/rules.yml",
    }
    for path in (built.root / ".teachkit/schemas").iterdir():
        Draft202012Validator.check_schema(json.loads(path.read_text()))
    for kind, file in kinds.items():
        Draft202012Validator(built("schema", kind).json).validate(yaml.safe_load(built.read(file)))
    assert "Did you mean 'tasks'?" in built("schema", "task", code=2).err


def test_limits(once: Sandbox) -> None:
    assert len(once("show", "moods", "--format", "json").json["rows"]) == 10
    assert len(once("show", "moods", "--limit", "3", "--format", "json").json["rows"]) == 3
    assert once("show", "moods", "--limit", "0", "--format", "json").json["rows"] == []
    assert len(once("show", "moods", "--limit", "-1", "--format", "json").json["rows"]) == 40
    cut = once("sql", "select * from data.reviews", "--limit", "2", "--format", "json")
    assert len(cut.json["rows"]) == 2
    assert cut.err == "first 2 of 40 rows; --limit -1 shows all\n"


SAID = {
    ("buidl",): "Did you mean 'build'?",
    ("bulid", "--help"): "Did you mean 'build'?",
    ("build", "--full-refersh"): "--full-refresh",
    ("--targt", "ci", "build"): "--target",
    ("build", "--targt", "ci"): "--target",
    ("show",): "NODE",
    ("audit", "verfy"): "verfy",
    ("audit", "verify", "--label-set", "mood"): "Did you mean 'moods'?",
    ("audit", "verify", "--sample", "0"): "--sample",
    ("audit", "verify", "--sample", "3", "--all"): "it does not go with --all",
    ("audit", "verify", "--commit", "HEAD"): "[no-git]",
    ("show", "mood"): "Did you mean 'moods'?",
    ("show", "moods", "--limit", "many"): "many",
    ("lineage", "moods", "r041"): "Did you mean 'r04",
    ("lineage", "mods", "r001"): "Did you mean 'moods'?",
    ("analyze", "moood"): "Did you mean 'mood'?",
    ("errors", "moood"): "Did you mean 'mood'?",
    ("suggest", "moood"): "Did you mean 'mood'?",
    ("suggest", "mood", "--label", "god"): "Did you mean 'good'?",
    ("issues", "moood"): "Did you mean 'mood'?",
    ("try", "--regex", "x", "--label", "god"): "Did you mean 'good'?",
    ("build", "--select", "mods"): "Did you mean 'moods'?",
    ("build", "--select", "sate:new"): "Did you mean 'state'?",
    ("build", "--select", "state:changed"): "state:changed",
    ("build", "--sample", "0"): "--sample",
    ("build", "--sample", "3", "--empty"): "--empty",
    ("build", "--locked", "--empty"): "--locked",
    ("build", "--vars", "[1]"): "--vars",
    ("build", "--vars", "{a: "): "--vars",
    ("build", "--threads", "0"): "--threads",
    ("build", "--log-format", "xml"): "--log-format",
    ("build", "--project-dir", "/no/such/place"): "no teachkit.yml",
    ("build", "--profiles-dir", "/no/such/place"): "profiles.yml",
    ("sql", "select * from nothing"): "nothing",
    ("init", "."): "already has",
    ("init", "x", "--example", "youtube_span"): "Did you mean 'youtube_spam'?",
}


@pytest.mark.parametrize("command", SAID, ids=" ".join)
def test_a_mistake_on_the_command_line_is_explained(command: tuple[str, ...], once: Sandbox) -> None:
    before = once.state()
    if command == ("init", "."):
        command = ("init", str(once.root))
    found = once(*command, code=2)
    assert SAID.get(command, "already has") in found.err
    assert found.out == ""
    assert once.state() == before


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("init", "schema")])
def test_outside_of_a_project_every_command_says_so(command: str, tmp_path: Any) -> None:
    from tests.sandbox import Sandbox

    more = {
        "audit": ["log"],
        "show": ["moods"],
        "sql": ["select 1"],
        "lineage": ["moods"],
        "llm": ["plan"],
        "try": ["--prompt", "x"],
        "errors": ["mood"],
        "suggest": ["mood"],
        "issues": ["mood"],
        "docs": ["generate"],
    }.get(command, [])
    found = Sandbox(tmp_path)(command, *more, code=2)
    assert "no teachkit.yml in" in found.err
    assert "teachkit init DIR" in found.err
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_built_is_named_and_nothing_is_written(fresh: Sandbox) -> None:
    for command in (("show", "moods"), ("lineage", "moods", "r001"), ("show", "praise")):
        found = fresh(*command, code=2)
        assert "has not been built in target 'dev'" in found.err
        assert "teachkit build --select +" in found.err
    assert fresh("ls").out.count("\n") == 18
    assert {p.name for p in fresh.root.glob(".teachkit/*")} <= {"cache"}
    assert not (fresh.root / "target").exists()


def test_help_of_every_command_names_the_common_options(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        text = capsys.readouterr().out
        for option in ("--project-dir", "--target", "--vars", "--log-format", "--quiet", "--no-color"):
            assert option in text, f"{command}: {option}"


HEAVY = ("duckdb", "pyarrow", "numba", "sqlglot", "openai", "pydantic", "yaml", "jinja2", "rich", "numpy")


def imported(sandbox: Sandbox, arguments: list[str], heavy: Sequence[str]) -> str:
    """The exit code of a command in a process of its own, and which of some packages it imported."""
    import subprocess

    script = (
        "import sys\nfrom teachkit.cli.app import run\n"
        f"code = run({arguments!r})\n"
        f"print(code, *sorted(set(sys.modules) & {set(heavy)!r}), file=sys.stderr)"
    )
    how: Any = {"env": sandbox.environ(), "capture_output": True, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", script], cwd=sandbox.root, **how)
    return str(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["build", "--help"], ["show", "--help"]], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments: list[str], once: Sandbox) -> None:
    assert imported(once, arguments, HEAVY) == "0"


def test_a_build_of_an_unchanged_project_imports_no_arrays_and_no_parser(once: Sandbox, tmp_path: Path) -> None:
    sandbox = once.copy(tmp_path / "again")
    sandbox("build")
    assert imported(sandbox, ["build"], ("numpy", "pyarrow", "numba", "sqlglot", "openai")) == "0"


def test_init_gives_a_project_that_builds(tmp_path: Any) -> None:
    from tests.sandbox import Sandbox

    here = Sandbox(tmp_path)
    said = here("init", "spam").out
    assert "cd spam && teachkit build" in said
    project = Sandbox(tmp_path / "spam")
    assert not (project.root / "teachkit.lock").exists()
    first = project("build")
    assert re.search(
        r"\n61 nodes in .*: 31 built, 30 passed\npublished to target 'dev'; teachkit.lock changed", first.out
    )
    lock = project.read("teachkit.lock")
    assert project.build() == {i: "reused" if s == "built" else s for i, s in project.build().items()}
    assert project.read("teachkit.lock") == lock
    assert project("build", "--locked").code == 0
    for path in ("output/training_set.parquet", "output/to_review.jsonl", "target/junit.xml", "target/manifest.json"):
        assert (project.root / path).is_file()
    assert project("debug").out.count("ok ") == 8
    refused = here("init", "spam", code=2)
    assert "already has" in refused.err
