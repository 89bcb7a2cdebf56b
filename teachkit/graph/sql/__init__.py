"""SQL, understood without running it: canonical form, columns read and offered, where each comes from."""

from teachkit.graph.names import fold, literal, quote
from teachkit.graph.sql.tables import ALL, ROWS, Columns
from teachkit.graph.sql.text import canonical, trimmed
from teachkit.graph.sql.understand import (
    CONDITION,
    NO_CONDITION,
    Expression,
    Select,
    check_labels,
    check_results,
    check_source,
    is_select,
    names_in,
    not_fixed,
    parse_one,
    pretty,
    understand_expression,
    understand_select,
)

__all__ = [
    "ALL",
    "CONDITION",
    "NO_CONDITION",
    "ROWS",
    "Columns",
    "Expression",
    "Select",
    "canonical",
    "check_labels",
    "check_results",
    "check_source",
    "fold",
    "is_select",
    "literal",
    "names_in",
    "not_fixed",
    "parse_one",
    "pretty",
    "quote",
    "trimmed",
    "understand_expression",
    "understand_select",
]
