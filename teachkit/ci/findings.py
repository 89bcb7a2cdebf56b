"""What is wrong, or changes labels, and where: what servers show beside the lines of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.ci.result import Finding
from teachkit.errors import LockedDiffers, ProjectErrors, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.build.run import NodeResult, Run
    from teachkit.ci.result import Level
    from teachkit.diff import Diff
    from teachkit.errors import TeachkitError

_LEVEL: dict[str, Level] = {"failed": "error", "error": "error", "warned": "warning"}


def of_error(error: TeachkitError) -> tuple[Finding, ...]:
    """An error, or each of several."""
    errors = error.errors if isinstance(error, ProjectErrors) else [error]
    return tuple(Finding("error", e.slug, _text(e), _place(e), e) for e in errors)


def of_run(run: Run) -> tuple[Finding, ...]:
    """Nodes and tests that failed or warned, and what failed the build as a whole."""
    found = [f for result in run.results if result.status in _LEVEL for f in _of_result(result)]
    return (*found, *(of_error(run.error) if run.error is not None else ()))


def _of_result(result: NodeResult) -> Iterator[Finding]:
    if result.error is None:
        yield Finding(_LEVEL[result.status], result.id, f"{result.id}: {result.message}", result.where)
        return
    for one in of_error(result.error):
        yield Finding("error", result.id, f"{result.id}: {one.message}", one.where or result.where, one.error)


def of_diff(diff: Diff) -> tuple[Finding, ...]:
    """At each definition that was changed: how many labels it changes."""
    said: dict[str, list[str]] = {}
    for label_set in diff.label_sets:
        for cause in label_set.causes:
            counts = ((cause.flips, "flip"), (cause.gained, "appear"), (cause.lost, "vanish"))
            words = [f"{_labels(n)} {verb}{'s' if n == 1 else ''}" for n, verb in counts if n]
            if words:
                said.setdefault(cause.node, []).append(f"{label_set.name}: {', '.join(words)}")
    places = {c.node: Where(c.path, c.line) for c in diff.changes if c.change != "removed"}
    return tuple(
        Finding("notice", node, f"{node} changes labels. {'; '.join(words)}", places[node])
        for node, words in said.items()
        if node in places
    )


def _labels(number: int) -> str:
    return f"{number:,} label" if number == 1 else f"{number:,} labels"


def _place(error: TeachkitError) -> Where | None:
    return Where("teachkit.lock") if error.where is None and isinstance(error, LockedDiffers) else error.where


def _text(error: TeachkitError) -> str:
    return f"{error.message}\n{error.advice}" if error.advice else error.message
