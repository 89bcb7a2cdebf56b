"""The child process that runs Python labeling functions; ``teachkit.voters.python_lf`` starts it as a script.

It imports pyarrow and the user's code, nothing of teachkit. Requests come and answers go through two pipes of
their own (a frame is two lengths, a JSON header, a payload), so nothing that user code prints can disturb
them. Before each row its number is written to a memory-mapped file, from which the parent learns at which row
a crash or a hang was.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import mmap
import os
import queue
import re
import signal
import struct
import sys
import threading
from array import array
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

FRAME = struct.Struct("<II")
_SHOWN = 200


class Mistake(Exception):
    """What a labeling function returned is no vote; ``facts`` say which and why."""

    def __init__(self, kind: str, problem: str, **facts: Any) -> None:
        super().__init__(problem)
        self.facts = {"kind": kind, "problem": problem, **facts}


def main(arguments: Sequence[str]) -> None:
    """Serve requests until the parent closes its pipe or dies."""
    command, reply, parent, root, folder, progress, home = arguments
    _die_with(int(parent))
    for descriptor in (int(command), int(reply)):
        os.set_inheritable(descriptor, False)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(int(command), requests), daemon=True).start()
    sys.argv = [""]
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure:
        reconfigure(line_buffering=True)
    _find_modules_in(Path(root), Path(folder), home)
    with Path(progress).open("r+b") as file, mmap.mmap(file.fileno(), 8) as memory:
        worker = Worker(Path(root), memoryview(memory).cast("q"), int(reply))
        while True:
            worker.serve(requests.get())


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def _listen(descriptor: int, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass requests on; when the pipe ends the parent is gone, and a hanging function must not keep us."""
    with os.fdopen(descriptor, "rb") as pipe:
        while True:
            lengths = pipe.read(FRAME.size)
            if len(lengths) < FRAME.size:
                os._exit(0)
            header, payload = FRAME.unpack(lengths)
            requests.put(json.loads(pipe.read(header + payload)))


# ---------------------------------------------------------------------------- importing


