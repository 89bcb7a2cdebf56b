from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from teachkit.errors import BadOption, NotAProject, ProjectErrors, TeachkitError, UnknownTarget
from teachkit.project import find_root, read_project
from tests.graph.projects import BASE, Options, read, write

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.project import ProjectFiles

FULL: dict[str, str | bytes | None] = {
    **BASE,
    "transforms/deep/er.sql": "select 1 as one",
    "transforms/_schema.yml": "transforms: [{name: items, description: d}]",
    "tasks/guide.md": "Say what it is.\n",
    "tasks/other.yaml": "tasks: [{name: other, labels: [a, b], dataset: ref('items'), key: id, guideline: guide.md}]",
    "labeling_functions/spam/words.yml": "labeling_functions: [{name: w, label: spam, dictionary: w.txt}]",
    "labeling_functions/spam/w.txt": "buy\nnow\n",
    "labeling_functions/spam/more/style.py": "x = 1\n",
    "labeling_functions/spam/__pycache__/style.py": "x = 2\n",
    "annotations/spam/maria.jsonl": '{"item": "1", "label": "spam"}\n',
    "annotations/spam/crowd-1.csv": "item,label\n1,spam\n",
    "annotations/spam/_meta.yml": "files: {'crowd-*.csv': {role: gold}}",
    "exports/x.yml": "exports: [{name: x, label_set: ref('spam_labels'), path: out.parquet}]",
    "tests/one.sql": "select 1 where false",
    "tests/more.yml": "unit_tests: [{name: u, voter: w, rows: [{text: buy}], expect: [spam]}]\n"
    "tests: [{node: items, tests: [unique: {column: id}]}]",
    "macros/a.sql": "{% macro m() %}1{% endmacro %}",
    "macros/t.jinja": "{% test t(model) %}select 1{% endtest %}",
    "selectors.yml": "selectors: [{name: mine, definition: 'tag:a'}]",
    ".hidden/x.yml": ": : :",
    "transforms/.draft.sql": "nonsense",
    "notes.txt": b"\xff\xfe",
}


def test_every_file_becomes_its_definitions(tmp_path: Path) -> None:
    files = read(tmp_path, FULL)
    found = [(d.kind, d.name, d.task, d.where.path, d.where.line) for d in files.definitions]
    assert found == [
        ("source", "comments", None, "sources/raw.yml", 4),
        ("source", "authors", None, "sources/raw.yml", 5),
        ("transform", "items", None, "transforms/items.sql", 1),
        ("transform", "er", None, "transforms/deep/er.sql", 1),
        ("transform_notes", "items", None, "transforms/_schema.yml", 1),
        ("task", "other", None, "tasks/other.yaml", 1),
        ("task", "spam", None, "tasks/spam.yml", 2),
        ("lf_sql", "link", "spam", "labeling_functions/spam/link.sql", 1),
        ("lf_yaml", "w", "spam", "labeling_functions/spam/words.yml", 1),
        ("lf_python", "style", "spam", "labeling_functions/spam/more/style.py", 1),
        ("annotations", "crowd-1", "spam", "annotations/spam/crowd-1.csv", None),
        ("annotations", "maria", "spam", "annotations/spam/maria.jsonl", None),
        ("label_model", "spam_labels", None, "label_models/spam.yml", 2),
        ("export", "x", None, "exports/x.yml", 1),
        ("test_sql", "one", None, "tests/one.sql", 1),
        ("unit_test", "u", None, "tests/more.yml", 1),
        ("node_tests", "items", None, "tests/more.yml", 2),
    ]
    by_name = {d.name: d for d in files.definitions}
    assert by_name["other"].text == "Say what it is.\n"
    assert by_name["w"].text == "buy\nnow\n"
    assert by_name["crowd-1"].config.role == "gold"
    assert by_name["maria"].config.role == "annotator"
    assert list(files.templates.macros) == ["m"]
    assert list(files.generic_tests) == ["t"]
    assert list(files.selectors) == ["mine"]


