"""A project as it was at a revision: what its folder holds, that it compiles, that nothing else is touched."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from teachkit.build.revisions.checkout import checked_out
from teachkit.build.revisions.locked import lock_at
from teachkit.build.revisions.revision import WORKING_TREE, at_revision, working_tree
from teachkit.build.run import BuildOptions
from teachkit.errors import (
    BadLock,
    GitFailed,
    MergeConflict,
    NoGit,
    NotAProject,
    ProjectErrors,
    ShallowClone,
    UnknownRevision,
)
from tests.build.test_git import STARS, git
from tests.sandbox import REVIEWS, Sandbox, reviews_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.build.revisions.revision import Revision

OPTIONS = BuildOptions()
IGNORED = ".teachkit/\ntarget/\noutput/\n"
FEW = "sources:\n  - {name: few, tables: [{name: few, path: data/few.csv, key: id}]}\n"
LARGE = reviews_csv(40) + "".join(f'x{i:05d},"a lamp {"l" * 100}",3,,train\n' for i in range(9_000))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test's own; afterwards it is empty."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def project(fresh: Sandbox) -> Sandbox:
    """The project in a repository of its own, everything committed."""
    return in_git(fresh)


def in_git(project: Sandbox, top: Path | None = None) -> Sandbox:
    project.write({".gitignore": IGNORED})
    git(top or project.root, "init", "-q", "-b", "main")
    commit(top or project.root, "first")
    return project


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below a folder, of ``.git`` as well: content and time of the last change."""
    found = {}
    for name in sorted(folder.rglob("*")):
        path = name.relative_to(folder).as_posix()
        if ".teachkit/" in path or path.startswith("temporary files/") or (name.is_dir() and not name.is_symlink()):
            continue
        content = os.fsencode(name.readlink()) if name.is_symlink() else name.read_bytes()
        touched = 0 if name.name.startswith("sharedindex") else name.lstat().st_mtime_ns  # that, reading touches
        found[path] = hashlib.sha256(content).hexdigest(), touched
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fingerprints(revision: Revision) -> dict[str, str]:
    assert revision.problem is None
    assert revision.work is not None
    return {n.id: n.fingerprint for n in revision.work.graph}


def fingerprints_at(root: Path, name: str) -> dict[str, str]:
    with at_revision(root, OPTIONS, name) as revision:
        return fingerprints(revision)


def fingerprints_now(root: Path) -> dict[str, str]:
    with working_tree(root, OPTIONS) as revision:
        assert revision.name == WORKING_TREE
        return fingerprints(revision)


# ---------------------------------------------------------------------------- what it is


def test_a_clean_commit_means_what_the_work_tree_means(project: Sandbox) -> None:
    now = fingerprints_now(project.root)
    assert {"lf.mood.short_praise", "annotations.mood.ann", "label_set.moods", "export.train"} <= set(now)
    assert fingerprints_at(project.root, "HEAD") == now


def test_a_commit_is_as_it_was_whatever_is_edited_since(project: Sandbox) -> None:
    first = git(project.root, "rev-parse", "HEAD")
    before = fingerprints_now(project.root)
    project.replace(STARS, "4", "5")
    commit(project.root, "second")
    second = fingerprints_now(project.root)
    project.write({STARS: "case when stars = 1 then 'bad' end", "labeling_functions/mood/words.yml": None})
    with at_revision(project.root, OPTIONS, "HEAD~1") as revision:
        assert (revision.name, revision.commit, revision.git.changed) == ("HEAD~1", first, ())
        assert fingerprints(revision) == before
    assert fingerprints_at(project.root, "main") == second
    assert len({before[i] for i in ("lf.mood.stars", "label_set.moods")} & set(second.values())) == 0


def test_it_has_the_store_and_the_target_of_the_project_as_it_is(project: Sandbox) -> None:
    project.write({"profiles.yml": "default: ci\ntargets:\n  ci: {store: elsewhere/store}\n"})
    commit(project.root, "another store")
    project.write({"profiles.yml": REVIEWS["profiles.yml"]})
    project("build", "--quiet")
    with at_revision(project.root, BuildOptions(target="ci"), "HEAD") as revision:
        assert revision.work is not None
        assert revision.work.files.store_path == project.root / ".teachkit"
        assert revision.work.files.target_name == "ci"
        assert revision.work.store.read_environment("dev")["nodes"]
    assert not (project.root / "elsewhere").exists()
    with at_revision(project.root, OPTIONS, "HEAD") as revision:
        assert revision.work is not None
        assert revision.work.files.target_name == "ci"  # its own default


