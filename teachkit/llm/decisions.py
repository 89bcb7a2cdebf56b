"""Decisions: from questions about an input to a body; from a reply to options and their probabilities.

An API of OpenAI for classification: many questions about one input in one request, and for each question how likely
each option is. Of its three kinds of question only choices are asked here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from teachkit.llm.errors import BadRequestBody
from teachkit.llm.replies import ModelReply, Usage, count, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_QUESTIONS: Final = 400
LEAST_OPTIONS: Final = 2
MOST_OPTIONS: Final = 255

_ROUNDING: Final = 1e-6  # what a sum of shares may be off
_OURS: Final = frozenset({"model", "input", "questions", "stream"})


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """One option of several is to be chosen. ``descriptions`` say what options mean, where that is not plain."""

    name: str
    instructions: str
    options: Sequence[str]
    descriptions: Mapping[str, str] = field(default_factory=dict)


def decision_body(
    *,
    model: str,
    input: str | Sequence[Mapping[str, Any]],
    questions: Sequence[ChoiceQuestion],
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the body of a request for decisions.

    Args:
        model: as the provider calls it.
        input: what the questions are about: a text, or messages ``{"role": ..., "content": ...}``. Row text belongs
            here, inside a JSON string.
        questions: 1 to 400, each with 2 to 255 options. Nothing is added to the options: a question that may be left
            open has an option for that.
        parameters: more of the body, such as ``prompt_cache_key``; passed on as they are.

    Raises:
        BadRequestBody: ``parameters`` names what is set here, or the questions cannot be asked.
    """
    given = dict(parameters or {})
    if taken := sorted(_OURS & set(given)):
        problem = f"'{taken[0]}' is not a parameter of one's own"
        raise BadRequestBody(label=f"to '{model}'", problem=problem, advice="leave it out")
    if wrong := _wrong(questions):
        raise BadRequestBody(label=f"to '{model}'", problem=wrong[0], advice=wrong[1])
    asked = [
        {
            "type": "choice",
            "name": question.name,
            "instructions": question.instructions,
            "choices": [_choice(option, question.descriptions.get(option)) for option in question.options],
        }
        for question in questions
    ]
    return {"model": model, "input": input if isinstance(input, str) else [*input], "questions": asked, **given}


def _choice(option: str, description: str | None) -> dict[str, str]:
    return {"value": option} | ({"description": description} if description else {})


def _wrong(questions: Sequence[ChoiceQuestion]) -> tuple[str, str] | None:
    """What is wrong with questions, and what to do about it."""
    if not 1 <= len(questions) <= MOST_QUESTIONS:
        return f"it asks {len(questions)} questions", f"ask 1 to {MOST_QUESTIONS}"
    names = [question.name for question in questions]
    if not all(names) or len(set(names)) != len(names):
        return "its questions do not all have a name of their own", "name every question, each once"
    for question in questions:
        options = question.options
        if not question.instructions.strip():
            return f"question '{question.name}' says nothing", "write what is asked"
        if not LEAST_OPTIONS <= len(options) <= MOST_OPTIONS:
            problem = f"question '{question.name}' has {len(options)} options"
            return problem, f"give it {LEAST_OPTIONS} to {MOST_OPTIONS}"
        if not all(options) or len(set(options)) != len(options):
            return f"the options of question '{question.name}' are not all different", "write each once"
    return None


def parse_decisions(body: Mapping[str, Any], raw: bytes) -> ModelReply:
    """Read the reply to a body, of status 200. Never raises: what is wrong stands in ``problem``.

    Answers come in the order of the questions, each with its name; what the body did not ask is a problem.
    """

    def parse(whole: Any) -> ModelReply:
        usage, model = whole.get("usage"), str(whole.get("model") or "")
        used = _usage(usage) if isinstance(usage, dict) else None
        questions, answers = body["questions"], whole["answers"]
        if len(answers) != len(questions):
            wrong = f"{len(questions)} questions were asked, and {len(answers)} answered"
            return ModelReply(usage=used, model=model, problem=wrong)
        data: dict[str, str] = {}
        probabilities: dict[str, dict[str, float]] = {}
        confidence: dict[str, float] = {}
        refused: list[str] = []
        for question, answer in zip(questions, answers, strict=True):
            name = question["name"]
            if answer["type"] == "refusal":
                refused.append(name)
                continue
            if problem := _misfit(question, answer):
                return ModelReply(usage=used, model=model, problem=problem)
            data[name] = answer["choice"]
            probabilities[name] = {each["value"]: float(each["probability"]) for each in answer["probabilities"]}
            confidence[name] = float(answer["confidence"])
        return ModelReply(
            data=data,
            refusal=f"declined: {', '.join(refused)}" if refused else None,
            usage=used,
            model=model,
            probabilities=probabilities,
            confidence=confidence,
        )

    return read_reply(raw, parse, "a list of decisions", holder="answers")


def _misfit(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    """What is wrong with an answer to a question; never quoting the answer."""
    name = question["name"]
    if answer["type"] != "choice":
        return f"the answer to '{name}' is no choice"
    if answer.get("name") not in (None, name):
        return f"another question is answered in place of '{name}'"
    options = {choice["value"] for choice in question["choices"]}
    said = [each["value"] for each in answer["probabilities"]]
    if not _among(answer["choice"], options) or not all(_among(value, options) for value in said):
        return f"the answer to '{name}' is none of its options"
    if len(set(said)) != len(said):
        return f"an option of '{name}' has two probabilities"
    shares = [answer["confidence"], *(each["probability"] for each in answer["probabilities"])]
    if not all(_is_share(share) for share in shares):
        return f"the answer to '{name}' holds a probability that is none"
    return None


def _among(value: object, options: set[str]) -> bool:
    """Options are text: True is not 'True'."""
    return isinstance(value, str) and value in options


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and isfinite(value) and 0 <= value <= 1 + _ROUNDING  # type: ignore[arg-type,operator]


def _usage(usage: Mapping[str, Any]) -> Usage:
    details, more = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return Usage(
        input=count(usage.get("input_tokens")),
        output=count(usage.get("output_tokens")),
        cached=count(details.get("cached_tokens")),
        reasoning=count(more.get("reasoning_tokens")),
    )
