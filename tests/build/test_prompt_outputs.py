"""What one prompt may bring about: several models, several questions, columns that others use; redaction, includes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.build.test_prompts import PROMPT, profiles, project, texts
from tests.llm.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sandbox import Sandbox


def prompt(front: str, body: str = "# system\nGood or bad?\n\n# user\nReview: {{ item.text }}\n") -> str:
    return f"---\nunvalidated: allow\n{front}---\n{body}"


def results(sandbox: Sandbox, *more: str, code: int = 0) -> dict[str, Any]:
    found = sandbox("build", *more, "--format", "json", code=code).json
    return {r["id"]: r for r in found["results"]}


# ---------------------------------------------------------------------------- models


def test_each_model_is_a_voter(tmp_path: Path, server: Server) -> None:
    models = "models:\n  - small-1\n  - {model: org/large, name: large}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(models)})
    found = results(sandbox)
    assert {i for i in found if i.startswith("prompt.")} == {"prompt.mood.ask_small_1", "prompt.mood.ask_large"}
    assert {seen.body["model"] for seen in server.seen} == {"small-1", "org/large"}
    assert server.total == 2 * texts(sandbox)
    shown = sandbox("llm", "compare", "--format", "json").json
    assert {p["model"] for p in shown["prompts"]} == {"small-1", "org/large"}


def test_models_that_make_the_same_voter_are_refused(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("models: [a-b, a.b]\n")})
    shown = sandbox("parse", code=2)
    assert "prompts/mood/ask.md:3:" in shown.err
    assert "two of its voters are called 'ask_a_b'" in shown.err
    sandbox.write({"prompts/mood/ask.md": prompt("model: a\nmodels: [b]\n")})
    assert "leave out 'model' and 'provider'" in sandbox("parse", code=2).err


# ---------------------------------------------------------------------------- questions

QUESTIONS = """
output:
  questions:
    praises: {ask: Does it praise?, if_yes: good}
    complains: {ask: Does it complain?, if_yes: bad, if_no: good}
"""


def test_several_questions_are_one_request_and_a_voter_each(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Any:
        bad = "broken" in body["messages"][-1]["content"]
        return {"label": "ABSTAIN", "praises": "no" if bad else "ABSTAIN", "complains": "yes" if bad else "no"}

    with Server(answer=answer) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(QUESTIONS)})
        sandbox.write({"prices.yml": 'as_of: "2026-11-25"\nmodels: {tiny: {input: 100, output: 100}}\n'})
        found = sandbox("build", "--format", "json").json
        assert server.total == texts(sandbox)
        sent = sum(len(json.dumps(seen.body["messages"])) // 4 + 8 for seen in server.seen) * 100 / 1e6
        assert found["cost"] == pytest.approx(sent)
        lock = sandbox.read("teachkit.lock")
        assert f"cost: {round(found['cost'], 4)}" in lock  # not three times
    properties = server.seen[0].body["response_format"]["json_schema"]["schema"]["properties"]
    assert list(properties) == ["label", "praises", "complains"]
    assert properties["praises"] == {
        "type": "string",
        "enum": ["yes", "no", "ABSTAIN"],
        "description": "Does it praise?",
    }
    votes = sandbox("show", "ask_complains", "--limit", "-1", "--format", "json").json["rows"]
    assert {row["label"] for row in votes} == {"good", "bad"}
    assert sandbox("show", "ask_praises", "--limit", "-1", "--format", "json").json["rows"] == []
    assert sandbox("show", "ask", "--limit", "-1", "--format", "json").json["rows"] == []


def test_questions_of_a_task_with_several_labels(tmp_path: Path) -> None:
    """'no' says that the label does not hold, and nothing of others; a question without if_yes is about them all."""
    task = """
        tasks:
          - name: topics
            kind: multichoice
            labels: [price, quality, "Größe"]
            dataset: ref('reviews')
            key: id
        """
    front = """output:
  labels: none
  questions:
    cheap: {ask: Is it about money?, if_yes: price}
    which: {ask: What is it about?}
