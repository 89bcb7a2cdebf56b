"""A provider of the profile, ready to be probed, and what that can cost at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import BadOption, did_you_mean, listing
from teachkit.project import read_project

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.build.run import BuildOptions
    from teachkit.llm import Probe


def prepare_probe(root: Path, options: BuildOptions, name: str | None) -> tuple[Probe, float | None]:
    """The probe of a provider (None: the one that prompts ask), and its cost in USD at most (None: no price is known).

    Raises:
        BadOption: the target has no such provider, or several.
        LlmSetupError: requests may not go there, or its key is missing.
    """
    from teachkit.llm import Prices, Probe

    files = read_project(root, options)
    llm = files.target.llm
    chosen = llm.named(name)
    if chosen not in llm.providers:
        where = f"target '{files.target_name}'"
        problem = f"{where} has no provider '{chosen}'" if chosen else f"{where} says which provider to ask nowhere"
        advice = f"write '--probe NAME', one of: {listing(llm.providers)}.{did_you_mean(chosen or '', llm.providers)}"
        if not llm.providers:
            advice = "write one under 'llm: providers:' of the target in profiles.yml"
        raise BadOption(None, option="--probe", problem=problem, advice=advice)
    said = llm.providers[chosen]
    probe = Probe(
        chosen,
        said.base_url,
        key_variable=said.api_key_env,
        model=said.model,
        transport="fast" if said.transport == "fast" else "openai",
        timeout=said.timeout,
    )
    prices = Prices.from_mapping(files.prices.model_dump(exclude_none=True)).models if files.prices else {}
    price = prices.get(said.model or "")
    return probe, probe.worst(price) if price else None
