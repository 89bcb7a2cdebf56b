"""``teachkit debug``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from teachkit.cli.command import as_command
from teachkit.cli.output import format_option, print_json
from teachkit.errors import counted

if TYPE_CHECKING:
    from teachkit.cli.settings import Settings
    from teachkit.llm import Probed


@as_command
@click.option(
    "--probe",
    "provider",
    metavar="[PROVIDER]",
    is_flag=False,
    flag_value="",
    help="Find out what a provider of language models can do, by asking it a few small questions.",
)
@format_option
def command(settings: Settings, provider: str | None, form: str) -> int:
    """Check the installation, the profile, the store and the sources. Exit code 2 if something is wrong.

    With --probe, look at a provider instead: which models it lists, how it takes a schema, whether it gives
    log-probabilities. Nothing is sent without it.
    """
    return _check_up(settings, form) if provider is None else _probe(settings, provider or None, form)


def _check_up(settings: Settings, form: str) -> int:
    points = list(settings.project().check_up())
    if form == "json":
        print_json({"points": [point.as_dict() for point in points]})
    else:
        width = max(len(point.name) for point in points)
        for point in points:
            first, *more = point.message.split("\n")
            click.echo(f"{'ok   ' if point.good else 'ERROR'}  {point.name:<{width}}  {first}")
            for line in more:
                click.echo(f"{'':<{9 + width}}{line}")
    return 0 if all(point.good for point in points) else 2


def _probe(settings: Settings, provider: str | None, form: str) -> int:
    from teachkit.cli.problems import show_error
    from teachkit.llm.errors import LlmSetupError, ProviderError

    try:
        probe, worst = settings.project().probe(provider)
        if form == "text":
            cost = "no price is known" if worst is None else f"at most {worst:.6f} USD"
            asked = counted(probe.questions, "small question")
            click.echo(f"provider {probe.name}: {asked} to {probe.endpoint}, {cost}\n")
        found = probe.run()
    except (LlmSetupError, ProviderError) as error:
        show_error(error, settings)
        return 1  # whatever it is, this provider cannot be used
    if form == "json":
        print_json({"provider": probe.name, "endpoint": str(probe.endpoint), "worst_cost": worst, **found.as_dict()})
    else:
        _show(probe.name, found)
    return 0


def _show(name: str, found: Probed) -> None:
    width = max(len(one.name) for one in found.findings)
    for one in found.findings:
        click.echo(f"{one.name:<{width}}  {'yes' if one.works else 'no ':<3}  {one.said}".rstrip())
    click.echo(f"\nin profiles.yml:\n  {name}:")
    for key, value in found.settings.items():
        click.echo(f"    {key}: {str(value).lower() if isinstance(value, bool) else value}")
