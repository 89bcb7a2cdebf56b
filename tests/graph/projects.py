"""Small projects as dictionaries of files, read and compiled without an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from teachkit.graph import Graph, compile_graph
from teachkit.project import ProjectFiles, read_project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from teachkit.errors import Where
    from teachkit.graph import Memo
    from teachkit.graph.node import SourceSpec

COLUMNS = ("id", "author", "content", "posted_at", "class", "split")
SOURCES: dict[str, tuple[str, ...]] = {"source.raw.comments": COLUMNS, "source.raw.authors": ("author", "fame")}

BASE = {
    "teachkit.yml": "name: demo\n",
    "sources/raw.yml": """
        sources:
          - name: raw
            tables:
              - {name: comments, path: comments.csv, key: id}
              - {name: authors, path: authors.csv}
        """,
    "transforms/items.sql": """
        select id, author, content as text, class, split from {{ source('raw', 'comments') }}
        """,
    "tasks/spam.yml": """
        tasks:
          - name: spam
            labels: [ham, spam]
            dataset: ref('items')
            key: id
            gold: {column: class, values: {0: ham, 1: spam}}
        """,
    "labeling_functions/spam/link.sql": """
        {{ config(label='spam') }}
        text ilike '%http%'
        """,
    "label_models/spam.yml": """
        label_models:
          - {name: spam_labels, task: spam, type: majority}
        """,
}


@dataclass
class Options:
    """What a command line says."""

    target: str | None = None
    profiles_dir: Path | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Write files (None removes one); texts are dedented, and start with their second line."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink(missing_ok=True)
        elif isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_bytes(dedent(text.removeprefix("\n")).encode())
    return root


def read(root: Path, files: Mapping[str, str | bytes | None], **options: Any) -> ProjectFiles:
    """Write and read a project."""
    return read_project(write(root, files), Options(**options))


def describe(spec: SourceSpec, node_id: str, where: Where) -> Mapping[str, str]:
    """The columns of the sources above."""
    return dict.fromkeys(SOURCES[node_id], "VARCHAR")


def compiled(
    root: Path,
    files: Mapping[str, str | bytes | None] | None = None,
    memo: Memo | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    **options: Any,
) -> Graph:
    """Compile ``BASE`` with some files changed."""
    known = {**SOURCES, **(columns or {})}
    return compile_graph(
        read(root, {**BASE, **(files or {})}, **options),
        lambda spec, node_id, where: dict.fromkeys(known[node_id], "VARCHAR"),
        memo,
    )
