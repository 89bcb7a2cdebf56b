"""What a label set, or one of its labels, comes from, as a document of W3C PROV (PROV-JSON, member submission 2013).

What was made, and what it was made of, are entities; definitions and the guideline are plans; the runs of the chain are
activities; people, language models and teachkit are agents. Names are qualified: ``tk:`` is ``urn:teachkit:``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.answering import answers_key
from teachkit.build.execute import looking_at
from teachkit.errors import BadLock, BadOption
from teachkit.hashing import digest
from teachkit.lineage.explain import opened
from teachkit.lineage.forms.prov_document import Document, qualified
from teachkit.lineage.forms.runs import ran_project
from teachkit.store import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.build import Workspace
    from teachkit.graph import Node
    from teachkit.lineage.explain import Explainer, VoteShare
    from teachkit.lineage.forms.runs import RanNode
    from teachkit.store import RunRecord

_SHORT = 16
_PEOPLE = ("annotator", "curator", "gold")


def prov(work: Workspace, node: Node, item: str | None = None) -> dict[str, Any]:
    """The provenance of a label set, or of the label of one item, as PROV-JSON.

    Raises:
        BadOption: the node is no label set.
        NotBuilt: no build has made the label set.
        UnknownItem: it has no such item.
    """
    if node.kind != "label_set":
        raise BadOption(
            None,
            option="--format",
            problem=f"'prov' tells where labels come from, and '{node.id}' has none",
            advice="name a label set; what another node is made of: --format json, or --graph",
        )
    with looking_at(work) as run:
        story = _Story(work, opened(run, node))
        if item is None:
            story.tell_all()
        else:
            story.tell_item(item)
        return story.document.as_dict()


class _Story:
    """One document in the making."""

    def __init__(self, work: Workspace, made: Explainer) -> None:
        self.work = work
        self.made = made
        self.document = Document()
        self.makers = _makers(work)

    # -- the label set

    def tell_all(self) -> None:
        """The label set and everything upstream."""
        label_set = self._label_set()
        parameters = self._parameters()
        used = [self._input(i, about) for i, about in self.made.inputs.items()]
        for entity in used:
            self.document.derived(label_set, entity)
            self.document.derived(parameters, entity)
        self.document.derived(label_set, parameters)
        self._upstream()
        self._lock(label_set)

    def _label_set(self) -> str:
        made = self.made
        name = f"{made.node.id}/{made.parts[0].key[:_SHORT]}"
        entity = self.document.entity(
            name,
            kind=("prov:Collection", "tk:LabelSet"),
            label=made.node.id,
            task=made.task.name,
            rows=sum(p.rows for p in made.parts),
            digest=made.run.outputs[made.node.id].digest,
            published=made.is_published,
            target=self.work.files.target_name,
        )
        objects = [p.key for p in made.parts]
        definition = self._labels_definition()
        self._generated(entity, objects, self._definition(definition, made.node.id), self._guideline())
        return entity

    def _labels_definition(self) -> str:
        """The definition by which the labels were made: another one than the project's, if they are older."""
        record = self.made.record
        output = record.record["outputs"].get(self.made.node.id) if record else None
        return str(output["definition"]) if output else self.made.node.own

    def _parameters(self) -> str:
        made = self.made
        entity = self.document.entity(
            f"parameters/{made.parameters.key[:_SHORT]}",
            kind=("tk:Parameters",),
            label=f"parameters of {made.node.id}",
            algorithm=made.parameters.extra["algorithm"],
            digest=made.parameters.digest,
        )
        self._generated(entity, [p.key for p in made.parts], self._definition(self._labels_definition(), made.node.id))
        return entity

    def _input(self, node_id: str, about: Mapping[str, Any]) -> str:
        """What the label model read: votes, or the dataset."""
        objects = list(about["objects"])
        kind = "Dataset" if node_id == self.made.task.dataset else "Votes"
        plan = self._definition(about["definition"], node_id)
        entity = self._object(node_id, objects, kind, plan)
        if kind == "Votes" and self.made.task.dataset in self.made.inputs:
            dataset = list(self.made.inputs[self.made.task.dataset]["objects"])
            self.document.derived(entity, qualified(self._object_name(self.made.task.dataset, dataset)))
        for agent in self._voters(node_id, objects):
            self.document.attributed(entity, agent)
        if node_id.startswith(("annotations.", "prompt.")):
            guideline = self._guideline()
            if guideline:
                self.document.influenced(entity, guideline)
        return entity

    def _object(self, node_id: str, objects: list[str], kind: str, plan: str | None) -> str:
        metas = [self.work.store.meta(key) for key in objects]
        rows = sum(m.rows for m in metas if m is not None) if all(metas) and metas else None
        name = self._object_name(node_id, objects)
        entity = self.document.entity(name, kind=(f"tk:{kind}",), label=node_id, rows=rows)
        self._generated(entity, objects, plan)
        return entity

    def _object_name(self, node_id: str, objects: Sequence[str]) -> str:
        return f"{node_id}/{(objects[0] if objects else digest(node_id))[:_SHORT]}"

    def _voters(self, node_id: str, objects: list[str]) -> Iterator[str]:
        """Who cast the votes of a node: the people of a file, the models that answered a prompt."""
        if node_id.startswith("annotations."):
            table = self.work.store.read(objects[0], ["annotator"])
            yield from (self._person(name) for name in sorted(set(table["annotator"].to_pylist())))
        elif node_id.startswith("prompt."):
            models: set[str] = set()
            for key in map(answers_key, objects):
                if self.work.store.has(key):
                    models |= {m for m in self.work.store.read(key, ["model"])["model"].to_pylist() if m}
            yield from (self._model(name) for name in sorted(models))

    # -- what the dataset is made of

    def _upstream(self) -> None:
        """The transforms, sources and files above the dataset, as the run that made the labels had them."""
        if self.made.record is None:
            return
        known = ran_project(self.work, self.made.record).known
        queue, seen = [self.made.task.dataset], set()
        while queue:
            node = known.get(queue.pop(0))
            if node is None or node.id in seen:
                continue
            seen.add(node.id)
            entity = self._made(node)
            for parent in (known[i] for i in node.inputs if i in known):
                self.document.derived(entity, self._made(parent))
                queue.append(parent.id)
            if node.kind == "source":
                for path, found in sorted(self.made.record.record["sources"].get(node.id, {}).items()):
                    self.document.derived(entity, self._file(path, found))

    def _made(self, node: RanNode) -> str:
        plan = self._definition(node.definition, node.id) if node.definition else None
        objects = list(node.objects or ())
        if not objects:
            version = node.digest or node.definition or digest(node.id)
            entity = self.document.entity(
                f"{node.id}/{version[:_SHORT]}", kind=("tk:Dataset",), label=node.id, digest=node.digest
            )
            if plan:
                self.document.derived(entity, plan)
            return entity
        return self._object(node.id, objects, "Dataset", plan)

    def _file(self, path: str, found: str | None) -> str:
        name = f"file/{path}/{found[:_SHORT]}" if found else f"file/{path}"
        return self.document.entity(name, kind=("tk:File",), label=path, path=path, sha256=found)

    def _lock(self, label_set: str) -> None:
        """The lock's entry, if it names these very labels."""
        path = self.work.files.lock_path
        try:
            lock = read_lock(path)
        except BadLock:
            return
        entry = lock.label_sets.get(self.made.node.name) if lock else None
        if entry is None or entry.digest != self.made.run.outputs[self.made.node.id].digest:
            return
        kind = ("tk:LockEntry",)
        locked = self.document.entity(
            f"lock/{self.made.node.name}/{entry.digest[:_SHORT]}", kind=kind, label=path.name, digest=entry.digest
        )
        self.document.derived(locked, label_set)

    # -- one label

    def tell_item(self, item: str) -> None:
        """One label: its votes with those who cast them, the item's row, the records that it comes from."""
        why = self.made.explain([item])[0]
        label_set = self._label_set()
        parameters = self._parameters()
        self.document.derived(label_set, parameters)
        name = f"{self.made.node.id}/{self.made.parts[0].key[:_SHORT]}/{_word(str(why.item))}"
        label = self.document.entity(
            name,
            kind=("tk:Label",),
            label=f"label of {why.item}",
            item=str(why.item),
            value=list(why.label) if isinstance(why.label, list) else why.label,
            confidence=why.confidence,
            decidedBy=why.decided_by,
            modelLabel=why.model_label,
        )
        self.document.member(label_set, label)
        self.document.derived(label, parameters)
        row = self._row(str(why.item), why.sources)
        self.document.derived(label, row)
        for vote in why.votes:
            self.document.derived(label, self._vote(name, vote, row))

    def _row(self, item: str, sources: Sequence[Any]) -> str:
        about = self.made.inputs[self.made.task.dataset]
        dataset = self._object(
            self.made.task.dataset,
            list(about["objects"]),
            "Dataset",
            self._definition(about["definition"], self.made.task.dataset),
        )
        row = self.document.entity(
            f"{self._object_name(self.made.task.dataset, about['objects'])}/{_word(item)}",
            kind=("tk:Item",),
            label=f"item {item}",
            item=item,
        )
        self.document.derived(row, dataset)
        for source in sources:
            file = self._file(source.path, source.digest)
            if source.record is None:
                self.document.derived(dataset, file)
                continue
            where = f"{source.path}/{(source.digest or '')[:_SHORT]}/{source.record}"
            kind = ("tk:Record",)
            record = self.document.entity(f"record/{where}", kind=kind, path=source.path, record=source.record)
            self.document.derived(record, file)
            self.document.derived(row, record)
        return row

    def _vote(self, label: str, vote: VoteShare, row: str) -> str:
        of_label = f"/{_word(str(vote.label))}" if self.made.task.multi else ""
        entity = self.document.entity(
            f"{label}/votes/{_word(vote.kind)}/{_word(vote.voter)}{of_label}",
            kind=("tk:Vote",),
            label=f"vote of {vote.voter}",
            value=vote.label,
            polarity=vote.polarity,
            contribution=vote.contribution,
            at=vote.at,
            path=vote.path,
            line=vote.line,
            request=vote.request,
            reason=vote.reason,
            cost=vote.cost,
            rawScore=vote.raw_score,
            probability=vote.probability,
        )
        self.document.derived(entity, row)
        node_id = self._node_of(vote)
        about = self.made.inputs[node_id]
        plan = self._definition(about["definition"], node_id)
        if vote.kind in _PEOPLE:
            self.document.attributed(entity, self._person(vote.voter))
            self.document.derived(entity, plan)
            guideline = self._guideline()
            if guideline:
                self.document.influenced(entity, guideline)
            return entity
        if vote.model is not None:
            self.document.attributed(entity, self._model(vote.model))
        self._generated(entity, list(about["objects"]), plan)
        return entity

    def _node_of(self, vote: VoteShare) -> str:
        """The node whose file a vote stands in."""
        kinds = ("annotations.",) if vote.kind in _PEOPLE else (f"{vote.kind}.",)
        same = [i for i, a in self.made.inputs.items() if i.startswith(kinds) and a["path"] == vote.path]
        named = [i for i in same if self.made.inputs[i]["definition"].startswith(vote.version)]
        return next((i for i in named if self.made.inputs[i]["name"] == vote.voter), (named or same)[0])

    # -- runs, plans, agents

    def _generated(self, entity: str, objects: list[str], plan: str | None, *used: str | None) -> None:
        """Say which run made an entity, by which plan; what it is derived from, the run has used."""
        run = self.makers.get(tuple(objects))
        if run is None:
            if plan:
                self.document.derived(entity, plan)
            return
        record = run.record
        started = datetime.fromisoformat(record["started"])
        activity = self.document.activity(
            f"run/{run.run_id}",
            started,
            started + timedelta(seconds=record["seconds"]),
            kind="tk:Run",
            label=f"teachkit {record['command']}",
            target=record["target"],
            hash=run.hash,
            uncommittedChanges=None if record["changed"] is None else bool(record["changed"]),
        )
        self.document.generated(entity, activity)
        software = self.document.agent(
            f"software/teachkit/{record['versions']['teachkit']}", "prov:SoftwareAgent", label="teachkit"
        )
        if plan:
            self.document.associated(activity, software, plan)
        if record["commit"]:
            self.document.used(activity, self._commit(record["commit"]))
        for thing in used:
            if thing:
                self.document.used(activity, thing)

    def _definition(self, fingerprint: str, node_id: str) -> str:
        """The definition of a node as a plan, with the file that it stands in."""
        stored = self.work.store.definition(fingerprint) or {}
        plan = self.document.entity(
            f"definition/{fingerprint}",
            kind=("prov:Plan", "tk:Definition"),
            label=stored.get("id", node_id),
            path=stored.get("path"),
            line=stored.get("line"),
            digest=fingerprint,
        )
        if stored.get("commit"):
            self.document.derived(plan, self._commit(stored["commit"]))
        return plan

    def _commit(self, commit: str) -> str:
        return self.document.entity(f"commit/{commit}", kind=("tk:Commit",), label=commit)

    def _guideline(self) -> str | None:
        """The guideline of the task, as the project has it now: no run says which one people had before them."""
        text = self.made.task.guideline
        if not text:
            return None
        found = digest(text)
        name, label = f"guideline/{self.made.task.name}/{found[:_SHORT]}", f"guideline of {self.made.task.name}"
        return self.document.entity(name, kind=("prov:Plan", "tk:Guideline"), label=label, digest=found)

    def _person(self, name: str) -> str:
        return self.document.agent(f"person/{_word(name)}", "prov:Person", label=name)

    def _model(self, name: str) -> str:
        return self.document.agent(f"model/{_word(name)}", "prov:SoftwareAgent", label=name)


def _word(text: str) -> str:
    """A text as one step of a name."""
    return text.replace("%", "%25").replace("/", "%2F")


def _makers(work: Workspace) -> dict[tuple[str, ...], RunRecord]:
    """From the objects of an output to the first run that made it."""
    found: dict[tuple[str, ...], RunRecord] = {}
    for run in work.store.runs():
        for output in run.record.get("outputs", {}).values():
            if output["objects"]:
                found[tuple(output["objects"])] = run
    return found
