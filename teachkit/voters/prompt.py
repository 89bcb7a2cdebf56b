"""Prompts: what a model is asked about each item, compiled from front matter and a template.

One file may bring about several voters (models, questions) and a table of columns. Those that one model answers in one
request share it: whichever comes first asks, the others find the answer.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadTemplate, BadValue, ProjectError, UnknownLabel, Where, did_you_mean, listing
from teachkit.graph.kinds import Voter, VoterContext
from teachkit.graph.known import known_column, known_label
from teachkit.graph.names import fold
from teachkit.graph.node import OtherModel, PromptSpec
from teachkit.graph.prompts import ANSWER_STATUS, models_asked, table_columns
from teachkit.graph.sql import ROWS
from teachkit.hashing import canonical_json
from teachkit.llm.capabilities import capabilities_of
from teachkit.llm.chat import chat_body
from teachkit.llm.decisions import ChoiceQuestion, decision_body
from teachkit.llm.errors import BadSchema, LlmSetupError
from teachkit.llm.request import Endpoint
from teachkit.llm.schema import ABSTAIN
from teachkit.project.llm_models import PromptExamples
from teachkit.voters.prompt_answer import answer_schema, check_column, quoted_columns, quotes_in_forms, refuse_alike
from teachkit.voters.prompt_template import columns_shown, names_used, read_messages
from teachkit.voters.redaction import Redaction, compile_redaction
from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.graph.node import TaskInfo
    from teachkit.graph.prompts import ModelAsked
    from teachkit.project import Definition
    from teachkit.project.llm_models import LlmProvider, PromptConfig
    from teachkit.voters.prompt_template import Message

VERSION = 1  # of how a request is made of a prompt
QUOTES_IN_FORMS_VERSION = 1  # without it, quotations below anyOf were not looked at
_VAR = re.compile(r"\bvar\s*\(\s*(?:'([^']*)'|\"([^\"]*)\")?")


def compile_prompt(definition: Definition, context: VoterContext) -> Sequence[Voter]:
    """Compile ``prompts/<task>/<name>.md``; a prompt that is switched off needs no provider."""
    config: PromptConfig = definition.config
    if not config.enabled:
        return []
    messages = read_messages(definition, context)
    text = "\n".join(message.text for message in messages.values())
    if re.search(r"\benv_var\b", f"{text}\n{context.templates.macros_used(text)}"):
        problem = "a prompt leaves this machine, and the environment may hold secrets: env_var() has no place in it"
        raise BadTemplate(definition.where, problem=problem, advice="use var(), with a value in teachkit.yml or --vars")
    places: dict[str, Where] = {}
    for message in messages.values():
        for column, place in columns_shown(message, context):
            places.setdefault(column, place)
    columns = tuple(sorted(places))
    _check_parameters(definition)
    _check_examples(definition, context, columns, messages)
    _check_output(definition, context, columns)
    redaction = compile_redaction(definition, context, columns)
    if redaction and context.task.text and config.output.labels == "task":
        problem = "places in a text that was redacted are other places in the text itself"
        place, advice = definition.at("redact", key=True), "do not redact where spans are asked for"
        raise BadValue(place, key="redact", problem=problem, advice=advice)
    _try_out(messages, columns, config, context)
    found: list[Voter] = []
    for asked in models_asked(definition.name, config):
        found += _voters(definition, context, asked, messages, places, redaction)
    names = [voter.name for voter in found if voter.kind == "prompt"]
    if twice := next((name for name in names if names.count(name) > 1), None):
        problem = f"two of its voters are called '{twice}'"
        raise BadValue(definition.at("models"), key="models", problem=problem, advice="give one of them a 'name'")
    return found


def _voters(
    definition: Definition,
    context: VoterContext,
    asked: ModelAsked,
    messages: Mapping[str, Message],
    places: Mapping[str, Where],
    redaction: Redaction,
) -> Iterator[Voter]:
    """The voters of one model, and its table; ``places``: the columns that it shows, with where."""
    config: PromptConfig = definition.config
    name, provider = _provider(definition, context, asked.provider, asked.place)
    model = asked.model or provider.model
    if model is None:
        problem = f"it names no model, and provider '{name}' has none of its own"
        raise BadValue(definition.where, key="model", problem=problem, advice="write 'model: …' in the front matter")
    _check_can(definition, name, provider)
    strong = None
    if config.cascade:
        other, of = _provider(definition, context, config.cascade.provider or name, ("cascade", "provider"))
        strong = OtherModel(config.cascade.to, other, of)
    vectors = None
    if isinstance(config.examples, PromptExamples) and config.examples.embedding_model:
        at = ("examples", "embedding_provider")
        other, of = _provider(definition, context, config.examples.embedding_provider or name, at)
        vectors = OtherModel(config.examples.embedding_model, other, of)
    try:
        schema = answer_schema(config, context.task)
    except BadSchema as error:  # columns are checked by now: it is the labels
        problem, advice = str(error.facts["problem"]), error.advice
        raise BadValue(context.task.where, key="labels", problem=problem, advice=advice) from error
    try:
        if config.confidence and config.confidence.by == "decisions":
            asks = [decision_question(config, context.task)]
            decision_body(model=model, input="", questions=asks, parameters=config.parameters)
        else:
            chat_body(model=model, user="", parameters=config.parameters, schema=schema)
    except LlmSetupError as error:
        place = definition.at("parameters")
        raise BadValue(place, key="parameters", problem=error.message, advice=error.advice) from error
    columns = tuple(sorted(places))
    reads = {context.task.dataset: tuple(sorted({*columns, *redaction.reads}))}
    whole = PromptSpec(
        config,
        provider,
        name,
        model,
        columns,
        messages["system"].text,
        messages["system"].where,
        messages["user"].text,
        messages["user"].where,
        config.abstain or context.defaults.abstain or _abstain(config),
        redaction=redaction,
        strong=strong,
        vectors=vectors,
        shares=(config.output.labels == "task") + len(config.output.questions) + bool(config.output.columns),
        places=places,
    )
    canonical = _canonical(definition, context, whole, schema, messages)
    voter = Voter(
        asked.name,
        Where(definition.where.path, 1),
        whole,
        canonical,
        reads,
        tuple(config.tags),
        config.description,
        _text(config, definition),
        definition.text,
        kind="prompt",
    )
    if config.output.labels == "task":
        yield replace(voter, spec=whole.reading("labels" if context.task.multi else "label"))
    for question, about in config.output.questions.items():
        means = {said: label for said, label in (("yes", about.if_yes), ("no", about.if_no)) if label is not None}
        if "yes" in means and "no" not in means and context.task.multi:
            means["no"] = ""
        yield replace(
            voter,
            name=f"{asked.name}_{question}",
            spec=whole.reading(question, means),
            canonical={**canonical, "read": [question, sorted(means.items())]},
            description=about.ask,
        )
    if config.output.columns:
        yield _table(voter, table_columns(context.task.key, config), context.task)


def _table(voter: Voter, offered: tuple[str, ...], task: TaskInfo) -> Voter:
    """The columns of a prompt's answers, beside the key of each item."""
    columns = (task.key, *(voter.reads[task.dataset] or ()))
    seen = tuple((task.dataset, column) for column in columns)
    lineage = dict.fromkeys(offered, seen) | {task.key: ((task.dataset, task.key),)}
    return replace(
        voter,
        kind="enrichment",
        spec=voter.spec.reading(""),
        canonical={**voter.canonical, "read": "columns"},
        reads={task.dataset: columns},
        columns=offered,
        lineage=lineage,
        influences={**lineage, ROWS: ((task.dataset, ROWS),)},
    )


