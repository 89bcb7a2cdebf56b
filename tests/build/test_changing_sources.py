"""Sources that are written while a build reads them: what was made of them is never kept under another content."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from teachkit.build import execute, tables
from teachkit.build.execute import Executor
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOTES = "id,note\nr001,fine\nr002,sad\n"
OTHER = "id,note\nr001,sad\nr002,fine\nr003,sad\n"
SOURCE = """
    sources:
      - name: desk
        tables:
          - {name: notes, path: "data/notes*.csv"TESTS}
    """
NODE = "source.desk.notes"
CONSUMERS: dict[str, tuple[str, dict[str, str]]] = {
    "a transform": ("transform.noted", {"transforms/noted.sql": "select id, note from {{ source('desk', 'notes') }}"}),
    "an aggregate": (
        "transform.noted",
        {"transforms/noted.sql": "select note, count(*) as n from {{ source('desk', 'notes') }} group by note"},
    ),
    "a labeling function": (
        "lf.mood.noted",
        {
            "labeling_functions/mood/noted.sql": """
                select r.id, case n.note when 'fine' then 'good' else 'bad' end as label
                from {{ ref('reviews') }} r join {{ source('desk', 'notes') }} n on n.id = r.id
                """
        },
    ),
    "a test in SQL": ("test.few", {"tests/few.sql": "select id from {{ source('desk', 'notes') }} where id = 'r003'"}),
    "a test of a column": (
        "test.desk.notes.accepted_values.id",
        {
            "sources/desk.yml": SOURCE.replace(
                "TESTS", ", columns: {id: {tests: [{accepted_values: {values: [r001, r002]}}]}}"
            )
        },
    ),
    "a test that is never kept": (
        "test.desk.notes.freshness.at",
        {
            "data/notes.csv": "id,note,at\nr001,fine,2999-01-01 00:00:00\n",
            "sources/desk.yml": SOURCE.replace("TESTS", ", freshness: {column: at, error_after: 1 days}"),
        },
    ),
}


def project(root: Path, files: dict[str, str] | None = None) -> Sandbox:
    common = {**REVIEWS, "data/notes.csv": NOTES, "sources/desk.yml": SOURCE.replace("TESTS", "")}
    return Sandbox(root, {**common, **(files or {})})


def before_reading(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something happen when a build is about to read the source; its content is known by then."""
    view = Executor.view

    def meddled(self: Executor, node_id: str) -> None:
        if node_id == NODE and node_id not in self._views:
            change()
        view(self, node_id)

    monkeypatch.setattr(Executor, "view", meddled)


def said(outcome: Any, sandbox: Sandbox, node: str) -> str:
    found = sandbox.result(node)
    assert found["status"] == "error", outcome
    return str(found["message"])


@pytest.mark.parametrize("name", CONSUMERS)
def test_nothing_is_kept_of_a_source_that_changed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node, files = CONSUMERS[name]
    sandbox, undisturbed = project(tmp_path / "a", files), project(tmp_path / "b", files)
    first = sandbox.read("data/notes.csv")
    with monkeypatch.context() as patch:
        before_reading(patch, lambda: sandbox.write({"data/notes.csv": first.replace("r001", "r003")}))
        message = said(sandbox.build(code=1), sandbox, node)
    assert message.startswith("sources/desk.yml:4:9: source 'desk.notes' changed while the build ran: data/notes.csv")
    assert "[source-changed]" in message
    assert not (sandbox.root / "teachkit.lock").exists()
    sandbox.write({"data/notes.csv": first})
    undisturbed.build()
    assert sandbox.build()[node] in ("built", "passed")
    assert sandbox.published() == undisturbed.published()


