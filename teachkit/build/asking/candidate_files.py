"""Candidates for a prompt: files beside it under the next free number, with its front matter, switched off."""

from __future__ import annotations

import dataclasses
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from teachkit.build.asking.prompt_files import switched_on
from teachkit.build.asking.prompting import file_name
from teachkit.build.workspace import compile_files
from teachkit.errors import ProjectErrors, TeachkitError, writable
from teachkit.project import read_prompt
from teachkit.project.front_matter import split_front_matter, with_values
from teachkit.voters.prompt_candidate import too_much

if TYPE_CHECKING:
    from teachkit.build.execute import Executor
    from teachkit.graph import Node
    from teachkit.graph.node import PromptSpec

_NOTE: Final = "# A candidate, switched off"


class CandidateFiles:
    """Candidates for one prompt: what is wrong with two templates, and the file that is made of them."""

    def __init__(self, run: Executor, node: Node, description: str) -> None:
        """Read the prompt's file: front matter is kept as it is written."""
        self._run, self._node, self._description = run, node, description
        path = run.files.root / node.where.path
        self._original = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")

    def unusable(self) -> str | None:
        """Why no candidate could be written, whatever its templates; None if one can."""
        try:
            self._compiled(self._node.spec.system, self._node.spec.user)
        except TeachkitError as error:
            return _said(error)
        return None

    def problem(self, system: str, user: str) -> str | None:
        """Why two templates are no candidate, in words for who wrote them; None if they are one."""
        if writable(system + user) != system + user:
            return "it holds control characters"
        try:
            found = too_much((system, user), self._node.spec, self._run.files.templates)
            if found is not None:
                return found
            candidate = self._compiled(system, user)
        except TeachkitError as error:
            return _said(error)
        if [candidate.system, candidate.user] != [_trimmed(system), _trimmed(user)]:
            return "a line of it reads '# system' or '# user': these are kept for where the two templates begin"
        return None

    def write(self, system: str, user: str) -> str:
        """Write a candidate; the file's path from the project's folder."""
        while True:
            path = self._free_path()
            data = self._text(path, system, user).encode()
            try:
                with (self._run.files.root / path).open("xb") as file:
                    file.write(data)
            except FileExistsError:
                continue  # somebody else was faster
            return path

    def _compiled(self, system: str, user: str) -> PromptSpec:
        """Two templates as a prompt of the project.

        Raises:
            TeachkitError: it cannot be read or compiled.
        """
        path = self._free_path()
        definition = read_prompt(path, self._text(path, system, user), self._node.task or "")
        files = self._run.files
        files = dataclasses.replace(files, definitions=(*files.definitions, definition))
        graph = compile_files(switched_on(files, definition), self._run.store)
        found: PromptSpec = next(node.spec for node in graph.of("prompt") if node.where.path == path)
        return found

    def _free_path(self) -> str:
        path = PurePosixPath(self._node.where.path)
        match = re.fullmatch(r"(.+)_v(\d{1,9})", file_name(self._node))
        name, number = (match[1], int(match[2])) if match else (file_name(self._node), 1)
        while True:
            number += 1
            found = path.with_name(f"{name}_v{number}.md")
            if not (self._run.files.root / found).exists():
                return str(found)

    def _text(self, path: str, system: str, user: str) -> str:
        front, _, _ = split_front_matter(self._node.where.path, self._original)
        front = "" if front == "{}" else front.lstrip("\n")
        lines = [line for line in front.split("\n") if not line.startswith(_NOTE)]
        front = with_values("\n".join(lines), {"description": self._description, "enabled": False}).rstrip("\n")
        note = f"{_NOTE}: 'teachkit try --prompt {path}' asks it about a few items."
        system = f"# system\n{_trimmed(system)}\n\n" if system.strip() else ""
        return f"---\n{note}\n{front}\n---\n{system}# user\n{_trimmed(user)}\n"


def _trimmed(text: str) -> str:
    """A template without empty lines at its ends."""
    return re.sub(r"\A(?:[^\S\n]*\n)+|(?:\n[^\S\n]*)+\Z", "", text) if text.strip() else ""


def _said(error: TeachkitError) -> str:
    """An error without the place of a file that is not there."""
    errors = error.errors if isinstance(error, ProjectErrors) else [error]
    return "; ".join(f"{one.message} ({one.advice})" if one.advice else one.message for one in errors)
