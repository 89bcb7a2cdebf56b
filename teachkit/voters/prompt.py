"""Prompts: what a model is asked about each item, compiled from front matter and a template."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadTemplate, BadValue, UnknownColumn, UnknownLabel, Where, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.names import fold
from teachkit.graph.node import PromptSpec
from teachkit.hashing import canonical_json
from teachkit.llm.chat import chat_body
from teachkit.llm.errors import LlmSetupError
from teachkit.llm.request import Endpoint
from teachkit.llm.schema import label_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.graph.node import TaskInfo
    from teachkit.project import Definition
    from teachkit.project.llm_models import LlmProvider, PromptConfig

VERSION = 1  # of how a request is made of a prompt
_SECTION = re.compile(r"^#[ \t]*(system|user)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_VAR = re.compile(r"\bvar\s*\(\s*(?:'([^']*)'|\"([^\"]*)\")?")


def compile_prompt(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile ``prompts/<task>/<name>.md``; a prompt that is switched off needs no provider."""
    config: PromptConfig = definition.config
    if not config.enabled:
        return []
    name, provider = _provider(definition, context)
    model = config.model or provider.model
    if model is None:
        problem = f"it names no model, and provider '{name}' has none of its own"
        raise BadValue(definition.where, key="model", problem=problem, advice="write 'model: …' in the front matter")
    sections = _sections(definition)
    if re.search(r"\benv_var\b", f"{definition.text}\n{context.templates.macros_used(definition.text)}"):
        problem = "a prompt leaves this machine, and the environment may hold secrets: env_var() has no place in it"
        raise BadTemplate(definition.where, problem=problem, advice="use var(), with a value in teachkit.yml or --vars")
    columns = tuple(sorted({c for text, where in sections.values() for c in _columns(text, where, context)}))
    _check_examples(definition, context.task, columns)
    _try_out(sections, columns, config, context)
    try:
        chat_body(model=model, user="", parameters=config.parameters)
    except LlmSetupError as error:
        place = definition.at("parameters")
        raise BadValue(place, key="parameters", problem=error.message, advice=error.advice) from error
    spec = PromptSpec(
        config,
        provider,
        name,
        model,
        columns,
        *sections["system"],
        *sections["user"],
        config.abstain or context.defaults.abstain or ("at_random" if config.max_error_rate else "informative"),
    )
    canonical = {
        "version": VERSION,
        "endpoint": str(Endpoint.parse(provider.base_url)),
        "model": model,
        "parameters": config.parameters,
        "temperature": config.temperature,
        "max_tokens": config.max_tokens,
        "structured_output": provider.structured_output,
        "limit_parameter": provider.limit_parameter,
        "output": config.output.model_dump(),
        "schema": answer_schema(config, context.task),
        "templates": {section: _without_comments(text) for section, (text, _) in sections.items()},
        "sees": _seen(definition.text, context),
        "examples": config.examples if isinstance(config.examples, list) else config.examples.model_dump(),
        "max_error_rate": config.max_error_rate,
        "unvalidated": config.unvalidated,
    }
    return [
        Voter(
            definition.name,
            Where(definition.where.path, 1),
            spec,
            canonical,
            {context.task.dataset: columns},
            tuple(config.tags),
            config.description,
            _text(config, definition),
            definition.text,
            kind="prompt",
        )
    ]


def answer_schema(config: PromptConfig, task: TaskInfo) -> Any:
    """The JSON Schema of an answer: one of the task's labels, or of multichoice some."""
    output = config.output
    return label_schema(task.labels, abstain=output.abstain, reason=output.reason, several=task.multi)


def shown_task(task: TaskInfo) -> SimpleNamespace:
    """The task as templates see it."""
    labels = [SimpleNamespace(name=n, description=task.label_descriptions.get(n, "")) for n in task.labels]
    return SimpleNamespace(
        name=task.name, description=task.description, guideline=task.guideline.strip(), labels=labels
    )


def shown(values: Mapping[str, Any]) -> SimpleNamespace:
    """Values of an item as templates write them: JSON, quotes and all, so that no value can alter the template."""
    return SimpleNamespace(**{fold(k): json.dumps(v, ensure_ascii=False, default=str) for k, v in values.items()})


def _provider(definition: Definition, context: VoterContext) -> tuple[str, LlmProvider]:
    known = context.providers.providers
    name = definition.config.provider or context.providers.provider or (next(iter(known)) if len(known) == 1 else None)
    if name is None or name not in known:
        problem = (
            f"profiles.yml has no provider '{name}'" if name else "profiles.yml says which provider to ask nowhere"
        )
        hint = did_you_mean(name or "", known)
        advice = f"write one under 'llm: providers:' of the target; there are: {listing(known)}.{hint}"
        raise BadValue(definition.at("provider"), key="provider", problem=problem, advice=advice)
    return name, known[name]