def test_endings_may_be_written_large(tmp_path: Path) -> None:
    large = {
        "sources/raw.YML": BASE["sources/raw.yml"],
        "sources/raw.yml": None,
        "transforms/er.SQL": "select 1 as one",
        "labeling_functions/spam/words.YML": "labeling_functions: [{name: w, label: spam, any_of: [buy]}]",
        "labeling_functions/spam/shout.SQL": "{{ config(label='spam') }}\ntext = upper(text)",
        "labeling_functions/spam/style.PY": "x = 1\n",
        "prompts/spam/ask.MD": "---\nmodel: m\n---\nSpam? {{ text }}\n",
        "annotations/spam/eve.CSV": "item,label\n1,spam\n",
        "annotations/spam/maria.JSONL": '{"item": "1", "label": "spam"}\n',
        "annotations/spam/~$eve.xlsx": "open in Excel",
    }
    files = read(tmp_path, {**BASE, **large})
    found = {(d.kind, d.name) for d in files.definitions}
    assert found >= {
        ("source", "comments"),
        ("transform", "er"),
        ("lf_yaml", "w"),
        ("lf_sql", "shout"),
        ("lf_python", "style"),
        ("prompt", "ask"),
        ("annotations", "eve"),
        ("annotations", "maria"),
    }


def test_folders_can_be_renamed(tmp_path: Path) -> None:
    files = read(
        tmp_path,
        {"teachkit.yml": "name: x\npaths: {transforms: models, target: out}", "models/a.sql": "select 1 as one"},
    )
    assert [d.where.path for d in files.of("transform")] == ["models/a.sql"]
    assert files.target_path == tmp_path / "out"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_byte_order_mark_and_windows_newlines_change_nothing(tmp_path: Path, mark: bytes, newline: bytes) -> None:
    def windows(text: Any) -> Any:
        return mark + text.replace("\n", newline.decode()).encode() if isinstance(text, str) else text

    def plain(files: ProjectFiles) -> list[Any]:
        return [(d.kind, d.name, d.text, d.config) for d in files.definitions]

    unix, other = tmp_path / "unix", tmp_path / "other"
    write(unix, FULL)
    for path in sorted(p for p in unix.rglob("*") if p.is_file() and p.suffix != ".txt"):
        name = path.relative_to(unix).as_posix()
        write(other, {name: windows(path.read_text(encoding="utf-8"))})
    write(other, {"labeling_functions/spam/w.txt": mark + newline.join([b"buy", b"now", b""])})
    assert plain(read_project(other, Options())) == plain(read_project(unix, Options()))


