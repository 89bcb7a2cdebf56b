"""What a person may write about language models: providers in ``profiles.yml``, front matter of prompts, prices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from teachkit.project.model import Abstain, Count, Json, Model, Name, Said, Strings

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
    budget: float | int | None = Field(
        default=None, gt=0, description="Most USD that a build may spend on all prompts."
    )

    def named(self, wanted: str | None) -> str | None:
        """The provider that is meant: the one that is named, else the target's, else the only one there is."""
        return wanted or self.provider or (next(iter(self.providers)) if len(self.providers) == 1 else None)


class Question(Model):
    """One of several questions in one request; each is a voter of its own."""

    ask: str = Field(description="The question, for the schema of the answer and for the template.")
    if_yes: str | None = Field(
        default=None, description="The label that 'yes' votes for; the question is then yes or no."
    )
    if_no: str | None = Field(default=None, description="The label that 'no' votes for; default: none.")


class PromptOutput(Model):
    """What a prompt's answer holds."""

    labels: Literal["task", "none"] = Field(
        default="task", description="One of the labels of the prompt's task (of multichoice, some), or no vote at all."
    )
    abstain: bool = Field(default=True, description="Whether the model may decline.")
    reason: bool = Field(default=False, description="Whether it gives a reason first; kept for lineage.")
    questions: dict[Name, Question] = Field(default={}, description="More questions, in the same request.")
    columns: dict[Name, dict[str, Json]] = Field(
        default={},
        description="Typed columns, each a JSON Schema; ref() of the prompt's name gives them, with the key.",
    )

    @model_validator(mode="after")
    def _something(self) -> PromptOutput:
        if self.labels == "none" and not self.questions and not self.columns:
            raise ValueError("nothing is asked for: write questions or columns, or leave out 'labels: none'")
        names = {"reason", "label", "labels"} & {*self.questions, *self.columns} | self.questions.keys() & self.columns
        if names:
            raise ValueError(f"'{min(names)}' has two meanings in an answer: call it otherwise")
        return self


class PromptModel(Model):
    """One of several models that a prompt is asked of; each is a voter of its own."""

    model: Said
    provider: Said | None = Field(default=None, description="Default: the prompt's.")
    name: Name | None = Field(default=None, description="Ends the voter's name; default: made of the model's name.")


class PromptConfidence(Model):
    """How sure an answer is, as a score beside the vote."""

    by: Literal["logprobs", "repeats", "decisions"] = Field(
        description="Log-probabilities of the answer; how often it is given; the provider's 'decisions' API."
    )
    repeats: Annotated[Count, Field(ge=1, le=100)] = Field(
        default=1, description="How often an uncertain item is asked in all."
    )
    below: float = Field(default=0.9, gt=0, le=1, description="With logprobs: a lower score makes an item uncertain.")
    calibrate: Literal["isotonic", "temperature", "none"] = Field(
        default="isotonic", description="How gold of the tune split makes a probability of the score."
    )
    bands: list[float] = Field(
        default=[0.7, 0.9, 0.99], description="Where scores part; label models weigh the votes of each band apart."
    )

    @model_validator(mode="after")
    def _fits(self) -> PromptConfidence:
        if self.by == "repeats" and self.repeats < 3:
            raise ValueError(
                "by repeats needs 'repeats: 3' or more: two are asked of every item, the rest if they differ"
            )
        if sorted(set(self.bands)) != self.bands or any(not 0 < edge < 1 for edge in self.bands):
            raise ValueError("bands are numbers between 0 and 1, each above the one before")
        return self


class PromptCascade(Model):
    """Ask a strong model where the prompt's own is not sure enough; how sure that is, gold of the tune split says."""

    to: Said = Field(description="The strong model.")
    provider: Said | None = Field(default=None, description="Its provider; default: the prompt's.")
    target: float = Field(gt=0, lt=1, description="The share that must be right.")
    of: Literal["accuracy", "precision"] = Field(
        default="accuracy", description="Of all answers, or of those that the prompt's own model keeps."
    )
    delta: float = Field(default=0.05, gt=0, lt=1, description="The chance that the target is missed all the same.")


