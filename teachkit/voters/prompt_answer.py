"""What a prompt's answer holds: the schema that it must fit, the votes and the columns that are read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.llm.errors import BadSchema
from teachkit.llm.schema import ABSTAIN, check_schema, label_schema
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """A column's schema as providers take it: every property required, no others, without our own keys."""
    if not isinstance(schema, dict):
        raise BadSchema(problem="a column is no mapping", advice="write a JSON Schema, as {type: string}")
    found: dict[str, Any] = {key: value for key, value in schema.items() if key != QUOTED}
    for key in ("properties", "items", "anyOf"):
        if key == "properties" and isinstance(found.get(key), dict):
            found[key] = {name: strict(below) for name, below in found[key].items()}
        elif key == "anyOf" and isinstance(found.get(key), list):
            found[key] = [strict(below) for below in found[key]]
        elif key == "items" and key in found:
            found[key] = strict(found[key])
    if "properties" in found:
        found = {"type": "object", **found, "required": [*found["properties"]], "additionalProperties": False}
    if "enum" in found and "type" not in found and all(isinstance(value, str) for value in found["enum"]):
        found = {"type": "string", **found}
    return found


def check_column(schema: Any) -> None:
    """Refuse a column whose schema is not checked here, or says no type.

    Raises:
        BadSchema: what is wrong with it.
    """
    check_schema(strict(schema))
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
            return pa.struct([(name, column_type(below)) for name, below in found["properties"].items()])
    advice = "write type: string, integer, number or boolean; array with items; object with properties"
    raise BadSchema(problem="its values have no one type", advice=advice)


def quoted_columns(config: PromptConfig) -> Iterator[tuple[str, str]]:
    """The columns of the item that strings are quoted from, each with the answer's column that does."""
    for name, schema in config.output.columns.items():
        for part in _parts(schema):
            if QUOTED in part:
                yield str(part[QUOTED]).lower(), name


def misquoted(data: Any, config: PromptConfig, item: Mapping[str, Any]) -> str | None:
    """Say which column of an answer holds a string that does not stand in the item, or return ``None``."""
    for name, schema in config.output.columns.items():
        for text, column in _quotations(data.get(name), schema):
            if text not in str(item.get(column.lower()) or ""):
                return f"the answer's '{name}' is no quotation: it does not stand in '{column}'"
    return None


def _quotations(value: Any, schema: Any, column: str | None = None) -> Iterator[tuple[str, str]]:
    column = schema.get(QUOTED, column)
    if isinstance(value, str) and column is not None:
        yield value, str(column)
    elif isinstance(value, list):
        for each in value:
            yield from _quotations(each, schema.get("items", {}), column)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _quotations(each, schema.get("properties", {}).get(name, {}), column)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for below in (*schema.get("properties", {}).values(), schema.get("items")):
            yield from _parts(below)