@pytest.mark.parametrize(
    "folder", ["sources", "transforms", "tasks", "labeling_functions/spam", "annotations/spam", "tests"]
)
def test_an_empty_folder_is_fine(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert read(tmp_path, {"teachkit.yml": "name: x"}).definitions == ()


ERRORS: dict[str, tuple[dict[str, str | bytes | None], str, int | None, int | None, str, str]] = {
    # files, path, line, column, slug, words of the message
    "not UTF-8": (
        {"transforms/a.sql": b"select 1 as a,\n'caf\xe9' as b"},
        "transforms/a.sql",
        2,
        None,
        "not-utf8",
        "byte 0xe9 at offset 19",
    ),
    "YAML not UTF-8": ({"tasks/a.yml": b"tasks:\n- name: \xff"}, "tasks/a.yml", 2, None, "not-utf8", "byte 0xff"),
    "UTF-16": (
        {"sources/a.yml": "sources: []".encode("utf-16")},
        "sources/a.yml",
        1,
        None,
        "not-utf8",
        "iconv -f UTF-16 -t UTF-8 sources/a.yml >",
    ),
    "ANSI of Windows": (
        {"sources/a b.yml": b"\xef\xbb\xbfsources: []\n# \x80"},
        "sources/a b.yml",
        2,
        None,
        "not-utf8",
        "byte 0x80 at offset 17 is not UTF-8  [not-utf8]\n"
        "  save the file as UTF-8, for example: iconv -f CP1252 -t UTF-8 'sources/a b.yml' > fixed",
    ),
    "a dictionary not UTF-8": (
        {
            "labeling_functions/spam/a.yml": "labeling_functions: [{name: a, label: spam, dictionary: d.txt}]",
            "labeling_functions/spam/d.txt": b"good\nb\xfcse\n",
        },
        "labeling_functions/spam/d.txt",
        2,
        None,
        "not-utf8",
        "byte 0xfc at offset 6",
    ),
    "a tab": ({"sources/a.yml": "sources:\n\t- name: x"}, "sources/a.yml", 2, 1, "bad-yaml", "cannot start any token"),
    "a key twice": (
        {"tasks/a.yml": "tasks: []\ntasks: []"},
        "tasks/a.yml",
        2,
        1,
        "bad-yaml",
        "the key 'tasks' stands twice",
    ),
    "an empty file of sources": (
        {"sources/a.yml": ""},
        "sources/a.yml",
        1,
        1,
        "missing-key",
        "this file needs the key 'sources'",
    ),
    "only comments": (
        {"label_models/a.yml": "# nothing\n"},
        "label_models/a.yml",
        1,
        1,
        "missing-key",
        "'label_models'",
    ),
    "no guideline": (
        {"tasks/a.yml": "tasks: [{name: a, labels: [a, b], dataset: x, key: id, guideline: g.md}]"},
        "tasks/a.yml",
        1,
        67,
        "missing-file",
        "guideline: there is no file 'g.md' beside this one",
    ),
    "no dictionary": (
        {"labeling_functions/spam/a.yml": "labeling_functions: [{name: a, label: spam, dictionary: d.txt}]"},
        "labeling_functions/spam/a.yml",
        1,
        57,
        "bad-dictionary",
        "dictionary 'd.txt': no such file beside this one",
    ),
    "a labeling function without task": (
        {"labeling_functions/a.sql": "true"},
        "labeling_functions/a.sql",
        None,
        None,
        "misplaced-file",
        "a labeling function lies in the folder of its task",
    ),
    "annotations without task": (
        {"annotations/a.csv": "x"},
        "annotations/a.csv",
        None,
        None,
        "misplaced-file",
        "annotations lie in the folder",
    ),
    **{
        f"judgments as {name}": (
            {f"annotations/spam/{name}": "item,label\n"},
            f"annotations/spam/{name}",
            None,
            None,
            "misplaced-file",
            f"judgments stand in files that end in .csv or .jsonl  [misplaced-file]\n  {advice}",
        )
        for name, advice in {
            "eve.xlsx": "save it as CSV (UTF-8), with commas between the columns: eve.csv; ",
            "eve.XLS": "save it as CSV (UTF-8)",
            "eve.ods": "save it as CSV (UTF-8)",
            "more/eve.tsv": "save it as CSV (UTF-8)",
            "eve.csv.txt": "save it as CSV (UTF-8)",
            "eve.json": "write one JSON object a line: eve.jsonl; ",
        }.items()
    },
    "other YAML beside annotations": (
        {"annotations/spam/meta.yml": ""},
        "annotations/spam/meta.yml",
        None,
        None,
        "misplaced-file",
        "only _meta.yml",
    ),
    "notes on annotations that are not there": (
        {"annotations/spam/_meta.yml": "files: {a.csv: {role: gold}}"},
        "annotations/spam/_meta.yml",
        1,
        9,
        "missing-file",
        "files: there is no file 'a.csv'",
    ),
    "a bad macro": (
        {"macros/a.sql": "{% macro a() %}\n{{ 1"},
        "macros/a.sql",
        2,
        None,
        "bad-template",
        "unexpected end of template",
    ),
    "a macro twice": (
        {"macros/a.sql": "{% macro a() %}1{% endmacro %}", "macros/b.sql": "\n\n{% macro a() %}2{% endmacro %}"},
        "macros/b.sql",
        2,
        None,
        "duplicate-name",
        "macro 'a' is defined twice; the other is at macros/a.sql:1",
    ),
    "a generic test twice": (
        {"macros/a.sql": "{% test a(model) %}1{% endtest %}\n{% test a(model) %}2{% endtest %}"},
        "macros/a.sql",
        2,
        None,
        "duplicate-name",
        "test 'a' is defined twice; the other is at macros/a.sql:1",
    ),
    "a selector twice": (
        {"selectors.yml": "selectors:\n- {name: a, definition: x}\n- {name: a, definition: y}"},
        "selectors.yml",
        3,
        3,
        "duplicate-name",
        "selector 'a' is defined twice; the other is at selectors.yml:2:3",
    ),
    "a misspelt key of the project": (
        {"teachkit.yml": "name: x\nvras: {}"},
        "teachkit.yml",
        2,
        1,
        "unknown-key",
        "'vras' is not a key",
    ),
    "an empty project file": (
        {"teachkit.yml": ""},
        "teachkit.yml",
        1,
        1,
        "missing-key",
        "this file needs the key 'name'",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_bad_file_is_an_error_at_its_place(tmp_path: Path, name: str) -> None:
    files, path, line, column, slug, message = ERRORS[name]
    with pytest.raises(ProjectErrors) as caught:
        read(tmp_path, {"teachkit.yml": "name: x", **files})
    (error,) = caught.value.errors
    assert error.slug == slug
    assert message in str(error)
    assert error.where is not None
    assert (error.where.path, error.where.line, error.where.column) == (path, line, column)


def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"teachkit.yml": "name: x", "sources/a.yml": ""})
    (tmp_path / "sources/a.yml").unlink()
    (tmp_path / "sources/a.yml").symlink_to("nowhere.yml")
    with pytest.raises(ProjectErrors, match=r"sources/a\.yml: this file cannot be read: No such file"):
        read_project(tmp_path, Options())


def test_the_errors_of_all_files_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProjectErrors) as caught:
        read(
            tmp_path,
            {
                "teachkit.yml": "name: x",
                "sources/a.yml": "sources: [1]",
                "tasks/a.yml": "tasks: [{name: 1}]",
                "transforms/a.sql": b"\xff",
                "macros/a.sql": "{{",
                "labeling_functions/a.py": "",
            },
        )
    assert [e.where.path for e in caught.value.errors if e.where] == [
        "labeling_functions/a.py",
        "macros/a.sql",
        "sources/a.yml",
        *["tasks/a.yml"] * 3,
        "transforms/a.sql",
    ]


