"""The examples nearest to an item by vectors of their texts; vectors are answers of a model, kept like all others."""

from __future__ import annotations

import time
from collections import Counter
from hashlib import md5
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from teachkit.build.asking.examples import NearestInWords, pool_of
from teachkit.build.asking.prompting import as_provider, asking, response_store
from teachkit.build.asking.tally import UNFINISHED, USD
from teachkit.build.run import NodeProgress
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from teachkit.build.asking.examples import Example
    from teachkit.build.asking.tally import Tally
    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.llm import Answer, Request

T = TypeVar("T")

SCALE = 2.0**22
"""Vectors of length 1 are rounded to whole numbers of this fraction. Their products and sums are then whole numbers
below 2**53, exact in float64 in whichever order they are added: every machine finds the same neighbours, and so makes
the same requests."""

_BATCH = 256  # items that are compared with all examples at once
_SCORES = 4_000_000  # numbers that a comparison may hold
_BLOCK = 2_048  # examples that are compared at once
_LOOKED_UP = 1_000
_SAY_EVERY = 1.0  # seconds


class Vectors(Protocol):
    """Where vectors come from."""

    def find(self, requests: Iterable[Request]) -> Iterator[tuple[Request, bytes]]:
        """The requests that have a vector, in any order, with it (float32)."""
        ...

    def miss_examples(self) -> None:
        """Some example has none."""
        ...

    def miss_rows(self, rows: Sequence[int], lost: set[int]) -> Sequence[int]:
        """The rows that requests are made for, where ``lost`` have no vector."""
        ...


class AskedVectors:
    """Vectors that are asked for where they are missing. What they cost, and rows that get none, go into a tally."""

    def __init__(self, run: Executor, node: Node, tally: Tally) -> None:
        self._run, self._node, self._tally = run, node, tally
        self._bad: list[Answer] = []

    def find(self, requests: Iterable[Request]) -> Iterator[tuple[Request, bytes]]:
        """See ``Vectors``; raises as ``ask`` does."""
        run, node, model = self._run, self._node, self._node.spec.vectors
        said = time.monotonic()
        provider = as_provider(model.provider_name, model.provider)
        with asking(run, node, requests, provider=provider, kind=".embeddings") as answers:
            for done, answer in enumerate(answers, 1):
                if answer.request.tag is not None:
                    self._tally.beside(answer)
                elif answer.status != "ok":
                    self._bad.append(answer)
                if answer.status == "ok" and answer.reply is not None:
                    yield answer.request, answer.reply.vector
                if time.monotonic() - said > _SAY_EVERY:
                    said = time.monotonic()
                    run.report(NodeProgress(node.id, done, self._tally.rows, answers.summary.cost / USD))

    def miss_examples(self) -> None:
        """Another choice of examples would be made without saying so: refuse.

        Raises:
            NodeFailed: always.
        """
        counts = Counter(answer.status for answer in self._bad)
        first = min(self._bad, key=lambda answer: answer.request.label)
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        detail = f": {first.detail}" if first.detail else ""
        problem = (
            f"prompt '{self._node.name}' cannot choose examples: {len(self._bad)} of them have no vector ({said}); "
            f"the first is '{first.request.label}'{detail}"
        )
        advice = "take it out of the tune split's gold, or choose examples 'by: words'; what was answered is kept"
        if set(counts) == {"not_run:budget"}:
            advice = "raise 'budget' in the prompt's front matter, or that of the target; what was answered is kept"
        elif UNFINISHED & set(counts):
            advice = "build again: what was answered is kept, and only the rest is asked"
        raise NodeFailed(self._node.where, problem=problem, advice=advice)

    def miss_rows(self, rows: Sequence[int], lost: set[int]) -> Sequence[int]:
        """They are left out: the tally knows what became of them."""
        return [row for row in rows if row not in lost]


