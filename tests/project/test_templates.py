from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import (
    BadTemplate,
    MissingEnvVar,
    ProjectErrors,
    TeachkitError,
    UnknownMacro,
    UnknownVar,
    UnsafeTemplate,
    Where,
)
from teachkit.project.macros import read_macros
from teachkit.project.templates import Templates, has_jinja

WHERE = Where("x.sql", 1)


def templates(macros: str = "", **variables: Any) -> Templates:
    found = read_macros(macros, "macros/a.sql")[0]
    return Templates(
        variables=variables, target={"name": "dev", "threads": 2}, macros={macro.name: macro for macro in found}
    )


def render(text: str, macros: str = "", **variables: Any) -> str:
    return templates(macros, **variables).render(text, WHERE)


def refused(text: str, macros: str = "", **variables: Any) -> TeachkitError:
    with pytest.raises(TeachkitError) as caught:
        templates(macros, **variables).render(text, Where("x.sql", 5))
    return caught.value


RENDERED = {
    "plain text": ("select 1", "select 1"),
    "an expression": ("{{ 1 + 1 }}", "2"),
    "a variable": ("{{ var('words') | join(', ') }}", "a, b"),
    "a default": ("{{ var('nope', 'x') }}{{ var('nope', none) }}", "xNone"),
    "the target": ("{{ target.name }} {{ target.threads }}", "dev 2"),
    "a loop": ("{% for w in var('words') %}{{ w }}{{ ';' if not loop.last }}{% endfor %}", "a;b"),
    "a condition": ("{% if target.name == 'dev' %}x{% else %}y{% endif %}", "x"),
    "a name set": ("{% set n = 3 %}{{ n * 2 }}", "6"),
    "a comment": ("a{# {{ nope }} #}b", "ab"),
    "raw text": ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
    "a newline at the end": ("{{ 1 }}\n", "1\n"),
    "white space control": ("a\n{%- set x = 1 -%}\nb", "ab"),
    "a macro": ("{{ like('x') }}", "text ilike '%x%'"),
    "a macro's default": ("{{ like('x', column='c') }}", "c ilike '%x%'"),
    "a macro that calls another": ("{{ either(['a', 'b']) }}", "(text ilike '%a%' or text ilike '%b%')"),
    "a macro with a caller": ("{% call wrapped() %}x{% endcall %}", "[x]"),
    "a macro that sees variables": ("{{ words() }}", "a|b"),
    "a range": ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
    "is defined": ("{{ 'y' if nope is defined else 'n' }}", "n"),
    "a dictionary and format": ("{{ '%s-%s' % (1, 2) }} {{ '{} {}'.format(1, 'a') }}", "1-2 1 a"),
    "no escaping": ("{{ '<a>' }}", "<a>"),
    "Unicode": ("{{ 'ß日本😀' | upper }}", "SS日本😀"),
}
MACROS = """
{# {% macro not_this() %}{% endmacro %} #}
{% macro like(word, column='text') %}{{ column }} ilike '%{{ word }}%'{% endmacro %}
{%- macro either(words) -%}
({% for w in words %}{{ like(w) }}{{ ' or ' if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro wrapped() %}[{{ caller() }}]{% endmacro %}
{% macro words() %}{{ var('words') | join('|') }}{% endmacro %}
"""


@pytest.mark.parametrize("name", RENDERED)
def test_a_template_renders(name: str) -> None:
    text, wanted = RENDERED[name]
    assert render(text, MACROS, words=["a", "b"]) == wanted


@given(st.text(max_size=40).filter(lambda t: not has_jinja(t)))
def test_text_without_jinja_is_left_alone(text: str) -> None:
    assert render(text) == text