def test_the_root_is_found_from_a_folder_below(tmp_path: Path) -> None:
    write(tmp_path, {"teachkit.yml": "name: x", "tasks/deep/a.txt": ""})
    assert find_root(tmp_path / "tasks/deep") == tmp_path.resolve()
    with pytest.raises(NotAProject, match=r"no teachkit\.yml in"):
        find_root(tmp_path.parent)
    with pytest.raises(NotAProject):
        read_project(tmp_path.parent, Options())


# ---------------------------------------------------------------------------- profiles

PROFILES = """
    default: dev
    targets:
      dev: {threads: 3, memory: 1GB}
      prod: {store: "{{ env_var('TEACHKIT_TEST_STORE') }}", threads: "{{ env_var('TEACHKIT_TEST_THREADS', '5') }}"}
    """


@pytest.fixture(autouse=True)
def _no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TEACHKIT_PROFILES_DIR", "TEACHKIT_TEST_STORE", "TEACHKIT_TEST_THREADS"):
        monkeypatch.delenv(name, raising=False)


def _project(tmp_path: Path, profile: str | None = PROFILES, **options: Any) -> ProjectFiles:
    more = {} if profile is None else {"profiles.yml": profile}
    return read(tmp_path / "project", {"teachkit.yml": "name: x", **more}, **options)


def test_without_a_profile_there_is_a_target_dev_with_defaults(tmp_path: Path) -> None:
    files = _project(tmp_path, None)
    assert (files.target_name, files.target.threads, files.target.store) == ("dev", 2, ".teachkit")
    assert files.store_path == tmp_path / "project/.teachkit"
    assert files.lock_path == tmp_path / "project/teachkit.lock"


