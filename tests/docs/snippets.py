"""Runs the snippets of a page in a project of its own.

The conventions, for those who write pages (``docs/README.md`` names them for readers, too):

- ``<!-- project: fresh -->`` near the top: the page starts in a new template project; ``built``: in one that was
  built before; ``none`` (or no such line): in an empty folder.
- ``console`` blocks: lines that start with ``$ `` are commands, run one after the other in one shell-like session
  (``cd`` counts for what follows); the lines below a command are what it prints, standard error included. ``…`` stands
  for any text within a line, a line of ``…`` alone for any lines; runs of spaces count as one. A command without lines
  below it must only succeed. A command that fails must be followed by ``$ echo $?``.
- ``yaml``, ``sql``, ``python``, ``csv``, ``markdown`` blocks whose first line is a comment with a path
  (``# tasks/spam.yml``, ``-- transforms/comments.sql``, ``<!-- tasks/spam.md -->``) are written to that file of the
  project; with ``, added at the end`` after the path, the rest of the block is appended to it.
- other ``python`` blocks are run, ``pycon`` blocks are compared as ``doctest`` does it, ``json`` blocks must parse.
- ``skip`` after the language: for another tool's code, in the pages ``guides/coming-from-…`` only.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.pages import Block

_PATH = re.compile(r"^(?:#|--|<!--|//) (?P<path>[\w./-]+\.\w+)(?P<add>, added at the end)?(?: -->)?$")
_OPERATORS = frozenset("|&;<>()")
_NEEDS_PATH = ("yaml", "sql", "csv", "markdown")


class Drift(AssertionError):
    """A snippet does not do what its page says."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page, what the page says that it prints, and the place of those lines in the page."""

    text: str
    expected: tuple[str, ...]
    start: int


