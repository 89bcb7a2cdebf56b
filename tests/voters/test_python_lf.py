"""Python labeling functions in real child processes."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from teachkit.errors import LabelingFunctionFailed, LabelingFunctionNotLoaded, RunError
from teachkit.voters.python_lf import PythonJob, PythonPool, PythonResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILE = "labeling_functions/spam/style.py"
HOME = Path(__file__).parents[2]
LABELS = ("ham", "spam")
TEXTS = ["hello", "BUY NOW", None, "größe ✓ 你好", "see http://x"]

SOURCE = """
    import ctypes, os
    from teachkit import labeling_function
    import helpers
    from shared.words import WORDS
    from .beside import LIMIT

    @labeling_function(label="spam")
    def shouting(text):
        return text is not None and text.isupper()

    def by_label(text):
        print("noise", flush=True)
        os.write(1, b"more noise")
        if text is None:
            return None
        return "spam" if "http" in text else "ham"

    def constant(text, word="hello"):
        return text == word

    def helped(text):
        return helpers.is_greeting(text) and "hello" in WORDS and LIMIT == 3

    def unicode(text):
        return bool(text) and text.startswith("größe ✓")

    def two(text, n):
        return isinstance(n, int) and n > 3

    def raises(text):
        if text == "BUY NOW":
            raise ValueError("cannot read 'BUY NOW'\\nsecond line")
        return None

    def quits(text):
        if text is None:
            raise SystemExit(3)

    def exits(text):
        if text == "BUY NOW":
            os._exit(3)

    def crashes(text):
        if text == "BUY NOW":
            ctypes.string_at(0)

    def hangs(text):
        while text == "BUY NOW":
            pass

    def typo(text):
        return "spma" if text is None else None

    def leaks(text):
        return text

    def true_without_label(text):
        return True

    def number(text):
        return 1

    def batch_bool(text):
        import pyarrow.compute as pc
        return pc.match_substring(text, "http")

    def batch_list(text):
        return ["spam" if t == "BUY NOW" else None for t in text.to_pylist()]

    def batch_numpy(text):
        import numpy as np
        return np.array([t == "hello" for t in text.to_pylist()])

    def batch_short(text):
        return [True]

    def batch_raises(text):
        raise KeyError("BUY NOW")

    def batch_typo(text):
        return [None, None, "hamm", None, None][:len(text)]

    def batch_nothing(text):
        return None

    def many(text):
        return [] if text is None else (["spam", "ham"] if "BUY" in text else {"ham": True, "spam": False})
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    folder = root / "labeling_functions/spam"
    folder.mkdir(parents=True)
    (root / FILE).write_text(textwrap.dedent(SOURCE), encoding="utf-8")
    (folder / "helpers.py").write_text("def is_greeting(text):\n    return text == 'hello'\n")
    (folder / "beside.py").write_text("LIMIT = 3\n")
    (folder / "broken.py").write_text("import no_such_module_here\ndef f(text): return None\n")
    (folder / "string.py").write_text("raise RuntimeError('a file must not hide the standard library')\n")
    (root / "shared").mkdir()
    (root / "shared/words.py").write_text("import string\nWORDS = ['hello']\n")
    topic = root / "labeling_functions/topic"
    topic.mkdir()
    (topic / "helpers.py").write_text("NAME = 'topic'\n")
    (topic / "other.py").write_text("import helpers\ndef f(text):\n    return helpers.NAME == 'topic'\n")
    return root


@pytest.fixture(scope="module")
def pool(root: Path) -> Iterator[PythonPool]:
    with PythonPool(root, workers=2, timeout=20, batch_rows=2) as pool:
        yield pool


def table(texts: Sequence[str | None] = TEXTS) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([f"k{i}" for i in range(len(texts))], pa.string()),
            "text": pa.array(texts, pa.string()),
            "n": pa.array(range(len(texts)), pa.int64()),
        }
    )


def job(function: str, **changes: Any) -> PythonJob:
    facts: dict[str, Any] = {"columns": ("text",), "label": "spam", **changes}
    return PythonJob(f"lf.spam.{function}", facts.pop("path", FILE), function, **facts)