class _SourceOnly(importlib.machinery.SourceFileLoader):
    """Compiles a project's modules from source: after an edit within a second a ``.pyc`` may be stale."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _find_modules_in(root: Path, folder: Path, home: str) -> None:
    """Make the folder and the project importable: after the standard library, before what is installed."""
    installed = [i for i, entry in enumerate(sys.path) if {"site-packages", "dist-packages"} & set(Path(entry).parts)]
    place = installed[0] if installed else len(sys.path)
    sys.path[place:place] = [str(folder), str(root)]
    if home not in sys.path:
        sys.path.append(home)
    loaders = [
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (_SourceOnly, importlib.machinery.SOURCE_SUFFIXES),
    ]

    def hook(entry: str) -> Any:
        path = Path(entry)
        if not path.is_relative_to(root) or {"site-packages", "dist-packages"} & set(path.parts):
            raise ImportError
        return importlib.machinery.FileFinder(entry, *loaders)

    sys.path_hooks.insert(0, hook)


def _load(root: Path, path: str) -> ModuleType:
    """Import a file as the module that its path spells, so that its relative imports work."""
    parts = [part.replace(".", "_") for part in path.removesuffix(".py").split("/")]
    for depth in range(1, len(parts)):
        name, folder = ".".join(parts[:depth]), root.joinpath(*path.split("/")[:depth])
        if name not in sys.modules:
            if (folder / "__init__.py").is_file():
                _execute(name, folder / "__init__.py", [str(folder)])
            else:
                package = ModuleType(name)
                package.__path__ = [str(folder)]
                sys.modules[name] = package
    name = ".".join(parts)
    return sys.modules.get(name) or _execute(name, root / path, None)


def _execute(name: str, file: Path, search: list[str] | None) -> ModuleType:
    loader = _SourceOnly(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=search)
    if spec is None:
        raise ImportError(f"cannot import {file.name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


# ---------------------------------------------------------------------------- running


class Worker:
    """Answers requests: run one labeling function on one batch of a file."""

    def __init__(self, root: Path, progress: memoryview, reply: int) -> None:
        """Keep what all requests share; ``progress`` has one number."""
        self.root = root
        self.progress = progress
        self._reply = reply
        self._data: tuple[str, Any] = ("", None)

    def serve(self, request: dict[str, Any]) -> None:
        """Answer one request: ``loaded`` and then ``done`` or ``failed``."""
        self.progress[0] = -1
        try:
            function = self._function(request["path"], request["function"])
        except BaseException as error:
            self._answer({"state": "failed", "stage": "import", **_raised(error, self.root / request["path"], ())})
            return
        self._answer({"state": "loaded"})
        values: list[Any] = []
        try:
            batch = self._batch(request["data"], request["batch"])
            columns = [batch.column(name) for name in request["columns"]]
            self.progress[0] = 0
            if request["valued"]:
                values = columns if request["arrow"] else [_python_values(column) for column in columns]
                answers = self._answers_of(function, values, batch.num_rows, arrow=request["arrow"])
                self._answer({"state": "done", "codes": [-1]}, json.dumps(answers).encode())
                return
            if request["arrow"]:
                values = columns
                votes = list(_votes_of_batch(function(*columns), batch.num_rows, request))
            else:
                values = [_python_values(column) for column in columns]
                votes = self._votes_of_rows(function, values, batch.num_rows, request)
        except Mistake as mistake:
            row = mistake.facts.pop("row", self.progress[0])
            facts = mistake.facts
            if "value" in facts:
                facts["value"] = _presentable(facts["value"], list(_texts(values, row, arrow=request["arrow"])))
            self._answer({"state": "failed", "stage": "row", "row": row, **facts})
        except BaseException as error:
            row = self.progress[0]
            facts = _raised(error, self.root / request["path"], _texts(values, row, arrow=request["arrow"]))
            self._answer({"state": "failed", "stage": "row", "row": row, **facts})
        else:
            codes = [code for code, _ in votes]
            self._answer({"state": "done", "codes": codes}, b"".join(part.tobytes() for _, part in votes))

    def _function(self, path: str, name: str) -> Callable[..., Any]:
        function = getattr(_load(self.root, path), name, None)
        if not callable(function):
            raise TypeError(f"'{name}' is not a function of the file")
        return function  # type: ignore[no-any-return]

    def _batch(self, path: str, index: int) -> Any:
        import pyarrow

        if self._data[0] != path:
            self._data = (path, pyarrow.ipc.open_file(pyarrow.memory_map(path)))
        return self._data[1].get_batch(index)

    def _votes_of_rows(
        self, function: Callable[..., Any], columns: list[list[Any]], rows: int, request: dict[str, Any]
    ) -> list[tuple[int, array[int]]]:
        """Call the function for each row: (-1, codes), or (code, answers) for each label of a multichoice task."""
        progress = self.progress
        code_of = Codes(request["labels"], request["label"])
        if request["multi"]:
            return code_of.many(self._each(function, columns), rows)
        codes = array("h" if request["wide"] else "b", [-1]) * rows
        own = code_of.own
        row = 0
        for row, arguments in enumerate(zip(*columns, strict=True)):
            progress[0] = row
            value = function(*arguments)
            if value is None or value is False:
                continue
            codes[row] = own if value is True and own >= 0 else code_of.one(value)
        return [(-1, codes)]

    def _answers_of(self, function: Callable[..., Any], columns: list[Any], rows: int, *, arrow: bool) -> list[Any]:
        """What the function returns for each row, as JSON takes it; the parent says whether it is an answer."""
        if not arrow:
            return [_jsonable(value, self.progress[0]) for value in self._each(function, columns)]
        values = _sequence(function(*columns))
        if len(values) != rows:
            raise Mistake("length", f"returned {len(values):,} values for {rows:,} rows", row=0)
        return [_jsonable(value, row) for row, value in enumerate(values)]

    def _each(self, function: Callable[..., Any], columns: list[list[Any]]) -> Iterator[Any]:
        for row, arguments in enumerate(zip(*columns, strict=True)):
            self.progress[0] = row
            yield function(*arguments)

    def _answer(self, header: dict[str, Any], payload: bytes = b"") -> None:
        text = json.dumps(header).encode()
        data = memoryview(FRAME.pack(len(text), len(payload)) + text + payload)
        while data:
            data = data[os.write(self._reply, data) :]


class Codes:
    """Turns what a function returns into codes; raises ``Mistake`` for what is no vote."""

    def __init__(self, labels: Sequence[str], label: str | None) -> None:
        """``label`` is what True stands for."""
        self._codes = {name: code for code, name in enumerate(labels)}
        self.own = self._codes[label] if label is not None else -1

    def one(self, value: Any) -> int:
        """The code of a row's answer; -1 for none."""
        if value is None or value is False:
            return -1
        if value is True:
            if self.own < 0:
                raise Mistake("label", "returned True, but names no label")
            return self.own
        if isinstance(value, str):
            return self._code(value)
        plain = _plain(value)
        if plain is not value:
            return self.one(plain)
        raise Mistake("type", f"returned {_a(value)}, which is neither a label nor True, False or None")

    def many(self, values: Iterable[Any], rows: int) -> list[tuple[int, array[int]]]:
        """For each label that was answered at all: 1 yes, 0 no, -1 nothing."""
        found: dict[int, array[int]] = {}
        for row, value in enumerate(values):
            try:
                answers = self._answers(value)
            except Mistake as mistake:
                mistake.facts["row"] = row
                raise
            for code, yes in answers:
                if code not in found:
                    found[code] = array("b", [-1]) * rows
                found[code][row] = yes
        return sorted(found.items())

    def _answers(self, value: Any) -> Iterable[tuple[int, int]]:
        if isinstance(value, list | tuple | set | frozenset):
            return [(code, 1) for code in map(self.one, value) if code >= 0]
        if isinstance(value, dict):
            answers = ((self._code(label), _plain(yes)) for label, yes in value.items())
            return [(code, self._yes(yes)) for code, yes in answers if yes is not None]
        plain = _plain(value)
        if isinstance(plain, list):
            return self._answers(plain)
        code = self.one(plain)
        return [(code, 1)] if code >= 0 else []

    def _yes(self, value: Any) -> int:
        if isinstance(value, bool):
            return int(value)
        raise Mistake("type", f"returned a dict with {_a(value)} as a value, which is neither True, False nor None")

    def _code(self, label: Any) -> int:
        code = self._codes.get(label) if isinstance(label, str) else None
        if code is None:
            raise Mistake("label", "", value=str(label))
        return code


