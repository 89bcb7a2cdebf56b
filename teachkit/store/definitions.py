"""The full text and the compiled form of every version of every node that was ever run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from teachkit.errors import StoreDamaged
from teachkit.hashing import canonical_json
from teachkit.store.atomic import write_bytes_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.store.layout import Layout


class Definitions:
    """Definitions by fingerprint; one that is there never changes."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, text: str, meta: Mapping[str, Any]) -> str:
        """Keep a definition under ``meta["fingerprint"]``, which is returned; the first text stays."""
        fingerprint = str(meta["fingerprint"])
        path = self._layout.definition(fingerprint)
        if not path.exists():
            data = canonical_json({**meta, "text": text}).encode() + b"\n"
            write_bytes_atomic(path, data, temporary_in=self._layout.temporary)
        return fingerprint

    def get(self, fingerprint: str) -> dict[str, Any] | None:
        """Return what was put (``text`` and the keys of ``meta``), None if nothing was."""
        path = self._layout.definition(fingerprint)
        try:
            definition = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreDamaged(path=path, problem=f"it holds no definition ({error})") from error
        if not isinstance(definition, dict) or definition.get("fingerprint") != fingerprint:
            raise StoreDamaged(path=path, problem="it holds no definition of that fingerprint")
        return definition
