"""What a node is made of: everything upstream, with versions and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.build import Workspace
    from teachkit.graph import Node


def upstream(work: Workspace, node: Node) -> dict[str, Any]:
    """A node and all that it depends on, nearest first, each with its definition and where its columns come from."""
    published = work.store.read_environment(work.files.target_name)["nodes"]
    order, queue = [node.id], list(node.inputs)
    while queue:
        following = queue.pop(0)
        if following not in order:
            order.append(following)
            queue += work.graph[following].inputs
    return {"node": node.id, "upstream": [_entry(work.graph[i], published) for i in order]}


def _entry(node: Node, published: Any) -> dict[str, Any]:
    before = published.get(node.id)
    return {
        "id": node.id,
        "kind": node.kind,
        "path": node.where.path,
        "line": node.where.line,
        "inputs": list(node.inputs),
        "definition": node.own,
        "fingerprint": node.fingerprint,
        "published": before is not None and before["fingerprint"] == node.fingerprint,
        "columns": {
            c: [f"{relation}.{column}" for relation, column in found] for c, found in sorted(node.lineage.items())
        },
    }
