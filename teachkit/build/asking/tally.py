"""What is kept of each answer about some rows: little, so that memory grows by some bytes a row."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Any

from teachkit.graph.prompts import ANSWER_STATUS
from teachkit.llm.schema import ABSTAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from teachkit.graph import TaskInfo
    from teachkit.graph.node import PromptSpec
    from teachkit.llm import Answer

USD = 1e6  # micro-dollars

EMPTY = "empty"
"""Status of an item whose columns, as the prompt shows them, hold nothing: it is not asked about, and has no vote."""

FINE = frozenset({"ok", EMPTY})

UNFINISHED = frozenset({"transient_exhausted", "not_run:budget"})
"""Statuses of items that another build would ask about again."""


class Tally:
    """Row by row: status, reason, key of the request, model, cost in USD; and what subclasses read from answers.

    An item that is asked several times has the cost of all, and is fine if all its answers are.
    """

    def __init__(self, rows: int, spec: PromptSpec) -> None:
        import numpy as np

        self.rows = rows
        self._shares = spec.shares
        self._reasons: list[str | None] | None = [None] * rows if spec.config.output.reason else None
        self._names: list[str] = ["error"]
        self._status = np.zeros(rows, dtype=np.int8)
        self._request = np.zeros((rows, 32), dtype=np.uint8)
        self._models: list[str] = []
        self._model = np.full(rows, -1, dtype=np.int16)
        self.cost = np.zeros(rows)
        self.first_bad: Answer | None = None

    def add(self, answer: Answer) -> None:
        """Take in the answer about one row."""
        import numpy as np

        row = int(answer.request.tag)  # type: ignore[call-overload]
        self.cost[row] += (answer.cost or 0.0) / USD / self._shares
        if answer.request.repetition == 0:
            self._request[row] = np.frombuffer(bytes.fromhex(answer.request.key), dtype=np.uint8)
        if answer.reply is not None:
            self._model[row] = _index(self._models, answer.reply.model)
        if answer.status != "ok":
            self._set(row, answer.status)
            earlier = self.first_bad
            if earlier is None or row < int(earlier.request.tag):  # type: ignore[call-overload]
                self.first_bad = answer
            self.drop(row)
            return
        if answer.request.repetition == 0:
            self._set(row, "ok")
        data = answer.reply.data if answer.reply is not None else {}
        if self._reasons is not None and answer.request.repetition == 0:
            self._reasons[row] = data.get("reason")
        self.read(row, data, answer)

    def beside(self, answer: Answer) -> None:
        """Take in what the request about a row needs first, a vector: its cost; where there is none, its status."""
        if answer.status != "ok":
            self.add(answer)
        else:
            row = int(answer.request.tag)  # type: ignore[call-overload]
            self.cost[row] += (answer.cost or 0.0) / USD / self._shares

    def skip(self, row: int) -> None:
        """Note that a row has nothing to ask about."""
        self._set(row, EMPTY)

    def read(self, row: int, data: Any, answer: Answer) -> None:
        """Take what is wanted of an answer that fits."""

    def drop(self, row: int) -> None:
        """Forget what was read of a row: one of its answers is missing."""

    def status_of(self, row: int) -> str:
        """What became of a row."""
        name: str = self._names[self._status[row]]
        return name

    @property
    def statuses(self) -> dict[str, int]:
        """How many rows have each status."""
        import numpy as np

        counts = np.bincount(self._status, minlength=len(self._names)).tolist()
        return {name: count for name, count in zip(self._names, counts, strict=True) if count}

    @property
    def ok(self) -> Any:
        """Which rows have an answer [rows]."""
        return self._status == _index(self._names, "ok")

    @property
    def asks_alike(self) -> bool:
        """Whether all rows make one request, and some has an answer."""
        return bool(self.ok.any() and (self._request == self._request[0]).all())

    def reason_of(self, row: int) -> str | None:
        """Why, if it was asked."""
        return self._reasons[row] if self._reasons is not None else None

    def table(self) -> pa.Table:
        """Beside the votes, row by row: what lineage says of an answer."""
        import pyarrow as pa

        models = pa.array(self._models or [""], type=pa.string())
        return pa.table(
            {
                "status": pa.array(self._names).take(pa.array(self._status)).dictionary_encode(),
                "reason": pa.array(self._reasons or [None] * self.rows, type=pa.string()),
                "request": pa.array([bytes(key).hex() if key.any() else "" for key in self._request], pa.string()),
                "model": models.take(pa.array(self._model, mask=self._model < 0)),
                "cost": pa.array(self.cost),
            }
        )

    def _set(self, row: int, status: str) -> None:
        self._status[row] = _index(self._names, status)


def tally_of(rows: int, spec: PromptSpec, task: TaskInfo, texts: Sequence[str | None] = ()) -> VoteTally:
    """What collects the votes of a prompt on a task; ``texts`` of the rows, where answers are places in them."""
    return VoteTally(rows, spec, task) if task.coded else ValueTally(rows, spec, task, texts)


class VoteTally(Tally):
    """Votes, and with ``confidence`` how likely each label is by the answers of a row."""

    def __init__(self, rows: int, spec: PromptSpec, task: TaskInfo) -> None:
        import numpy as np

        from teachkit.engine.scan import vote_dtype

        super().__init__(rows, spec)
        self._spec, self._task = spec, task
        code = {label: i for i, label in enumerate(task.labels)}
        labels = [code[label] for label in spec.means.values() if label] if spec.means else [*code.values()]
        self._votes = {
            c: np.full(rows, -1, dtype=vote_dtype(len(code))) for c in (sorted(set(labels)) if task.multi else [0])
        }
        self._code = code
        self._read = _reader(spec, task, code)
        self._mass: Any = np.zeros((rows, len(code) + 1), dtype=np.float32) if spec.scored else None
        self._first: Any = np.full(rows, -1, dtype=np.int16) if spec.scored else None
        self.raw_score: Any = None

    def read(self, row: int, data: Any, answer: Answer) -> None:
        """The vote of an answer; the share that it gives to each label."""
        if self._mass is None:
            for about, vote in self._read(data).items():
                self._votes[about][row] = vote
            return
        code = self._code.get(data[self._spec.asks], -1)
        if answer.request.repetition == 0:
            self._first[row] = code
        shares = _shares(answer, self._spec, self._task)
        if shares is None:
            self._mass[row, code] += 1  # -1 is the last column: ABSTAIN
        else:
            for label, share in shares.items():
                self._mass[row, self._code.get(label, -1)] += share

    def drop(self, row: int) -> None:
        """A row without all its answers has no vote."""
        for votes in self._votes.values():
            votes[row] = -1
        if self._mass is not None:
            self._mass[row] = 0

    def score(self) -> None:
        """Decide what each row votes for by all its answers, the first one where they tie; and its raw score."""
        import numpy as np

        if self._mass is None:
            return
        total = self._mass.sum(axis=1)
        best = self._mass.max(axis=1)
        first = self._first
        tied = self._mass[np.arange(self.rows), first] >= best - 1e-6
        code = np.where(tied, first, self._mass.argmax(axis=1))
        code[code == len(self._code)] = -1
        usable = self.ok & (total > 0)
        self._votes[0][:] = np.where(usable, code, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.raw_score = np.where(usable, self._mass[np.arange(self.rows), code] / total, np.nan).astype(np.float64)

    def uncertain(self) -> Any:
        """The rows that are to be asked again [indices]: their score is too low, or their answers differ."""
        import numpy as np

        confidence = self._spec.config.confidence
        if confidence is None:
            return np.zeros(0, dtype=np.int64)
        self.score()
        unsure = self.raw_score < (1.0 if confidence.by == "repeats" else confidence.below)
        return np.flatnonzero(self.ok & unsure)

    def take_over(self, other: VoteTally, rows: Sequence[int]) -> None:
        """Put the answers of another model in place of one's own: row i of it is row ``rows[i]`` here; costs add up."""
        for index, row in enumerate(rows):
            self._set(row, other.status_of(index))
            self._request[row] = other._request[index]
            self._model[row] = (
                _index(self._models, other._models[other._model[index]]) if other._model[index] >= 0 else -1
            )
            if self._reasons is not None:
                self._reasons[row] = other.reason_of(index)
            self.cost[row] += other.cost[index]
            for label, votes in self._votes.items():
                votes[row] = other._votes[label][index]
        self.first_bad = self.first_bad or other.first_bad

    @property
    def shares(self) -> Any:
        """How likely each label is by the answers of a row, ABSTAIN left out [rows, labels]; 0 where there are none."""
        import numpy as np

        labels = self._mass[:, :-1].astype(np.float64)
        total = labels.sum(axis=1, keepdims=True)
        return np.divide(labels, total, out=np.zeros_like(labels), where=total > 0)

    @property
    def vote(self) -> Any:
        """Of a choice, the codes [rows]."""
        return self._votes[0]

    def codes(self) -> dict[str, Any]:
        """The votes as a votes object holds them."""
        return {f"v{c}": v for c, v in self._votes.items()} if self._task.multi else {"vote": self._votes[0]}


