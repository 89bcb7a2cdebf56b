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
    from collections.abc import Callable, Mapping

    from jinja2.sandbox import SandboxedEnvironment

    from teachkit.project.macros import Macro

_MISSING = object()
_JINJA = re.compile(r"\{[{%#]")
_MOST_STEPS = 1_000_000
_LONGEST = 10_000_000


def has_jinja(text: str) -> bool:
    """Whether rendering could change ``text``."""
    return _JINJA.search(text) is not None


class Templates:
    """Renders templates with ``var``, ``env_var``, ``target`` and macros; keeps which environment it read."""

    def __init__(self, *, variables: Mapping[str, Any], target: Mapping[str, Any], macros: Mapping[str, Macro]) -> None:
        """Keep what templates see."""
        self.variables = variables
        self.target = target
        self.macros = macros
        self.environment_read: dict[str, str | None] = {}
        self._environment: SandboxedEnvironment | None = None
        self._steps = 0

    def render(self, text: str, where: Where, /, **names: Any) -> str:
        """Render ``text``; ``names`` are added to what it sees. A line of an error is counted from ``where.line``."""
        if not has_jinja(text):
            return text
        context = {"var": self._var, "env_var": self._env_var, "target": dict(self.target), **names}
        self._steps = 0
        try:
            return self._render(text, context)
        except Exception as error:
            raise self._explained(error, where, context) from error

    def prepared(self, text: str, where: Where, /, **names: Any) -> Callable[..., str]:
        """``text`` as a function of more names: parsed once, for many renderings."""
        context = {"var": self._var, "env_var": self._env_var, "target": dict(self.target), **names}
        try:
            template, macros = self._sandbox().from_string(text), self._macros(text, context)
        except Exception as error:
            raise self._explained(error, where, context) from error

        def render(**more: Any) -> str:
            self._steps = 0
            try:
                return template.render({**context, **macros, **more})
            except Exception as error:
                raise self._explained(error, where, {**context, **more}) from error

        return render

    def parsed(self, text: str, where: Where) -> Any:
        """The syntax tree of a template (``jinja2.nodes.Template``)."""
        try:
            return self._sandbox().parse(text)
        except Exception as error:
            raise self._explained(error, where, {}) from error

    def without_comments(self, text: str) -> str:
        """A template (that can be parsed) without its comments: it renders to the same.

        White space that the marks of a comment take away (``{#- … -#}``) is gone with it.
        """
        if "{#" not in text:
            return text
        tokens = self._sandbox().lex(text)
        return "".join(value for _, kind, value in tokens if not kind.startswith("comment"))

    def macros_used(self, text: str) -> str:
        """The text of the macros that ``text`` may reach: part of the key under which a rendering is cached."""
        return "\n".join(self.macros[name].text for name in self._macros_for(text))

    def env_value(self, name: str) -> str | None:
        """An environment variable, noted as read."""
        self.environment_read[name] = os.environ.get(name)
        return self.environment_read[name]

    def _render(self, text: str, context: dict[str, Any]) -> str:
        return self._sandbox().from_string(text).render({**context, **self._macros(text, context)})

    def _macros(self, text: str, context: dict[str, Any]) -> dict[str, Any]:
        wanted = self._macros_for(text)
        if not wanted:
            return {}
        module = self._sandbox().from_string("\n".join(self.macros[name].text for name in wanted))
        made = module.make_module(context)
        return {name: getattr(made, name) for name in wanted}

    def _macros_for(self, text: str) -> list[str]:
        """The macros that ``text`` may call, with those that they call, in the order of their names."""
        wanted: set[str] = set()
        queue = [text]
        while queue:
            words = set(re.findall(r"[A-Za-z_]\w*", queue.pop()))
            for name in sorted(words & self.macros.keys() - wanted):
                wanted.add(name)
                queue.append(self.macros[name].text)
        return sorted(wanted)

    # -- what templates call

    def _var(self, name: str, default: Any = _MISSING) -> Any:
        if name in self.variables:
            return self.variables[name]
        if default is _MISSING:
            raise UnknownVar(None, name=name)
        return default

    def _env_var(self, name: str, default: Any = _MISSING) -> Any:
        value = self.env_value(name)
        if value is not None:
            return value
        if default is _MISSING:
            raise MissingEnvVar(None, name=name)
        return default

    def _range(self, *arguments: int) -> range:
        """``range``, with a limit on how much all ranges of one rendering hold: a template must end."""
        found = range(*arguments)
        self._steps += len(found)
        if self._steps > _MOST_STEPS:
            raise OverflowError(f"the ranges of this template hold more than {_MOST_STEPS:,} numbers")
        return found

    # -- errors

    def _explained(self, error: Exception, where: Where, context: Mapping[str, Any]) -> TeachkitError:
        """An exception of rendering as an error of the template's file."""
        import jinja2

        place = _line(where, error)
        if isinstance(error, TeachkitError):
            return self.without_secrets(error if error.where is not None else type(error)(place, **error.facts))
        if isinstance(error, jinja2.exceptions.SecurityError):
            return UnsafeTemplate(place, problem=self._hidden(str(error)))
        if isinstance(error, jinja2.exceptions.TemplateSyntaxError):
            line = (where.line or 1) + (error.lineno or 1) - 1
            advice = "check the braces and the block's end"
            return BadTemplate(Where(where.path, line), problem=error.message or "syntax error", advice=advice)
        if isinstance(error, jinja2.exceptions.UndefinedError):
            name = self._hidden((re.findall(r"'([^']+)'", str(error)) or ["?"])[-1])
            known = sorted({*context, *self.macros})
            return UnknownMacro(place, name=name, known=listing(known, 30), hint=did_you_mean(name, known))
        if isinstance(error, TypeError) and "no loader for this environment" in str(error):
            return UnsafeTemplate(place, problem="it reads another file (include, import or extends)")
        return BadTemplate(place, problem=self._problem(error), advice=_advice(error))

    def _problem(self, error: Exception) -> str:
        if isinstance(error, RecursionError):
            return "a macro calls itself without end"
        if isinstance(error, MemoryError):
            return "the text grows without end"
        first = (str(error).splitlines() or [""])[0]
        first = re.sub(r"\w+\.(?:<locals>\.)?_?(\w+)\(\)", r"\1()", first)
        return self._hidden(first if isinstance(error, OverflowError) else f"{type(error).__name__}: {first}")

    def without_secrets(self, error: TeachkitError) -> TeachkitError:
        """The same error without the values of environment variables."""
        facts = {k: self._hidden(v) if isinstance(v, str) else v for k, v in error.facts.items()}
        return type(error)(error.where, **facts) if facts != error.facts else error

    def _hidden(self, text: str) -> str:
        """A message without the values of environment variables: they may be secrets."""
        for value in self.environment_read.values():
            if value and len(value) > 3:
                text = text.replace(value, "…")
        return text

    # -- the sandbox

    def _sandbox(self) -> SandboxedEnvironment:
        if self._environment is None:
            self._environment = _strict_environment()
            self._environment.globals["range"] = self._range
        return self._environment


