"""Why an item has its label: the votes, who cast them, how much each moved the result, and the row it all came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor
from teachkit.build.git import last_change
from teachkit.build.label_sets import load_models
from teachkit.build.run import BuildOptions, quiet
from teachkit.build.stored_votes import voter_of
from teachkit.errors import StoreDamaged, UnknownItem, did_you_mean
from teachkit.lineage.records import source_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.graph import Node, TaskInfo
    from teachkit.lineage.records import SourceRecord
    from teachkit.store import ObjectMeta, RunRecord


@dataclass(frozen=True, slots=True)
class VoteShare:
    """One vote: who said what, by which version of which file, and how much it moved the result.

    ``contribution`` is in log-odds of the label against the runner-up (see ``Explanation.against``), or the change of
    the label's share where the model has no likelihood; None for decisions above the model. ``polarity`` is -1 for
    "not this label", which only voters of a multichoice task say.
    """

    voter: str
    kind: str
    label: str | None
    polarity: int
    version: str
    path: str
    line: int | None
    commit: str | None
    contribution: float | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that a label is made of.

    Where ``measure`` is ``log_odds``, ``prior`` and the contributions of ``votes`` and ``silence`` add up to the
    logarithm of posterior of ``toward`` over posterior of ``against``. For multichoice, votes are about one label each,
    and their log-odds are for that label being right against it not being so.
    """

    item: Any
    label: Any
    confidence: float | None
    decided_by: str
    model_label: Any
    posterior: Mapping[str, float]
    toward: str | None
    against: str | None
    measure: str
    prior: float | None
    votes: Sequence[VoteShare]
    silence: Mapping[str, float]
    row: Mapping[str, Any]
    sources: Sequence[SourceRecord]
    label_model: Mapping[str, Any]
    run: Mapping[str, Any] | None
    label_set: str = ""
    task: str = ""
    published: bool = True
    diagnostics: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As plain values: the documented JSON of ``teachkit lineage``."""
        return asdict(self)


def explain(work: Workspace, node: Node, item: str) -> Explanation:
    """Explain the label of one item of a label set.

    Raises:
        NotBuilt: no build has made the label set.
        UnknownItem: it has no such item.
    """
    run = Executor(work.files, work.graph, work.store, BuildOptions(), quiet)
    try:
        for parent in work.graph:
            if parent.id in work.graph.upstream(node.id) and parent.kind != "label_set":
                _try_resolve(run, parent)
        output = run.resolve(node)
        return _Explainer(work, run, node, output.parts).explain(item)
    finally:
        run.close()


def _try_resolve(run: Executor, node: Node) -> None:
    from teachkit.errors import TeachkitError

    try:
        run.resolve(node)
    except TeachkitError:
        return  # the label set's own record of its inputs is what counts


class _Explainer:
    """One label set, as it was made: all that is read below hangs on the record of its inputs."""

    def __init__(self, work: Workspace, run: Executor, node: Node, parts: Sequence[ObjectMeta]) -> None:
        self.work = work
        self.run = run
        self.node = node
        self.parts = parts
        self.task: TaskInfo = work.graph.tasks[node.task or ""]
        parameters = work.store.meta(parts[0].extra["parameters"])
        if parameters is None:
            path = work.store.path(parts[0].extra["parameters"])
            raise StoreDamaged(path=path, problem="the parameters of the label model are missing")
        self.parameters = parameters
        self.inputs: Mapping[str, Any] = parameters.extra["inputs"]
        self.labels: Sequence[str] = parameters.extra["labels"]
        self.record = self._record()

    def explain(self, item: str) -> Explanation:
        part, label_row = self._find(item)
        row_number, row = self._item_row(part, item)
        votes = [*self._function_votes(part, row_number), *self._people_votes(part, row_number)]
        posterior = {k: float(v) for k, v in label_row["posterior"].items()}
        models = load_models(self.parameters.extra["algorithm"], self.work.store.read(self.parameters.key))
        weigh = _weigh_multi if self.task.multi else _weigh
        weighed = weigh(models, votes, posterior, self.labels)
        environment = self.run.published
        now = environment["nodes"].get(self.node.id)
        return Explanation(
            item=label_row[self.task.key],
            label=label_row["label"],
            confidence=label_row["confidence"],
            decided_by=label_row["decided_by"],
            model_label=label_row["model_label"],
            posterior=posterior,
            toward=weighed.toward,
            against=weighed.against,
            measure=weighed.measure,
            prior=weighed.prior,
            votes=[self._share(vote, weighed.contributions.get((vote.voter, vote.label))) for vote in votes],
            silence=weighed.silence,
            row=row,
            sources=source_records(self.work, self.task, row, self.record),
            label_model={
                "name": self.node.name,
                "type": self.parameters.extra["algorithm"],
                "definition": self.node.own,
                "parameters": self.parameters.digest,
                "path": self.node.where.path,
                "line": self.node.where.line,
            },
            run=self._run_summary(),
            label_set=self.node.name,
            task=self.task.name,
            published=now is not None and list(now["objects"]) == [p.key for p in self.parts],
            diagnostics=weighed.diagnostics,
        )

    def _find(self, item: str) -> tuple[int, dict[str, Any]]:
        """The part and the row of the label set that an item has."""
        from teachkit.engine.session import parquet
        from teachkit.graph import literal, quote

        key = quote(self.task.key)
        for number, part in enumerate(self.parts):
            relation = parquet([self.work.store.path(part.key)])
            table = self.run.session.table(f"select * from {relation} where cast({key} as varchar) = {literal(item)}")
            if table.num_rows:
                return number, table.to_pylist()[0]
        relation = parquet([self.work.store.path(p.key) for p in self.parts])
        some = [r[0] for r in self.run.session.rows(f"select cast({key} as varchar) from {relation} limit 10000")]
        hint = did_you_mean(item, some)
        raise UnknownItem(None, node=self.node.name, key=self.task.key, item=item, hint=hint)

    def _item_row(self, part: int, item: str) -> tuple[int, dict[str, Any]]:
        """The number of the item's row in its part of the dataset, and the row."""
        from teachkit.engine.session import parquet
        from teachkit.graph import literal, quote

        path = self.work.store.path(self.inputs[self.task.dataset]["objects"][part])
        relation = parquet([path], row_number=True)
        where = f"cast({quote(self.task.key)} as varchar) = {literal(item)}"
        row = self.run.session.table(f"select * from {relation} where {where}").to_pylist()[0]
        return int(row.pop("file_row_number")), row

    def _function_votes(self, part: int, row: int) -> list[_Vote]:
        found = []
        for node_id, about in self.inputs.items():
            if not node_id.startswith("lf."):
                continue
            said = self.work.store.read(about["objects"][part]).slice(row, 1).to_pylist()[0]
            for column, code in said.items():
                if code < 0:
                    continue
                label, yes = (int(column[1:]), code == 1) if self.task.multi else (code, True)
                found.append(_Vote(about["name"], "lf", self.labels[label], node_id, yes))
        return found

    def _people_votes(self, part: int, row: int) -> list[_Vote]:
        import pyarrow.compute as pc

        functions = {about["name"] for node_id, about in self.inputs.items() if node_id.startswith("lf.")}
        found = []
        for node_id, about in self.inputs.items():
            if not node_id.startswith("annotations."):
                continue
            table = self.work.store.read(about["objects"][0])
            here = table.filter(pc.and_(pc.equal(table["part"], part), pc.equal(table["row"], row)))
            role = self.work.graph[node_id].spec.meta.role if node_id in self.work.graph.nodes else "annotator"
            for judgment in here.to_pylist():
                if judgment["code"] < 0:
                    continue
                voter, label = voter_of(judgment["annotator"], functions), self.labels[judgment["code"]]
                yes = bool(judgment["yes"]) or not self.task.multi
                found.append(_Vote(voter, role, label, node_id, yes, judgment["line"], judgment["at"] or None))
        return found

    def _share(self, vote: _Vote, contribution: float | None) -> VoteShare:
        about = self.inputs[vote.node]
        path = about["path"]
        return VoteShare(
            voter=vote.voter,
            kind=vote.kind,
            label=vote.label,
            polarity=1 if vote.yes else -1,
            version=about["definition"][:16],
            path=path,
            line=vote.line or about["line"],
            commit=self._commit(path, about["definition"]),
            contribution=contribution,
            at=vote.at,
        )

    def _commit(self, path: str, definition: str) -> str | None:
        """The commit that last changed a file before the labels were made; None if it was not committed then."""
        record = self.record.record if self.record else {}
        if record.get("commit") and path not in (record.get("changed") or ()):
            return last_change(self.work.files.root, path, record["commit"])
        known = self.work.store.definition(definition)
        return known["commit"] if known else None

    def _record(self) -> RunRecord | None:
        """The first run that made these labels."""
        objects = [p.key for p in self.parts]
        found = None
        for run in self.work.store.runs():
            if run.record.get("outputs", {}).get(self.node.id, {}).get("objects") == objects:
                found = run
        return found

    def _run_summary(self) -> dict[str, Any] | None:
        if self.record is None:
            return None
        record = self.record.record
        changed = record["changed"]
        return {
            "run_id": self.record.run_id,
            "started": record["started"],
            "command": record["command"],
            "target": record["target"],
            "commit": record["commit"],
            "dirty": None if changed is None else bool(changed),
            "git": changed is not None,
            "versions": record["versions"],
        }