def _abstain(config: PromptConfig) -> str:
    return "at_random" if config.max_error_rate or config.confidence else "informative"


def _canonical(
    definition: Definition, context: VoterContext, spec: PromptSpec, schema: Any, messages: Mapping[str, Message]
) -> dict[str, Any]:
    """What a prompt means: all that can change its requests and what is made of their answers."""
    config, provider = spec.config, spec.provider
    found: dict[str, Any] = {
        "version": VERSION,
        "endpoint": str(Endpoint.parse(provider.base_url)),
        "model": spec.model,
        "parameters": config.parameters,
        "temperature": config.temperature,
        "max_tokens": config.max_tokens,
        "structured_output": provider.structured_output,
        "limit_parameter": provider.limit_parameter,
        "output": config.output.model_dump(),
        "schema": schema,
        "templates": {section: context.templates.without_comments(m.text) for section, m in messages.items()},
        "sees": _seen("\n".join(message.text for message in messages.values()), context),
        "examples": _examples(spec),
        "max_error_rate": config.max_error_rate,
        "unvalidated": config.unvalidated,
    }
    if spec.redaction:
        found["redaction"] = spec.redaction.canonical
    if config.confidence:
        found["confidence"] = config.confidence.model_dump()
    if config.cascade and spec.strong:
        of = spec.strong.provider
        shape = [of.structured_output, of.limit_parameter, str(Endpoint.parse(of.base_url))]
        found["cascade"] = [config.cascade.model_dump(), shape]
    if quotes_in_forms(config):
        found["quotes_in_forms"] = QUOTES_IN_FORMS_VERSION
    return found