"""

    def answer(body: dict[str, Any]) -> Any:
        money = "money" in body["messages"][-1]["content"]
        return {"cheap": "yes" if money else "no", "which": ["quality", "Größe"] if money else []}

    with Server(answer=answer) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "tasks/topics.yml": task})
        sandbox.write({"prompts/topics/about.md": prompt(front)})
        sandbox("build", "--select", "+task:topics")
    query = (
        "select about_cheap as cheap, about_which as which, count(*) as n from votes.topics group by all order by 1, 2"
    )
    rows = sandbox("sql", query, "--format", "json").json["rows"]
    assert [(row["cheap"], row["which"]) for row in rows] == [([], []), (["price"], ["quality", "Größe"])]


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ("output: {labels: none}\n", "nothing is asked for"),
        ("output: {questions: {label: {ask: x}}}\n", "'label' has two meanings"),
        ("output: {questions: {q: {ask: x, if_yes: superb}}}\n", "'superb'"),
        ("output: {columns: {topic: {type: text}}}\n", "'text' is not a type"),
        ("output: {columns: {topic: {pattern: a}}}\n", "'pattern' is not checked by teachkit"),
        ("output: {columns: {topic: {}}}\n", "its values have no one type"),
        ("output: {columns: {id: {type: string}}}\n", "'id' is the key of task 'mood'"),
        ("output: {columns: {who: {type: string, quoted_from: txt}}}\n", "no column 'txt'"),
        (
            "output: {columns: {who: {type: string, quoted_from: mood}}}\n",
            "it quotes from 'mood', which the prompt does not",
        ),
        ("output: {columns: {topic: {type: string, minLength: x}}}\n", "minLength must be a whole number"),
        (
            "output: {columns: {topic: {type: array, items: {type: string}, minItems: '2'}}}\n",
            "write 2, without quotes",
        ),
        ("output: {columns: {topic: {type: integer, maximum: '5'}}}\n", "maximum must be a number"),
        ("output: {columns: {topic: {type: array, items: [string]}}}\n", "a schema must be an object"),
        ("output: {columns: {topic: {type: object, properties: [a]}}}\n", "properties must be a mapping"),
        ("output: {columns: {topic: {type: string, anyOf: {const: a}}}}\n", "anyOf must be a list of schemas"),
        ("output: {columns: {topic: {type: 5}}}\n", "type must be a type"),
        ("output: {columns: {topic: {enum: a}}}\n", "enum must be a list"),
        ("output: {columns: {topic: {type: string, enum: [a, 5]}}}\n", "5 is allowed, and is not of type string"),
        ("output: {columns: {topic: {type: integer, const: a}}}\n", "'a' is allowed, and is not of type integer"),
        ("output: {columns: {topic: {type: string, quoted_from: 5}}}\n", "quoted_from must be a column's name"),
        (
            "output: {columns: {topic: {type: string, anyOf: [{quoted_from: mood}, {const: a}]}}}\n",
            "it quotes from 'mood', which the prompt does not",
        ),
        ("output: {columns: {a: {type: string}, A: {type: string}}}\n", "'a' and 'A' are one name in a table"),
        (
            "output: {columns: {a: {properties: {b: {type: string}, B: {type: string}}}}}\n",
            "'b' and 'B' are one name in a table",
        ),
        ("output: {columns: {Answer_Status: {type: string}}}\n", "'Answer_Status' is what became of the request"),
        ("parameters: {max_completion_tokens: 5}\n", "'max_tokens' of the front matter says what this is"),
        ("parameters: {max_tokens: 5}\n", "'max_tokens' of the front matter says what this is"),
        ("temperature: 0\nparameters: {temperature: 1}\n", "'temperature' of the front matter says what this is"),
        (
            "confidence: {by: logprobs}\nparameters: {logprobs: false}\n",
            "'confidence' of the front matter says what this is",
        ),
        ("examples: {select: random, k: 1}\n", "examples: the prompt does not show them"),
        ("examples: [{text: a, label: good}]\n", "examples: the prompt does not show them"),
        ("redact: {text: 'left(text'}\n", "redact.text: "),
        ("redact: {text: 'max(text)'}\n", "redact.text: an expression sees one row"),
        ("redact: {text: 'left(txt, 5)'}\n", "no column 'txt'"),
        ("redact: {text: 'text || mood'}\n", "reads 'mood', which holds the gold"),
        ("redact: [emails]\n", "there is no pattern 'emails'"),
        ("redact: ['pii.py:clean']\n", "there is no file 'pii.py'"),
        ("redact: {stars: 'stars + 1'}\n", "the prompt does not show 'stars'"),
        ("redact: {txt: 'lower(txt)'}\n", "no column 'txt'"),
        ("cascade: {to: big, target: 0.9}\n", "a cascade needs 'confidence'"),
        ("confidence: {by: repeats}\n", "repeats: 3"),
        ("confidence: {by: logprobs, bands: [0.9, 0.7]}\n", "each above the one before"),
        ("confidence: {by: logprobs}\noutput: {questions: {q: {ask: x}}}\n", "goes with no questions"),
        ("confidence: {by: logprobs}\ncascade: {to: big, target: 1.0}\n", "target: 1.0 is too large"),
    ],
)
def test_what_cannot_be_is_refused(front: str, problem: str, tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(front)})
    shown = sandbox("parse", code=2)
    assert problem in shown.err
    assert "prompts/mood/ask.md:" in shown.err


def test_labels_that_a_model_reads_as_one_are_refused(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox.replace("tasks/mood.yml", "labels: [good, bad]", 'labels: [good, bad, "Good "]')
    sandbox.write({"prompts/mood/other.md": PROMPT})
    shown = sandbox("parse", code=2).err
    assert "'good' and 'Good ' differ in case, white space" in shown
    assert "prompts/" not in shown  # nothing is wrong there
    assert shown.count("error: tasks/mood.yml:2:") == 1
    sandbox.replace("tasks/mood.yml", '"Good "', "Abstain")
    assert "'ABSTAIN' and 'Abstain' differ in case" in sandbox("parse", code=2).err
    sandbox.replace("tasks/mood.yml", "Abstain", "ABSTAIN")
    assert "error: tasks/mood.yml:2:" in sandbox("parse", code=2).err


# ---------------------------------------------------------------------------- columns

COLUMNS = """
output:
  labels: none
  columns:
    topic: {enum: [delivery, "Qualität"]}
    Words: {type: array, items: {type: string}, quoted_from: text}
    stars_said: {type: [integer, "null"]}
    about: {properties: {what: {type: string}, sure: {type: number}}}
