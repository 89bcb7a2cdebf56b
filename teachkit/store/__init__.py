"""What teachkit keeps: immutable objects, the chain of runs, environments, and the lock in git."""

from teachkit.store.atomic import write_bytes_atomic
from teachkit.store.cache import Cache
from teachkit.store.definitions import definition_digest
from teachkit.store.digests import ColumnDigest, column_digest, combined_digest, table_digests
from teachkit.store.layout import FORMAT
from teachkit.store.lock import (
    LOCK_VERSION,
    Lock,
    LockedLabels,
    differences,
    parse_lock,
    read_lock,
    render_lock,
    write_lock,
)
from teachkit.store.objects import ObjectMeta
from teachkit.store.refs import Environment, EnvironmentNode
from teachkit.store.runs import BrokenRun, RunRecord
from teachkit.store.store import Store

__all__ = [
    "FORMAT",
    "LOCK_VERSION",
    "BrokenRun",
    "Cache",
    "ColumnDigest",
    "Environment",
    "EnvironmentNode",
    "Lock",
    "LockedLabels",
    "ObjectMeta",
    "RunRecord",
    "Store",
    "column_digest",
    "combined_digest",
    "definition_digest",
    "differences",
    "parse_lock",
    "read_lock",
    "render_lock",
    "table_digests",
    "write_bytes_atomic",
    "write_lock",
]
