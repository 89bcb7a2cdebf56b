"""A command: its own options, and those that all have, before its name or after it, or from ``TEACHKIT_…``."""

from __future__ import annotations

import errno
import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from teachkit.cli.output import readers_may_leave
from teachkit.cli.settings import Settings
from teachkit.errors import StoreUnwritable, TeachkitError, UnreadableFile, Where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


class _Variables(click.ParamType[Any]):
    """``{name: value}`` in YAML or JSON."""

    name = "yaml"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Parse the text."""
        if isinstance(value, dict):
            return value
        import yaml

        try:
            found = yaml.safe_load(value) or {}
        except yaml.YAMLError as error:
            self.fail(f"{value!r} is not YAML: {error}. Write for example '{{data: /path}}'", param, ctx)
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            self.fail(f"{value!r} holds no names with values. Write for example '{{data: /path}}'", param, ctx)
        return found


_FOLDER = click.Path(file_okay=False, path_type=Path)
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--project-dir",), {"type": _FOLDER, "help": "Folder of teachkit.yml, or one below it."}),
    (("--profiles-dir",), {"type": _FOLDER, "help": "Folder of profiles.yml."}),
    (("--target", "-t"), {"help": "Target of profiles.yml."}),
    (("--vars", "variables"), {"type": _Variables(), "help": "Variables in YAML: '{name: value}'."}),
    (("--threads",), {"type": click.IntRange(1, 256), "help": "Threads to use."}),
    (("--log-format",), {"type": click.Choice(["text", "json"]), "help": "Form of progress and errors."}),
    (("--quiet", "-q"), {"is_flag": True, "help": "No progress: results and errors alone."}),
    (("--no-color",), {"is_flag": True, "help": "No colours."}),
)


def _options(*, with_environment: bool) -> list[click.Parameter]:
    """The options, new ones each time: click keeps state in them."""
    made: list[click.Parameter] = []
    for names, about in _OPTIONS:
        variable = "TEACHKIT_" + names[0].lstrip("-").replace("-", "_").upper() if with_environment else None
        made.append(click.Option(names, envvar=variable, show_envvar=with_environment, **about))
    return made


class SettingsGroup(click.Group):
    """A group that takes the common options before the command's name."""

    with_environment = True

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Common options, then the group's own."""
        return [*self._common, *super().get_params(ctx)]

    @functools.cached_property
    def _common(self) -> list[click.Parameter]:
        return _options(with_environment=self.with_environment)

    def invoke(self, ctx: click.Context) -> Any:
        """Keep the options for the command."""
        given = {o.name: ctx.params.pop(o.name, None) for o in self._common if o.name}
        ctx.obj = {**(ctx.obj or {}), **{name: value for name, value in given.items() if value not in (None, False)}}
        return super().invoke(ctx)


class NestedGroup(SettingsGroup):
    """Commands below a command: ``teachkit audit log``. What stands later counts, above the environment's."""

    with_environment = False


class SettingsCommand(click.Command):
    """A command that takes the common options after its name as well; what stands later counts."""

    @functools.cached_property
    def _common(self) -> list[click.Parameter]:
        return _options(with_environment=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let an option that may be given several times take several values at once: ``--select a b``, as in dbt."""
        own = super().get_params(ctx)
        if any(isinstance(parameter, click.Argument) for parameter in own):
            return super().parse_args(ctx, self._with_negative_numbers(ctx, args))
        several = {name for o in own if isinstance(o, click.Option) and o.multiple for name in o.opts}
        spread: list[str] = []
        option = ""
        for arg in args:
            if arg.startswith("-"):
                option = arg if arg in several else ""
            elif option and spread[-1] != option:
                spread.append(option)
            spread.append(arg)
        return super().parse_args(ctx, spread)

    def _with_negative_numbers(self, ctx: click.Context, args: list[str]) -> list[str]:
        """An argument such as -500, the key of an item, is no option: it goes behind ``--``."""
        takes_value = {
            name for o in self.get_params(ctx) if isinstance(o, click.Option) and not o.is_flag for name in o.opts
        }
        numbers, others = list[str](), list[str]()
        for before, arg in zip(["", *args], args, strict=False):
            is_number = re.match(r"-[\d.]", arg) is not None and before not in takes_value
            (numbers if is_number else others).append(arg)
        return args if not numbers or "--" in args else [*others, "--", *numbers]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own options, then the common ones."""
        own = super().get_params(ctx)
        return [*own[:-1], *self._common, own[-1]] if own else list(self._common)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the command's own options first, the common ones apart."""
        common = {o.name for o in self._common}
        parts: dict[str, list[tuple[str, str]]] = {"Options": [], "Common options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                parts["Common options" if parameter.name in common else "Options"].append(record)
        for title, records in parts.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of the user's are shown, and become the exit code."""
        given = dict(ctx.obj or {})
        for option in self._common:
            value = ctx.params.pop(option.name, None) if option.name else None
            if value not in (None, False):
                given[option.name] = value
        settings = _settings(given)
        with readers_may_leave():
            return self._run(ctx, settings)

    def _run(self, ctx: click.Context, settings: Settings) -> Any:
        try:
            return ctx.invoke(self.callback, settings, **ctx.params) if self.callback else None
        except TeachkitError as error:
            return _shown(error, settings)
        except OSError as error:
            if error.errno not in _DISK:
                raise
            return _shown(_disk_problem(error), settings)


def _settings(given: Mapping[str | None, Any]) -> Settings:
    return Settings(
        project_dir=given.get("project_dir") or Path(),
        profiles_dir=given.get("profiles_dir"),
        target=given.get("target"),
        variables=given.get("variables"),
        threads=given.get("threads"),
        log_format=given.get("log_format") or "text",
        quiet=bool(given.get("quiet")),
        no_color=bool(given.get("no_color")),
    )


def _shown(error: TeachkitError, settings: Settings) -> int:
    from teachkit.cli.problems import show_error

    show_error(error, settings)
    return error.exit_code


def _disk_problem(error: OSError) -> TeachkitError:
    """A full or read-only disk, or a file that may not be read, is the user's to mend, wherever it shows."""
    if error.filename and Path(error.filename).is_file() and not os.access(error.filename, os.R_OK):
        return UnreadableFile(Where(str(error.filename)), problem=error.strerror or str(error))
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = (
        "free some space, then run the command again" if full else "correct its permissions, or choose another place"
    )
    return StoreUnwritable(None, path=error.filename or "a file", problem=error.strerror or str(error), advice=advice)


def as_command(function: Callable[..., int | None], kind: type[SettingsCommand] = SettingsCommand) -> click.Command:
    """Make a command of a function that takes the settings, then its own options; its docstring is the help."""
    made: click.Command = click.command(cls=kind, context_settings={"help_option_names": ["-h", "--help"]})(function)
    return made
