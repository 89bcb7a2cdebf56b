from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from teachkit.errors import ProjectErrors
from teachkit.project import models
from teachkit.project.llm_models import PromptConfig
from teachkit.project.validate import validate
from teachkit.project.yaml_file import read_yaml

TABLE = "sources: [{name: raw, tables: [{name: a, path: x, "
TASK = "tasks: [{name: t, dataset: x, key: id, labels: [a, b], "
RULE = "labeling_functions: [{name: a, label: spam, "
MODEL = "label_models: [{name: a, task: t, "
KEYS_OF_TABLE = (
    "columns, database, description, format, freshness, key, name, options, path, query, record, table, "
    "tags, tests, type"
)

# model, text with ^ where the error stands, slug, message, advice (start)
MISTAKES = [
    # unknown keys, at each level
    ("ProjectConfig", "name: x\n^nmae: y", "unknown-key", "'nmae' is not a key of this file", "Did you mean 'name'?"),
    (
        "ProjectConfig",
        "name: x\npaths: {^taks: a}",
        "unknown-key",
        "'taks' is not a key of 'paths'",
        "Did you mean 'tasks'?",
    ),
    (
        "ProjectConfig",
        "name: x\ntransforms: {a: {^tag: b}}",
        "unknown-key",
        "'tag' is not a key of 'a'",
        "Did you mean 'tags'?",
    ),
    (
        "Profiles",
        "targets: {dev: {^thread: 2}}",
        "unknown-key",
        "'thread' is not a key of 'dev'",
        "Did you mean 'threads'?",
    ),
    (
        "Profiles",
        "targets: {dev: {llm: {providers: {o: {base_url: u, ^api_key: x}}}}}",
        "unknown-key",
        "'api_key' is not a key of 'o'",
        "Did you mean 'api_key_env'?",
    ),
    ("SourcesFile", "^sourcs: []", "unknown-key", "'sourcs' is not a key of this file", "Did you mean 'sources'?"),
    (
        "SourcesFile",
        "sources: [{name: raw, ^tabels: []}]",
        "unknown-key",
        "not a key of source 'raw'",
        "Did you mean 'tables'?",
    ),
    (
        "SourcesFile",
        TABLE + "^colums: {}}]}]",
        "unknown-key",
        "not a key of table 'a'",
        f"write one of: {KEYS_OF_TABLE}",
    ),
    ("SourcesFile", TABLE + "columns: {c: {^typ: int}}}]}]", "unknown-key", "not a key of 'c'", "Did you mean 'type'?"),
    (
        "SourcesFile",
        TABLE + "columns: {type: {^typ: int}}}]}]",
        "unknown-key",
        "not a key of 'type'",
        "write one of: description, tests, type",
    ),
    (
        "SourcesFile",
        TABLE + "freshness: {column: c, ^warn_aftr: x}}]}]",
        "unknown-key",
        "not a key of 'freshness'",
        "Did you mean 'warn_after'?",
    ),
    (
        "TransformsFile",
        "transforms: [{name: a, columns: {c: {^test: []}}}]",
        "unknown-key",
        "not a key of 'c'",
        "Did you mean 'tests'?",
    ),
    ("TasksFile", TASK + "^lables: [a]}]", "unknown-key", "not a key of task 't'", "Did you mean 'labels'?"),
    (
        "TasksFile",
        TASK + "gold: {^colum: x}}]",
        "unknown-key",
        "'colum' is not a key of 'gold'",
        "Did you mean 'column'?",
    ),
    (
        "TasksFile",
        TASK + "splits: {^hsh: {test: 10%}}}]",
        "unknown-key",
        "'hsh' is not a key of 'splits'",
        "Did you mean 'hash'?",
    ),
    (
        "TasksFile",
        TASK + "splits: {column: x, ^hash: {test: 10%}}}]",
        "unknown-key",
        "'hash' is not a key of 'splits'",
        "",
    ),
    (
        "TasksFile",
        TASK + "splits: {hash: {^tset: 10%}}}]",
        "unknown-key",
        "'tset' is not a key of 'hash'",
        "Did you mean 'test'?",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: [a, {^nam: b}]}]",
        "unknown-key",
        "'nam' is not a key of a label",
        "Did you mean 'name'?",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: [a, {name: b, ^descr: c}]}]",
        "unknown-key",
        "'descr' is not a key of label 'b'",
        "write one of: description, name.",
    ),
    (
        "RulesFile",
        RULE + "^anyof: [x]}]",
        "unknown-key",
        "not a key of labeling function 'a'",
        "Did you mean 'any_of'?",
    ),
    (
        "LabelModelsFile",
        MODEL + "^votes: [x]}]",
        "unknown-key",
        "not a key of label model 'a'",
        "Did you mean 'voters'?",
    ),
    (
        "AnnotationsFile",
        "files: {a.csv: {columns: {^itm: id}}}",
        "unknown-key",
        "'itm' is not a key of 'columns'",
        "Did you mean 'item'?",
    ),
    (
        "ExportsFile",
        "exports: [{name: a, label_set: x, path: y, ^fromat: csv}]",
        "unknown-key",
        "not a key of export 'a'",
        "Did you mean 'format'?",
    ),
    (
        "TestsFile",
        "tests: [{^nod: x, tests: []}]",
        "unknown-key",
        "'nod' is not a key of a test",
        "Did you mean 'node'?",
    ),
    (
        "TestsFile",
        "unit_tests: [{name: a, voter: v, ^row: [], rows: [], expect: []}]",
        "unknown-key",
        "of unit test 'a'",
        "Did you mean 'rows'?",
    ),
    (
        "SelectorsFile",
        "selectors: [{name: a, definition: b, ^union: c}]",
        "unknown-key",
        "of selector 'a'",
        "write one of: definition",
    ),
    # missing keys
    ("ProjectConfig", "^version: '1'", "missing-key", "this file needs the key 'name'", "add 'name:'"),
    ("SourcesFile", "sources: [^{name: raw}]", "missing-key", "source 'raw' needs the key 'tables'", "add 'tables:'"),
    (
        "TasksFile",
        "tasks: [^{name: t, labels: [a, b], key: id}]",
        "missing-key",
        "task 't' needs the key 'dataset'",
        "add 'dataset:'",
    ),
    ("TasksFile", TASK + "splits: ^{}}]", "missing-key", "'splits' needs the key 'column'", ""),
    ("ExportsFile", "exports: [^{name: a, path: x}]", "missing-key", "export 'a' needs the key 'label_set'", ""),
    # the wrong kind of value
    ("ProjectConfig", "^- a", "bad-value", "the file: found a list, not keys with values", "write 'key: value'"),
    ("ProjectConfig", "^text", "bad-value", "the file: found text, not keys with values", ""),
    (
        "ProjectConfig",
        "name: x\nversion: ^1.0",
        "bad-value",
        "version: found a number, not text",
        "put it in quotes: '1.0'",
    ),
    (
        "ProjectConfig",
        "name: x\npart_rows: ^'2000'",
        "bad-value",
        "found '2000', not a whole number",
        "write a whole number, without quotes",
    ),
    ("ProjectConfig", "name: x\ntransforms: {a: ^on}", "bad-value", "a: found true/false, not keys with values", ""),
    ("Profiles", "targets: {dev: {threads: ^true}}", "bad-value", "found true/false, not a whole number", ""),
    (
        "SourcesFile",
        "sources: ^{name: raw}",
        "bad-value",
        "sources: found keys with values, not a list",
        "write a list: [a, b]",
    ),
    ("SourcesFile", "sources: [^raw]", "bad-value", "sources[0]: found text, not keys with values", ""),
    ("SourcesFile", "sources:^", "bad-value", "sources: found nothing, not a list", ""),
    (
        "SourcesFile",
        "sources: [{name: raw, tables: [{name: a, path: ^{x: 1}}]}]",
        "bad-value",
        "found keys with values, not text or a list",
        "",
    ),
    (
        "SourcesFile",
        "sources: [{name: raw, tables: [{name: a, path: [x, ^1]}]}]",
        "bad-value",
        "path[1]: found a number, not text",
        "",
    ),
    ("SourcesFile", TABLE + "columns: {c: ^int}}]}]", "bad-value", "c: found text, not keys with values", ""),
    ("SourcesFile", TABLE + "columns: {c: {tests: ^unique}}}]}]", "bad-value", "tests: found text, not a list", ""),
    (
        "SourcesFile",
        TABLE + "tests: [unique, ^1]}]}]",
        "bad-value",
        "tests[1]: found 1, not text or keys with values",
        "",
    ),
    (
        "SourcesFile",
        TABLE + "tests: [^[unique]]}]}]",
        "bad-value",
        "tests[0]: found a list, not text or keys with values",
        "",
    ),
    ("TasksFile", TASK + "splits: ^split}]", "bad-value", "splits: found 'split', not keys with values", ""),
    ("TasksFile", TASK + "splits: {hash: {test: ^0.1}}}]", "bad-value", "test: found a number", "write a share"),
    (
        "TasksFile",
        TASK + "splits: {hash: {tune: ^10, test: 20%}}}]",
        "bad-value",
        "tune: found a number, not text",
        "write a share such as 10%",
    ),
    (
        "Profiles",
        "targets: {dev: {memory: ^4}}",
        "bad-value",
        "memory: found a number, not text",
        "write a size such as 4GB",
    ),
    ("ProjectConfig", "name: ^3", "bad-value", "name: found a number, not text", "write a name of letters"),
    (
        "TasksFile",
        TASK + "splits: {hash: ^{tune: 60%, test: 60 %}}}]",
        "bad-value",
        "tune and test together are 120%, and there are no more than 100%",
        "",
    ),
    ("TasksFile", TASK + "gold: ^class}]", "bad-value", "gold: found text, not keys with values", ""),
    (
        "TasksFile",
        TASK + "gold: {column: x, values: {0: ^1}}}]",
        "bad-value",
        "values[0]: found a number, not text",
        "",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: [^yes, b]}]",
        "bad-value",
        "labels[0]: found true/false, not text",
        "put it in quotes: YAML reads yes",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: [^0, b]}]",
        "bad-value",
        "labels[0]: found 0, not text",
        "put it in quotes: '0'",
    ),
    ("RulesFile", RULE + "any_of: ^7}]", "bad-value", "any_of: found a number, not a list", ""),
    (
        "RulesFile",
        RULE + "any_of: [a, ^7]}]",
        "bad-value",
        "any_of[1]: found a number, not text",
        "put it in quotes: '7'",
    ),
    ("RulesFile", RULE + "min_hits: ^'2'}]", "bad-value", "min_hits: found '2', not a whole number", ""),
    ("RulesFile", RULE + "min_hits: ^2.5}]", "bad-value", "min_hits: found 2.5, not a whole number", ""),
    (
        "RulesFile",
        RULE + "enabled: ^'no'}]",
        "bad-value",
        "enabled: found text, not true or false",
        "write true or false",
    ),
    (
        "RulesFile",
        "labeling_functions: [{name: a, label: ^no}]",
        "bad-value",
        "label: found true/false, not text",
        "put it in quotes: YAML",
    ),
    (
        "LabelModelsFile",
        MODEL + "class_prior: ^learnt}]",
        "bad-value",
        "found 'learnt', not learned or uniform or keys",
        "Did you mean 'learned'?",
    ),
    ("LabelModelsFile", MODEL + "class_prior: {a: ^x}}]", "bad-value", "a: found 'x', not a number", ""),
    (
        "LabelModelsFile",
        MODEL + "class_prior: {a: ^50%}}]",
        "bad-value",
        "a: found '50%', not a number",
        "write a number such as 0.5",
    ),
    (
        "TestsFile",
        "unit_tests: [{name: a, voter: v, rows: [^x], expect: [b]}]",
        "bad-value",
        "rows[0]: found text, not keys with values",
        "",
    ),
    (
        "TestsFile",
        "unit_tests: [{name: a, voter: v, rows: [{x: 1}], expect: [^{a: 1}]}]",
        "bad-value",
        "expect[0]: found keys with values, not text or a number or a list",
        "",
    ),
    ("AnnotationsFile", "files: ^[a.csv]", "bad-value", "files: found a list, not keys with values", ""),
    # values that are not allowed
    (
        "ProjectConfig",
        "name: ^1x",
        "bad-value",
        "name: '1x' is not allowed",
        "write a name of letters (a-z), digits and _",
    ),
    (
        "ProjectConfig",
        "name: x\npart_rows: ^10",
        "bad-value",
        "part_rows: 10 is too small",
        "write a number not below 1000",
    ),
    (
        "ProjectConfig",
        "name: x\npython_timeout: ^0",
        "bad-value",
        "python_timeout: 0 is too small",
        "write a number above 0",
    ),
    (
        "Profiles",
        "targets: {dev: {threads: ^1000}}",
        "bad-value",
        "threads: 1000 is too large",
        "write a number not above 256",
    ),
    (
        "Profiles",
        "targets: {dev: {memory: ^4 gigs}}",
        "bad-value",
        "memory: '4 gigs' is not allowed",
        "write a size such as 4GB",
    ),
    (
        "SourcesFile",
        TABLE + "format: ^cvs}]}]",
        "bad-value",
        "format: 'cvs' is not allowed",
        "write one of: csv, jsonl, parquet, xlsx. Did you mean 'csv'?",
    ),
    (
        "SourcesFile",
        TABLE + "freshness: {column: c, warn_after: ^soon}}]}]",
        "bad-value",
        "'soon' is not allowed",
        "write a time such as 7 days",
    ),
    (
        "SourcesFile",
        "sources: [{name: raw, tables: [^{name: a}]}]",
        "bad-value",
        "give either 'path' (files) or 'database'",
        "",
    ),
    (
        "SourcesFile",
        "sources: [{name: raw, tables: [^{name: a, path: x, database: y}]}]",
        "bad-value",
        "give either 'path' (files) or 'database'",
        "",
    ),
    (
        "SourcesFile",
        "sources: [{name: raw, tables: [^{name: a, database: y}]}]",
        "bad-value",
        "a database needs 'table' or 'query'",
        "",
    ),
    (
        "TasksFile",
        TASK + "kind: ^chioce}]",
        "bad-value",
        "kind: 'chioce' is not allowed",
        "write one of: choice, multichoice, ordinal, pairwise, number, text, ranking, span. Did you mean 'choice'?",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: ^[a, a]}]",
        "bad-value",
        "labels: the label 'a' stands twice",
        "",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: ^[a, ' ']}]",
        "bad-value",
        "labels: a label needs a name",
        "",
    ),
    (
        "TasksFile",
        "tasks: [^{name: t, dataset: x, key: id, labels: [a]}]",
        "bad-value",
        "a choice needs two labels or more",
        "",
    ),
    (
        "TasksFile",
        "tasks: [{name: t, dataset: x, key: id, labels: ^[]}]",
        "bad-value",
        "labels: found 0 entries",
        "write 1 or more",
    ),
    ("RulesFile", RULE + "any_of: ^[a, '']}]", "bad-value", "any_of: an empty word would match every row", ""),
    ("RulesFile", RULE + "min_hits: ^0}]", "bad-value", "min_hits: 0 is too small", ""),
    (
        "RulesFile",
        RULE + "abstain: ^inform}]",
        "bad-value",
        "abstain: 'inform' is not allowed",
        "Did you mean 'informative'?",
    ),
    (
        "LabelModelsFile",
        MODEL + "tie_policy: ^frist}]",
        "bad-value",
        "tie_policy: 'frist' is not allowed",
        "Did you mean 'first'?",
    ),
    (
        "LabelModelsFile",
        MODEL + "abstain: {x: ^never}}]",
        "bad-value",
        "x: 'never' is not allowed",
        "write one of: informative, at_random.",
    ),
    (
        "AnnotationsFile",
        "files: {a.csv: {role: ^golden}}",
        "bad-value",
        "role: 'golden' is not allowed",
        "Did you mean 'gold'?",
    ),
    (
        "ExportsFile",
        "exports: [{name: a, label_set: x, path: y, format: ^xml}]",
        "bad-value",
        "format: 'xml' is not allowed",
        "write one of: parquet, csv, jsonl.",
    ),
    (
        "TestsFile",
        "unit_tests: [^{name: a, voter: v, rows: [{x: 1}], expect: [b, c]}]",
        "bad-value",
        "1 rows, but 2 expected votes",
        "",
    ),
    # keys that are no names
    (
        "PromptConfig",
        'output: {questions: {^"Käse ist": {ask: x}}}',
        "bad-value",
        "a key of 'questions': 'Käse ist' is not allowed",
        "write a name of letters (a-z), digits and _",
    ),
    ("PromptConfig", "output: {columns: {^a b: {type: string}}}", "bad-value", "'a b' is not allowed", "write a name"),
    ("PromptConfig", "output: {columns: {^1: {type: string}}}", "bad-value", "found a number, not text", "'1'"),
    ("PromptConfig", "output: {columns: {^null: {type: string}}}", "bad-value", "found nothing, not text", ""),
    ("AnnotationsFile", "files: {^1: {}}", "bad-value", "a key of 'files': found a number, not text", "in quotes: '1'"),
    # numbers that are none
    ("PromptConfig", "budget: ^.inf", "bad-value", "budget: inf is no finite number", "leave the key out"),
    ("PromptConfig", "temperature: ^.nan", "bad-value", "temperature: nan is no finite number", ""),
    ("PromptConfig", "parameters: {top_p: ^.inf}", "bad-value", "top_p: inf is no finite number", ""),
    ("PromptConfig", "output: {columns: {a: {minimum: ^.nan}}}", "bad-value", "minimum: nan is no finite number", ""),
    ("ProjectConfig", "name: x\npython_timeout: ^.inf", "bad-value", "python_timeout: inf is no finite number", ""),
    ("LabelModelsFile", MODEL + "class_prior: {a: ^.nan}}]", "bad-value", "a: nan is no finite number", ""),
    ("LabelModelsFile", MODEL + "parameters: {a: ^.inf}}]", "bad-value", "a: inf is no finite number", ""),
    ("SourcesFile", TABLE + "options: {a: ^.inf}}]}]", "bad-value", "a: inf is no finite number", ""),
    ("Profiles", "targets: {dev: {llm: {budget: ^.inf}}}", "bad-value", "budget: inf is no finite number", ""),
    # values that JSON has not
    (
        "PromptConfig",
        "examples: [{label: a, text: ^2026-11-25}]",
        "bad-value",
        "JSON has no date: put it in quotes",
        "",
    ),
    # texts that say nothing
    (
        "PromptConfig",
        'model: ^""',
        "bad-value",
        "model: '' is not allowed",
        "write what is meant, or leave the key out",
    ),
    ("PromptConfig", 'models: [^" "]', "bad-value", "models[0]: ' ' is not allowed", "write what is meant"),
    ("PromptConfig", "models: ^[]", "bad-value", "models: no model is named", ""),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_reported_once_at_its_place_with_what_to_write(mistake: tuple[str, str, str, str, str]) -> None:
    model, marked, slug, message, advice = mistake
    before = marked.partition("^")[0]
    kind = PromptConfig if model == "PromptConfig" else getattr(models, model)
    with pytest.raises(ProjectErrors) as caught:
        validate(kind, read_yaml("a.yml", marked.replace("^", "")))
    assert [str(e) for e in caught.value.errors[1:]] == []
    error = caught.value.errors[0]
    assert error.slug == slug
    assert message in error.message
    assert advice in error.advice
    assert error.where is not None
    place = (before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
    assert (error.where.path, error.where.line, error.where.column) == ("a.yml", *place)


def test_all_mistakes_of_a_file_are_reported_at_once_in_the_order_of_lines() -> None:
    text = """
    tasks:
      - name: t
        lables: [a, b]
        labels: [a, 1]
        dataset: x
        gold: {column: c, vals: {}}
      - labels: [a, b]
        dataset: y
        key: id
    """
    with pytest.raises(ProjectErrors) as caught:
        validate(models.TasksFile, read_yaml("a.yml", dedent(text)))
    assert [(e.slug, e.where.line) for e in caught.value.errors if e.where] == [
        ("missing-key", 3),
        ("unknown-key", 4),
        ("bad-value", 5),
        ("unknown-key", 7),
        ("missing-key", 8),
    ]


def test_an_empty_file_lacks_what_is_needed() -> None:
    with pytest.raises(ProjectErrors, match=r"a.yml:1:1: this file needs the key 'name'"):
        validate(models.ProjectConfig, read_yaml("a.yml", ""))
    assert validate(models.Profiles, read_yaml("a.yml", "# nothing")).default == "dev"


GOOD: dict[str, tuple[str, Any]] = {
    "one word stands for a list": (RULE + "any_of: x}]", lambda m: m.labeling_functions[0].any_of == ["x"]),
    "labels with descriptions": (
        "tasks: [{name: t, dataset: x, key: id, labels: [a, {name: b, description: c}]}]",
        lambda m: m.tasks[0].label_names == ("a", "b"),
    ),
    "both kinds of splits": (
        TASK + "splits: {hash: {test: 10%, tune: 5 %}}}]",
        lambda m: m.tasks[0].splits.hash["test"] == "10%",
    ),
    "a column without notes": (
        TABLE + "columns: {c: , d: {type: int}}}]}]",
        lambda m: m.sources[0].tables[0].columns["c"] is None,
    ),
    "a whole number where any is allowed": (
        MODEL + "class_prior: {a: 1, b: 0}}]",
        lambda m: m.label_models[0].class_prior["a"] == 1,
    ),
    "gold by number": (
        TASK + "gold: {column: c, values: {0: a, 1: b}}}]",
        lambda m: m.tasks[0].gold.values == {0: "a", 1: "b"},
    ),
    "gold by truth": (
        TASK + "gold: {column: c, values: {true: a, no: b}}}]",
        lambda m: m.tasks[0].gold.values == {True: "a", False: "b"},
    ),
    "a number from a template": ("targets: {dev: {threads: '3'}}", lambda m: m.targets["dev"].threads == 3),
}
MODELS = {
    "labeling_functions": "RulesFile",
    "tasks": "TasksFile",
    "sources": "SourcesFile",
    "label_models": "LabelModelsFile",
    "targets": "Profiles",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_people_write_is_understood(name: str) -> None:
    text, holds = GOOD[name]
    model = getattr(models, MODELS[text.partition(":")[0]])
    assert holds(validate(model, read_yaml("a.yml", text)))


@pytest.mark.parametrize("kind", models.FILE_KINDS)
def test_every_kind_of_file_has_a_json_schema(kind: str) -> None:
    schema = models.FILE_KINDS[kind].model_json_schema()
    assert schema["additionalProperties"] is False
