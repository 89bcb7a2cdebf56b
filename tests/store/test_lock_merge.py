"""Two branches' locks: what one side changed is taken, what both changed is nobody's."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teachkit.errors import BadLock, LockTooNew
from teachkit.store.lock import Lock, LockedLabels, render_lock
from teachkit.store.lock_merge import has_marks, merge_locks, merge_marked, merge_texts
from tests.store.test_lock import SPAM

NAMES = ["a", "moods", "ü 1", "yes", "z"]


def version(number: int) -> LockedLabels:
    """One of a few contents of a label set, which differ in every line that git could mix."""
    return replace(
        SPAM,
        task=f"t{number}",
        fingerprint=f"{number:064d}",
        digest=f"{number + 100:064d}",
        rows=number,
        labeled=number,
        classes={"ham": number, f"spam {number}": number},
        quality={f"tune {number}": {"accuracy": number / 10, "n": number}},
        cost=number / 10,
    )


LOCKS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3).map(version)).map(Lock)
BASES = st.none() | LOCKS


@given(BASES, LOCKS, LOCKS)
def test_it_does_not_matter_who_merges_whom(base: Lock | None, one: Lock, other: Lock) -> None:
    assert merge_locks(base, one, other) == merge_locks(base, other, one)


@given(BASES, LOCKS)
def test_what_both_made_the_same_is_that(base: Lock | None, lock: Lock) -> None:
    assert merge_locks(base, lock, lock).lock == lock


@given(LOCKS, LOCKS)
def test_what_one_side_left_alone_is_as_the_other_made_it(base: Lock, changed: Lock) -> None:
    found = merge_locks(base, base, changed)
    assert (found.lock, dict(found.left_out)) == (changed, {})


@given(BASES, LOCKS, LOCKS)
def test_every_label_set_is_one_sides_or_left_out_with_a_reason(base: Lock | None, one: Lock, other: Lock) -> None:
    found = merge_locks(base, one, other)
    for name in NAMES:
        before = base.label_sets.get(name) if base else None
        sides = [side.label_sets.get(name) for side in (one, other)]
        changed = [side for side in sides if side != before]
        if name in found.left_out:
            assert name not in found.lock.label_sets
            assert sides[0] != sides[1]
            assert base is None or len(changed) == 2
        elif base is not None:
            assert found.lock.label_sets.get(name) == (changed or [before])[0]
        else:
            assert found.lock.label_sets.get(name) == sides[0] == sides[1]


def test_the_reasons() -> None:
    one, two, three = (Lock({"a": version(n)}) for n in (1, 2, 3))
    none = Lock()
    assert merge_locks(one, two, three).left_out == {"a": "was changed on both sides"}
    assert merge_locks(none, two, three).left_out == {"a": "was changed on both sides"}
    assert merge_locks(one, none, two).left_out == {"a": "was deleted on one side and changed on the other"}
    assert "nothing says which of them changed it" in merge_locks(None, one, two).left_out["a"]
    assert "was added there or deleted" in merge_locks(None, one, none).left_out["a"]
    assert merge_locks(one, none, one) == merge_locks(one, none, none) == merge_locks(none, none, none)


def test_a_side_without_a_file_has_no_label_sets() -> None:
    one, two = (render_lock(Lock({"a": version(n)})) for n in (1, 2))
    assert merge_texts(None, one, "").lock.label_sets == {"a": version(1)}
    assert merge_texts(one, None, one).lock == Lock()
    assert merge_texts(one, None, two).left_out == {"a": "was deleted on one side and changed on the other"}
    assert "nothing says" in merge_texts("<<<<<<< a\n", one, two).left_out["a"]
    with pytest.raises(LockTooNew):
        merge_texts(one, one, two.replace("version: 1", "version: 2"))
    with pytest.raises(LockTooNew):
        merge_texts(one.replace("version: 1", "version: 2"), one, two)


def merged_by_git(base: Lock, ours: Lock, theirs: Lock, style: str) -> str:
    with TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for path, lock in zip(paths, (ours, base, theirs), strict=True):
            path.write_bytes(render_lock(lock).encode())
        done = subprocess.run(["git", "merge-file", "-p", *style.split(), *paths], capture_output=True, check=False)
        return done.stdout.decode()


@pytest.mark.parametrize("style", ["", "--diff3", "--zdiff3"])
def test_marks_are_read_and_no_figure_is_a_mixture(style: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(LOCKS, LOCKS, LOCKS)
    def check(base: Lock, ours: Lock, theirs: Lock) -> None:
        text = merged_by_git(base, ours, theirs, style)
        if not has_marks(text):
            return
        found, true = merge_marked(text), merge_locks(base, ours, theirs)
        assert found.lock.label_sets.items() <= true.lock.label_sets.items()
        assert set(true.left_out) <= set(found.left_out)
        missing = set(true.lock.label_sets) - set(found.lock.label_sets)
        assert missing <= set(found.left_out)

    check()


def test_the_base_between_the_marks_decides() -> None:
    base = Lock({"a": version(1), "b": version(1)})
    ours, theirs = Lock({"a": version(2), "b": version(1)}), Lock({"a": version(1), "b": version(2)})
    text = merged_by_git(base, ours, theirs, "--diff3")
    hunk = "<<<<<<< o\n{}||||||| b\n{}=======\n{}>>>>>>> t\n"
    head, _, _ = render_lock(base).partition("\n  a:")
    bodies = [render_lock(lock).removeprefix(head) for lock in (ours, base, theirs)]
    text = head + "\n" + hunk.format(*(body.removeprefix("\n") for body in bodies))
    for ends in ("\n", "\r\n"):
        found = merge_marked(text.replace("\n", ends))
        assert (found.lock, dict(found.left_out)) == (Lock({"a": version(2), "b": version(2)}), {})


def test_a_label_set_that_lies_partly_within_marks_is_left_out() -> None:
    """Git may have merged its other lines from both sides."""
    text = render_lock(Lock({"ü 1": version(1), "z": version(1)}))
    line = "    rows: 1\n"
    hunk = "<<<<<<< o\n    rows: 2\n||||||| b\n    rows: 1\n=======\n    rows: 1\n>>>>>>> t\n"
    first, _, second = text.rpartition(line)
    found = merge_marked(first + hunk + second)
    assert found.lock.label_sets == {"z": version(1)}
    assert found.left_out == {"ü 1": "lies partly within the marks of the conflict"}


@pytest.mark.parametrize(
    "marks",
    [
        "=======\n",
        ">>>>>>> t\n",
        "<<<<<<< o\n",
        "<<<<<<< o\n>>>>>>> t\n",
        "<<<<<<< o\n<<<<<<< o\n",
        "<<<<<<< o\n=======\n=======\n",
        "<<<<<<< o\n=======\n||||||| b\n>>>>>>> t\n",
    ],
)
def test_marks_that_do_not_belong_together(marks: str) -> None:
    with pytest.raises(BadLock, match="mark"):
        merge_marked(render_lock(Lock({"a": version(1)})) + marks)


def test_a_side_that_is_no_lock() -> None:
    text = render_lock(Lock({"a": version(1)}))
    for more, problem in (
        ("<<<<<<< o\nx\n=======\n>>>>>>> t\n", "one side of the conflict is no lock: line 21 does not fit"),
        ("<<<<<<< o\n=======\n  a:\n>>>>>>> t\n", "names 'a' a second time"),
    ):
        with pytest.raises(BadLock, match=problem):
            merge_marked(text + more)
    with pytest.raises(LockTooNew):
        merge_marked(text.replace("version: 1", "<<<<<<< o\nversion: 1\n=======\nversion: 2\n>>>>>>> t"))
