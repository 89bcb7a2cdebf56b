"""Which columns a query reads, and what each of its columns is made of.

Own name resolution over sqlglot's syntax tree, because what is left out of ``reads`` is left out of the key of the
result: where two readings are possible, both count. A column that no relation in reach can have is an error; where
the columns of a relation are unknown, nothing is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.graph.names import fold
from teachkit.graph.sql.leaves import unknown_column
from teachkit.graph.sql.scope import Environment, Scope, no_relation
from teachkit.graph.sql.tables import ALL, NONE, ROWS, Output, Pairs, Query, Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import exp


def resolve(tree: exp.Expr, reading: Reading) -> Query:
    """Resolve every name of a query; errors and columns read go to ``reading``."""
    return _query(tree, {}, None, reading)


def _query(node: exp.Expr, ctes: Environment, outer: Scope | None, reading: Reading) -> Query:
    from sqlglot import exp

    ctes = _with(node, ctes, outer, reading)
    if isinstance(node, exp.Subquery):
        inner = _query(node.this, ctes, outer, reading)
        return _limited(inner, node, ctes, outer, reading)
    if isinstance(node, exp.SetOperation):
        return _limited(_union(node, ctes, outer, reading), node, ctes, outer, reading)
    if isinstance(node, exp.Select):
        return Scope(node, ctes, outer, reading, _query).query()
    given = _loose(node, ctes, outer, reading)
    return Query(None, given, given)


def _with(node: exp.Expr, ctes: Environment, outer: Scope | None, reading: Reading) -> Environment:
    found = dict(ctes)
    clause: Any = node.args.get("with_")
    for cte in clause.expressions if clause else ():
        name = fold(cte.alias)
        renamed = [fold(c) for c in cte.alias_column_names]
        if clause.recursive and _mentions(cte.this, name):
            query = _recursive(cte, found, outer, reading)
        else:
            query = _query(cte.this, found, outer, reading)
        found[name] = _renamed(query, renamed)
    return found


def _renamed(query: Query, names: Sequence[str]) -> Query:
    if not names or query.outputs is None:
        return query
    given = [*names, *(o.name for o in query.outputs[len(names) :])]
    outputs = [Output(n, o.value, o.influence) for n, o in zip(given, query.outputs, strict=False)]
    return Query(outputs, query.rows, query.everything())


def _mentions(node: exp.Expr, name: str) -> bool:
    from sqlglot import exp

    return any(fold(table.name) == name for table in node.find_all(exp.Table))


def _recursive(cte: exp.CTE, ctes: Environment, outer: Scope | None, reading: Reading) -> Query:
    """A CTE that reads itself: each of its columns may come of all that the first part gives."""
    from sqlglot import exp

    first = cte.this
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    base = _renamed(_query(first, ctes, outer, reading), [fold(c) for c in cte.alias_column_names])
    mixed = [Output(o.name, base.all_values(), base.everything()) for o in base.outputs or ()]
    itself = Query(None if base.outputs is None else mixed, base.rows, base.everything())
    whole = _query(cte.this, {**ctes, fold(cte.alias): itself}, outer, reading)
    outputs = [Output(o.name, o.value, o.influence | whole.everything()) for o in whole.outputs or ()]
    return Query(None if whole.outputs is None else outputs, whole.rows, whole.everything())


def _union(node: exp.Expr, ctes: Environment, outer: Scope | None, reading: Reading) -> Query:
    """UNION, EXCEPT, INTERSECT: columns by place, or by name."""
    from sqlglot import exp

    branches: list[Query] = []
    queue = [node]
    by_name = bool(node.args.get("by_name"))
    filters = NONE
    while queue:  # a long chain of UNION ALL leans to the left
        branch = queue.pop()
        if isinstance(branch, exp.SetOperation) and not (branch is not node and _has_own_clauses(branch)):
            queue += [branch.expression, branch.this]
            by_name = by_name or bool(branch.args.get("by_name"))
            filters |= frozenset({(ROWS, ROWS)}) if not isinstance(branch, exp.Union) else NONE
        else:
            branches.append(_query(branch, ctes, outer, reading))
    everything = NONE.union(*(b.everything() for b in branches))
    rows = NONE.union(*(b.rows for b in branches)) | (everything if filters else NONE)
    if any(b.outputs is None for b in branches):
        return Query(None, rows, everything)
    outputs = [_merged(name, found, rows) for name, found in _aligned(branches, by_name=by_name)]
    return Query(outputs, rows, everything)


def _has_own_clauses(node: exp.Expr) -> bool:
    return any(node.args.get(k) for k in ("with_", "order", "limit", "offset"))


def _aligned(branches: Sequence[Query], *, by_name: bool) -> Iterator[tuple[str, list[Output]]]:
    if by_name:
        names = dict.fromkeys(o.name for b in branches for o in b.outputs or ())
        for name in names:
            yield name, [o for b in branches for o in b.outputs or () if o.name == name]
    else:
        for index, first in enumerate(branches[0].outputs or ()):
            yield first.name, [b.outputs[index] for b in branches if b.outputs and index < len(b.outputs)]


def _merged(name: str, found: Sequence[Output], rows: Pairs) -> Output:
    """One column of a union. Where the branches differ, a value also tells which branch its row is from."""
    value = NONE.union(*(o.value for o in found))
    influence = NONE.union(*(o.influence for o in found))
    same = all(o.value == found[0].value and o.value for o in found)
    return Output(name, value, influence if same else influence | rows)


def _limited(query: Query, node: exp.Expr, ctes: Environment, outer: Scope | None, reading: Reading) -> Query:
    """ORDER BY and LIMIT over a union or a query in parentheses."""
    order = node.args.get("order")
    names = set(query.names or ())
    given = NONE
    for expression in order.expressions if order else ():
        given |= _loose(expression, ctes, outer, reading, known=names if query.outputs is not None else None)
    if not (node.args.get("limit") or node.args.get("offset")):
        return query
    rows = query.rows | query.everything() | given
    return Query(query.outputs, rows, query.everything() | rows)


def _loose(
    node: exp.Expr, ctes: Environment, outer: Scope | None, reading: Reading, known: set[str] | None = None
) -> Pairs:
    """Names outside any SELECT: nothing is in reach but ``known`` names and outer queries."""
    from sqlglot import exp

    found = NONE
    for column in node.find_all(exp.Column):
        if known is not None and fold(column.name) not in known and outer is None and not column.table:
            owner = "the result"
            reading.errors.append(unknown_column(column, owner, sorted(known), reading.where))
    for table in node.find_all(exp.Table):
        name = fold(table.name)
        if name in ctes:
            found |= ctes[name].everything()
        elif table.name in reading.schemas:
            reading.read(table.name, ALL)
            found |= frozenset({(table.name, ALL), (table.name, ROWS)})
        else:
            raise no_relation(table, reading)
    return found | (outer.all_in_reach() if outer is not None else NONE)
