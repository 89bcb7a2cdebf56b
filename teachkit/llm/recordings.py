"""Recordings: answers of a provider in a text file in git, so that CI replays them and opens no socket.

One JSON object a line, one line a request, sorted by key, with sorted keys inside: the same answers give the same
bytes, two branches that record different requests merge by union. There is no key of a provider in it and no host but
public ones; there is the text of rows.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from teachkit.hashing import canonical_json
from teachkit.llm.apis import parse_reply
from teachkit.llm.errors import BadRecording, ReplayMiss
from teachkit.llm.money import microdollars
from teachkit.llm.responses import Response
from teachkit.llm.safety import OFFICIAL_HOSTS, is_loopback
from teachkit.store.atomic import write_bytes_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from teachkit.llm.money import Price
    from teachkit.llm.request import Request
    from teachkit.llm.responses import ResponseStore

_MERGE_MARKS: Final = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_SHOWN: Final = 8  # differences
_TEXTS: Final = ("request.messages[", "request.input", "request.questions[")
_SHORT: Final = 40  # characters of a value that a message may show: parameters, never row text


class Recording:
    """The recorded requests of one file. ``add`` collects, ``save`` writes; ``get`` and ``miss`` serve ``replay``."""

    def __init__(self, path: Path) -> None:
        """Read ``path`` if it is there.

        Raises:
            BadRecording: a line is not a recording (merge marks, a cut line).
        """
        self.path = path
        self._entries: dict[str, dict[str, Any]] = {}
        self._used: set[str] = set()
        if path.is_file():
            self._read()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, request: Request, price: Callable[[Request], Price | None] | None = None) -> list[Response] | None:
        """Return the recorded answers to a request, in the order in which they came, or ``None``.

        With a ``price`` they cost what they would if they were asked for now.
        """
        entry = self._entries.get(request.key)
        if entry is None:
            return None
        self._used.add(request.key)
        known = price(request) if price is not None else None
        return [_response(request, attempt, found, known) for attempt, found in enumerate(entry["replies"])]

    def add(self, request: Request, answers: Sequence[Response]) -> None:
        """Record what was answered to a request; an earlier recording of it is replaced."""
        self._used.add(request.key)
        self._entries[request.key] = {
            "key": request.key,
            "api": request.api,
            "endpoint": _public(request),
            "repetition": request.repetition,
            "request": json.loads(request.wire),
            "replies": [_reply(answer) for answer in answers],
        }

    def save(self, *, prune: bool = False) -> None:
        """Write the file, whole or not at all; ``prune`` leaves out what was not used since it was read.

        Raises:
            StoreUnwritable: the disk is full or the place is read-only.
        """
        lines = [
            canonical_json(entry) + "\n"
            for key, entry in sorted(self._entries.items())
            if not prune or key in self._used
        ]
        write_bytes_atomic(self.path, "".join(lines).encode())

    def find(
        self, requests: Iterable[Request], price: Callable[[Request], Price | None] | None = None
    ) -> dict[str, list[Response]]:
        """Return the answers to those requests that are recorded, by key; see ``get``."""
        found = ((request.key, self.get(request, price)) for request in requests)
        return {key: answers for key, answers in found if answers is not None}

    def miss(self, request: Request) -> ReplayMiss:
        """Return the error for a request that is not recorded: what differs from the nearest one that is."""
        wanted = dict(_leaves(_asked(request)))
        nearest, best = None, (-1.0, "")
        for key, entry in self._entries.items():
            leaves = dict(_leaves({name: entry[name] for name in ("api", "endpoint", "repetition", "request")}))
            score = _likeness(wanted, leaves)
            if (score, key) > best:
                nearest, best = leaves, (score, key)
        if nearest is None:
            difference = "  nothing is recorded there"
        else:
            differences = list(_differences(nearest, wanted))
            more = [f"  and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
            head = (
                f"  the nearest recording ({best[1][:12]}) differs in:"
                if differences
                else (f"  the nearest recording ({best[1][:12]}) differs in its endpoint alone")
            )
            difference = "\n".join([head, *differences[:_SHOWN], *more])
        return ReplayMiss(label=request.name, path=self.path, difference=difference)

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self._bad(1, "it is not UTF-8", "take the file from git again") from error
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            if line.startswith(_MERGE_MARKS):
                raise self._bad(number, "a mark of an unresolved merge", "keep the lines of both sides, in any order")
            entry = self._entry(number, line)
            known = self._entries.get(entry["key"])
            if known is None or canonical_json(entry) < canonical_json(
                known
            ):  # both sides of a merge: one, whichever order
                self._entries[entry["key"]] = entry

    def _entry(self, number: int, line: str) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            for name, kind in _KINDS.items():
                if not isinstance(entry[name], kind):
                    raise TypeError(name)
            for reply in entry["replies"]:
                _body(reply)
                int(reply["status"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._bad(number, f"{type(error).__name__}", "remove the line and record again") from error
        return dict(entry)

    def _bad(self, line: int, problem: str, advice: str) -> BadRecording:
        return BadRecording(path=self.path, line=line, problem=problem, advice=advice)


class KeptAnswers(Recording):
    """A recording and the answers of a store, for a replay that may take from both, the one or the other first."""

    def __init__(self, path: Path, store: ResponseStore, *, recorded_first: bool) -> None:
        """Read ``path`` if it is there; raises as ``Recording``."""
        super().__init__(path)
        self._store = store
        self._recorded_first = recorded_first

    def find(
        self, requests: Iterable[Request], price: Callable[[Request], Price | None] | None = None
    ) -> dict[str, list[Response]]:
        """Return the answers to those requests that have any, by key; those in the store cost what they did."""
        wanted = list(requests)
        kept, recorded = self._store.get_many([request.key for request in wanted]), super().find(wanted, price)
        return {**kept, **recorded} if self._recorded_first else {**recorded, **kept}


_KINDS: Final[Mapping[str, type]] = {
    "key": str, "api": str, "endpoint": str, "repetition": int, "request": dict, "replies": list,
}  # fmt: skip


def _public(request: Request) -> str:
    """The endpoint, unless its host may be nobody's business."""
    host = request.endpoint.host
    return str(request.endpoint) if host in OFFICIAL_HOSTS or is_loopback(host) else "private"


