"""A project that compares answers of models, two at a time: every kind of voter, gold, tests, exports."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MODELS = {"alpha": 30, "beta": 22, "gamma": 15, "δ": 10}


def duels_csv(n: int = 60, seed: int = 3) -> str:
    """Duels d00 …; the longer answer is the better one, and every third is known."""
    chance = random.Random(seed)
    lines = ["id,question,model_a,model_b,answer_a,answer_b,winner,split"]
    for i in range(n):
        a, b = chance.sample(list(MODELS), 2)
        left, right = (MODELS[m] + chance.randint(-8, 8) for m in (a, b))
        winner = "" if i % 3 else "A" if left > right + 2 else "B" if right > left + 2 else "="
        split = "test" if i % 2 else "tune"
        lines.append(f"d{i:02d},q{i},{a},{b},{'x' * left},{'y' * right},{winner},{split}")
    return "\n".join(lines) + "\n"


def judgments_csv(n: int = 40) -> str:
    """Somebody who always prefers what stands on the left."""
    return "item,label\n" + "".join(f"d{i:02d},left\n" for i in range(n))


DUELS: Mapping[str, str] = {
    "teachkit.yml": "name: duels\n",
    "data/duels.csv": duels_csv(),
    "sources/lab.yml": """
        sources:
          - name: lab
            tables: [{name: duels, path: data/duels.csv, key: id}]
        """,
    "transforms/duels.sql": """
        select *, length(answer_a) as len_a, length(answer_b) as len_b from {{ source('lab', 'duels') }}
        """,
    "tasks/better.yml": """
        tasks:
          - name: better
            kind: pairwise
            labels: [left, right, same]
            sides: {a: model_a, b: Model_B}
            dataset: ref('duels')
            key: id
            show: [question, answer_a, answer_b]
            gold: {column: winner, values: {A: left, B: right, '=': same}}
            splits: {column: split}
        """,
    "labeling_functions/better/longer.sql": """
        case when len_a > len_b + 2 then 'left' when len_b > len_a + 2 then 'right' else 'same' end
        """,
    "labeling_functions/better/one_side.yml": """
        labeling_functions:
          - {name: long_left, label: left, sql: "len_a > 20"}
          - {name: long_right, label: right, sql: "len_b > 20"}
        """,
    "labeling_functions/better/style.py": """
        from teachkit import labeling_function


        @labeling_function()
        def by_length(answer_a: str, answer_b: str) -> str:
            return "left" if len(answer_a) > len(answer_b) else "right"
        """,
    "annotations/better/maria.csv": judgments_csv(),
    "label_models/winners.yml": """
        label_models:
          - name: winners
            task: better
            tests:
              - coverage: {min: 0.9}
              - accuracy: {min: 0.5}
              - class_balance: {same: [0, 0.5]}
              - conflict_rate: {max: 0.99}
        """,
    "exports/out.yml": """
        exports:
          - {name: labels, label_set: ref('winners'), path: output/labels.csv, format: csv, columns: [id, label]}
          - {name: board, label_set: ref('winners'), rows: scores, path: output/board.csv, format: csv}
        """,
}