def test_a_project_below_the_root_of_a_repository_and_data_beside_it(fresh: Sandbox, tmp_path: Path) -> None:
    top = tmp_path / "repository"
    project = fresh.copy(top / "a" / "projekt ü ")
    for name in ("../shared.csv", "../../../beside.csv"):
        (project.root / name).write_text(reviews_csv(4))
    tables = "".join(
        f"      - {{name: t{i}, path: '{path}', key: id}}\n"
        for i, path in enumerate(["../shared.csv", "../../../beside.csv", "../../../besi*.csv"])
    )
    project.write({"sources/more.yml": f"sources:\n  - name: more\n    tables:\n{tables}"})
    in_git(project, top)
    now = fingerprints_now(project.root)
    assert {"source.more.t0", "source.more.t1", "source.more.t2"} <= set(now)
    assert fingerprints_at(project.root, "HEAD") == now
    (tmp_path / "beside.csv").write_text("id,another\n")  # what no revision has is as it is now
    with at_revision(project.root, OPTIONS, "HEAD") as revision:
        assert revision.work is not None
        assert revision.work.graph["source.more.t1"].columns == ("id", "another")


def test_a_linked_work_tree(project: Sandbox, tmp_path: Path) -> None:
    git(project.root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    other = Sandbox(tmp_path / "other")
    other.replace(STARS, "4", "5")
    before = snapshot(tmp_path)
    assert fingerprints_at(other.root, "main") == fingerprints_now(project.root) != fingerprints_now(other.root)
    assert snapshot(tmp_path) == before


def test_names_that_are_no_ascii_and_files_that_were_renamed(project: Sandbox) -> None:
    odd = {"labeling_functions/mood/größe.sql": "{{ config(label='good') }} stars > 4"}
    odd |= {"notes/日本語 \t\"'.md": "x", "notes/line\nbreak.md": "y", "notes/$HOME*?.md": "z"}
    project.write(odd)
    (project.root / os.fsdecode(b"notes/latin-\xe9.md")).write_bytes(b"\xe9")
    commit(project.root, "odd names")
    held = files(project.root / "notes")
    now = fingerprints_now(project.root)
    git(project.root, "mv", "labeling_functions/mood/größe.sql", "labeling_functions/mood/ärger.sql")
    git(project.root, "mv", "notes", "Notizen")
    git(project.root, "mv", "data/reviews.csv", "data/bewertungen.csv")
    project.replace("sources/shop.yml", "data/reviews.csv", "data/bewertungen.csv")
    commit(project.root, "renamed")
    with checked_out(project.root, "HEAD~1") as folder:
        assert files(folder / "notes") == held
        assert not (folder / "Notizen").exists()
        assert not (folder / "data/bewertungen.csv").exists()
    assert fingerprints_at(project.root, "HEAD~1") == now


@pytest.mark.parametrize("setting", ["true", "input"])
def test_core_autocrlf_changes_no_meaning(fresh: Sandbox, setting: str) -> None:
    fresh.write({"prompts/mood/ask.md": "---\nmodel: m\n---\nIs it good?\n\n{{ item.text }}\n"})
    fresh.replace("profiles.yml", "500MB}", "500MB, llm: {providers: {local: {base_url: 'http://127.0.0.1:9'}}}}")
    git(fresh.root, "init", "-q", "-b", "main")
    git(fresh.root, "config", "core.autocrlf", setting)
    fresh.write({".gitignore": IGNORED})
    commit(fresh.root, "first")
    now = fingerprints_now(fresh.root)
    assert "prompt.mood.ask" in now
    edited = [STARS, "prompts/mood/ask.md", "labeling_functions/mood/style.py", "labeling_functions/mood/words.yml"]
    for name in edited:
        fresh.write({name: fresh.read(name) + "\n"})  # what is edited since is written as a checkout would
    with at_revision(fresh.root, OPTIONS, "HEAD") as revision:
        assert revision.work is not None
        for name in edited:
            assert (b"\r\n" in (revision.work.files.root / name).read_bytes()) is (setting == "true")
        assert fingerprints(revision) == now


# ---------------------------------------------------------------------------- what is linked


def test_a_large_file_that_did_not_change_is_linked_and_one_that_did_is_written(project: Sandbox) -> None:
    project.write({"data/reviews.csv": LARGE, "data/other.csv": LARGE, "data/hidden.csv": LARGE})
    commit(project.root, "large")
    project.write({"data/other.csv": LARGE + "x,last,1,,train\n"})
    git(project.root, "update-index", "--assume-unchanged", "data/hidden.csv")  # git is told not to look
    project.write({"data/hidden.csv": "id\n"})
    with checked_out(project.root, "HEAD") as folder:
        assert (folder / "data/reviews.csv").readlink() == project.root / "data/reviews.csv"
        assert not (folder / "data/other.csv").is_symlink()
        assert files(folder / "data") == dict.fromkeys(["reviews.csv", "other.csv", "hidden.csv"], LARGE.encode())
        assert not (folder / STARS).is_symlink()
    git(project.root, "rm", "-q", "--cached", "data/reviews.csv")
    (project.root / "data/reviews.csv").unlink()
    with checked_out(project.root, "HEAD") as folder:
        assert (folder / "data/reviews.csv").read_text() == LARGE


def test_data_that_git_ignores_is_shared_and_what_is_not_committed_is_not(project: Sandbox) -> None:
    project.write({".gitignore": IGNORED + "data/\n/*.secret\n", "data/reviews.csv": reviews_csv(), "a.secret": "s"})
    git(project.root, "rm", "-rq", "--cached", "data")
    commit(project.root, "data is ignored")
    project.write({"labeling_functions/mood/new.sql": "{{ config(label='bad') }} true", "target/x": "", "output/y": ""})
    project("build", "--quiet")
    with checked_out(project.root, "HEAD", leave_out=[project.root / ".teachkit", project.root / "target"]) as folder:
        assert {p.name for p in folder.iterdir() if p.is_symlink()} == {"a.secret", "data", "output"}
        assert (folder / "data/reviews.csv").read_text() == reviews_csv()
        assert not (folder / "labeling_functions/mood/new.sql").exists()
        assert not (folder / "teachkit.lock").exists()
        assert not (folder / ".teachkit").exists()


def test_a_folder_that_was_committed_before_it_was_ignored_has_both(project: Sandbox) -> None:
    project.write({".gitignore": IGNORED + "data/\n", "data/more/deep.csv": "d", "data/large.csv": "l"})
    git(project.root, "rm", "-rq", "--cached", "data")
    commit(project.root, "data is ignored")
    project.write({"data/reviews.csv": "id\nnow\n"})
    with checked_out(project.root, "HEAD~1") as folder:
        expected = {"reviews.csv": reviews_csv().encode(), "more/deep.csv": b"d", "large.csv": b"l"}
        assert files(folder / "data").keys() >= {"reviews.csv", "large.csv"}
        assert (folder / "data/more/deep.csv").read_bytes() == b"d"
        assert (folder / "data/reviews.csv").read_bytes() == expected["reviews.csv"]
    assert (project.root / "data/reviews.csv").read_text() == "id\nnow\n"


def test_what_is_left_out_may_lie_deep_in_an_ignored_folder(project: Sandbox) -> None:
    project.write({".gitignore": "var/\n", "var/store/x": "", "var/made/target/y": "", "var/data/z": ""})
    commit(project.root, "var is ignored")
    out = [project.root / "var/store", project.root / "var/made/target"]
    with checked_out(project.root, "HEAD", leave_out=out) as folder:
        assert (folder / "var/data/z").exists()
        assert not (folder / "var/store").exists()
        assert not (folder / "var/made/target").exists()
        (folder / "var/made/target").mkdir(parents=True)
    assert files(project.root / "var").keys() == {"store/x", "made/target/y", "data/z"}


def test_nothing_is_written_through_a_link_of_the_commit(project: Sandbox, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.root / "pool").symlink_to("../outside")
    project.write({"clips": "a file\n"})
    commit(project.root, "a link and a file")
    (project.root / "pool").unlink()
    (project.root / "clips").unlink()
    project.write({".gitignore": IGNORED + "pool/sub/\nclips/\n", "pool/sub/a.csv": "a", "pool/b": "b", "clips/c": "c"})
    commit(project.root, "folders of the same names")
    with checked_out(project.root, "HEAD~1") as folder:
        assert (folder / "pool").readlink() == Path("../outside")
        assert (folder / "clips").read_text() == "a file\n"
    assert list(outside.iterdir()) == []


def test_a_sparse_checkout_has_what_it_shows(fresh: Sandbox, tmp_path: Path) -> None:
    project = in_git(fresh.copy(tmp_path / "top/below"), tmp_path / "top")
    (tmp_path / "top/aside").mkdir()
    (tmp_path / "top/aside/large").write_text(LARGE)
    commit(tmp_path / "top", "aside")
    now = fingerprints_now(project.root)
    git(tmp_path / "top", "sparse-checkout", "set", "below")
    assert not (tmp_path / "top/aside").exists()
    assert fingerprints_at(project.root, "HEAD") == now


def test_a_submodule_is_as_it_is_now(project: Sandbox, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.mkdir()
    git(words, "init", "-q", "-b", "main")
    (words / "list.txt").write_text("lamp\n")
    commit(words, "words")
    git(project.root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(words), "words")
    commit(project.root, "submodule")
    with checked_out(project.root, "HEAD") as folder:
        assert (folder / "words/list.txt").read_text() == "lamp\n"


# ---------------------------------------------------------------------------- what is not touched


def test_hooks_do_not_run(project: Sandbox) -> None:
    hooks = ["post-checkout", "post-index-change", "pre-commit", "post-merge", "reference-transaction", "post-rewrite"]
    for name in hooks:
        hook = project.root / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f'#!/bin/sh\ntouch "{project.root}/ran-{name}"\n')
        hook.chmod(0o755)
    git(project.root, "checkout", "-qb", "topic")
    assert (project.root / "ran-post-checkout").exists()  # they work
    for ran in project.root.glob("ran-*"):
        ran.unlink()
    fingerprints_at(project.root, "HEAD")
    assert list(project.root.glob("ran-*")) == []


def test_work_tree_and_index_stay_byte_for_byte(project: Sandbox, tmp_path: Path) -> None:
    git(project.root, "config", "core.splitIndex", "true")
    project.replace(STARS, "4", "5")
    git(project.root, "add", STARS)
    project.replace(STARS, "5", "3")
    project.write({"untracked.txt": "u", "tasks/mood.yml": REVIEWS["tasks/mood.yml"]})
    os.utime(project.root / "teachkit.yml", (1, 1))  # git would like to write into its index that it is unchanged
    before = snapshot(tmp_path)
    fingerprints_at(project.root, "HEAD")
    assert snapshot(tmp_path) == before


def test_so_they_do_while_a_merge_is_unresolved(project: Sandbox, tmp_path: Path) -> None:
    project("build", "--quiet")
    commit(project.root, "lock")
    main = fingerprints_now(project.root)
    git(project.root, "checkout", "-qb", "topic")
    project.replace(STARS, "4", "5")
    project("build", "--quiet")
    commit(project.root, "topic")
    topic = fingerprints_now(project.root)
    git(project.root, "checkout", "-q", "main")
    project.replace(STARS, "4", "3")
    project("build", "--quiet")
    commit(project.root, "main")
    git(project.root, "merge", "-q", "topic", check=False)
    assert "<<<<<<<" in project.read("teachkit.lock")
    project.write({STARS: "case when stars >= 4 then 'good' end"})
    before = snapshot(tmp_path)
    assert fingerprints_at(project.root, "main~1") == main
    assert fingerprints_at(project.root, "topic") == topic
    assert snapshot(tmp_path) == before
    with working_tree(project.root, OPTIONS) as revision:
        assert revision.lock is None
        assert isinstance(revision.lock_problem, (BadLock, MergeConflict))


def test_inside_a_hook_the_variables_of_git_do_no_harm(fresh: Sandbox, tmp_path: Path) -> None:
    project = in_git(fresh.copy(tmp_path / "top/below"), tmp_path / "top")
    hook = tmp_path / "top/.git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    script = f"cd below && {sys.executable} -m teachkit ls --select state:new --state HEAD --output name >found\n"
    hook.write_text(f"#!/bin/sh\nexport PYTHONPATH={Path.cwd()}\n{script}")
    hook.chmod(0o755)
    project.write({"labeling_functions/mood/new.sql": "{{ config(label='bad') }} stars = 1"})
    git(tmp_path / "top", "add", "below/labeling_functions")
    git(tmp_path / "top", "commit", "-qm", "new")
    assert project.read("found") == "new\n"


def test_the_temporary_folder_is_gone_also_when_it_fails(project: Sandbox, temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), at_revision(project.root, OPTIONS, "HEAD"):
        assert list(temporary.iterdir())
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []
    with pytest.raises(GitFailed, match="read-tree"), checked_out(project.root, "0" * 40):
        pass


def test_the_store_remembers_nothing_of_a_folder_that_is_gone(project: Sandbox) -> None:
    project.write({"data/reviews.csv": LARGE, "sources/few.yml": FEW, "data/few.csv": "id,text\n1,a\n"})
    commit(project.root, "large and small")

    def remembered() -> set[str]:
        with sqlite3.connect(project.root / ".teachkit/cache/cache.sqlite") as connection:
            return {row[0] for row in connection.execute("select key from entries")}

    fingerprints_now(project.root)
    before = remembered()
    for _ in range(2):
        fingerprints_at(project.root, "HEAD")
    assert remembered() == before
    project.write({"data/few.csv": "id,text\n2,b\n"})  # now the one at HEAD is written anew, elsewhere each time
    fingerprints_at(project.root, "HEAD")
    assert remembered() == before


# ---------------------------------------------------------------------------- what cannot be


def test_a_commit_from_before_the_project(project: Sandbox, tmp_path: Path) -> None:
    git(project.root, "checkout", "-q", "--orphan", "start")
    git(project.root, "rm", "-rq", "--cached", ".")
    git(project.root, "commit", "-q", "--allow-empty", "-m", "empty")
    git(project.root, "checkout", "-qf", "main")
    with at_revision(project.root, OPTIONS, "start") as revision:
        assert (revision.work, revision.lock, revision.lock_problem) == (None, None, None)
        assert isinstance(revision.problem, NotAProject)
        assert "no teachkit.yml in this folder at 'start'" in str(revision.problem)
        assert str(tmp_path / "temporary files") not in str(revision.problem)
    assert lock_at(project.root, "start") is None


def test_a_commit_in_which_the_folder_was_a_file(fresh: Sandbox, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "a/b").write_text("a file")
    git(top, "init", "-q", "-b", "main")
    commit(top, "a file")
    (top / "a/b").unlink()
    project = fresh.copy(top / "a/b")
    commit(top, "the project")
    with at_revision(project.root, OPTIONS, "HEAD~1") as revision:
        assert isinstance(revision.problem, NotAProject)


def test_a_base_that_does_not_compile_says_what_is_wrong_with_it(project: Sandbox, tmp_path: Path) -> None:
    project.replace(STARS, "stars >= 4", "strs >= 4")
    project.replace("tasks/mood.yml", "labels: [good, bad]", "labels: [good, bad, odd]")
    broken = commit(project.root, "broken")
    project.write({STARS: REVIEWS[STARS]})
    with at_revision(project.root, OPTIONS, "HEAD") as revision:
        assert (revision.work, revision.commit) == (None, broken)
        assert isinstance(revision.problem, ProjectErrors)
        assert "labeling_functions/mood/stars.sql:1:" in str(revision.problem)
        assert "unknown-column" in str(revision.problem)
    project.write({"data/reviews.csv": None})
    project.replace("sources/shop.yml", "data/reviews.csv", "../data/*.csv")
    commit(project.root, "no data")
    with at_revision(project.root, OPTIONS, "HEAD") as revision:
        assert "source-not-found" in str(revision.problem)
        assert "temporary files" not in str(revision.problem)


def test_what_is_wrong_with_the_project_as_it_is_is_told_as_such(project: Sandbox) -> None:
    project.write({"teachkit.yml": "nme: x\n"})
    with pytest.raises(ProjectErrors), at_revision(project.root, OPTIONS, "HEAD"):
        pass


def test_the_lock_of_a_revision(project: Sandbox) -> None:
    project("build", "--quiet")
    commit(project.root, "lock")
    locked = lock_at(project.root, "HEAD")
    assert locked is not None
    assert locked.label_sets["moods"].rows == 40
    assert lock_at(project.root, "HEAD~1") is None
    project.write({"teachkit.lock": project.read("teachkit.lock") + "<<<<<<< ours\n"})
    commit(project.root, "conflict")
    project.write({"teachkit.lock": b"\xff\xfe"})
    commit(project.root, "no UTF-8")
    for name in ("HEAD", "HEAD~1"):
        with pytest.raises((BadLock, MergeConflict)):
            lock_at(project.root, name)
        with at_revision(project.root, OPTIONS, name) as revision:
            assert revision.lock is None
            assert isinstance(revision.lock_problem, (BadLock, MergeConflict))
            assert fingerprints(revision)
    with at_revision(project.root, OPTIONS, "HEAD~2") as revision:
        assert (revision.lock, revision.lock_problem) == (locked, None)


def test_a_shallow_clone_has_its_last_commit_only(project: Sandbox, tmp_path: Path) -> None:
    project.replace(STARS, "4", "5")
    commit(project.root, "second")
    git(tmp_path, "clone", "-q", "--depth", "1", project.root.as_uri(), "clone")
    clone = tmp_path / "clone"
    assert fingerprints_at(clone, "origin/main") == fingerprints_now(project.root)
    with pytest.raises(ShallowClone, match="--unshallow"), at_revision(clone, OPTIONS, "HEAD~1"):
        pass
    git(clone, "fetch", "-q", "--unshallow", "origin")
    assert fingerprints_at(clone, "HEAD~1") == fingerprints_at(project.root, "HEAD~1")


def test_without_git_and_without_the_revision(
    project: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nowhere", "--help", "HEAD:teachkit.yml", ""):
        with pytest.raises(UnknownRevision), at_revision(project.root, OPTIONS, name):
            pass
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    plain = Sandbox(tmp_path / "plain", REVIEWS)
    with pytest.raises(NoGit), at_revision(plain.root, OPTIONS, "HEAD"):
        pass
    with pytest.raises(NoGit):
        lock_at(plain.root, "HEAD")
    assert fingerprints_now(plain.root) == fingerprints_at(project.root, "HEAD")


def test_outside_of_the_projects_folder_whole_folders_are_linked_where_nothing_is_other(
    fresh: Sandbox, tmp_path: Path
) -> None:
    """And where something is, what is new is not there, what changed is as it was."""
    top = tmp_path / "all"
    (top / "lib").mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    project = fresh.copy(top / "labels" / "mood")
    for part in ("same", "new", "nested/new", "changed", "gone"):
        (top / "lib" / part).mkdir(parents=True, exist_ok=True)
        for name in "ab":
            (top / "lib" / part / name).write_text(f"{part} {name}")
    commit(top, "all")
    (top / "lib/new/c").write_text("new")
    (top / "lib/nested/new/d").mkdir()
    (top / "lib/nested/new/d/e").write_text("new")
    (top / "lib/changed/a").write_text("now")
    (top / "lib/gone/a").unlink()
    with checked_out(project.root, "HEAD") as folder:
        lib = folder.parent.parent / "lib"
        assert (lib / "same").is_symlink()
        assert sorted(p.name for p in (lib / "new").iterdir()) == ["a", "b"]
        assert sorted(p.name for p in (lib / "nested/new").iterdir()) == ["a", "b"]
        assert (lib / "changed/a").read_text() == "changed a"
        assert (lib / "changed/b").read_text() == "changed b"
        assert (lib / "gone/a").read_text() == "gone a"
        assert not (folder / "teachkit.yml").is_symlink()
