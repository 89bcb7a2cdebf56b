"""SQL, understood without running it: canonical form, columns read and offered, where each comes from."""

from teachkit.graph.names import fold, literal, quote
from teachkit.graph.sql.tables import ALL, ROWS, Columns
from teachkit.graph.sql.text import canonical, trimmed
from teachkit.graph.sql.understand import (
    Expression,
    Select,
    check_labels,
    check_results,
    is_select,
    parse_one,
    pretty,
    understand_expression,
    understand_select,
)

__all__ = [
    "ALL",
    "ROWS",
    "Columns",
    "Expression",
    "Select",
    "canonical",
    "check_labels",
    "check_results",
    "fold",
    "is_select",
    "literal",
    "parse_one",
    "pretty",
    "quote",
    "trimmed",
    "understand_expression",
    "understand_select",
]