def commands(block: Block) -> Iterator[Command]:
    """The commands of a ``console`` block."""
    number = 0
    while number < len(block.lines):
        line = block.lines[number]
        if not line.startswith("$ "):
            raise Drift(f"line {block.start + number + 1}: a console block starts with '$ '")
        end = number + 1
        text = line[2:]
        while text.endswith("\\") and end < len(block.lines):
            text = text[:-1] + block.lines[end].lstrip("> ")
            end += 1
        first = end
        while end < len(block.lines) and not block.lines[end].startswith("$ "):
            end += 1
        yield Command(text, block.lines[first:end], block.start + first)
        number = end


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Whether a command printed what its page says."""
    pattern = "".join(_line_pattern(line) for line in _trimmed(expected))
    return re.fullmatch(pattern, "".join(f"{_plain(line)}\n" for line in _trimmed(printed.splitlines()))) is not None


def _trimmed(lines: Any) -> list[str]:
    """Without empty lines at the end."""
    found = [line.rstrip() for line in lines]
    while found and not found[-1]:
        found.pop()
    return found


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", line).strip()


def _line_pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:[^\n]*\n)*?"
    pieces = re.sub(r"\s*…\s*", "…", line).split("…")
    return r"[^\n]*?".join(re.escape(_plain(piece)) for piece in pieces) + r"\n"


@dataclass(slots=True)
class Session:
    """One page's shell: a folder, an environment, the names of its Python blocks."""

    folder: Path
    home: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__page__"})
    code: int = 0
    said: str = ""
    cwd: Path = field(init=False)

    def __post_init__(self) -> None:
        self.cwd = self.folder

    def run(self, block: Block, *, may_skip: bool = False) -> None:
        """Run a block; ``Drift`` if it fails or prints something else."""
        if "skip" in block.words:
            if not may_skip:
                raise Drift("only pages about other tools may hold snippets that are not run")
            return
        match block.language:
            case "console":
                for command in commands(block):
                    self.check(command)
                self.succeeded()
            case "yaml" | "sql" | "python" | "csv" | "markdown":
                self._file_or_code(block)
            case "pycon":
                self._doctest(block)
            case "json":
                if "…" not in "".join(block.lines):
                    json.loads("\n".join(block.lines))
            case "text":
                pass
            case other:
                raise Drift(f"no block may be of the kind '{other}'")

    def check(self, command: Command) -> None:
        """Run a command and compare."""
        printed = self.execute(command.text)
        if command.expected and not matches(command.expected, printed):
            said = "\n".join(difflib.ndiff(_trimmed(command.expected), _trimmed(printed.splitlines())))
            raise Drift(f"line {command.start}: '$ {command.text}' prints something else:\n{said}")

    def execute(self, text: str) -> str:
        """Run a command; what it prints. ``code`` is its exit code afterwards."""
        if text == "echo $?":
            said, self.code = f"{self.code}\n", 0
            return said
        self.succeeded()
        words = _words(text)
        if words and words[0] == "cd":
            self.cwd = (self.cwd / words[1]).resolve(strict=True)
            return ""
        printed, self.code = self._teachkit(words[1:]) if words and words[0] == "teachkit" else self._shell(text)
        self.said = printed.replace(str(self.folder.resolve()), "…").replace(str(self.folder), "…")
        return self.said

    def succeeded(self) -> None:
        """``Drift`` if the last command failed and the page does not say so."""
        if self.code:
            raise Drift(f"a command failed with {self.code} and no '$ echo $?' follows:\n{self.said}")

    # -- how

    def _teachkit(self, arguments: list[str]) -> tuple[str, int]:
        """The command line, in this process: ten times faster than a new one."""
        from teachkit.cli.app import run

        out = io.StringIO()
        with self.surroundings(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = run(arguments)
        return out.getvalue(), code

    def _shell(self, text: str) -> tuple[str, int]:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            cwd=self.cwd,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout, done.returncode

    def environment(self) -> dict[str, str]:
        """Nothing of the surroundings that could change what a page says."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TEACHKIT_", "GIT_", "GITHUB_", "CI_"))}
        return {
            **kept,
            "PATH": f"{_shims(self.home)}{os.pathsep}{kept.get('PATH', os.defpath)}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": _caches(),
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()},
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "init.defaultBranch",
            "GIT_CONFIG_VALUE_0": "main",
        }

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """The page's folder and environment, for code in this process."""
        before, place = dict(os.environ), Path.cwd()
        os.environ.clear()
        os.environ.update(self.environment())
        os.chdir(self.cwd)
        try:
            yield
        finally:
            os.chdir(place)
            os.environ.clear()
            os.environ.update(before)

    def _file_or_code(self, block: Block) -> None:
        match = _PATH.match(block.lines[0]) if block.lines else None
        if match is None:
            if block.language in _NEEDS_PATH:
                raise Drift(f"a {block.language} block starts with a comment that names its file")
            with self.surroundings(), contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n".join(block.lines), f"<line {block.start}>", "exec"), self.names)
            return
        path = self.cwd / match["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if match["add"]:
            with path.open("a", encoding="utf-8") as file:
                file.write("\n".join(block.lines[1:]) + "\n")
        else:
            lines = block.lines[1:] if block.language in ("csv", "markdown") else block.lines
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _doctest(self, block: Block) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest("\n".join(block.lines) + "\n", self.names, "page", None, block.start)
        runner = doctest.DocTestRunner(checker=_Checker(), verbose=False)
        said: list[str] = []
        with self.surroundings():
            runner.run(test, out=said.append, clear_globs=False)
        self.names.update(test.globs)
        if runner.failures:
            raise Drift("".join(said))


class _Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return matches(tuple(want.splitlines()), got)


_PERSON = {"NAME": "Mira", "EMAIL": "mira@example.org", "DATE": "2026-05-04T10:00:00+00:00"}


def _words(text: str) -> list[str]:
    """A command in words; none if it is for a shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    plain = not any(set(word) <= _OPERATORS for word in words) and "$" not in text and "=" not in words[0]
    return words if plain else []


def _shims(home: Path) -> Path:
    """A folder with the ``teachkit`` and ``python`` under test."""
    folder = home / "bin"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for name, call in (("teachkit", "-c 'from teachkit.cli import main; main()' "), ("python", "")):
            shim = folder / name
            shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {call}"$@"\n')
            shim.chmod(0o755)
    return folder


def _caches() -> str:
    """Where compiled kernels lie already: in a home of the test's own they would be compiled again."""
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


def start(kind: str, folder: Path, home: Path, built: Path) -> Session:
    """A session in a new folder, with the project that the page asks for."""
    if kind == "built":
        shutil.copytree(built, folder, symlinks=True)
    else:
        folder.mkdir(parents=True)
    session = Session(folder, home)
    if kind == "fresh":
        session.execute("teachkit init")
        if session.code:
            raise Drift("the template cannot be started")
    return session


def build_template(folder: Path, home: Path) -> Path:
    """The template project, built: the pages that need one get a copy."""
    folder.mkdir(parents=True)
    session = Session(folder, home)
    session.execute("teachkit init")
    said = session.execute("teachkit build")
    if session.code:
        raise Drift(f"the template does not build:\n{said}")
    return folder