class PromptExamples(Model):
    """Examples chosen from the tune split's gold, for each item anew and never the item itself."""

    select: Literal["random", "nearest"] = Field(
        description="'random': the labels in turn, the same for all items. 'nearest': those most alike."
    )
    k: Annotated[Count, Field(ge=1, le=100)] = Field(description="How many.")
    seed: int = Field(default=0, description="Another one gives another choice.")
    by: Literal["words", "embedding"] = Field(
        default="words", description="What makes the nearest alike: their words (TF-IDF), or vectors of a model."
    )
    embedding_model: Said | None = Field(default=None, description="The model that gives the vectors.")
    embedding_provider: Said | None = Field(default=None, description="Its provider; default: the prompt's.")

    @model_validator(mode="after")
    def _fits(self) -> PromptExamples:
        if self.by == "embedding" and self.select != "nearest":
            raise ValueError("'by: embedding' finds the nearest: write 'select: nearest'")
        if self.by == "embedding" and not self.embedding_model:
            raise ValueError("'by: embedding' needs 'embedding_model', the model that gives the vectors")
        if self.by == "words" and (self.embedding_model or self.embedding_provider):
            raise ValueError("without 'by: embedding' nothing asks for vectors: leave out 'embedding_model'")
        return self


class PromptConfig(Model):
    """Front matter of ``prompts/<task>/*.md``."""

    model: Said | None = Field(default=None, description="Default: the provider's.")
    provider: Said | None = Field(default=None, description="A provider of profiles.yml. Default: the profile's.")
    models: list[Said | PromptModel] = Field(default=[], description="Several models, in place of 'model'.")
    temperature: float | int | None = Field(default=None, ge=0, description="Passed on if given.")
    max_tokens: Annotated[Count, Field(ge=1)] = Field(default=256, description="Most tokens of an answer.")
    parameters: dict[str, Json] = Field(default={}, description="More of the request, passed on as it is.")
    output: PromptOutput = PromptOutput()
    examples: list[dict[str, Json]] | PromptExamples = Field(
        default=[], description="For the template to show, {{ examples }}: items with their 'label', or how to choose."
    )
    confidence: PromptConfidence | None = Field(default=None, description="A score beside each vote, and how.")
    cascade: PromptCascade | None = Field(default=None, description="A strong model for what this one is not sure of.")
    redact: Strings | dict[str, str] = Field(
        default=[], description="What is taken out of columns before anything is made of them."
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

    @field_validator("models")
    @classmethod
    def _some(cls, models: list[str | PromptModel]) -> list[str | PromptModel]:
        if not models:
            raise ValueError("no model is named: write one or more, or leave the key out")
        return models

    @field_validator("examples")
    @classmethod
    def _labeled(cls, examples: list[dict[str, Json]] | PromptExamples) -> list[dict[str, Json]] | PromptExamples:
        if isinstance(examples, list) and any("label" not in example for example in examples):
            raise ValueError("each example needs its 'label'")
        return examples

    @model_validator(mode="after")
    def _fits(self) -> PromptConfig:
        if self.models and (self.model or self.provider):
            raise ValueError("'models' names them all: leave out 'model' and 'provider'")
        if self.cascade and not self.confidence:
            raise ValueError(
                "a cascade needs 'confidence': its score decides which items the strong model is asked about"
            )
        if self.confidence and (self.output.labels != "task" or self.output.questions):
            raise ValueError(
                "'confidence' scores the one label of an item: it goes with no questions, nor 'labels: none'"
            )
        return self


class ModelPrice(Model):
    """Prices of one model, in USD for a million tokens."""

    input: float | int = Field(ge=0)
    output: float | int = Field(ge=0)
    cached: float | int | None = Field(default=None, ge=0, description="Input read from the provider's cache.")
    max_output: Annotated[Count, Field(gt=0)] | None = Field(
        default=None, description="Most tokens that it answers with, for a budget where a request sets no limit."
    )
    batch: float | int | None = Field(
        default=None, ge=0, le=1, description="The share of these prices that a batch costs; default: the full price."
    )
    context: Annotated[Count, Field(gt=0)] | None = Field(
        default=None, description="Tokens that a request and its answer may have; 'llm plan' finds longer ones."
    )


class PricesFile(Model):
    """``prices.yml``: what models cost, and when that was looked up."""

    as_of: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="The day of these prices.")
    models: dict[str, ModelPrice]
