"""Why an item has its label: the votes, who cast them, how much each moved the result, and the row it all came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.answers import Fitted, Held
from teachkit.build.asking.answering import answers_key
from teachkit.build.execute import looking_at
from teachkit.build.fitting import fit, load_fitted
from teachkit.build.keys import output_of
from teachkit.build.revisions.git import last_change
from teachkit.build.stored_votes import SCORES, voice, voter_of
from teachkit.errors import StoreDamaged, UnknownItem, did_you_mean
from teachkit.graph.node import FUNCTIONS
from teachkit.lineage.records import source_records
from teachkit.lineage.weigh import (
    BY_THE_MODEL,
    LeftOut,
    Vote,
    WhatIf,
    weigh_choice,
    weigh_multichoice,
    weigh_values,
    without_each,
)
from teachkit.voters.annotations import standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build import Workspace
    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.lineage.records import SourceRecord
    from teachkit.store import ObjectMeta, RunRecord


_FUNCTIONS = tuple(f"{kind}." for kind in FUNCTIONS)


@dataclass(frozen=True, slots=True)
class VoteShare:
    """One vote: who said what, by which version of which file, and how much it moved the result.

    ``contribution`` is in log-odds of the label against the runner-up (``Explanation.against``); where the model has no
    likelihood, the part of the vote; for a class of the user's own, the change of the label's probability that the
    vote makes (``left_out``); for a number the weight of the answer in the label; None for decisions above the model.
    ``polarity`` is -1 for "not this label", which only voters of a multichoice task say. Of a prompt: the model that
    answered, its reason, the key of the request, what it cost in USD, and where it has scores the raw one, and the
    probability of being right that calibration makes of it. ``what_if`` is
    what the label model would answer if the voter had abstained.
    """

    voter: str
    kind: str
    label: Any
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
    what_if: WhatIf | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that a label is made of.

    Where ``measure`` is ``log_odds``, ``prior``, the contributions of ``votes`` and ``silence``, and ``calibration``
    (None where posteriors are not calibrated) add up to the logarithm of posterior of ``toward`` over posterior of
    ``against``. For multichoice, votes are about one label each, and their log-odds are for that label being right
    against it not being so. Where it is ``weight``, contributions and ``prior`` (the weight of what all items have in
    common) add up to 1, as they do, without a prior, for shares of answers that are values.
    ``posterior`` maps labels to probabilities; where answers are values it is what the label set's column holds.
    """

    item: Any
    label: Any
    confidence: float | None
    decided_by: str
    model_label: Any
    posterior: Any
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
    calibration: float | None = None
    held_out: bool = False
    """Whether the label model was told the item's gold, so that a fit without it judges the item."""

    @property
    def total(self) -> float | None:
        """The sum of all that moved the result; None where it adds up to nothing."""
        if self.prior is None:
            return None
        votes = sum(vote.contribution or 0.0 for vote in self.votes)
        return self.prior + votes + sum(self.silence.values()) + (self.calibration or 0.0)

    def as_dict(self) -> dict[str, Any]:
        """As plain values: the documented JSON of ``teachkit lineage``."""
        return asdict(self)


def explain(work: Workspace, node: Node, item: str) -> Explanation:
    """Explain the label of one item of a label set.

    Raises:
        NotBuilt: no build has made the label set.
        UnknownItem: it has no such item.
    """
    with looking_at(work) as run:
        return explain_items(run, node, [item])[0]


def explain_items(run: Executor, node: Node, items: Sequence[str]) -> list[Explanation]:
    """Explain the labels of some items, in their order; each object is read once for all of them.

    ``items`` are keys as text. Raises as ``explain`` does.
    """
    made = opened(run, node)
    return made.explain(items) if items else []


def opened(run: Executor, node: Node) -> Explainer:
    """A label set with the record of what it was made of; raises ``NotBuilt`` if no build has made it."""
    needed = run.graph.upstream(node.id)
    for parent in run.graph:
        if parent.id in needed and parent.kind != "label_set":
            _try_resolve(run, parent)
    return Explainer(run, node, run.resolve(node).parts)


def _try_resolve(run: Executor, node: Node) -> None:
    from teachkit.errors import TeachkitError

    try:
        run.resolve(node)
    except TeachkitError:
        return  # the label set's own record of its inputs is what counts