def _votes_of_batch(result: Any, rows: int, request: dict[str, Any]) -> Iterable[tuple[int, array[int]]]:
    code_of = Codes(request["labels"], request["label"])
    values = _sequence(result)
    if len(values) != rows:
        raise Mistake("length", f"returned {len(values):,} values for {rows:,} rows", row=0)
    if request["multi"]:
        return code_of.many(values, rows)
    codes = array("h" if request["wide"] else "b", [-1]) * rows
    for row, value in enumerate(values):
        if value is None or value is False:
            continue
        try:
            codes[row] = code_of.one(value)
        except Mistake as mistake:
            mistake.facts["row"] = row
            raise
    return [(-1, codes)]


def _sequence(result: Any) -> list[Any]:
    """The values of what a batch function returned: a list, tuple, Arrow or numpy array, or pandas Series."""
    for method in ("to_pylist", "tolist"):
        if hasattr(result, method):
            values = getattr(result, method)()
            if isinstance(values, list):
                # pandas says NaN where it means NULL
                nan = hasattr(result, "isna")
                return [None if nan and value != value else value for value in values]
    if isinstance(result, list | tuple):
        return list(result)
    raise Mistake("type", f"returned {_a(result)}, which is not one answer for each row", row=0)


def _python_values(column: Any) -> list[Any]:
    """The values of an Arrow column for Python: whole numbers are ints, also where DuckDB counts with 128 bits."""
    values: list[Any] = column.to_pylist()
    if getattr(column.type, "scale", None) == 0:
        return [None if value is None else int(value) for value in values]
    return values


def _jsonable(value: Any, row: int) -> Any:
    """An answer that is a value as JSON takes it."""
    value = _plain(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_jsonable(one, row) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _jsonable(one, row) for key, one in value.items()}
    raise Mistake("type", f"returned {_a(value)}, which is no answer", row=row)


def _plain(value: Any) -> Any:
    """The Python value of a numpy or Arrow scalar (or numpy array); anything else as it is."""
    if type(value).__module__.partition(".")[0] in ("numpy", "pyarrow"):
        for method in ("as_py", "tolist"):
            if hasattr(value, method):
                return getattr(value, method)()
    return value


# ---------------------------------------------------------------------------- messages


def _raised(error: BaseException, file: Path, texts: Iterable[str]) -> dict[str, Any]:
    message = next(iter(str(error).splitlines()), "")
    message = _without(message, texts)[:_SHOWN]
    problem = f"raised {type(error).__name__}" + (f": {message}" if message else "")
    return {
        "kind": "raised",
        "problem": problem,
        "line": _line(error.__traceback__, file) or getattr(error, "lineno", None),
    }


def _line(trace: TracebackType | None, file: Path) -> int | None:
    """The last line of the labeling function's own file that the exception passed."""
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _texts(columns: list[Any], row: int, *, arrow: bool) -> Iterator[str]:
    """The strings that the function saw in the row, or in the batch."""
    for column in columns:
        values = _python_values(column) if arrow else column[row : row + 1]
        yield from (str(value) for value in values if value is not None and not isinstance(value, bool))


def _without(message: str, texts: Iterable[str]) -> str:
    """A message without what it quotes from the data: errors name a row by its key, never by its text."""
    texts = [text for text in texts if text]
    for text in texts:
        for form in {text, repr(text)[1:-1], json.dumps(text)[1:-1]}:
            if len(form) > 3:
                message = message.replace(form, "…")

    def hide(match: re.Match[str]) -> str:
        inner = match[0][1:-1]
        return (
            f"{match[0][0]}…{match[0][-1]}" if any(inner in text or inner in repr(text) for text in texts) else match[0]
        )

    return re.sub(r"'[^']+'|\"[^\"]+\"", hide, message)


def _presentable(value: str, texts: Sequence[str]) -> str | None:
    """A wrong label, if it can be shown: short, and not a piece of the data."""
    lower = value.lower()
    return value if len(value) <= 40 and not any(lower in text.lower() for text in texts) else None


def _a(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


if __name__ == "__main__":
    main(sys.argv[1:])
