"""What a kind of answer must say of itself, so that votes, labels, gold and figures need not know which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.votes.values import NotAnAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa


class ValueKind:
    """A kind of answer that is a value.

    In arrays [N] of numpy, an answer that is not there is NaN in those of numbers, None in all others; answers are
    plain Python values that can be hashed. In Arrow it is NULL.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when the same value is read as another answer."""

    noun: ClassVar[str]
    """As in messages: "'abc' is not <noun>"."""

    sql_type: ClassVar[str]
    """The DuckDB type of a column of answers."""

    metrics: ClassVar[tuple[str, ...]]
    """The figures of ``quality``, the foremost first."""

    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    """Those of ``metrics`` that are errors."""

    within_text: ClassVar[bool] = False
    """Whether an answer holds offsets in the task's text."""
    json_texts: ClassVar[bool] = False
    """Whether a text that SQL results in is JSON, for ``read`` and not for a cast."""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of an answer."""
        raise TypeError(f"{type(self).__name__} does not define arrow_type")

    @property
    def posterior_type(self) -> pa.DataType:
        """The type of what a label set's ``posterior`` holds."""
        raise TypeError(f"{type(self).__name__} does not define posterior_type")

    # -- reading

    def read(self, value: Any, labels: Sequence[str] = ()) -> Any:
        """The answer that a value of JSON, CSV or Python stands for; None where it says nothing.

        Raises:
            NotAnAnswer: it stands for none.
        """
        raise TypeError(f"{type(self).__name__} does not define read")

    def takes(self, sql_type: str) -> bool:
        """Whether an SQL expression of this type can be an answer."""
        raise TypeError(f"{type(self).__name__} does not define takes")

    def column(self, found: Any, labels: Sequence[str] = ()) -> pa.Array:
        """A column of ``sql_type`` (or of what was read) as a column of answers.

        Raises:
            NotAnAnswer: a value is none; ``row`` says which.
        """
        import pyarrow as pa

        answers = []
        for row, value in enumerate(found.to_pylist()):
            try:
                answers.append(self.read(value, labels))
            except NotAnAnswer as error:
                raise NotAnAnswer(error.problem, error.advice, row) from error
        return self.array(answers) if answers else pa.array([], self.arrow_type)

    def within(self, values: Any, lengths: Sequence[int | None]) -> None:
        """Refuse answers [N] with offsets beyond the texts, which have so many characters [N].

        Raises:
            NotAnAnswer: an answer has one; ``row`` says which.
        """

    def schema(self, labels: Sequence[str] = ()) -> dict[str, Any]:
        """The JSON Schema of an answer, as prompts ask for it."""
        raise TypeError(f"{type(self).__name__} does not define schema")

    def read_reply(self, value: Any, labels: Sequence[str] = (), text: str | None = None) -> Any:
        """The answer that a prompt's value (of ``schema``) stands for; ``text`` is the item's, of answers within it.

        Raises:
            NotAnAnswer: it stands for none.
        """
        return self.read(value, labels)

    def as_reply(self, value: Any, text: str | None = None) -> Any:
        """An answer as a prompt is to give it: for examples."""
        return self.plain(value)

    # -- arrays

    def empty(self, n: int) -> Any:
        """N answers that are not there."""
        return np.full(n, None, dtype=object)

    def missing(self, values: Any) -> Any:
        """Which of N answers are not there [N]."""
        return np.array([value is None for value in values], dtype=bool)

    def values(self, column: Any) -> Any:
        """An Arrow column of answers as an array of numpy [N]."""
        found = self.empty(len(column))
        for row, value in enumerate(column.to_pylist()):
            found[row] = self.hashable(value)
        return found

    def made(self, answers: Sequence[Any]) -> Any:
        """Plain values as an array of numpy [N]."""
        found = self.empty(len(answers))
        for row, answer in enumerate(answers):
            found[row] = answer
        return found

    def hashable(self, value: Any) -> Any:
        """An answer from Arrow as a plain value that can be hashed."""
        return value

    def plain(self, value: Any) -> Any:
        """An answer as Arrow and JSON take it; None where there is none."""
        return value

    def array(self, values: Any) -> pa.Array:
        """Answers [N] as an Arrow column."""
        import pyarrow as pa

        return pa.array([self.plain(value) for value in values], self.arrow_type)

    def posterior_array(self, found: Any) -> pa.Array:
        """Of a label model's posteriors [N] (one plain value for each item, None where it has none)."""
        import pyarrow as pa

        return pa.array(list(found), self.posterior_type)

    # -- comparing

    def same(self, one: Any, other: Any) -> Any:
        """Whether answers [M] are the same as others [M], as conflicts and changes of labels count it."""
        return np.array([a == b for a, b in zip(one, other, strict=True)], dtype=bool)

    def conflicting(self, values: Any, starts: Any) -> Any:
        """Whether the answers on an item contradict each other [N]: here, if they are not all the same.

        Those of item i are ``values[starts[i] : starts[i + 1]]``.
        """
        found = np.zeros(len(starts) - 1, dtype=bool)
        if len(values):
            item = np.repeat(np.arange(len(found)), np.diff(starts))
            found[item[~self.same(values, values[starts[item]])]] = True
        return found

    def distance(self, one: Any, other: Any) -> Any:
        """How far answers [M] are from others [M]: 0 where they are the same."""
        raise TypeError(f"{type(self).__name__} does not define distance")

    def show(self, value: Any) -> str:
        """An answer for people."""
        return str(value)

    # -- how good

    def quality(self, decided: Any, gold: Any) -> dict[str, Any]:
        """Labels [N] against gold [N]: ``n`` items with gold, ``labeled`` of them, and the figures of ``metrics``.

        A figure that is undefined is None.
        """
        raise TypeError(f"{type(self).__name__} does not define quality")

    def summary(self, decided: Any) -> Mapping[str, float | None]:
        """Figures of labels [N] alone, by name."""
        return {}
