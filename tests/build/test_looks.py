"""Looks at the test split are counted: by commands that show figures, by builds that measure, by several at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from teachkit.build.looks import looks_at_test
from teachkit.store import Store
from tests.llm.server import Server
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

NO_TESTS = REVIEWS["label_models/mood.yml"].partition("            tests:")[0]
ACCURACY = "            tests: [{accuracy: {min: 0.1, against: AGAINST}}]\n"


@pytest.fixture
def quiet(tmp_path: Path) -> Sandbox:
    """A built project without gold in its test split: no build of it is a look."""
    sandbox = Sandbox(tmp_path, REVIEWS)
    sandbox.write({"label_models/mood.yml": NO_TESTS})
    sandbox.replace("tasks/mood.yml", "splits: {column: split}", "splits: {hash: {tune: 50%}}")
    sandbox("build")
    return sandbox


@pytest.fixture
def sandbox(quiet: Sandbox) -> Sandbox:
    """The same with the test split of the data; its label set is not measured yet."""
    quiet.replace("tasks/mood.yml", "splits: {hash: {tune: 50%}}", "splits: {column: split}")
    quiet("build", "--select", "+type:lf")
    assert looks(quiet) == 0
    return quiet


def looks(sandbox: Sandbox, task: str = "mood") -> int:
    with Store.open(sandbox.root / ".teachkit", create=False) as store:
        assert store.verify_chain() is None
        return looks_at_test(store, task)


def last(sandbox: Sandbox) -> dict[str, Any]:
    with Store.open(sandbox.root / ".teachkit", create=False) as store:
        run = store.last_run()
        assert run is not None
        return dict(run.record)


# ---------------------------------------------------------------------------- commands


@pytest.mark.parametrize(("gold", "counts"), [(None, 0), ("train", 0), ("tune", 0), ("test", 1), ("all", 1)])
def test_analyze_counts_what_it_shows_of_the_test_split(gold: str | None, counts: int, sandbox: Sandbox) -> None:
    option = ["--gold", gold] if gold else []
    for number in (1, 2):
        shown = sandbox("analyze", "mood", *option).out
        assert (f"look no. {number} at the test split of task 'mood'" in shown) == bool(counts)
        assert looks(sandbox) == number * counts
    found = sandbox("analyze", "mood", "--format", "json", *option).json
    assert found["test_looks"] == (3 if counts else None)


def test_a_look_is_recorded_with_what_was_measured(sandbox: Sandbox) -> None:
    sandbox("analyze", "mood", "--gold", "test")
    record = last(sandbox)
    assert (record["command"], record["by"], record["gold"]) == ("look", "analyze", "test")
    assert (record["target"], record["commit"]) == ("dev", None)
    assert record["started"]
    measured = record["looks"]["mood"]
    environment = sandbox.json_file(".teachkit/refs/dev.json")["nodes"]
    assert measured == {i: environment[i]["definition"] for i in measured}
    assert {"lf.mood.praise", "annotations.mood.ann"} <= set(measured)
    assert list(record["looks"]) == ["mood"]
    rows = sandbox("sql", "select number, command from audit.runs order by 1 desc limit 1", "--format", "json").json
    assert rows["rows"][0]["command"] == "look"


def test_a_look_names_the_definition_whose_votes_are_there(sandbox: Sandbox) -> None:
    before = sandbox.json_file(".teachkit/refs/dev.json")["nodes"]["lf.mood.praise"]["definition"]
    sandbox.replace("labeling_functions/mood/words.yml", "any_of: [love, great, excellent]", "any_of: [lovely]")
    sandbox("analyze", "mood", "--gold", "test")
    assert last(sandbox)["looks"]["mood"]["lf.mood.praise"] == before


def test_all_tasks_at_once_are_a_look_at_each(sandbox: Sandbox) -> None:
    task = REVIEWS["tasks/mood.yml"].replace("name: mood", "name: tone")
    rules = "labeling_functions:\n  - {name: light, label: good, any_of: [light]}\n"
    sandbox.write({"tasks/tone.yml": task, "labeling_functions/tone/words.yml": rules})
    sandbox("build", "--select", "+type:lf")
    found = sandbox("analyze", "--gold", "all", "--format", "json").json["tasks"]
    assert {one["task"]: one["test_looks"] for one in found} == {"mood": 1, "tone": 1}
    assert (looks(sandbox), looks(sandbox, "tone")) == (1, 1)
    sandbox("analyze", "tone", "--gold", "all")
    assert (looks(sandbox), looks(sandbox, "tone")) == (1, 2)


def test_prompts_compared_on_the_test_split_are_a_look(sandbox: Sandbox) -> None:
    with Server() as server:
        providers = f"{{here: {{base_url: '{server.url}', model: tiny}}}}"
        sandbox.write({"profiles.yml": f"default: dev\ntargets:\n  dev: {{llm: {{providers: {providers}}}}}\n"})
        for name in ("first", "second"):
            sandbox.write({f"prompts/mood/{name}.md": f"---\nunvalidated: allow\n---\n{name}: {{{{ item.text }}}}\n"})
        sandbox("build", "--select", "+type:prompt")
    assert sandbox("llm", "compare", "--format", "json").json["test_looks"] is None
    assert "look no." not in sandbox("llm", "compare").out
    assert looks(sandbox) == 0
    assert "look no. 1 at the test split of task 'mood'" in sandbox("llm", "compare", "--gold", "test").out
    assert sandbox("llm", "compare", "first", "--gold", "all", "--format", "json").json["test_looks"] == 2
    record = last(sandbox)
    assert (record["by"], record["gold"], list(record["looks"]["mood"])) == (
        "llm compare",
        "all",
        ["prompt.mood.first"],
    )


def test_a_split_without_gold_is_not_looked_at(quiet: Sandbox) -> None:
    assert quiet("analyze", "mood", "--gold", "test", "--format", "json").json["test_looks"] is None
    assert quiet("analyze", "mood", "--gold", "all", "--format", "json").json["test_looks"] is None
    assert looks(quiet) == 0


def test_a_test_on_all_gold_looks_at_the_test_split_where_it_has_gold(quiet: Sandbox) -> None:
    quiet.write({"label_models/mood.yml": NO_TESTS + ACCURACY.replace("AGAINST", "gold")})
    assert "accuracy" in quiet("test", "--select", "moods", code=None).out
    assert looks(quiet) == 0


def test_without_splits_all_gold_is_the_test_split(sandbox: Sandbox) -> None:
    sandbox.replace("tasks/mood.yml", "splits: {column: split}", "tags: [x]")
    sandbox("build", "--select", "+type:lf")
    assert sandbox("analyze", "mood", "--format", "json").json["test_looks"] == 1


def test_a_look_that_cannot_be_counted_is_not_shown(sandbox: Sandbox) -> None:
    head = sandbox.root / ".teachkit/runs/HEAD"
    head.write_text("torn", encoding="utf-8")
    shown = sandbox("analyze", "mood", "--gold", "test", code=2)
    assert "it names no run" in shown.err
    assert shown.out == ""
    assert "task mood" in sandbox("analyze", "mood").out


def test_a_look_has_its_own_number_whatever_others_write_meanwhile(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Store.append_run

    def two_at_once(store: Store, record: dict[str, Any]) -> tuple[str, str]:
        found = append(store, record)
        append(store, record)
        return found

    monkeypatch.setattr(Store, "append_run", two_at_once)
    numbers = [sandbox("analyze", "mood", "--gold", "test", "--format", "json").json["test_looks"] for _ in range(2)]
    assert numbers == [1, 3]


def test_looks_of_several_processes_are_all_counted(sandbox: Sandbox) -> None:
    command = ["analyze", "mood", "--gold", "test", "--format", "json"]
    started = [sandbox.start(*command) for _ in range(4)]
    numbers = [json.loads(process.communicate()[0])["test_looks"] for process in started]
    assert sorted(numbers) == [1, 2, 3, 4]
    assert looks(sandbox) == 4


# ---------------------------------------------------------------------------- builds


@pytest.mark.parametrize(("against", "counts"), [("gold", 1), ("gold.test", 1), ("gold.tune", 0), ("gold.train", 0)])
def test_a_test_that_measures_on_the_test_split_is_a_look_once(against: str, counts: int, sandbox: Sandbox) -> None:
    sandbox("run")
    before = looks(sandbox)
    sandbox.write({"label_models/mood.yml": NO_TESTS + ACCURACY.replace("AGAINST", against)})
    sandbox("test", "--select", "moods", code=None)
    assert looks(sandbox) - before == counts
    if counts:
        assert last(sandbox)["looks"]["mood"].keys() == {"label_set.moods"}
    sandbox("test", "--select", "moods", code=None)
    assert looks(sandbox) - before == counts
    assert last(sandbox)["looks"] == {}


def test_figures_of_the_lock_are_a_look_where_they_are_new(sandbox: Sandbox) -> None:
    sandbox("build")
    assert looks(sandbox) == 1
    assert "test:" in sandbox.read("teachkit.lock")
    sandbox("build")
    sandbox("build", "--full-refresh")
    assert looks(sandbox) == 1
    sandbox.replace("labeling_functions/mood/words.yml", "any_of: [love, great, excellent]", "any_of: [lamp]")
    sandbox("build")
    assert looks(sandbox) == 2
    sandbox.replace("labeling_functions/mood/words.yml", "any_of: [lamp]", "any_of: [love, great, excellent]")
    sandbox("build")
    assert looks(sandbox) == 2


def test_other_tests_of_a_label_set_look_at_no_gold(sandbox: Sandbox) -> None:
    sandbox("run")
    before = looks(sandbox)
    tests = "            tests: [{coverage: {min: 0.1}}, {class_balance: {good: [0, 1]}}, {conflict_rate: {max: 1}}]\n"
    sandbox.write({"label_models/mood.yml": NO_TESTS + tests})
    assert sandbox("test", "--select", "moods", "--format", "json").json["passed"]
    assert looks(sandbox) == before
