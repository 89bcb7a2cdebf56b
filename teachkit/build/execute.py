"""Brings nodes up to date, in the order of the graph: the only step that touches data."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from teachkit.build import label_sets, tables, testing, voting
from teachkit.build.asking import prompts
from teachkit.build.keys import output_of
from teachkit.build.run import BAD, BuildOptions, NodeFinished, NodeResult, NodeStarted, Note, quiet
from teachkit.errors import NotBuilt, OfOtherItems, ProjectErrors, TeachkitError, listing
from teachkit.graph.node import FUNCTIONS
from teachkit.graph.order import fingerprint_of
from teachkit.store.objects import items_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build.python_votes import Files
    from teachkit.build.run import Output, Reporter
    from teachkit.build.workspace import Workspace
    from teachkit.engine.session import Session
    from teachkit.graph import Graph, Node
    from teachkit.llm import Budget
    from teachkit.project import ProjectFiles
    from teachkit.project.llm_models import LlmMode
    from teachkit.store import ObjectMeta, Store

T = TypeVar("T")

FIND: Mapping[str, Callable[[Executor, Node], Output | None]] = {
    "source": tables.find_source,
    "transform": tables.find_transform,
    "lf": voting.find_votes,
    "prompt": voting.find_votes,
    "enrichment": prompts.find_enrichment,
    "annotations": voting.find_annotations,
    "label_set": label_sets.find_label_set,
}
"""What is in the store for a node as it is defined now; its inputs' outputs are known."""

MAKE: Mapping[str, Callable[[Executor, Node], Output]] = {
    "source": tables.make_source,
    "transform": tables.make_transform,
    "annotations": voting.make_annotations,
    "enrichment": prompts.make_enrichment,
    "label_set": label_sets.make_label_set,
}
"""Bring a node about. Labeling functions vote together (``voting.cast``); exports and tests have no rows."""


class Identity(NamedTuple):
    """What an output was made of: the node's own definition, and with all that it is made of."""

    definition: str
    fingerprint: str


