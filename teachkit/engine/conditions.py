"""Whether what labeling functions vote by results in true or false: DuckDB takes any number but 0 for true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import BadSql
from teachkit.graph.sql import NO_CONDITION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.engine.session import Session
    from teachkit.graph.node import Node

_CONDITIONS = ("BOOLEAN", '"NULL"')


def no_conditions(session: Session, voters: Sequence[Node], relation: str) -> Mapping[str, BadSql]:
    """Node -> error, of those voters whose condition is none over this relation."""
    types = session.types({node.id: node.spec.condition for node in voters if node.spec.condition}, relation)
    return {
        node.id: BadSql(node.where, problem=f"it results in {types[node.id]}, not true or false", advice=NO_CONDITION)
        for node in voters
        if types.get(node.id, "BOOLEAN") not in _CONDITIONS
    }


def is_condition(session: Session, node: Node, relation: str) -> bool:
    """Whether what is to result in labels results in true or false."""
    return session.types({node.id: node.spec.answer}, relation)[node.id] == "BOOLEAN"
