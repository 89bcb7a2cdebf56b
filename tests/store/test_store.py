"""The store as a whole: opening, definitions, environments, builds that are killed or run at once."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from teachkit.errors import StoreDamaged, StoreTooNew, StoreUnwritable
from teachkit.store import Environment, EnvironmentNode, Store

NODE = EnvironmentNode(fingerprint="f1", definition="o1", objects=["k0", "k1"], digest="d1", items=None)


def test_a_new_store_has_a_format_and_nothing_else(tmp_path: Path) -> None:
    with Store.open(tmp_path / "a" / "store") as store:
        assert (store.root / "format").read_text() == "1\n"
        assert {p.name for p in store.root.rglob("*") if p.is_file()} == {"format"}


def test_a_store_that_is_not_there_reads_as_empty(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", create=False) as store:
        assert store.meta("ab") is None
        assert store.last_run() is None
        assert store.definition("ab") is None
        assert store.read_environment("dev") == {"run": None, "nodes": {}}
        assert store.gc_temporary() == 0
    assert not (tmp_path / "store").exists()


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("2\n")
    with pytest.raises(StoreTooNew, match="has format 2; this teachkit knows up to 1"):
        Store.open(tmp_path)


def test_a_damaged_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreDamaged, match="holds no number"):
        Store.open(tmp_path)


def test_a_file_in_place_of_the_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    for create in (True, False):
        with pytest.raises(StoreUnwritable, match="store"):
            Store.open(tmp_path / "store", create=create)


def test_a_store_that_became_read_only_still_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path) as store:
        store.append_run({"n": 1})
        store.write_environment("dev", Environment(run="r", nodes={"a": NODE}))
        store.cache.put_many({"a": "b"})

    def refuse(path: object, *_: object, **__: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(type(tmp_path), "write_bytes", refuse)
    with Store.open(tmp_path) as store:
        assert store.read_environment("dev")["nodes"] == {"a": NODE}
        assert [run.record for run in store.runs()] == [{"n": 1}]
        for write in (
            lambda: store.append_run({"n": 2}),
            lambda: store.write_environment("dev", Environment(run=None, nodes={})),
            lambda: store.put_definition("text", {"fingerprint": "ab12"}),
        ):
            with pytest.raises(StoreUnwritable, match="Read-only file system"):
                write()


def test_definitions_never_change(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    meta = {"fingerprint": "ab12", "node": "lf.spam.url", "kind": "lf", "path": "a.sql", "compiled": "x"}
    kept = store.put_definition("-- one\nx", meta)
    assert store.put_definition("-- two\nx", {**meta, "path": "b.sql"}) is None
    assert store.definition("ab12") == {**meta, "text": "-- one\nx", "digest": kept}
    assert store.definition("cd34") is None
    path = tmp_path / "definitions" / "ab" / "ab12.json"
    for text in ("", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(StoreDamaged, match="definition"):
            store.definition("ab12")


def test_environments_are_replaced_as_a_whole(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.write_environment("dev", Environment(run="1", nodes={"a": NODE}))
    store.write_environment("prod", Environment(run="2", nodes={}))
    assert store.read_environment("dev") == {"run": "1", "nodes": {"a": NODE}}
    store.update_environment("dev", lambda old: Environment(run="3", nodes={**old["nodes"], "b": NODE}))
    assert store.read_environment("dev") == {"run": "3", "nodes": {"a": NODE, "b": NODE}}
    assert store.read_environment("prod") == {"run": "2", "nodes": {}}


def test_a_failed_publication_keeps_the_last_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(tmp_path)
    store.write_environment("dev", Environment(run="1", nodes={"a": NODE}))

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "replace", full)
        with pytest.raises(StoreUnwritable, match="No space left"):
            store.write_environment("dev", Environment(run="2", nodes={}))
    assert store.read_environment("dev")["run"] == "1"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": null, "nodes": []}', '{"run": 1, "nodes": {"a": 1}}'])
def test_a_damaged_environment_is_named(tmp_path: Path, text: str) -> None:
    store = Store.open(tmp_path)
    store.write_environment("dev", Environment(run=None, nodes={}))
    (tmp_path / "refs" / "dev.json").write_text(text)
    with pytest.raises(StoreDamaged, match=r"dev\.json"):
        store.read_environment("dev")


def test_target_names_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    targets = ["dev", "../../x", "a/b", "a%2fb", "..", "", "ä", "."]
    for target in targets:
        store.write_environment(target, Environment(run=target, nodes={}))
    assert [store.read_environment(target)["run"] for target in targets] == targets
    assert {path.parent for path in tmp_path.rglob("*.json")} == {tmp_path / "refs"}


WRITER = """
import sys, itertools
from pathlib import Path
import pyarrow as pa
from teachkit.store import Store, write_bytes_atomic
root, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = Store.open(root)
print("ready", flush=True)
for n in itertools.count() if rounds < 0 else range(rounds):
    key = f"{n % 256:02x}{n:010d}"
    rows = pa.table({"n": range(2000), "t": [f"row {i}" for i in range(2000)], "by": [name] * 2000})
    store.write_table(key, rows, node="a", part=n)
    store.put_definition(f"text {n}", {"fingerprint": key})
    run, _ = store.append_run({"by": name, "n": n})
    store.update_environment("dev", lambda env: {"run": run, "nodes": {**env["nodes"], f"{name}{n}": {
        "fingerprint": key, "definition": key, "objects": [key], "digest": key}}})
    store.cache.put_many({f"{name}{n}": str(n)})
    print(n, flush=True)
