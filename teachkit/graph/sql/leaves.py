"""The parts of an expression: what it names, what it holds, what its column is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.errors import TeachkitError, UnknownColumn, Where, did_you_mean, listing
from teachkit.graph.names import fold
from teachkit.graph.sql.refusals import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import exp


def leaves(node: exp.Expr, local: frozenset[str] = frozenset()) -> Iterator[tuple[Any, frozenset[str]]]:
    """Columns, stars and queries in an expression, each with the names that a lambda or comprehension binds there."""
    from sqlglot import exp

    stack = [(node, local)]
    while stack:
        current, bound = stack.pop()
        match current:
            case exp.Subquery() | exp.Select() | exp.SetOperation():
                yield current, bound
                continue
            case exp.Column():
                yield current, bound
                continue
            case exp.Count(this=exp.Star(args=args)) if not any(args.values()):
                continue
            case exp.Columns():
                yield current, bound
                continue
            case exp.Dot() if (named := _dotted(current)) is not None:
                yield named, bound
                stack += [(n, bound) for n in current.flatten() if not isinstance(n, exp.Identifier)]
                continue
            case exp.Identifier() if _is_bare_column(current):
                yield exp.Column(this=current.copy()), bound
                continue
            case exp.Star():
                yield current, bound
            case exp.Lambda():
                bound |= {fold(p.name) for p in current.expressions}
            case exp.Comprehension():
                bound |= {fold(p.name) for p in [current.expression, current.args.get("position")] if p is not None}
        stack += [(child, bound) for child in reversed(parts_of(current))]


def _dotted(node: exp.Dot) -> exp.Column | None:
    """The column at the start of ``a.b.upper().c``, which sqlglot leaves as bare names."""
    from sqlglot import exp

    names: list[exp.Identifier] = []
    for part in node.flatten():
        if not isinstance(part, exp.Identifier):
            break
        names.append(part.copy())
    if not names:
        return None
    return exp.Column(**dict(zip(("this", "table", "db", "catalog"), reversed(names[:4]), strict=False)))


def _is_bare_column(node: exp.Identifier) -> bool:
    """Whether a bare name is a column: before ``.upper()`` sqlglot leaves them so at any depth, as in ``(a || b)``."""
    from sqlglot import exp

    names_a_field = isinstance(node.parent, exp.Dot) and node.arg_key == "expression"
    names_an_argument = isinstance(node.parent, exp.PropertyEQ | exp.Kwarg) and node.arg_key == "this"
    is_no_value = isinstance(node.parent, exp.DataType | exp.Collate)
    return not (names_a_field or names_an_argument or is_no_value) and node.find_ancestor(exp.Dot) is not None


def parts_of(node: exp.Expr) -> list[exp.Expr]:
    """The expressions that a node holds, its alias left out."""
    from sqlglot import exp

    found: list[exp.Expr] = []
    for key, value in node.args.items():
        if key not in ("alias", "with_", "joins", "pivots"):
            found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, exp.Expr)]
    return found


def own_nodes(node: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of an expression, those of queries in it left out."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack += [c for c in parts_of(current) if c.key not in ("select", "union", "except", "intersect", "subquery")]


def spreads(projection: exp.Expr) -> bool:
    """Whether one entry after SELECT may give several columns."""
    from sqlglot import exp

    for node, _ in leaves(projection):
        if isinstance(node, exp.Columns | exp.Star) or (
            isinstance(node, exp.Column) and isinstance(node.this, exp.Star)
        ):
            return True
    inner = projection.unalias()
    return inner is projection and isinstance(inner, exp.Explode | exp.Unnest)


def output_name(projection: exp.Expr) -> str:
    """The name that DuckDB gives a column; empty where it makes one up from the expression."""
    from sqlglot import exp

    while isinstance(projection, exp.Paren):
        projection = projection.this
    if isinstance(projection, exp.Alias):
        return fold(projection.alias)
    if isinstance(projection, exp.Column):
        return fold(projection.name)
    if isinstance(projection, exp.Dot) and isinstance(projection.expression, exp.Identifier):
        return fold(projection.expression.name)
    return ""


def unknown_column(
    node: exp.Expr, owner: str, known: Sequence[str], where: Where, name: str | None = None
) -> TeachkitError:
    """``UnknownColumn`` at the place of a node."""
    written = next((p for p in getattr(node, "parts", [node]) if fold(p.name) == name), node)
    shown = written.name or name or ""
    known = list(dict.fromkeys(known))
    return UnknownColumn(
        place(written, where), column=shown, owner=owner, known=listing(known, 30), hint=did_you_mean(shown, known)
    )