class Executor:
    """Runs the wanted nodes of a graph; what they need and is not wanted is taken from the store."""

    def __init__(
        self, files: ProjectFiles, graph: Graph, store: Store, options: BuildOptions, report: Reporter
    ) -> None:
        """Nothing is opened before it is needed."""
        self.files = files
        self.graph = graph
        self.store = store
        self.options = options
        self.report = report
        self.outputs: dict[str, Output] = {}
        self.results: dict[str, NodeResult] = {}
        self.published = store.read_environment(files.target_name)
        self._stale: set[str] = set()
        self._identities: dict[str, Identity] = {}
        self.python_files: Files | None = None
        self._failed: set[str] = set()
        self._blocked: set[str] = set()
        self.budgets: dict[str, Budget] = {}
        self.paid: dict[str, float] = {}
        self._kept: dict[str, tuple[str, Any]] = {}
        self.looks: dict[str, dict[str, str]] = {}
        self._session: Session | None = None
        self._views: set[str] = set()
        self._total = 0
        self._stop = False

    # -- the loop

    def run(self, wanted: set[str]) -> None:
        """Run the wanted nodes but exports; a node whose input failed is skipped, the others go on."""
        self._total = len(wanted)
        for group in self._groups(wanted):
            self._run_group(group, wanted)
        if self._stale:
            names = listing(i for i in self.outputs if i in self._stale)
            self.note(
                f"taken as published, not as the files say now: {names} (--select +NAME builds what NAME rests on)"
            )

    def export(self, wanted: set[str], *, held_back: bool) -> None:
        """Write the wanted exports: last, and only if all that they stand for may be published."""
        for node in self.graph.of("export"):
            if node.id not in wanted:
                continue
            if held_back or not self.passed:
                self._finish(node, "skipped", message="nothing is published, so nothing is exported")
            else:
                self._run_one(node)

    @property
    def passed(self) -> bool:
        """Whether no node and no test of severity error has failed so far."""
        return not any(r.status in BAD for r in self.results.values())

    def close(self) -> None:
        """Let go of DuckDB."""
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _groups(self, wanted: set[str]) -> Iterator[Sequence[Node]]:
        """What runs together, in order: tests as soon as they can; the labeling functions of a task at once."""
        needed = wanted | {up for node in wanted for up in self.graph.upstream(node)}
        order = [n for n in self.graph if n.id in needed and n.kind not in ("test", "unit_test", "export")]
        tests = [n for n in self.graph.of("test", "unit_test") if n.id in wanted]
        done: set[str] = set()
        while order or tests:
            group = [t for t in tests if done.issuperset(t.inputs)] or _next(order, done)
            chosen = {n.id for n in group}
            order, tests = [n for n in order if n.id not in chosen], [n for n in tests if n.id not in chosen]
            yield group
            done |= chosen

    def _run_group(self, group: Sequence[Node], wanted: set[str]) -> None:
        runnable = []
        for node in group:
            if node.id not in wanted:
                self.resolve(node)
            elif self._stop or self._must_skip(node):
                self._failed.add(node.id)
                self._finish(
                    node, "skipped", message="stopped at the first failure" if self._stop else "an input failed"
                )
            else:
                runnable.append(node)
        if runnable and runnable[0].kind in FUNCTIONS:
            self._run_voters(runnable)
        else:
            for node in runnable:
                self._run_one(node)

    def _must_skip(self, node: Node) -> bool:
        """A test runs on what another test found wrong; everything else waits for it to be mended."""
        bad = self._failed if node.kind in ("test", "unit_test") else self._failed | self._blocked
        return not bad.isdisjoint(node.inputs)

    def _run_one(self, node: Node) -> None:
        started = time.perf_counter()
        self.report(NodeStarted(node.id, len(self.results) + 1, self._total))
        try:
            if node.kind in ("test", "unit_test"):
                self._run_test(node, started)
            elif node.kind == "export":
                from teachkit.build.exporting import export

                self._finish(node, "built" if export(self, node) else "reused", started=started)
            else:
                self._run_table(node, started)
        except TeachkitError as error:
            if node.kind in ("test", "unit_test"):
                self._block(node)
            self._fail(node, error, started)

    def _run_table(self, node: Node, started: float) -> None:
        find = prompts.find_finished if node.kind == "enrichment" else FIND[node.kind]
        found = None if self.options.full_refresh else find(self, node)
        self.outputs[node.id] = found or MAKE[node.kind](self, node)
        fresh = found is None or self.is_news(node, found)
        self._finish(node, "built" if fresh else "reused", started=started)

    def is_news(self, node: Node, found: Output) -> bool:
        """Whether a source that needed no reading holds something else than what was published."""
        before = self.published["nodes"].get(node.id)
        return node.kind == "source" and (before is None or before["digest"] != found.digest)

    def _run_voters(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.report(NodeStarted(node.id, len(self.results) + 1, self._total))
        for ballot in voting.cast(self, nodes):
            started = time.perf_counter() - ballot.seconds
            if ballot.error is not None:
                self._fail(ballot.node, ballot.error, started)
            else:
                self.outputs[ballot.node.id] = ballot.output
                self._finish(ballot.node, "built" if ballot.fresh else "reused", started=started)

    def _run_test(self, node: Node, started: float) -> None:
        outcome = testing.run_test(self, node)
        if outcome.status == "failed" and self.options.sample is not None and node.kind == "test":
            outcome = replace(outcome, status="warned", message=f"{outcome.message} (a sample)".lstrip())
        if outcome.status == "failed":
            self._block(node)
            self._stop = self._stop or self.options.fail_fast
        self._finish(node, outcome.status, started=started, message=outcome.message, failures=outcome.failures)

    def _block(self, test: Node) -> None:
        """Let nothing be made of what a test found wrong, or could not look at."""
        target = test.spec.target if test.kind == "test" else None
        self._blocked |= {target} if target else set(test.inputs)

    # -- results

    def _finish(
        self,
        node: Node,
        status: str,
        *,
        started: float | None = None,
        message: str = "",
        failures: int | None = None,
        error: TeachkitError | None = None,
    ) -> None:
        output = self.outputs.get(node.id)
        result = NodeResult(
            id=node.id,
            kind=node.kind,
            status=status,
            rows=sum(p.rows for p in output.parts) if output and output.parts else None,
            seconds=time.perf_counter() - started if started is not None else 0.0,
            cost=self.paid.get(node.id, 0.0),
            message=message,
            where=error.where if error is not None and error.where is not None else node.where,
            failures=failures,
            error=error,
        )
        self.results[node.id] = result
        self.report(NodeFinished(result, len(self.results), self._total))

    def _fail(self, node: Node, error: TeachkitError, started: float) -> None:
        self._failed.add(node.id)
        errors = error.errors if isinstance(error, ProjectErrors) else [error]
        message = "\n".join(str(e) for e in errors)
        self._finish(node, "error", started=started, message=message, error=errors[0] if len(errors) == 1 else error)
        self._stop = self._stop or self.options.fail_fast

    # -- what is there already

    def resolve(self, node: Node, *, of_any_items: bool = False) -> Output:
        """The output of a node that is not to be built: what its present definition gave, else what was published.

        Votes of other items than the dataset has are only for those who ask for them (``of_any_items``).

        Raises:
            NotBuilt: neither is there.
            OfOtherItems: there are votes, and they are of other items than the dataset has.
        """
        if node.id not in self.outputs:
            found = self.find(node)
            if found is None:
                found = self._published(node)
                if found is None:
                    raise NotBuilt(None, node=node.id, name=node.name, target=self.files.target_name)
                if not of_any_items and self.of_other_items(node):
                    dataset = self.graph.tasks[node.task or ""].dataset
                    raise OfOtherItems(None, node=node.id, dataset=dataset, name=node.name)
                if self.published["nodes"][node.id]["fingerprint"] != node.fingerprint:
                    self._stale.add(node.id)
                    self._identities.clear()
            self.outputs[node.id] = found
        return self.outputs[node.id]

    def is_published(self, output: Output, node: Node) -> bool:
        """Whether an output is what was last published of a node."""
        before = self.published["nodes"].get(node.id)
        return before is not None and list(before["objects"]) == [p.key for p in output.parts]

    def made_as(self, node_id: str) -> Identity:
        """What an output is of.

        That is the node itself, unless what was published stands in for it, or for something that it is made of.
        """
        node, known = self.graph[node_id], self._identities
        if not self._stale:
            return Identity(node.own, node.fingerprint)
        if node_id not in known:
            before = self.published["nodes"].get(node_id)
            if before is not None and node_id in self._stale:
                known[node_id] = Identity(before["definition"], before["fingerprint"])
            else:
                inputs = [self.made_as(i).fingerprint for i in node.inputs]
                known[node_id] = Identity(node.own, fingerprint_of(node, node.own, inputs))
        return known[node_id]

    def of_other_items(self, node: Node) -> bool:
        """Whether votes and judgments were published for other items than the dataset has: they stand row by row."""
        before = self.published["nodes"].get(node.id)
        if before is None or before["items"] is None or node.task is None:
            return False
        task = self.graph.tasks[node.task]
        return items_digest(self.resolve(self.graph[task.dataset]).parts, task.key) != before["items"]

    def resolve_upstream(self, node_id: str) -> None:
        """Resolve all that a node depends on, itself left out; raises as ``resolve`` does."""
        needed = self.graph.upstream(node_id)
        for node in self.graph:
            if node.id in needed:
                self.resolve(node)

    def find(self, node: Node) -> Output | None:
        """What the store holds for a node as it is defined now, None if its inputs are not known or it is not there."""
        if node.kind not in FIND or any(i not in self.outputs for i in node.inputs):
            return None
        return FIND[node.kind](self, node)

    def _published(self, node: Node) -> Output | None:
        before = self.published["nodes"].get(node.id)
        metas = [self.store.meta(key) for key in before["objects"]] if before else []
        return output_of([m for m in metas if m is not None]) if metas and all(metas) else None

    # -- DuckDB

    @property
    def session(self) -> Session:
        """The connection, opened on first use."""
        if self._session is None:
            from teachkit.engine.session import Session

            target = self.files.target
            scratch = self.store.root / "scratch"
            self._session = Session(threads=target.threads, memory=target.memory, scratch=scratch)
            self._views.clear()
        return self._session

    def view(self, node_id: str) -> None:
        """Make a node's rows known to DuckDB under its id."""
        session = self.session
        if node_id in self._views:
            return
        from teachkit.engine.tables import relation

        node, output = self.graph[node_id], self.outputs[node_id]
        if output.parts:
            session.view(node_id, relation(self.store, output.parts))
        else:
            session.source(node, self.files.root)
        self._views.add(node_id)

    def forget_view(self, node_id: str) -> None:
        """Let the next use of a node's rows look at them anew."""
        self._views.discard(node_id)

    def once(self, what: str, node: Node, make: Callable[[], T]) -> T:
        """What is made once for a node that is at work in several goes; the next node's takes its place."""
        kept = self._kept.get(what)
        if kept is None or kept[0] != node.id:
            kept = self._kept[what] = node.id, make()
        found: T = kept[1]
        return found

    # -- the store

    def check_sources(self, node: Node) -> None:
        """Look again at the sources that a node read where they are: its key tells what they held before.

        Raises:
            SourceChanged: one has been written since.
        """
        for parent in node.inputs:
            output = self.outputs.get(parent)
            if output is not None and not output.parts and output.content is not None:
                tables.check_source(self, self.graph[parent], output.content)

    def put(
        self, key: str, table: pa.Table, node: Node, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store an object; with --full-refresh, in place of one with other content, or that is damaged.

        Raises:
            SourceChanged: a source that the node reads is not what the key says.
        """
        from teachkit.store import combined_digest, table_digests

        self.check_sources(node)
        if self.options.full_refresh:
            before = self.store.meta(key)
            other = before is not None and before.digest != combined_digest(table.num_rows, table_digests(table))
            if other or (before is not None and self.store.verify_object(key) is not None):
                self.store.discard(key)
        return self.store.write_table(key, table, node=node.id, part=part, extra=extra)

    def note(self, text: str) -> None:
        """Tell the user something while waiting."""
        self.report(Note(text))


@contextmanager
def looking_at(work: Workspace, *, llm: LlmMode | None = None, report: Reporter = quiet) -> Iterator[Executor]:
    """An executor for what looks at results and builds nothing; DuckDB is let go of at the end."""
    run = Executor(work.files, work.graph, work.store, BuildOptions(llm=llm), report)
    try:
        yield run
    finally:
        run.close()


def _next(order: Sequence[Node], done: set[str]) -> Sequence[Node]:
    """The next node; a labeling function with all others of its task that can run now."""
    first = order[0]
    if first.kind not in FUNCTIONS:
        return [first]
    return [n for n in order if n.kind in FUNCTIONS and n.task == first.task and done.issuperset(n.inputs)]