def test_the_target_is_the_default_or_the_one_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _project(tmp_path).target.threads == 3
    monkeypatch.setenv("TEACHKIT_TEST_STORE", "123")
    prod = _project(tmp_path, target="prod")
    assert (prod.target_name, prod.target.store, prod.target.threads) == ("prod", "123", 5)
    assert _project(tmp_path, threads=7).target.threads == 7
    assert prod.templates.target == {"name": "prod", "threads": 5}


def test_only_the_chosen_target_needs_its_environment_variables(tmp_path: Path) -> None:
    assert _project(tmp_path).target_name == "dev"
    with pytest.raises(
        ProjectErrors, match=r"profiles\.yml:4:17: the environment variable TEACHKIT_TEST_STORE is not set"
    ):
        _project(tmp_path, target="prod")


def test_a_value_from_the_environment_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHKIT_TEST_STORE", "x")
    monkeypatch.setenv("TEACHKIT_TEST_THREADS", "s3cret-value")
    with pytest.raises(ProjectErrors) as caught:
        _project(tmp_path, target="prod")
    assert "s3cret" not in str(caught.value)
    assert "threads: found '…', not a whole number" in str(caught.value)


def test_profiles_are_looked_for_in_the_documented_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {name: tmp_path / name for name in ("option", "variable", "project", "home/.teachkit")}
    for number, folder in enumerate(folders.values(), start=11):
        write(folder, {"teachkit.yml": "name: x", "profiles.yml": f"targets: {{dev: {{threads: {number}}}}}"})
    monkeypatch.setenv("TEACHKIT_PROFILES_DIR", str(folders["variable"]))

    def threads(**options: Any) -> int:
        return read_project(folders["project"], Options(**options)).target.threads

    assert threads(profiles_dir=folders["option"]) == 11
    assert threads() == 12
    monkeypatch.delenv("TEACHKIT_PROFILES_DIR")
    assert threads() == 13
    (folders["project"] / "profiles.yml").unlink()
    assert threads() == 14


def test_a_folder_named_for_profiles_must_have_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match=r"--profiles-dir: there is no profiles\.yml in"):
        _project(tmp_path, profiles_dir=tmp_path)
    monkeypatch.setenv("TEACHKIT_PROFILES_DIR", str(tmp_path))
    with pytest.raises(BadOption, match=r"TEACHKIT_PROFILES_DIR: there is no profiles\.yml in"):
        _project(tmp_path)


def test_an_unknown_target_comes_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownTarget, match=r"no target 'pord'[^\n]*\n  write one of: dev, prod\. Did you mean 'prod'\?"
    ):
        _project(tmp_path, target="pord")
    with pytest.raises(UnknownTarget) as caught:
        _project(tmp_path, "targets: {dev: {}}\ndefault: prod")
    assert str(caught.value.where) == "profiles.yml:2:10"


BAD_PROFILES = {
    "targets: {dev: {thread: 2}}": "profiles.yml:1:17: 'thread' is not a key of 'dev'",
    "targets: [dev]": "profiles.yml:1:10: targets: found a list",
    "- dev": "profiles.yml:1:1: the file: found a list",
    "default: [x]": "profiles.yml:1:10: default: found a list",
    "targets: {dev: {store: '{{ nope }}'}}": "profiles.yml:1:24: 'nope' is not defined",
    "targets: {dev: {store: \"{{ ''.__class__ }}\"}}": "profiles.yml:1:24: this template may not do that",
}


@pytest.mark.parametrize("profile", BAD_PROFILES)
def test_a_bad_profile_is_an_error_at_its_place(tmp_path: Path, profile: str) -> None:
    with pytest.raises(TeachkitError) as caught:
        _project(tmp_path, profile)
    assert str(caught.value).startswith(BAD_PROFILES[profile])


def test_variables_of_the_command_line_win(tmp_path: Path) -> None:
    files = read(tmp_path, {"teachkit.yml": "name: x\nvars: {a: 1, b: 2, since: 2024-01-01}"}, variables={"b": 3})
    assert {k: str(v) for k, v in files.templates.variables.items()} == {"a": "1", "b": "3", "since": "2024-01-01"}
