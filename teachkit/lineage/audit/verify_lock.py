"""Whether the lock says of its label sets what their objects hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import label_counts
from teachkit.build.keys import output_of
from teachkit.build.recipe import input_node, label_kind
from teachkit.graph import Graph
from teachkit.lineage.audit.chain import Broken, DoesNotHold
from teachkit.lineage.audit.stored_labels import node_and_task
from teachkit.store import Lock, LockedLabels, differences
from teachkit.votes.values import VALUED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from teachkit.lineage.audit.chain import Chain
    from teachkit.lineage.audit.stored_labels import Origins, StoredLabels
    from teachkit.lineage.audit.verify_objects import ObjectCheck


def check_entry(check: ObjectCheck, origins: Origins, labels: StoredLabels, text: str, notes: list[str]) -> None:
    """Hold an entry of the lock (``text`` is the whole lock) against the label set's rows, runs and gold.

    Objects are checked before they are read, or one that is damaged would look like a lock that is wrong.

    Raises:
        DoesNotHold: one of its lines is not what it should be.
    """
    chain, entry = check.chain, labels.entry
    if entry is None:
        return
    if output_of(labels.output.parts).digest != entry.digest:
        raise DoesNotHold(_other_content(chain, labels))
    check.contents(labels, labels.id, [p.key for p in labels.output.parts])
    actual = replace(entry, **_counts(chain, labels))
    recorded = list(_recorded(chain, labels))
    _differ(labels, entry, actual, text)
    fingerprints = {
        m.output["fingerprint"] for m in chain.all_made(labels.id, entry.digest) if "fingerprint" in m.output
    }
    if entry.fingerprint in fingerprints:
        pass
    elif fingerprints:
        wanted = recorded[0]["fingerprint"] if recorded else sorted(fingerprints)[0]
        _differ(labels, entry, replace(entry, fingerprint=wanted), text)
    else:
        notes.append(f"{labels.name}: its fingerprint is not recorded in any run, so that of the lock is not checked")
    _check_quality(check, origins, labels, recorded, text, notes)
    if recorded and all(round(entry.cost, 4) != round(r["cost"], 4) for r in recorded):
        paid = ", ".join(sorted({f"{r['cost']:.4f}" for r in recorded}))
        notes.append(
            f"{labels.name}: the lock says that its answers cost {entry.cost:.4f}, runs of this store say {paid}"
        )


def _other_content(chain: Chain, labels: StoredLabels) -> Broken:
    from teachkit.build.keys import description_digest

    known = labels.made.output.get("described", ())
    parts = labels.output.parts
    at = next((i for i, (p, d) in enumerate(zip(parts, known, strict=False)) if d != description_digest(p)), 0)
    problem = (
        f"part {at} of {labels.id} holds other rows than run {labels.made.run.run_id} made, whose digest is that in "
        "teachkit.lock"
    )
    path = chain.name(chain.store.path(parts[at].key))
    return Broken(step="lock", label_set=labels.name, node=labels.id, object=parts[at].key, path=path, problem=problem)


def _counts(chain: Chain, labels: StoredLabels) -> dict[str, Any]:
    """Rows, labeled and classes, counted anew; the doubt about its label model, as it stands beside the parameters."""
    import pyarrow as pa

    doubt = str(labels.parameters.extra.get("doubt", ""))
    found: dict[str, Any] = {"rows": 0, "labeled": 0, "classes": {}, "doubt": doubt}
    for part in labels.output.parts:
        table = chain.store.read(part.key, ["label"])
        names = () if label_kind(labels.parameters) in VALUED else labels.parameters.extra["labels"]
        counts = label_counts(table, names, multi=pa.types.is_list(table.schema.field("label").type))
        found["rows"] += table.num_rows
        found["labeled"] += counts["labeled"]
        for name, count in counts["classes"].items():
            found["classes"][name] = found["classes"].get(name, 0) + count
    return found


def _recorded(chain: Chain, labels: StoredLabels) -> Any:
    """The entries that runs came to for these labels, newest first."""
    for run in chain.runs:
        entry = run.record.get("lock", {}).get(labels.name)
        if entry is not None and labels.entry is not None and entry["digest"] == labels.entry.digest:
            yield entry


def _check_quality(
    check: ObjectCheck,
    origins: Origins,
    labels: StoredLabels,
    recorded: list[Mapping[str, Any]],
    text: str,
    notes: list[str],
) -> None:
    """Hold figures of quality against those that runs noted, and against gold that is still there."""
    entry = labels.entry
    if entry is None:
        return
    same = [r for r in recorded if _same(labels, entry, replace(entry, quality=r["quality"], task=r["task"]))]
    if recorded and not same:
        _differ(labels, entry, replace(entry, quality=recorded[0]["quality"], task=recorded[0]["task"]), text)
    if not recorded:
        notes.append(f"{labels.name}: no run recorded what its quality was measured with: the figures are not checked")
        return
    if not entry.quality:
        return
    graph = origins.graph(labels)
    measured: Mapping[str, list[str]] = same[0]["measured"]
    if graph is None or not all(origins.chain.store.has(key) for keys in measured.values() for key in keys):
        notes.append(f"{labels.name}: the gold that its quality was measured on is not in this store any more")
        return
    for node_id, keys in measured.items():
        check.contents(labels, node_id, keys)
    found = _measure(origins, labels, graph, measured)
    for split in {**entry.quality, **found}:
        one = replace(entry, quality={**entry.quality, split: found.get(split, {})})
        if _same(labels, entry, one):
            continue
        if split != "test":
            _differ(labels, entry, one, text)
        # No figure of the test split is shown here: that would be a look at it.
        problem = f"label set {labels.name}: its quality on test is not what its labels and the gold give"
        line = _line(text, labels.name, "test")
        raise DoesNotHold(Broken(step="lock", label_set=labels.name, path="teachkit.lock", line=line, problem=problem))


def _measure(
    origins: Origins, labels: StoredLabels, graph: Graph, measured: Mapping[str, list[str]]
) -> dict[str, dict[str, Any]]:
    from teachkit.build.testing import label_data

    node, task = node_and_task(graph, labels)
    gold = {i: input_node(i, i, task.name, task.where, "gold") for i in measured if i.startswith("annotations.")}
    with_gold = Graph({**graph.nodes, **gold}, graph.tasks, {})
    run = origins.executor(with_gold, labels, measured)
    try:
        data = label_data(run, node)
    finally:
        run.close()
    figures = {split: data.figures(split) for split in ("tune", "test")}
    return {split: dict(found) for split, found in figures.items() if found["n"]}


def _same(labels: StoredLabels, entry: LockedLabels, other: LockedLabels) -> bool:
    return not differences(Lock({labels.name: entry}), Lock({labels.name: other}))


def _differ(labels: StoredLabels, entry: LockedLabels, actual: LockedLabels, text: str) -> None:
    """Raise ``DoesNotHold`` if the lock says otherwise, with its line."""
    found = differences(Lock({labels.name: entry}), Lock({labels.name: actual}))
    if not found:
        return
    changed = [f for f in LockedLabels.__slots__ if getattr(entry, f) != getattr(actual, f)]
    line = _line(text, labels.name, changed[0]) if changed else None
    problem = f"what teachkit.lock says is not so: {found[0]}"
    raise DoesNotHold(Broken(step="lock", label_set=labels.name, path="teachkit.lock", line=line, problem=problem))


def _line(text: str, name: str, key: str) -> int | None:
    """The line of a key in a label set's entry."""
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("  ") and not line.startswith("   "):
            inside = line.strip().strip('":') == name
        elif inside and line.strip().startswith(f"{key}:"):
            return number
    return None
