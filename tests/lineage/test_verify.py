"""What an audit must notice, and what it must let pass: every test changes one thing in a project that was built."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.lineage.audit.verify_labels import chosen_rows, first_difference
from tests.lineage.forger import Forger, changed
from tests.lineage.test_explain import FILES, git
from tests.llm.server import Server
from tests.sandbox import REVIEWS, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

MOODS = """
    label_models:
      - name: moods
        task: mood
        type: dawid_skene
      - {name: shares, task: mood, type: majority, unlabeled: drop, voters: [praise, blame]}
      - {name: tuned, task: mood, type: one_coin, gold: tune, prefer_gold: true}
    """
CURATOR = '{"item": "r004", "label": "good", "annotator": "eva", "at": "2026-01-02T03:04:05Z"}\n'
MORE: dict[str, str | bytes | None] = {
    "label_models/mood.yml": MOODS,
    "annotations/mood/eva.jsonl": CURATOR,
    "annotations/mood/_meta.yml": "files: {eva.jsonl: {role: curator}}\n",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    sandbox = Sandbox(tmp_path_factory.mktemp("audit") / "reviews", {**REVIEWS, **MORE})
    sandbox("build")
    sandbox("build", "--select", "moods")
    return sandbox


@pytest.fixture
def project(whole: Sandbox, tmp_path: Path) -> Sandbox:
    return whole.copy(tmp_path / "reviews")


@pytest.fixture
def forger(project: Sandbox) -> Forger:
    return Forger(project)


def verify(project: Sandbox, *options: str, code: int = 0) -> Any:
    found = project("audit", "verify", "--format", "json", *options, code=code).json
    assert found["holds"] == (code == 0)
    return found


def broken(project: Sandbox, *options: str) -> Any:
    """What does not hold; the text must name the same."""
    found = verify(project, *options, code=1)["broken"]
    said = project("audit", "verify", *options, code=1).out
    assert f"DOES NOT HOLD: {found['problem']}\n" in said
    return found


def tree(folder: Path) -> dict[str, bytes]:
    """All files but the cache, which any reading may fill."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and "cache" not in p.parts
    }


# ---------------------------------------------------------------------------- what holds


def test_a_whole_project_holds_and_nothing_is_touched(project: Sandbox) -> None:
    before = tree(project.root)
    found = verify(project, "--all", "--from-sources")
    assert found["label_sets"] == ["moods", "shares", "tuned"]
    checked = found["checked"]
    assert (checked["runs"], checked["environments"], checked["locked"]) == (2, 1, 3)
    assert checked["objects"] == len(list(project.root.glob(".teachkit/objects/??/*.parquet")))
    dropped = len(project.rows("shares"))
    assert dropped < 40
    assert checked["rows"] == 80 + dropped
    assert found["notes"] == []
    assert tree(project.root) == before


def test_a_sample_is_the_same_each_time_and_said(project: Sandbox) -> None:
    found = verify(project, "--sample", "2")
    assert found["checked"]["rows"] == 6
    assert found["checked"]["objects"] <= 6
    assert "a sample: of each label set 2 objects and rows" in found["notes"][0]
    assert verify(project, "--sample", "2") == found


def test_a_sample_of_what_cannot_be_read(project: Sandbox, forger: Forger) -> None:
    key = forger.object("transform.reviews")
    data = forger.path(key).read_bytes()
    forger.path(key).write_bytes(data[:-1] + b"?")
    found = broken(project, "--sample", "1")
    assert (found["step"], found["path"]) == ("objects", f".teachkit/objects/{key[:2]}/{key}.parquet")


def test_one_label_set_alone(project: Sandbox, forger: Forger) -> None:
    forger.path(forger.object("label_set.moods")).unlink()
    assert verify(project, "--label-set", "shares")["checked"]["locked"] == 1
    assert broken(project, "--label-set", "shares", "--label-set", "moods")["label_set"] == "moods"


def test_multichoice_sparse_people_unicode_and_a_project_without_git(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "shop", FILES)
    judged = [f"r{1 + i % 6:03d},{('good', 'bad', 'mixed')[i % 3]},a{i}" for i in range(60)]
    sandbox.write({"annotations/mood/crowd.csv": "item,label,annotator\n" + "\n".join(judged) + "\n"})
    sandbox("build")
    found = verify(sandbox, "--from-sources")
    assert found["label_sets"] == ["coins", "moods", "shares", "topics"]
    assert (found["checked"]["rows"], found["notes"]) == (32, [])
    forger = Forger(sandbox)
    key = forger.object("label_set.topics")
    forger.rewrite(key, lambda table: changed(table, "model_label", 6, ["taste"]))
    forger.admit("label_set.topics")
    found = broken(sandbox)
    assert (found["step"], found["item"], found["column"]) == ("labels", "r100", "model_label")
    assert (found["stored"], found["derived"]) == (["taste"], ["size"])


SEVEN = ("грусть", "joy", "怒り", "peur", "ruhe", "x y", "z'z")