def _examples(spec: PromptSpec) -> Any:
    given = spec.config.examples
    if isinstance(given, list):
        return given
    found = given.model_dump(include={"select", "k", "seed"})
    if spec.vectors is not None:
        found["vectors"] = [str(Endpoint.parse(spec.vectors.provider.base_url)), spec.vectors.model]
    return found


def shown_task(task: TaskInfo) -> SimpleNamespace:
    """The task as templates see it."""
    labels = [SimpleNamespace(name=n, description=task.label_descriptions.get(n, "")) for n in task.labels]
    return SimpleNamespace(
        name=task.name, description=task.description, guideline=task.guideline.strip(), labels=labels
    )


def decision_question(config: PromptConfig, task: TaskInfo) -> ChoiceQuestion:
    """The question that ``decisions`` answers: which label, or none of them."""
    options = [*task.labels, *([ABSTAIN] if config.output.abstain else [])]
    asked = task.description.strip() or "Which label fits?"
    return ChoiceQuestion("label", asked, options, task.label_descriptions)


def shown_questions(config: PromptConfig) -> list[SimpleNamespace]:
    """The questions as templates see them."""
    return [SimpleNamespace(name=name, ask=about.ask) for name, about in config.output.questions.items()]


def shown(values: Mapping[str, Any]) -> SimpleNamespace:
    """Values of an item as templates write them: JSON, quotes and all, so that no value can alter the template."""
    return SimpleNamespace(**{fold(k): json.dumps(v, ensure_ascii=False, default=str) for k, v in values.items()})


def _provider(
    definition: Definition, context: VoterContext, wanted: str | None, place: Sequence[str | int]
) -> tuple[str, LlmProvider]:
    known = context.providers.providers
    name = context.providers.named(wanted)
    if name is None or name not in known:
        problem = (
            f"profiles.yml has no provider '{name}'" if name else "profiles.yml says which provider to ask nowhere"
        )
        hint = did_you_mean(name or "", known)
        advice = f"write one under 'llm: providers:' of the target; there are: {listing(known)}.{hint}"
        raise BadValue(definition.at(*place), key="provider", problem=problem, advice=advice)
    return name, known[name]


def _check_can(definition: Definition, name: str, provider: LlmProvider) -> None:
    """Refuse log-probabilities that the provider is said not to have, and decisions that it is not said to have."""
    confidence = definition.config.confidence
    if confidence is None or confidence.by == "repeats":
        return
    found = capabilities_of(
        Endpoint.parse(provider.base_url),
        logprobs=provider.logprobs,
        decisions=provider.decisions,
        batches=provider.batches,
    )
    can = found.logprobs is not False if confidence.by == "logprobs" else found.decisions
    if not can:
        problem = f"provider '{name}' is not known to have {confidence.by}"
        advice = f"write '{confidence.by}: true' at it in profiles.yml if it has them, or 'by: repeats' here"
        raise BadValue(definition.at("confidence", "by"), key="confidence", problem=problem, advice=advice)


def _try_out(
    messages: Mapping[str, Message], columns: Sequence[str], config: PromptConfig, context: VoterContext
) -> None:
    """Render once, with empty values: what a template names and nobody gives it is an error now, not at some row."""
    given = config.examples
    samples = given if isinstance(given, list) else [{**dict.fromkeys(columns, ""), "label": ""}] * given.k
    examples = [shown(example) for example in samples]
    task, questions = shown_task(context.task), shown_questions(config)
    for message in messages.values():
        try:
            render = context.templates.prepared(message.text, message.where, task=task, questions=questions)
            render(item=shown(dict.fromkeys(columns, "")), examples=examples)
        except ProjectError as error:
            raise message.placed(error) from error


def _check_output(definition: Definition, context: VoterContext, columns: Sequence[str]) -> None:
    """Labels, schemas and quoted columns of ``output`` are there."""
    config, task = definition.config, context.task
    if not task.coded:
        _check_value_output(definition, task)
    if task.text and config.output.labels == "task" and task.text not in columns:
        problem = f"spans of task '{task.name}' are of '{task.text}', which the prompt does not show"
        raise BadValue(definition.where, key="output", problem=problem, advice=f"write {{{{ item.{task.text} }}}}")
    for name, question in config.output.questions.items():
        for said in ("if_yes", "if_no"):
            label = getattr(question, said)
            if label is not None:
                known_label(label, task.labels, task.name, definition.at("output", "questions", name, said))
    for name, schema in config.output.columns.items():
        place = definition.at("output", "columns", name)
        try:
            check_column(schema)
        except LlmSetupError as error:
            raise BadValue(place, key=name, problem=error.message, advice=error.advice) from error
        taken = {task.key: f"the key of task '{task.name}'", ANSWER_STATUS: "what became of the request"}
        if fold(name) in taken:
            problem, advice = f"'{name}' is {taken[fold(name)]}", "call it otherwise"
            raise BadValue(place, key=name, problem=problem, advice=advice)
    try:
        refuse_alike(config.output.columns)
    except BadSchema as error:
        place, problem = definition.at("output", "columns"), str(error.facts["problem"])
        raise BadValue(place, key="columns", problem=problem, advice=error.advice) from error
    for column, name in quoted_columns(config):
        place = definition.at("output", "columns", name)
        known_column(column, context.columns or [column], f"the dataset of task '{task.name}'", place)
        if fold(column) not in columns:
            problem, advice = (
                f"it quotes from '{column}', which the prompt does not show",
                "show it, or quote from another",
            )
            raise BadValue(place, key=name, problem=problem, advice=advice)
    if config.confidence and task.multi:
        problem, advice = "an answer with several labels has no one score", "leave out 'confidence'"
        raise BadValue(definition.at("confidence"), key="confidence", problem=problem, advice=advice)
    if config.confidence and config.confidence.by == "decisions" and (config.output.reason or config.output.columns):
        problem, advice = "decisions are labels alone, without reason or columns", "ask for these in another prompt"
        raise BadValue(definition.at("confidence", "by"), key="confidence", problem=problem, advice=advice)


