"""Two projects whose answers are values: prices of houses, and the towns in captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOWNS = ("Köln", "München", "Zürich", "東京")


def houses(n: int = 30) -> str:
    """Houses; a third is gold for tuning, a third for tests."""
    lines = ["code,text,area,rooms,price,split"]
    for i in range(n):
        said = f", total: {100 + i * 7}" if i % 3 else ""
        price = "" if i % 5 == 0 else 100 + i * 6.5
        lines.append(f'h{i},"Größe: {40 + i * 3} m²{said}",{40 + i * 3},{1 + i % 4},{price},{_split(i)}')
    return "\n".join(lines) + "\n"


def captions(n: int = 24) -> str:
    """Captions with the name of a town in them."""
    lines = ["schlüssel,satz,ort,split"]
    for i in range(n):
        town = _TOWNS[i % 4]
        lines.append(f'b/{i} ä,"Bild {i % 5}; Ort: {town}.",{town if i % 5 else ""},{_split(i)}')
    return "\n".join(lines) + "\n"


def _split(i: int) -> str:
    return ("train", "tune", "test")[i % 3]


HOUSES: Mapping[str, str] = {
    "teachkit.yml": "name: houses\n",
    "data/houses.csv": houses(),
    "sources/s.yml": """
        sources:
          - name: s
            tables:
              - name: houses
                path: data/houses.csv
                key: code
                columns: {area: {type: integer}, rooms: {type: integer}, price: {type: varchar}}
        """,
    "tasks/price.yml": """
        tasks:
          - name: price
            kind: number
            dataset: source('s', 'houses')
            key: code
            show: [text]
            gold: {column: price}
            splits: {column: split}
        """,
    "labeling_functions/price/area.sql": "case when rooms > 1 then area * 2.1 + 20 end\n",
    "labeling_functions/price/joined.sql": """
        select code, avg(area) over (partition by rooms) * 2 as answer
        from {{ source('s', 'houses') }}
        where rooms < 4
        """,
    "labeling_functions/price/rules.yml": """
        labeling_functions:
          - {name: total, regex: 'total: (\\d+)', group: 1}
          - {name: big, regex: '1\\d\\d m', value: 250}
          - {name: rough, sql: "rooms * 50 + 100"}
          - {name: small, sql: "area < 60", value: 120.5}
        """,
    "labeling_functions/price/style.py": '''
        """Rules in Python."""

        from teachkit import labeling_function


        @labeling_function
        def half(area: int):
            return area * 2.0 if area % 2 else None


        @labeling_function(batch=True)
        def batch(area):
            import pyarrow.compute as pc

            return pc.add(pc.multiply(area, 2.2), 10)


        @labeling_function(memo=True)
        def memo(rooms: int):
            return rooms * 70
        ''',
    "annotations/price/people.csv": "item,label,annotator\nh1,110,ann\nh2,99.5,ann\nh1,120,bob\nh3,,bob\n",
    "annotations/price/zoe.jsonl": """
        {"item": "h4", "label": 130, "at": "2026-01-01T00:00:00Z"}
        {"item": "h4", "op": "undo", "at": "2026-01-02T00:00:00Z"}
        {"item": "h5", "label": "133.25"}
        """,
    "label_models/prices.yml": """
        label_models:
          - name: prices
            task: price
            tests:
              - coverage: {min: 0.9}
              - mean_error: {max: 20}
              - within: {tolerance: 30, min: 50%}
          - {name: middles, task: price, type: median}
        """,
    "exports/all.yml": """
        exports:
          - {name: rows, label_set: ref('prices'), path: output/rows.csv, format: csv}
          - {name: lines, label_set: ref('prices'), path: output/lines.jsonl, format: jsonl, where: label > 150}
          - {name: table, label_set: ref('prices'), path: output/table.parquet, columns: [code, label, area]}
        """,
    "tests/rules.yml": """
        unit_tests:
          - {name: total_is_read, voter: total, rows: [{text: "total: 12"}, {text: "none"}], expect: [12, null]}
        """,
}
"""Numbers: one voter of every kind."""

TOWNS: Mapping[str, str] = {
    "teachkit.yml": "name: towns\n",
    "data/bilder.csv": captions(),
    "sources/s.yml": """
        sources:
          - name: s
            tables:
              - {name: bilder, path: data/bilder.csv, key: schlüssel}
        """,
    "tasks/ort.yml": """
        tasks:
          - name: ort
            kind: text
            dataset: source('s', 'bilder')
            key: schlüssel
            gold: {column: ort}
            splits: {column: split}
        """,
    "labeling_functions/ort/some.sql": """
        case when satz like '%K%' then 'köln ' when satz like '%M%' then 'Munchen' end
        """,
    "labeling_functions/ort/joined.sql": """
        select schlüssel, case when satz like '%M%' then 'München' else 'ZÜRICH' end as ort
        from {{ source('s', 'bilder') }}
        """,
    "labeling_functions/ort/rules.yml": """
        labeling_functions:
          - {name: named, column: satz, regex: 'Ort: ([^.]+)', group: 1}
          - {name: tokio, column: satz, any_of: [東京], word_boundaries: false, value: Tokio}
        """,
    "labeling_functions/ort/style.py": """
        from teachkit import labeling_function


        @labeling_function
        def last(satz: str):
            return satz.split(":")[-1].strip(" .")
        """,
    "annotations/ort/ann.jsonl": """
        {"item": "b/0 ä", "label": "Köln!"}
        {"item": "b/1 ä", "label": null}
        """,
    "label_models/orte.yml": """
        label_models:
          - name: orte
            task: ort
            tests:
              - exact_match: {min: 90%}
              - token_f1: {min: 0.9, against: gold.tune}
          - {name: most, task: ort, type: normalised_majority}
        """,
    "exports/all.yml": """
        exports:
          - {name: rows, label_set: ref('orte'), path: output/rows.csv, format: csv}
        """,
}
"""Texts, with keys and columns that are no ASCII."""
