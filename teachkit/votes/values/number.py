"""Answers that are numbers: finite, of double precision; the distance of two is their difference."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from teachkit.votes.values import NotAnAnswer
from teachkit.votes.values.kind import ValueKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_TYPES = frozenset({*_NUMBERS, "UHUGEINT", "FLOAT", "DOUBLE", "VARCHAR", "BIGNUM"})
SAME = 1e-9
"""Two numbers are the same if they differ by no more than this share of the greater: labels that were computed differ
in their last bits where nothing that matters has changed."""


GREATEST = 1e150
"""So great a number may be: greater ones have no square, and nothing is known of how far apart they are."""


def _why(value: float) -> str:
    return f"which is beyond {GREATEST:g}" if math.isfinite(value) else "which is not a finite number"


class Number(ValueKind):
    """Finite numbers."""

    name: ClassVar[str] = "number"
    noun: ClassVar[str] = "a number"
    sql_type: ClassVar[str] = "DOUBLE"
    metrics: ClassVar[tuple[str, ...]] = ("mae", "rmse", "bias", "r2")
    lower_is_better: ClassVar[frozenset[str]] = frozenset({"mae", "rmse"})

    @property
    def arrow_type(self) -> pa.DataType:
        """Double precision."""
        import pyarrow as pa

        return pa.float64()

    @property
    def posterior_type(self) -> pa.DataType:
        """Mean and standard deviation, and the interval that holds the true value at 95 %."""
        import pyarrow as pa

        return pa.struct([(name, pa.float64()) for name in ("mean", "sd", "low", "high")])

    def read(self, value: Any, labels: Sequence[str] = ()) -> float | None:
        """A number, or a text that is one; an empty text says nothing."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            shown = str(value).lower() if isinstance(value, bool) else f"a {type(value).__name__}"
            raise NotAnAnswer(f"is {shown}, which is not a number", "write a number, or null to abstain")
        try:
            found = float(value.replace("_", "x") if isinstance(value, str) else value)
        except (ValueError, OverflowError):
            shown = value if isinstance(value, str) and len(value) <= 40 else "a text"
            hint = "; a decimal point, not a comma" if isinstance(value, str) and "," in value else ""
            advice = f"write a number, such as 4 or 2.5{hint}"
            raise NotAnAnswer(f"is '{shown}', which is not a number", advice) from None
        if not math.isfinite(found) or abs(found) > GREATEST:
            raise NotAnAnswer(f"is {found}, {_why(found)}", "write a number, or null to abstain")
        return found + 0.0  # no -0.0: its bits are others

    def takes(self, sql_type: str) -> bool:
        """Numbers, and texts that are numbers."""
        return sql_type in _TYPES or sql_type.startswith("DECIMAL") or sql_type == '"NULL"'

    def column(self, found: Any, labels: Sequence[str] = ()) -> pa.Array:
        """Doubles, all of them finite, and none beyond ``GREATEST``."""
        import pyarrow as pa

        if not pa.types.is_float64(found.type):
            return super().column(found, labels)
        values = self.values(found)
        bad = np.flatnonzero(~(np.abs(values) <= GREATEST) & found.is_valid().to_numpy(zero_copy_only=False))
        if len(bad):
            self._refuse(float(found[int(bad[0])].as_py()), int(bad[0]))
        return self.array(values)

    def _refuse(self, value: float, row: int) -> None:
        raise NotAnAnswer(f"is {value}, {_why(value)}", "give a number, or NULL to abstain", row)

    def schema(self, labels: Sequence[str] = ()) -> dict[str, Any]:
        """A number."""
        return {"type": "number"}

    def empty(self, n: int) -> Any:
        """NaN, N times."""
        return np.full(n, np.nan)

    def missing(self, values: Any) -> Any:
        """Which are NaN."""
        return np.isnan(np.asarray(values, dtype=np.float64))

    def values(self, column: Any) -> Any:
        """The numbers; NULL is NaN."""
        array = column.combine_chunks() if hasattr(column, "combine_chunks") else column
        return array.to_numpy(zero_copy_only=False).astype(np.float64) if len(array) else np.zeros(0)

    def made(self, answers: Sequence[Any]) -> Any:
        """The numbers; None is NaN."""
        return np.array([np.nan if a is None else a for a in answers], dtype=np.float64)

    def array(self, values: Any) -> pa.Array:
        """The numbers; NaN is NULL."""
        import pyarrow as pa

        found = np.array([np.nan if v is None else v for v in values] if isinstance(values, list) else values)
        return pa.array(found.astype(np.float64) + 0.0, pa.float64(), from_pandas=True)

    def posterior_array(self, found: Any) -> pa.Array:
        """Of arrays [N] by name; NaN is NULL."""
        import pyarrow as pa

        names = ("mean", "sd", "low", "high")
        return pa.StructArray.from_arrays([self.array(np.asarray(found[name])) for name in names], names=list(names))

    def same(self, one: Any, other: Any) -> Any:
        """Whether they are the same but for their last digits."""
        a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
        return np.abs(a - b) <= SAME * np.maximum(np.abs(a), np.abs(b))

    def distance(self, one: Any, other: Any) -> Any:
        """The absolute difference."""
        return np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))

    def show(self, value: Any) -> str:
        """Six digits."""
        return f"{value:.6g}"

    def quality(self, decided: Any, gold: Any) -> dict[str, Any]:
        """Mean absolute error, root of the mean square, mean error (bias), R²: all of labeled items with gold."""
        known = ~self.missing(gold)
        there = known & ~self.missing(decided)
        error, truth = np.asarray(decided)[there] - np.asarray(gold)[there], np.asarray(gold)[there]
        n = len(error)
        found: dict[str, Any] = {"n": int(known.sum()), "labeled": n}
        if not n:
            return {**found, **dict.fromkeys(self.metrics)}
        square, spread = math.fsum(error**2), math.fsum((truth - math.fsum(truth) / n) ** 2)
        return {
            **found,
            "mae": math.fsum(np.abs(error)) / n,
            "rmse": math.sqrt(square / n),
            "bias": math.fsum(error) / n,
            "r2": 1 - square / spread if spread > 0 else None,
        }

    def summary(self, decided: Any) -> Mapping[str, float | None]:
        """Mean, standard deviation, least, middle and greatest label."""
        there = np.sort(np.asarray(decided)[~self.missing(decided)])
        if not len(there):
            return dict.fromkeys(("mean", "sd", "min", "median", "max"))
        mean = math.fsum(there) / len(there)
        middle = (there[(len(there) - 1) // 2] + there[len(there) // 2]) / 2
        spread = math.sqrt(math.fsum((there - mean) ** 2) / len(there))
        return {"mean": mean, "sd": spread, "min": float(there[0]), "median": float(middle), "max": float(there[-1])}