"""


def reader(body: dict[str, Any]) -> Any:
    text = json.loads(body["messages"][-1]["content"].removeprefix("Review: "))
    first = text.split()[0]
    return {
        "topic": "delivery" if "broken" in text else "Qualität",
        "Words": [first],
        "stars_said": None if "broken" in text else 3.0,
        "about": {"what": first, "sure": 1},
    }


def test_a_prompt_adds_columns_that_others_read(tmp_path: Path) -> None:
    with Server(answer=reader) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "prompts/mood/facts.md": prompt(COLUMNS)})
        sandbox.write(
            {
                "labeling_functions/mood/by_topic.sql": """
                    select id, case when topic = 'delivery' then 'bad' end as label from {{ ref('facts') }}
                    """,
                "transforms/topics.sql": "select topic, count(*) as n from {{ ref('facts') }} group by topic\n",
                "prices.yml": 'as_of: "2026-11-25"\nmodels: {tiny: {input: 100, output: 100}}\n',
                "tests/facts.yml": """
                    tests:
                      - node: facts
                        tests: [{row_count: {min: 1}}]
                    """,
            }
        )
        found = results(sandbox)
        assert found["enrichment.facts"]["status"] == "built"
        assert found["enrichment.facts"]["cost"] > 0
        assert server.total == texts(sandbox)
        assert "cost: 0.0\n" not in sandbox.read("teachkit.lock")
        assert results(sandbox)["enrichment.facts"]["status"] == "reused"
        assert server.total == texts(sandbox)
    described = sandbox("sql", "describe data.facts", "--format", "json").json["rows"]
    assert [(row["column_name"], row["column_type"]) for row in described] == [
        ("id", "VARCHAR"),
        ("topic", "VARCHAR"),
        ("words", "VARCHAR[]"),
        ("stars_said", "BIGINT"),
        ("about", "STRUCT(what VARCHAR, sure DOUBLE)"),
        ("answer_status", "VARCHAR"),
    ]
    counted = sandbox("sql", "select * from data.topics order by topic", "--format", "json").json["rows"]
    assert [row["topic"] for row in counted] == ["Qualität", "delivery"]
    said = sandbox("show", "by_topic", "--limit", "-1", "--format", "json").json["rows"]
    assert len(said) == counted[1]["n"]
    assert "enrichment.facts" in sandbox("ls", "--select", "+by_topic").out.split()
    assert sandbox("ls", "--select", "type:enrichment").out.split()[0] == "enrichment.facts"
    assert sandbox("show", "facts", "--limit", "2").out


def test_a_quotation_must_stand_in_the_item(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> Any:
        return {**reader(body), "Words": ["never said this"]}

    with Server(answer=answer) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "prompts/mood/facts.md": prompt(COLUMNS)})
        shown = sandbox("build", "--select", "+facts", code=1)
        assert "invalid_output" in shown.out
        assert "the answer's 'Words' is no quotation: it does not stand in 'text'" in shown.out
        sandbox("build", "--select", "+reviews")
        assert server.total == 3 * texts(sandbox)  # each is asked again twice
        sandbox.replace("prompts/mood/facts.md", "output:\n", "max_error_rate: 0.999\noutput:\n")
        assert "have no answer" in sandbox("build", "--select", "+facts", code=1).out
        sandbox.replace("prompts/mood/facts.md", ", quoted_from: text", "")
        sandbox("build", "--select", "+facts")
        assert server.total == 3 * texts(sandbox)  # the same request, read anew


def test_a_form_of_a_value_may_be_a_quotation(tmp_path: Path) -> None:
    front = """
