"""What a prompt's answer holds: the schema that it must fit, the votes and the columns that are read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.graph.names import fold
from teachkit.llm.errors import BadSchema
from teachkit.llm.schema import ABSTAIN, check_schema, label_schema, problem, schema_parts
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from teachkit.graph.node import TaskInfo
    from teachkit.project.llm_models import PromptConfig, Question

QUOTED = "quoted_from"
"""Key of a column's schema: the column of the item in which the strings of the answer must stand."""


def answer_schema(config: PromptConfig, task: TaskInfo) -> Any:
    """The JSON Schema of an answer: reason, label (of multichoice: labels), questions, columns, in this order.

    Raises:
        BadSchema: labels that a model cannot tell apart.
    """
    output = config.output
    properties: dict[str, Any] = {"reason": {"type": "string"}} if output.reason else {}
    if output.labels == "task" and not task.coded:
        properties["label"] = value_schema(task, abstain=output.abstain)
    elif output.labels == "task":
        properties |= label_schema(task.labels, abstain=output.abstain, several=task.multi)["properties"]
    for name, question in output.questions.items():
        properties[name] = {**_question_schema(question, config, task), "description": question.ask}
    for name, column in output.columns.items():
        properties[name] = strict(column)
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def value_schema(task: TaskInfo, *, abstain: bool) -> Any:
    """The schema of an answer that is a value; to abstain is null."""
    found = task.answers.schema(task.labels)
    return {"anyOf": [found, {"type": "null"}]} if abstain else found


def not_an_answer(data: Any, config: PromptConfig, task: TaskInfo, text: str | None = None) -> str | None:
    """Say why a value that fits its schema is no answer to the task all the same, or return ``None``."""
    if task.coded or config.output.labels != "task":
        return None
    try:
        task.answers.read_reply(data["label"], task.labels, text)
    except NotAnAnswer as error:
        if task.text:
            return f"the answer's 'label' {error.problem}"
        return f"the answer's 'label' is not {task.answers.noun}"
    return None


def _question_schema(question: Question, config: PromptConfig, task: TaskInfo) -> Any:
    if question.if_yes is not None or question.if_no is not None:
        said = ["yes", "no", *([ABSTAIN] if config.output.abstain else [])]
        return {"type": "string", "enum": said}
    found = label_schema(task.labels, abstain=config.output.abstain, several=task.multi)
    return next(iter(found["properties"].values()))


def strict(schema: Any) -> Any:
    """A column's schema as providers take it: every property required, no others, without our own keys.

    What is no schema stays as it is, for ``check_schema`` to refuse.
    """
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {key: value for key, value in schema.items() if key != QUOTED}
    named, forms, allowed = found.get("properties"), found.get("anyOf"), found.get("enum")
    if isinstance(named, dict):
        found["properties"] = {name: strict(below) for name, below in named.items()}
        found = {"type": "object", **found, "required": [*named], "additionalProperties": False}
    if isinstance(forms, list):
        found["anyOf"] = [strict(below) for below in forms]
    if "items" in found:
        found["items"] = strict(found["items"])
    if "type" not in found and isinstance(allowed, list) and all(isinstance(value, str) for value in allowed):
        found = {"type": "string", **found}
    return found


def check_column(schema: Any) -> None:
    """Refuse a column whose schema is not checked here, or says no type.

    Raises:
        BadSchema: what is wrong with it.
    """
    check_schema(strict(schema))
    for part in schema_parts(schema):
        if not isinstance(part.get(QUOTED, ""), str):
            raise BadSchema(problem=f"{QUOTED} must be a column's name", advice=f"found {part[QUOTED]!r}")
    column_type(schema)


def column_type(schema: Any) -> pa.DataType:
    """The Arrow type of a column's values: text, whole numbers, numbers, booleans, lists and structs of them.

    Raises:
        BadSchema: the schema does not tell.
    """
    import pyarrow as pa

    found = strict(schema)
    kinds = [found["type"]] if isinstance(found.get("type"), str) else list(found.get("type", ()))
    kinds = [kind for kind in kinds if kind != "null"]
    plain = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    match kinds:
        case [kind] if kind in plain:
            return plain[kind]
        case ["array"] if "items" in found:
            return pa.list_(column_type(found["items"]))
        case ["object"] if found.get("properties"):
            refuse_alike(found["properties"])
            return pa.struct([(name, column_type(below)) for name, below in found["properties"].items()])
    advice = "write type: string, integer, number or boolean; array with items; object with properties"
    raise BadSchema(problem="its values have no one type", advice=advice)


def refuse_alike(names: Iterable[str]) -> None:
    """Refuse names of columns that are one name in a table.

    Raises:
        BadSchema: two names that differ in nothing but case.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(fold(name), name)
        if other != name:
            problem = f"'{other}' and '{name}' are one name in a table, which knows no case"
            raise BadSchema(problem=problem, advice="call one otherwise")


def quoted_columns(config: PromptConfig) -> Iterator[tuple[str, str]]:
    """The columns of the item that strings are quoted from, each with the answer's column that does."""
    for name, schema in config.output.columns.items():
        for part in schema_parts(schema):
            if QUOTED in part:
                yield str(part[QUOTED]), name


def quotes_in_forms(config: PromptConfig) -> bool:
    """Whether some form of an ``anyOf`` is a quotation."""
    parts = [part for schema in config.output.columns.values() for part in schema_parts(schema)]
    forms = [form for part in parts for form in part.get("anyOf", ())]
    return any(QUOTED in part for form in forms for part in schema_parts(form))


def misquoted(data: Any, config: PromptConfig, item: Mapping[str, Any]) -> str | None:
    """Say which column of an answer holds a string that does not stand in the item, or return ``None``."""
    for name, schema in config.output.columns.items():
        column = next(_misquotations(data.get(name), schema, item), None)
        if column is not None:
            return f"the answer's '{name}' is no quotation: it does not stand in '{column}'"
    return None


def _misquotations(value: Any, schema: Any, item: Mapping[str, Any], column: str | None = None) -> Iterator[str]:
    """The columns in which strings of a value should stand and do not."""
    column = schema.get(QUOTED, column)
    if isinstance(value, str) and column is not None and value not in str(item.get(fold(column)) or ""):
        yield column
    elif isinstance(value, list):
        for each in value:
            yield from _misquotations(each, schema.get("items", {}), item, column)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _misquotations(each, schema.get("properties", {}).get(name, {}), item, column)
    forms = [form for form in schema.get("anyOf", ()) if problem(value, strict(form)) is None]
    missed = [list(_misquotations(value, form, item, column)) for form in forms]
    if missed and all(missed):
        yield from missed[0]