class ValueTally(VoteTally):
    """Votes that are values."""

    def __init__(self, rows: int, spec: PromptSpec, task: TaskInfo, texts: Sequence[str | None] = ()) -> None:
        super().__init__(rows, spec, task)
        self._texts = texts
        self._values: list[Any] = [None] * rows

    def read(self, row: int, data: Any, answer: Answer) -> None:
        """The value of an answer, which was checked."""
        text = self._texts[row] if self._texts else None
        self._values[row] = self._task.answers.read_reply(data[self._spec.asks], self._task.labels, text)

    def drop(self, row: int) -> None:
        """A row without its answer has no vote."""
        self._values[row] = None

    def codes(self) -> dict[str, Any]:
        """The votes as a votes object holds them."""
        return {"value": self._task.answers.array(self._values)}


class ColumnTally(Tally):
    """The values of a prompt's columns."""

    def __init__(self, rows: int, spec: PromptSpec) -> None:
        super().__init__(rows, spec)
        self._columns: Mapping[str, Any] = spec.config.output.columns
        self._values: dict[str, list[Any]] = {name: [None] * rows for name in self._columns}

    def read(self, row: int, data: Any, answer: Answer) -> None:
        """The values of an answer."""
        for name, values in self._values.items():
            values[row] = data.get(name)

    def columns(self) -> dict[str, pa.Array]:
        """The values as Arrow arrays, named as a query names them."""
        import pyarrow as pa

        from teachkit.voters.prompt_answer import column_type

        found = {}
        for name, values in self._values.items():
            kind = column_type(self._columns[name])
            found[name.lower()] = pa.array([_typed(value, kind) for value in values], type=kind)
        found[ANSWER_STATUS] = pa.array([self.status_of(row) for row in range(self.rows)])
        return found


