"""The full text and the compiled form of every version of every node that was ever run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from teachkit.errors import StoreDamaged
from teachkit.hashing import canonical_json, digest
from teachkit.store.atomic import write_bytes_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.store.layout import Layout


class Definitions:
    """Definitions by fingerprint; one that is there never changes."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, text: str, meta: Mapping[str, Any]) -> str | None:
        """Keep a definition under ``meta["fingerprint"]``; its digest, or None if there is one, which stays."""
        path = self._layout.definition(str(meta["fingerprint"]))
        if path.exists():
            return None
        definition = {**meta, "text": text}
        found = definition_digest(definition)
        data = canonical_json({**definition, "digest": found}).encode() + b"\n"
        write_bytes_atomic(path, data, temporary_in=self._layout.temporary)
        return found

    def get(self, fingerprint: str) -> dict[str, Any] | None:
        """Return what was put (``text``, the keys of ``meta``, the ``digest`` of both), None if nothing was."""
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


def definition_digest(definition: Mapping[str, Any]) -> str:
    """The digest of all that a definition says; that of its meaning, the fingerprint, knows neither text nor place."""
    return digest({key: value for key, value in definition.items() if key != "digest"})
