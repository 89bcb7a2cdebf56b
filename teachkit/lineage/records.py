"""The source file and record that an item came from, by the column lineage of its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.project.root import name_below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.build import Workspace
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
    work: Workspace, task: TaskInfo, row: Mapping[str, Any], made_by: RunRecord | None
) -> list[SourceRecord]:
    """The records whose value of the key's source column is the item's key."""
    known: Mapping[str, Mapping[str, str]] = made_by.record.get("sources", {}) if made_by else {}
    value = next(v for k, v in row.items() if k.lower() == task.key)
    found: list[SourceRecord] = []
    for source_id, column in _origins(work, task.dataset, task.key):
        found += _of_source(work, work.graph[source_id], column, str(value), known.get(source_id, {}))
    return found


def _origins(work: Workspace, node_id: str, column: str) -> list[tuple[str, str]]:
    """The columns of sources that a column is made of."""
    queue, seen = [(node_id, column)], []
    while queue:
        place = queue.pop(0)
        if place not in seen:
            seen.append(place)
            node = work.graph.nodes.get(place[0])
            if node is not None and node.kind != "source":
                queue += node.lineage.get(place[1], ())
    return [p for p in seen if p[0].startswith("source.")]


def _of_source(work: Workspace, source: Node, column: str, value: str, known: Mapping[str, str]) -> list[SourceRecord]:
    import duckdb

    from teachkit.engine.sources import find_record, local_files
    from teachkit.errors import TeachkitError

    root = work.files.root
    if source.spec.table.database is not None or not local_files(source.spec, root):
        place = source.spec.table.database or ", ".join(source.spec.paths)
        return [
            SourceRecord(
                source.id, place, None, next(iter(known.values()), None), column, "not a local file of records"
            )
        ]
    found, searched = [], []
    for path in local_files(source.spec, root):
        name = name_below(path, root)
        digest = known.get(name)
        if digest is not None and work.store.file_digest(path) != digest:
            found.append(SourceRecord(source.id, name, None, digest, column, "the file has changed since"))
            continue
        try:
            record = find_record(source.spec, path, column, value)
        except (duckdb.Error, TeachkitError):
            record = None
        searched.append((name, digest))
        if record is not None:
            found.append(SourceRecord(source.id, name, record, digest, column))
    if found:
        return found
    note = f"the key is computed from {column}: no record has it as it stands"
    return [SourceRecord(source.id, name, None, digest, column, note) for name, digest in searched]