def run(pool: PythonPool, *jobs: PythonJob, **options: Any) -> list[PythonResult]:
    rows = options.pop("table", None)
    found = list(pool.run(jobs, table() if rows is None else rows, key="id", labels=LABELS, **options))
    assert [name for name, _ in found] == [job.id for job in jobs]
    return [result for _, result in found]


def codes(result: PythonResult) -> list[int]:
    assert result.error is None, result.error
    assert result.codes is not None
    return [int(code) for code in result.codes]


def failure(result: PythonResult) -> RunError:
    assert result.error is not None
    assert result.codes is None
    return result.error


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (job("shouting"), [-1, 1, -1, -1, -1]),
        (job("by_label", label=None), [0, 0, -1, 0, 1]),
        (job("constant"), [1, -1, -1, -1, -1]),
        (job("helped"), [1, -1, -1, -1, -1]),
        (job("unicode", label="ham"), [-1, -1, -1, 0, -1]),
        (job("two", columns=("text", "n")), [-1, -1, -1, -1, 1]),
        (job("batch_bool", batch=True), [-1, -1, -1, -1, 1]),
        (job("batch_list", batch=True), [-1, 1, -1, -1, -1]),
        (job("batch_numpy", batch=True), [1, -1, -1, -1, -1]),
    ],
    ids=lambda value: value.function if isinstance(value, PythonJob) else "",
)
def test_votes(pool: PythonPool, job: PythonJob, expected: list[int]) -> None:
    assert codes(run(pool, job)[0]) == expected


@pytest.mark.parametrize(
    ("job", "key", "problem"),
    [
        (job("raises"), "k1", "raised ValueError: cannot read '…'"),
        (job("quits"), "k2", "raised SystemExit: 3"),
        (job("exits"), "k1", "exited with code 3"),
        (job("crashes"), "k1", "was killed by signal 11 (SIGSEGV)"),
        (job("hangs", timeout=0.5), "k1", "did not return within 0.5 s"),
        (job("typo"), "k2", "returned 'spma', which is not a label of the task,"),
        (job("leaks"), "k0", "returned a text, which is not a label of the task,"),
        (job("true_without_label", label=None), "k0", "returned True, but names no label"),
        (job("number"), "k0", "returned an int, which is neither a label nor True, False or None"),
        (job("batch_short", batch=True), "k0", "returned 1 values for 2 rows, in the batch of 2 rows starting"),
        (job("batch_raises", batch=True), "k0", "raised KeyError: '…', in the batch of 2 rows starting"),
        (job("batch_nothing", batch=True), "k0", "returned a NoneType, which is not one answer for each row"),
    ],
    ids=lambda value: value.function if isinstance(value, PythonJob) else "",
)
def test_a_failure_names_the_row_and_fails_that_function_alone(
    pool: PythonPool, job: PythonJob, key: str, problem: str
) -> None:
    bad, good = run(pool, job, PythonJob("lf.spam.shouting", FILE, "shouting", ("text",), "spam"))
    error = failure(bad)
    assert isinstance(error, LabelingFunctionFailed)
    assert f"labeling function '{job.function}' {problem}" in error.message
    assert error.message.endswith(f"at the item with key '{key}'")
    assert not any(text in str(error) for text in TEXTS if text)
    assert error.where is not None
    assert error.where.path == FILE
    assert codes(good) == [-1, 1, -1, -1, -1]


def test_an_exception_names_its_line(pool: PythonPool) -> None:
    error = failure(run(pool, job("raises"))[0])
    lines = textwrap.dedent(SOURCE).splitlines()
    assert error.where is not None
    assert error.where.line is not None
    assert "raise ValueError" in lines[error.where.line - 1]


def test_a_wrong_label_in_a_batch_names_its_row(root: Path) -> None:
    with PythonPool(root, workers=1) as pool:
        error = failure(run(pool, job("batch_typo", batch=True))[0])
    assert error.message.endswith("at the item with key 'k2'")
    assert "Did you mean 'ham'?" in error.advice


