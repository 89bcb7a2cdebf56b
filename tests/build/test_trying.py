"""Prompts looked at before a build: tried on a few items by file or name, and the exact requests that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from teachkit.votes.intervals import wilson
from tests.build.pumps import pumps
from tests.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from tests.llm.server import Server

PROMPT = """
---
unvalidated: allow
---
Good or bad? {{ item.text }}
"""
OFF = PROMPT.replace("unvalidated", "enabled: false\nunvalidated")
ROWS = """id,text,mood,split
a,great pump and strong motor,+,tune
b,broken on day one,-,tune
c,pump broken,-,tune
d,lovely colour,+,tune
e,a secret that the test split knows,+,test
f,the pump is great,,train
"""
FILES = pumps(ROWS)


def project(folder: Path, server: Server, **files: str | None) -> Sandbox:
    sandbox = Sandbox(folder, FILES)
    providers = f"{{here: {{base_url: '{server.url}', model: tiny}}}}"
    sandbox.write({"profiles.yml": f"default: dev\ntargets:\n  dev: {{llm: {{providers: {providers}}}}}\n"})
    sandbox.write(files)
    sandbox("build", "--select", "+reviews")
    return sandbox


def trials(sandbox: Sandbox, prompt: str, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox("try", "--prompt", prompt, "--format", "json", *more).json["trials"]
    return found


# ---------------------------------------------------------------------------- try


def test_a_trial_says_how_much_of_gold_is_met_with_its_interval(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT})
    (found,) = trials(sandbox, "ask")
    judged = [i for i in found["items"] if i["gold"] is not None and i["label"] is not None]
    right = sum(i["gold"] == i["label"] for i in judged)
    assert (found["judged"], found["right"]) == (len(judged), right)
    assert 0 < right < len(judged) < 5  # one has no gold: the figures below tell the denominators apart
    assert found["accuracy"] == pytest.approx(right / len(judged))
    assert (found["low"], found["high"]) == pytest.approx(wilson(right, len(judged)))
    shown = sandbox("try", "--prompt", "ask").out
    assert f"agrees with gold: {right} of {len(judged)} ({right / len(judged):.1%}, 95 %: " in shown


def test_items_of_the_test_split_are_never_asked_about(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT})
    (found,) = trials(sandbox, "ask", "--limit", "99")
    assert {i["item"] for i in found["items"]} == {"a", "b", "c", "d", "f"}
    assert not any("secret" in str(seen.body) for seen in server.seen)


def test_without_splits_items_without_gold_are_asked_about(tmp_path: Path, server: Server) -> None:
    """Gold is for testing then."""
    task = FILES["tasks/mood.yml"]
    without = task.replace("splits: {column: split}", "")
    assert without != task
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT, "tasks/mood.yml": without})
    assert [i["item"] for i in trials(sandbox, "ask")[0]["items"]] == ["f"]
    line = next(line for line in without.splitlines(keepends=True) if "gold:" in line)
    with sandbox.changed({"tasks/mood.yml": without.replace(line, "").encode()}):
        assert len(trials(sandbox, "ask")[0]["items"]) == 6
    sandbox.replace("data/reviews.csv", "the pump is great,,", "the pump is great,+,")
    sandbox("build", "--select", "+reviews")
    said = sandbox("try", "--prompt", "ask", code=1).err
    assert "prompt 'ask' cannot be tried: all 6 items of task 'mood' have gold, which is for testing where a" in said
    assert "let 'splits' of task 'mood' leave some items to tune or train" in said
    sandbox.write({"tasks/mood.yml": task.replace("{column: split}", "{hash: {test: 100%}}")})
    assert "all 6 items of task 'mood' are of the test split" in sandbox("try", "--prompt", "ask", code=1).err
    assert server.total == 6


def test_a_prompt_is_named_by_its_file_from_here_or_from_the_project(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT})
    (by_name,) = trials(sandbox, "ask")
    for file in ("prompts/mood/ask.md", str(sandbox.root / "prompts/mood/ask.md"), "./prompts/mood/../mood/ask.md"):
        assert trials(sandbox, file)[0]["items"] == by_name["items"]
    here = Sandbox(sandbox.root / "prompts/mood")
    assert trials(here, "ask.md")[0]["items"] == by_name["items"]
    assert trials(here, "prompts/mood/ask.md")[0]["items"] == by_name["items"]
    (tmp_path / "link").symlink_to(tmp_path / "prompts", target_is_directory=True)
    assert trials(sandbox, "link/mood/ask.md")[0]["items"] == by_name["items"]
    for form in ("mood.ask", "prompt.mood.ask"):
        assert trials(sandbox, form)[0]["voter"] == "prompt.mood.ask"
    assert server.total == 5


@pytest.mark.parametrize("wanted", ["prompts/mood/later.md", "later", "mood.later", "prompt.mood.later"])
def test_a_prompt_that_is_off_can_be_tried(wanted: str, tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/later.md": OFF, "prompts/mood/broken.md": OFF})
    (found,) = trials(sandbox, wanted)
    assert found["voter"] == "prompt.mood.later"
    assert server.total == 5
    assert "enabled: false" in sandbox.read("prompts/mood/later.md")
    assert "prompt" not in str(sandbox("ls").out)


def test_only_the_tried_prompt_of_a_folder_that_is_off_is_on(tmp_path: Path, server: Server) -> None:
    other = "---\nprovider: nobody\n---\n{{ item.text }}\n"
    files = {"prompts/mood/ask.md": PROMPT, "prompts/mood/other.md": other}
    sandbox = project(tmp_path, server, **{"teachkit.yml": "name: r\nprompts: {mood: {enabled: false}}\n"}, **files)
    assert trials(sandbox, "prompts/mood/ask.md")[0]["judged"] > 0
    assert "profiles.yml has no provider 'nobody'" in sandbox("try", "--prompt", "other", code=2).err


def test_a_name_means_the_prompt_that_is_on(tmp_path: Path, server: Server) -> None:
    task = FILES["tasks/mood.yml"].replace("name: mood", "name: tone")
    files = {"tasks/tone.yml": task, "prompts/tone/ask.md": OFF, "prompts/mood/ask.md": PROMPT}
    sandbox = project(tmp_path, server, **files)
    assert trials(sandbox, "ask")[0]["voter"] == "prompt.mood.ask"
    sandbox.replace("prompts/tone/ask.md", "enabled: false\n", "")
    shown = sandbox("try", "--prompt", "ask", code=2).err
    assert "no single prompt 'ask'" in shown
    assert trials(sandbox, "tone.ask")[0]["voter"] == "prompt.tone.ask"
    sandbox.write({"prompts/tone/ask.md": OFF})
    sandbox.replace("prompts/mood/ask.md", "unvalidated", "models: [a, b]\nunvalidated")
    assert [t["voter"] for t in trials(sandbox, "ask")] == ["prompt.mood.ask_a", "prompt.mood.ask_b"]


def test_every_voter_of_a_file_is_tried(tmp_path: Path, server: Server) -> None:
    several = OFF.replace("unvalidated", "models: [tiny, {model: big/one, name: big}]\nunvalidated")
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": several})
    for wanted in ("prompts/mood/ask.md", "ask"):
        assert [t["voter"] for t in trials(sandbox, wanted)] == ["prompt.mood.ask_tiny", "prompt.mood.ask_big"]
    assert [t["model"] for t in trials(sandbox, "ask_big")] == ["big/one"]
    shown = sandbox("try", "--prompt", "ask").out
    assert "prompt.mood.ask_tiny by tiny: 5 items" in shown
    assert "prompt.mood.ask_big by big/one: 5 items" in shown
    assert server.total == 10


WRONG = {
    "no such file": ("prompts/mood/nope.md", "there is no file 'prompts/mood/nope.md'"),
    "a folder": ("prompts/mood/", "there is no file 'prompts/mood/'"),
    "a file of another kind": ("tasks/mood.yml", "'tasks/mood.yml' is no prompt of this project"),
    "a file outside the folder of prompts": ("notes.md", "'notes.md' is no prompt of this project"),
    "a file that others include": ("prompts/_rules.md", "'prompts/_rules.md' is no prompt of this project"),
    "an unknown name": ("asks", "Did you mean 'ask'?"),
    "a prompt without a voter": ("prompts/mood/columns.md", "its answers fill columns only"),
    "the name of a prompt without a voter": ("columns", "its answers fill columns only"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_tried_is_said(name: str, tmp_path: Path, server: Server) -> None:
    columns = PROMPT.replace("unvalidated", "output: {labels: none, columns: {colour: {type: string}}}\nunvalidated")
    files = {"prompts/mood/ask.md": PROMPT, "prompts/mood/columns.md": columns}
    sandbox = project(tmp_path, server, **files, **{"notes.md": PROMPT, "prompts/_rules.md": "Be strict.\n"})
    wanted, said = WRONG[name]
    assert said in sandbox("try", "--prompt", wanted, code=2).err
    assert server.total == 0


SEVEN = {
    "tasks/mood.yml": """
        tasks:
          - name: thema
            kind: multichoice
            labels: [größe, farbe, preis, ton, 味, форма, other]
            dataset: ref('reviews')
            key: id
            gold: {column: mood}
            splits: {column: split}
        """,
    "data/reviews.csv": "id,text,mood,split\n"
    + "".join(f'x{n},"Text Nr. {n}: größer als ein „Haus“",größe|味,tune\n' for n in range(9)),
}


@pytest.mark.parametrize("rows", [9, 1, 0])
def test_several_labels_at_once_are_tried_for_any_number_of_items(rows: int, tmp_path: Path, server: Server) -> None:
    lines = SEVEN["data/reviews.csv"].splitlines(keepends=True)[: rows + 1]
    files = {**SEVEN, "data/reviews.csv": "".join(lines), "prompts/thema/fragen.md": OFF}
    sandbox = project(tmp_path, server, **files)
    (found,) = trials(sandbox, "prompts/thema/fragen.md")
    assert [i["gold"] for i in found["items"]] == [["größe", "味"]] * rows
    assert found["right"] == sum(i["label"] == i["gold"] for i in found["items"])
    assert (found["accuracy"] is None) == (found["judged"] == 0)
    assert server.total == rows
    assert ("agrees with gold" in sandbox("try", "--prompt", "fragen").out) == (found["judged"] > 0)


def test_a_question_about_one_label_is_judged_by_that_label(tmp_path: Path, server: Server) -> None:
    questions = "output: {labels: none, questions: {big: {ask: Is it about size?, if_yes: größe}}}"
    files = {**SEVEN, "prompts/thema/fragen.md": OFF.replace("unvalidated", f"{questions}\nunvalidated")}
    (found,) = trials(project(tmp_path, server, **files), "fragen")
    assert found["voter"] == "prompt.thema.fragen_big"
    assert [i["gold"] for i in found["items"]] == [["größe"]] * 9
    assert found["right"] == sum(i["label"] == ["größe"] for i in found["items"]) > 0


def test_trials_are_recorded_where_that_is_asked_for(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": OFF})
    assert "does not say that it may" in sandbox("try", "--prompt", "ask", "--llm", "record", code=1).err
    sandbox.replace("sources/shop.yml", "path:", "record: true, path:")
    trials(sandbox, "ask", "--llm", "record", "--limit", "2")
    assert len(sandbox.read("recordings/mood/ask.jsonl").splitlines()) == server.total == 2
    assert len(trials(sandbox, "ask", "--llm", "replay", "--limit", "2")[0]["items"]) == 2
    assert "no recording for the request" in sandbox("try", "--prompt", "ask", "--llm", "replay", code=4).err


# ---------------------------------------------------------------------------- compile --item


def requests(sandbox: Sandbox, item: str, *more: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox("compile", "--item", item, "--format", "json", *more).json["requests"]
    return found


def test_the_request_about_an_item_is_what_will_be_sent(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT, "prompts/mood/other.md": PROMPT + "!"})
    (request,) = requests(sandbox, "b", "--select", "ask")
    assert request["nodes"] == ["prompt.mood.ask"]
    assert request["endpoint"] == server.url
    assert [one["nodes"] for one in requests(sandbox, "b")] == [["prompt.mood.ask"], ["prompt.mood.other"]]
    assert [one["nodes"] for one in requests(sandbox, "b", "--exclude", "ask")] == [["prompt.mood.other"]]
    assert server.total == 0
    assert not (sandbox.root / "target/compiled").exists()
    sandbox("build", "--select", "ask")
    assert request["body"] in [seen.body for seen in server.seen]
    shown = sandbox("compile", "--item", "b", "--select", "ask").out
    head, _, rest = shown.partition("\n")
    assert head == "-- prompt.mood.ask"
    assert '"content": "Good or bad? \\"broken on day one\\""' in rest


def test_voters_that_share_a_request_stand_beside_it(tmp_path: Path, server: Server) -> None:
    more = "output: {questions: {big: {ask: Is it big?, if_yes: good}}, columns: {colour: {type: string}}}"
    sandbox = project(
        tmp_path, server, **{"prompts/mood/ask.md": PROMPT.replace("unvalidated", f"{more}\nunvalidated")}
    )
    (request,) = requests(sandbox, "a")
    assert sorted(request["nodes"]) == ["enrichment.ask", "prompt.mood.ask", "prompt.mood.ask_big"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--item", "z"], "'reviews' has no item with id = 'z'"),
        (["--item", "a", "--select", "reviews"], "no prompt is selected"),
        (["--item", "a", "--select", "off"], "'off'"),
    ],
)
def test_an_item_without_a_request_is_an_error(arguments: list[str], said: str, tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": PROMPT, "prompts/mood/off.md": OFF})
    assert said in sandbox("compile", *arguments, code=2).err


def test_items_must_have_been_built(tmp_path: Path, server: Server) -> None:
    sandbox = Sandbox(tmp_path, FILES)
    sandbox.write({"profiles.yml": f"targets: {{dev: {{llm: {{providers: {{x: {{base_url: '{server.url}'}}}}}}}}}}\n"})
    sandbox.write({"prompts/mood/ask.md": PROMPT.replace("unvalidated", "model: m\nunvalidated")})
    assert "has not been built" in sandbox("compile", "--item", "a", code=2).err
    assert "has not been built" in sandbox("try", "--prompt", "ask", code=2).err
