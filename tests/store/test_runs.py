"""Run records form one chain, in which no change goes unseen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from teachkit.errors import StoreDamaged
from teachkit.hashing import digest
from teachkit.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(tmp_path)
    for number in range(1, 5):
        store.append_run({"target": "dev", "seconds": 0.1 * number})
    return store


def record(store: Store, number: int) -> Path:
    return store.root / "runs" / f"{number:06d}.json"


def test_an_empty_store_has_no_runs(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    assert list(store.runs()) == []
    assert store.last_run() is None
    assert store.verify_chain() is None


def test_each_run_names_the_one_before(store: Store) -> None:
    runs = list(store.runs())
    assert [run.number for run in runs] == [4, 3, 2, 1]
    assert [run.previous for run in runs] == [*(run.hash for run in runs[1:]), None]
    assert runs[0].record == {"target": "dev", "seconds": 0.4}
    assert store.last_run() == runs[0]
    assert store.verify_chain() is None


def test_the_hash_is_that_of_the_file(store: Store) -> None:
    run_id, name = store.append_run({"at": ("a", 1), "of": frozenset({"b", "a"})})
    assert digest(json.loads(record(store, 5).read_text())) == name
    assert run_id == f"000005-{name[:8]}"
    last = store.last_run()
    assert last is not None
    assert (last.run_id, last.hash) == (run_id, name)
    assert last.record == {"at": ["a", 1], "of": ["a", "b"]}


def test_a_record_that_is_no_json_is_refused_and_changes_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.append_run({"seconds": float("nan")})
    assert len(list(store.runs())) == 4
    assert store.verify_chain() is None


def test_a_changed_record_is_found(store: Store) -> None:
    path = record(store, 2)
    path.write_text(path.read_text().replace('"dev"', '"prod"'))
    broken = store.verify_chain()
    assert broken is not None
    assert broken.path == record(store, 3)
    assert "does not follow the run before it" in broken.problem


def test_a_changed_last_record_is_found(store: Store) -> None:
    path = record(store, 4)
    path.write_text(path.read_text().replace('"dev"', '"prod"'))
    broken = store.verify_chain()
    assert broken is not None
    assert broken.path.name == "HEAD"
    with pytest.raises(StoreDamaged, match="not the run that HEAD names"):
        store.append_run({})


@pytest.mark.parametrize("damage", ["missing", "", "{", "[]", "{}"])
def test_a_missing_or_damaged_record_is_found(store: Store, damage: str) -> None:
    if damage == "missing":
        record(store, 2).unlink()
    else:
        record(store, 2).write_text(damage)
    broken = store.verify_chain()
    assert broken is not None
    assert broken.path == record(store, 2)


def test_swapped_records_are_found(store: Store) -> None:
    one, two = record(store, 1).read_bytes(), record(store, 2).read_bytes()
    record(store, 1).write_bytes(two)
    record(store, 2).write_bytes(one)
    broken = store.verify_chain()
    assert broken is not None
    assert broken.problem.endswith("it holds the record of run 2")


def test_a_lost_or_damaged_head_is_found(store: Store) -> None:
    head = store.root / "runs" / "HEAD"
    head.unlink()
    broken = store.verify_chain()
    assert broken is not None
    assert broken.problem == "it is missing, and there are runs"
    head.write_text("rubbish")
    broken = store.verify_chain()
    assert broken is not None
    assert broken.path == head


def test_a_run_whose_process_died_before_moving_head_joins_the_chain(store: Store) -> None:
    head = store.root / "runs" / "HEAD"
    before = head.read_bytes()
    store.append_run({"target": "killed"})
    head.write_bytes(before)
    store.append_run({"target": "next"})
    assert [run.record["target"] for run in store.runs()][:2] == ["next", "killed"]
    assert store.verify_chain() is None
    head.unlink()
    store.append_run({"target": "last"})
    assert [run.number for run in store.runs()] == [7, 6, 5, 4, 3, 2, 1]
    assert store.verify_chain() is None
