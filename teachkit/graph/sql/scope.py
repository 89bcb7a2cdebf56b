"""One SELECT: what is in its FROM, what its names mean, what its columns are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadSql, TeachkitError, listing
from teachkit.graph.names import fold
from teachkit.graph.sql.leaves import leaves, output_name, own_nodes, parts_of, spreads, unknown_column
from teachkit.graph.sql.refusals import check_table_function, is_aggregate, makes_rows, place
from teachkit.graph.sql.tables import ALL, NONE, ROWS, Computed, Inner, Output, Pairs, Query, Reading, Relation, Table

if TYPE_CHECKING:
    from sqlglot import exp

Environment = Mapping[str, Query]
Resolve = Callable[["exp.Expr", Environment, "Scope | None", Reading], Query]


class Scope:
    """One SELECT: what is in its FROM, and what its names mean."""

    def __init__(
        self, node: exp.Select, ctes: Environment, outer: Scope | None, reading: Reading, resolve: Resolve
    ) -> None:
        """Resolve FROM; ``resolve`` is asked for the queries inside."""
        self.node = node
        self._resolve = resolve
        self.ctes = ctes
        self.outer = outer
        self.reading = reading
        self.tables: list[Table] = []
        self.merged: set[str] = set()  # columns that USING or NATURAL make one
        self.hidden: list[Table] = []  # right sides of semi and anti joins
        self._conditions = NONE  # what joins are made on, and the rows of what is joined
        self._mixed = False  # whether a join also chooses the rows of the first relation
        self._nested: dict[int, Query] = {}
        self._chosen: Pairs | None = None
        self._aliases: dict[str, exp.Expr] = {}
        self._open: set[str] = set()
        self._fill()

    # -- FROM

    def _fill(self) -> None:
        from sqlglot import exp

        clause = self.node.args.get("from_")
        if clause is not None:
            self._add(clause.this, None)
        for join in self.node.args.get("joins") or ():
            self._join(join)
        for lateral in self.node.args.get("laterals") or ():
            self._add(lateral, None)
        for projection in self.node.expressions:
            if isinstance(projection, exp.Alias):
                self._aliases.setdefault(fold(projection.alias), projection.this)
        if len(self.tables) > 1:
            self._join_by_clauses()

    def _join_by_clauses(self) -> None:
        """Which rows meet is also decided by WHERE (``from a, b where a.x = b.x``) and by choosing among the pairs."""
        from sqlglot import exp

        met = self._conditions | NONE.union(*(t.rows() for t in self.tables))
        where = self.node.args.get("where")
        for condition in where.this.flatten() if where is not None and isinstance(where.this, exp.And) else [where]:
            if condition is not None and self._touches_joined(condition):
                met |= self._clause("where", condition)
        for key in ("qualify", "distinct", "order"):
            clause = self.node.args.get(key)
            if clause is not None:
                met |= self._clause(key, clause)
        for table in self.tables[0 if self._mixed else 1 :]:
            table.joined |= met

    def _touches_joined(self, condition: exp.Expr) -> bool:
        from sqlglot import exp

        for node, local in leaves(condition):
            if not isinstance(node, exp.Column):
                return True
            parts = [fold(p.name) for p in node.parts]
            if parts[0] in local:
                continue
            table = self._table(parts[0]) if len(parts) > 1 else None
            if table is not self.tables[0] if table is not None else any(t.has(parts[0]) for t in self.tables[1:]):
                return True
        return False

    def _join(self, join: exp.Join) -> None:
        before = list(self.tables)
        self._add(join.this, join)
        new = [t for t in self.tables if t not in before]
        on = join.args.get("on")
        condition = self._pairs(on)[1] if on is not None else NONE
        using = [fold(c.name) for c in join.args.get("using") or ()]
        if str(join.args.get("method") or "").upper() == "NATURAL":
            using = [c for t in new for c in t.columns or () if any(c in (b.columns or ()) for b in before)]
            if any(t.columns is None for t in self.tables):
                condition |= NONE.union(*(t.influence(ALL) for t in self.tables))
        for name in using:
            self._check_using(name, before, new, join)
            condition |= NONE.union(*(t.influence(name) for t in self.tables if t.has(name)))
        self.merged |= set(using)
        self._conditions |= condition | NONE.union(*(t.rows() for t in new))
        kind, side, method = (str(join.args.get(k) or "").upper() for k in ("kind", "side", "method"))
        self._mixed |= side in ("RIGHT", "FULL") or method in ("POSITIONAL", "ASOF")
        if kind in ("SEMI", "ANTI"):
            self.tables = before
            self.hidden += new

    def _check_using(self, name: str, before: Sequence[Table], new: Sequence[Table], join: exp.Join) -> None:
        for side in (before, new):
            if not any(t.has(name) for t in side):
                known = [c for t in side for c in t.columns or ()]
                identifier = next(c for c in join.args["using"] if fold(c.name) == name)
                owner = " and ".join(sorted(f"'{_shown(t)}'" for t in side))
                self.reading.errors.append(unknown_column(identifier, owner, known, self.reading.where))

    def _add(self, node: exp.Expr, join: exp.Join | None) -> None:
        from sqlglot import exp

        if isinstance(node, exp.Table):
            self._add_table(node)
        elif isinstance(node, exp.Subquery):
            self._add_subquery(node)
        elif isinstance(node, exp.Lateral | exp.Unnest):
            self._add_lateral(node)
        else:
            renamed = [fold(c) for c in getattr(node, "alias_column_names", [])]
            given, _ = self._pairs_of(parts_of(node))
            self.tables.append(Computed(fold(node.alias), renamed or None, given))
        for inner in node.args.get("joins") or ():
            self._join(inner)

    def _add_table(self, node: exp.Table) -> None:
        from sqlglot import exp

        alias = fold(node.alias_or_name)
        renamed = [fold(c) for c in node.alias_column_names]
        if not isinstance(node.this, exp.Identifier):
            check_table_function(node, self.reading.sql, self.reading.where)
            given, influence = self._pairs_of([node.this])
            self.tables.append(Computed(alias, renamed or None, given, influence))
            return
        name = fold(node.name)
        if node.args.get("when") or node.db or node.catalog:
            raise no_relation(node, self.reading)
        table: Table
        if name in self.ctes:
            table = Inner(alias, self.ctes[name], renamed)
        elif node.name in self.reading.schemas:
            columns = self.reading.schemas[node.name]
            known = None if columns is None else [fold(c) for c in columns]
            shown = None if known is None else [*renamed, *known[len(renamed) :]]
            table = Relation(alias, shown, node.name, known, self.reading)
            table.rows()
        else:
            raise no_relation(node, self.reading)
        self.tables.append(self._pivoted(table, node))

    def _add_subquery(self, node: exp.Subquery) -> None:
        from sqlglot import exp

        inner = node.this
        if isinstance(inner, exp.Table) and not node.alias:  # FROM (a JOIN b)
            before = len(self.tables)
            self._add(inner, None)
            self.tables[before:] = [self._pivoted(t, node) for t in self.tables[before:]]
            return
        renamed = [fold(c) for c in node.alias_column_names]
        query = self._resolve(node, self.ctes, self, self.reading)
        self.tables.append(self._pivoted(Inner(fold(node.alias), query, renamed), node))

    def _add_lateral(self, node: exp.Lateral | exp.Unnest) -> None:
        from sqlglot import exp

        renamed = [fold(c) for c in node.alias_column_names]
        alias = fold(node.alias)
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            self.tables.append(Inner(alias, self._resolve(node.this, self.ctes, self, self.reading), renamed))
            return
        given, influence = self._pairs_of(parts_of(node))
        self.tables.append(Computed(alias, renamed or None, given, influence))

    def _pivoted(self, table: Table, node: exp.Expr) -> Table:
        """A relation behind (UN)PIVOT: its columns are others, made of all that it has."""
        pivots = node.args.get("pivots")
        if not pivots:
            return table
        alias = fold(pivots[-1].alias) or table.alias
        return Computed(alias, None, table.influence(ALL), table.rows())

    # -- names

    def _pairs(self, node: exp.Expr) -> tuple[Pairs, Pairs]:
        """(value, influence) of an expression."""
        value = influence = NONE
        for found in leaves(node):
            v, i = self._leaf(*found)
            value |= v
            influence |= i
        if _sees_other_rows(node):
            influence |= self._grouping()
        return value, influence

    def _pairs_of(self, nodes: Sequence[exp.Expr]) -> tuple[Pairs, Pairs]:
        return _both([self._pairs(n) for n in nodes])

    def _leaf(self, node: Any, local: frozenset[str]) -> tuple[Pairs, Pairs]:
        from sqlglot import exp

        if isinstance(node, exp.Query):
            if id(node) not in self._nested:
                self._nested[id(node)] = self._resolve(node, self.ctes, self, self.reading)
            query = self._nested[id(node)]
            return query.all_values(), query.everything()
        if isinstance(node, exp.Star | exp.Columns):
            return self._all(self.tables)
        if isinstance(node.this, exp.Star):
            named = self._table(fold(node.table))
            if named is not None:
                return self._all([named])
            return self._name(node, [fold(node.table)], local)
        return self._name(node, [fold(p.name) for p in node.parts], local)

    def _name(self, node: exp.Expr, parts: Sequence[str], local: frozenset[str]) -> tuple[Pairs, Pairs]:
        """What ``a``, ``t.a`` or ``a.field`` means: in this query, else in the ones around it."""
        if parts[0] in local:
            return NONE, NONE
        scope: Scope | None = self
        while scope is not None:
            found = scope._here(node, parts)
            if found is not None:
                return found
            scope = scope.outer
        self._unknown(node, parts)
        return NONE, NONE

    def _here(self, node: exp.Expr, parts: Sequence[str]) -> tuple[Pairs, Pairs] | None:
        table = self._table(parts[0])
        real = any(parts[0] in (t.columns or ()) for t in self.tables)
        if table is not None and len(parts) > 1 and (table.has(parts[1]) or not real):
            return self._of(table, parts[1]) if table.has(parts[1]) else self._missing(node, table, parts[1])
        found = [self._of(t, parts[0]) for t in self.tables if t.has(parts[0])]
        if parts[0] in self._aliases and parts[0] not in self._open:
            self._open.add(parts[0])
            value, influence = self._pairs(self._aliases[parts[0]])
            self._open.discard(parts[0])
            found.append((NONE if real else value, influence))
        if table is not None and not real:
            found.append(self._all([table]))  # a row as a value
        return _both(found) if found else None

    def _missing(self, node: exp.Expr, table: Table, name: str) -> tuple[Pairs, Pairs]:
        known = list(table.columns or ())
        self.reading.errors.append(unknown_column(node, f"'{_shown(table)}'", known, self.reading.where, name=name))
        return NONE, NONE

    def _table(self, alias: str) -> Table | None:
        return next((t for t in (*self.tables, *self.hidden) if t.alias == alias), None)

    def _of(self, table: Table, name: str) -> tuple[Pairs, Pairs]:
        return table.value(name), table.influence(name) | table.joined

    def _all(self, tables: Sequence[Table]) -> tuple[Pairs, Pairs]:
        return _both([self._of(t, n) for t in tables for n in t.names()])

    def all_in_reach(self) -> Pairs:
        """All that any name in this query, or around it, can mean."""
        return self._all(self.tables)[1] | (self.outer.all_in_reach() if self.outer is not None else NONE)

    def _unknown(self, node: exp.Expr, parts: Sequence[str]) -> None:
        known = [c for t in self.tables for c in t.columns or ()]
        owner = " and ".join(dict.fromkeys(f"'{_shown(t)}'" for t in self.tables)) or "a SELECT without FROM"
        if len(parts) > 1:
            problem = f"neither a relation nor a column is called '{parts[0]}' here"
            advice = f"relations: {listing(t.alias for t in self.tables)}; columns: {listing(known, 30)}"
            start = place(getattr(node, "parts", [node])[0], self.reading.where)
            self.reading.errors.append(BadSql(start, problem=problem, advice=advice))
            return
        self.reading.errors.append(unknown_column(node, owner, known, self.reading.where, name=parts[0]))

    # -- the whole

    def query(self) -> Query:
        """The query's columns and what chooses its rows."""
        rows = self._rows()
        outputs: list[Output] | None = []
        loose = NONE
        for projection in self.node.expressions:
            found = self._outputs(projection)
            if found is None:
                loose |= self._pairs(projection)[1]
                outputs = None
            elif outputs is not None:
                outputs += found
            else:
                loose |= NONE.union(*(o.influence for o in found))
        everything = rows | loose | NONE.union(*(o.influence for o in outputs or ()))
        return Query(outputs, rows, everything)

    def _outputs(self, projection: Any) -> list[Output] | None:
        """The columns that one entry after SELECT gives; None where only DuckDB knows them."""
        from sqlglot import exp

        star = projection.this if isinstance(projection, exp.Column) else projection
        if isinstance(star, exp.Star):
            return self._star(star, fold(projection.table) if star is not projection else None)
        if spreads(projection):
            return None
        value, influence = self._pairs(projection)
        return [Output(output_name(projection), value, influence)]

    def _star(self, star: exp.Star, alias: str | None) -> list[Output] | None:
        tables = self.tables if alias is None else [t for t in [self._table(alias)] if t is not None]
        if not tables and alias is not None:
            self._name(star.parent or star, [alias], frozenset())
            return None  # the fields of a struct
        replaced = {fold(a.alias): self._pairs(a.this) for a in star.args.get("replace") or ()}
        renamed = {fold(a.this.name): fold(a.alias) for a in star.args.get("rename") or ()}
        left_out = {fold(c.name) for c in star.args.get("except_") or ()}
        self._check_star(star, tables)
        if any(t.columns is None for t in tables):
            return None
        outputs = []
        merged: set[str] = set()
        for table in tables:
            for name in table.columns or ():
                if name in left_out or (name in merged and alias is None):
                    continue
                if name in self.merged:
                    merged.add(name)
                value, influence = replaced.get(name) or self._star_column(table, name, alias)
                outputs.append(Output(renamed.get(name, name), value, influence))
        return outputs

    def _star_column(self, table: Table, name: str, alias: str | None) -> tuple[Pairs, Pairs]:
        if alias is None and name in self.merged:
            return _both([self._of(t, name) for t in self.tables if t.has(name)])
        return self._of(table, name)

    def _check_star(self, star: exp.Star, tables: Sequence[Table]) -> None:
        named = [*(star.args.get("except_") or ()), *(a.this for a in star.args.get("rename") or ())]
        named += [a.args["alias"] for a in star.args.get("replace") or ()]
        for node in named:
            if not any(t.has(fold(node.name)) for t in tables):
                self._unknown(node, [fold(node.name)])

    def _rows(self) -> Pairs:
        """All that decides which rows the query has."""
        if self._chosen is None:
            rows = self._conditions | NONE.union(*(t.rows() for t in (*self.tables, *self.hidden)))
            for key in ("where", "group", "having", "qualify", "windows", "distinct", "order", "limit", "offset"):
                clause = self.node.args.get(key)
                for node in clause if isinstance(clause, list) else [clause] if clause is not None else []:
                    rows |= self._clause(key, node)
            if any(makes_rows(n) for p in self.node.expressions for n in own_nodes(p)):
                rows |= self._of_projections()
            self._chosen = rows
        return self._chosen

    def _clause(self, key: str, node: exp.Expr) -> Pairs:
        """All that a clause looks at; an ORDER BY alone chooses nothing, but what it names must be there."""
        from sqlglot import exp

        influence = NONE.union(*(self._leaf(*found)[1] for found in leaves(node)))
        if key in ("group", "order", "distinct") and (node.args.get("all") or node.find(exp.Literal, exp.Var)):
            influence |= self._of_projections()  # by place, or by all
        chooses = key != "order" or self.node.args.get("limit") or self.node.args.get("distinct")
        return influence if chooses else NONE

    def _of_projections(self) -> Pairs:
        return NONE.union(*(self._leaf(*found)[1] for p in self.node.expressions for found in leaves(p)))

    def _grouping(self) -> Pairs:
        """What an aggregate or a window sees beside its arguments: the rows that there are."""
        if ROWS in self._open:
            return NONE
        self._open.add(ROWS)
        found = self._rows() | NONE.union(*(t.joined for t in self.tables))
        self._open.discard(ROWS)
        return found


def _both(found: Sequence[tuple[Pairs, Pairs]]) -> tuple[Pairs, Pairs]:
    return NONE.union(*(v for v, _ in found)), NONE.union(*(i for _, i in found))


def _sees_other_rows(node: exp.Expr) -> bool:
    """Whether an expression holds an aggregate or a window of its own query."""
    return any(n.key == "window" or is_aggregate(n) for n in own_nodes(node))


def no_relation(table: exp.Table, reading: Reading) -> TeachkitError:
    name = table.name
    advice = f"write ref('{name}') for a transform, or source('…', '{name}') for a table of a source, in {{{{ }}}}"
    return BadSql(place(table, reading.where), problem=f"'{name}' is no relation of this project", advice=advice)


def _shown(table: Table) -> str:
    return table.node.partition(".")[2] if isinstance(table, Relation) else table.alias or "the subquery"