@pytest.mark.parametrize("also", [(), ("--full-refresh",), ("--sample", "100")])
def test_nothing_is_kept_of_a_dataset_that_changed(
    also: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"tasks/mood.yml": REVIEWS["tasks/mood.yml"].replace("ref('reviews')", "source('shop', 'reviews')")}
    sandbox, undisturbed = project(tmp_path / "a", files), project(tmp_path / "b", files)
    first = sandbox.read("data/reviews.csv")
    materialise = tables._materialise

    def meddled(*arguments: Any, **more: Any) -> Any:
        sandbox.write({"data/reviews.csv": first.replace("lamp", "lump")})
        return materialise(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(tables, "_materialise", meddled)
        assert "[source-changed]" in said(sandbox.build(*also, code=1), sandbox, "source.shop.reviews")
    sandbox.write({"data/reviews.csv": first})
    for one in (sandbox, undisturbed):
        one.build(*also)
        one.build()
    assert sandbox.published() == undisturbed.published()


def test_a_file_that_was_put_back_had_changed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = project(tmp_path, CONSUMERS["a transform"][1])
    file, kept = tmp_path / "data/notes.csv", tmp_path / "kept.csv"
    check = Executor.check_sources

    def put_back(self: Executor, node: Any) -> None:
        if kept.exists():
            kept.replace(file)
        check(self, node)

    def change() -> None:
        file.rename(kept)
        file.write_text(OTHER)

    before_reading(monkeypatch, change)
    monkeypatch.setattr(Executor, "check_sources", put_back)
    assert "data/notes.csv  [source-changed]" in said(sandbox.build(code=1), sandbox, "transform.noted")
    assert file.read_text() == NOTES


def test_a_file_that_joins_a_glob_changes_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = project(tmp_path, CONSUMERS["a transform"][1])
    before_reading(monkeypatch, lambda: sandbox.write({"data/notes2.csv": OTHER}))
    assert "data/notes2.csv  [source-changed]" in said(sandbox.build(code=1), sandbox, "transform.noted")


def test_a_database_changes_when_its_version_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "{name: notes, database: data/desk.sqlite, table: notes, version: select max(id) from notes}"
    sandbox = project(
        tmp_path,
        {
            **CONSUMERS["a transform"][1],
            "sources/desk.yml": f"sources:\n  - name: desk\n    tables:\n      - {table}\n",
        },
    )

    def insert(*rows: str) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "data/desk.sqlite")) as connection:
            connection.execute("create table if not exists notes (id text, note text)")
            connection.executemany("insert into notes values (?, 'fine')", [(row,) for row in rows])
            connection.commit()

    insert("r002")
    with monkeypatch.context() as patch:
        before_reading(patch, lambda: insert("r001"))
        sandbox.build()  # while the answer stays the same, the table counts as unchanged
    sandbox.write({"transforms/noted.sql": CONSUMERS["an aggregate"][1]["transforms/noted.sql"]})
    with monkeypatch.context() as patch:
        before_reading(patch, lambda: insert("r003"))
        message = said(sandbox.build(code=1), sandbox, "transform.noted")
    assert "changed while the build ran: 'version' has another answer" in message


def test_the_record_of_a_run_has_the_files_that_it_read(tmp_path: Path) -> None:
    """A labeling function replaces a file when all has been read: the build is right, the next one reads it anew."""
    sandbox = project(tmp_path, CONSUMERS["a transform"][1])
    file, new = tmp_path / "data/notes.csv", tmp_path / "new.csv"
    new.write_text(OTHER)
    sandbox.write(
        {
            "labeling_functions/mood/meddler.py": f"""
                from pathlib import Path

                from teachkit import labeling_function


                @labeling_function(label="good")
                def meddler(text: str) -> bool:
                    if Path({str(new)!r}).exists():
                        Path({str(new)!r}).replace({str(file)!r})
                    return False
                """
        }
    )
    sandbox.build()
    assert file.read_text() == OTHER
    record = sandbox.json_file(next((tmp_path / ".teachkit/runs").glob("*.json")).relative_to(tmp_path).as_posix())
    assert record["record"]["sources"][NODE] == {"data/notes.csv": hashlib.sha256(NOTES.encode()).hexdigest()}
    assert len(sandbox.rows("transform.noted")) == 2
    assert {NODE, "transform.noted"} <= sandbox.fresh_nodes()
    assert len(sandbox.rows("transform.noted")) == 3


