"""Whether labels come out again: from votes and parameters, and parameters from votes, bit for bit."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import Fitted, Held
from teachkit.build.decisions import rows
from teachkit.build.fitting import fit, load_fitted, parameter_table
from teachkit.errors import TeachkitError
from teachkit.hashing import digest
from teachkit.lineage.audit.chain import Broken, DoesNotHold
from teachkit.lineage.audit.stored_labels import node_and_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import Graph
    from teachkit.lineage.audit.stored_labels import Origins, StoredLabels

_SLICE = 1 << 16


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place at which two tables of the same rows differ."""

    row: int
    column: str
    stored: Any
    derived: Any


def check_labels(origins: Origins, labels: StoredLabels, sample: int | None, notes: list[str]) -> int:
    """Derive the rows of a label set again; how many were compared (0: it cannot be derived, and a note says why).

    Raises:
        DoesNotHold: a row, or the parameters, come out otherwise.
    """
    graph = origins.graph(labels)
    if labels.is_own_class:
        if not origins.is_as_now(labels):
            why = origins.problem or "the class, or the label model, is another one by now"
            notes.append(f"{labels.name}: not derived again, as its label model is a class of the project ({why})")
            return 0
        graph = origins.now()
        notes.append(f"{labels.name}: its label model is a class of the project: fitted again, not loaded")
    if _was_told_all(labels):
        why = "an earlier release told its fit all gold of tune, the gold of the items that it judged as well"
        notes.append(f"{labels.name}: not derived again, as {why}; it is when it is built anew")
        return 0
    if graph is None:
        why = origins.problem or "the project defines it otherwise by now"
        notes.append(f"{labels.name}: not derived again, as how it was made is not recorded ({why})")
        return 0
    run = origins.executor(graph, labels)
    try:
        derived, fitted_again = _derived(run, graph, labels)
    finally:
        run.close()
    compared = _compare(origins, labels, derived, sample)
    if not fitted_again:
        problem = f"a fit to the votes gives other parameters of {labels.id} than are stored"
        key = labels.parameters.key
        path = origins.chain.name(run.store.path(key))
        raise DoesNotHold(
            Broken(step="labels", label_set=labels.name, node=labels.id, object=key, path=path, problem=problem)
        )
    return compared


def _was_told_all(labels: StoredLabels) -> bool:
    recipe = labels.parameters.extra.get("recipe") or {}
    return "taught" not in recipe and recipe.get("config", {}).get("gold") == "tune"


def _derived(run: Executor, graph: Graph, labels: StoredLabels) -> tuple[list[pa.Table], bool]:
    """The rows by the stored parameters, and whether a fit gives these parameters again."""
    node, task = node_and_task(graph, labels)
    kept = run.store.read(labels.parameters.key)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # a class of the user's own may print
            votes, fitted, gold = fit(run, node)
            again = parameter_table(fitted)
            loaded = load_fitted(labels.parameters.extra["algorithm"], kept)
            tables = rows(run, node, task, votes, _stored_or(loaded, fitted), gold)
    except (Exception, SystemExit) as error:
        said = error.message if isinstance(error, TeachkitError) else f"{type(error).__name__}: {error}"
        problem = f"the labels of {labels.name} cannot be derived from their votes and parameters: {said}"
        raise DoesNotHold(Broken(step="labels", label_set=labels.name, node=labels.id, problem=problem)) from error
    return tables, again.equals(kept)


def _stored_or(loaded: Fitted, fitted: Fitted) -> Fitted:
    """The stored models; those fitted again in place of what keeps no parameters."""

    def each(stored: Sequence[Any], again: Sequence[Any]) -> list[Any]:
        return [new if old is None else old for old, new in zip(stored, again, strict=True)]

    held = [Held.of(one.rows, each(one.models, two.models)) for one, two in zip(loaded.held, fitted.held, strict=True)]
    return Fitted(each(loaded.models, fitted.models), held)


