"""Reading labeling functions without running them, and what counts as their meaning."""

from __future__ import annotations

import ast
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import teachkit
from teachkit.errors import BadPython, ProjectErrors
from teachkit.graph.python import PythonFile, PythonLF, package_versions, read_python
from teachkit.graph.python.foreign import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "labeling_functions/spam/style.py"
FOLDER = "labeling_functions/spam/"
HEAD = "from teachkit import labeling_function\n"


def read(text: str, files: Mapping[str, str] | None = None, *, path: str = PATH) -> list[PythonLF]:
    files = {name: textwrap.dedent(content) for name, content in (files or {}).items()}

    def modules(name: str) -> tuple[str, str] | None:
        base = name.replace(".", "/")
        found = next((p for p in (f"{base}/__init__.py", f"{base}.py") if p in files), None)
        return (found, files[found]) if found else None

    return read_python(path, HEAD + textwrap.dedent(text), modules=modules)


def meaning(text: str, files: Mapping[str, str] | None = None, *, name: str = "f") -> str:
    return next(lf.canonical for lf in read(text, files) if lf.function == name)


def refusal(text: str) -> BadPython:
    with pytest.raises(BadPython) as caught:
        read(text)
    assert caught.value.where is not None
    assert caught.value.where.line is not None
    assert caught.value.advice
    return caught.value


# ---------------------------------------------------------------------------- declarations


def test_a_declaration_is_read_as_it_stands() -> None:
    [first, second] = read(
        '''
        LIMIT = 3
        @labeling_function(label="spam", tags=["url", "cheap"], timeout=2, memo=True, name="loud")
        def shouting(text: str, author, limit=10, *, word="x") -> bool:
            """All capitals.

            More."""
            return True
        @labeling_function
        def plain(text): return "ham"
        '''
    )
    assert (first.name, first.function, first.parameters, first.label) == (
        "loud",
        "shouting",
        ("text", "author"),
        "spam",
    )
    assert (first.tags, first.timeout, first.memo, first.batch) == (("url", "cheap"), 2.0, True, False)
    assert (first.description, first.line, first.path) == ("All capitals.", 5, PATH)
    assert (second.name, second.label, second.batch, second.description) == ("plain", None, False, "")


@pytest.mark.parametrize(
    "imported",
    [
        "from teachkit import labeling_function as lf",
        "from teachkit.labeling import labeling_function as lf",
        "import teachkit\nlf = 1\n@teachkit.labeling_function(label='spam')\ndef g(text): return 1",
        "import teachkit as tk\n@tk.labeling_function()\ndef g(text): return 1",
        "from teachkit import labeling\n@labeling.labeling_function()\ndef g(text): return 1",
    ],
)
def test_the_decorator_is_known_under_any_name(imported: str) -> None:
    use = "" if "@" in imported else "\n@lf(label='spam')\ndef g(text): return 1\n"
    assert [lf.name for lf in read_python(PATH, imported + use, modules=lambda _: None)] == ["g"]


def test_a_file_without_labeling_functions_has_none() -> None:
    assert read("def helper(x): return x") == []


SNORKEL = "from snorkel.labeling import labeling_function"


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        (f"{SNORKEL}\n@labeling_function()\ndef f(x): return 1", "'labeling_function' is not teachkit's", 2),
        (f"{SNORKEL} as lf\n@lf(pre=[])\ndef f(x): return 1", "'lf' is not teachkit's", 2),
        ("import snorkel\n@snorkel.labeling.labeling_function()\ndef f(x): return 1", "is not teachkit's", 2),
        ("from snorkel.labeling.lf.nlp import nlp_labeling_function as n\n@n()\ndef f(x): 1", "not teachkit's", 2),
        ("from snorkel.labeling import LabelingFunction\nf = LabelingFunction('f', f=len)", "is not teachkit's", 2),
        ("from rules import labeling_function\n@labeling_function\ndef f(text): return 'spam'", "not teachkit's", 2),
        ("from teachkit import labeling_functions", "teachkit has no 'labeling_functions'", 1),
        ("import teachkit as t\n@t.labelling_function\ndef f(text): return 1", "no 'labelling_function'", 2),
    ],
)
def test_what_is_not_teachkits_own_is_refused_and_not_ignored(text: str, problem: str, line: int) -> None:
    with pytest.raises(BadPython) as caught:
        read_python(PATH, text, modules=lambda _: None)
    assert problem in caught.value.message
    assert "from teachkit import labeling_function" in caught.value.advice
    assert caught.value.where is not None
    assert (caught.value.where.path, caught.value.where.line) == (PATH, line)