def _typed(value: Any, kind: Any) -> Any:
    """A JSON value as its Arrow type takes it: 3.0 is a whole number, 3 a number."""
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_integer(kind):
        return int(value)
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_list(kind):
        return [_typed(each, kind.value_type) for each in value]
    if pa.types.is_struct(kind):
        return {
            kind.field(i).name: _typed(value.get(kind.field(i).name), kind.field(i).type)
            for i in range(kind.num_fields)
        }
    return value


def _reader(spec: PromptSpec, task: TaskInfo, code: Mapping[str, int]) -> Callable[[Any], Mapping[int, int]]:
    """From an answer's data to votes by label (of a choice, all under 0)."""
    if spec.means and task.multi:
        about = code[next(label for label in spec.means.values() if label)]

        def yes_or_no(data: Any) -> Mapping[int, int]:
            label = spec.means.get(data[spec.asks])
            if label is None:
                return {}
            return {about: 0} if label == "" else {code[label]: 1}

        return yes_or_no
    if spec.means:
        return lambda data: {0: code[spec.means[data[spec.asks]]]} if data[spec.asks] in spec.means else {}
    if not task.multi:
        return lambda data: {0: code.get(data[spec.asks], -1)}

    def several(data: Any) -> Mapping[int, int]:
        said = set(data[spec.asks])
        if ABSTAIN in said and ABSTAIN not in code:
            return {}
        return {c: int(label in said) for label, c in code.items()}

    return several


def _shares(answer: Answer, spec: PromptSpec, task: TaskInfo) -> Mapping[str, float] | None:
    """The share of each label by one answer, None where it tells only which one it chose."""
    confidence = spec.config.confidence
    if confidence is None or confidence.by == "repeats" or answer.reply is None:
        return None
    if confidence.by == "decisions":
        return answer.reply.probabilities.get(spec.asks)
    from teachkit.llm import label_scores

    allowed = [*task.labels, *([ABSTAIN] if spec.config.output.abstain else [])]
    found = label_scores(answer.reply, spec.asks, allowed)
    return found.probabilities if found is not None else None


def _index(names: list[str], name: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        names.append(intern(name))
        return len(names) - 1