class Forecast:
    """Vectors that are in the store; nothing is sent. Says what would have to be asked, and what is not known before.

    ``requests`` and ``missing``: requests for vectors by key, all and those without an answer. ``unknown``: rows whose
    examples cannot be known yet; those that are nearest in words stand in for them.
    """

    def __init__(self, run: Executor) -> None:
        self._run = run
        self.requests: dict[str, Request] = {}
        self.missing: dict[str, Request] = {}
        self.unknown: set[int] = set()

    def find(self, requests: Iterable[Request]) -> Iterator[tuple[Request, bytes]]:
        """See ``Vectors``."""
        from teachkit.llm import decide, parse_reply

        with response_store(self._run) as store:
            for chunk in _batches(requests, _LOOKED_UP):
                known = store.get_many([request.key for request in chunk])
                for request in chunk:
                    self.requests[request.key] = request
                    answers = known.get(request.key, [])
                    if not answers:
                        self.missing[request.key] = request
                        continue
                    read = [(each, parse_reply(request.api, request.body, each.body)) for each in answers]
                    decision = decide(request, read, None, max_asks=len(read))
                    if decision is not None and decision.status == "ok" and decision.reply is not None:
                        yield request, decision.reply.vector

    def miss_examples(self) -> None:
        """No item's examples are known then, which ``miss_rows`` is told."""

    def miss_rows(self, rows: Sequence[int], lost: set[int]) -> Sequence[int]:
        """They are kept, and noted."""
        self.unknown |= lost
        return rows


def nearest_of(run: Executor, node: Node, task: TaskInfo) -> Nearest:
    """The choice of a prompt's examples by vectors; kept while one node is at work, which asks in several goes.

    Raises:
        NodeFailed: as ``pool_of``.
    """
    return run.once("vectors", node, lambda: Nearest(node, pool_of(run, node, task)))