def test_the_public_names_are_those_of_the_package() -> None:
    assert sorted(PUBLIC) == sorted(teachkit.__all__)


@pytest.mark.parametrize(
    "text",
    [
        "from functools import cache\n@cache\ndef helper(x): return x",
        "from teachkit import Project, __version__, api, labeling\ndef helper(x): return labeling.LabelingFunction()",
        "from snorkel.preprocess import preprocessor\n@preprocessor()\ndef helper(x): return x",
        "def my_labeling_function(x): return x\nhelp = my_labeling_function(3)",
    ],
)
def test_helpers_are_no_mistake(text: str) -> None:
    assert read_python(PATH, text, modules=lambda _: None) == []


def test_a_decorator_of_another_name_beside_ours_is_the_users_own() -> None:
    text = "from rules import a_labeling_function\n@labeling_function\n@a_labeling_function\ndef f(a): return 1"
    [found] = read(text)
    assert found.name == "f"


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("@labeling_function(label=NAME)\ndef f(text): pass", "label= is not a literal", 2),
        ("@labeling_function(label=3)\ndef f(text): pass", "label= must be a string", 2),
        ("@labeling_function(batch=1)\ndef f(text): pass", "batch= must be True or False", 2),
        ("@labeling_function(tags='url')\ndef f(text): pass", "tags= must be a list of strings", 2),
        ("@labeling_function(timeout=0)\ndef f(text): pass", "timeout= must be a number", 2),
        ("@labeling_function(name='a b')\ndef f(text): pass", "name= must be a name", 2),
        ("@labeling_function('spam')\ndef f(text): pass", "no positional arguments", 2),
        ("@labeling_function(**x)\ndef f(text): pass", "does not take **", 2),
        ("@labeling_function(lable='spam')\ndef f(text): pass", "has no argument 'lable'", 2),
        ("@labeling_function\ndef f(*texts): pass", "takes *texts", 3),
        ("@labeling_function\ndef f(text, **rest): pass", "takes **rest", 3),
        ("@labeling_function\ndef f(): pass", "reads no column", 3),
        ("@labeling_function\ndef f(a=1): pass", "reads no column", 3),
        ("@labeling_function\ndef f(a, *, b): pass", "stands after the *", 3),
        ("@labeling_function\nasync def f(text): pass", "is async", 3),
        ("@labeling_function\n@labeling_function\ndef f(text): pass", "twice", 3),
        ("@labeling_function\ndef f(a): pass\n@labeling_function\ndef f(b): pass", "defined twice", 5),
        ("@labeling_function\ndef f(a): pass\ndef f(b): pass", "defined again in line 4", 3),
        ("class A:\n    @labeling_function\n    def f(a): pass", "top level", 3),
        ("g = labeling_function(label='spam')(len)", "top level", 2),
        ("def f(:\n    pass", "not valid Python", 2),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(text: str, problem: str, line: int) -> None:
    error = refusal(text)
    assert problem in error.message
    assert error.where is not None
    assert (error.where.path, error.where.line) == (PATH, line)


def test_a_near_miss_is_pointed_out() -> None:
    assert "Did you mean 'labeling_function'?" in refusal("from teachkit import labeling_functions").advice
    assert "Did you mean 'label'?" in refusal("@labeling_function(lable='spam')\ndef f(text): pass").advice


def test_all_wrong_declarations_are_told_at_once() -> None:
    with pytest.raises(ProjectErrors) as caught:
        read("@labeling_function\ndef f(): pass\n@labeling_function\nasync def g(text): pass")
    assert len(caught.value.errors) == 2


