"""A command in a process of its own that dies, as with ``kill -9``, when a file gets its final name."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sandbox import Sandbox

_SCRIPT = """
import os, pathlib, sys
from teachkit.cli.app import run

exec(sys.argv[3])
real, seen, wanted = pathlib.Path.replace, 0, int(sys.argv[1])

def replace(self, target):
    global seen
    if sys.argv[4] not in str(target):
        return real(self, target)
    seen += 1
    if seen == wanted and sys.argv[2] == "before":
        os.kill(os.getpid(), 9)
    found = real(self, target)
    if seen == wanted:
        os.kill(os.getpid(), 9)
    return found

pathlib.Path.replace = replace
code = run([*sys.argv[5:], "--quiet"])
print(seen)
sys.exit(code)
"""


def run_and_die(
    sandbox: Sandbox, *arguments: str, number: int, moment: str = "after", within: str = "", first: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command until the ``number``-th file ``within`` a path gets its name, and die ``before`` or ``after`` that.

    A number that is not reached lets it end: it prints how many there were. ``first`` is Python that is run before.
    """
    command = [sys.executable, "-c", _SCRIPT, str(number), moment, first, within, *arguments]
    return subprocess.run(command, cwd=sandbox.root, env=sandbox.environ(), capture_output=True, text=True, check=False)
