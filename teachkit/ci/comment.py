"""The comment on a pull request: the comparison, below what failed; without one, what can be said all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from teachkit.diff.markdown import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.ci.result import Ci, Step

LIMIT = 64_000  # bytes in UTF-8: GitHub takes 65,536 characters
_TROUBLE = 6_000  # characters of what failed
_MESSAGE = 600
_NAMED = 20
_WORDS = {"parse": "The project does not compile", "build": "The build failed", "diff": "Labels cannot be compared"}


def comment(done: Ci) -> str:
    """Write it: at most ``LIMIT`` bytes, first line ``MARKER``."""
    head = [f"{line}\n" for line in _trouble(done)]
    if done.diff is None:
        return "".join([f"{MARKER}\n", f"### {_title(done)}\n", *head, *(f"{line}\n" for line in _known(done))])
    room = limit = LIMIT - len("".join(head).encode())
    while True:
        first, _, rest = done.diff.markdown(limit=limit).partition("\n")
        made = f"{first}\n{''.join(head)}\n{rest}"
        size = len(made.encode())
        if size <= LIMIT or limit < 1000:
            return made
        limit = min(limit - 500, limit * room // size)  # characters are longer than a byte


def _title(done: Ci) -> str:
    if done.passed:
        return "⚪ There is nothing to compare these labels with"
    return "❌ What this does to the labels is not known"


def _trouble(done: Ci) -> Iterator[str]:
    """What failed or warned, as a block of code: nothing in it is a mention, a link or HTML."""
    for step in done.steps:
        if step.exit_code:
            yield from ("", f"**❌ {_WORDS[step.name]}.**", *_block(step))
        elif step.status == "warned":
            yield from ("", "**⚠️ Tests warn.**", *_block(step))


def _block(step: Step) -> Iterator[str]:
    found = [f for f in step.findings if f.level != "notice"]
    said: list[str] = []
    room = _TROUBLE
    for finding in found[:_NAMED]:
        message = finding.message if len(finding.message) <= _MESSAGE else finding.message[: _MESSAGE - 1] + "…"
        text = f"{finding.where}: {message}" if finding.where is not None else message
        room -= len(text)
        if room < 0 and said:
            break
        said.append(text.replace("\n", "\n  "))
    more = len(found) - len(said)
    text = "\n".join([*said, *([f"and {more:,} more"] if more else [])]) or step.message
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    yield from ("", f"{fence}text", text, fence)


def _known(done: Ci) -> Iterator[str]:
    """What can be said without a comparison."""
    if not done.passed and done.at_stake:
        sets = list(done.at_stake.items())
        named = ", ".join(f"`{name}` ({rows:,})" for name, rows in sets[:_NAMED])
        more = f" and {len(sets) - _NAMED:,} more" if len(sets) > _NAMED else ""
        yield from ("", f"The base has these label sets (items): {named}{more}.")
    base = f"base `{done.base}` · " if done.base is not None else ""
    yield from ("", f"<sub>{base}`teachkit ci`</sub>")