def test_a_helper_that_is_not_python_is_refused_in_its_own_file() -> None:
    with pytest.raises(BadPython) as caught:
        read("from helpers import x\n@labeling_function\ndef f(text): return x", {"helpers.py": "x = (\n"})
    assert caught.value.where is not None
    assert caught.value.where.path == "helpers.py"


# ---------------------------------------------------------------------------- what keeps the meaning

BASE = """
    import re
    from helpers import tokens
    LIMIT = 3
    PATTERN = re.compile("a+")
    def _long(text):
        return len(text) > LIMIT
    @labeling_function(label="spam")
    def f(text):
        return _long(text) and bool(PATTERN.search(text)) and tokens(text)
"""
HELPERS = {
    "helpers.py": "WORDS = {'a', 'b'}\ndef tokens(text): return WORDS & set(text.split())\ndef other(): return 1\n"
}

SAME = [
    ('LIMIT = 3', 'LIMIT = 3  # three'),
    ('LIMIT = 3', 'LIMIT = (\n        3\n    )'),
    ('LIMIT = 3', 'LIMIT: int = 3'),
    ('LIMIT = 3', 'UNRELATED = 4\n    LIMIT = 3'),
    ('LIMIT = 3', 'LIMIT = 3\n    def unrelated(x): return x + 1'),
    ('LIMIT = 3', 'LIMIT = 3\n    import pandas as unused'),
    ('LIMIT = 3', 'LIMIT = 3\n    @labeling_function(label="ham")\n    def other(text): return LIMIT > 4'),
    ('def _long(text):', 'def _long(text: str) -> bool:\n        """Is it long?"""'),
    ('def f(text):', 'def f(text: str) -> bool:\n        """Doc."""'),
    ('"a+"', "'a+'"),
    ('label="spam")', 'label="spam", tags=["x"], timeout=3, name="g", description="d", memo=True)'),
    ('from helpers import tokens', 'from helpers import tokens, other'),
    ('import re', 'import re, json'),
]  # fmt: skip

