"""GitHub Actions: annotations by workflow commands, the job's summary, outputs of the step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from teachkit.ci.result import Ci, Finding


def is_here(environment: Mapping[str, str]) -> bool:
    """Whether this runs in GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def workflow_commands(done: Ci) -> Iterator[str]:
    """A line for each finding; GitHub shows ten of each level beside the change, so errors come first."""
    for finding in done.findings:
        properties = ",".join(f"{k}={_property(v)}" for k, v in _properties(done, finding))
        yield f"::{finding.level} {properties}::{_data(finding.message)}"


def hand_over(done: Ci, comment: Path, environment: Mapping[str, str]) -> None:
    """Append to the job's summary and to the outputs of the step, where the runner names files for them."""
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        _append(summary, "\n".join(_summary(done, comment.read_text(encoding="utf-8"))) + "\n")
    if outputs := environment.get("GITHUB_OUTPUT"):
        workspace = environment.get("GITHUB_WORKSPACE")
        place = comment.resolve()
        if workspace and place.is_relative_to(Path(workspace).resolve()):
            place = place.relative_to(Path(workspace).resolve())
        changed = "false" if done.changed is False else "true"
        _append(outputs, f"comment={place.as_posix()}\nchanged={changed}\n")


def _properties(done: Ci, finding: Finding) -> Iterator[tuple[str, str]]:
    where, path = finding.where, done.path(finding)
    if where is not None and path is not None:
        yield "file", path
        if where.line is not None:
            yield "line", str(where.line)
            if where.column is not None:
                yield "col", str(where.column)
    yield "title", finding.check


def _summary(done: Ci, comment: str) -> Iterator[str]:
    yield from ("| step | result | seconds |", "|---|---|--:|")
    for step in done.steps:
        yield f"| {step.name} | {step.status} | {step.seconds:.1f} |"
    yield from ("", comment)


def _append(file: str, text: str) -> None:
    with Path(file).open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