def _asked(request: Request) -> dict[str, Any]:
    return {
        "api": request.api,
        "endpoint": _public(request),
        "repetition": request.repetition,
        "request": json.loads(request.wire),
    }


def _reply(answer: Response) -> dict[str, Any]:
    """The raw answer: as JSON where that says the same, as text or base64 where it is none."""
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return {"status": answer.status, "base64": base64.b64encode(answer.body).decode()}
    try:
        found = json.loads(text, parse_constant=_refuse)
        canonical_json(found).encode()  # with half of a surrogate pair in it, it cannot be written so
        return {"status": answer.status, "json": found}
    except (ValueError, RecursionError):
        return {"status": answer.status, "text": text}


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _body(reply: Mapping[str, Any]) -> bytes:
    if "json" in reply:
        return canonical_json(reply["json"]).encode()
    if "text" in reply:
        return str(reply["text"]).encode()
    return base64.b64decode(reply["base64"], validate=True)


def _response(request: Request, attempt: int, reply: Mapping[str, Any], price: Price | None) -> Response:
    body = _body(reply)
    usage = parse_reply(request.api, request.body, body).usage if price is not None else None
    return Response(
        key=request.key,
        attempt=attempt,
        status=int(reply["status"]),
        body=body,
        endpoint=str(request.endpoint),
        api=request.api,
        repetition=request.repetition,
        request=request.wire.decode(),
        cost=microdollars(price.cost(usage)) if price is not None and usage is not None else None,
    )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _leaves(below, f"{path}[{index}]")
    else:
        yield path, value


def _likeness(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """Share of equal leaves, then how much of unequal texts begins and ends alike."""
    paths = wanted.keys() | found.keys()
    equal = sum(path in wanted and path in found and wanted[path] == found[path] for path in paths)
    close = sum(
        _overlap(wanted[path], found[path])
        for path in wanted.keys() & found.keys()
        if isinstance(wanted[path], str) and isinstance(found[path], str) and wanted[path] != found[path]
    )
    return float(equal + close) / len(paths)


def _overlap(a: str, b: str) -> float:
    start = _common_start(a, b)
    return (start + _common_start(a[start:][::-1], b[start:][::-1])) / max(len(a), len(b), 1)


def _common_start(a: str, b: str) -> int:
    return next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _differences(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted(recorded.keys() | asked.keys()):
        if path not in asked:
            yield f"  {_name(path)}: recorded {_shown(path, recorded[path])}, not asked"
        elif path not in recorded:
            yield f"  {_name(path)}: not recorded, asked {_shown(path, asked[path])}"
        elif recorded[path] != asked[path]:
            yield f"  {_name(path)}: {_change(path, recorded[path], asked[path])}"


def _name(path: str) -> str:
    return path.removeprefix("request.")


def _change(path: str, before: Any, after: Any) -> str:
    if isinstance(before, str) and isinstance(after, str) and (_is_text(path, before) or _is_text(path, after)):
        at = _common_start(before, after)
        return f"differs from character {at + 1} on ({len(before)} characters recorded, {len(after)} asked)"
    return f"recorded {_shown(path, before)}, asked {_shown(path, after)}"


def _is_text(path: str, value: str) -> bool:
    """Whether a value may be the text of a row; options are not, nor is what a message is."""
    shown = path.startswith(_TEXTS) and not path.endswith((".role", ".type", ".name", ".value"))
    return shown or len(value) > _SHORT


def _shown(path: str, value: Any) -> str:
    if isinstance(value, str) and _is_text(path, value):
        return f"a text of {len(value)} characters"
    return json.dumps(value, ensure_ascii=False)