def _strict_environment() -> SandboxedEnvironment:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Strict(ImmutableSandboxedEnvironment):
        """Refuses private names with an error where Jinja would give an undefined value, and values that explode."""

        intercepted_binops = frozenset({"*", "**", "%"})

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

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if _size(operator, left, right) > _LONGEST:
                raise OverflowError(f"the result of '{operator}' is too large")
            return super().call_binop(context, operator, left, right)

    environment = Strict(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_printed)
    for name in ("random", "pprint", "xmlattr", "urlize"):
        environment.filters.pop(name, None)
    for name in ("lipsum", "cycler", "joiner"):
        environment.globals.pop(name, None)
    return environment


def _printed(value: Any) -> Any:
    """What ``{{ value }}`` writes; a function written out would be its address in memory."""
    import jinja2

    if callable(value) and not isinstance(value, jinja2.Undefined):
        name = getattr(value, "__name__", "").lstrip("_") or getattr(value, "name", "this")
        raise TypeError(f"'{name}' is a function: call it with ()")
    return value


def _size(operator: str, left: Any, right: Any) -> int:
    """About how long the result of an operation is."""
    if operator == "*" and isinstance(left, int) != isinstance(right, int):
        number, other = (left, right) if isinstance(left, int) else (right, left)
        return int(number) * len(other) if isinstance(other, str | bytes | list | tuple) else 0
    if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
        return left.bit_length() * (right if operator == "**" else 1) + right.bit_length()
    if operator == "%" and isinstance(left, str):
        return max((int(n) for n in re.findall(r"%[^a-zA-Z%]*?(\d{1,12})", left)), default=0)
    return 0


def _advice(error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError | OverflowError):
        return "templates are for small texts: loop over less"
    return "check the call's arguments"


def _line(where: Where, error: BaseException) -> Where:
    """The template's own line (not a macro's), read off the traceback that Jinja rewrote."""
    line = None
    trace = error.__traceback__
    while trace is not None and line is None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return where if line in (None, 1) else Where(where.path, (where.line or 1) + line - 1)
