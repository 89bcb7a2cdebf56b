"""GitLab CI: a Code Quality report, shown in a merge request beside the JUnit report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.ci.result import Ci

_SEVERITY = {"error": "critical", "warning": "minor", "notice": "info"}


def is_here(environment: Mapping[str, str]) -> bool:
    """Whether this runs in GitLab CI."""
    return environment.get("GITLAB_CI") == "true"


def code_quality(done: Ci) -> str:
    """The findings in GitLab's format; one without a place stands at ``teachkit.yml``, as a place is required."""
    found, seen = [], dict[str, int]()
    for finding in done.findings:
        path = done.path(finding) or f"{done.prefix}teachkit.yml"
        line = finding.where.line if finding.where and finding.where.line else 1
        mark = digest([finding.check, finding.message, path])  # no line: a problem that moves is the same problem
        seen[mark] = seen.get(mark, 0) + 1
        found.append(
            {
                "description": finding.message,
                "check_name": finding.check,
                "fingerprint": mark if seen[mark] == 1 else digest([mark, seen[mark]]),
                "severity": _SEVERITY[finding.level],
                "location": {"path": path, "lines": {"begin": line}},
            }
        )
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
