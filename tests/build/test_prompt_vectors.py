"""Examples that are nearest by vectors: asked once, counted, priced, recorded, replayed; and truly the nearest."""

from __future__ import annotations

import json
import shutil
import socket
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.build.asking import vectors as build_vectors
from teachkit.build.asking.examples import Example
from teachkit.build.asking.vectors import SCALE, Nearest, canonical_text
from teachkit.graph.node import OtherModel
from teachkit.project.llm_models import LlmProvider
from tests.build.test_prompts import profiles
from tests.llm import server as llm_server
from tests.llm.server import Server, vector_of
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = "{select: nearest, k: 2, by: embedding, embedding_model: near}"
PROMPT = f"""
---
unvalidated: allow
max_tokens: 30
examples: {EXAMPLES}
---
{{% for example in examples %}}{{{{ example.text }}}} is {{{{ example.label }}}}
{{% endfor %}}Review: {{{{ item.text }}}}
"""
QUESTIONS = PROMPT.replace(
    "max_tokens: 30", "max_tokens: 30\noutput: {questions: {broken: {ask: Is it broken?, if_yes: bad}}}"
)
ROWS = """id,text,stars,mood,split
a,great engine,5,+,tune
b,broken on day one,1,-,tune
c,awful colour,1,-,tune
d,lovely colour,4,+,tune
e,a superb motor that the test split knows,4,+,test
f,superb motor,5,,train
g,superb motor,5,,train
h,faulty on day two,1,,train
"""
TEXTS = 7  # different ones
SYNONYMS = {"superb": "great", "motor": "engine", "faulty": "broken"}
PRICES = 'as_of: "2026-11-25"\nmodels: {tiny: {input: 100, output: 100}, near: {input: 10, output: 0, max_output: 1}}\n'


def by_meaning(text: str, dimensions: int) -> list[float]:
    return vector_of(" ".join(SYNONYMS.get(word, word) for word in text.split()), dimensions)


def project(folder: Path, server: Server, rows: str = ROWS, prompt: str = PROMPT, **more: str | None) -> Sandbox:
    sandbox = Sandbox(folder, REVIEWS)
    sandbox.write({"profiles.yml": profiles(server.url), "prompts/mood/ask.md": prompt, "data/reviews.csv": rows})
    sandbox.write({"annotations/mood/ann.jsonl": None, **more})
    return sandbox


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(vector=by_meaning) as running:
        yield running


def counts(server: Server) -> tuple[int, int]:
    """Requests for vectors, and for answers."""
    return len(server.asked("/embeddings")), len(server.asked("/chat/completions"))


def shown_for(server: Server, text: str) -> list[str]:
    """The examples that an item was shown with, in order."""
    bodies = [body["messages"][-1]["content"] for body in server.asked("/chat/completions")]
    (found,) = {body for body in bodies if body.endswith(f"Review: {json.dumps(text, ensure_ascii=False)}")}
    return str(found).splitlines()[:-1]


