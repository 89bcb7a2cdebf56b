from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import BadYaml
from teachkit.project.yaml_file import read_yaml

BAD = {
    # text: (line, column, what is wrong, what to write)
    "a: [1, 2": (2, 1, "did not find expected ',' or ']'", "check indentation"),
    "a:\n\tb: 1": (2, 1, "cannot start any token", "a tab stands in this line"),
    "a:\n  b: 1\n  \tc: 2": (3, 3, "", "a tab stands in this line"),
    "a: 1\nb: 2\na: 3": (3, 1, "the key 'a' stands twice", "the other is in line 1"),
    "x:\n  - {a: 1, b: 2, a: 3}": (2, 18, "the key 'a' stands twice", "the second would silently win"),
    "1: a\n'1': b": (2, 1, "the key '1' stands twice", ""),
    "a: {{ var('x') }}": (1, 5, "a key is a single word or text", "a value that starts with Jinja needs quotes"),
    "a: {% x %}": (1, 5, "", 'put a value that starts with Jinja in quotes: "{{ ... }}"'),
    "a: @x": (1, 4, "cannot start any token", "put a value that starts with %, @"),
    "a: %x": (1, 4, "cannot start any token", "put a value that starts with %, @"),
    "a: *x": (1, 4, "undefined alias", "put a value that starts with %, @"),
    "a: 'x": (1, 6, "unexpected end of stream", ""),
    "a: b: c": (1, 5, "mapping values are not allowed", "check indentation, colons and quotes"),
    "a:\n  - b\n c: 1": (3, 2, "did not find expected key", ""),
    "- a\nb: 1": (2, 1, "did not find expected '-' indicator", ""),
    "--- 1\n--- 2": (2, 1, "but found another document", ""),
    "? [a]\n: 1": (1, 3, "a key is a single word or text", ""),
    "a: !!python/object:os.system x": (1, 4, "could not determine a constructor", ""),
    "a: !foo x": (1, 4, "could not determine a constructor", ""),
    "a: 1\nb: 2024-13-45": (2, 4, "'2024-13-45' is no timestamp", "put it in quotes"),
    "a: !!timestamp x": (1, 4, "'x' is no timestamp", ""),
    "a: !!int x": (1, 4, "'x' is no int", ""),
    "a: b\nc: \x07": (2, 4, "U+0007 is not allowed", "remove it"),
    "a: &x [*x]": (1, 4, "this contains itself", "write it flat"),
    "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> x": (2, 2, "", "resolve the conflict"),
    "[" * 5000: (1, 1001, "nesting depth", ""),
    "a: " + "[" * 500 + "]" * 500: (1, 104, "nested too deeply", "write it flat"),
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_bad_yaml_is_reported_at_its_place_with_what_to_write(text: str) -> None:
    line, column, problem, advice = BAD[text]
    with pytest.raises(BadYaml) as caught:
        read_yaml("a.yml", text)
    error = caught.value
    assert error.where is not None
    assert (error.where.path, error.where.line, error.where.column) == ("a.yml", line, column)
    assert problem in error.message
    assert advice in error.advice


def test_aliases_of_aliases_do_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join(['*a' + str(i - 1)] * 10)}]" for i in range(1, 12)]
    with pytest.raises(BadYaml, match="repeat too much"):
        read_yaml("a.yml", "\n".join(lines))


def test_an_anchor_and_a_merge_key_are_fine() -> None:
    file = read_yaml("a.yml", "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: *x\n")
    assert file.value == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}}


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "---\n# x\n"])
def test_a_file_without_content_has_no_value(text: str) -> None:
    assert read_yaml("a.yml", text).value is None


def test_every_value_and_key_has_its_place() -> None:
    file = read_yaml("a.yml", "tasks:\n  - name: spam\n    labels: [ham, 'spam']\n    größe: 1\n")
    places = {
        (): (1, 1),
        ("tasks",): (2, 3),
        ("tasks", 0): (2, 5),
        ("tasks", 0, "name"): (2, 11),
        ("tasks", 0, "labels", 1): (3, 19),
        ("tasks", 0, "größe"): (4, 12),
        ("tasks", 0, "not there"): (2, 5),
        ("tasks", 7): (2, 3),
    }
    for path, place in places.items():
        where = file.where(path)
        assert (where.line, where.column) == place, path
    key = file.where(("tasks", 0, "labels"), key=True)
    assert (key.line, key.column, key.end_column) == (3, 5, 11)


TEXTS = {
    "a: select x": (1, 4),
    "a: 'select x'": (1, 5),
    'a: "select x"': (1, 5),
    "a: |\n  select x\n  from y": (2, 3),
    "a:\n  - b: |-\n\n      select x": (3, 7),
    "a: >\n   select x": (2, 4),
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_first_character_of_a_text_is_found(text: str) -> None:
    path = ("a", 0, "b") if "- b" in text else ("a",)
    where = read_yaml("a.yml", text).text(path)
    assert (where.line, where.column) == TEXTS[text]
    assert (where.end_column is None) is ("|" in text or ">" in text)


def test_a_part_of_a_file_knows_its_places() -> None:
    file = read_yaml("a.yml", "tests:\n  - accepted: {values: [1], quote: 2}\n")
    part = file.inside(("tests", 0, "accepted"), {"values": [1]})
    assert part.value == {"values": [1]}
    assert (part.where(("values",)).column, part.where(("quote",), key=True).column) == (24, 29)
    assert part.where().column == 15


WORDS = st.text(alphabet=string.ascii_letters + " äß'\"#:-{}[]*&!|>%@,?\n", max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_letters, min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, True, False]), st.integers(2, 6))
def test_what_pyyaml_writes_is_read_back_and_placed(value: object, flow: bool | None, indent: int) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, indent=indent, allow_unicode=True)
    file = read_yaml("a.yml", text)
    assert file.value == value
    lines = text.split("\n")
    for line, column, _ in (*file.values.values(), *file.keys.values()):
        assert 1 <= line <= len(lines)
        assert 1 <= column <= len(lines[line - 1]) + 1


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_yaml("a.yml", text)
    except BadYaml as error:
        assert error.where is not None
