"""What became of one voter in a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.errors import TeachkitError
    from teachkit.graph.node import Node


@dataclass(frozen=True, slots=True)
class Voted:
    """What became of one voter: codes (or values) by column of the votes object, or an error."""

    node: Node
    codes: Mapping[str, Any] | None = None
    error: TeachkitError | None = None