class Nearest:
    """Cosine of the vectors of items and examples; ties by the examples' rank. Of an item only its choice is kept."""

    def __init__(self, node: Node, pool: Sequence[Example]) -> None:
        self._node, self._pool, self._k = node, pool, node.spec.config.examples.k
        self._units: Any = None  # [examples, dimensions], whole numbers as float32; zeros for an example without text
        self._dimensions = 0
        self._looked = False
        self._near: dict[bytes, bytes] = {}  # digest of a text -> the numbers of its examples (int32), nearest first
        self._guess: NearestInWords | None = None

    def choose(self, key: str, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The nearest last, next to the question; for items that ``prepare`` was told of."""
        import numpy as np

        found = self._near.get(_digest(canonical_text(item)))
        if found is None:
            if self._guess is None:
                raise AssertionError("prepare is told of every item first")
            return self._guess.choose(key, item)
        numbers = np.frombuffer(found, dtype=np.int32).tolist()
        near = [self._pool[i] for i in numbers if self._pool[i].key != key][: self._k]
        return [example.values for example in reversed(near)]

    def prepare(
        self, rows: Iterable[int], keys: Any, item_of: Callable[[int], Mapping[str, Any]], vectors: Vectors
    ) -> Sequence[int]:
        """Find the examples of rows; returns those that requests are to be made for.

        Raises:
            NodeFailed: an example has no vector; vectors are of several lengths.
            TeachkitError: as ``ask``.
        """
        rows = list(rows)
        if rows and self._units is None and not self._looked:
            self._look_at_examples(vectors)
        lost: set[int] = set()

        def wanted() -> Iterator[Request]:
            for row in rows:
                text = canonical_text(item_of(row))
                if _digest(text) in self._near:
                    continue
                if not text.strip():
                    self._near[_digest(text)] = self._first
                    continue
                lost.add(row)
                yield self._request(row, str(keys[row].as_py()), text)

        size = max(1, min(_BATCH, _SCORES // max(1, len(self._pool))))
        for batch in _batches(vectors.find(wanted()), size):
            found = [(_digest(request.body["input"]), self._checked(vector)) for request, vector in batch]
            if self._units is not None:
                self._compare(found)
                lost -= {int(request.tag) for request, _ in batch}  # type: ignore[call-overload]
        if lost and self._guess is None:
            self._guess = NearestInWords(self._pool, self._k)
        return vectors.miss_rows(rows, lost)

    @property
    def _first(self) -> bytes:
        """The examples of an item that has no text: all are as near, so the first ones."""
        import numpy as np

        return np.arange(self._k + 1, dtype=np.int32).tobytes()

    def _request(self, row: int | None, key: str, text: str) -> Request:
        from teachkit.llm import embedding_body

        model = self._node.spec.vectors
        provider = as_provider(model.provider_name, model.provider)
        return provider.request(embedding_body(model=model.model, text=text), api="embeddings", label=key, tag=row)

    def _look_at_examples(self, vectors: Vectors) -> None:
        import numpy as np

        self._looked = True
        texts = [canonical_text(example.values) for example in self._pool]
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            if text.strip():
                places.setdefault(text, []).append(place)
        wanted = [self._request(None, self._pool[at[0]].key, text) for text, at in places.items()]
        units, found = None, 0
        for batch in _batches(vectors.find(wanted), _BATCH):
            rounded = _units([self._checked(vector) for _, vector in batch])
            if units is None:
                units = np.zeros((len(self._pool), rounded.shape[1]), dtype=np.float32)
            for (request, _), unit in zip(batch, rounded, strict=True):
                units[places[request.body["input"]]] = unit
            found += len(batch)
        if found < len(wanted):
            vectors.miss_examples()
            return
        self._units = np.zeros((len(self._pool), 0), dtype=np.float32) if units is None else units

    def _checked(self, vector: bytes) -> bytes:
        """A vector, if it is as long as the others."""
        length = len(vector) // 4
        self._dimensions = self._dimensions or length
        if length != self._dimensions:
            model = self._node.spec.vectors.model
            problem = f"vectors of '{model}' have {self._dimensions} and {length} numbers: it is not the same model now"
            advice = "name a dated version of it, or another model"
            raise NodeFailed(self._node.where, problem=problem, advice=advice)
        return vector

    def _compare(self, found: Sequence[tuple[bytes, bytes]]) -> None:
        """Note the nearest examples of some texts: one more than are shown, as an item is none of its own."""
        import numpy as np

        units, most = _units([vector for _, vector in found]), self._k + 1
        scores = np.zeros((len(found), len(self._pool)))
        for start in range(0, len(self._pool), _BLOCK) if self._units.shape[1] else ():
            block = slice(start, start + _BLOCK)
            scores[:, block] = units @ self._units[block].astype(np.float64).T
        least = np.partition(scores, -most, axis=1)[:, -most]
        for (digest, _), row, bound in zip(found, scores, least, strict=True):
            near = np.flatnonzero(row >= bound)
            order = np.argsort(-row[near], kind="stable")[:most]
            self._near[digest] = near[order].astype(np.int32).tobytes()


def canonical_text(values: Mapping[str, Any]) -> str:
    """What a vector is of: the values of the columns that a prompt shows, by the columns' names, one a line."""
    return "\n".join(str(v) for k, v in sorted(values.items()) if k != "label" and v is not None)


def _batches(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def _digest(text: str) -> bytes:
    return md5(text.encode(), usedforsecurity=False).digest()


def _units(vectors: Sequence[bytes]) -> Any:
    """Vectors of length 1 in whole numbers of 1 / SCALE; those of length 0 stay so."""
    import numpy as np

    numbers = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), -1).astype(np.float64)
    length = np.sqrt(np.add.accumulate(numbers * numbers, axis=1)[:, -1:])  # one by one: the same on every machine
    return np.rint(np.divide(numbers, length, out=np.zeros_like(numbers), where=length > 0) * SCALE)