def _compare(origins: Origins, labels: StoredLabels, derived: Sequence[pa.Table], sample: int | None) -> int:
    """Hold stored rows against derived ones; how many."""
    store, parts = origins.chain.store, labels.output.parts
    total = sum(p.rows for p in parts)
    chosen = None if sample is None else chosen_rows(labels.output.digest, total, sample)
    start = 0
    for number, (part, table) in enumerate(zip(parts, derived, strict=True)):
        stored = store.read(part.key)
        path = origins.chain.name(store.path(part.key))
        about: dict[str, Any] = {"label_set": labels.name, "node": labels.id, "object": part.key, "path": path}
        if (stored.schema.names, stored.num_rows) != (table.schema.names, table.num_rows):
            problem = f"part {number} of {labels.id} has {stored.num_rows:,} rows, and {table.num_rows:,} are derived"
            raise DoesNotHold(Broken(step="labels", **about, problem=problem))
        here = None if chosen is None else [row - start for row in chosen if start <= row < start + stored.num_rows]
        found = first_difference(stored, table, here)
        if found is not None:
            item = stored.column(0)[found.row].as_py()
            problem = (
                f"{labels.id} has of item '{item}' in column '{found.column}' the value {found.stored!r}, "
                f"and {found.derived!r} is derived from its votes and parameters"
            )
            values = {"stored": found.stored, "derived": found.derived, "column": found.column}
            raise DoesNotHold(Broken(step="labels", **about, problem=problem, item=item, **values))
        start += stored.num_rows
    return total if chosen is None else len(chosen)


def chosen_rows(seed: str, total: int, count: int) -> list[int]:
    """``count`` different numbers below ``total``, always the same for one ``seed``."""
    if count >= total:
        return list(range(total))
    found: dict[int, None] = {}
    number = 0
    while len(found) < count:
        found[int(digest([seed, number])[:16], 16) % total] = None
        number += 1
    return sorted(found)


def first_difference(stored: pa.Table, derived: pa.Table, only: Sequence[int] | None = None) -> Difference | None:
    """The first row (of ``only`` some) that differs in a bit, with the first column that does."""
    import pyarrow as pa

    from teachkit.store import table_digests

    if only is not None:
        rows = pa.array(only, pa.int64())
        found = first_difference(stored.take(rows), derived.take(rows))
        return None if found is None else Difference(only[found.row], found.column, found.stored, found.derived)
    ours, theirs = table_digests(stored), table_digests(derived)
    differing = [name for name in stored.schema.names if ours[name] != theirs[name]]
    places = [place for name in differing for place in _places(name, stored, derived)]
    return min(places, key=lambda place: place.row) if places else None


def _places(name: str, stored: pa.Table, derived: pa.Table) -> Iterator[Difference]:
    """The first difference in a column; of a struct that in each of its fields."""
    import pyarrow as pa

    ours, theirs = stored.column(name), derived.column(name)
    if pa.types.is_struct(ours.type) and ours.type.names == getattr(theirs.type, "names", None):
        for at, field in enumerate(ours.type.names):
            one, other = (column.combine_chunks().field(at) for column in (ours, theirs))
            yield from _first(f"{name}.{field}", pa.chunked_array([one]), pa.chunked_array([other]))
    else:
        yield from _first(name, ours, theirs)


def _first(name: str, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> Iterator[Difference]:
    for start in range(0, len(ours), _SLICE):
        pairs = zip(ours.slice(start, _SLICE).to_pylist(), theirs.slice(start, _SLICE).to_pylist(), strict=True)
        for row, (one, other) in enumerate(pairs, start):
            if repr(one) != repr(other):  # 0.0 and -0.0 are different bits, and two NaN the same
                yield Difference(row, name, one, other)
                return
    if str(ours.type) != str(theirs.type) and len(ours):
        yield Difference(0, name, str(ours.type), str(theirs.type))
