"""Two projects whose answers are spans: substances in English and other texts, and one label with odd characters."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DRUGS = ("aspirin", "ibuprofen", "vitamin c", "zinc oxide")
_PLACES = ("Köln", "Zürich", "東京")


def notes(n: int = 30) -> str:
    """Notes with a drug and most with a place; a third is gold for tuning, a third for tests."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["code", "note", "truth", "split"])
    for i in range(n):
        drug, place = _DRUGS[i % 4], _PLACES[i % 3]
        start = "👩‍🚀 " * (i % 3)
        text = f"{start}took {drug.capitalize() if i % 2 else drug}" + (f" in {place}." if i % 5 else ", é\u0301 fine.")
        spans = [_at(text, drug, "drug")] + ([_at(text, place, "place")] if i % 5 else [])
        table.writerow([f"n{i}", text, json.dumps(spans) if i % 7 else "", ("train", "tune", "test")[i % 3]])
    return out.getvalue()


def _at(text: str, part: str, label: str) -> list[object]:
    start = text.lower().index(part.lower())
    return [start, start + len(part), label]


NOTES: Mapping[str, str] = {
    "teachkit.yml": "name: notes\n",
    "data/notes.csv": notes(),
    "sources/s.yml": """
        sources:
          - name: s
            tables: [{name: notes, path: data/notes.csv, key: code, columns: {truth: {type: varchar}}}]
        """,
    "tasks/found.yml": """
        tasks:
          - name: found
            kind: span
            labels: [drug, place]
            text: note
            dataset: source('s', 'notes')
            key: code
            show: [note]
            gold: {column: truth}
            splits: {column: split}
        """,
    "labeling_functions/found/rules.yml": """
        labeling_functions:
          - {name: known, label: drug, dictionary: drugs.txt}
          - {name: simple, label: drug, any_of: [aspirin, vitamin, zinc]}
          - {name: after, label: place, regex: ' in (\\pL+)', group: 1}
          - name: listed
            sql: "case when note like '%Köln%' then
                  [{'start': strpos(note, 'Köln') - 1, 'end': strpos(note, 'Köln') + 3, 'label': 'place'}] end"
        """,
    "labeling_functions/found/drugs.txt": "aspirin\nibuprofen\nvitamin c\nzinc   oxide\n",
    "labeling_functions/found/rows.sql": """
        select code, strpos(note, 'took ') + 4 as start, strpos(note, ' in ') - 1 as "end", 'drug' as label
        from {{ source('s', 'notes') }} where note like '% in %'
        """,
    "labeling_functions/found/as_text.sql": """
        case when note like '%東京%' then json_array(json_object(
          'start', strpos(note, '東京') - 1, 'end', strpos(note, '東京') + 1, 'label', 'place')) end
        """,
    "labeling_functions/found/style.py": '''
        import re

        from teachkit import labeling_function


        @labeling_function
        def words(note: str):
            """A place begins with a capital letter."""
            return [(m.start(1), m.end(1), "place") for m in re.finditer(r"in ([A-ZÄÖÜ]\\w+)", note)] or None
        ''',
    "annotations/found/ann.jsonl": """
        {"item": "n1", "label": [{"start": 9, "end": 18, "label": "drug"}, [22, 28, "place"]]}
        {"item": "n0", "label": []}
        {"item": "n2", "label": null}
        """,
    "label_models/spans.yml": """
        label_models:
          - name: spans
            task: found
            tests:
              - coverage: {min: 0.9}
              - span_f1: {min: 0.9}
              - span_f1: {min: 90%, against: gold.tune}
        """,
    "exports/all.yml": """
        exports:
          - {name: rows, label_set: ref('spans'), path: output/rows.csv, format: csv}
          - {name: lines, label_set: ref('spans'), path: output/lines.jsonl, format: jsonl, where: len(label) > 1}
          - {name: table, label_set: ref('spans'), path: output/table.parquet, columns: [code, label, note]}
        """,
    "tests/rules.yml": """
        unit_tests:
          - name: drugs_are_found
            voter: known
            rows: [{note: "Zinc oxide, aspirin"}, {note: "none"}]
            expect: [[[0, 10, drug], [12, 19, drug]], null]
        """,
}
"""Two labels, one voter of every kind."""