REFUSED = [
    # template, class, line in the file, message
    ("a\nb\n{% if %}", BadTemplate, 7, "Expected an expression"),
    ("{% for x in y %}", BadTemplate, 5, "Unexpected end of template"),
    ("{{ 1", BadTemplate, 5, "unexpected end of template"),
    ("{% nope %}", BadTemplate, 5, "unknown tag 'nope'"),
    ("\n{{ nope }}", UnknownMacro, 6, "'nope' is not defined"),
    ("\n\n{{ nope('x') }}", UnknownMacro, 7, "'nope' is not defined"),
    ("{{ target.nmae }}", UnknownMacro, 5, "'nmae' is not defined"),
    ("{{ var('nope') }}", UnknownVar, 5, "var('nope') has no value"),
    ("\n{{ env_var('TEACHKIT_TEST_NOT_SET') }}", MissingEnvVar, 6, "TEACHKIT_TEST_NOT_SET is not set"),
    ("{{ var() }}", BadTemplate, 5, "missing 1 required positional argument"),
    ("{{ 1 / 0 }}", BadTemplate, 5, "division by zero"),
    ("{{ 'a' + 1 }}", BadTemplate, 5, "can only concatenate str"),
    ("{{ var }}", BadTemplate, 5, "'var' is a function: call it with ()"),
    ("{{ like }}", BadTemplate, 5, "'like' is a function: call it with ()"),
    ("{{ [1][5] }}", UnknownMacro, 5, "is not defined"),
    ("{{ like() }}", UnknownMacro, 5, "'word' is not defined"),
    ("{{ like('a', 'b', 'c') }}", BadTemplate, 5, "takes not more than 2 argument"),
    # what reaches for Python's insides
    ("\n{{ ''.__class__ }}", UnsafeTemplate, 6, "access to '__class__'"),
    ("{{ ''.__class__.__mro__[1].__subclasses__() }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ ''['__class__'] }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ ''|attr('__class__') }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ ''|attr('__cl' ~ 'ass__') }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ dict.mro() }}", UnsafeTemplate, 5, "access to 'mro'"),
    ("{{ '{0.__class__}'.format(1) }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ '{x.__class__}'.format_map({'x': 1}) }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ '{0[__class__]}'.format({}) }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ var.__self__ }}", UnsafeTemplate, 5, "access to '__self__'"),
    ("{{ var.__globals__ }}", UnsafeTemplate, 5, "access to '__globals__'"),
    ("{{ like.__init__ }}", UnsafeTemplate, 5, "access to '__init__'"),
    ("{{ self._TemplateReference__context }}", UnsafeTemplate, 5, "access to '_TemplateReference__context'"),
    ("{{ namespace().__init__ }}", UnsafeTemplate, 5, "access to '__init__'"),
    ("{{ [''] | map(attribute='__class__') | list }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ [''] | map('attr', '__class__') | list }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ [1] | sum(attribute='__class__') }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{{ [''] | groupby('__class__') }}", UnsafeTemplate, 5, "access to '__class__'"),
    ("{% set _ = var('words').append('c') %}", UnsafeTemplate, 5, "append"),
    ("{% set _ = target.update({'name': 'x'}) %}", UnsafeTemplate, 5, "update"),
    ("{% include 'x.sql' %}", UnsafeTemplate, 5, "it reads another file"),
    ("{% import 'x.sql' as x %}", UnsafeTemplate, 5, "it reads another file"),
    ("{% extends 'x.sql' %}", UnsafeTemplate, 5, "it reads another file"),
    # chance and the clock are not there
    ("{{ [1, 2] | random }}", BadTemplate, 5, "No filter named 'random'"),
    ("{{ lipsum() }}", UnknownMacro, 5, "'lipsum' is not defined"),
    ("{{ now() }}", UnknownMacro, 5, "'now' is not defined"),
    # what would not end
    ("{% for i in range(10**9) %}{% endfor %}", BadTemplate, 5, "the ranges of this template hold more than"),
    (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        BadTemplate,
        5,
        "the ranges of this template hold more than",
    ),
    ("{{ 10 ** (10 ** 10) }}", BadTemplate, 5, "the result of '**' is too large"),
    ("{{ 'x' * 10 ** 9 }}", BadTemplate, 5, "the result of '*' is too large"),
    ("{{ 10 ** 9 * [1] }}", BadTemplate, 5, "the result of '*' is too large"),
    ("{{ '%999999999d' % 1 }}", BadTemplate, 5, "the result of '%' is too large"),
    ("{{ endless(1) }}", BadTemplate, 5, "a macro calls itself without end"),
    ("{{ ping(1) }}", BadTemplate, 5, "a macro calls itself without end"),
]
ENDLESS = """
{% macro endless(n) %}{{ endless(n + 1) }}{% endmacro %}
{% macro ping(n) %}{{ pong(n) }}{% endmacro %}
{% macro pong(n) %}{{ ping(n) }}{% endmacro %}
"""


@pytest.mark.parametrize("case", REFUSED, ids=range(len(REFUSED)))
def test_what_a_template_may_not_do_is_an_error_at_its_line(case: tuple[str, type[TeachkitError], int, str]) -> None:
    text, kind, line, message = case
    started = time.perf_counter()
    error = refused(text, MACROS + ENDLESS, words=["a"])
    assert time.perf_counter() - started < 5
    assert type(error) is kind
    assert message in error.message
    assert error.where == Where("x.sql", line)


def test_a_misspelt_name_comes_with_the_nearest_known_one() -> None:
    error = refused("{{ lik('x') }}", MACROS)
    assert error.advice.startswith("known here: either, env_var, like, target, var, words")
    assert error.advice.endswith("Did you mean 'like'?")