def test_seven_labels_in_four_parts_with_gold_in_files_and_a_crowd(tmp_path: Path) -> None:
    rows = [f'k{i}é,"{SEVEN[i % 7]} слово {i % 13}",{SEVEN[i % 7] if i % 3 == 0 else ""}' for i in range(2500)]
    rules = "".join(f'  - {{name: w{i}, label: "{label}", regex: "{label}"}}\n' for i, label in enumerate(SEVEN))
    truth = [json.dumps({"item": f"k{i}é", "label": SEVEN[(i + 1) % 7], "annotator": "g"}) for i in range(40)]
    crowd = [f"k{i * 37 % 2500}é,{SEVEN[i % 7]},p{i % 60}" for i in range(300)]
    task = "name: t, labels: ['грусть', joy, '怒り', peur, ruhe, 'x y', \"z'z\"], dataset: ref('items'), key: ключ"
    files = {
        "teachkit.yml": "name: seven\npart_rows: 1000\n",
        "data/d.csv": "\n".join(["ключ,text,answer", *rows, ""]),
        "sources/s.yml": "sources: [{name: s, tables: [{name: d, path: data/d.csv, key: ключ}]}]\n",
        "transforms/items.sql": "select \"ключ\", text, answer from {{ source('s', 'd') }}\n",
        "tasks/t.yml": f"tasks: [{{{task}, gold: {{column: answer}}, splits: {{hash: {{tune: 20%, test: 20%}}}}}}]\n",
        "labeling_functions/t/w.yml": f"labeling_functions:\n{rules}",
        "labeling_functions/t/ones.sql": "{{ config(label='joy') }}\ntext like '%1%'\n",
        "annotations/t/g.jsonl": "\n".join([*truth, ""]),
        "annotations/t/c.csv": "\n".join(["item,label,annotator", *crowd, ""]),
        "annotations/t/_meta.yml": "files: {g.jsonl: {role: gold}}\n",
        "label_models/m.yml": "label_models:\n"
        "  - {name: seven, task: t, type: dawid_skene, gold: tune, prefer_gold: true}\n"
        "  - {name: weighed, task: t, type: weighted, unlabeled: drop, tie_policy: first}\n",
    }
    sandbox = Sandbox(tmp_path, files)
    sandbox("build")
    forger = Forger(sandbox)
    assert len(forger.node("label_set.seven")["objects"]) == 4
    found = verify(sandbox, "--from-sources", "--all")
    assert (found["checked"]["rows"], found["notes"]) == (5000, [])
    assert verify(sandbox, "--sample", "3")["checked"]["rows"] == 6
    key = forger.object("label_set.seven", 2)
    forger.rewrite(key, lambda table: changed(table, "votes", 5, 99))
    found = broken(sandbox)
    assert (found["step"], found["object"]) == ("lock", key)
    assert "part 2 of label_set.seven holds other rows" in found["problem"]
    forger.admit("label_set.seven")
    found = broken(sandbox)
    assert (found["step"], found["object"], found["column"], found["stored"]) == ("labels", key, "votes", 99)
    assert (
        found["item"] == sandbox.rows("seven")[sum(forger.description(k)["rows"] for k in parts(forger, 2)) + 5]["ключ"]
    )


def parts(forger: Forger, count: int) -> list[str]:
    return [forger.object("label_set.seven", part) for part in range(count)]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_project_of_hardly_any_rows(rows: int, tmp_path: Path) -> None:
    lines = REVIEWS["data/reviews.csv"].splitlines()[: 1 + rows]
    files = {**REVIEWS, **MORE, "data/reviews.csv": "\n".join(lines) + "\n"}
    files |= {"annotations/mood/ann.jsonl": "", "annotations/mood/eva.jsonl": ""}
    sandbox = Sandbox(tmp_path, files)
    sandbox.write({"label_models/mood.yml": MOODS.replace("type: dawid_skene", "type: majority")})
    sandbox("build")
    assert verify(sandbox, "--from-sources")["checked"]["locked"] == 3


def test_labels_of_a_class_of_the_project_are_fitted_again(tmp_path: Path) -> None:
    own = """
        from pathlib import Path

        import numpy as np


        class Odd:
            def fit(self, votes, gold=None, abstain=None):
                print("fitting")
                if Path(__file__).parents[1].joinpath("broken.flag").exists():
                    raise ValueError("no more")
                return self

            def predict_proba(self, votes):
                shares = np.full((votes.n_items, votes.n_labels), 0.25)
                shares[:, 0] = 1 - 0.25 * (votes.n_labels - 1)
                return shares
        """
    sandbox = Sandbox(tmp_path, {**REVIEWS, "label_models/odd.py": own})
    sandbox.write(
        {"label_models/mood.yml": "label_models: [{name: moods, task: mood, type: 'label_models/odd.py:Odd'}]\n"}
    )
    sandbox("build")
    found = verify(sandbox)
    assert found["checked"]["rows"] == 40
    assert "a class of the project: fitted again" in found["notes"][0]
    sandbox.write({"broken.flag": "x"})
    assert "cannot be derived from their votes and parameters: ValueError: no more" in broken(sandbox)["problem"]
    sandbox.write({"broken.flag": None})
    sandbox.replace("label_models/odd.py", "0.25", "0.125")
    found = verify(sandbox)
    assert found["checked"]["rows"] == 0
    assert "not derived again" in found["notes"][0]
    assert "another one by now" in found["notes"][0]


