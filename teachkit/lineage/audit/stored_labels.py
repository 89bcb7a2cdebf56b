"""The label sets that an audit is about: found in the store by the digest that the lock names, as they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.build.execute import Executor
from teachkit.build.keys import output_of
from teachkit.build.recipe import graph_of
from teachkit.build.run import BuildOptions, quiet
from teachkit.errors import TeachkitError
from teachkit.lineage.audit.chain import Broken, DoesNotHold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from teachkit.build.run import Output
    from teachkit.graph import Graph, Node, TaskInfo
    from teachkit.lineage.audit.chain import Chain, Made
    from teachkit.store import Environment, LockedLabels, ObjectMeta


@dataclass(frozen=True, slots=True)
class StoredLabels:
    """One label set as it lies in the store.

    ``entry`` is that of the lock, None where there is no lock. ``made``: the newest run that names these objects.
    ``parameters`` describes the object of the parameters, with the record of all that the labels rest on.
    """

    name: str
    output: Output
    definition: str
    made: Made
    parameters: ObjectMeta
    entry: LockedLabels | None

    @property
    def id(self) -> str:
        """The id of its node."""
        return f"label_set.{self.name}"

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What it rests on: from the ids of nodes to their objects, definitions and places."""
        return self.parameters.extra["inputs"]  # type: ignore[no-any-return]

    @property
    def is_own_class(self) -> bool:
        """Whether its label model is a class of the project."""
        return ":" in self.parameters.extra["algorithm"]


def find_labels(chain: Chain, environment: Environment, name: str, entry: LockedLabels | None) -> StoredLabels:
    """The label set that an entry of the lock names; without one, the published label set.

    Raises:
        DoesNotHold: the store has none with this digest, or not all of its objects.
    """
    node_id = f"label_set.{name}"
    published = environment["nodes"].get(node_id)
    if entry is None or (published is not None and published["digest"] == entry.digest):
        made = chain.made(node_id, published["objects"]) if published is not None else None
    else:
        made = next(chain.all_made(node_id, entry.digest), None)
    if made is None:
        problem = f"no run of this store made labels of '{name}' with the digest that teachkit.lock names"
        newest = next((m for r in chain.runs if (m := _of(r, node_id, chain)) is not None), None)
        if newest is not None:
            problem += f"; the newest, run {newest.run.run_id}, made {newest.digest[:12]}…"
        raise DoesNotHold(Broken(step="lock", label_set=name, path="teachkit.lock", problem=problem))
    metas = [_there(chain, name, node_id, key) for key in made.output["objects"]]
    parameters = _there(chain, name, node_id, metas[0].extra["parameters"])
    return StoredLabels(name, output_of(metas), made.output["definition"], made, parameters, entry)


def _of(run: Any, node_id: str, chain: Chain) -> Made | None:
    output = run.record.get("outputs", {}).get(node_id)
    return None if output is None else chain.made(node_id, output["objects"])


def _there(chain: Chain, label_set: str, node: str, key: str) -> ObjectMeta:
    meta = chain.store.meta(key)
    if meta is None:
        raise DoesNotHold(missing(chain, label_set, node, key))
    return meta


def missing(chain: Chain, label_set: str, node: str, key: str) -> Broken:
    """What to say of an object that is gone."""
    path = chain.name(chain.store.path(key))
    problem = f"object {key[:12]}… of {node} is missing"
    return Broken(step="objects", problem=problem, label_set=label_set, node=node, object=key, path=path)


class Origins:
    """From stored labels to an executor that knows nothing but what they were made of, as it was then."""

    def __init__(self, chain: Chain, compiled: Callable[[], Graph]) -> None:
        """``compiled`` gives the project's graph as it is now: for what has no record of its own."""
        self.chain = chain
        self._compiled = compiled
        self._graph: Graph | None = None
        self.problem: str | None = None

    def now(self) -> Graph | None:
        """The project as it is now, None if it cannot be compiled; ``problem`` then says why."""
        if self._graph is None and self.problem is None:
            try:
                self._graph = self._compiled()
            except TeachkitError as error:
                self.problem = str(error).split("\n", 1)[0]
        return self._graph

    def graph(self, labels: StoredLabels) -> Graph | None:
        """The label set's own graph: as recorded, else that of the project if its definition is the same one."""
        recipe = labels.parameters.extra.get("recipe")
        if recipe is not None:
            return graph_of(recipe, labels.inputs, name=labels.name, own=labels.definition)
        return self.now() if self.is_as_now(labels) else None

    def is_as_now(self, labels: StoredLabels) -> bool:
        """Whether the project still defines the label set as it was made."""
        graph = self.now()
        node = None if graph is None else graph.nodes.get(labels.id)
        return node is not None and node.own == labels.definition and set(node.inputs) == set(labels.inputs)

    def executor(
        self, graph: Graph, labels: StoredLabels, others: Mapping[str, Sequence[str]] | None = None
    ) -> Executor:
        """What looks at the label set and the objects of its inputs; ``others`` take the place of these."""
        chain = self.chain
        run = Executor(chain.files, graph, chain.store, BuildOptions(), quiet)
        objects = {**{i: about["objects"] for i, about in labels.inputs.items()}, **(others or {})}
        for node_id, keys in objects.items():
            run.outputs[node_id] = output_of([_there(chain, labels.name, node_id, key) for key in keys])
        run.outputs[labels.id] = labels.output
        return run


def node_and_task(graph: Graph, labels: StoredLabels) -> tuple[Node, TaskInfo]:
    """The label set's node and its task."""
    node = graph[labels.id]
    return node, graph.tasks[node.task or ""]


def objects_of(labels: StoredLabels) -> Iterator[tuple[str, Sequence[str]]]:
    """What a label set rests on: itself, then its inputs; ids with the keys of their parts."""
    yield labels.id, [p.key for p in labels.output.parts]
    for node_id, about in labels.inputs.items():
        yield node_id, about["objects"]