def test_the_first_failing_batch_is_the_one_that_is_named(pool: PythonPool) -> None:
    rows = table(["a", "b", "c", "d", None, "e", None])
    for _ in range(3):
        assert failure(run(pool, job("typo"), table=rows)[0]).message.endswith("key 'k4'")


def test_no_rows_give_no_votes(pool: PythonPool) -> None:
    result = run(pool, job("raises"), table=table([]))[0]
    assert codes(result) == []


def test_a_multichoice_task_gets_yes_and_no_for_each_label(pool: PythonPool) -> None:
    result, single = run(pool, job("many", label=None), job("shouting"), multi=True)
    assert result.answers is not None
    assert single.answers is not None
    assert {code: list(a) for code, a in result.answers.items()} == {0: [1, 1, -1, 1, 1], 1: [0, 1, -1, 0, 0]}
    assert {code: list(a) for code, a in single.answers.items()} == {1: [-1, 1, -1, -1, -1]}


def test_a_file_that_cannot_be_imported_fails_its_functions_alone(pool: PythonPool) -> None:
    bad, good = run(pool, job("f", path="labeling_functions/spam/broken.py"), job("shouting"))
    error = failure(bad)
    assert isinstance(error, LabelingFunctionNotLoaded)
    assert "No module named 'no_such_module_here'" in error.message
    assert error.where is not None
    assert error.where.line == 1
    assert codes(good) == [-1, 1, -1, -1, -1]


def test_helpers_of_one_name_in_two_folders_do_not_mix(pool: PythonPool) -> None:
    mine, theirs = run(pool, job("helped"), job("f", path="labeling_functions/topic/other.py"))
    assert codes(mine) == [1, -1, -1, -1, -1]
    assert codes(theirs) == [1, 1, 1, 1, 1]


def test_dictionary_columns_and_chunks_are_read(pool: PythonPool) -> None:
    chunks = pa.chunked_array([pa.array(["a", "B"]).dictionary_encode(), pa.array(["C", None]).dictionary_encode()])
    rows = pa.table({"id": pa.array(range(4)), "text": chunks})
    assert codes(run(pool, job("shouting"), table=rows)[0]) == [-1, 1, 1, -1]


def test_an_abandoned_run_ends_its_children_and_the_pool_goes_on(root: Path) -> None:
    with PythonPool(root, workers=2, batch_rows=2) as pool:
        results = pool.run([job("shouting"), job("hangs")], table(), key="id", labels=LABELS)
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert codes(run(pool, job("shouting"))[0]) == [-1, 1, -1, -1, -1]
        pids = [child.process.pid for child in pool.children]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_children_print_nothing_to_standard_output(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with PythonPool(root, workers=1) as pool:
        run(pool, job("by_label"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "noise" in err


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends children with their parent on Linux only")
def test_children_die_with_a_parent_that_is_killed(root: Path) -> None:
    script = f"""
from pathlib import Path
import pyarrow as pa
from teachkit.voters.python_lf import PythonJob, PythonPool
OPTIONS = {{"key": "id", "labels": ["spam"]}}
pool = PythonPool(Path({str(root)!r}), workers=1)
table = pa.table({{"id": ["a"], "text": ["hello"]}})
list(pool.run([PythonJob("lf.spam.x", {FILE!r}, "shouting", ("text",), "spam")], table, **OPTIONS))
print(pool.children[0].process.pid, pool._folder.name, flush=True)
list(pool.run([PythonJob("lf.spam.x", {FILE!r}, "hangs", ("text",), "spam")],
     pa.table({{"id": ["a"], "text": ["BUY NOW"]}}), **OPTIONS))
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=HOME, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, scratch = parent.stdout.readline().split()
        handle = os.pidfd_open(int(pid))
        try:
            parent.send_signal(signal.SIGKILL)
            assert select.select([handle], [], [], 10)[0] == [handle]
        finally:
            os.close(handle)
    shutil.rmtree(scratch)
