"""The two revisions that are compared: opened, and their labels brought about where the store lacks them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.decisions import keys_of
from teachkit.build.gold import gold_files, read_gold
from teachkit.build.pipeline import bring_about
from teachkit.build.revisions.locked import stored_label_set
from teachkit.build.revisions.revision import at_revision, working_tree
from teachkit.build.run import BAD, NodeFinished, quiet
from teachkit.diff.labels import pair
from teachkit.errors import TeachkitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.build.revisions.revision import Revision
    from teachkit.build.run import BuildOptions, Event, Output, Reporter
    from teachkit.graph import Node, TaskInfo
    from teachkit.store import ObjectMeta, Store


@dataclass(frozen=True, slots=True)
class Side:
    """One revision with its labels. ``run`` is None where the project does not compile; ``store`` is that of both."""

    revision: Revision
    store: Store
    run: Executor | None
    problems: Mapping[str, str] = field(default_factory=dict)
    """Node id of a label set -> why its labels could not be made."""
    _gold: dict[str, Any] = field(default_factory=dict)
    _keys: dict[str, pa.ChunkedArray] = field(default_factory=dict)

    def label_sets(self) -> dict[str, Node | None]:
        """The label sets by name; None for one that only the lock knows."""
        if self.run is not None:
            return {n.name: n for n in self.run.graph.of("label_set")}
        lock = self.revision.lock
        return dict.fromkeys(lock.label_sets) if lock is not None else {}

    def output(self, node_id: str) -> Output | None:
        """What a node gives here, None if that is not known."""
        return self.run.outputs.get(node_id) if self.run is not None else None

    def parts(self, name: str) -> Sequence[ObjectMeta] | None:
        """The objects of a label set: as its files give it, else as the lock names it; None if they are nowhere.

        A lock counts only where nothing says that it is about other definitions.
        """
        found = self.output(f"label_set.{name}")
        if found is not None:
            return found.parts
        entry = self.revision.lock.label_sets.get(name) if self.revision.lock is not None else None
        node = self.label_sets().get(name)
        if entry is not None and node is not None and node.fingerprint != entry.fingerprint:
            return None
        keys = stored_label_set(self.store, f"label_set.{name}", entry.digest) if entry is not None else None
        metas = [self.store.meta(key) for key in keys] if keys is not None else None
        return [m for m in metas if m is not None] if metas is not None and all(metas) else None

    def gold(self, task: TaskInfo) -> Any:
        """All gold of a task of this side, read once."""
        if self.run is None:
            raise AssertionError("only a side that compiles has gold")
        if task.name not in self._gold:
            files = [n.id for n in gold_files(self.run.graph, task) if n.id in self.run.outputs]
            self._gold[task.name] = read_gold(self.run, task, files)
        return self._gold[task.name]

    def keys(self, task: TaskInfo) -> pa.ChunkedArray:
        """The keys of all items of a task of this side, read once."""
        if self.run is None:
            raise AssertionError("only a side that compiles has items")
        if task.name not in self._keys:
            self._keys[task.name] = keys_of(self.run, task)
        return self._keys[task.name]

    def rows_of(self, task: TaskInfo, labels: Any) -> Any:
        """For each row of a label set its row in the dataset of its task [N], -1 if it is not there by now."""
        keys, count = self.keys(task), len(labels.keys)
        return pair(keys, labels.keys, same=len(keys) == count and keys.equals(labels.keys)).back(count)

    def task(self, node: Node) -> TaskInfo:
        """The task of a node of this side."""
        if self.run is None:
            raise AssertionError("only a side that compiles has nodes")
        return self.run.graph.tasks[node.task or ""]


@contextmanager
def both_sides(
    root: Path, options: BuildOptions, base: str, head: str | None, report: Reporter = quiet
) -> Iterator[tuple[Side, Side]]:
    """Base and head; ``head`` None is the working tree.

    Raises:
        GitError: git does not have a revision.
        TeachkitError: the head does not compile.
    """
    opened = working_tree(root, options) if head is None else at_revision(root, options, head)
    with opened as after, at_revision(root, options, base) as before:
        if after.problem is not None:
            raise after.problem
        if after.work is None:
            raise AssertionError("what compiles has a workspace")
        sides: list[Side] = []
        try:
            sides += [_side(revision, after.work.store, report) for revision in (before, after)]
            yield sides[0], sides[1]
        finally:
            for side in sides:
                if side.run is not None:
                    side.run.close()


def bring_base(root: Path, options: BuildOptions, base: str, report: Reporter = quiet) -> None:
    """Have the labels of a revision in the store, as far as its files and kept answers give them.

    Raises:
        GitError: git does not have the revision.
        TeachkitError: what is wrong with the store, or with the profile.
    """
    with at_revision(root, options, base) as revision:
        if revision.work is not None:
            side = _side(revision, revision.work.store, report)
            if side.run is not None:
                side.run.close()


def _side(revision: Revision, store: Store, report: Reporter) -> Side:
    if revision.work is None:
        return Side(revision, store, None)
    graph = revision.work.graph
    wanted = {n.id for n in graph.of("label_set", "annotations")}
    wanted |= {up for node_id in wanted for up in graph.upstream(node_id)}
    run = bring_about(revision.work, wanted, revision.git, _only_news(report))
    for node in graph.of("lf", "prompt"):
        _find(run, node)
    return Side(
        revision, store, run, {n.id: _problem(run, n) for n in graph.of("label_set") if n.id not in run.outputs}
    )


def _find(run: Executor, node: Node) -> None:
    """Know the votes of a voter that no label set has, if they are there."""
    if node.id in run.outputs:
        return
    try:
        found = run.find(node)
    except TeachkitError:
        return
    if found is not None:
        run.outputs[node.id] = found


def _problem(run: Executor, node: Node) -> str:
    """Why a label set could not be made: the first thing upstream of it that failed."""
    for node_id, result in run.results.items():
        if result.status in BAD and node_id in run.graph.upstream(node.id) | {node.id}:
            error = result.error
            if error is None:
                return f"{node_id}: {result.message}"
            return f"{node_id}: {error.message}" + (f"; {error.advice}" if error.advice else "")
    return "an input failed"


def _only_news(report: Reporter) -> Reporter:
    """Pass over what the store had."""

    def passed_on(event: Event) -> None:
        if not isinstance(event, NodeFinished) or event.result.status != "reused":
            report(event)

    return passed_on
