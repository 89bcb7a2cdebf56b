"""Changes a store as somebody would who knows how it is made, so that what is left must notice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from teachkit.build.keys import description_digest
from teachkit.hashing import canonical_json, digest, digest_file
from teachkit.store import ObjectMeta, combined_digest, table_digests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sandbox import Sandbox


class Forger:
    """Works on the store of one project."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.root / ".teachkit"

    def node(self, node: str, target: str = "dev") -> Any:
        """What the environment says of a node."""
        return self.sandbox.json_file(f".teachkit/refs/{target}.json")["nodes"][node]

    def object(self, node: str, part: int = 0) -> str:
        key: str = self.node(node)["objects"][part]
        return key

    def path(self, key: str, ending: str = "parquet") -> Path:
        return self.store / "objects" / key[:2] / f"{key}.{ending}"

    def description(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path(key, "json").read_bytes())
        return found

    def definition(self, node: str) -> Path:
        own: str = self.node(node)["definition"]
        return self.store / "definitions" / own[:2] / f"{own}.json"

    # objects

    def rewrite(self, key: str, change: Callable[[pa.Table], pa.Table]) -> ObjectMeta:
        """Put other rows into an object, and describe them as if they had always been there."""
        path = self.path(key)
        table = change(pq.read_table(path))
        pq.write_table(table, path, compression="zstd")
        digests = table_digests(pq.read_table(path))
        return self.redescribe(
            key,
            rows=table.num_rows,
            columns=digests,
            digest=combined_digest(table.num_rows, digests),
            bytes=path.stat().st_size,
            file=digest_file(path),
        )

    def redescribe(self, key: str, **changes: Any) -> ObjectMeta:
        meta = {**self.description(key), **changes}
        self.path(key, "json").write_text(json.dumps(meta))
        return ObjectMeta(**meta)

    def forget_file_digest(self, key: str) -> None:
        """Make an object's description one of before there were digests of files."""
        meta = self.description(key)
        del meta["file"]
        self.path(key, "json").write_text(json.dumps(meta))

    def forget_inputs(self, node: str) -> None:
        """Let a label set's record of what it read be one of before descriptions were bound to it."""
        key = self.description(self.object(node))["extra"]["parameters"]
        extra = self.description(key)["extra"]
        for about in extra["inputs"].values():
            about.pop("described", None)
        self.redescribe(key, extra=extra)

    # records

    def rewrite_records(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change every record, and link the chain and the environments anew."""
        previous, renamed = None, {}
        for path in sorted((self.store / "runs").glob("0*.json")):
            document = json.loads(path.read_bytes())
            before = f"{document['number']:06d}-{digest(document)[:8]}"
            change(document["record"])
            document["previous"] = previous
            path.write_text(canonical_json(document))
            previous = digest(document)
            renamed[before] = f"{document['number']:06d}-{previous[:8]}"
            (self.store / "runs" / "HEAD").write_text(canonical_json({"number": document["number"], "hash": previous}))
        for path in (self.store / "refs").glob("*.json"):
            environment = json.loads(path.read_bytes())
            environment["run"] = renamed[environment["run"]]
            path.write_text(canonical_json(environment))

    def admit(self, node: str) -> None:
        """Let records, environments and the lock say of a node's objects what the store holds by now."""
        old = self.node(node)
        keys = old["objects"]
        new = digest([self.description(key)["digest"] for key in keys])

        def change(record: dict[str, Any]) -> None:
            output = record.get("outputs", {}).get(node)
            if output is not None and output["objects"] == keys:
                output["digest"] = new
                known = [ObjectMeta(**self.description(key)) for key in keys]
                output["described"][: len(keys)] = [description_digest(meta) for meta in known]
            entry = record.get("lock", {}).get(node.partition(".")[2])
            if entry is not None:
                entry["digest"] = new

        self.rewrite_records(change)
        for path in (self.store / "refs").glob("*.json"):
            path.write_text(path.read_text().replace(old["digest"], new))
        lock = self.sandbox.read("teachkit.lock")
        self.sandbox.write({"teachkit.lock": lock.replace(old["digest"], new).encode()})


def changed(table: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """A table with one other value."""
    values = table.column(column).to_pylist()
    values[row] = value
    at, field = table.schema.get_field_index(column), table.schema.field(column)
    return table.set_column(at, field, pa.array(values, type=field.type))