output:
  labels: none
  columns:
    who: {type: array, items: {type: string, anyOf: [{quoted_from: text}, {enum: [nobody]}]}}
"""
    said = ["nobody"]

    def answer(body: dict[str, Any]) -> Any:
        text = json.loads(body["messages"][-1]["content"].removeprefix("Review: "))
        return {"who": [text.split()[0], *said]}

    with Server(answer=answer) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "prompts/mood/facts.md": prompt(front)})
        sandbox("build", "--select", "+facts")
        assert server.total == texts(sandbox)
        said[0] = "somebody"
        sandbox.replace("prompts/mood/facts.md", "Good or bad", "Bad or good")
        shown = sandbox("build", "--select", "+facts", code=1).out
        assert "the answer's 'who' is no quotation: it does not stand in 'text'" in shown


def test_a_table_that_is_switched_off_cannot_be_referred_to(tmp_path: Path, server: Server) -> None:
    front = COLUMNS + "enabled: false\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "prompts/mood/facts.md": prompt(front)})
    sandbox.write({"transforms/topics.sql": "select topic from {{ ref('facts') }}\n"})
    assert "ref('facts') names something that is switched off" in sandbox("parse", code=2).err
    sandbox.write({"transforms/topics.sql": None, "transforms/facts.sql": "select 1 as a\n"})
    assert "facts" in sandbox("parse", code=2).err


def test_a_voter_does_not_see_gold_through_a_prompts_columns(tmp_path: Path, server: Server) -> None:
    body = "# user\nReview: {{ item.text }} {{ item.mood }}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": None, "prompts/mood/facts.md": prompt(COLUMNS, body)})
    sandbox("parse")
    sandbox.write({"labeling_functions/mood/by_topic.sql": "select id, topic as label from {{ ref('facts') }}\n"})
    assert "column 'mood'" in sandbox("parse", code=2).err


# ---------------------------------------------------------------------------- redaction


def test_what_is_redacted_is_in_no_request(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    head, first, *rest = sandbox.read("data/reviews.csv").splitlines()
    text = "Write to anna.b@example.org or +49 170 1234567, card 4111 1111 1111 1111, see https://x.example/a?b"
    lines = [head, f'r901,"{text}",5,,train', first, *rest]
    sandbox.write({"data/reviews.csv": ("\n".join(lines) + "\n").encode()})
    sandbox.write({"prompts/mood/ask.md": prompt("redact: [email, phone, card, url]\n")})
    sandbox("build", "--select", "+ask")
    sent = [seen.body["messages"][-1]["content"] for seen in server.seen]
    assert 'Review: "Write to <email> or <phone>, card <card>, see <url>"' in sent
    sandbox.write(
        {
            "redaction/names.py": "import re\n\ndef mask(text):\n    return re.sub('anna', 'X', text)\n",
            "prompts/mood/ask.md": prompt("redact: ['redaction/names.py:mask']\n"),
        }
    )
    sandbox("build", "--select", "+ask")
    assert any("Write to X.b@example.org" in seen.body["messages"][-1]["content"] for seen in server.seen)
    before = server.total
    sandbox.replace("redaction/names.py", "'X'", "'Y'")
    sandbox("build", "--select", "+ask")
    assert server.total == before + 1  # the one text that comes out otherwise
    sandbox.write({"prompts/mood/ask.md": prompt('redact: {text: "left(text, 4)"}\n')})
    sandbox("build", "--select", "+ask")
    assert {len(seen.body["messages"][-1]["content"]) for seen in server.seen[before + 1 :]} == {len('Review: "1234"')}


@pytest.mark.parametrize(
    ("front", "file", "problem"),
    [
        ('redact: {text: "no_such(text)"}\n', "", "no_such"),
        (
            "redact: ['pii.py:clean']\n",
            "def clean(text):\n    return None\n",
            "pii.py:clean fails at item 'r001': TypeError",
        ),
        (
            "redact: ['pii.py:clean']\n",
            "import nothing_like_it\n\ndef clean(text):\n    return text\n",
            "ModuleNotFoundError",
        ),
    ],
)
def test_a_redaction_that_fails_sends_nothing(
    front: str, file: str, problem: str, tmp_path: Path, server: Server
) -> None:
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(front), "pii.py": file or None})
    shown = sandbox("build", "--select", "+ask", code=1)
    assert problem in shown.out
    assert "Traceback" not in shown.all
    assert server.total == 0


def test_a_redaction_depends_on_all_columns_that_it_reads(tmp_path: Path, server: Server) -> None:
    front = 'redact: {text: "text || stars"}\n'
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(front)})
    sandbox("build", "--select", "+ask")
    before = server.total
    assert results(sandbox, "--select", "+ask")["prompt.mood.ask"]["status"] == "reused"
    sandbox.write({"data/reviews.csv": sandbox.read("data/reviews.csv").replace(",5,", ",4,").encode()})
    assert results(sandbox, "--select", "+ask")["prompt.mood.ask"]["status"] == "built"
    assert server.total > before


def test_patterns_are_taken_out_of_columns_of_any_name(tmp_path: Path, server: Server) -> None:
    body = "# user\nReview: {{ item['Überschrift'] }}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("redact: [email]\n", body)})
    sql = "select *, 'a@example.org' as \"Überschrift\" from {{ source('shop', 'reviews') }}\n"
    sandbox.write({"transforms/reviews.sql": sql})
    sandbox("build", "--select", "+ask", "--exclude", "test_type:data")
    assert {seen.body["messages"][-1]["content"] for seen in server.seen} == {'Review: "<email>"'}


def test_redaction_comes_before_examples(tmp_path: Path, server: Server) -> None:
    front = "redact: {text: \"'<' || left(text, 3)\"}\nexamples: {select: random, k: 2}\n"
    body = "# user\n{% for e in examples %}{{ e.text }} is {{ e.label }}\n{% endfor %}{{ item.text }}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt(front, body)})
    sandbox("build", "--select", "+ask")
    lines = server.seen[0].body["messages"][-1]["content"].splitlines()
    assert len(lines) == 3
    assert all(line.startswith('"<') and len(line.partition('" is')[0]) <= 6 for line in lines)


# ---------------------------------------------------------------------------- includes


def test_a_prompt_includes_files(tmp_path: Path, server: Server) -> None:
    body = "# system\n{% include '_shared/rules.md' %}\nEnd.\n\n# user\nReview: {{ item.text }}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("", body)})
    sandbox.write({"prompts/_shared/rules.md": "Rule one for {{ task.name }}.\n{% include '_shared/more.md' %}\n"})
    sandbox.write({"prompts/_shared/more.md": "Rule two.\n"})
    sandbox("build", "--select", "+ask")
    assert server.seen[0].body["messages"][0]["content"] == "Rule one for mood.\nRule two.\nEnd."
    before = server.total
    sandbox.write({"prompts/_shared/more.md": "Rule 2.\n"})
    sandbox("build", "--select", "+ask")
    assert server.total == 2 * before


@pytest.mark.parametrize(
    ("include", "more", "place"),
    [
        ("_shared/none.md", "", "prompts/mood/ask.md:5: "),
        ("../teachkit.yml", "", "prompts/mood/ask.md:5: "),
        ("_shared/rules.md", "Two {{ item.txt }}", "prompts/_shared/rules.md:2: "),
        ("_shared/rules.md", "Two {{ nobody }}", "prompts/_shared/rules.md:2: "),
        ("_shared/rules.md", "Two {% if %}", "prompts/_shared/rules.md:2: "),
        ("_shared/rules.md", "{% include '_shared/rules.md' %}", "prompts/_shared/rules.md:2: "),
        ("_shared/rules.md", "# user", "prompts/mood/ask.md:5: "),
    ],
)
def test_what_is_wrong_in_an_included_file_is_told_where_it_stands(
    include: str, more: str, place: str, tmp_path: Path, server: Server
) -> None:
    body = f"# system\n{{% include '{include}' %}}\nEnd.\n\n# user\nReview: {{{{ item.text }}}}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("", body)})
    sandbox.write({"prompts/_shared/rules.md": f"One.\n{more}\n"})
    assert f"error: {place}" in sandbox("parse", code=2).err


def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox.write({"prompts/mood/ask.md": prompt("", "# user\nReview:\n{{ item.text }}\n{{ item.mood }}\n")})
    assert "error: prompts/mood/ask.md:7: prompt 'ask' reads 'mood'" in sandbox("parse", code=2).err
    body = "# user\n{% include '_shared/rules.md' %}\n{{ item.text }}\n"
    sandbox.write({"prompts/mood/ask.md": prompt("", body), "prompts/_shared/rules.md": "One.\n{{ item.mood }}\n"})
    assert "error: prompts/_shared/rules.md:2: prompt 'ask' reads 'mood'" in sandbox("parse", code=2).err
    sandbox.write({"prompts/mood/ask.md": prompt("", "# user\n{{ item.text }}\n").replace("---\n#", "#")})
    assert "error: prompts/mood/ask.md:1: front matter: it begins here and has no end" in sandbox("parse", code=2).err
    for at in ("'left(text'", "|\n    left(text\n"):
        sandbox.write({"prompts/mood/ask.md": prompt(f"redact:\n  text: {at}\n")})
        found = sandbox("parse", code=2).err
        assert re.search(r"prompts/mood/ask.md:[45]:.*redact\.text: ", found), found


def test_a_prompt_that_does_not_compile_is_one_error(tmp_path: Path, server: Server) -> None:
    """A label set that lacks it, and what needs the label set, say nothing of it."""
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("", "# user\n{{ item.txt }}\n")})
    gone = [p for folder in ("labeling_functions", "annotations", "tests") for p in (tmp_path / folder).rglob("*.*")]
    sandbox.write({str(path.relative_to(tmp_path)): None for path in gone})
    for voters in ("", "voters: [ask]"):
        sandbox.write({"label_models/mood.yml": f"label_models:\n  - name: moods\n    task: mood\n    {voters}\n"})
        shown = sandbox("parse", code=2).err
        assert shown.count("error: ") == 1, shown
        assert "no column 'txt'" in shown
    sandbox.write({"prompts/mood/ask.md": None})
    assert "selects no voter of task 'mood'" in sandbox("parse", code=2).err


def test_an_error_after_an_include_has_its_own_line(tmp_path: Path, server: Server) -> None:
    body = "# system\n{% include '_shared/rules.md' %}\n{{ nobody }}\n\n# user\nReview: {{ item.text }}\n"
    sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("", body)})
    sandbox.write({"prompts/_shared/rules.md": "One.\nTwo.\nThree.\n"})
    assert "error: prompts/mood/ask.md:6: " in sandbox("parse", code=2).err


# ---------------------------------------------------------------------------- items, money, builds


def test_an_item_that_shows_nothing_is_not_asked_about(tmp_path: Path, server: Server) -> None:
    sandbox = project(tmp_path, server)
    sandbox.write(
        {
            "transforms/reviews.sql": """
        select id, case when id = 'r001' then null when id = 'r002' then '  ' else text end as text, stars, mood, split
        from {{ source('shop', 'reviews') }}
        """
        }
    )
    sandbox("build", "--select", "+ask", "--exclude", "test_type:data")
    said = {row["id"] for row in sandbox("show", "ask", "--limit", "-1", "--format", "json").json["rows"]}
    assert not {"r001", "r002"} & said
    assert all(seen.body["messages"][-1]["content"] not in ("Review: null", 'Review: "  "') for seen in server.seen)


def test_one_budget_holds_for_all_prompts(tmp_path: Path, server: Server) -> None:
    """The worst case of a request is 0.55 USD, what it costs about 0.05: after two there is not enough left."""
    sandbox = project(
        tmp_path, server, **{"prices.yml": 'as_of: "2026-11-25"\nmodels: {tiny: {input: 1000, output: 1000}}\n'}
    )
    sandbox.write(
        {
            "prompts/mood/other.md": PROMPT.replace("Is this", "Is that"),
            "profiles.yml": profiles(server.url).replace("mode: live", "mode: live\n              budget: 0.6"),
        }
    )
    shown = sandbox("build", "--select", "type:prompt", "+reviews", code=1)
    assert "or that of the target" in shown.out
    assert server.total == 2
    sandbox.write({"prices.yml": None})
    assert "target 'dev' has a budget, and there is no prices.yml" in sandbox("build", "--select", "+ask", code=1).out


def test_two_builds_at_once_ask_once(tmp_path: Path) -> None:
    with Server(latency=0.02) as server:
        sandbox = project(tmp_path, server)
        sandbox("build", "--select", "+reviews")
        command = [sys.executable, "-m", "teachkit", "--project-dir", str(tmp_path), "build", "--select", "+ask"]
        builds = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
        said = [build.communicate()[0].decode() for build in builds]
        assert [build.returncode for build in builds] == [0, 0], said
        assert server.total == texts(sandbox)


def test_errors_are_counted_over_all_parts(tmp_path: Path) -> None:
    """Two parts: in one no answer is missing, in the other a third of them; of all items a few."""

    def script(body: dict[str, Any], nth: int, total: int) -> str:
        return "refusal" if "number 7 " in body["messages"][-1]["content"] else "ok"

    with Server(script=script) as server:
        sandbox = project(tmp_path, server)
        rows = [f'n{i},"review number {i % 1500} of many",3,,train' for i in range(1500)]
        sandbox.write({"data/reviews.csv": ("id,text,stars,mood,split\n" + "\n".join(rows) + "\n").encode()})
        sandbox.replace("teachkit.yml", "name: reviews", "name: reviews\npart_rows: 1000")
        sandbox.write({"prompts/mood/ask.md": prompt("max_error_rate: 0.0007\n")})
        found = results(sandbox, "--select", "+ask")
        assert found["prompt.mood.ask"]["rows"] == 1500
        sandbox.write({"prompts/mood/ask.md": prompt("max_error_rate: 0.0006\n")})
        shown = sandbox("build", "--select", "+ask", code=1)
        assert "1 of 1500 items have no answer" in shown.out


def test_what_an_outage_left_out_is_asked_by_the_next_build_and_that_is_said(tmp_path: Path) -> None:
    down = {"now": True}

    def script(body: dict[str, Any], nth: int, total: int) -> str:
        return "429-long" if down["now"] and "broken" in body["messages"][-1]["content"] else "ok"

    with Server(script=script) as server:
        sandbox = project(tmp_path, server, **{"prompts/mood/ask.md": prompt("max_error_rate: 0.9\n")})
        found = results(sandbox, "--select", "+ask")["prompt.mood.ask"]
        assert found["status"] == "built"
        down["now"] = False
        before = server.total
        assert results(sandbox, "--select", "+ask")["prompt.mood.ask"]["status"] == "built"
        assert server.total > before
        assert results(sandbox, "--select", "+ask")["prompt.mood.ask"]["status"] == "reused"


def test_a_context_that_is_too_small_is_found_by_the_plan(tmp_path: Path, server: Server) -> None:
    sandbox = project(
        tmp_path, server, **{"prices.yml": 'as_of: "2026-11-25"\nmodels: {tiny: {input: 1, output: 1, context: 100}}\n'}
    )
    sandbox("build", "--select", "+reviews")
    (found,) = sandbox("llm", "plan", "--format", "json").json["prompts"]
    assert found["too_long"] == found["requests"] > 0
    assert found["longest"] > 100
    shown = sandbox("llm", "plan")
    assert f"{found['too_long']} requests are too long for tiny" in shown.all
    sandbox.replace("prices.yml", "context: 100", "context: 100000")
    assert "too long" not in sandbox("llm", "plan").all
    assert server.total == 0


def test_a_redaction_that_is_written_while_a_build_runs_sends_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from teachkit.voters.redaction import Redaction

    sandbox = project(tmp_path, server)
    sandbox.write(
        {
            "redaction/names.py": "def mask(text):\n    return '***'\n",
            "prompts/mood/ask.md": prompt("redact: ['redaction/names.py:mask']\n"),
        }
    )
    load = Redaction.cleaner

    def meddled(self: Redaction, root: Path) -> Any:
        sandbox.replace("redaction/names.py", "'***'", "text")
        return load(self, root)

    with monkeypatch.context() as patch:
        patch.setattr(Redaction, "cleaner", meddled)
        shown = sandbox("build", "--select", "+ask", code=1).out
    assert "'redaction/names.py', or what it imports, was written after the project was read" in shown
    assert server.total == 0
    sandbox.replace("redaction/names.py", "return text", "return '***'")
    sandbox("build", "--select", "+ask")
    assert server.total
