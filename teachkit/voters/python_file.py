"""A Python file of the project, run in this process: what a project names by file and name."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

from teachkit.hashing import digest

if TYPE_CHECKING:
    from pathlib import Path


def load_file(root: Path, path: str) -> types.ModuleType:
    """Run ``path`` below the project's folder ``root`` and return its names; the project's own modules are importable.

    Raises whatever the file raises.
    """
    module = types.ModuleType(f"teachkit_file_{digest(path)[:8]}")
    module.__file__ = str(root / path)
    source = (root / path).read_text(encoding="utf-8-sig")
    code = compile(source, module.__file__, "exec")  # as it stands: no bytecode of an earlier edit
    sys.path.insert(0, str(root))
    try:
        exec(code, module.__dict__)
    finally:
        sys.path.remove(str(root))
    return module