"""


def start(root: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(root), name, str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def assert_whole(root: Path) -> None:
    """Everything that can be seen in the store is whole, and everything that was named is there."""
    with Store.open(root) as store:
        for key in list(store.keys()):
            assert store.verify_object(key) is None
        assert store.verify_chain() is None
        environment = store.read_environment("dev")
        for node in environment["nodes"].values():
            assert all(store.has(key) and store.definition(key) for key in node["objects"])
        names = {run.run_id for run in store.runs()}
        assert environment["run"] is None or environment["run"] in names


def test_kill_leaves_only_whole_things(tmp_path: Path) -> None:
    for moment in range(6):
        writer = start(tmp_path, "w", -1)
        assert writer.stdout is not None
        lines = iter(writer.stdout)
        while (line := next(lines, "")) and line != f"{moment * 2}\n":
            pass
        timer = threading.Timer(0.0017 * moment, writer.kill)  # somewhere inside the next round
        timer.start()
        assert writer.wait() == -9
        timer.join()
        writer.stdout.close()
        assert_whole(tmp_path)
    with Store.open(tmp_path) as store:
        store.append_run({"by": "the next build"})
        assert store.verify_chain() is None


def test_two_builds_at_once_do_not_hurt_each_other(tmp_path: Path) -> None:
    writers = [start(tmp_path, name, 25) for name in ("a", "b")]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert_whole(tmp_path)
    with Store.open(tmp_path) as store:
        runs = list(store.runs())
        assert sorted(run.number for run in runs) == list(range(1, 51))
        for name in ("a", "b"):
            assert [run.record["n"] for run in runs if run.record["by"] == name] == list(range(24, -1, -1))
        assert len(store.read_environment("dev")["nodes"]) == 50
        assert len(list(store.keys())) == 25
        for key in list(store.keys()):
            assert len(set(store.read(key)["by"].to_pylist())) == 1
        names = [f"{name}{n}" for name in ("a", "b") for n in range(25)]
        assert set(store.cache.get_many(names)) == set(names)
    assert not list((tmp_path / "objects" / "tmp").iterdir())


def test_threads_share_a_store(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        threads = [
            threading.Thread(target=lambda n=n: [store.append_run({"n": n, "i": i}) for i in range(5)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(list(store.runs())) == 20
        assert store.verify_chain() is None


def test_opening_a_store_loads_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from teachkit.store import Store\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "store.has('ab'), store.meta('ab'), store.read_environment('dev')\n"
        "heavy = {'pyarrow', 'numpy', 'duckdb', 'sqlglot', 'yaml', 'sqlite3', 'numba'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2])