def test_judgments_that_are_written_while_a_build_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = project(tmp_path / "reviews")
    path = "annotations/mood/eva.jsonl"
    before = '{"item": "r001", "label": "good", "annotator": "eva", "at": "2026-01-01T00:00Z"}\n'
    sandbox.write({path: before})
    make = execute.MAKE["annotations"]

    def meddled(run: Executor, node: Any) -> Any:
        sandbox.write({path: before.replace("good", "bad")})
        return make(run, node)

    with monkeypatch.context() as patch:
        patch.setitem(execute.MAKE, "annotations", meddled)
        found = sandbox("build", "--select", "+annotations.mood.eva", code=1)
    assert f"'{path}' was written after the project was read" in found.out
    sandbox.write({path: before})
    sandbox("build", "--select", "+annotations.mood.eva")
    assert sandbox.rows("annotations.mood.eva")[0]["label"] == "good"


@pytest.mark.parametrize("memo", [False, True])
def test_a_function_that_is_written_while_a_build_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, memo: bool
) -> None:
    from teachkit.build import python_votes

    code = f"""
        from helpers import WORD
        from teachkit import labeling_function


        @labeling_function(label="good", memo={memo})
        def has_word(text: str) -> bool:
            return WORD in text


        @labeling_function(label="bad")
        def never(text: str) -> bool:
            return False
        """
    files = {"labeling_functions/mood/words.py": code, "labeling_functions/mood/helpers.py": "WORD = 'xyzzy'\n"}
    sandbox = project(tmp_path / "reviews", files)
    vote = python_votes.vote_in_python

    def meddled(run: Executor, *more: Any) -> Any:
        sandbox.write({"labeling_functions/mood/helpers.py": "WORD = ''  # everywhere\n"})
        return vote(run, *more)

    with monkeypatch.context() as patch:
        patch.setattr(python_votes, "vote_in_python", meddled)
        found = sandbox("build", "--select", "+has_word", code=1).out
    assert "'labeling_functions/mood/words.py', or what it imports, was written after the project was read" in found
    sandbox.write({"labeling_functions/mood/helpers.py": "WORD = 'xyzzy'\n"})
    sandbox("build", "--select", "+has_word")
    assert sandbox.rows("has_word") == []
    with monkeypatch.context() as patch:  # a comment changes nothing
        meddle = "WORD = 'xyzzy'  # nowhere\n"

        def commented(run: Executor, *more: Any) -> Any:
            sandbox.write({"labeling_functions/mood/helpers.py": meddle})
            return vote(run, *more)

        patch.setattr(python_votes, "vote_in_python", commented)
        sandbox("build", "--full-refresh", "--select", "+has_word")


def test_a_unit_test_of_a_function_that_is_written_meanwhile_has_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from teachkit.build import python_votes

    path = "labeling_functions/mood/words.py"
    code = """
        from teachkit import labeling_function


        @labeling_function(label="good")
        def has_word(text: str) -> bool:
            return "xyzzy" in text
        """
    test = "unit_tests: [{name: u, voter: has_word, rows: [{text: xyzzy}], expect: [good]}]\n"
    sandbox = project(tmp_path / "reviews", {path: code, "tests/u.yml": test})
    vote = python_votes.vote_in_python

    def meddled(run: Executor, *more: Any) -> Any:
        sandbox.replace(path, "xyzzy", "plugh")
        return vote(run, *more)

    sandbox("build", "--select", "+has_word", "--exclude", "u")
    with monkeypatch.context() as patch:
        patch.setattr(python_votes, "vote_in_python", meddled)
        assert "was written after the project was read" in sandbox("build", "--select", "u", code=1).out
    sandbox.replace(path, "plugh", "xyzzy")
    assert "passed  unit_test.u" in sandbox("build", "--select", "u").out


def test_a_file_that_one_of_its_functions_writes_fails_the_others(tmp_path: Path) -> None:
    helpers = tmp_path / "reviews/labeling_functions/mood/helpers.py"
    code = f"""
        from pathlib import Path

        from helpers import WORD
        from teachkit import labeling_function


        @labeling_function(label="good", memo=True)
        def first(text: str) -> bool:
            return WORD in text


        @labeling_function(label="good", memo=True)
        def second(text: str) -> bool:
            Path({str(helpers)!r}).write_text("WORD = 'plugh'")
            return False


        @labeling_function(label="good", memo=True)
        def third(text: str) -> bool:
            return WORD not in text
        """
    files = {"labeling_functions/mood/words.py": code, "labeling_functions/mood/helpers.py": "WORD = 'xyzzy'\n"}
    sandbox = project(tmp_path / "reviews", files)
    shown = sandbox("build", "--select", "+first +second +third", code=1).out
    assert "built   lf.mood.first" in shown
    assert "built   lf.mood.second" in shown  # which does without the helper
    assert "error   lf.mood.third" in shown