def test_the_nearest_is_nearest_in_meaning_and_never_the_item_itself(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+ask")
    assert counts(server) == (TEXTS, TEXTS)
    assert shown_for(server, "superb motor")[-1] == '"great engine" is "good"'
    assert shown_for(server, "faulty on day two")[-1] == '"broken on day one" is "bad"'
    assert shown_for(server, "lovely colour")[-1] == '"awful colour" is "bad"'
    for body in server.asked("/chat/completions"):
        *examples, question = body["messages"][-1]["content"].splitlines()
        assert len(examples) == 2
        assert not any("test split" in line for line in examples)
        assert not any(line.startswith(question.removeprefix("Review: ")) for line in examples)
    wanted = {"model": "near", "input": "great engine", "encoding_format": "base64"}
    assert wanted in server.asked("/embeddings")


def test_by_words_the_same_prompt_shows_another_example(tmp_path: Path, server: Server) -> None:
    words = PROMPT.replace(EXAMPLES, "{select: nearest, k: 2, seed: 3}")
    sandbox = project(tmp_path, server, prompt=words)
    sandbox("build", "--select", "+ask")
    assert counts(server) == (0, TEXTS)
    assert shown_for(server, "superb motor")[-1] != '"great engine" is "good"'


def test_the_second_build_asks_nothing_and_an_edited_row_for_one_vector_and_one_answer(
    tmp_path: Path, server: Server
) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+ask")
    before = counts(server)
    sandbox("build", "--select", "+ask")
    sandbox("build", "--select", "+ask", "--full-refresh")
    assert counts(server) == before
    sandbox.replace("data/reviews.csv", "h,faulty on day two", "h,faulty on day three")
    sandbox("build", "--select", "+ask")
    assert counts(server) == (before[0] + 1, before[1] + 1)
    assert shown_for(server, "faulty on day three")[-1] == '"broken on day one" is "bad"'


def test_another_model_of_vectors_is_another_prompt(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+ask")
    assert "prompt.mood.ask" not in sandbox.fresh_nodes("--select", "+ask")
    sandbox.replace("prompts/mood/ask.md", "embedding_model: near", "embedding_model: nearer")
    assert "prompt.mood.ask" in sandbox.fresh_nodes("--select", "+ask")
    assert counts(server) == (2 * TEXTS, TEXTS), "its vectors are the same, and so are the requests"


def test_what_is_by_words_anyway_need_not_say_so(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, prompt=PROMPT.replace(EXAMPLES, "{select: nearest, k: 2}"))
    sandbox("build", "--select", "+ask")
    sandbox.replace("prompts/mood/ask.md", "k: 2", "k: 2, by: words")
    assert "prompt.mood.ask" not in sandbox.fresh_nodes("--select", "+ask")


def test_vectors_may_come_from_another_provider(tmp_path: Path, server: Server) -> None:
    with Server(vector=by_meaning) as other:
        sandbox = project(tmp_path, server)
        two = profiles(server.url).rstrip() + f'\n                there: {{base_url: "{other.url}"}}\n'
        sandbox.write({"profiles.yml": two})
        sandbox.replace("prompts/mood/ask.md", "unvalidated: allow", "unvalidated: allow\nprovider: here")
        sandbox.replace("prompts/mood/ask.md", "near}", "near, embedding_provider: there}")
        sandbox("build", "--select", "+ask")
        assert (counts(server), counts(other)) == ((0, TEXTS), (TEXTS, 0))
        sandbox.replace("prompts/mood/ask.md", "near, embedding_provider: there}", "near}")
        assert "prompt.mood.ask" in sandbox.fresh_nodes("--select", "+ask"), "the endpoint counts"


BAD = {
    "no model": ("{select: nearest, k: 2, by: embedding}", "needs 'embedding_model'"),
    "not the nearest": ("{select: random, k: 2, by: embedding, embedding_model: m}", "write 'select: nearest'"),
    "a model for words": ("{select: nearest, k: 2, embedding_model: m}", "without 'by: embedding'"),
    "a provider for words": ("{select: nearest, k: 2, embedding_provider: here}", "without 'by: embedding'"),
    "no such provider": (EXAMPLES.replace("}", ", embedding_provider: nobody}"), "has no provider 'nobody'"),
    "by something else": (EXAMPLES.replace("by: embedding", "by: smell"), "smell"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_shown_at_its_place(name: str, tmp_path: Path, server: Server) -> None:
    examples, said = BAD[name]
    sandbox = project(tmp_path, server, prompt=PROMPT.replace(EXAMPLES, examples))
    shown = sandbox("parse", code=2)
    assert said in shown.err
    assert "prompts/mood/ask.md:4" in shown.err
    assert server.total == 0


# ---------------------------------------------------------------------------- money


def test_vectors_are_paid_for_and_counted(tmp_path: Path, server: Server) -> None:
    server.answer_to = lambda body: {"label": "good"}
    sandbox = project(tmp_path, server, **{"prices.yml": PRICES})
    run = sandbox("build", "--format", "json").json
    vectors = sum(len(body["input"]) // 4 + 1 for body in server.asked("/embeddings")) * 10e-6
    answers = sum(len(json.dumps(b["messages"])) // 4 + 8 for b in server.asked("/chat/completions")) * 100e-6
    assert run["cost"] == pytest.approx(vectors + answers)
    lock = sandbox.read("teachkit.lock")
    assert f"cost: {round(vectors + answers, 4)}" in lock
    again = sandbox("build", "--full-refresh", "--format", "json").json
    assert again["cost"] == 0
    assert sandbox.read("teachkit.lock") == lock
    (vote,) = [
        vote for vote in sandbox("lineage", "moods", "h", "--format", "json").json["votes"] if vote["kind"] == "prompt"
    ]
    assert vote["cost"] == pytest.approx(
        (len("faulty on day two") // 4 + 1) * 10e-6
        + next(
            len(json.dumps(b["messages"])) // 4 + 8
            for b in server.asked("/chat/completions")
            if b["messages"][-1]["content"].endswith('Review: "faulty on day two"')
        )
        * 100e-6
    )


def test_the_price_of_vectors_must_be_known(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prices.yml": PRICES.replace("near:", "far:")})
    shown = sandbox("build", "--select", "+ask", code=1)
    assert "has no model 'near'" in shown.out
    assert counts(server) == (0, 0)
    sandbox.replace("prompts/mood/ask.md", "max_tokens: 30", "max_tokens: 30\nunpriced: allow")
    sandbox("build", "--select", "+ask")
    assert counts(server) == (TEXTS, TEXTS)


def test_a_budget_holds_for_vectors_and_answers_together(tmp_path: Path, server: Server) -> None:
    """A vector costs about 0.00004 USD and at most about 0.002, an answer at most about 0.05."""
    sandbox = project(tmp_path, server, **{"prices.yml": PRICES})
    sandbox.replace("prompts/mood/ask.md", "max_tokens: 30", "max_tokens: 30\nbudget: 0.001")
    shown = sandbox("build", "--select", "+ask", code=1)
    assert "prompt 'ask' cannot choose examples: 4 of them have no vector (4 not_run:budget)" in shown.out
    assert "raise 'budget'" in shown.out
    assert counts(server) == (0, 0)
    sandbox.replace("prompts/mood/ask.md", "budget: 0.001", "budget: 0.01")
    shown = sandbox("build", "--select", "+ask", code=1)
    assert "8 of 8 items have no answer (8 not_run:budget)" in shown.out
    assert counts(server) == (TEXTS, 0)
    sandbox.replace("prompts/mood/ask.md", "budget: 0.01", "budget: 10")
    sandbox("build", "--select", "+ask")
    assert counts(server) == (TEXTS, TEXTS)


# ---------------------------------------------------------------------------- what has no vector


def refusing(word: str, fault: str) -> Any:
    def script(body: dict[str, Any], nth: int, total: int) -> str:
        return fault if word in str(body.get("input", "")) else "ok"

    return script


@pytest.mark.parametrize(("fault", "status"), [("bad-request", "error"), ("schema", "invalid_output")])
def test_an_item_without_a_vector_has_no_answer(fault: str, status: str, tmp_path: Path) -> None:
    with Server(vector=by_meaning, script=refusing("faulty", fault)) as server:
        sandbox = project(tmp_path, server)
        shown = sandbox("build", "--select", "+ask", code=1)
        assert f"1 of 8 items have no answer (1 {status}); the first is 'h'" in shown.out
        assert counts(server)[1] == TEXTS - 1
        sandbox.replace("prompts/mood/ask.md", "max_tokens: 30", "max_tokens: 30\nmax_error_rate: 0.2")
        sandbox("build", "--select", "+ask")
        assert counts(server)[1] == TEXTS - 1
        votes = {row["id"]: row["label"] for row in sandbox.rows("ask")}
        assert votes.get("h") is None
        sandbox("build", "--select", "+ask")
        assert counts(server)[1] == TEXTS - 1


def test_an_item_that_an_outage_left_without_a_vector_is_asked_about_by_the_next_build(tmp_path: Path) -> None:
    with Server(vector=by_meaning, script=refusing("faulty", "429-long")) as server:
        sandbox = project(tmp_path, server)
        sandbox.replace("prompts/mood/ask.md", "max_tokens: 30", "max_tokens: 30\nmax_error_rate: 0.2")
        sandbox("build", "--select", "+ask")
        assert counts(server)[1] == TEXTS - 1
        server.script = lambda *_: "ok"
        sandbox("build", "--select", "+ask")
        assert counts(server)[1] == TEXTS
        assert shown_for(server, "faulty on day two")[-1] == '"broken on day one" is "bad"'


def test_an_example_without_a_vector_is_no_reason_to_show_others(tmp_path: Path) -> None:
    with Server(vector=by_meaning, script=refusing("awful", "bad-request")) as server:
        sandbox = project(tmp_path, server)
        shown = sandbox("build", "--select", "+ask", code=1)
        assert "prompt 'ask' cannot choose examples: 1 of them have no vector (1 error); the first is 'c'" in shown.out
        assert "choose examples 'by: words'" in shown.out
        assert counts(server)[1] == 0
        server.script = refusing("awful", "429-long")
        assert "build again" in sandbox("build", "--select", "+ask", code=1).out


def test_a_model_that_gives_vectors_of_another_length_is_another_model(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+ask")
    before = counts(server)[1]
    monkeypatch.setattr(llm_server, "DIMENSIONS", 48)
    sandbox.replace("data/reviews.csv", "h,faulty on day two", "h,faulty on day three")
    shown = sandbox("build", "--select", "+ask", code=1)
    assert "vectors of 'near' have 96 and 48 numbers: it is not the same model now" in shown.out
    assert counts(server)[1] == before


def test_items_and_examples_that_show_nothing_need_no_vector(tmp_path: Path, server: Server) -> None:
    rows = ROWS + "i,,3,+,tune\nj,,3,,train\n"
    sandbox = project(tmp_path, server, rows=rows)
    sandbox.write(
        {"transforms/reviews.sql": "select id, text, stars, mood, split from {{ source('shop', 'reviews') }}"}
    )
    sandbox.write({"sources/shop.yml": REVIEWS["sources/shop.yml"].replace("{tests: [not_null]}", "{}")})
    sandbox("build", "--select", "+ask")
    assert counts(server) == (TEXTS, TEXTS)


def test_a_provider_that_refuses_the_key_ends_it_all(tmp_path: Path) -> None:
    with Server(script=lambda *_: "auth") as server:
        sandbox = project(tmp_path, server)
        assert "llm-auth-refused" in sandbox("build", "--select", "+ask", code=1).out
        assert counts(server)[1] == 0


# ---------------------------------------------------------------------------- record and replay


def test_vectors_are_recorded_beside_and_replayed_without_a_socket(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = project(tmp_path / "one", server)
    sandbox.replace("sources/shop.yml", "key: id", "key: id\n        record: true")
    sandbox("build", "--select", "+ask", "--llm", "record")
    lock = sandbox.read("teachkit.lock")
    assert len(sandbox.read("recordings/mood/ask.jsonl").splitlines()) == TEXTS
    lines = sandbox.read("recordings/mood/ask.embeddings.jsonl").splitlines()
    assert len(lines) == TEXTS
    assert {json.loads(line)["api"] for line in lines} == {"embeddings"}
    fresh = sandbox.copy(tmp_path / "fresh")
    for left in (".teachkit", "target"):
        shutil.rmtree(fresh.root / left)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    fresh("build", "--select", "+ask", "--llm", "replay", "--locked")
    assert fresh.read("teachkit.lock") == lock
    fresh.replace("data/reviews.csv", "h,faulty on day two", "h,faulty on day three")
    missed = fresh("build", "--select", "+ask", "--llm", "replay", code=1).out
    assert "no recording for the request 'h'" in missed
    assert "ask.embeddings.jsonl" in missed
    assert "input: differs from character" in missed


# ---------------------------------------------------------------------------- looking before asking


def test_a_plan_sends_nothing_and_says_what_it_cannot_know(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prices.yml": PRICES})
    sandbox("build", "--select", "+reviews")
    (plan,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (plan["vectors"], plan["vectors_missing"], plan["unknown"]) == (TEXTS, TEXTS, TEXTS)
    assert (plan["requests"], plan["answered"], plan["missing"]) == (TEXTS, 0, TEXTS)
    assert 0 < plan["low"] < plan["high"]
    text = sandbox("llm", "plan").out
    assert f"{TEXTS} vectors to ask for first, to choose examples by; {TEXTS} requests cannot be looked up" in text
    shown = sandbox("compile", "--select", "ask", "--item", "f", code=1).err
    assert "the vectors that choose the examples of 'f' are not there yet" in shown
    assert "try --prompt ask" in shown
    assert server.total == 0
    sandbox("build", "--select", "+ask")
    paid = server.total
    (after,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (after["vectors"], after["vectors_missing"], after["unknown"], after["missing"]) == (TEXTS, 0, 0, 0)
    assert (after["answered"], after["high"]) == (TEXTS, 0)
    (request,) = sandbox("compile", "--select", "ask", "--item", "f", "--format", "json").json["requests"]
    assert request["body"] in server.asked("/chat/completions")
    sandbox.replace("data/reviews.csv", "h,faulty on day two", "h,faulty on day three")
    sandbox("build", "--select", "+reviews")
    (edited,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (edited["vectors_missing"], edited["unknown"], edited["missing"]) == (1, 1, 1)
    assert server.total == paid


def test_a_plan_takes_no_answer_for_one_that_it_cannot_know(tmp_path: Path, server: Server) -> None:
    """The answers to requests with the examples nearest in words are there: these requests are only stood in for."""
    sandbox = project(tmp_path, server, prompt=PROMPT.replace(EXAMPLES, "{select: nearest, k: 2}"))
    sandbox("build", "--select", "+ask")
    sandbox.write({"prompts/mood/ask.md": PROMPT})
    (plan,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (plan["unknown"], plan["missing"], plan["answered"]) == (TEXTS, TEXTS, 0)


def test_a_plan_counts_what_questions_of_one_file_share_once(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, prompt=QUESTIONS)
    sandbox("build", "--select", "+reviews")
    first, second = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (first["vectors_missing"], first["unknown"], first["missing"]) == (TEXTS, TEXTS, TEXTS)
    assert (second["vectors_missing"], second["unknown"], second["missing"]) == (0, 0, 0)


def test_a_plan_without_the_price_of_vectors_has_no_sum(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prices.yml": PRICES.replace("near:", "far:")})
    sandbox("build", "--select", "+reviews")
    (plan,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert plan["low"] is None


def test_an_edited_example_makes_all_requests_unknown(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+ask")
    sandbox.replace("data/reviews.csv", "c,awful colour", "c,horrid colour")
    sandbox("build", "--select", "+reviews")
    (plan,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert (plan["vectors_missing"], plan["unknown"]) == (1, TEXTS)


def test_a_trial_asks_for_the_vectors_that_it_needs(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox("build", "--select", "+reviews")
    found = sandbox("try", "--prompt", "ask", "--limit", "1", "--format", "json").json["trials"][0]
    assert len(found["items"]) == 1
    assert counts(server) == (4, 1), "the four examples, of which the item is one"
    sandbox("build", "--select", "+ask")
    assert counts(server) == (TEXTS, TEXTS)


# ---------------------------------------------------------------------------- other tasks, other sizes


def test_several_labels_parts_and_unicode(tmp_path: Path, server: Server) -> None:
    words = ["größe", "geschmack", "preis", "farbe", "duft", "klang", "東京"]
    rows = [f"x{n},{words[n % 7]} number {n} {words[n * 3 % 7]},3,{words[n % 7]},{'tune' if n < 40 else 'train'}"
            for n in range(2_500)]  # fmt: skip
    csv = "id,text,stars,about,split\n" + "\n".join(rows) + "\n"
    gold = f"{{column: about, values: {json.dumps({w: w for w in words}, ensure_ascii=False)}}}"
    task = (
        f"tasks:\n  - {{name: about, labels: {json.dumps(words, ensure_ascii=False)}, dataset: ref('reviews'), "
        f"key: id, gold: {gold}, splits: {{column: split}}}}\n"
    )
    sandbox = Sandbox(tmp_path)
    sandbox.write(
        {
            "teachkit.yml": "name: about\npart_rows: 1000\n",
            "profiles.yml": profiles(server.url),
            "data/reviews.csv": csv,
            "sources/shop.yml": """
                sources:
                  - {name: shop, tables: [{name: reviews, path: data/reviews.csv, key: id}]}
                """,
            "transforms/reviews.sql": "select * from {{ source('shop', 'reviews') }}",
            "tasks/about.yml": task,
            "prompts/about/ask.md": PROMPT,
        }
    )
    sandbox("build", "--select", "+ask")
    assert counts(server) == (2_500, 2_500)
    for word in words:
        text = next(row.split(",")[1] for row in rows[100:] if row.split(",")[1].startswith(word))
        assert word in shown_for(server, text)[-1]
    sandbox("build", "--select", "+ask", "--full-refresh")
    assert counts(server) == (2_500, 2_500)


@pytest.mark.parametrize("rows", [ROWS.splitlines()[0] + "\n", "\n".join(ROWS.splitlines()[:2]) + "\n"])
def test_too_few_examples_are_said_and_nothing_is_asked(rows: str, tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, rows=rows)
    shown = sandbox("build", "--select", "+ask", code=None)
    assert "wants 2 examples, and the tune split has" in shown.out
    assert "label 3 or more" in shown.out
    assert server.total == 0


def test_questions_of_one_file_share_vectors_and_their_cost(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, prompt=QUESTIONS, **{"prices.yml": PRICES})
    run = sandbox("build", "--format", "json").json
    assert counts(server) == (TEXTS, TEXTS)
    assert f"cost: {round(run['cost'], 4)}" in sandbox.read("teachkit.lock")


# ---------------------------------------------------------------------------- the neighbours themselves


def nearest(examples: list[list[float]], k: int = 2) -> tuple[Nearest, list[Example]]:
    pool = [Example(str(n), {"text": f"text {n}", "label": n}, bytes([n])) for n in range(len(examples))]
    spec = SimpleNamespace(config=SimpleNamespace(examples=SimpleNamespace(k=k)))
    node: Any = SimpleNamespace(id="prompt.a.b", spec=spec)
    found = Nearest(node, pool)
    found._units = build_vectors._units([_packed(each) for each in examples]).astype(np.float32)
    return found, pool


def _packed(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
tables = st.integers(1, 8).flatmap(
    lambda d: st.lists(st.lists(numbers, min_size=d, max_size=d), min_size=4, max_size=12)
)


@given(tables, st.integers(1, 3))
def test_no_order_of_adding_changes_who_is_near(table: list[list[float]], k: int) -> None:
    *examples, item = table
    k = min(k, len(examples) - 1)
    found, pool = nearest(examples, k)
    found._compare([(b"x", _packed(item))])
    units = [[int(number) for number in row] for row in build_vectors._units([_packed(row) for row in table])]
    assert all(abs(number) <= SCALE for row in units for number in row)
    scores = [sum(a * b for a, b in zip(units[-1], row, strict=True)) for row in units[:-1]]  # of any size, exact
    assert all(abs(score) < 2**53 for score in scores)
    wanted = sorted(range(len(pool)), key=lambda i: (-scores[i], i))[: k + 1]
    assert np.frombuffer(found._near[b"x"], dtype=np.int32).tolist() == wanted


def test_the_cosine_does_not_mind_lengths() -> None:
    found, _ = nearest([[1, 0], [100, 90], [0, 0.001]], k=1)
    found._compare([(b"x", _packed([2, 2])), (b"nothing", _packed([0, 0])), (b"up", _packed([0.1, 70]))])
    near = {name: np.frombuffer(each, dtype=np.int32).tolist() for name, each in found._near.items()}
    assert near == {b"x": [1, 0], b"nothing": [0, 1], b"up": [2, 1]}


def test_many_examples_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = np.random.default_rng(1).normal(size=(57, 16)).astype(np.float32).tolist()
    whole, _ = nearest(examples, k=5)
    whole._compare([(b"x", _packed(examples[11]))])
    monkeypatch.setattr(build_vectors, "_BLOCK", 10)
    parts, _ = nearest(examples, k=5)
    parts._compare([(b"x", _packed(examples[11]))])
    assert parts._near == whole._near
    assert np.frombuffer(whole._near[b"x"], dtype=np.int32)[0] == 11


def test_an_item_whose_neighbours_are_known_is_asked_about_no_more() -> None:
    """A cascade and repeats go through the items again: what their vectors cost must not count twice."""
    asked: list[str] = []

    class Source:
        def find(self, requests: Any) -> Iterator[Any]:
            for request in requests:
                asked.append(request.body["input"])
                yield request, _packed(vector_of(request.body["input"]))

        def miss_examples(self) -> None:
            raise AssertionError

        def miss_rows(self, rows: Any, lost: set[int]) -> Any:
            assert not lost
            return rows

    provider = LlmProvider(base_url="http://127.0.0.1:1/v1")
    spec = SimpleNamespace(
        config=SimpleNamespace(examples=SimpleNamespace(k=1)), vectors=OtherModel("near", "here", provider)
    )
    pool = [Example(str(n), {"text": text, "label": "x"}, bytes([n])) for n, text in enumerate(("a b", "c d", "c d"))]
    node: Any = SimpleNamespace(id="prompt.a.b", spec=spec)
    found, keys = Nearest(node, pool), pa.array(["1", "8", "9"])
    items: list[dict[str, Any]] = [{"text": "c d"}, {"text": "c e"}, {"text": ""}]
    assert list(found.prepare(range(3), keys, items.__getitem__, Source())) == [0, 1, 2]
    assert asked == ["a b", "c d", "c d", "c e"], "examples first, equal ones once"
    assert list(found.prepare([2, 1], keys, items.__getitem__, Source())) == [2, 1]
    assert len(asked) == 4
    assert found.choose("1", items[0]) == [pool[2].values]
    assert found.choose("9", items[2]) == [pool[0].values]


def test_the_text_of_a_vector_is_what_is_shown_by_name_one_a_line() -> None:
    assert canonical_text({"b": 2, "a": "x\ny", "c": None, "label": "gold"}) == "x\ny\n2"
    assert canonical_text({"c": None}) == ""
