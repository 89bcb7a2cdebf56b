"""The site as files: every link leads somewhere, nothing secret is in it, and odd projects have one, too."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from teachkit import Project
from teachkit.site import ExtraPage, generate
from tests.sandbox import REVIEWS, Sandbox
from tests.site.pages import all_pages, broken, read, search_index

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "<script>alert('x')</script>"
LABELS = ["рад", "悲しい", SCRIPT, "d/e", "e.f", "g h", "i"]
ODD = {
    "teachkit.yml": "name: odd\n",
    "data/a.csv": "Key,text,truth,about,part\n"
    + "".join(
        f'"{key}","{body}",{truth},{about},{part}\n'
        for key, body, truth, about, part in [
            ("a/b", SCRIPT, "i", "size|taste", "tune"),
            ("../../c", "größe good", "d/e", "size", "tune"),
            ("c.d", "good", "i", "", "train"),
            ("日本", "hidden gold is here", "e.f", "taste", "test"),
            ("e'f", "bad bad", "", "taste", "train"),
            ("%2e", "", "g h", "", "test"),
        ]
    ),
    "sources/a.yml": "sources:\n  - name: raw\n    tables:\n"
    "      - {name: a, path: data/a.csv, key: Key, columns: {truth: {type: varchar}}}\n",
    "transforms/rows.sql": "select Key, text, truth, about, upper(truth) as shout, part\n"
    "from {{ source('raw', 'a') }}\n",
    "tasks/all.yml": "tasks:\n"
    f'  - name: feeling\n    description: "{SCRIPT}"\n'
    f"    labels: {json.dumps(LABELS, ensure_ascii=False)}\n"
    "    dataset: ref('rows')\n    key: Key\n    guideline: g.md\n"
    "    gold: {column: truth}\n    splits: {column: part}\n"
    "  - {name: about, kind: multichoice, labels: [size, taste], dataset: ref('rows'), key: Key, show: [text], "
    "gold: {column: about}, splits: {column: part}}\n"
    "  - {name: nogold, labels: [yes_, no_], dataset: ref('rows'), key: Key}\n"
    "  - {name: nosplit, labels: [d/e, i, e.f, g h], dataset: ref('rows'), key: Key, gold: {column: truth}}\n",
    "tasks/g.md": f"# Guide\n\n{SCRIPT}\n",
    "labeling_functions/feeling/r.yml": "labeling_functions:\n"
    "  - {name: gut, label: i, any_of: [good]}\n  - {name: boese, label: d/e, any_of: [bad, größe]}\n"
    f'  - {{name: tag, label: "{SCRIPT}", sql: "text like \'<script%\'"}}\n',
    "labeling_functions/about/r.yml": "labeling_functions:\n  - {name: gross, label: size, any_of: [größe]}\n"
    "  - {name: good, label: taste, any_of: [good, bad]}\n",
    "labeling_functions/nogold/r.yml": "labeling_functions:\n  - {name: a, label: yes_, any_of: [good]}\n"
    "  - {name: b, label: no_, any_of: [bad]}\n",
    "labeling_functions/nosplit/r.yml": "labeling_functions:\n  - {name: c, label: i, any_of: [good]}\n",
    "annotations/feeling/ann.csv": "item,label\na/b,i\n日本,g h\n",
    "annotations/feeling/truth.csv": "item,label\n日本,рад\nc.d,i\n",
    "annotations/feeling/_meta.yml": "files: {truth.csv: {role: gold}}\n",
    "label_models/all.yml": "label_models:\n"
    "  - {name: labels_7, task: feeling, type: dawid_skene, prefer_gold: true}\n"
    "  - {name: dropped, task: feeling, type: majority, unlabeled: drop}\n"
    "  - {name: topics, task: about, type: dawid_skene}\n  - {name: plain, task: nogold, type: majority}\n"
    "  - {name: whole, task: nosplit, type: one_coin}\n",
    "exports/e.yml": "exports:\n  - {name: out, label_set: ref('topics'), format: csv, path: out.csv}\n",
}


def site(project: Sandbox) -> Path:
    project("docs", "generate")
    return project.root / "target/docs"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    project = Sandbox(tmp_path_factory.mktemp("odd") / "p", ODD)
    project("build")
    return project


def test_every_link_leads_to_a_page_and_nothing_leaves_the_site(once: Sandbox) -> None:
    docs = site(once)
    pages = all_pages(docs)
    assert {"index.html", "dag.html", "tests.html", "tasks/mood.html", "nodes/lf.mood.blame.html"} <= set(pages)
    assert sum(name.startswith("items/moods/") for name in pages) == 40
    assert broken(docs, pages) == []
    for title, _, href, _ in search_index(docs):
        path, _, anchor = href.partition("#")
        assert (docs / path).is_file(), title
        assert not anchor or f'id="{anchor}"' in (docs / path).read_text()


def test_pages_say_what_commands_say(once: Sandbox) -> None:
    docs = site(once)
    analysis = once("analyze", "mood", "--format", "json").json
    for row in analysis["voters"]:
        kind = "annotations" if row["kind"] == "annotations" else "lf"
        text = read(docs / f"nodes/{kind}.mood.{row['voter']}.html").text
        assert f"{row['votes']} of 40 items" in text
        assert f"{row['coverage']:.1%} coverage" in text
        if row["accuracy"] is not None:
            assert f"{row['correct']} right, {row['incorrect']} wrong" in text
    item = once("lineage", "moods", "r003", "--format", "json").json
    href = next(e[2] for e in search_index(docs) if e[0] == "r003")
    page = read(docs / href).text
    assert item["label"] in page
    assert f"record {item['sources'][0]['record']}" in page
    for vote in item["votes"]:
        assert f"{vote['voter']} " in page
        assert vote["path"] in page


def test_the_same_project_has_the_same_site(built: Sandbox) -> None:
    docs = site(built)
    before = {p.relative_to(docs): p.read_bytes() for p in docs.rglob("*") if p.is_file()}
    runs = len(list(built.root.glob(".teachkit/runs/*.json")))
    assert {p.relative_to(docs): p.read_bytes() for p in site(built).rglob("*") if p.is_file()} == before
    assert len(list(built.root.glob(".teachkit/runs/*.json"))) == runs  # no look at the test split was taken
    assert sorted(p.name for p in built.root.glob("target/docs*")) == ["docs", "docs.lock"]


def test_data_are_text_on_every_page(odd: Sandbox) -> None:
    docs = site(odd)
    pages = all_pages(docs)
    assert broken(docs, pages) == []
    for name, page in pages.items():
        assert SCRIPT not in (docs / name).read_text(encoding="utf-8"), name
        assert "alert" not in page.data or name == "dag.html"
    assert SCRIPT in read(docs / next(e[2] for e in search_index(docs) if e[0] == "a/b")).text
    task = next(e[2] for e in search_index(docs) if e[0] == "feeling")
    assert read(docs / task).text.count(SCRIPT) >= 3  # description, label, guideline


def test_every_key_has_a_page_below_the_folder(odd: Sandbox) -> None:
    docs = site(odd)
    keys = {e[0] for e in search_index(docs) if e[1] == "item of labels_7"}
    assert keys == {"a/b", "../../c", "c.d", "日本", "e'f", "%2e"}
    assert all(p.resolve().is_relative_to(docs.resolve()) for p in docs.rglob("*"))


def test_gold_of_the_test_split_is_nowhere(odd: Sandbox) -> None:
    docs = site(odd)
    hidden = next(e[2] for e in search_index(docs) if e[0] == "日本" and e[1] == "item of labels_7")
    text = read(docs / hidden).text
    assert "kept back: the item is in the test split" in text
    row = text.partition("Posterior")[0]
    assert "e.f" not in row  # the gold column
    assert "E.F" not in row  # what is made of it
    assert "truth.csv" not in text.partition("Votes")[2].partition("Source")[0]  # a file of gold
    seen = next(e[2] for e in search_index(docs) if e[0] == "a/b" and e[1] == "item of labels_7")
    assert "gold i" in read(docs / seen).text
    gold_file = next(e[2] for e in search_index(docs) if e[0] == "truth")
    assert "рад" not in read(docs / gold_file).text
    assert "No gold outside the test split" in read(docs / "nodes/label_set.whole.html").text
    assert not any("split test" in read(page).text for page in (docs / "items/whole").iterdir())
    assert any("split test" in read(page).text for page in (docs / "items/labels_7").iterdir())
    assert "truth.csv" in read(docs / gold_file).text


def test_multichoice_shows_each_label_by_itself(odd: Sandbox) -> None:
    docs = site(odd)
    text = read(docs / "nodes/label_set.topics.html").text
    assert "rightly given" in text
    assert "posterior of size" in text
    assert "posterior of taste" in text
    assert "about" in read(docs / "nodes/lf.about.good.html").text


def test_items_of_which_no_label_holds_say_so_and_are_calibrated_as_analyze_says(tmp_path: Path) -> None:
    topics = ["red", "round", "red|round", ""]
    rows = "".join(f"{n},{topics[n % 4].replace('|', ' ')},{topics[n * 7 % 4] or 'old'},tune\n" for n in range(24))
    judged = "".join(json.dumps({"item": n, "label": [] if n % 3 else ["old"]}) + "\n" for n in range(24))
    project = Sandbox(
        tmp_path,
        {
            "teachkit.yml": "name: multi\n",
            "data/a.csv": "id,text,topics,part\n" + rows,
            "sources/a.yml": "sources:\n  - {name: raw, tables: [{name: a, path: data/a.csv, key: id}]}\n",
            "tasks/t.yml": "tasks:\n  - {name: t, kind: multichoice, labels: [red, round, old], key: id, show: [text], "
            "dataset: \"source('raw', 'a')\", gold: {column: topics}, splits: {column: part}}\n",
            "labeling_functions/t/r.yml": "labeling_functions:\n  - {name: red, label: red, any_of: [red]}\n"
            "  - {name: round, label: round, any_of: [round]}\n",
            "annotations/t/ann.jsonl": judged,
            "label_models/m.yml": "label_models:\n  - {name: m, task: t, type: dawid_skene, gold: tune}\n",
        },
    )
    project("build")
    text = read(site(project) / "nodes/label_set.m.html").text
    assert "no spans" not in text
    assert "none of them" in text
    assert "72 rows" in read(project.root / "target/docs/nodes/annotations.t.ann.html").text
    calibration = project("analyze", "t", "--gold", "tune", "--format", "json").json["calibration"]
    assert f"{calibration['labeled']} answers, expected calibration error {calibration['expected_error']:.4g}" in text


def test_learned_accuracies_say_whether_the_model_was_told_gold(built: Sandbox) -> None:
    page = "nodes/lf.mood.praise.html"
    text = read(site(built) / page).text
    assert "without gold" in text
    assert "told the gold of tune" not in text
    built.write({"label_models/mood.yml": "label_models:\n  - {name: moods, task: mood, gold: tune}\n"})
    built("build")
    text = read(site(built) / page).text
    assert "told the gold of tune" in text
    assert "without gold" not in text


def test_a_label_set_that_leaves_items_out_has_its_own_rows(odd: Sandbox) -> None:
    docs = site(odd)
    kept = {row["Key"] if "Key" in row else row["key"] for row in odd.rows("dropped")}
    assert {e[0] for e in search_index(docs) if e[1] == "item of dropped"} == kept
    assert len(kept) < 6


def test_a_project_that_was_never_built_says_so(fresh: Sandbox) -> None:
    docs = site(fresh)
    assert "Nothing is built in target dev" in read(docs / "index.html").text
    pages = all_pages(docs)
    assert broken(docs, pages) == []
    assert "not built" in pages["nodes/lf.mood.blame.html"].text
    assert "broken" not in pages["nodes/label_set.moods.html"].text
    assert not any(name.startswith("items/") for name in pages)
    assert not (fresh.root / ".teachkit/objects").exists()


def test_what_changed_since_the_build_is_marked(built: Sandbox) -> None:
    built.replace("labeling_functions/mood/refund.sql", "refund", "money back")
    docs = site(built)
    assert "changed since it was built" in read(docs / "nodes/lf.mood.refund.html").text
    assert "changed since it was built" in read(docs / "nodes/label_set.moods.html").text
    assert "changed since it was built" not in read(docs / "nodes/lf.mood.blame.html").text
    built.replace("transforms/reviews.sql", "> 0", "> 12")
    built("run", "--select", "reviews")
    assert broken(site(built), all_pages(site(built))) == []
    assert "No figures" in read(docs / "nodes/lf.mood.blame.html").text  # its votes are about other rows
    built.replace("tasks/mood.yml", "[good, bad]", "[good, bad, new]")
    assert "made with another key or other labels" in read(site(built) / "nodes/label_set.moods.html").text


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_rows(fresh: Sandbox, rows: int) -> None:
    head, *lines = REVIEWS["data/reviews.csv"].splitlines()
    fresh.write(
        {
            "data/reviews.csv": "\n".join([head, *lines[2 : 2 + rows]]) + "\n",
            "tests/labeled_once.sql": None,
            "annotations/mood/ann.jsonl": None,
        }
    )
    fresh("build", code=None)
    docs = site(fresh)
    assert broken(docs, all_pages(docs)) == []
    assert len(list(docs.glob("items/*/*.html"))) == rows


def test_failing_tests_come_first(built: Sandbox) -> None:
    built.replace("label_models/mood.yml", "accuracy: {min: 0.5}", "accuracy: {max: 0.5}")
    built("build", code=1)
    docs = site(built)
    first = read(docs / "index.html").text
    assert "What went wrong" in first
    assert "at most 0.5 wanted" in first
    assert first.index("What went wrong") < first.index("Tasks")
    assert read(docs / "tests.html").text.partition("declared in")[2].split()[0] == "failed"


def test_nothing_of_this_machine_is_in_it(built: Sandbox) -> None:
    secret = "sk-very-secret-value"
    built.replace("labeling_functions/mood/refund.sql", "{{ says('refund') }}", "{{ says(env_var('WORD')) }}")
    built("build", env={"WORD": secret})
    found = built("docs", "generate", env={"WORD": secret})
    assert found.code == 0
    for path in (built.root / "target/docs").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret.encode() not in data, path
            assert str(built.root).encode() not in data, path
    text = read(built.root / "target/docs/nodes/lf.mood.refund.html").text
    assert text.count("env_var('WORD')") >= 2  # as it is written, and in the place of its value


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_history_of_the_lock_is_drawn_and_what_cannot_be_read_is_counted(built: Sandbox) -> None:
    lock = built.read("teachkit.lock")
    built.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(built.root, "init", "-q")
    for number, text in enumerate((lock, "no lock\n", None, lock.replace("rows: 40", "rows: 39"))):
        built.write({"teachkit.lock": text if text is None else text.encode()})
        git(built.root, "add", "-A")
        git(built.root, "commit", "-qm", f"step <{number}> | \x01 'x'")
    task = read(site(built) / "tasks/mood.html")
    assert "2 states of the lock" in task.text
    assert "1 commit left out" in task.text
    assert "step <0>" in task.text
    assert "step <3>" in task.text
    assert "svg" in task.tags
    built.write({"teachkit.lock": lock.encode()})
    assert "not committed" in read(site(built) / "tasks/mood.html").text


def test_pages_of_others_are_in_the_navigation(built: Sandbox) -> None:
    with Project.load(built.root).workspace() as work:
        docs = generate(
            work, items=3, extra_pages=[ExtraPage("What <changed>", "diff.html", "<p id='own'>two labels</p>")]
        )
    assert "two labels" in read(docs / "diff.html").text
    assert "own" in (docs / "diff.html").read_text()
    for name in ("index.html", "tasks/mood.html"):
        page = read(docs / name)
        assert "What <changed>" in page.text
        assert any(link.endswith("diff.html") for link in page.links)
    assert len(list(docs.glob("items/*/*.html"))) == 3


def test_a_folder_of_others_is_left_alone(built: Sandbox) -> None:
    shutil.rmtree(built.root / "target/docs", ignore_errors=True)
    built.write({"target/docs/mine.txt": b"mine"})
    found = built("docs", "generate", code=2)
    assert "no site of teachkit's" in found.err
    assert built.read("target/docs/mine.txt") == "mine"
    built.write({"target/docs/mine.txt": None})
    site(built)
    assert "removed target/" in built("clean").out


def test_a_site_that_cannot_be_finished_leaves_the_one_before(built: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = site(built)
    before = (docs / "index.html").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "index.html")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_text", full)
        assert "No space left" in built("docs", "generate", code=2).err
    assert (docs / "index.html").read_bytes() == before
    assert not (built.root / "target/docs.new").exists()


def test_a_lock_with_a_conflict_is_an_error(built: Sandbox) -> None:
    built.write({"teachkit.lock": ("<<<<<<< ours\n" + built.read("teachkit.lock")).encode()})
    assert "[merge-conflict]" in built("docs", "generate", code=2).err


# ---------------------------------------------------------------------------- what changed


@pytest.fixture
def branched(built: Sandbox) -> Sandbox:
    """The project committed on main, with one changed labeling function in the work tree."""
    built.write({".gitignore": ".teachkit/\ntarget/\noutput/\n"})
    git(built.root, "init", "-q")
    git(built.root, "add", "-A")
    git(built.root, "commit", "-qm", "first")
    built.write({"labeling_functions/mood/stars.sql": "case when stars >= 2 then 'good' end\n"})
    return built


def test_a_page_says_what_the_present_files_do_to_the_labels(branched: Sandbox) -> None:
    looks = "select count(*) as n from audit.runs where command = 'look'"
    before = branched("sql", looks, "--format", "json").json["rows"]
    branched("docs", "generate")
    page = branched.read("target/docs/changes.html")
    assert "lost theirs" in page
    assert "lf.mood.stars" in page
    assert "<style" not in page
    assert "accuracy on tune" in page
    assert "on test" not in page
    assert branched("sql", looks, "--format", "json").json["rows"] == before
    assert 'href="changes.html"' in branched.read("target/docs/index.html")


def test_the_page_of_changes_may_be_left_out_and_have_another_base(branched: Sandbox) -> None:
    branched("docs", "generate", "--no-changes")
    assert not (branched.root / "target/docs/changes.html").exists()
    git(branched.root, "commit", "-qam", "second")
    branched("docs", "generate", "--base", "HEAD")
    assert "No label changes" in branched.read("target/docs/changes.html")
    found = branched("docs", "generate", "--base", "nowhere", code=2)
    assert "git has no revision 'nowhere'" in found.err


def test_without_anything_to_compare_with_there_is_no_page_of_changes(built: Sandbox) -> None:
    assert built("docs", "generate").err == ""
    assert not (built.root / "target/docs/changes.html").exists()
    git(built.root, "init", "-q")
    assert built("docs", "generate").err.startswith("no page of changes: git has no revision 'HEAD'")
    assert not (built.root / "target/docs/changes.html").exists()
