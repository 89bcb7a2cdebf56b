"""Jinja in a sandbox: what a template sees, and errors with the line of the template.

No clock, no randomness, no file: rendering twice gives the same text.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from teachkit.errors import (
    BadTemplate,
    MissingEnvVar,
    TeachkitError,
    UnknownMacro,
    UnknownVar,
    UnsafeTemplate,
    Where,
    did_you_mean,
    listing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2.sandbox import SandboxedEnvironment

_MISSING = object()
_JINJA = re.compile(r"\{[{%#]")


def has_jinja(text: str) -> bool:
    """Whether rendering could change ``text``."""
    return _JINJA.search(text) is not None


class Templates:
    """Renders templates with ``var``, ``env_var``, ``target`` and macros; keeps which environment variables were read."""

    def __init__(
        self, *, variables: Mapping[str, Any], target: Mapping[str, Any], macros: Mapping[str, tuple[str, str]]
    ) -> None:
        """``macros`` maps a macro's name to (path of its file, text of its definition)."""
        self.variables = variables
        self.target = target
        self.macros = macros
        self.environment_read: dict[str, str | None] = {}
        self._environment: SandboxedEnvironment | None = None

    def render(self, text: str, where: Where, /, **names: Any) -> str:
        """Render ``text``; ``names`` are added to what it sees. A line of an error is counted from ``where.line``."""
        if not has_jinja(text):
            return text
        import jinja2

        environment = self._sandbox()
        context = {"var": self._var, "env_var": self._env_var, "target": dict(self.target), **names}
        first = where.line or 1
        try:
            wanted = self._macros_for(text)
            if wanted:
                module = environment.from_string("\n".join(self.macros[name][1] for name in wanted)).make_module(
                    context
                )
                context |= {name: getattr(module, name) for name in wanted}
            return environment.from_string(text).render(context)
        except jinja2.exceptions.SecurityError as error:
            raise UnsafeTemplate(_line(where, error, first), problem=str(error)) from error
        except jinja2.exceptions.TemplateSyntaxError as error:
            place = Where(where.path, first + (error.lineno or 1) - 1)
            raise BadTemplate(
                place, problem=error.message or "syntax error", advice="check the braces and the block's end"
            ) from error
        except jinja2.exceptions.UndefinedError as error:
            name = (re.findall(r"'([^']+)'", str(error)) or ["?"])[-1]
            known = sorted([*context, *self.macros])
            raise UnknownMacro(
                _line(where, error, first), name=name, known=listing(known, 30), hint=did_you_mean(name, known)
            ) from error
        except TeachkitError as error:
            if error.where is None:
                raise type(error)(_line(where, error, first), **error.facts) from error
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            raise BadTemplate(
                _line(where, error, first), problem=problem, advice="check the call's arguments"
            ) from error

    def _sandbox(self) -> SandboxedEnvironment:
        if self._environment is None:
            import jinja2
            from jinja2.sandbox import ImmutableSandboxedEnvironment

            class Strict(ImmutableSandboxedEnvironment):
                """Refuses private names with an error where Jinja would give an undefined value."""

                def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
                    raise jinja2.exceptions.SecurityError(f"access to '{attribute}' of {type(obj).__name__}")

                def getattr(self, obj: Any, attribute: str) -> Any:
                    if attribute.startswith("_"):
                        raise jinja2.exceptions.SecurityError(f"access to '{attribute}'")
                    return super().getattr(obj, attribute)

                def getitem(self, obj: Any, argument: Any) -> Any:
                    if isinstance(argument, str) and argument.startswith("__"):
                        raise jinja2.exceptions.SecurityError(f"access to '{argument}'")
                    return super().getitem(obj, argument)

            environment = Strict(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
            for name in ("random", "pprint", "xmlattr", "urlize"):
                environment.filters.pop(name, None)
            for name in ("lipsum", "cycler", "joiner"):
                environment.globals.pop(name, None)
            self._environment = environment
        return self._environment

    def _macros_for(self, text: str) -> list[str]:
        """The macros that ``text`` may call, with those that they call, in the order of their names."""
        wanted: set[str] = set()
        queue = [text]
        while queue:
            words = set(re.findall(r"[A-Za-z_]\w*", queue.pop()))
            for name in sorted(words & self.macros.keys() - wanted):
                wanted.add(name)
                queue.append(self.macros[name][1])
        return sorted(wanted)

    def macros_used(self, text: str) -> str:
        """The text of the macros that ``text`` may reach: part of the key under which a rendering is cached."""
        return "\n".join(self.macros[name][1] for name in self._macros_for(text))

    def _var(self, name: str, default: Any = _MISSING) -> Any:
        if name in self.variables:
            return self.variables[name]
        if default is _MISSING:
            raise UnknownVar(None, name=name)
        return default

    def _env_var(self, name: str, default: Any = _MISSING) -> Any:
        value = os.environ.get(name)
        self.environment_read[name] = value
        if value is not None:
            return value
        if default is _MISSING:
            raise MissingEnvVar(None, name=name)
        return default


def _line(where: Where, error: BaseException, first: int) -> Where:
    """The template's own line (not a macro's), read off the traceback that Jinja rewrote."""
    line = None
    trace = error.__traceback__
    while trace is not None and line is None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return Where(where.path, first + line - 1 if line else where.line)
