"""Python of a project, read without running it."""

from teachkit.graph.python.files import project_modules, python_text
from teachkit.graph.python.meaning import Meaning, PythonFile
from teachkit.graph.python.modules import Modules, parse_python
from teachkit.graph.python.source import PythonLF, package_versions, read_python

__all__ = [
    "Meaning",
    "Modules",
    "PythonFile",
    "PythonLF",
    "package_versions",
    "parse_python",
    "project_modules",
    "python_text",
    "read_python",
]
