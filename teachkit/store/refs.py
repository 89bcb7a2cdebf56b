"""Environments: which objects a target's nodes are, by the last build that passed its tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

from teachkit.errors import StoreDamaged
from teachkit.hashing import canonical_json
from teachkit.store.atomic import locked, write_bytes_atomic

if TYPE_CHECKING:
    from collections.abc import Callable

    from teachkit.store.layout import Layout


class EnvironmentNode(TypedDict):
    """One node: what it was built from, its objects (one for each part), the digest of their content.

    ``items``: of votes and judgments, which stand row by row beside a dataset, a digest of the keys that it had; None
    of other nodes, and where it is not known.
    """

    fingerprint: str
    definition: str
    objects: list[str]
    digest: str
    items: str | None


class Environment(TypedDict):
    """All nodes of a target by id, and the run that published them."""

    run: str | None
    nodes: dict[str, EnvironmentNode]


class Refs:
    """The environments of a store, one file for each target, replaced as a whole."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read(self, target: str) -> Environment:
        """Return the environment of ``target``; one without nodes if nothing was published."""
        path = self._layout.ref(target)
        try:
            found = json.loads(path.read_bytes())
            nodes = {str(name): _node(value) for name, value in found["nodes"].items()}
            return Environment(run=found["run"], nodes=nodes)
        except FileNotFoundError:
            return Environment(run=None, nodes={})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreDamaged(path=path, problem="it holds no environment") from error

    def write(self, target: str, environment: Environment) -> None:
        """Replace the environment of ``target``; on any failure the one before stays."""
        self.update(target, lambda _: environment)

    def update(self, target: str, change: Callable[[Environment], Environment]) -> Environment:
        """Replace the environment by what ``change`` makes of it; no other process gets in between."""
        path = self._layout.ref(target)
        with locked(self._layout.refs / "lock"):
            changed = change(self.read(target))
            data = canonical_json(changed).encode() + b"\n"
            write_bytes_atomic(path, data, temporary_in=self._layout.temporary)
        return changed


def _node(value: EnvironmentNode) -> EnvironmentNode:
    return EnvironmentNode(
        fingerprint=value["fingerprint"],
        definition=value["definition"],
        objects=list(value["objects"]),
        digest=value["digest"],
        items=value.get("items"),
    )