@dataclass(frozen=True, slots=True)
class _Found:
    """An item: its row of the label set, its part of the dataset, the number of its row there, and that row."""

    labels: Mapping[str, Any]
    part: int
    number: int
    row: Mapping[str, Any]


class Explainer:
    """One label set, as it was made: all that is read below hangs on the record of its inputs."""

    def __init__(self, run: Executor, node: Node, parts: Sequence[ObjectMeta]) -> None:
        self.run = run
        self.store = run.store
        self.node = node
        self.parts = parts
        self.task: TaskInfo = run.graph.tasks[node.task or ""]
        parameters = self.store.meta(parts[0].extra["parameters"])
        if parameters is None:
            path = self.store.path(parts[0].extra["parameters"])
            raise StoreDamaged(path=path, problem="the parameters of the label model are missing")
        self.parameters = parameters
        self.inputs: Mapping[str, Any] = parameters.extra["inputs"]
        self.labels: Sequence[str] = parameters.extra["labels"]
        self._runs = self._runs_of_these()
        self.record = self._runs[0] if self._runs else None
        self._commits: dict[tuple[str, str], str | None] = {}

    def explain(self, items: Sequence[str]) -> list[Explanation]:
        found = self._find(items)
        votes = self._votes(found)
        sources = source_records(self.run, self.task, [one.row for one in found], self.record)
        fitted, summary = self._fitted(), self._run_summary()
        return [self._explanation(*one, fitted, summary) for one in zip(found, votes, sources, strict=True)]

    def _explanation(
        self,
        found: _Found,
        votes: Sequence[Vote],
        sources: Sequence[SourceRecord],
        fitted: Fitted,
        summary: Mapping[str, Any] | None,
    ) -> Explanation:
        held = fitted.judge_of(self._row(found))
        models = fitted.models if held is None else held.models
        posterior = self._posterior(found.labels["posterior"])
        without: Mapping[str, WhatIf] = {}
        if not self.task.coded:
            weighed = weigh_values(models[0], self._counted(votes, found.row), self.task.kind)
        else:
            sides, policy = self._compared(found.row), self.node.spec.config.tie_policy
            if self.task.multi:
                weighed = weigh_multichoice(models, votes, posterior, self.labels)
            else:
                weighed = weigh_choice(models, votes, posterior, self.labels, sides)
            without = without_each(models, votes, self.labels, policy, multi=self.task.multi, sides=sides)
        return Explanation(
            item=found.labels[self.task.key],
            label=found.labels["label"],
            confidence=found.labels["confidence"],
            decided_by=found.labels["decided_by"],
            model_label=found.labels["model_label"],
            posterior=posterior,
            toward=weighed.toward,
            against=weighed.against,
            measure=weighed.measure,
            prior=weighed.prior,
            votes=[self._share(v, weighed.contributions.get(self._key(v)), without.get(v.voter)) for v in votes],
            silence=weighed.silence,
            row=found.row,
            sources=sources,
            label_model={
                "name": self.node.name,
                "type": self.parameters.extra["algorithm"],
                "definition": self.node.own,
                "parameters": self.parameters.digest,
                "path": self.node.where.path,
                "line": self.node.where.line,
            },
            run=summary,
            label_set=self.node.name,
            task=self.task.name,
            published=self.is_published,
            diagnostics=weighed.diagnostics,
            calibration=weighed.calibration,
            held_out=held is not None,
        )

    def _row(self, found: _Found) -> int:
        """The place of an item in the whole dataset."""
        before = self.inputs[self.task.dataset]["objects"][: found.part]
        rows = (self.store.meta(key) for key in before)
        return found.number + sum(meta.rows for meta in rows if meta is not None)

    def _counted(self, votes: Sequence[Vote], row: Mapping[str, Any]) -> Sequence[Vote]:
        """The votes that count: of a ranking those that name candidates of the item alone."""
        if self.task.candidates is None:
            return votes
        from teachkit.build.valued.candidates import names_in

        known = names_in(next(value for name, value in row.items() if name.lower() == self.task.candidates))
        return [vote for vote in votes if vote.label is None or known.issuperset(vote.label)]

    def _compared(self, row: Mapping[str, Any]) -> tuple[str, str] | None:
        """What an item compares, as its label model was told it; None if it was told nothing."""
        import pyarrow as pa

        recorded = self.parameters.extra.get("recipe", {}).get("sides")
        if not recorded:
            return None
        folded = {name.lower(): value for name, value in row.items()}
        left, right = (pa.scalar(folded[side]).cast(pa.string()).as_py() for side in recorded)
        return left, right

    def _key(self, vote: Vote) -> tuple[str, Any]:
        """What the contribution of a vote is found by."""
        return vote.voter, vote.label if self.task.coded else None

    def _posterior(self, stored: Any) -> Any:
        """Label -> probability; where answers are values, what the label model says of them."""
        if self.task.coded:
            return {k: float(v) for k, v in stored.items()}
        return stored

    @property
    def is_published(self) -> bool:
        """Whether these labels are the published ones."""
        return self.run.is_published(output_of(self.parts), self.node)

    def _fitted(self) -> Fitted:
        """The fitted label models: from their parameters; a class of the user's own, which keeps none, fitted again."""
        fitted = load_fitted(self.parameters.extra["algorithm"], self.store.read(self.parameters.key))
        if None not in fitted.models or any(i not in self.run.outputs for i in self.node.inputs):
            return fitted
        if self.node.fingerprint != self._made_as():
            return fitted  # the class is another one by now
        votes, again, _ = fit(self.run, self.node)

        def asked_again(models: Sequence[Any]) -> list[LeftOut]:
            return [LeftOut(model, cast.voters) for model, cast in zip(models, votes.votes, strict=True)]

        return Fitted(asked_again(again.models), [Held.of(one.rows, asked_again(one.models)) for one in again.held])

    def _made_as(self) -> str | None:
        """The fingerprint of the label set whose rows these are."""
        return self.run.published["nodes"][self.node.id]["fingerprint"] if self.is_published else None

    # -- items

    def _find(self, items: Sequence[str]) -> list[_Found]:
        """The items, with their rows of the label set and of the dataset."""
        found: dict[str, _Found] = {}
        for part, meta in enumerate(self.parts):
            missing = [item for item in items if item not in found]
            labels = self._rows_of(missing, self.store.path(meta.key))
            path = self.store.path(self.inputs[self.task.dataset]["objects"][part])
            rows = self._rows_of([*labels], path, row_number=True)
            for item, row in rows.items():
                found[item] = _Found(labels[item], part, int(row.pop("file_row_number")), row)
        unknown = next((item for item in items if item not in found), None)
        if unknown is not None:
            raise self._unknown(unknown)
        return [found[item] for item in items]

    def _rows_of(self, items: Sequence[str], path: Path, *, row_number: bool = False) -> dict[str, dict[str, Any]]:
        """The rows of one file with the keys of some items, by key as text."""
        from teachkit.engine.session import parquet
        from teachkit.graph import literal, quote

        if not items:
            return {}
        key = f"cast({quote(self.task.key)} as varchar)"
        wanted = ", ".join(literal(item) for item in items)
        relation = parquet([path], row_number=row_number)
        table = self.run.session.table(f'select {key} as "key as text", * from {relation} where {key} in ({wanted})')
        names = table.column(0).to_pylist()
        rows = table.remove_column(0).to_pylist()
        return dict(zip(reversed(names), reversed(rows), strict=True))  # of equal keys the first counts

    def _unknown(self, item: str) -> UnknownItem:
        from teachkit.engine.session import parquet
        from teachkit.graph import quote

        key = quote(self.task.key)
        relation = parquet([self.store.path(p.key) for p in self.parts])
        some = [r[0] for r in self.run.session.rows(f"select cast({key} as varchar) from {relation} limit 10000")]
        hint = did_you_mean(item, some)
        return UnknownItem(None, node=self.node.name, key=self.task.key, item=item, hint=hint)

    # -- votes

    def _votes(self, found: Sequence[_Found]) -> list[list[Vote]]:
        """The votes on each item: those of labeling functions and prompts, then those of people."""
        votes: list[list[Vote]] = [[] for _ in found]
        for part in sorted({one.part for one in found}):
            places = [place for place, one in enumerate(found) if one.part == part]
            here = [(votes[place], found[place].number) for place in places]
            self._function_votes(part, here)
            self._people_votes(part, here)
        return votes

    def _function_votes(self, part: int, items: Sequence[tuple[list[Vote], int]]) -> None:
        """Add to each item, which has a number of row in the part, what labeling functions and prompts said."""
        rows = [number for _, number in items]
        for node_id, about in self.inputs.items():
            if not node_id.startswith(_FUNCTIONS):
                continue
            key = about["objects"][part]
            table = self.store.read(key).take(rows).to_pylist()
            answers = self._answers(key, rows) if node_id.startswith("prompt.") else [{} for _ in rows]
            for (votes, _), said, answer in zip(items, table, answers, strict=True):
                votes += self._said(node_id, key, said, answer)

    def _said(self, node_id: str, key: str, said: dict[str, Any], answer: dict[str, Any]) -> Iterator[Vote]:
        name = self.inputs[node_id]["name"]
        if node_id.startswith("prompt."):
            answer |= {score: said.pop(score, None) for score in SCORES}
            name = self._voice(key, name, said.pop("band", None))
        if not self.task.coded:
            if said["value"] is not None:
                yield Vote(name, node_id.partition(".")[0], said["value"], node_id, True, answer=answer)
            return
        for column, code in said.items():
            if code >= 0:
                label, yes = (int(column[1:]), code == 1) if self.task.multi else (code, True)
                yield Vote(name, node_id.partition(".")[0], self.labels[label], node_id, yes, answer=answer)

    def _voice(self, key: str, name: str, band: int | None) -> str:
        """What label models call the voter of a vote: one with scores has a name for each band of them."""
        meta = self.store.meta(key)
        return name if band is None or meta is None else voice(name, meta.extra["scores"]["bands"][band])

    def _answers(self, votes_key: str, rows: Sequence[int]) -> list[dict[str, Any]]:
        key = answers_key(votes_key)
        if not self.store.has(key):
            return [{} for _ in rows]
        return self.store.read(key).take(rows).to_pylist()  # type: ignore[no-any-return]

    def _people_votes(self, part: int, items: Sequence[tuple[list[Vote], int]]) -> None:
        """Add to each item what people said."""
        import pyarrow as pa
        import pyarrow.compute as pc

        functions = {about["name"] for node_id, about in self.inputs.items() if node_id.startswith(_FUNCTIONS)}
        of_row = {number: votes for votes, number in items}
        by_role: dict[str, dict[str, pa.Table]] = {}
        for node_id, about in self.inputs.items():
            if not node_id.startswith("annotations."):
                continue
            table = self.store.read(about["objects"][0])
            wanted = pc.is_in(table["row"], pa.array(list(of_row), table["row"].type))
            here = table.filter(pc.and_(pc.equal(table["part"], part), wanted))
            graph = self.run.graph
            role = graph[node_id].spec.meta.role if node_id in graph.nodes else "annotator"
            by_role.setdefault(role, {})[node_id] = here
        for role, tables in by_role.items():
            for node_id, table in zip(tables, standing(list(tables.values())), strict=True):
                for judgment in table.to_pylist():
                    if judgment["code"] < 0:
                        continue
                    voter = voter_of(judgment["annotator"], functions)
                    label = self.labels[judgment["code"]] if self.task.coded else judgment["value"]
                    yes = bool(judgment["yes"]) or not self.task.multi
                    vote = Vote(voter, role, label, node_id, yes, judgment["line"], judgment["at"] or None)
                    of_row[judgment["row"]].append(vote)

    def _share(self, vote: Vote, contribution: float | None, what_if: WhatIf | None) -> VoteShare:
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
            what_if=what_if if vote.kind in BY_THE_MODEL else None,
        )

    def _commit(self, path: str, definition: str) -> str | None:
        """The commit that last changed a file before the labels were made; None if it was never committed.

        Of a file that was not committed then it is that of the first later run which came to the same labels with it.
        """
        if (path, definition) not in self._commits:
            self._commits[path, definition] = self._find_commit(path, definition)
        return self._commits[path, definition]

    def _find_commit(self, path: str, definition: str) -> str | None:
        for run in self._runs:
            record = run.record
            if record.get("commit") and path not in (record.get("changed") or ()):
                found = last_change(self.run.files.root, path, record["commit"])
                if found is not None:
                    return found
        known = self.store.definition(definition)
        return known["commit"] if known else None

    def _runs_of_these(self) -> list[RunRecord]:
        """The run that made these labels, then those that came to the same by the same definitions; oldest first."""
        objects = [p.key for p in self.parts]
        every = self.store.runs()
        found = [r for r in every if r.record.get("outputs", {}).get(self.node.id, {}).get("objects") == objects][::-1]
        first = found[0].record["outputs"][self.node.id].get("fingerprint") if found else None
        return [r for r in found if r.record["outputs"][self.node.id].get("fingerprint") == first]

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
