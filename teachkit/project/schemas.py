"""JSON Schemas of the project's YAML files, for editors: exported from the models that validate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadOption, did_you_mean, listing
from teachkit.project.models import FILE_KINDS

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ".teachkit/schemas"


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file.

    Raises:
        BadOption: there is no such kind.
    """
    if kind not in FILE_KINDS:
        advice = f"write one of: {listing(FILE_KINDS)}.{did_you_mean(kind, FILE_KINDS)}"
        raise BadOption(None, option="KIND", problem=f"'{kind}' is no kind of file", advice=advice)
    found = FILE_KINDS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def write_schemas(root: Path) -> list[Path]:
    """Write all schemas below a project; the files written."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in FILE_KINDS:
        path = folder / f"{kind}.json"
        path.write_text(json.dumps(json_schema(kind), indent=1) + "\n", encoding="utf-8")
        written.append(path)
    return written
