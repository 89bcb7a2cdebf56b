"""Names of everything that comes in kinds, and where each is defined; loaded on use.

A third party adds to a kind by an entry point in the group ``teachkit.<kind>``; a name taken twice is an error.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

TABLE: dict[str, dict[str, str]] = {
    "voter": {
        "lf_sql": "teachkit.voters.sql_lf:compile_sql",
        "lf_yaml": "teachkit.voters.rule_lf:compile_rule_lf",
        "lf_python": "teachkit.voters.python_lf:compile_python",
        "prompt": "teachkit.voters.prompt:compile_prompt",
        "annotations": "teachkit.voters.annotations:compile_annotations",
    },
    "label_model": {
        "auto": "teachkit.label_models.auto:Auto",
        "majority": "teachkit.label_models.majority:Majority",
        "weighted": "teachkit.label_models.weighted:Weighted",
        "one_coin": "teachkit.label_models.one_coin:OneCoin",
        "dawid_skene": "teachkit.label_models.dawid_skene:DawidSkene",
        "bradley_terry": "teachkit.label_models.bradley_terry:BradleyTerry",
        "wawa": "teachkit.label_models.wawa:Wawa",
        "zero_based_skill": "teachkit.label_models.zero_based_skill:ZeroBasedSkill",
        "mace": "teachkit.label_models.mace:Mace",
        "glad": "teachkit.label_models.glad:Glad",
        "metal": "teachkit.label_models.metal:Metal",
        "triplet": "teachkit.label_models.triplet:Triplet",
        "kos": "teachkit.label_models.kos:Kos",
        "ordinal_dawid_skene": "teachkit.label_models.ordinal_dawid_skene:OrdinalDawidSkene",
        "gaussian": "teachkit.label_models.gaussian:Gaussian",
        "mean": "teachkit.label_models.averages:Mean",
        "median": "teachkit.label_models.averages:Median",
        "medoid": "teachkit.label_models.medoid:Medoid",
        "normalised_majority": "teachkit.label_models.normalised_majority:NormalisedMajority",
        "plackett_luce": "teachkit.label_models.plackett_luce:PlackettLuce",
        "candidate_spans": "teachkit.label_models.candidate_spans:CandidateSpans",
        "hmm": "teachkit.label_models.hmm:Hmm",
    },
    "check": {
        "not_null": "teachkit.checks.columns:NotNull",
        "unique": "teachkit.checks.columns:Unique",
        "accepted_values": "teachkit.checks.columns:AcceptedValues",
        "relationships": "teachkit.checks.columns:Relationships",
        "key": "teachkit.checks.rows:Key",
        "row_count": "teachkit.checks.rows:RowCount",
        "expression": "teachkit.checks.rows:ExpressionIsTrue",
        "freshness": "teachkit.checks.rows:Freshness",
        "coverage": "teachkit.checks.labels:Coverage",
        "accuracy": "teachkit.checks.labels:Accuracy",
        "macro_f1": "teachkit.checks.labels:MacroF1",
        "mean_error": "teachkit.checks.values:MeanError",
        "within": "teachkit.checks.values:Within",
        "exact_match": "teachkit.checks.values:ExactMatch",
        "tau": "teachkit.checks.values:Tau",
        "first_match": "teachkit.checks.values:FirstMatch",
        "token_f1": "teachkit.checks.values:TokenF1",
        "calibration": "teachkit.checks.labels:Calibration",
        "span_f1": "teachkit.checks.values:SpanF1",
        "conflict_rate": "teachkit.checks.labels:ConflictRate",
        "class_balance": "teachkit.checks.labels:ClassBalance",
        "agreement": "teachkit.checks.labels:Agreement",
        "max_flips": "teachkit.checks.policies:MaxFlips",
        "min_accuracy_delta": "teachkit.checks.policies:MinAccuracyDelta",
        "protected_labels": "teachkit.checks.policies:ProtectedLabels",
    },
    "export": {
        "parquet": "teachkit.exports.files:write_parquet",
        "csv": "teachkit.exports.files:write_csv",
        "jsonl": "teachkit.exports.files:write_jsonl",
    },
}


@cache
def _table(kind: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    table = dict(TABLE[kind])
    for point in entry_points(group=f"teachkit.{kind}"):
        if point.name in table and table[point.name] != point.value:
            raise ValueError(f"{kind} '{point.name}' is taken: {table[point.name]} and {point.value}")
        table[point.name] = point.value
    return table


def names(kind: str) -> tuple[str, ...]:
    """All names of a kind, sorted."""
    return tuple(sorted(_table(kind)))


def load(kind: str, name: str) -> Any:
    """The object behind a name; ``KeyError`` if there is none (see ``names``)."""
    target = TABLE[kind].get(name) or _table(kind)[name]
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