@dataclass(frozen=True, slots=True)
class _Vote:
    voter: str
    kind: str
    label: str
    node: str
    yes: bool
    line: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class _Weighed:
    toward: str | None
    against: str | None
    measure: str
    prior: float | None
    contributions: Mapping[tuple[str, str | None], float]
    silence: Mapping[str, float]
    diagnostics: Mapping[str, Any]


_BY_THE_MODEL = ("lf", "annotator")


def _weigh(
    models: Sequence[Any], votes: Sequence[_Vote], posterior: Mapping[str, float], labels: Sequence[str]
) -> _Weighed:
    """How much each vote moved the odds of the likeliest label against the next."""
    ranked = sorted(range(len(labels)), key=lambda k: (-posterior[labels[k]], k))
    toward, against = ranked[0], ranked[1]
    model = models[0]
    if model is None:
        return _Weighed(labels[toward], labels[against], "none", None, {}, {}, {})
    codes = {v.voter: labels.index(v.label) for v in votes if v.kind in _BY_THE_MODEL}
    moved = _contributions(model, codes, len(labels))
    if hasattr(model, "log_prior"):
        odds = {voter: float(found[toward] - found[against]) for voter, found in moved.items()}
        prior = float(model.log_prior[toward] - model.log_prior[against])
        measure = "log_odds"
    else:
        odds = {voter: float(found[toward]) for voter, found in moved.items()}
        prior, measure = None, "share"
    said: dict[tuple[str, str | None], float] = {
        (v.voter, v.label): odds[v.voter] for v in votes if v.voter in odds and v.kind in _BY_THE_MODEL
    }
    silence = {voter: value for voter, value in odds.items() if voter not in codes}
    return _Weighed(labels[toward], labels[against], measure, prior, said, silence, model.diagnostics_)


def _weigh_multi(
    models: Sequence[Any], votes: Sequence[_Vote], posterior: Mapping[str, float], labels: Sequence[str]
) -> _Weighed:
    """For each label on its own: how much each vote for it moved the odds of yes against no."""
    said: dict[tuple[str, str | None], float] = {}
    measure = "none"
    for label, model in zip(labels, models, strict=True):
        if model is None:
            continue
        codes = {v.voter: int(v.yes) for v in votes if v.kind in _BY_THE_MODEL and v.label == label}
        measure = "log_odds" if hasattr(model, "log_prior") else "share"
        for voter, found in _contributions(model, codes, 2).items():
            if voter in codes:
                said[voter, label] = float(found[1] - found[0]) if measure == "log_odds" else float(found[1])
    return _Weighed(None, None, measure, None, said, {}, {})


def _contributions(model: Any, codes: Mapping[str, int], k: int) -> dict[str, Any]:
    """What each voter adds [K] on an item with these votes."""
    import numpy as np

    from teachkit.votes import Votes

    columns = [np.array([codes.get(voter, -1)], dtype=np.int16) for voter in model.voters_]
    found: dict[str, Any] = model.contributions(Votes.from_columns(model.voters_, columns, k, n_items=1), 0)
    return found
