"""Values of front matter are replaced, and all else stays as it is written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import BadValue
from teachkit.project.front_matter import split_front_matter, with_values


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'b: "x"\na: false\n'),
        ("# nothing\n", 'b: "x"\na: false\n# nothing\n'),
        ("c: 1 # one\n", 'b: "x"\na: false\nc: 1 # one\n'),
        ("a: true # off\nc: 1\n", 'b: "x"\na: false # off\nc: 1\n'),
        ("a:\nc: 1\n", 'b: "x"\na: false\nc: 1\n'),
        ("a: # soon\nc: 1\n", 'b: "x"\na: false # soon\nc: 1\n'),
        ("b: |\n  one\n\n  two\n# c\nc: 1", 'a: false\nb: "x"\n# c\nc: 1'),
        ("b: >-\n  one\n  two\nc: 1", 'a: false\nb: "x"\nc: 1'),
        ("b: one\n  two # three\nc: {a: 1, b: 2}", 'a: false\nb: "x" # three\nc: {a: 1, b: 2}'),
        ("b: 'it''s'\n'a': yes\n", "b: \"x\"\n'a': false\n"),
        ("{c: 1, b: 2}", '{a: false, c: 1, b: "x"}'),
        ("# c\n{ b: 2 }\n", '# c\n{a: false,  b: "x" }\n'),
        ("{}", '{b: "x", a: false, }'),
    ],
)
def test_values_are_replaced_where_they_stand(before: str, after: str) -> None:
    assert with_values(before, {"b": "x", "a": False}) == after


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff"))
values = st.recursive(
    st.one_of(st.booleans(), st.integers(), texts),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(texts, inside, max_size=3),
    max_leaves=6,
)


keys = {"enabled": st.booleans(), "description": texts, "tags": values, "output": values, "examples": values}


@given(
    st.fixed_dictionaries({}, optional=keys),
    texts,
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, '"', "'", "|", ">"]),
)
def test_what_was_there_is_there_and_what_was_said_is_said(
    before: dict[str, Any], description: str, enabled: bool, flow: bool | None, style: str | None
) -> None:
    written = yaml.safe_dump(before, allow_unicode=True, default_flow_style=flow, default_style=style, width=20)
    given = {"description": description, "enabled": enabled}
    after = yaml.safe_load(with_values(written, given))
    assert after == {**before, **given}
    assert list(yaml.safe_load(written)) == [name for name in after if name in before]


def split(text: str) -> tuple[str, str, int]:
    return split_front_matter("a.md", text)


def test_front_matter_is_split_from_what_follows() -> None:
    assert split("---\na: 1\n---\ntext\n") == ("\na: 1", "text\n", 4)
    assert split("text\n---\n") == ("{}", "text\n---\n", 1)
    above = "<!-- prompts/a.md: what it is for -->\n  <!-- and more -->\n"
    assert split(f"{above}---\na: 1\n---\ntext\n") == ("\n\n\na: 1", "text\n", 6)
    assert split(f"{above}text\n") == ("{}", "text\n", 3)
    assert split("<!-- all -->") == ("{}", "<!-- all -->", 1)
    assert split("<!-- two\nlines -->\n---\n") == ("{}", "<!-- two\nlines -->\n---\n", 1)


@pytest.mark.parametrize(("text", "line"), [("---\na: 1\ntext: {{ item.text }}\n", 1), ("<!-- a -->\n---\na: 1\n", 2)])
def test_front_matter_without_an_end_is_refused_where_it_begins(text: str, line: int) -> None:
    with pytest.raises(BadValue, match=f"a.md:{line}: front matter: it begins here and has no end"):
        split(text)
