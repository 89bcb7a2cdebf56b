"""Why an item has its label: the votes, who cast them, how much each moved the result, and the row it all came from."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.answering import answers_key
from teachkit.build.execute import Executor, looking_at
from teachkit.build.git import last_change
from teachkit.build.label_sets import fit, load_models
from teachkit.build.stored_votes import SCORES, voice, voter_of
from teachkit.errors import StoreDamaged, UnknownItem, did_you_mean
from teachkit.graph.node import FUNCTIONS
from teachkit.lineage.records import source_records
from teachkit.lineage.weigh import LeftOut, Vote, weigh_choice, weigh_multichoice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.graph import Node, TaskInfo
    from teachkit.lineage.records import SourceRecord
    from teachkit.store import ObjectMeta, RunRecord


_FUNCTIONS = tuple(f"{kind}." for kind in FUNCTIONS)


@dataclass(frozen=True, slots=True)
class VoteShare:
    """One vote: who said what, by which version of which file, and how much it moved the result.

    ``contribution`` is in log-odds of the label against the runner-up (``Explanation.against``); where the model has no
    likelihood, the part of the vote; for a class of the user's own, the change of the label's probability that the
    vote makes (``left_out``); None for decisions above the model. ``polarity`` is -1 for
    "not this label", which only voters of a multichoice task say. Of a prompt: the model that answered, its reason, the
    key of the request, what it cost in USD, and where it has scores the raw one, and the probability of being right
    that calibration makes of it.
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
    model: str | None = None
    reason: str | None = None
    request: str | None = None
    cost: float | None = None
    raw_score: float | None = None
    probability: float | None = None


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
    with opened(work, node) as made:
        return made.explain(item)


@contextmanager
def opened(work: Workspace, node: Node) -> Iterator[Explainer]:
    """A label set with the record of what it was made of; raises ``NotBuilt`` if no build has made it."""
    with looking_at(work) as run:
        needed = work.graph.upstream(node.id)
        for parent in work.graph:
            if parent.id in needed and parent.kind != "label_set":
                _try_resolve(run, parent)
        yield Explainer(work, run, node, run.resolve(node).parts)


def _try_resolve(run: Executor, node: Node) -> None:
    from teachkit.errors import TeachkitError

    try:
        run.resolve(node)
    except TeachkitError:
        return  # the label set's own record of its inputs is what counts


class Explainer:
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
        weigh = weigh_multichoice if self.task.multi else weigh_choice
        weighed = weigh(self._models(), votes, posterior, self.labels)
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
            published=self.is_published,
            diagnostics=weighed.diagnostics,
        )

    @property
    def is_published(self) -> bool:
        """Whether these labels are the published ones."""
        now = self.run.published["nodes"].get(self.node.id)
        return now is not None and list(now["objects"]) == [p.key for p in self.parts]

    def _models(self) -> list[Any]:
        """The fitted label models: from their parameters; a class of the user's own, which keeps none, fitted again."""
        models = load_models(self.parameters.extra["algorithm"], self.work.store.read(self.parameters.key))
        if None not in models or any(i not in self.run.outputs for i in self.node.inputs):
            return models
        if self.node.fingerprint != self._made_as():
            return models  # the class is another one by now
        votes, again, _ = fit(self.run, self.node)
        return [LeftOut(model, cast.voters) for model, cast in zip(again, votes.votes, strict=True)]

    def _made_as(self) -> str | None:
        """The fingerprint of the label set whose rows these are."""
        published = self.run.published["nodes"].get(self.node.id)
        keys = [p.key for p in self.parts]
        return published["fingerprint"] if published and list(published["objects"]) == keys else None

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

    def _function_votes(self, part: int, row: int) -> list[Vote]:
        found = []
        for node_id, about in self.inputs.items():
            if not node_id.startswith(_FUNCTIONS):
                continue
            key, name = about["objects"][part], about["name"]
            said = self.work.store.read(key).slice(row, 1).to_pylist()[0]
            answer: dict[str, Any] = {}
            if node_id.startswith("prompt."):
                scores = {score: said.pop(score, None) for score in SCORES}
                answer, name = {**self._answer(key, row), **scores}, self._voice(key, name, said.pop("band", None))
            for column, code in said.items():
                if code < 0:
                    continue
                label, yes = (int(column[1:]), code == 1) if self.task.multi else (code, True)
                kind = node_id.partition(".")[0]
                found.append(Vote(name, kind, self.labels[label], node_id, yes, answer=answer))
        return found

    def _voice(self, key: str, name: str, band: int | None) -> str:
        """What label models call the voter of a vote: one with scores has a name for each band of them."""
        meta = self.work.store.meta(key)
        return name if band is None or meta is None else voice(name, meta.extra["scores"]["bands"][band])

    def _answer(self, votes_key: str, row: int) -> dict[str, Any]:
        key = answers_key(votes_key)
        if not self.work.store.has(key):
            return {}
        found: dict[str, Any] = self.work.store.read(key).slice(row, 1).to_pylist()[0]
        return found

    def _people_votes(self, part: int, row: int) -> list[Vote]:
        import pyarrow.compute as pc

        functions = {about["name"] for node_id, about in self.inputs.items() if node_id.startswith(_FUNCTIONS)}
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
                found.append(Vote(voter, role, label, node_id, yes, judgment["line"], judgment["at"] or None))
        return found

    def _share(self, vote: Vote, contribution: float | None) -> VoteShare:
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
            model=vote.answer.get("model"),
            reason=vote.answer.get("reason"),
            request=vote.answer.get("request"),
            cost=vote.answer.get("cost"),
            raw_score=_number(vote.answer.get("raw_score")),
            probability=_number(vote.answer.get("probability")),
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


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)
