"""Is there such a column, such a label? If not: the error that says which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.errors import BadSql, UnknownColumn, UnknownLabel, Where, did_you_mean, listing
from teachkit.graph.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def known_column(name: str, columns: Iterable[str], owner: str, where: Where) -> None:
    """Raise ``UnknownColumn`` unless ``owner`` has a column of this name, compared as DuckDB does."""
    columns = list(dict.fromkeys(columns))
    if fold(name) not in map(fold, columns):
        hint = did_you_mean(name, columns)
        raise UnknownColumn(where, column=name, owner=owner, known=listing(columns, 30), hint=hint)


def known_label(label: str, labels: Sequence[str], task: str, where: Where) -> None:
    """Raise ``UnknownLabel`` unless the task has this label."""
    if label not in labels:
        known, hint = listing(labels, 30), did_you_mean(label, labels)
        raise UnknownLabel(where, label=label, task=task, known=known, hint=hint)


def check_names(columns: Sequence[str] | None, where: Where) -> None:
    """A transform's columns have names, each its own: others refer to them."""
    for index, name in enumerate(columns or ()):
        if not name:
            problem = f"column {index + 1} of this SELECT has no name"
            raise BadSql(where, problem=problem, advice="give it one: … as name")
        if name in (columns or ())[:index]:
            problem = f"two columns of this SELECT are called '{name}'"
            raise BadSql(where, problem=problem, advice=f"name one otherwise, or leave it out: * exclude ({name})")
