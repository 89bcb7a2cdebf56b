"""From the project's files to a graph with final fingerprints. No data is touched here."""

from teachkit.graph.compile import compile_graph
from teachkit.graph.label_sets import LABEL_SET_COLUMNS
from teachkit.graph.memo import Memo, NoMemo
from teachkit.graph.node import FUNCTIONS, Graph, LabelSetSpec, Node, TaskInfo
from teachkit.graph.select import find_node, find_task, select
from teachkit.graph.sql import literal, pretty, quote

__all__ = [
    "FUNCTIONS",
    "LABEL_SET_COLUMNS",
    "Graph",
    "LabelSetSpec",
    "Memo",
    "NoMemo",
    "Node",
    "TaskInfo",
    "compile_graph",
    "find_node",
    "find_task",
    "literal",
    "pretty",
    "quote",
    "select",
]
