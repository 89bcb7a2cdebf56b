"""The source file and record that an item came from, by the column lineage of its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.project.root import name_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import RunRecord


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record of a source: file, number of the record in it (from 1), digest of the file as the labels were made.

    ``record`` is None where the key is computed, the source is a database, or the file is another one by now.
    """

    source: str
    path: str
    record: int | None
    digest: str | None
    column: str
    note: str = ""


def source_records(
    run: Executor, task: TaskInfo, rows: Sequence[Mapping[str, Any]], made_by: RunRecord | None
) -> list[list[SourceRecord]]:
    """For each row of the dataset, the records whose value of the key's source column is its key."""
    known: Mapping[str, Mapping[str, str]] = made_by.record.get("sources", {}) if made_by else {}
    values = [str(next(v for k, v in row.items() if k.lower() == task.key)) for row in rows]
    found: list[list[SourceRecord]] = [[] for _ in rows]
    for source_id, column in _origins(run, task.dataset, task.key):
        of_source = _of_source(run, run.graph[source_id], column, values, known.get(source_id, {}))
        for mine, more in zip(found, of_source, strict=True):
            mine += more
    return found


def _origins(run: Executor, node_id: str, column: str) -> list[tuple[str, str]]:
    """The columns of sources that a column is made of."""
    queue, seen = [(node_id, column)], []
    while queue:
        place = queue.pop(0)
        if place not in seen:
            seen.append(place)
            node = run.graph.nodes.get(place[0])
            if node is not None and node.kind != "source":
                queue += node.lineage.get(place[1], ())
    return [p for p in seen if p[0].startswith("source.")]


def _of_source(
    run: Executor, source: Node, column: str, values: Sequence[str], known: Mapping[str, str]
) -> list[list[SourceRecord]]:
    """The records of each value; every file is read once for all of them."""
    import duckdb

    from teachkit.engine.sources import find_records, local_files
    from teachkit.errors import TeachkitError

    root = run.files.root
    if source.spec.table.database is not None or not local_files(source.spec, root):
        place = source.spec.table.database or ", ".join(source.spec.paths)
        digest = next(iter(known.values()), None)
        return [[SourceRecord(source.id, place, None, digest, column, "not a local file of records")] for _ in values]
    found: list[list[SourceRecord]] = [[] for _ in values]
    searched = []
    for path in local_files(source.spec, root):
        name = name_below(path, root)
        digest = known.get(name)
        if digest is not None and run.store.file_digest(path) != digest:
            for mine in found:
                mine.append(SourceRecord(source.id, name, None, digest, column, "the file has changed since"))
            continue
        try:
            records = find_records(source.spec, path, column, values)
        except (duckdb.Error, TeachkitError):
            records = {}
        searched.append((name, digest))
        for value, mine in zip(values, found, strict=True):
            if value in records:
                mine.append(SourceRecord(source.id, name, records[value], digest, column))
    note = f"the key is computed from {column}: no record has it as it stands"
    nowhere = [SourceRecord(source.id, name, None, digest, column, note) for name, digest in searched]
    return [mine or nowhere for mine in found]