def test_two_targets_share_a_store(project: Sandbox) -> None:
    project("build", "--target", "ci", "--vars", "{low: 1}")
    assert verify(project, "--target", "ci")["checked"]["environments"] == 2
    found = verify(project)
    assert found["checked"]["locked"] == 3
    assert "target 'dev' has other labels published than the lock names" in " ".join(found["notes"])
    environment = project.json_file(".teachkit/refs/ci.json")
    environment["nodes"]["label_set.moods"] = project.json_file(".teachkit/refs/dev.json")["nodes"]["label_set.moods"]
    project.write({".teachkit/refs/ci.json": json.dumps(environment)})
    found = broken(project)
    assert (found["step"], found["node"], found["path"]) == ("runs", "label_set.moods", ".teachkit/refs/ci.json")


def test_the_lock_of_an_older_commit(tmp_path: Path) -> None:
    top = Sandbox(tmp_path, {"README.md": "x"})
    sandbox = Sandbox(tmp_path / "reviews", {**REVIEWS, **MORE, ".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(top.root, "init")
    for number, change in enumerate(["stars >= 4", "stars >= 5"]):
        sandbox.replace("labeling_functions/mood/stars.sql", "stars >= 4", change)
        sandbox("build")
        git(top.root, "add", ".")
        git(top.root, "commit", "-m", f"{number}")
    sandbox.write({"labeling_functions/mood/stars.sql": "this is no SQL"})  # the project of today is not asked
    first, second = git(top.root, "rev-list", "--reverse", "HEAD").split()
    found = [verify(sandbox, "--commit", revision) for revision in ("HEAD~1", "HEAD")]
    assert [one["commit"] for one in found] == [first, second]
    assert all(one["checked"]["rows"] > 80 and one["notes"] == [] for one in found)
    assert f"teachkit.lock of commit {first[:10]}" in sandbox("audit", "verify", "--commit", "HEAD~1").out
    again = [verify(sandbox, "--commit", revision, "--from-sources") for revision in ("HEAD~1", "HEAD")]
    assert all(one["holds"] and one["checked"]["nodes"] > 5 for one in again)  # by the files of each commit
    forger = Forger(sandbox)
    with_first = git(top.root, "show", f"{first}:reviews/teachkit.lock").partition("moods:")[2]
    digest = with_first.partition("digest: ")[2][:64]
    records = [json.loads(p.read_bytes())["record"] for p in sorted(forger.store.glob("runs/0*.json"))]
    (key,) = next(o["objects"] for r in records if (o := r["outputs"]["label_set.moods"])["digest"] == digest)
    forger.rewrite(key, lambda table: changed(table, "votes", 3, 99))
    assert verify(sandbox, "--commit", "HEAD")["holds"]
    assert broken(sandbox, "--commit", "HEAD~1")["object"] == key


@pytest.mark.parametrize("revision", ["nowhere", "--all", "HEAD:teachkit.lock", ""])
def test_a_commit_that_git_does_not_know(revision: str, project: Sandbox) -> None:
    git(project.root, "init")
    said = project("audit", "verify", f"--commit={revision}", code=2).err
    assert f"git has no revision '{revision}'" in said


def test_a_commit_without_a_lock(project: Sandbox) -> None:
    git(project.root, "init")
    git(project.root, "add", "teachkit.yml")
    git(project.root, "commit", "-m", "x")
    assert "there is no teachkit.lock in 'HEAD'" in project("audit", "verify", "--commit", "HEAD", code=2).err


def test_a_store_that_was_never_built(fresh: Sandbox, whole: Sandbox) -> None:
    nothing = "nothing has been built in target 'dev'  [nothing-built]\n  run 'teachkit build' first\n"
    assert fresh("audit", "verify", code=2).err == f"error: {nothing}"
    fresh.write({"teachkit.lock": whole.read("teachkit.lock").encode()})
    assert fresh("audit", "verify", code=2).err == f"error: {nothing}"
    assert "run 'teachkit build --select +moods' first" in fresh("audit", "verify", "--label-set", "moods", code=2).err
    assert not (fresh.root / ".teachkit").exists()


def test_without_a_lock_the_published_labels_are_verified(project: Sandbox) -> None:
    project.write({"teachkit.lock": None})
    found = verify(project)
    assert (found["checked"]["locked"], len(found["label_sets"])) == (0, 3)
    assert found["notes"] == ["there is no teachkit.lock: nothing was held against it"]


@pytest.mark.parametrize(
    ("old", "new", "slug"),
    [("version: 1", "version: 9", "lock-too-new"), ("version: 1", "<<<<<<< HEAD\nversion: 1", "merge-conflict")],
)
def test_a_lock_that_cannot_be_read(old: str, new: str, slug: str, project: Sandbox) -> None:
    project.replace("teachkit.lock", old, new)
    assert f"[{slug}]" in project("audit", "verify", code=2).err


def test_a_lock_that_is_not_utf8(project: Sandbox) -> None:
    project.write({"teachkit.lock": b"\xff"})
    assert "[bad-lock]" in project("audit", "verify", code=2).err


def test_labels_that_were_run_and_not_locked_are_told_of(project: Sandbox) -> None:
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    project("run")
    found = verify(project)
    assert [note for note in found["notes"] if "other labels published" in note]
    assert "comes out otherwise" in broken(project, "--from-sources")["problem"]


# ---------------------------------------------------------------------------- stores of before


def test_a_store_of_before_these_records(project: Sandbox, forger: Forger) -> None:
    """Without digests of definitions and descriptions, locks, recipes: less is checked, and that is said."""

    def older(record: dict[str, Any]) -> None:
        record.pop("definitions", None)
        record.pop("lock", None)
        for output in record.get("outputs", {}).values():
            output.pop("described", None)
            output.pop("fingerprint", None)

    forger.rewrite_records(older)
    for path in forger.store.glob("definitions/*/*.json"):
        definition = json.loads(path.read_bytes())
        del definition["digest"]
        path.write_text(json.dumps(definition))
    for path in forger.store.glob("objects/??/*.json"):
        forger.forget_file_digest(path.stem)
        meta = json.loads(path.read_bytes())
        meta["extra"].pop("recipe", None)
        for about in meta["extra"].get("inputs", {}).values():
            about.pop("described", None)
        path.write_text(json.dumps(meta))
    found = verify(project, "--from-sources")
    assert found["checked"]["rows"] > 80
    notes = " ".join(found["notes"])
    assert "definitions have no recorded digest" in notes
    assert "moods: its fingerprint is not recorded" in notes
    assert "moods: no run recorded what its quality was measured with" in notes
    project.write({"label_models/mood.yml": MOODS.replace("type: dawid_skene", "type: weighted")})
    found = verify(project, "--label-set", "moods")
    assert found["checked"]["rows"] == 0
    assert "how it was made is not recorded (the project defines it otherwise by now)" in " ".join(found["notes"])
    project.write({"labeling_functions/mood/stars.sql": "this is no SQL"})
    assert "how it was made is not recorded" in " ".join(verify(project, "--label-set", "moods")["notes"])


def test_what_a_killed_build_replaced_is_what_the_label_set_read(project: Sandbox, forger: Forger) -> None:
    """The run that made the votes first says other things of them than the label set that was made of them later."""

    def earlier(record: dict[str, Any]) -> None:
        output = record.get("outputs", {}).get("lf.mood.stars")
        if output is not None:
            output["described"] = ["0" * 64]

    forger.rewrite_records(earlier)
    assert verify(project)["holds"]
    for name in ("moods", "shares", "tuned"):
        forger.forget_inputs(f"label_set.{name}")
    assert broken(project)["node"] == "label_set.moods"  # its record of what it read is bound to the chain


def test_a_second_build_with_nothing_reused(project: Sandbox) -> None:
    project("build", "--full-refresh")
    assert verify(project, "--all", "--from-sources")["notes"] == []


# ---------------------------------------------------------------------------- the chain and the environment


def test_a_changed_run_record(project: Sandbox) -> None:
    path = ".teachkit/runs/000001.json"
    project.replace(path, '"target":"dev"', '"target":"dex"')
    found = broken(project)
    assert found["step"] == "runs"
    assert found["path"] == ".teachkit/runs/000002.json"
    assert "does not follow the run before it" in found["problem"]
    project.write({path: b"{"})
    found = broken(project)
    assert (found["step"], found["path"]) == ("runs", path)


def test_an_environment_of_a_run_that_is_not_in_the_chain(project: Sandbox) -> None:
    environment = project.json_file(".teachkit/refs/dev.json")
    project.write({".teachkit/refs/dev.json": json.dumps({**environment, "run": "000009-aaaaaaaa"})})
    found = broken(project)
    assert (found["step"], found["path"]) == ("runs", ".teachkit/refs/dev.json")
    assert "names run 000009-aaaaaaaa, which is not in the chain" in found["problem"]
    project("test")
    last = project("audit", "log", "--limit", "1", "--format", "json").json["runs"][0]["run_id"]
    project.write({".teachkit/refs/dev.json": json.dumps({**environment, "run": last})})
    assert "which published nothing in target 'dev'" in broken(project)["problem"]


@pytest.mark.parametrize(("node", "key"), [("label_set.moods", "digest"), ("lf.mood.stars", "digest")])
def test_an_environment_that_says_other_than_its_run(node: str, key: str, project: Sandbox) -> None:
    environment = project.json_file(".teachkit/refs/dev.json")
    environment["nodes"][node][key] = "f" * 64
    project.write({".teachkit/refs/dev.json": json.dumps(environment)})
    found = broken(project)
    assert (found["step"], found["node"], found["path"]) == ("runs", node, ".teachkit/refs/dev.json")
    assert f"another {key} than run 00000" in found["problem"]


def test_an_environment_in_which_two_nodes_changed_places(project: Sandbox) -> None:
    environment = project.json_file(".teachkit/refs/dev.json")
    one, other = (environment["nodes"][f"lf.mood.{name}"] for name in ("stars", "praise"))
    one["objects"], other["objects"] = other["objects"], one["objects"]
    project.write({".teachkit/refs/dev.json": json.dumps(environment)})
    found = broken(project)
    assert (found["step"], found["path"]) == ("runs", ".teachkit/refs/dev.json")
    assert "has objects of lf.mood.praise that no run made for it" in found["problem"]


def test_an_environment_with_a_label_set_of_no_run(project: Sandbox) -> None:
    environment = project.json_file(".teachkit/refs/dev.json")
    environment["nodes"]["label_set.mine"] = environment["nodes"]["label_set.moods"]
    project.write({".teachkit/refs/dev.json": json.dumps(environment)})
    assert "has label_set.mine, which no run published" in broken(project)["problem"]


def test_an_environment_that_is_no_json(project: Sandbox) -> None:
    project.write({".teachkit/refs/dev.json": b"{"})
    found = broken(project)
    assert found["path"] == ".teachkit/refs/dev.json"
    assert "is damaged" in found["problem"]


# ---------------------------------------------------------------------------- the lock


def lock_lines() -> list[str]:
    return ["task", "fingerprint", "digest", "rows", "labeled", "good", "bad", "accuracy", "low", "n", "macro_f1"]


@pytest.mark.parametrize("key", lock_lines())
def test_every_line_of_the_lock(key: str, project: Sandbox) -> None:
    lines = project.read("teachkit.lock").split("\n")
    start = lines.index("  moods:")
    at = next(i for i, line in enumerate(lines) if i > start and line.strip().startswith(f"{key}:"))
    name, _, value = lines[at].rpartition(" ")
    wrong = "other" if key == "task" else f"{'f' * 63}0" if len(value) == 64 else str(round(float(value) / 2 + 3, 4))
    lines[at] = f"{name} {wrong if key not in ('rows', 'labeled', 'good', 'bad', 'n') else int(float(wrong))}"
    project.write({"teachkit.lock": "\n".join(lines).encode()})
    found = broken(project)
    assert (found["step"], found["label_set"], found["path"]) == ("lock", "moods", "teachkit.lock")
    if key != "digest":
        above = next(i for i in range(at, 0, -1) if lines[i].startswith("    ") and not lines[i].startswith("     "))
        assert found["line"] == above + 1
        assert key in found["problem"]


def test_figures_without_gold_behind_them(project: Sandbox, forger: Forger) -> None:
    """Lock and runs say the same; gold and labels give another figure: that of test is not shown."""
    lock = project.read("teachkit.lock")
    head, _, below = lock.partition("  moods:")
    for split in ("tune", "test"):
        start = below.index(f"{split}:")
        figure = below[below.index("accuracy: ", start) :].split()[1]
        forged = below[:start] + below[start:].replace(f"accuracy: {figure}", "accuracy: 0.1234", 1)
        copy = project.copy(project.root.parent / split)

        def change(record: dict[str, Any], split: str = split) -> None:
            if "moods" in record["lock"]:
                record["lock"]["moods"]["quality"][split]["accuracy"] = 0.1234

        Forger(copy).rewrite_records(change)
        copy.write({"teachkit.lock": f"{head}  moods:{forged}".encode()})
        found = broken(copy)
        assert found["step"] == "lock"
        assert found["line"] is not None
        said = "its quality on test is not what" if split == "test" else f"accuracy on tune 0.1234 -> {figure}"
        assert said in found["problem"]
        assert split == "tune" or figure not in found["problem"]


def test_a_label_set_that_no_run_made(project: Sandbox) -> None:
    project.replace("teachkit.lock", "  moods:", "  other:")
    found = broken(project)
    assert (found["label_set"], found["step"]) == ("other", "lock")
    assert "no run of this store made labels of 'other'" in found["problem"]


def test_what_was_paid_is_told_and_is_no_fault(project: Sandbox) -> None:
    project.replace("teachkit.lock", "cost: 0.0", "cost: 7.5")
    assert "its answers cost 7.5000, runs of this store say 0.0000" in verify(project)["notes"][0]


# ---------------------------------------------------------------------------- objects


@pytest.mark.parametrize(
    "node", ["label_set.moods", "lf.mood.stars", "transform.reviews", "annotations.mood.ann", "annotations.mood.eva"]
)
@pytest.mark.parametrize("place", [0.05, 0.5, 0.9, 1])
def test_a_flipped_byte_anywhere_in_an_object(node: str, place: float, project: Sandbox, forger: Forger) -> None:
    key = forger.object(node)
    data = bytearray(forger.path(key).read_bytes())
    data[int((len(data) - 1) * place)] ^= 1
    forger.path(key).write_bytes(data)
    found = broken(project)
    assert found["step"] in ("objects", "lock")
    assert key in found["path"]


def test_other_bytes_with_the_same_content(project: Sandbox, forger: Forger) -> None:
    import pyarrow.parquet as pq

    key = forger.object("lf.mood.stars")
    path = forger.path(key)
    size = path.stat().st_size
    pq.write_table(pq.read_table(path), path, compression="none")
    forger.redescribe(key, bytes=path.stat().st_size)
    found = broken(project)
    assert size != path.stat().st_size
    assert (found["object"], found["node"]) == (key, "lf.mood.stars")
    assert "other bytes than it was stored with" in found["problem"]


@pytest.mark.parametrize("node", ["label_set.moods", "lf.mood.stars", "transform.reviews"])
@pytest.mark.parametrize("ending", ["parquet", "json"])
def test_a_missing_object(node: str, ending: str, project: Sandbox, forger: Forger) -> None:
    key = forger.object(node)
    forger.path(key, ending).unlink()
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("objects", node, key)
    assert "is missing" in found["problem"]


def test_missing_parameters(project: Sandbox, forger: Forger) -> None:
    key = forger.description(forger.object("label_set.moods"))["extra"]["parameters"]
    forger.path(key).unlink()
    assert broken(project)["object"] == key


def test_a_description_that_is_no_json(project: Sandbox, forger: Forger) -> None:
    key = forger.object("lf.mood.stars")
    forger.path(key, "json").write_text("{")
    found = broken(project)
    assert key in found["path"]


@pytest.mark.parametrize("change", [{"part": 7}, {"node": "lf.mood.blame"}, {"extra": {"answers": None}}])
def test_a_description_is_bound_to_the_chain(change: dict[str, Any], project: Sandbox, forger: Forger) -> None:
    key = forger.object("lf.mood.stars")
    forger.redescribe(key, **change)
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("objects", "lf.mood.stars", key)
    assert "is described otherwise than when it was made" in found["problem"]


def test_types_and_columns_of_a_description(project: Sandbox, forger: Forger) -> None:
    key = forger.object("lf.mood.stars")
    forger.redescribe(key, types={"vote": "int16"})
    assert "says of" in broken(project)["problem"]
    forger.redescribe(key, types={"vote": "int8"}, columns={**forger.description(key)["columns"], "more": "0" * 64})
    assert "other content than it was stored with: more" in broken(project)["problem"]


def test_a_vote_with_its_description(project: Sandbox, forger: Forger) -> None:
    key = forger.object("lf.mood.stars")
    forger.rewrite(key, lambda table: changed(table, "vote", 4, 1 - max(0, table.column("vote")[4].as_py())))
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("objects", "lf.mood.stars", key)
    assert "is described otherwise than when it was made" in found["problem"]
    forger.rewrite_records(undescribed)
    forger.forget_inputs("label_set.moods")
    found = broken(project)
    assert (found["node"], found["object"]) == ("lf.mood.stars", key)
    assert "hold other content than run 000001-" in found["problem"]


def undescribed(record: dict[str, Any]) -> None:
    for output in record.get("outputs", {}).values():
        output.pop("described", None)


def test_a_vote_that_the_runs_admit_to(project: Sandbox, forger: Forger) -> None:
    """Object, description, chain and environment agree: the key of the label set still names the votes of before."""
    key = forger.object("lf.mood.stars")
    forger.rewrite(key, lambda table: changed(table, "vote", 4, 1 - max(0, table.column("vote")[4].as_py())))
    forger.admit("lf.mood.stars")
    found = broken(project)
    assert (found["step"], found["node"]) == ("objects", "label_set.moods")
    assert "the content of one of" in found["problem"]
    assert "lf.mood.stars" in found["problem"]


def test_an_item_with_its_description(project: Sandbox, forger: Forger) -> None:
    key = forger.object("transform.reviews")
    forger.rewrite(key, lambda table: changed(table, "text", 4, "a lamp, and no more"))
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("objects", "transform.reviews", key)


def test_an_object_that_no_label_set_needs(project: Sandbox) -> None:
    project("build", "--vars", "{low: 1}")
    project("build")
    forger, needed = Forger(project), set[str]()
    for path in forger.store.glob("objects/??/*.json"):
        meta = json.loads(path.read_bytes())
        needed |= {path.stem} if meta["node"] != "lf.mood.stars" else set()
    (other,) = {
        p.stem for p in forger.store.glob("objects/??/*.json") if json.loads(p.read_bytes())["node"] == "lf.mood.stars"
    } - {forger.object("lf.mood.stars")}
    forger.path(other).write_bytes(b"PAR1")
    assert verify(project)["holds"]
    found = broken(project, "--all")
    assert (found["object"], found["label_set"]) == (other, None)


# ---------------------------------------------------------------------------- definitions


@pytest.mark.parametrize("node", ["lf.mood.stars", "lf.mood.short_praise", "label_set.moods", "transform.reviews"])
def test_one_line_of_a_definition(node: str, project: Sandbox, forger: Forger) -> None:
    path = forger.definition(node)
    definition = json.loads(path.read_bytes())
    definition["text"] += "\n-- nobody wrote this"
    path.write_text(json.dumps(definition))
    found = broken(project)
    assert (found["step"], found["node"], found["path"]) == (
        "definitions",
        node,
        f".teachkit/{path.relative_to(forger.store)}",
    )
    assert "is not what run 000001-" in found["problem"]


def test_a_definition_that_the_chain_does_not_know_has_a_digest_of_its_own(project: Sandbox, forger: Forger) -> None:
    forger.rewrite_records(lambda record: record.pop("definitions", None))
    assert verify(project)["notes"] == []
    path = forger.definition("lf.mood.stars")
    path.write_text(path.read_text().replace("stars >= 4", "stars >= 5"))
    assert "is not what its own digest says" in broken(project)["problem"]


def test_a_missing_definition(project: Sandbox, forger: Forger) -> None:
    forger.definition("lf.mood.stars").unlink()
    found = broken(project)
    assert (found["step"], found["node"]) == ("definitions", "lf.mood.stars")
    assert "is missing" in found["problem"]


# ---------------------------------------------------------------------------- labels


def test_a_posterior_with_its_description(project: Sandbox, forger: Forger) -> None:
    key = forger.object("label_set.moods")
    forger.rewrite(key, lambda table: changed(table, "posterior", 2, {"good": 0.5, "bad": 0.5}))
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("lock", "label_set.moods", key)
    assert "other rows than run 00000" in found["problem"]


def test_a_posterior_that_everything_admits_to(project: Sandbox, forger: Forger) -> None:
    """Object, description, chain, environment and lock agree: only the votes know better. One bit is enough."""
    key = forger.object("label_set.moods")
    before: dict[str, float] = {}

    def nudge(table: pa.Table) -> pa.Table:
        import math

        before.update(table.column("posterior")[7].as_py())
        return changed(table, "posterior", 7, {**before, "bad": math.nextafter(before["bad"], 2)})

    forger.rewrite(key, nudge)
    forger.admit("label_set.moods")
    found = broken(project)
    assert (found["step"], found["node"], found["object"]) == ("labels", "label_set.moods", key)
    assert (found["item"], found["column"], found["derived"]) == ("r008", "posterior.bad", before["bad"])
    assert found["stored"] != before["bad"]
    assert "item 'r008'" in found["problem"]
    holds = [verify(project, "--sample", str(n), code=int(7 in chosen(forger, n)))["holds"] for n in (1, 20, 39, 40)]
    assert holds[-1] is False


def chosen(forger: Forger, count: int) -> list[int]:
    return chosen_rows(forger.node("label_set.moods")["digest"], 40, count)


@pytest.mark.parametrize(
    ("row", "column", "value"), [(3, "label", "bad"), (3, "decided_by", "model"), (7, "votes", 9), (7, "id", "r999")]
)
def test_any_column_of_a_row(row: int, column: str, value: Any, project: Sandbox, forger: Forger) -> None:
    """Row 3 is what the curator decided."""
    forger.rewrite(forger.object("label_set.tuned"), lambda table: changed(table, column, row, value))
    forger.admit("label_set.tuned")
    found = broken(project, "--label-set", "tuned")
    if column in ("label", "id"):
        assert found["step"] == "lock"  # its class counts, its item's gold
        return
    assert (found["step"], found["column"], found["stored"]) == ("labels", column, value)
    assert found["item"] == f"r{row + 1:03d}"


def test_rows_that_are_gone(project: Sandbox, forger: Forger) -> None:
    key = forger.object("label_set.shares")
    forger.rewrite(key, lambda table: table.slice(0, table.num_rows - 1))
    forger.admit("label_set.shares")
    assert "rows fewer" in broken(project, "--label-set", "shares")["problem"]
    project.write({"teachkit.lock": None})
    assert "are derived" in broken(project, "--label-set", "shares")["problem"]


def test_parameters_that_no_fit_gives(project: Sandbox, forger: Forger) -> None:
    key = forger.description(forger.object("label_set.moods"))["extra"]["parameters"]

    def change(table: pa.Table) -> pa.Table:
        kept = json.loads(table.column("parameters")[0].as_py())
        return pa.table({"parameters": [json.dumps([{**kept[0], "iterations": 3}])]})

    forger.rewrite(key, change)
    found = broken(project)
    assert (found["step"], found["object"]) == ("objects", key)
    forger.rewrite_records(undescribed)
    found = broken(project)
    assert (found["step"], found["object"]) == ("labels", key)
    assert "a fit to the votes gives other parameters" in found["problem"]


def test_parameters_that_give_other_rows(project: Sandbox, forger: Forger) -> None:
    """It is the stored parameters that rows are derived from, not those of the second fit."""
    key = forger.description(forger.object("label_set.moods"))["extra"]["parameters"]

    def change(table: pa.Table) -> pa.Table:
        kept = json.loads(table.column("parameters")[0].as_py())
        return pa.table({"parameters": [json.dumps([{**kept[0], "prior": kept[0]["prior"][::-1]}])]})

    forger.rewrite(key, change)
    forger.rewrite_records(undescribed)
    found = broken(project)
    assert (found["step"], found["node"], found["item"]) == ("labels", "label_set.moods", "r001")
    assert found["column"] == "confidence"


# ---------------------------------------------------------------------------- from the sources


def test_a_source_that_is_another_one_by_now(project: Sandbox) -> None:
    project.replace("data/reviews.csv", 'r002,"broken on arrival"', 'r002,"arrived broken, all"')
    assert verify(project)["holds"]
    before = tree(project.root)
    found = broken(project, "--from-sources")
    assert (found["step"], found["node"], found["path"]) == ("sources", "source.shop.reviews", "data/reviews.csv")
    assert tree(project.root) == before


def test_a_rule_that_is_another_one_by_now(project: Sandbox) -> None:
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars >= 5")
    found = broken(project, "--from-sources")
    assert (found["node"], found["path"], found["line"]) == ("lf.mood.stars", "labeling_functions/mood/stars.sql", 1)
    assert (found["item"], found["column"], found["stored"], found["derived"]) == ("r005", "vote", 0, -1)


def test_a_rule_that_is_written_otherwise_and_says_the_same(project: Sandbox) -> None:
    project.replace("labeling_functions/mood/stars.sql", "stars >= 4", "stars > 3")
    assert verify(project, "--from-sources")["holds"]


def test_a_transform_that_is_another_one_by_now_shows_no_text(project: Sandbox) -> None:
    project.replace("transforms/reviews.sql", "id, text,", "id, upper(text) as text,")
    found = broken(project, "--from-sources")
    assert (found["node"], found["item"], found["column"]) == ("transform.reviews", "r001", "text")
    assert (found["stored"], found["derived"]) == (None, None)
    project.replace("transforms/reviews.sql", "length(text) > 0", "stars > 1")
    assert "rows instead of 40" in broken(project, "--from-sources")["problem"]


def test_other_columns_another_declaration_and_another_judgment(project: Sandbox) -> None:
    with project.changed({"transforms/reviews.sql": "select *, 1 as more from {{ source('shop', 'reviews') }}"}):
        found = broken(project, "--from-sources")
    assert "part 0 has other columns" in found["problem"]
    declared = project.read("sources/shop.yml").replace("{type: integer,", "{type: bigint,")
    with project.changed({"sources/shop.yml": declared.encode()}):
        found = broken(project, "--from-sources")
    assert (found["node"], found["path"]) == ("source.shop.reviews", "sources/shop.yml")
    assert "its files, or its definition, are other ones" in found["problem"]
    project.replace("annotations/mood/ann.jsonl", '"r003", "label": "good"', '"r003", "label": "bad"')
    found = broken(project, "--from-sources")
    assert (found["node"], found["column"]) == ("annotations.mood.ann", "code")
    assert (found["stored"], found["derived"], found["item"]) == (0, 1, None)


def test_a_node_that_fails_when_it_is_made_again(project: Sandbox) -> None:
    project.replace("labeling_functions/mood/style.py", 'return "love"', 'raise ValueError("no")\n    return "love"')
    found = broken(project, "--from-sources")
    assert (found["node"], found["path"]) == ("lf.mood.short_praise", "labeling_functions/mood/style.py")
    assert "cannot be made again" in found["problem"]


def test_a_label_set_that_the_project_makes_no_more(project: Sandbox) -> None:
    project.write({"label_models/mood.yml": MOODS.replace("{name: shares", "{name: parts")})
    assert "makes no label set 'shares' any more" in broken(project, "--from-sources")["problem"]


def test_prompts_are_answered_from_what_is_kept_and_nothing_is_asked(tmp_path: Path) -> None:
    from tests.build.test_prompts import project as with_prompt

    with Server() as server:
        sandbox = with_prompt(tmp_path / "live", server)
        sandbox("build")
        asked = len(server.seen)
        assert verify(sandbox, "--from-sources")["checked"]["nodes"] > 5
        recorded = sandbox.copy(tmp_path / "recorded")
        recorded.replace("sources/shop.yml", "path: data/reviews.csv", "path: data/reviews.csv\n        record: true")
        recorded("build", "--llm", "record")
        shutil.rmtree(recorded.root / ".teachkit/llm")
        assert verify(recorded, "--from-sources")["holds"]
        shutil.rmtree(recorded.root / "recordings")
        found = broken(recorded, "--from-sources")
        assert len(server.seen) == asked
    assert found["node"] == "prompt.mood.ask"
    assert found["path"] == "prompts/mood/ask.md"
    forger = Forger(sandbox)
    answers = forger.description(forger.object("prompt.mood.ask"))["extra"]["answers"]
    forger.rewrite(answers, lambda table: changed(table, "request", 0, "f" * 64))
    found = broken(sandbox)
    assert (found["step"], found["node"], found["object"]) == ("objects", "prompt.mood.ask", answers)


def test_answers_that_cannot_be_read(tmp_path: Path, server: Server) -> None:
    from tests.build.test_prompts import project as with_prompt

    sandbox = with_prompt(tmp_path, server)
    sandbox("build")
    kept = sandbox.root / ".teachkit/llm/responses.sqlite"
    for path in kept.parent.glob("responses.sqlite-*"):
        path.unlink()
    kept.write_bytes(b"no database" * 1000)
    found = broken(sandbox, "--from-sources")
    assert found["path"] == "llm/responses.sqlite"
    assert kept.read_bytes().startswith(b"no database")


@pytest.fixture
def server() -> Any:
    with Server() as running:
        yield running


# ---------------------------------------------------------------------------- arithmetic


@given(st.text(max_size=5), st.integers(0, 200), st.integers(1, 50))
def test_chosen_rows_are_different_and_always_the_same(seed: str, total: int, count: int) -> None:
    found = chosen_rows(seed, total, count)
    assert found == sorted(set(found)) == chosen_rows(seed, total, count)
    assert len(found) == min(total, count)
    assert all(0 <= row < total for row in found)


VALUES = st.lists(st.floats(allow_nan=True) | st.none(), min_size=1, max_size=12)


@given(VALUES, st.data())
def test_the_first_difference_is_the_first_bit_that_differs(values: list[float | None], data: st.DataObject) -> None:
    table = pa.table({"a": pa.array(values, pa.float64()), "b": list(range(len(values)))})
    assert first_difference(table, table) is None
    row = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.floats(allow_nan=True) | st.none())
    found = first_difference(table, changed(table, "a", row, other))
    if repr(other) == repr(values[row]):
        assert found is None
    else:
        assert found is not None
        assert (found.row, found.column) == (row, "a")


def test_zeros_of_two_signs_and_types_of_two_widths_differ() -> None:
    assert first_difference(pa.table({"a": [1.0, 0.0]}), pa.table({"a": [1.0, -0.0]})) is not None
    narrow = pa.table({"a": pa.array([1], pa.int8())})
    found = first_difference(narrow, pa.table({"a": pa.array([1], pa.int16())}))
    assert found is not None
    assert (found.stored, found.derived) == ("int8", "int16")