def _check_value_output(definition: Definition, task: TaskInfo) -> None:
    """Where an answer is a value, there are no labels to ask about, nor probabilities of them."""
    config = definition.config
    what = f"task '{task.name}' is of the kind '{task.kind}': its answers are values"
    if config.output.questions:
        place, advice = definition.at("output", "questions", key=True), "ask for the value itself: labels: task"
        raise BadValue(place, key="questions", problem=what, advice=advice)
    if config.confidence:
        place, advice = definition.at("confidence"), "leave out 'confidence'"
        raise BadValue(place, key="confidence", problem=f"{what}, which have no one score", advice=advice)


def _read_example(example: Mapping[str, Any], task: TaskInfo) -> None:
    label, text = example["label"], None
    if task.text:
        text = next((str(value) for name, value in example.items() if fold(name) == task.text), None)
        whole = isinstance(label, list) and all(
            isinstance(one, dict) and set(one) == {"text", "label"} for one in label
        )
        if not whole or not all(isinstance(value, str) for one in label for value in one.values()):
            advice = "write [{text: …, label: …}], each text letter by letter as in the example"
            raise NotAnAnswer("is no list of quotations with their labels", advice)
    task.answers.read_reply(label, task.labels, text)


def _check_parameters(definition: Definition) -> None:
    """Refuse parameters that the front matter has keys of its own for, where those would take their place."""
    config: PromptConfig = definition.config
    by = config.confidence.by if config.confidence else None
    ours = {} if by == "decisions" else dict.fromkeys(("max_completion_tokens", "max_tokens"), "max_tokens")
    if config.temperature is not None:
        ours["temperature"] = "temperature"
    if by == "logprobs":
        ours |= dict.fromkeys(("logprobs", "top_logprobs"), "confidence")
    for name in config.parameters:
        if name in ours:
            problem = f"'{ours[name]}' of the front matter says what this is"
            advice = f"leave it out, and write '{ours[name]}: …' beside 'parameters'"
            raise BadValue(definition.at("parameters", name, key=True), key=name, problem=problem, advice=advice)


def _check_examples(
    definition: Definition, context: VoterContext, columns: Sequence[str], messages: Mapping[str, Message]
) -> None:
    task, given = context.task, definition.config.examples
    for index, example in enumerate(given if isinstance(given, list) else ()):
        label = example["label"]
        if not task.coded:
            try:
                _read_example(example, task)
            except NotAnAnswer as error:
                place = definition.at("examples", index, "label")
                raise BadValue(place, key="label", problem=error.problem, advice=error.advice) from error
            label = []
        for one in label if isinstance(label, list) else [label]:
            if one not in task.labels:
                hint, known = did_you_mean(str(one), task.labels), listing(task.labels)
                place = definition.at("examples", index, "label")
                raise UnknownLabel(place, label=one, task=task.name, known=known, hint=hint)
        missing = [c for c in columns if c not in {fold(name) for name in example}]
        if missing:
            problem = f"the example lacks '{missing[0]}', which the prompt shows of an item"
            raise BadValue(definition.at("examples", index), key="examples", problem=problem, advice="add it")
    if given and not any("examples" in names_used(message, context) for message in messages.values()):
        problem, advice = "the prompt does not show them", "write {% for example in examples %} …, or leave them out"
        raise BadValue(definition.at("examples", key=True), key="examples", problem=problem, advice=advice)


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


def _text(config: PromptConfig, definition: Definition) -> str:
    return f"{canonical_json(config.model_dump(mode='json', exclude_defaults=True))}\n{definition.text}"
