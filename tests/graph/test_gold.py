"""No voter sees the gold of its task, by whatever way; what is harmless stays allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from teachkit.errors import ProjectErrors, ReadsGold
from tests.graph.projects import BASE, compiled

if TYPE_CHECKING:
    from pathlib import Path

Files = dict[str, str | bytes | None]
SHORT = {"@c": "{{ source('raw', 'comments') }}", "@a": "{{ source('raw', 'authors') }}"}
ITEMS = "select id, author, content as text, class, split from @c"
LF = "labeling_functions/spam/x.sql"


def lf(sql: str, label: str = "spam") -> Files:
    return {LF: "{{ config(label='" + label + "') }}\n" + full(sql)}


def chain(**transforms: str) -> Files:
    return {f"transforms/{name}.sql": full(sql) for name, sql in transforms.items()}


def full(sql: str) -> str:
    """SQL with the shorthands for the two sources written out."""
    for short, long in SHORT.items():
        sql = sql.replace(short, long)
    return sql


TASK = str(BASE["tasks/spam.yml"])

REFUSED: dict[str, tuple[Files, str]] = {
    # name: (files, words of the message)
    "the column itself": (
        lf("class = 1"),
        "reads 'class', which holds the gold of task 'spam' (column 'class' of transform.items)",
    ),
    "in another case": (lf("CLASS = 1 and text is null"), "reads 'class'"),
    "inside a lambda": (lf("list_contains(list_transform(['1'], lambda x: x || class), '11')"), "reads 'class'"),
    "in an expression that gives labels": ({LF: "case when class = 1 then 'spam' else 'ham' end"}, "reads 'class'"),
    "a rule over it": (
        {"labeling_functions/spam/r.yml": "labeling_functions: [{name: r, label: spam, column: class, any_of: ['1']}]"},
        "labeling function 'r' reads 'class'",
    ),
    "SQL in YAML": (
        {"labeling_functions/spam/r.yml": "labeling_functions: [{name: r, label: spam, sql: \"class = '1'\"}]"},
        "labeling function 'r' reads 'class'",
    ),
    "a Python function's parameter": (
        {
            "labeling_functions/spam/p.py": "from teachkit import "
            "labeling_function\n@labeling_function(label='spam')\ndef p(text, class_): return True\n",
            **chain(items=ITEMS.replace("class,", "class as class_,")),
            "tasks/spam.yml": TASK.replace("column: class", "column: class_"),
        },
        "labeling function 'p' reads 'class_'",
    ),
    "under another name": (
        {**lf("klass = 1"), **chain(items=ITEMS.replace("class,", "class, class as klass,"))},
        "column 'klass' of transform.items <- column 'class' of source.raw.comments",
    ),
    "computed from it": (
        {**lf("odd"), **chain(items=ITEMS.replace("class,", "class, class::int % 2 = 1 as odd,"))},
        "reads 'odd'",
    ),
    "through a star": (
        {
            **lf("klass = 1"),
            **chain(base="select *, class as klass from @c", items="select *, content as text from {{ ref('base') }}"),
        },
        "reads 'klass'",
    ),
    "through CTEs": (
        {
            **lf("k = 1"),
            **chain(
                items="with a as (select *, class as k from @c), b as (select * exclude "
                "(posted_at) from a) select *, content as text from b"
            ),
        },
        "reads 'k'",
    ),
    "through a union": (
        {
            **lf("k = 1"),
            **chain(
                items="select id, content as text, class, class as k from @c union all select "
                "id, author, class, '0' from @c"
            ),
        },
        "reads 'k'",
    ),
    "through a subquery": (
        {
            **lf("k = 1"),
            **chain(
                items="select id, content as text, class, (select max(class) from @c d where "
                "d.id = c.id) as k from @c c"
            ),
        },
        "reads 'k'",
    ),
    "through several transforms": (
        {
            **lf("n > 2"),
            **chain(
                a="select id, class as c1 from @c",
                b="select id, c1 || 'x' as c2 from {{ ref('a') }}",
                items="select c.id, c.content as text, c.class, length(b.c2) as n from @c c "
                "join {{ ref('b') }} b using (id)",
            ),
        },
        "column 'n' of transform.items <- column 'c2' of transform.b <- column 'c1' of "
        "transform.a <- column 'class' of source.raw.comments",
    ),
    "what gold is computed from": (
        {
            **lf("class_text = 'S'"),
            **chain(
                items=ITEMS.replace("class,", "class as class_text, case class when 'S' then 1 else 0 end as class,")
            ),
        },
        "reads 'class_text'",
    ),
    "a whole row": (
        {**lf("to_json(x) like '%1%'"), **chain(items="select *, c as x, content as text from @c c")},
        "reads 'x'",
    ),
    # SELECTs
    "a SELECT that filters on it": (lf("select id from {{ ref('items') }} where class = 1"), "reads 'class'"),
    "a SELECT that gives it": (
        {LF: "select id, case class when '1' then 'spam' else 'ham' end as label from {{ ref('items') }}"},
        "reads 'class'",
    ),
    "a SELECT that joins on it": (
        lf("select i.id from {{ ref('items') }} i join @a a on a.fame = i.class"),
        "reads 'class'",
    ),
    "a SELECT that orders and cuts by it": (
        lf("select id from {{ ref('items') }} order by class limit 3"),
        "reads 'class'",
    ),
    "a SELECT over the source": (lf("select id from @c where class = 1"), "column 'class' of source.raw.comments"),
    "a star": (lf("select id from (select * from {{ ref('items') }}) where text like 'x'"), "reads 'class'"),
    "a transform that only filters on it": (
        {**lf("select id from {{ ref('known') }}"), **chain(known="select id from {{ ref('items') }} where class = 1")},
        "the rows of transform.known <- column 'class' of transform.items",
    ),
    "a filter far above": (
        {
            **lf("select id from {{ ref('b') }}"),
            **chain(a="select id from @c where class = 1", b="select id from {{ ref('a') }}"),
        },
        "the rows of transform.b <- the rows of transform.a <- column 'class' of source.raw.comments",
    ),
    "a transform that joins on it": (
        {
            **lf("select id from {{ ref('known') }} where fame = 1"),
            **chain(known="select i.id, a.fame from {{ ref('items') }} i join @a a on a.author = i.class"),
        },
        "column 'class' of transform.items",
    ),
    "the first of each class": (
        {
            **lf("select id from {{ ref('first') }}"),
            **chain(
                first="select id from {{ ref('items') }} qualify row_number() over (partition by class order by id) = 1"
            ),
        },
        "the rows of transform.first",
    ),
    # columns of the dataset that gold has shaped without being in them
    "whether a row is among the known ones": (
        {
            **lf("is_known"),
            **chain(
                known="select id as known_id from @c where class = 1",
                items="select c.*, c.content as text, known_id is not null as is_known from @c "
                "c left join {{ ref('known') }} k on k.known_id = c.id",
            ),
        },
        "the rows of transform.known",
    ),
    "a count of known ones by author": (
        {
            **lf("n > 2"),
            **chain(
                counts="select author, count(*) as n from @c where class = 1 group by author",
                items="select c.*, c.content as text, n from @c c left join {{ ref('counts') }} using (author)",
            ),
        },
        "column 'n' of transform.items <- the rows of transform.counts <- column 'class' of source.raw.comments",
    ),
    "a name found by its class": (
        {
            **lf("fame = 'x'"),
            **chain(items="select c.*, c.content as text, a.fame from @c c join @a a on a.author = c.class"),
        },
        "reads 'fame'",
    ),
    "the same with a comma": (
        {
            **lf("fame = 'x'"),
            **chain(items="select c.*, c.content as text, a.fame from @c c, @a a where a.author = c.class"),
        },
        "reads 'fame'",
    ),
    "a constant for each class": (
        {
            **lf("k = 'S'"),
            **chain(
                items="select id, content as text, class, 'S' as k from @c where class = 1 "
                "union all select id, content, class, 'H' from @c where class = 0"
            ),
        },
        "reads 'k'",
    ),
    "a window over it": (
        {
            **lf("n = 1"),
            **chain(items="select *, content as text, row_number() over (partition by class order by id) as n from @c"),
        },
        "reads 'n'",
    ),
    "EXISTS": (
        {
            **lf("k"),
            **chain(
                items="select *, content as text, exists (select 1 from @c d where d.id = c.id "
                "and d.class = 1) as k from @c c"
            ),
        },
        "reads 'k'",
    ),
    "columns that only DuckDB knows": (
        {
            "labeling_functions/spam/link.sql": None,
            **lf("text like 'x'"),
            **chain(
                wide="select columns('.*'), content as text from @c",
                items="select id, text, class from {{ ref('wide') }}",
            ),
        },
        "column 'class' of source.raw.comments",
    ),
    # by way of labels
    "a label set that gold was put into": (
        {
            **lf("select id from {{ ref('other_labels') }} where label = 'b'"),
            "tasks/other.yml": "tasks: [{name: other, labels: [a, b], dataset: ref('items'), "
            "key: id, gold: {column: class, values: {0: a, 1: b}}}]",
            "labeling_functions/other/y.sql": "{{ config(label='b') }} text like 'x'",
            "label_models/other.yml": "label_models: [{name: other_labels, task: other, type: "
            "majority, prefer_gold: true}]",
        },
        "column 'label' of label_set.other_labels <- column 'class' of transform.items",
    ),
    "a label set of another task whose voters may see it": (
        {
            **lf("select id from {{ ref('via') }} where label = 'b'"),
            **chain(via="select id, label from {{ ref('other_labels') }}"),
            "tasks/other.yml": "tasks: [{name: other, labels: [a, b], dataset: ref('items'), key: id}]",
            "labeling_functions/other/y.sql": "{{ config(label='b') }} class = 1",
            "label_models/other.yml": "label_models: [{name: other_labels, task: other, type: majority}]",
        },
        "column 'label' of transform.via <- column 'label' of label_set.other_labels <- column "
        "'class' of transform.items",
    ),
    "what people are shown": (
        {"tasks/spam.yml": TASK.replace("key: id", "key: id\n            show: [text, class]")},
        "'show' reads 'class'",
    ),
}

ALLOWED: dict[str, Files] = {
    "another column": lf("text like 'x' and author is null"),
    "the split": lf("split = 'train'"),
    "a dataset filtered on gold": {**lf("text like 'x'"), **chain(items=ITEMS + " where class is not null")},
    "a dataset over a filter on gold": {
        **lf("text like 'x'"),
        **chain(
            base="select * from @c where class is not null",
            items="select id, content as text, class from {{ ref('base') }}",
        ),
    },
    "a dataset ordered by gold": {**lf("text like 'x'"), **chain(items=ITEMS + " order by class")},
    "gold joined to the items": {
        **lf("text like 'x'"),
        **chain(items="select c.id, c.content as text, a.fame as class from @c c left join @a a using (author)"),
    },
    "a count over all rows": {
        **lf("n > 2"),
        **chain(
            counts="select author, count(*) as n from @c group by author",
            items="select c.*, c.content as text, n from @c c left join {{ ref('counts') }} using (author)",
        ),
    },
    "a window over other columns": {
        **lf("n = 1"),
        **chain(items="select *, content as text, row_number() over (partition by author order by id) as n from @c"),
    },
    "a SELECT over other columns": lf(
        "select id from {{ ref('items') }} qualify count(*) over (partition by text) > 1"
    ),
    "a SELECT over another relation": lf(
        "select i.id from {{ ref('items') }} i join @a a using (author) where a.fame = 1"
    ),
    "a star without gold": {
        **lf("text like 'x'"),
        **chain(items="select * exclude (content), content as text from @c"),
    },
    "two tasks on one dataset, each with gold of its own": {
        **lf("text like 'x'"),
        "tasks/other.yml": "tasks: [{name: other, labels: [a, b], dataset: ref('items'), key: "
        "id, gold: {column: split}}]",
        "labeling_functions/other/y.sql": "{{ config(label='b') }} class = 1",
    },
    "a task without gold": {
        **lf("class = 1"),
        "tasks/spam.yml": TASK.replace("gold: {column: class, values: {0: ham, 1: spam}}", ""),
    },
    "a label set that gold had no part in": {
        **lf("select id from {{ ref('other_labels') }} where label = 'b'"),
        "tasks/other.yml": "tasks: [{name: other, labels: [a, b], dataset: ref('items'), key: id}]",
        "labeling_functions/other/y.sql": "{{ config(label='b') }} text like 'x'",
        "label_models/other.yml": "label_models: [{name: other_labels, task: other, type: majority}]",
    },
    "a union of equal parts": {
        **lf("text like 'x'"),
        **chain(
            items="select id, content as text, class from @c where split = 'a' union all select "
            "id, content, class from @c where class = 1"
        ),
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_voter_that_can_see_gold_is_refused(tmp_path: Path, name: str) -> None:
    files, message = REFUSED[name]
    with pytest.raises(ProjectErrors) as caught:
        compiled(tmp_path, files)
    (error,) = caught.value.errors
    assert isinstance(error, ReadsGold)
    assert message in error.message
    assert error.where is not None


@pytest.mark.parametrize("name", ALLOWED)
def test_a_voter_that_cannot_see_gold_is_allowed(tmp_path: Path, name: str) -> None:
    compiled(tmp_path, ALLOWED[name])


def test_all_voters_that_see_gold_are_named_at_once(tmp_path: Path) -> None:
    files: Files = {f"labeling_functions/spam/x{i}.sql": "{{ config(label='spam') }} class = 1" for i in range(3)}
    with pytest.raises(ProjectErrors) as caught:
        compiled(tmp_path, files)
    assert [e.where.path for e in caught.value.errors if e.where] == [
        f"labeling_functions/spam/x{i}.sql" for i in range(3)
    ]


def test_a_voter_that_is_switched_off_is_not_looked_at(tmp_path: Path) -> None:
    compiled(tmp_path, {LF: "{{ config(label='spam', enabled=false) }} class = 1"})
