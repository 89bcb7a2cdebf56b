"""teachkit.lock: what is written is read again, and what cannot be trusted is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import BadLock, LockTooNew, MergeConflict, StoreUnwritable
from teachkit.store.lock import Lock, LockedLabels, differences, parse_lock, read_lock, render_lock, write_lock

if TYPE_CHECKING:
    from pathlib import Path

SPAM = LockedLabels(
    task="spam",
    fingerprint="f" * 64,
    digest="ab12" * 16,
    rows=1956,
    labeled=1900,
    classes={"ham": 951, "spam": 949},
    quality={"test": {"accuracy": 0.91, "low": 0.87, "high": 0.94, "n": 196, "macro_f1": None}},
    cost=0.0125,
)
LOCK = Lock({"spam_labels": SPAM})

visible = st.characters(exclude_categories=["C", "Zl", "Zp"])
names = st.text(visible, min_size=1, max_size=12) | st.sampled_from(
    [
        "yes",
        "null",
        "1",
        "a: b",
        "a#b",
        '"',
        "\\",
        "ümlaut",
        " lead",
        "no",
        "-",
        "~",
        "\n",
        "\x85",
        "\u2028\xa0\U00010000",
        "\udcff",
    ]
)
counts = st.integers(0, 10**9)
shares = st.integers(0, 10**4).map(lambda n: n / 10**4)
label_sets = st.builds(
    LockedLabels,
    task=names,
    fingerprint=st.text("0123456789abcdef", min_size=64, max_size=64),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    rows=counts,
    labeled=counts,
    classes=st.dictionaries(names, counts, max_size=4),
    quality=st.dictionaries(names, st.dictionaries(names, st.none() | shares | counts, max_size=3), max_size=2),
    cost=shares,
)
locks = st.builds(Lock, st.dictionaries(names, label_sets, max_size=3))


@given(locks)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    text = render_lock(lock)
    assert parse_lock(text) == lock
    assert render_lock(parse_lock(text)) == text
    assert parse_lock(text.replace("\n", "\r\n")) == lock


@given(locks)
def test_the_file_is_yaml(lock: Lock) -> None:
    tree: dict[str, Any] = yaml.safe_load(render_lock(lock))
    assert tree["version"] == 1
    assert set(tree["label_sets"]) == set(lock.label_sets)
    for name, labels in lock.label_sets.items():
        assert tree["label_sets"][name]["classes"] == labels.classes


def test_the_file_reads_well() -> None:
    assert render_lock(LOCK).splitlines()[2:] == [
        "version: 1",
        "",
        "label_sets:",
        "",
        "  spam_labels:",
        "    task: spam",
        f"    fingerprint: {'f' * 64}",
        f"    digest: {'ab12' * 16}",
        "    rows: 1956",
        "    labeled: 1900",
        "    classes:",
        "      ham: 951",
        "      spam: 949",
        "    quality:",
        "      test:",
        "        accuracy: 0.91",
        "        low: 0.87",
        "        high: 0.94",
        "        n: 196",
        "        macro_f1: null",
        "    cost: 0.0125",
    ]


@pytest.mark.parametrize("mark", ["<<<<<<< HEAD", "||||||| 3f2a", "=======", ">>>>>>> stricter", ">>>>>>>\r"])
def test_marks_of_a_merge_are_called_by_their_name(mark: str) -> None:
    with pytest.raises(MergeConflict, match=r"teachkit\.lock:11: a merge conflict is not resolved(.|\n)*--resolve"):
        parse_lock(render_lock(LOCK).replace("    rows", f"{mark}\n    rows"))


def test_fractions_are_rounded_and_label_sets_sorted() -> None:
    fine = replace(SPAM, quality={"test": {"n": 3, "accuracy": 2 / 3, "low": float("nan"), "high": -0.0}})
    text = render_lock(Lock({"b": fine, "a": SPAM}))
    assert text.index("  a:") < text.index("  b:")
    assert "accuracy: 0.6667\n        low: null\n        high: 0.0\n        n: 3\n" in text


def test_an_unchanged_lock_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "teachkit.lock"
    assert read_lock(path) is None
    assert write_lock(path, LOCK)
    before = path.stat()
    assert not write_lock(path, LOCK)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert read_lock(path) == LOCK
    assert write_lock(path, Lock({}))
    assert read_lock(path) == Lock({})
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_cannot_be_written_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable, match="file"):
        write_lock(tmp_path / "file" / "teachkit.lock", LOCK)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t + t[t.index("  spam_labels") :], "names 'spam_labels' a second time"),
        (lambda t: t.replace("    rows: 1956\n", ""), "'spam_labels' needs exactly task, "),
        (lambda t: t.replace("rows: 1956", "rows: many"), "'spam_labels' has no usable value for rows"),
        (lambda t: t.replace("rows: 1956", "rows: [1956]"), "line 11 holds no value that teachkit writes"),
        (lambda t: t.replace("    rows", "   rows"), "line 11 does not fit"),
        (lambda t: t.replace("    rows", "\t rows"), "line 11 does not fit"),
        (lambda t: t.replace("      ham", "          ham"), "line 14 does not fit"),
        (lambda t: t.replace("version: 1", "version: one"), "it needs 'version' and 'label_sets'"),
        (lambda t: t.replace("label_sets:", "labels:"), "it needs 'version' and 'label_sets'"),
        (lambda t: t.replace("task: spam", "task:"), "'spam_labels' has no usable value for task"),
        (lambda _: "PK\x03\x04", "line 1 does not fit"),
        (lambda _: "", "it needs 'version' and 'label_sets'"),
    ],
)
def test_what_is_no_lock_is_refused(change: Any, problem: str) -> None:
    with pytest.raises(BadLock) as caught:
        parse_lock(change(render_lock(LOCK)))
    assert problem in caught.value.message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "teachkit.lock"
    path.write_bytes(b"version: 1\n\xff\xfe\n")
    with pytest.raises(BadLock, match=r"teachkit\.lock"):
        read_lock(path)


def test_a_newer_lock_is_refused_with_its_own_advice() -> None:
    with pytest.raises(LockTooNew, match="has version 2; this teachkit knows up to 1"):
        parse_lock(render_lock(LOCK).replace("version: 1", "version: 2"))


def test_differences_are_sentences() -> None:
    now = replace(
        SPAM,
        digest="cd34" * 16,
        rows=1959,
        labeled=1899,
        classes={"ham": 951, "spam": 947, "other": 1},
        quality={"test": {**SPAM.quality["test"], "accuracy": 0.9}},
        cost=7.0,
    )
    assert differences(LOCK, LOCK) == []
    assert differences(LOCK, Lock({"spam_labels": replace(SPAM, cost=3.0)})) == []
    assert differences(LOCK, Lock({"spam_labels": now})) == [
        "label set spam_labels: digest was ab12ab12…, is cd34cd34…; 3 rows more; 1 labeled fewer; "
        "spam 949 -> 947; other 0 -> 1; accuracy on test 0.91 -> 0.9"
    ]
    assert differences(LOCK, Lock({"new": SPAM})) == [
        "label set new: is not in teachkit.lock",
        "label set spam_labels: is in teachkit.lock, and the project does not make it",
    ]
    assert "task was spam, is toxic; fingerprint was ffffffff…, is 00000000…" in str(
        differences(LOCK, Lock({"spam_labels": replace(SPAM, task="toxic", fingerprint="0" * 64)}))
    )


def test_rounding_is_no_difference() -> None:
    exact = replace(SPAM, quality={"test": {**SPAM.quality["test"], "accuracy": 0.910000001}})
    assert differences(LOCK, Lock({"spam_labels": exact})) == []


def test_a_doubt_about_the_fit_stands_in_the_file_only_where_there_is_one() -> None:
    doubted = replace(SPAM, doubt="fewer than three voters vote, so nothing shows how far to trust each")
    text = render_lock(Lock({"spam": doubted}))
    assert 'doubt: "fewer than three voters vote' in text
    assert parse_lock(text) == Lock({"spam": doubted})
    assert "doubt" not in render_lock(Lock({"spam": SPAM}))
    (sentence,) = differences(Lock({"spam": SPAM}), Lock({"spam": doubted}))
    assert sentence == f"label set spam: doubt was none, is {doubted.doubt}"