def test_a_class_of_a_label_model_that_is_written_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = """
        import numpy as np

        class Sure:
            def fit(self, votes, *, gold=None, abstain=None):
                return self

            def predict_proba(self, votes):
                return np.tile([SURE, 1 - SURE], (votes.n_items, 1))


        SURE = 0.9
        """
    model = "label_models: [{name: sure, task: mood, type: 'label_models/own.py:Sure'}]\n"
    sandbox = project(tmp_path / "reviews", {"label_models/own.py": own, "label_models/sure.yml": model})
    make = execute.MAKE["label_set"]

    def meddled(run: Executor, node: Any) -> Any:
        if node.name == "sure":
            sandbox.replace("label_models/own.py", "SURE = 0.9", "SURE = 0.1")
        return make(run, node)

    with monkeypatch.context() as patch:
        patch.setitem(execute.MAKE, "label_set", meddled)
        found = sandbox("build", "--select", "+sure", code=1).out
    assert "'label_models/own.py', or what it imports, was written after the project was read" in found
    sandbox.replace("label_models/own.py", "SURE = 0.1", "SURE = 0.9")
    sandbox("build", "--select", "+sure")
    assert {row["confidence"] for row in sandbox.rows("sure") if row["label"]} == {0.9}


def test_a_sqlite_database_with_a_log_is_read_and_read_again(tmp_path: Path) -> None:
    """Who reads as root changes the owner of the log, and with it the time of its last change."""
    source = "sources: [{name: desk, tables: [{name: notes, database: data/notes.db, table: notes, key: id}]}]\n"
    sandbox = project(tmp_path, {"sources/desk.yml": source, **CONSUMERS["a transform"][1]})
    writer = sqlite3.connect(tmp_path / "data/notes.db")
    with contextlib.closing(writer):
        writer.execute("pragma journal_mode = wal")
        writer.execute("create table notes (id text, note text)")
        writer.execute("insert into notes values ('r001', 'fine')")
        writer.commit()
        assert (tmp_path / "data/notes.db-wal").stat().st_size
        sandbox.build()
        assert len(sandbox.rows("transform.noted")) == 1
        writer.execute("insert into notes values ('r002', 'sad')")
        writer.commit()
        sandbox.build()
        assert len(sandbox.rows("transform.noted")) == 2


def test_a_source_whose_version_is_the_clock_is_read_with_each_build(tmp_path: Path) -> None:
    source = """
        sources:
          - name: desk
            tables:
              - {name: notes, database: data/notes.duckdb, table: notes, version: "select now()"}
        """
    sandbox = project(tmp_path, {"sources/desk.yml": source, **CONSUMERS["a transform"][1]})
    with duckdb.connect(str(tmp_path / "data/notes.duckdb")) as writer:
        writer.execute(f"create view notes as select * from read_csv('{tmp_path}/data/notes.csv')")
    sandbox.build()
    (tmp_path / "data/notes.csv").write_text(OTHER)
    sandbox.build()
    assert len(sandbox.rows("transform.noted")) == 3


def test_a_build_of_a_part_names_no_files_that_it_did_not_read(tmp_path: Path) -> None:
    sandbox = project(tmp_path, CONSUMERS["a transform"][1])
    sandbox.build()
    (tmp_path / "data/notes.csv").write_text(OTHER)
    sandbox("build", "--select", "moods")
    records = sorted((tmp_path / ".teachkit/runs").glob("*.json"))
    newest = sandbox.json_file(records[-1].relative_to(tmp_path).as_posix())["record"]
    assert NODE not in newest["sources"]
    assert NODE not in newest["outputs"]