OTHER = [
    ('LIMIT = 3', 'LIMIT = 4'),
    ('LIMIT = 3', 'LIMIT = 3.0'),
    ('LIMIT = 3', 'LIMIT = "3"'),
    ('LIMIT = 3', 'LIMIT = 3\n    LIMIT = 4'),
    ('LIMIT = 3', 'LIMIT = 3\n    LIMIT += 1'),
    ('LIMIT = 3', 'LIMIT = 3\n    for i in range(3): LIMIT += i'),
    ('LIMIT = 3', 'LIMIT = 3\n    helpers.WORDS.add("x")'),
    ('LIMIT = 3', 'LIMIT = 3\n    from patches import *'),
    ('"a+"', '"a*"'),
    ('import re', 'import regex as re'),
    ('> LIMIT', '>= LIMIT'),
    ('label="spam"', 'label="ham"'),
    ('label="spam"', 'label="spam", batch=True'),
    ('def f(text):', 'def f(body, text=1):'),
    ('@labeling_function', '@cached\n    @labeling_function'),
    ('from helpers import tokens', 'from helpers import other as tokens'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_changes_no_answer_keeps_the_meaning(old: str, new: str) -> None:
    assert old in BASE
    assert meaning(BASE.replace(old, new), HELPERS) == meaning(BASE, HELPERS)


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_may_change_an_answer_changes_the_meaning(old: str, new: str) -> None:
    assert old in BASE
    assert meaning(BASE.replace(old, new), HELPERS | {"patches.py": "x = 1"}) != meaning(BASE, HELPERS)


def test_the_order_of_definitions_has_no_meaning() -> None:
    a, b = "def a(x): return b(x)\n", "def b(x): return ONE\n"
    f, one = "@labeling_function\ndef f(text): return a(text)\n", "ONE = 1\n"
    texts = ["".join(parts) for parts in ((a, b, f, one), (one, f, b, a), (f, one, a, b))]
    assert len({meaning(text) for text in texts}) == 1


def test_the_order_of_reassignments_has_a_meaning() -> None:
    f = "@labeling_function\ndef f(text): return B\n"
    assert meaning("A = 1\nB = A\nA = 2\n" + f) != meaning("A = 1\nA = 2\nB = A\n" + f)


@pytest.mark.parametrize(
    ("use", "file"),
    [
        ("from helpers import tokens\n{f} return tokens(text)", "helpers.py"),
        ("from helpers import tokens\n{f} return tokens(text)", FOLDER + "helpers.py"),
        ("import helpers\n{f} return helpers.tokens(text)", "helpers.py"),
        ("import helpers as h\n{f} return h.tokens(text)", "helpers.py"),
        ("import pkg.helpers\n{f} return pkg.helpers.tokens(text)", "pkg/helpers.py"),
        ("from pkg import helpers\n{f} return helpers.tokens(text)", "pkg/helpers.py"),
        ("from pkg.helpers import tokens as t\n{f} return t(text)", "pkg/helpers.py"),
        ("from .helpers import tokens\n{f} return tokens(text)", FOLDER + "helpers.py"),
        ("from . import helpers\n{f} return helpers.tokens(text)", FOLDER + "helpers.py"),
        ("from ...shared.helpers import tokens\n{f} return tokens(text)", "shared/helpers.py"),
        ("from helpers import *\n{f} return tokens(text)", "helpers.py"),
        ("{f}\n    from helpers import tokens\n    return tokens(text)", "helpers.py"),
        ("{f}\n    import helpers\n    return helpers.tokens(text)", "helpers.py"),
        ("import helpers\n{f} return getattr(helpers, 'tok' + 'ens')(text)", "helpers.py"),
        ("import helpers\nh = helpers\n{f} return h.tokens(text)", "helpers.py"),
        ("import importlib\n{f} return importlib.import_module('helpers').tokens(text)", "helpers.py"),
        ("{f} return __import__('helpers').tokens(text)", "helpers.py"),
        ("try:\n    from helpers import tokens\nexcept ImportError:\n    pass\n{f} return tokens(text)", "helpers.py"),
        ("try:\n    import helpers\nexcept ImportError:\n    pass\n{f} return helpers.tokens(text)", "helpers.py"),
        ("if True:\n    from helpers import tokens\n{f} return tokens(text)", "helpers.py"),
        ("from helpers import tokens\n{f} return (lambda t: tokens(t))(text)", "helpers.py"),
        ("from helpers import tokens\n{f} return [tokens(t) for t in text]", "helpers.py"),
        ("from helpers import tokens\ndef g(t, k=tokens('a b')): return k\n{f} return g(text)", "helpers.py"),
        (
            "from helpers import tokens\nclass A:\n    def g(self, t): return tokens(t)\n{f} return A().g(1)",
            "helpers.py",
        ),
        ("from helpers import tokens\nRULES = {{'x': tokens}}\n{f} return RULES['x'](text)", "helpers.py"),
        ("from middle import tokens\n{f} return tokens(text)", "helpers.py"),
        ("import middle\n{f} return middle.tokens(text)", "helpers.py"),
        ("from middle import helpers\n{f} return helpers.tokens(text)", "helpers.py"),
    ],
)
def test_a_constant_of_a_reached_helper_counts_however_it_is_imported(use: str, file: str) -> None:
    text = use.format(f="@labeling_function(label='spam')\ndef f(text):")
    middle = {"middle.py": "import helpers\nfrom helpers import tokens\n"}
    helper = "WORDS = {{'a', '{}'}}\ndef tokens(text): return WORDS & set(text.split())\n"
    one, two = (meaning(text, {file: helper.format(word), **middle}) for word in "bc")
    assert one != two
    assert meaning(text, {file: helper.format("b") + "# comment\n", **middle}) == one


@pytest.mark.parametrize(
    "extra",
    [
        "RULES.append({})",
        "RULES += [{}]",
        "RULES[0:0] = [{}]",
        "@rule({})\ndef unnamed(x): return x",
        "rule(RULES)({})",
        "ignored = RULES.append({})",
        "ignored = add({})",
        "for i in range(2): RULES.append({})",
        "if len(RULES) == 0: RULES.append({})",
        "with open('x') as file: RULES.append({})",
        "class Sub(Base):\n    value = {}",
        "class Sub(metaclass=Meta):\n    value = {}",
        "class Sub:\n    RULES.append({})",
        "def late(x=RULES.append({})): return x",
        "exec('RULES.append({})')",
        "globals()['RULES'] = [{}]",
        "first, (RULES[0], *rest) = 1, ({}, 2)",
    ],
)
@pytest.mark.parametrize("inside", ["here", "helper"])
def test_code_that_acts_on_import_counts(extra: str, inside: str) -> None:
    rules = (
        "RULES = [0]\ndef rule(n): return lambda f: RULES.append((n, f))\ndef add(n): RULES.append(n)\n"
        "class Base:\n    def __init_subclass__(cls): RULES.append(cls)\nclass Meta(type): pass\n"
    )
    f = "@labeling_function\ndef f(text): return RULES\n"

    def texts(number: int) -> str:
        if inside == "here":
            return meaning(rules + extra.format(number) + "\n" + f)
        return meaning("from helpers import RULES\n" + f, {"helpers.py": rules + extra.format(number) + "\n"})

    assert texts(1) != texts(2)


def test_a_module_that_is_only_imported_counts_if_importing_it_acts() -> None:
    text = "import patches\nfrom helpers import LIMIT\n@labeling_function\ndef f(text): return LIMIT\n"
    files = {"helpers.py": "LIMIT = 1\n"}
    acting = [meaning(text, files | {"patches.py": f"import helpers\nhelpers.LIMIT = {n}\n"}) for n in (1, 2)]
    resting = [meaning(text, files | {"patches.py": f"OTHER = {n}\n"}) for n in (1, 2)]
    assert acting[0] != acting[1]
    assert resting[0] == resting[1]


def test_the_init_of_a_package_counts_if_it_acts() -> None:
    text = "from pkg.helpers import LIMIT\n@labeling_function\ndef f(text): return LIMIT\n"
    files = {"pkg/helpers.py": "LIMIT = 1\n"}
    assert len({meaning(text, files | {"pkg/__init__.py": f"print({n})\n"}) for n in (1, 2)}) == 2


def test_annotations_and_docstrings_count_where_code_can_read_them() -> None:
    plain = "@labeling_function\ndef f(text): return g(text)\n"
    for head in ("import inspect\n", "def h(): return g.__annotations__\n", "def h(): return g.__doc__\n"):
        pairs = [meaning(head + f"def g(x: {kind}):\n    '{kind}'\n    return x\n" + plain) for kind in ("int", "str")]
        assert pairs[0] != pairs[1]
    fields = [meaning(f"class A:\n    x: {kind} = 1\ndef g(x): return A\n" + plain) for kind in ("int", "str")]
    assert fields[0] != fields[1]


def test_modules_that_import_each_other_are_read_once() -> None:
    files = {"a.py": "import b\ndef x(t): return b.y(t)\n", "b.py": "import a\ndef y(t): return a.x(t) or 1\n"}
    text = "import a\n@labeling_function\ndef f(text): return a.x(text) or f(text)\n"
    assert meaning(text, files) != meaning(text, files | {"b.py": files["b.py"].replace("1", "2")})


def test_a_name_of_the_standard_library_is_never_local() -> None:
    text = "import json\n@labeling_function\ndef f(text): return json.loads(text)\n"
    assert meaning(text, {"json.py": "loads = 1\n"}) == meaning(text)


def test_packages_are_those_of_reached_code() -> None:
    text = """
        import numpy as np, json
        import sklearn.svm
        import pandas
        from helpers import g
        @labeling_function
        def f(text): return np.array([text]), g(), json
    """
    [lf] = read(text, {"helpers.py": "import yaml\nimport rich\ndef g(): return yaml\n"})
    assert lf.packages == ("numpy", "yaml")


def test_versions_are_those_of_the_distributions() -> None:
    import numpy as np
    import yaml

    assert package_versions(["yaml", "numpy", "no_such_module"]) == {
        "no_such_module": "missing",
        "numpy": f"numpy {np.__version__}",
        "yaml": f"PyYAML {yaml.__version__}",
    }
    assert package_versions([]) == {}


def test_the_notation_is_fixed() -> None:
    """Fingerprints in locks rest on it, on every Python: change it only with the number in ``python: 1``."""
    text = '''
X: float = 1.5
def f(text: str, *, n=2) -> bool:
    """Doc."""
    return f"{text!r:>{n}}a" "b" == -X or None
'''
    found = json.loads(PythonFile("x.py", text, modules=lambda _: None).meaning("f").text)
    assert found == {
        "function": '(FunctionDef name="" args=(arguments args=[ (arg arg="text")]'
        ' kwonlyargs=[ (arg arg="n")] kw_defaults=[ int:2]) body=[ (Return value=(BoolOp op=(Or)'
        " values=[ (Compare left=(JoinedStr values=["
        ' (FormattedValue value=(Name id="text") conversion=114 format_spec=(JoinedStr values=[ ">"'
        ' (FormattedValue value=(Name id="n") conversion=-1)])) "ab"]) ops=[ (Eq)] comparators=['
        ' (UnaryOp op=(USub) operand=(Name id="X"))]) None]))])',
        "modules": {".": [['(Assign targets=[ (Name id="X")] value=float:0x1.8000000000000p+0)'], []]},
        "order": [],
        "places": [],
    }


def test_a_labeling_function_that_is_bound_again_counts_with_its_wrapper() -> None:
    texts = [
        f"def wrap(g): return lambda t: {n}\n@labeling_function\ndef f(text): return 1\nf = wrap(f)\n" for n in (1, 2)
    ]
    assert meaning(texts[0]) != meaning(texts[1])


# ---------------------------------------------------------------------------- properties

constants = st.one_of(
    st.integers(0, 3),
    st.booleans(),
    st.none(),
    st.floats(0, 3, allow_nan=False).map(float),
    st.sampled_from(["", "1", "True", "{x}", "ß", '"', "\\", "\n", "\ud800"]),
    st.binary(max_size=2),
    st.just(...),
    st.just(1j),
)

TEMPLATES = [
    "A = {}\n@labeling_function\ndef f(text): return A\n",
    "@labeling_function\ndef f(text): return text == {}\n",
    "@labeling_function\ndef f(text, n={}): return n\n",
    "def g(x=[{}]): return x\n@labeling_function\ndef f(text): return g()\n",
    "class A:\n    x = {}\n@labeling_function\ndef f(text): return A.x\n",
    "B = {{'k': ({},)}}\nA = B['k']\n@labeling_function\ndef f(text): return [A for A in text] + A\n",
    "@labeling_function\ndef f(text):\n    match text:\n        case [_, 'x', *r]: return {}\n",
]


def same(a: object, b: object) -> bool:
    return type(a) is type(b) and repr(a) == repr(b)


@given(st.sampled_from(TEMPLATES), constants, constants)
def test_a_constant_counts_exactly_when_it_differs(template: str, one: object, two: object) -> None:
    texts = [HEAD + template.format("..." if value is ... else repr(value)) for value in (one, two)]
    first, second = (read_python(PATH, text, modules=lambda _: None)[0].canonical for text in texts)
    assert (first == second) == same(one, two)


STANDARD = [
    "textwrap",
    "json/decoder",
    "statistics",
    "ast",
    "dataclasses",
    "functools",
    "difflib",
    "tokenize",
    "heapq",
    "string",
]


@pytest.mark.parametrize("name", STANDARD)
def test_another_layout_keeps_the_meaning_of_real_code(name: str) -> None:
    path = Path(textwrap.__file__).parent / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    other = ast.unparse(ast.parse(text))
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    files = [PythonFile("x.py", t, modules=lambda _: None) for t in (text, other)]
    assert text != other
    for function in sorted(set(names))[:6]:
        assert files[0].meaning(function) == files[1].meaning(function), function
