"""Lines that correct judgments: appended to their file, they stand in the place of what was said before."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadAnnotation, writable
from teachkit.voters.annotations import csv_form, latest, read_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from teachkit.graph.node import TaskInfo
    from teachkit.project.models import AnnotationMeta
    from teachkit.voters.annotations import Entry


class Corrections:
    """Corrections of the judgments of one file, which is given as to ``read_judgments``."""

    def __init__(self, text: str, path: str, name: str, meta: AnnotationMeta, task: TaskInfo) -> None:
        self.path, self.name, self.meta, self.task = path, name, meta, task
        self.header: list[str] | None = None
        if not path.lower().endswith(".jsonl"):
            self.delimiter, self.header = csv_form(text, meta)
        self.said = self._read(text)

    def line(self, item: str, annotator: str, labels: Sequence[str]) -> str | None:
        """The same person's later judgment, in the form of the file; None where no appended line would stand.

        When the correction is made is not known here: its time is a second after all that was said before. Where
        nothing has a time, nothing is later.
        """
        before = self.said.get((item, annotator), [])
        at = _later(before)
        if at is None:
            return None
        row = {"item": item, "label": self._answer(labels), "annotator": annotator, "at": at}
        line = self._written({self.meta.columns.get(key, key): value for key, value in row.items()})  # type: ignore[call-overload]
        shown = "\n" not in line and writable(line) == line
        return line if shown and self._stands(line, item, annotator, labels) else None

    def _answer(self, labels: Sequence[str]) -> Any:
        """Labels as the file writes them."""
        values = self.meta.values or {}
        written = [next((value for value, meant in values.items() if meant == label), label) for label in labels]
        if not self.task.multi:
            return written[0]
        return written if self.header is None else "|".join(str(value) for value in written)

    def _written(self, row: dict[str, Any]) -> str:
        if self.header is None:
            return json.dumps(row, ensure_ascii=False)
        return self._csv_line([row.get(name, "") for name in self.header])

    def _stands(self, line: str, item: str, annotator: str, labels: Sequence[str]) -> bool:
        """Whether the line is read as it is meant, and is what counts of all that was said."""
        title = [] if self.header is None else [self._csv_line(self.header)]
        found = self._read("\n".join([*title, line]))
        if [*found] != [(item, annotator)]:
            return False
        (entry,) = found[item, annotator]
        try:
            stands = latest([*self.said[item, annotator], entry], self.path)
        except BadAnnotation:
            return False
        return stands is entry and entry.judgment.labels == tuple(labels)

    def _csv_line(self, fields: Sequence[Any]) -> str:
        written = io.StringIO()
        csv.writer(written, delimiter=self.delimiter, lineterminator="").writerow(fields)
        return written.getvalue()

    def _read(self, text: str) -> dict[tuple[str, str], list[Entry]]:
        return read_entries(text, self.path, self.name, self.meta, self.task, [])


def _later(entries: Sequence[Entry]) -> str | None:
    """A second after the last of them, written as its time is; None where there is no such time."""
    timed = [(entry.when, entry.judgment.at) for entry in entries if entry.when is not None]
    if not timed:
        return None
    _, last = max(timed)
    try:
        later = datetime.fromisoformat(last).replace(microsecond=0) + timedelta(seconds=1)
    except OverflowError:
        return None
    return later.isoformat().replace("+00:00", "Z" if last[-1] in "zZ" else "+00:00")
