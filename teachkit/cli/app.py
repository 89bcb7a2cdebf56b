"""The program: its commands, loaded when one is named; its exit codes; how errors reach the screen."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import itertools
import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from teachkit.cli.command import SettingsGroup
from teachkit.errors import did_you_mean
from teachkit.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": "Start a project: the template, or an example.",
    "debug": "Check the installation, the profile and the sources.",
    "parse": "Read and check the whole project; write target/manifest.json.",
    "compile": "Write the SQL of every node; show what a prompt asks.",
    "ls": "List nodes.",
    "run": "Run nodes, without tests.",
    "build": "Run and test nodes in order, then publish.",
    "test": "Test what was built.",
    "retry": "Run again what failed or was skipped.",
    "show": "Show rows of a node.",
    "sql": "Query the environment.",
    "try": "Try a voter before it is kept.",
    "analyze": "Show how good a task's voters are.",
    "errors": "Show where labels differ from gold, and whose fault it is.",
    "suggest": "Suggest labeling functions, ready to check in.",
    "issues": "Show gold and annotations that are likely wrong.",
    "lineage": "Show why an item has its label.",
    "diff": "Show what a change does to the labels.",
    "audit": "Show what was run; verify that labels come out again.",
    "ci": "Run the steps of CI: parse, build, compare.",
    "llm": "Plan, compare and improve prompts.",
    "lock": "Show teachkit.lock; resolve a merge conflict in it.",
    "docs": "Make the project's site; show it.",
    "clean": "Remove target/.",
    "schema": "Write JSON Schemas for editors.",
}
_INTERRUPTED = 130


class Commands(SettingsGroup):
    """Knows each command's name and summary; imports a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"teachkit.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what is meant where a command is misspelt."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], COMMANDS) if args else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above: ``--help`` imports none of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", message="teachkit %(version)s")
def cli() -> None:
    """Labels as build artefacts: what dbt did for analytics, for training data."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done; 1 a node or a test failed; 2 usage, parse or compile error."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as fast here, and it gives memory back
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    if code == _INTERRUPTED:
        _leave_interrupted()
    sys.exit(code)


def _leave_interrupted() -> NoReturn:
    """Exit with the code of an interruption, also where Python would end itself by the signal once more.

    It does so if the signal came while a text ran as code, as importing a dataclass does, whoever has caught it since.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(_INTERRUPTED)


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    try:
        code = cli.main(arguments, prog_name="teachkit", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):  # click makes the one of the other
        return _interrupted(arguments)
    except RuntimeError as error:
        if str(error) != "Query interrupted":  # what DuckDB makes of Ctrl-C while it runs a query
            raise
        return _interrupted(arguments)
    except click.ClickException as error:
        if _in_json(arguments):
            _tell(error.format_message(), arguments)
        else:
            error.show()
        return error.exit_code


def _interrupted(arguments: Sequence[str]) -> int:
    _tell("interrupted; what was finished is kept", arguments)
    return _INTERRUPTED


def _tell(message: str, arguments: Sequence[str]) -> None:
    """Write a message that no command wrote to stderr, in the form that is asked for."""
    where = {"path": None, "line": None, "column": None}
    text = {"level": "error", "slug": "usage", "message": message, "advice": "", **where}
    click.echo(json.dumps(text, ensure_ascii=False) if _in_json(arguments) else message, err=True)


def _in_json(arguments: Sequence[str]) -> bool:
    """Whether ``--log-format json`` is meant: what click did not come to read counts as well."""
    words = [word.removeprefix("--log-format=") for word in arguments if word.startswith("--log-format=")]
    words += [after for word, after in itertools.pairwise(arguments) if word == "--log-format"]
    return (words or [os.environ.get("TEACHKIT_LOG_FORMAT", "")])[-1] == "json"
