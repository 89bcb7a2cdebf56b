"""What a prompt's front matter brings about: its voters and its table of columns, one of each for every model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.project.llm_models import PromptConfig


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """One model of a prompt; ``name`` is that of its voter and of its table, the prompt's own if there is one model."""

    name: str
    model: str | None
    provider: str | None
    place: tuple[str | int, ...]


def models_asked(prompt: str, config: PromptConfig) -> Sequence[ModelAsked]:
    """The models that a prompt is asked of, with where each is written."""
    if not config.models:
        return [ModelAsked(prompt, config.model, config.provider, ("provider",))]
    found = []
    for index, each in enumerate(config.models):
        model, provider, name = (each, None, None) if isinstance(each, str) else (each.model, each.provider, each.name)
        suffix = name or re.sub(r"\W+", "_", model, flags=re.ASCII).strip("_")
        found.append(ModelAsked(f"{prompt}_{suffix}", model, provider, ("models", index)))
    return found


def voter_names(prompt: str, config: PromptConfig) -> list[str]:
    """The names of a prompt's voters: for each model the one that answers with labels, then one for each question."""
    labels = [""] if config.output.labels == "task" else []
    said = [*labels, *(f"_{question}" for question in config.output.questions)]
    return [f"{one.name}{end}" for one in models_asked(prompt, config) for end in said]


def table_names(prompt: str, config: PromptConfig) -> Sequence[str]:
    """What ``ref()`` calls the tables of a prompt's columns; none if it adds no columns."""
    return [one.name for one in models_asked(prompt, config)] if config.output.columns else ()


def table_columns(key: str, config: PromptConfig) -> tuple[str, ...]:
    """The columns of such a table: the item's key, those of the answer, and what became of the request."""
    return (key, *(name.lower() for name in config.output.columns), ANSWER_STATUS)


ANSWER_STATUS = "answer_status"