def test_environment_variables_are_read_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHKIT_TEST", "x")
    monkeypatch.delenv("TEACHKIT_TEST_2", raising=False)
    found = templates()
    assert found.render("{{ env_var('TEACHKIT_TEST') }}{{ env_var('TEACHKIT_TEST_2', 'y') }}", WHERE) == "xy"
    assert found.environment_read == {"TEACHKIT_TEST": "x", "TEACHKIT_TEST_2": None}


SECRET = "s3cret-value"
LEAKS = [
    "{{ {}[env_var('TEACHKIT_TEST')] }}",
    "{{ target[env_var('TEACHKIT_TEST')] }}",
    "{{ (env_var('TEACHKIT_TEST') | int('x')) + 1 }}",
    "{{ env_var('TEACHKIT_TEST') + 1 }}",
    "{{ var(env_var('TEACHKIT_TEST')) }}",
    "{{ env_var(env_var('TEACHKIT_TEST')) }}",
    "{{ ''|attr('__' ~ env_var('TEACHKIT_TEST')) }}",
    "{{ [1] | map(env_var('TEACHKIT_TEST')) | list }}",
]


@pytest.mark.parametrize("text", LEAKS)
def test_no_error_shows_the_value_of_an_environment_variable(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHKIT_TEST", SECRET)
    error = refused(text)
    assert SECRET not in str(error)
    assert SECRET not in str(error.as_dict())


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers() | st.text(max_size=5), max_size=3))
def test_rendering_twice_gives_the_same(variables: dict[str, Any]) -> None:
    text = "{% for n in ['a', 'b', 'c'] %}{{ var(n, 'none') }},{% endfor %}"
    found = templates(**variables)
    assert found.render(text, WHERE) == found.render(text, WHERE) == render(text, **variables)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a {# b #} c\n", "a  c\n"),
        ("a {#- b #} c", "a c"),
        ("a {# b -#} c", "a c"),
        ("a\n{#- b\n-#}\nc", "ac"),
        ("{% raw %}{# b #}{% endraw %}{# c #}", "{% raw %}{# b #}{% endraw %}"),
        ("{{ '{# b #}' }}{# c #}", "{{ '{# b #}' }}"),
    ],
)
def test_without_its_comments_a_template_is_the_same(text: str, left: str) -> None:
    assert templates().without_comments(text) == left


def test_a_macro_does_not_see_what_the_template_sets() -> None:
    assert render("{% set n = 1 %}{{ seen() }}", "{% macro seen() %}{{ n is defined }}{% endmacro %}") == "False"


def test_only_the_macros_that_may_be_reached_count() -> None:
    found = templates(MACROS)
    assert "macro like" in found.macros_used("{{ either(['a']) }}")
    assert "macro wrapped" not in found.macros_used("{{ either(['a']) }}")
    assert found.macros_used("select 1") == ""


BAD_MACROS = [
    # file, line, message
    ("\n{% macro a() %}{{ 1", 2, "unexpected end of template"),
    ("{% macro a() %}x", 1, "Unexpected end of template"),
    ("{% macro a( %}{% endmacro %}", 1, "expected token 'name'"),
    ("{% macro a() %}{% endmacro %}\n\n{{ a() }}", 3, "something stands outside the macros"),
    ("\n{% set x = 1 %}{% macro a() %}{{ x }}{% endmacro %}", 2, "'assign' stands outside the macros"),
    ("{% macro ref(name) %}{% endmacro %}", 1, "macro 'ref' would hide what every template has"),
    ("{% if true %}{% macro a() %}{% endmacro %}{% endif %}", 1, "'if' stands outside the macros"),
]


@pytest.mark.parametrize("case", BAD_MACROS, ids=range(len(BAD_MACROS)))
def test_a_bad_file_of_macros_is_an_error_at_its_line(case: tuple[str, int, str]) -> None:
    text, line, message = case
    with pytest.raises(ProjectErrors) as caught:
        read_macros(text, "macros/a.sql")
    error = caught.value.errors[0]
    assert error.where == Where("macros/a.sql", line)
    assert message in error.message


def test_macros_and_generic_tests_of_a_file_are_told_apart() -> None:
    text = """
    Words between macros are notes.
    {# {% macro a() %}{% endmacro %} #}
    {% macro a(x, y={'k': 1}) %}{{ x }}{% endmacro %}
    {%- test positive(model, column_name, least=0) -%}
    select * from {{ model }} where {{ column_name }} <= {{ least }}
    {%- endtest -%}
    {% macro b() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}
    """
    macros, tests = read_macros(text, "macros/a.sql")
    assert [(m.name, m.where.line) for m in macros] == [("a", 4), ("b", 8)]
    assert [(t.name, t.arguments, t.where.line) for t in tests] == [("positive", "model, column_name, least=0", 5)]
    assert tests[0].body.strip() == "select * from {{ model }} where {{ column_name }} <= {{ least }}"
    assert render("{{ b() }}", text) == "i"