def _sections(definition: Definition) -> dict[str, tuple[str, Where]]:
    """``system`` and ``user`` with their places; without headings all is the user's."""
    text, where = definition.text, definition.where
    found: dict[str, tuple[str, Where]] = {"system": ("", where), "user": ("", where)}
    marks = list(_SECTION.finditer(text))
    if not marks:
        found["user"] = (text.strip("\n"), _at(where, text, len(text) - len(text.lstrip("\n"))))
    elif text[: marks[0].start()].strip():
        advice = f"move it below, or remove the heading '{marks[0][0].strip()}'"
        raise BadTemplate(where, problem="text stands above the first heading", advice=advice)
    ends = [*(mark.start() for mark in marks), len(text)][1:] if marks else []
    for mark, end in zip(marks, ends, strict=True):
        section, body = mark[1].lower(), text[mark.end() : end]
        if found[section][0]:
            raise BadTemplate(_at(where, text, mark.start()), problem=f"a second '# {section}'", advice="remove one")
        start = mark.end() + len(body) - len(body.lstrip("\n"))
        found[section] = (body.strip("\n"), _at(where, text, start))
    if not found["user"][0].strip():
        raise BadTemplate(
            where, problem="nothing is asked", advice="write the question, with {{ item.<column> }} in it"
        )
    return found


def _at(where: Where, text: str, position: int) -> Where:
    return Where(where.path, (where.line or 1) + text.count("\n", 0, position))


def _columns(text: str, where: Where, context: VoterContext) -> Iterator[str]:
    """The columns of ``item`` that a template shows.

    Raises:
        BadTemplate: it uses ``item`` as a whole, or a column whose name is not written out.
        UnknownColumn: the dataset has no such column.
    """
    from jinja2 import nodes

    tree = context.templates.parsed(text, where)
    named = {}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(node.node, nodes.Name) and node.node.name == "item":
            name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            if isinstance(name, str):
                named[id(node.node)] = (name, node.lineno)
    for node in tree.find_all(nodes.Name):
        if node.name != "item" or id(node) in named:
            continue
        place = Where(where.path, (where.line or 1) + node.lineno - 1)
        raise BadTemplate(place, problem="'item' is used as a whole", advice="name its columns: {{ item.text }}")
    for name, line in named.values():
        if context.columns and fold(name) not in context.columns:
            place = Where(where.path, (where.line or 1) + line - 1)
            owner, hint = f"the dataset of task '{context.task.name}'", did_you_mean(name, context.columns)
            known = listing(context.columns, 30)
            raise UnknownColumn(place, column=name, owner=owner, known=known, hint=hint)
        yield fold(name)


def _try_out(
    sections: dict[str, tuple[str, Where]], columns: Sequence[str], config: PromptConfig, context: VoterContext
) -> None:
    """Render once, with empty values: what a template names and nobody gives it is an error now, not at some row."""
    given = config.examples
    samples = given if isinstance(given, list) else [{**dict.fromkeys(columns, ""), "label": ""}] * given.k
    examples = [shown(example) for example in samples]
    for text, where in sections.values():
        render = context.templates.prepared(text, where, task=shown_task(context.task), examples=examples)
        render(item=shown(dict.fromkeys(columns, "")))


def _check_examples(definition: Definition, task: TaskInfo, columns: Sequence[str]) -> None:
    given = definition.config.examples
    for index, example in enumerate(given if isinstance(given, list) else ()):
        label = example["label"]
        for one in label if isinstance(label, list) else [label]:
            if one not in task.labels:
                hint, known = did_you_mean(str(one), task.labels), listing(task.labels)
                place = definition.at("examples", index, "label")
                raise UnknownLabel(place, label=one, task=task.name, known=known, hint=hint)
        missing = [c for c in columns if c not in {fold(name) for name in example}]
        if missing:
            problem = f"the example lacks '{missing[0]}', which the prompt shows of an item"
            raise BadValue(definition.at("examples", index), key="examples", problem=problem, advice="add it")


def _seen(text: str, context: VoterContext) -> Any:
    """What a template can see beside items: each part counts if it is named, in the text or in a macro that it uses."""
    macros = context.templates.macros_used(text)
    whole = f"{text}\n{macros}"
    found: dict[str, Any] = {"macros": macros}
    if re.search(r"\btask\b", whole):
        task = shown_task(context.task)
        found["task"] = [task.name, task.description, task.guideline, [vars(label) for label in task.labels]]
    if re.search(r"\btarget\b", whole):
        found["target"] = dict(context.templates.target)
    for single, double in _VAR.findall(whole):
        name, variables = single or double, context.templates.variables
        found[f"var:{name}"] = repr(variables.get(name)) if name else repr(sorted(variables.items()))
    return found


def _without_comments(text: str) -> str:
    if "raw" in text:  # within {% raw %} a comment is text
        return text
    return re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)


def _text(config: PromptConfig, definition: Definition) -> str:
    return f"{canonical_json(config.model_dump(mode='json', exclude_defaults=True))}\n{definition.text}"
