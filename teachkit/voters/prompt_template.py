"""The text of a prompt: files that it includes, its two messages, the columns that it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadTemplate, TeachkitError, UnknownColumn, Where, did_you_mean, listing
from teachkit.graph.names import fold
from teachkit.graph.python import python_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.graph.kinds import VoterContext
    from teachkit.project import Definition

SECTIONS = ("system", "user")

_SECTION = re.compile(r"^#[ \t]*(system|user)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_INCLUDE = re.compile(r"\{%-?\s*include\s+(['\"])(?P<file>[^'\"]*)\1\s*-?%\}")


@dataclass(frozen=True, slots=True)
class Message:
    """The template of one message, and where each of its lines stands."""

    text: str
    lines: tuple[Where, ...]

    @property
    def where(self) -> Where:
        """Where it begins."""
        return self.lines[0]

    def place(self, line: int) -> Where:
        """Where its line stands, counted from 1."""
        return self.lines[min(max(line, 1), len(self.lines)) - 1]

    def placed(self, error: TeachkitError) -> TeachkitError:
        """An error whose line was counted from ``where``, with the place of that line, in its file."""
        at = error.where
        if at is None or at.line is None or at.path != self.where.path:
            return error
        return type(error)(self.place(at.line - (self.where.line or 1) + 1), **error.facts)


def read_messages(definition: Definition, context: VoterContext) -> Mapping[str, Message]:
    """``system`` and ``user``; without headings all is the user's.

    Raises:
        BadTemplate: text above the first heading, a heading twice, nothing asked, a file that cannot be included.
    """
    lines = list(_included(definition.text, definition.where, _folder(definition, context), ()))
    parts: dict[str, list[tuple[str, Where]]] = {}
    current: list[tuple[str, Where]] = []
    before = current
    first = ""
    for text, where in lines:
        heading = _SECTION.fullmatch(text)
        if heading is None:
            current.append((text, where))
            continue
        section, first = heading[1].lower(), first or text.strip()
        if section in parts:
            raise BadTemplate(where, problem=f"a second '# {section}'", advice="remove one")
        parts[section] = current = []
    if not parts:
        parts["user"] = before
    elif any(text.strip() for text, _ in before):
        advice = f"move it below, or remove the heading '{first}'"
        raise BadTemplate(definition.where, problem="text stands above the first heading", advice=advice)
    found = {section: _message(parts.get(section, []), definition.where) for section in SECTIONS}
    if not found["user"].text.strip():
        problem, advice = "nothing is asked", "write the question, with {{ item.<column> }} in it"
        raise BadTemplate(definition.where, problem=problem, advice=advice)
    return found


def _message(lines: Sequence[tuple[str, Where]], otherwise: Where) -> Message:
    chosen = list(lines)
    while chosen and not chosen[0][0].strip():
        chosen.pop(0)
    while chosen and not chosen[-1][0].strip():
        chosen.pop()
    return Message("\n".join(text for text, _ in chosen), tuple(where for _, where in chosen) or (otherwise,))


def _folder(definition: Definition, context: VoterContext) -> Path:
    """The folder of all prompts: files to include are named from there."""
    above, _, _ = definition.where.path.rpartition(f"/{definition.task}/")
    return context.root / above


def _included(text: str, where: Where, folder: Path, within: tuple[str, ...]) -> Iterator[tuple[str, Where]]:
    """The lines of a text, those of the files that it includes in their place."""
    for number, line in enumerate(text.split("\n")):
        place = Where(where.path, (where.line or 1) + number)
        begin = 0
        for found in _INCLUDE.finditer(line):
            if line[begin : found.start()].strip():
                yield line[begin : found.start()], place
            yield from _file(found["file"], place, folder, within)
            begin = found.end()
        if begin == 0 or line[begin:].strip():
            yield line[begin:], place


def _file(name: str, place: Where, folder: Path, within: tuple[str, ...]) -> Iterator[tuple[str, Where]]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not (folder / path).is_file():
        problem = f"'{name}' is no file in the folder of prompts"
        raise BadTemplate(place, problem=problem, advice=f"write its path below {folder.name}/, as '_shared/rules.md'")
    if name in within:
        raise BadTemplate(place, problem=f"'{name}' includes itself", advice="remove one of the includes")
    text = python_text(folder / path, folder).rstrip("\n")
    inside = Where(f"{folder.name}/{path}", 1)
    if _SECTION.search(text):
        problem = f"'{name}' has a heading of its own"
        raise BadTemplate(place, problem=problem, advice="write '# system' and '# user' in the prompt itself")
    yield from _included(text, inside, folder, (*within, name))


def columns_shown(message: Message, context: VoterContext) -> Iterator[tuple[str, Where]]:
    """The columns of ``item`` that a template shows, and where.

    Raises:
        BadTemplate: it uses ``item`` as a whole, or a column whose name is not written out.
        UnknownColumn: the dataset has no such column.
    """
    from jinja2 import nodes

    tree = _tree(message, context)
    named = list(items_named(tree))
    known_uses = {id(node.node) for node, _ in named}
    for node in tree.find_all(nodes.Name):
        if node.name == "item" and id(node) not in known_uses:
            problem, advice = "'item' is used as a whole", "name its columns: {{ item.text }}"
            raise BadTemplate(message.place(node.lineno), problem=problem, advice=advice)
    for node, name in named:
        if context.columns and fold(name) not in context.columns:
            owner, hint = f"the dataset of task '{context.task.name}'", did_you_mean(name, context.columns)
            known = listing(context.columns, 30)
            raise UnknownColumn(message.place(node.lineno), column=name, owner=owner, known=known, hint=hint)
        yield fold(name), message.place(node.lineno)


def names_used(message: Message, context: VoterContext) -> set[str]:
    """The names that a template uses, those of its own among them."""
    from jinja2 import nodes

    return {node.name for node in _tree(message, context).find_all(nodes.Name)}


def _tree(message: Message, context: VoterContext) -> Any:
    try:
        return context.templates.parsed(message.text, message.where)
    except TeachkitError as error:
        raise message.placed(error) from error


def items_named(tree: Any) -> Iterator[tuple[Any, str]]:
    """Where a template's syntax names a column of the item, ``item.text`` or ``item['text']``; and the column."""
    from jinja2 import nodes

    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(node.node, nodes.Name) and node.node.name == "item":
            name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            if isinstance(name, str):
                yield node, name
