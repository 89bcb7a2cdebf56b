"""A label set made of some definitions and data of the base and others of the head: what one change alone comes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from teachkit.build import voting
from teachkit.build.decisions import decide_items
from teachkit.build.execute import Executor
from teachkit.build.fitting import fit, fitting
from teachkit.build.keys import node_key
from teachkit.build.run import BuildOptions, quiet
from teachkit.errors import NotBuilt, TeachkitError
from teachkit.graph import Graph
from teachkit.graph.label_sets import with_voters
from teachkit.graph.node import FUNCTIONS
from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from teachkit.build.run import Output
    from teachkit.diff.sides import Side
    from teachkit.graph import Node, TaskInfo

    Key = tuple[str, str]
    """Kind and name of a voter: what it is called in both revisions, whatever its task is called."""

DATA = "data"
_VERSION = 1
_PEOPLE = "annotations"


@dataclass(frozen=True, slots=True)
class Unit:
    """One change that can be applied alone: of the definitions of ``voters``, of data, of the label model."""

    node: str
    change: str
    nodes: tuple[str, ...]
    voters: frozenset[Key] = frozenset()
    data: bool = False
    model: bool = False


@dataclass
class Mixer:
    """A label set with some of its definitions and data from the base, the others from the head."""

    base: Side
    head: Side
    before: Node
    after: Node
    labels: tuple[Any, Any]
    compared: Any
    _crossed: dict[tuple[Key, int, int], Output | None] = field(default_factory=dict)

    # -- what has changed

    def units(self) -> tuple[list[Unit], str]:
        """The changes that may have an effect, and why they cannot be applied alone, if they cannot."""
        tasks = self._tasks
        reason = ""
        if tasks[0].labels != tasks[1].labels or tasks[0].form != tasks[1].form:
            reason = "the labels of the task changed, so no change can be tried alone"
        elif tasks[0].sides != tasks[1].sides:
            reason = "the sides of the task changed, so no change can be tried alone"
        found = []
        with_data: set[Key] = set()
        for key in sorted(self._members):
            change = self._change(key)
            if change and self.tables and not reason and not self._can_cross(key):
                with_data.add(key)
            elif change:
                node_id = self._id(key)
                found.append(Unit(node_id, change, (node_id,), frozenset({key})))
        if self.tables:
            more = sorted(self._id(key) for key in with_data)
            nodes = (*self.tables, *more)
            found.append(Unit(nodes[0] if len(nodes) == 1 else DATA, DATA, nodes, frozenset(with_data), data=True))
        if self._other_model():
            found.append(Unit(self.after.id, "modified", (self.after.id,), model=True))
        return found, reason

    def _change(self, key: Key) -> str:
        """What happened to a voter; empty if nothing that could have an effect."""
        was, now = self._voters[0].get(key), self._voters[1].get(key)
        if was is None or now is None:
            return "added" if was is None else "removed"
        same = was.own == now.own or (self._same_votes(key) and self._place(0, key) == self._place(1, key))
        return "" if same else "modified"

    def _id(self, key: Key) -> str:
        return next(voters[key].id for voters in reversed(self._voters) if key in voters)

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The nearest to the sources of the tables whose rows are other; ids of the head, or of the base where gone."""
        ids = [self._upstream_tables(n) for n in (0, 1)]
        other = [i for i in {**ids[1], **ids[0]} if self._content(0, i) != self._content(1, i)]
        graphs = [side.run.graph for side in (self.base, self.head) if side.run is not None]
        first = [i for i in other if not any(i in g.nodes and g.upstream(i) & set(other) for g in graphs)]
        definitions = [i for i in other if self._own(0, i) != self._own(1, i)]
        return tuple(sorted({*first, *definitions}))

    def _upstream_tables(self, side: int) -> dict[str, None]:
        node, graph = (self.before, self.after)[side], self._run(side).graph
        ids = graph.upstream(node.id)
        return {n.id: None for n in graph if n.id in ids and n.kind not in (*FUNCTIONS, _PEOPLE)}

    def _content(self, side: int, node_id: str) -> str | None:
        output = self._run(side).outputs.get(node_id)
        return output.digest if output is not None else None

    def _own(self, side: int, node_id: str) -> str | None:
        node = self._run(side).graph.nodes.get(node_id)
        return node.own if node is not None else None

    def _other_model(self) -> bool:
        """Whether anything but the voters' definitions is other: the algorithm, its parameters, who is in it."""
        bare = [{**n.canonical, "abstain": None} for n in (self.before, self.after)]
        common = [key for key in self._members if all(key in voters for voters in self._voters)]
        return digest(bare[0]) != digest(bare[1]) or any(
            self._place(0, key) != self._place(1, key) or self._silence(0, key) != self._silence(1, key)
            for key in common
            if not self._has_another_role(key)
        )

    def _defines_its_role(self, key: Key) -> bool:
        return all(key in voters for voters in self._voters) and self._has_another_role(key)

    def _has_another_role(self, key: Key) -> bool:
        """Whether a file of judgments says so itself that it counts for something else (its ``_meta.yml``)."""
        was, now = (voters[key] for voters in self._voters)
        return was.kind == _PEOPLE and was.own != now.own

    # -- who takes part

    @cached_property
    def _tasks(self) -> tuple[TaskInfo, TaskInfo]:
        return self.base.task(self.before), self.head.task(self.after)

    @cached_property
    def _voters(self) -> tuple[Mapping[Key, Node], Mapping[Key, Node]]:
        """Voters and annotation files of the task by name, of either side."""

        def of(side: int) -> dict[Key, Node]:
            task = (self.before, self.after)[side].task
            return {(n.kind, n.name): n for n in self._run(side).graph.of(*FUNCTIONS, _PEOPLE) if n.task == task}

        return of(0), of(1)

    @cached_property
    def _members(self) -> set[Key]:
        """Who takes part in the label set of either side."""
        return {key for side in (0, 1) for key in self._voters[side] if self._place(side, key)}

    def _place(self, side: int, key: Key) -> str:
        """What a voter is in the label set of a side: voter, curator, gold; empty if it is in none."""
        node, spec = self._voters[side].get(key), (self.before, self.after)[side].spec
        if node is None:
            return ""
        places = (("voter", (*spec.voters, *spec.annotations)), ("curator", spec.curators), ("gold", spec.gold))
        return " ".join(name for name, ids in places if node.id in ids)

    def _silence(self, side: int, key: Key) -> str | None:
        found: str | None = (self.before, self.after)[side].spec.abstain.get(self._voters[side][key].id)
        return found

    def _same_votes(self, key: Key) -> bool:
        """Whether two versions of a voter say the same on the same items."""
        if self.tables:
            return False
        return self._votes(key, 0, 0).digest == self._votes(key, 1, 1).digest

    def _can_cross(self, key: Key) -> bool:
        """Whether each version of a voter there is can vote on the data of the other side."""
        try:
            for side in (0, 1):
                if key in self._voters[side]:
                    self._votes(key, side, 1 - side)
        except TeachkitError:
            return False
        return True

    def _votes(self, key: Key, definition: int, data: int) -> Output:
        """The votes of a voter as one side defines it, on the data of a side.

        Raises:
            TeachkitError: they cannot be had, for example because a prompt would have to be asked.
        """
        node = self._voters[definition][key]
        other = self._voters[data].get(key)
        if definition == data or not self.tables:
            return self._run(definition).outputs[node.id]
        if other is not None and other.own == node.own:
            return self._run(data).outputs[other.id]
        wanted = (key, definition, data)
        if wanted not in self._crossed:
            self._crossed[wanted] = self._cross(node, definition, data)
        found = self._crossed[wanted]
        if found is None:
            raise AssertionError("what cannot be had raises")
        return found

    def _cross(self, node: Node, definition: int, data: int) -> Output:
        mine, theirs = self._run(definition), self._run(data)
        run = Executor(mine.files, mine.graph, mine.store, BuildOptions(llm="kept", command="diff"), quiet)
        try:
            run.outputs.update({i: o for i, o in theirs.outputs.items() if i in mine.graph.nodes})
            run.outputs[self._tasks[definition].dataset] = theirs.outputs[self._tasks[data].dataset]
            if node.kind == _PEOPLE:
                return voting.find_annotations(run, node) or voting.make_annotations(run, node)
            ballot = voting.cast(run, [node])[0]
            if ballot.error is not None:
                raise ballot.error
            return ballot.output
        except KeyError as error:
            raise NotBuilt(None, node=str(error.args[0]), name=node.name, target=mine.files.target_name) from error
        finally:
            run.close()

    def _run(self, side: int) -> Executor:
        run = (self.base, self.head)[side].run
        if run is None:
            raise AssertionError("causes are looked for where both sides compile")
        return run

    # -- one change applied alone

    def agrees(self, unit: Unit) -> Any:
        """Whether the base with this change alone gives an item the label that the head gives it [M]."""
        import numpy as np

        codes = self._codes(unit)
        side = int(unit.data)
        rows = self._dataset_rows[side][(self.compared.pairing.before, self.compared.pairing.after)[side]]
        there = rows >= 0
        found: Any = np.zeros(len(rows), dtype=bool)
        found[there] = self.compared.agrees(codes[rows[there]], there.nonzero()[0])
        return found

    @cached_property
    def _dataset_rows(self) -> tuple[Any, Any]:
        """For each row of a side's label set its row in the dataset."""
        before, after = (
            side.rows_of(task, labels)
            for side, task, labels in zip((self.base, self.head), self._tasks, self.labels, strict=True)
        )
        return before, after

    def _codes(self, unit: Unit) -> Any:
        """What the base with one change decides of each item of the dataset [N], of multichoice [N, L].

        Where labels are values these stand in place of codes.
        """
        run, node = self._mixed(unit)
        key = digest(["what if", _VERSION, node_key(node, run.outputs)])
        try:
            return _kept(run, node, key, lambda: _decided(run, node))
        finally:
            run.close()

    def _mixed(self, unit: Unit) -> tuple[Executor, Node]:
        data, model = int(unit.data), int(unit.model)
        graph_task = replace(self._tasks[model], dataset=self._tasks[data].dataset)
        nodes: dict[str, Node] = {}
        outputs = {graph_task.dataset: self._run(data).outputs[graph_task.dataset]}
        places: dict[str, list[Node]] = {"voter": [], "curator": [], "gold": []}
        silence: dict[str, str] = {}
        for key, side in self._taken(unit):
            node = self._voters[side][key]
            nodes[node.id], outputs[node.id] = node, self._votes(key, side, data)
            exists = side if key not in self._voters[model] or self._defines_its_role(key) else model
            for place in self._place(exists, key).split():
                places[place].append(node)
            if "voter" in self._place(exists, key):
                silence[node.id] = self._silence(exists, key) or node.spec.abstain
        ids = {place: [n.id for n in sorted(found, key=lambda n: n.id)] for place, found in places.items()}
        people = {n.id for n in places["voter"] if n.kind == _PEOPLE}
        mixed = with_voters(
            (self.before, self.after)[model], graph_task.dataset, silence, people, ids["curator"], ids["gold"]
        )
        nodes[graph_task.dataset] = self._run(data).graph[graph_task.dataset]
        run = self._run(model)
        graph = Graph({**nodes, mixed.id: mixed}, {graph_task.name: graph_task}, {})
        made = Executor(run.files, graph, run.store, BuildOptions(llm="kept", command="diff"), quiet)
        made.outputs.update(outputs)
        return made, mixed

    def _taken(self, unit: Unit) -> Iterator[tuple[Key, int]]:
        """Who takes part where one change is applied, each with the side that defines it."""
        for key in sorted(self._members):
            side = int(key in unit.voters)
            if key in self._voters[side]:
                yield key, side


def _decided(run: Executor, node: Node) -> Any:
    with fitting(run, node):
        votes, fitted, gold = fit(run, node)
        return decide_items(run, node, run.graph.tasks[node.task or ""], votes, fitted, gold).codes


def _kept(run: Executor, node: Node, key: str, make: Callable[[], Any]) -> Any:
    """Codes (or values) from the store, made and stored if they are not there."""
    import numpy as np
    import pyarrow as pa

    task = run.graph.tasks[node.task or ""]
    if not task.coded:
        if not run.store.has(key):
            values = make()
            run.put(key, pa.table({"value": task.answers.array(values)}), node, -1, {"one": True})
            return values
        return task.answers.values(run.store.read(key).column(0))
    if not run.store.has(key):
        codes = make()
        wide = codes if codes.ndim == 2 else codes[:, None]
        table = pa.table({f"c{i}": pa.array(np.ascontiguousarray(wide[:, i])) for i in range(wide.shape[1])})
        run.put(key, table, node, -1, {"one": codes.ndim == 1})
        return codes
    meta, table = run.store.meta(key), run.store.read(key)
    columns = [c.to_numpy() for c in table.columns]
    return columns[0] if meta is not None and meta.extra["one"] else np.stack(columns, axis=1)
