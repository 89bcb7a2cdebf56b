"""What a person may write about language models: providers in ``profiles.yml``, front matter of prompts, prices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from teachkit.project.model import Abstain, Count, Model, Strings

Positive = Annotated[Count, Field(gt=0)]
StructuredOutput = Literal["json_schema", "json_object", "tool", "none"]
LlmMode = Literal["live", "record", "replay"]


class LlmProvider(Model):
    """One endpoint that speaks the OpenAI API."""

    base_url: str
    api_key_env: str | None = Field(
        default=None, description="Name of the environment variable that holds the key; never the key."
    )
    model: str | None = Field(default=None, description="The model that is asked where a prompt names none.")
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    concurrency: Annotated[Count, Field(ge=1, le=1024)] = Field(
        default=32, description="Requests on their way at once."
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds that a request may take.")
    structured_output: StructuredOutput = Field(
        default="json_schema", description="How it takes the schema of an answer; answers are checked here anyway."
    )
    limit_parameter: Literal["max_completion_tokens", "max_tokens"] = Field(
        default="max_completion_tokens", description="What it calls the limit on an answer's tokens."
    )
    logprobs: bool | None = Field(default=None, description="Whether answers can bring log-probabilities.")
    decisions: bool | None = Field(default=None, description="Whether it has the decisions API.")
    batches: bool | None = Field(default=None, description="Whether it has the batches API.")
    transport: Literal["default", "fast"] = Field(default="default", description="'fast' needs teachkit[fast].")


class LlmConfig(Model):
    """Providers of language models, and how prompts are run."""

    mode: LlmMode = Field(
        default="live",
        description="'live' asks; 'record' asks and keeps the answers in recordings/; 'replay' takes those, no socket.",
    )
    provider: str | None = Field(default=None, description="The provider of prompts that name none.")
    providers: dict[str, LlmProvider] = {}


class PromptOutput(Model):
    """What a prompt's answer holds."""

    labels: Literal["task"] = Field(default="task", description="The labels of the prompt's task.")
    abstain: bool = Field(default=True, description="Whether the model may decline.")
    reason: bool = Field(default=False, description="Whether it gives a reason first; kept for lineage.")


class PromptExamples(Model):
    """Examples chosen from the tune split's gold, for each item anew and never the item itself."""

    select: Literal["random", "nearest"] = Field(
        description="'random': the labels in turn, the same for all items. 'nearest': the most alike in words (TF-IDF)."
    )
    k: Annotated[Count, Field(ge=1, le=100)] = Field(description="How many.")
    seed: int = Field(default=0, description="Another one gives another choice.")


class PromptConfig(Model):
    """Front matter of ``prompts/<task>/*.md``."""

    model: str | None = Field(default=None, description="Default: the provider's.")
    provider: str | None = Field(default=None, description="A provider of profiles.yml. Default: the profile's.")
    temperature: float | int | None = Field(default=None, ge=0, description="Passed on if given.")
    max_tokens: Annotated[Count, Field(ge=1)] = Field(default=256, description="Most tokens of an answer.")
    parameters: dict[str, Any] = Field(default={}, description="More parameters of the request, passed on as they are.")
    output: PromptOutput = PromptOutput()
    examples: list[dict[str, Any]] | PromptExamples = Field(
        default=[], description="For the template to show, {{ examples }}: items with their 'label', or how to choose."
    )
    abstain: Abstain | None = Field(
        default=None,
        description="How label models treat its silence; default: informative, where errors are allowed at_random.",
    )
    max_error_rate: float | int = Field(
        default=0, ge=0, lt=1, description="The share of items that may have no answer; above it the prompt fails."
    )
    budget: float | int | None = Field(default=None, gt=0, description="Most USD that a build may spend on it.")
    unpriced: Literal["refuse", "allow"] = Field(
        default="refuse", description="What to do with a model that prices.yml does not name."
    )
    unvalidated: Literal["refuse", "allow"] = Field(
        default="refuse", description="What to do where too little gold can tell whether its answers are right."
    )
    enabled: bool = True
    tags: Strings = []
    description: str = ""

    @field_validator("examples")
    @classmethod
    def _labeled(cls, examples: list[dict[str, Any]] | PromptExamples) -> list[dict[str, Any]] | PromptExamples:
        if isinstance(examples, list) and any("label" not in example for example in examples):
            raise ValueError("each example needs its 'label'")
        return examples


class ModelPrice(Model):
    """Prices of one model, in USD for a million tokens."""

    input: float | int = Field(ge=0)
    output: float | int = Field(ge=0)
    cached: float | int | None = Field(default=None, ge=0, description="Input read from the provider's cache.")


class PricesFile(Model):
    """``prices.yml``: what models cost, and when that was looked up."""

    as_of: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="The day of these prices.")
    models: dict[str, ModelPrice]
