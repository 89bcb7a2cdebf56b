"""Brings nodes up to date, in the order of the graph: the only step that touches data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from teachkit.build.keys import content, node_key, output_of, part_content
from teachkit.build.run import BAD, NodeFinished, NodeResult, NodeStarted, Note, Output, Reporter
from teachkit.errors import NotBuilt, ProjectErrors, TeachkitError
from teachkit.hashing import digest

if TYPE_CHECKING:
    import pyarrow as pa

    from teachkit.build.run import BuildOptions
    from teachkit.engine.session import Session
    from teachkit.graph import Graph, Node
    from teachkit.project import ProjectFiles
    from teachkit.store import ObjectMeta, Store

Codes = Mapping[str, Any]


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
        self.blocked: set[str] = set()
        self.failed: set[str] = set()
        self._session: Session | None = None
        self._views: set[str] = set()
        self._environment = store.read_environment(files.target_name)["nodes"]
        self._total = 0
        self._stop = False

    # -- the loop

    def run(self, wanted: set[str]) -> tuple[NodeResult, ...]:
        """Run the wanted nodes; a node whose input failed is skipped, the others go on."""
        needed = wanted | {up for node in wanted for up in self.graph.upstream(node)}
        order = [n for n in self.graph if n.id in needed and n.kind not in ("test", "unit_test")]
        tests = [n for n in self.graph.of("test", "unit_test") if n.id in wanted]
        self._total = len(wanted)
        done: set[str] = set()
        try:
            while order or tests:
                ready = [t for t in tests if set(t.inputs) <= done]
                if not ready and not order:
                    break
                group = ready or self._group(order, done)
                for node in group:
                    (tests if ready else order).remove(node)
                self._run_group(group, wanted)
                done |= {n.id for n in group}
        finally:
            if self._session is not None:
                self._session.connection.close()
        return tuple(self.results[n] for n in self.results)

    def _group(self, order: Sequence[Node], done: set[str]) -> list[Node]:
        """The next node; a labeling function with all others of its task that can run now."""
        first = order[0]
        if first.kind != "lf":
            return [first]
        return [n for n in order if n.kind == "lf" and n.task == first.task and all(i in done for i in n.inputs)]

    def _run_group(self, group: Sequence[Node], wanted: set[str]) -> None:
        runnable = []
        for node in group:
            if node.id not in wanted:
                self._resolve(node)
            elif self._stop or any(
                i in self.failed or i in self.blocked for i in node.inputs if node.kind != "test" or i in self.failed
            ):
                self.failed.add(node.id)
                self._finish(
                    node, "skipped", message="an input failed" if not self._stop else "stopped at the first failure"
                )
            else:
                runnable.append(node)
        if not runnable:
            return
        if runnable[0].kind == "lf":
            self._run_voters(runnable)
            return
        for node in runnable:
            started = time.perf_counter()
            self.report(NodeStarted(node.id, len(self.results) + 1, self._total))
            try:
                self._run_node(node, started)
            except TeachkitError as error:
                self._fail(node, error, started)

    def _run_node(self, node: Node, started: float) -> None:
        match node.kind:
            case "source":
                built = self._source(node)
            case "transform":
                built = self._transform(node)
            case "annotations":
                built = self._annotations(node)
            case "label_set":
                from teachkit.build.label_sets import build_label_set

                built = build_label_set(self, node)
            case "export":
                from teachkit.build.exports import build_export

                built = build_export(self, node)
            case "test":
                self._test(node, started)
                return
            case _:
                self._unit_test(node, started)
                return
        self._finish(node, "built" if built else "reused", started=started)

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
        rows = sum(p.rows for p in output.parts) if output and output.parts else None
        seconds = time.perf_counter() - started if started is not None else 0.0
        where = error.where if error is not None and error.where is not None else node.where
        result = NodeResult(
            node.id, node.kind, status, rows, seconds, 0.0, message, where.path, where.line, failures, error
        )
        self.results[node.id] = result
        self.report(NodeFinished(result, len(self.results), self._total))

    def _fail(self, node: Node, error: TeachkitError, started: float | None = None) -> None:
        self.failed.add(node.id)
        errors = error.errors if isinstance(error, ProjectErrors) else [error]
        self._finish(
            node,
            "error",
            started=started,
            message="\n".join(str(e) for e in errors),
            error=errors[0] if len(errors) == 1 else error,
        )
        self._stop = self._stop or self.options.fail_fast

    def _resolve(self, node: Node) -> None:
        """The output of a node that was not asked for: what its present definition gave, else what was published."""
        try:
            found = self._find(node)
        except KeyError:
            found = None
        if found is None and node.id in self._environment:
            metas = [self.store.meta(key) for key in self._environment[node.id]["objects"]]
            found = output_of([m for m in metas if m is not None]) if all(metas) and metas else None
        if found is None:
            raise NotBuilt(None, node=node.id, name=node.name, target=self.files.target_name)
        self.outputs[node.id] = found

    def _find(self, node: Node) -> Output | None:
        from teachkit.engine.tables import stored_parts

        match node.kind:
            case "source":
                self._source(node)
                return self.outputs[node.id]
            case "transform":
                parts = stored_parts(self.store, self._transform_key(node))
                return output_of(parts) if parts else None
            case "lf":
                found = [self.store.meta(key) for key in self._vote_keys(node)]
            case "annotations" | "label_set":
                key = self._annotations_key(node) if node.kind == "annotations" else node_key(node, self.outputs)
                if node.kind == "label_set":
                    from teachkit.build.label_sets import label_keys

                    found = [self.store.meta(k) for k in label_keys(self, node)]
                else:
                    found = [self.store.meta(key)]
            case _:
                return None
        return output_of([f for f in found if f is not None]) if all(found) else None

    # -- DuckDB

    @property
    def session(self) -> Session:
        """The connection, opened on first use."""
        if self._session is None:
            from teachkit.engine.session import Session

            target = self.files.target
            self._session = Session(threads=target.threads, memory=target.memory, scratch=self.store.root / "scratch")
        return self._session

    def view(self, node_id: str) -> None:
        """Make a node's rows known to DuckDB under its id."""
        if node_id in self._views:
            return
        from teachkit.engine.sources import open_source
        from teachkit.engine.tables import relation

        node, output = self.graph[node_id], self.outputs[node_id]
        if output.parts:
            self.session.view(node_id, relation(self.store, output.parts))
        else:
            self.session.view(
                node_id, open_source(self.session.connection, node.spec, self.files.root, node.name, node.where)
            )
        self._views.add(node_id)

    # -- sources and transforms

    def _source(self, node: Node) -> bool:
        from teachkit.engine.sources import check_there, content_key
        from teachkit.engine.tables import stored_parts

        check_there(node.spec, self.files.root, node.name, node.where)
        found = content_key(node.spec, self.files.root, self.store)
        known = digest([node.own, found]) if found else None
        keyed = [t.key for t in self.graph.tasks.values() if t.dataset == node.id]
        if known is not None and not keyed:
            changed = self._environment.get(node.id, {}).get("digest") != known
            self.outputs[node.id] = Output((), known)
            return changed
        key = known or digest([node.own, "read again", time.time_ns()])
        parts = None if self.options.full_refresh else stored_parts(self.store, key)
        built = parts is None
        if parts is None:
            import duckdb

            from teachkit.engine.sources import open_source, unreadable

            try:
                relation = open_source(self.session.connection, node.spec, self.files.root, node.name, node.where)
                parts = self._materialise(
                    node, f"select * from {relation}", key, keyed[0] if keyed else None, True, False
                )
            except duckdb.Error as error:
                raise unreadable(error, node.name, node.where) from error
        self.outputs[node.id] = output_of(parts)
        return built

    def _materialise(
        self, node: Node, sql: str, key: str, split_by: str | None, keeps_order: bool, serial: bool
    ) -> list[ObjectMeta]:
        from teachkit.engine.tables import materialise

        return materialise(
            self.session,
            self.store,
            sql,
            key=key,
            node=node.id,
            split_by=split_by,
            part_rows=self.files.config.part_rows,
            keeps_order=keeps_order,
            serial=serial,
            replace=self.options.full_refresh,
        )

    def _transform_key(self, node: Node) -> str:
        return node_key(node, self.outputs, node.spec.key, self.files.config.part_rows)

    def _transform(self, node: Node) -> bool:
        import duckdb

        from teachkit.engine.tables import stored_parts

        key = self._transform_key(node)
        parts = None if self.options.full_refresh else stored_parts(self.store, key)
        built = parts is None
        if parts is None:
            from teachkit.engine.session import failure

            spec = node.spec
            try:
                for parent in node.inputs:
                    self.view(parent)
                parts = self._materialise(node, spec.sql, key, spec.key, spec.keeps_order, spec.aggregates)
            except duckdb.Error as error:
                raise failure(error, node) from error
        self.outputs[node.id] = output_of(parts)
        return built

    # -- votes

    def _vote_keys(self, node: Node) -> list[str]:
        """The key of the votes on each part of the dataset: the voter's meaning, the content of what it reads there."""
        task = self.graph.tasks[node.task or ""]
        parts = self.outputs[task.dataset].parts
        if node.spec.mode == "select":
            whole = node_key(node, self.outputs)
            return [digest(["votes", whole, i]) for i in range(len(parts))]
        return [digest(["votes", node.own, part_content(part, node.spec.columns)]) for part in parts]

    def _run_voters(self, nodes: Sequence[Node]) -> None:
        task = self.graph.tasks[nodes[0].task or ""]
        started = time.perf_counter()
        parts = self.outputs[task.dataset].parts
        metas: dict[str, list[ObjectMeta | None]] = {}
        missing: dict[str, list[int]] = {}
        for node in nodes:
            keys = self._vote_keys(node)
            metas[node.id] = [None if self.options.full_refresh else self.store.meta(k) for k in keys]
            missing[node.id] = [i for i, m in enumerate(metas[node.id]) if m is None]
            if missing[node.id]:
                self.report(NodeStarted(node.id, len(self.results) + 1, self._total))
        errors: dict[str, TeachkitError] = {}
        seconds: dict[str, float] = {}
        for part in range(len(parts)):
            todo = [n for n in nodes if part in missing[n.id] and n.id not in errors]
            begun = time.perf_counter()
            for node, codes, error in self._vote(todo, parts, part):
                if error is not None:
                    errors[node.id] = error
                elif codes is not None:
                    metas[node.id][part] = self.put(self._vote_keys(node)[part], _votes_table(codes), node, part)
                now = time.perf_counter()
                seconds[node.id] = seconds.get(node.id, 0.0) + now - begun
                begun = now
        for node in nodes:
            found = [m for m in metas[node.id] if m is not None]
            taken = time.perf_counter() - seconds.get(node.id, 0.0)
            if node.id in errors:
                self._fail(node, errors[node.id], taken)
            else:
                self.outputs[node.id] = output_of(found)
                self._finish(
                    node, "built" if missing[node.id] else "reused", started=taken if missing[node.id] else None
                )
        del started

    def _vote(
        self, nodes: Sequence[Node], parts: Sequence[ObjectMeta], part: int
    ) -> Iterator[tuple[Node, Codes | None, TeachkitError | None]]:
        if not nodes:
            return
        from teachkit.engine.scan import scan, select_votes

        task = self.graph.tasks[nodes[0].task or ""]
        path = self.store.path(parts[part].key)
        expressions = [n for n in nodes if n.spec.mode == "expression"]
        if expressions:
            for voted in scan(self.session, expressions, path, task):
                yield voted.node, voted.codes, voted.error
        for node in nodes:
            if node.spec.mode == "select":
                try:
                    for parent in node.inputs:
                        self.view(parent)
                    yield node, select_votes(self.session, node, [path], task)[0], None
                except TeachkitError as error:
                    yield node, None, error
        python = [n for n in nodes if n.spec.mode == "python"]
        if python:
            yield from self._python(python, parts[part])

    def _python(
        self, nodes: Sequence[Node], part: ObjectMeta
    ) -> Iterator[tuple[Node, Codes | None, TeachkitError | None]]:
        import numpy as np

        from teachkit.engine.session import parquet
        from teachkit.graph import quote
        from teachkit.voters.python_lf import PythonPool

        task = self.graph.tasks[nodes[0].task or ""]
        columns = sorted({task.key, *(c for n in nodes for c in n.spec.columns)})
        table = self.session.table(
            f"select {', '.join(f'{quote(c)} as {quote(c)}' for c in columns)} from {parquet([self.store.path(part.key)])}"
        )
        by_id = {n.id: n for n in nodes}
        with PythonPool(
            self.files.root,
            workers=min(self.files.target.threads, len(nodes)),
            timeout=self.files.config.python_timeout,
        ) as pool:
            for node_id, result in pool.run(
                [n.spec.python for n in nodes], table, key=task.key, labels=task.labels, multi=task.multi
            ):
                node = by_id[node_id]
                if result.error is not None:
                    yield node, None, result.error
                elif task.multi:
                    answers = result.answers or {0: np.full(part.rows, -1, np.int8)}
                    yield node, {f"v{code}": votes for code, votes in answers.items()}, None
                else:
                    yield node, {"vote": result.codes}, None

    def _annotations_key(self, node: Node) -> str:
        task = self.graph.tasks[node.task or ""]
        return digest(["annotations", node.own, content(self.outputs[task.dataset], [task.key])])

    def _annotations(self, node: Node) -> bool:
        from teachkit.voters.annotations import judgments_table, read_judgments

        key = self._annotations_key(node)
        meta = None if self.options.full_refresh else self.store.meta(key)
        built = meta is None
        if meta is None:
            task = self.graph.tasks[node.task or ""]
            text = (self.files.root / node.spec.path).read_text(encoding="utf-8-sig")
            judgments = read_judgments(text, node.spec.path, node.name, node.spec.meta, task)
            rows = self._rows_of({j.item for j in judgments}, task)
            meta = self.put(key, judgments_table(judgments, rows, node.spec.path, task), node, 0)
        self.outputs[node.id] = output_of([meta])
        return built

    def _rows_of(self, items: set[str], task: Any) -> dict[str, tuple[int, int]]:
        """Item key, as text -> (part, row in it)."""
        import pyarrow as pa

        from teachkit.engine.session import parquet
        from teachkit.graph import quote

        wanted = pa.table({"item": pa.array(sorted(items), type=pa.string())})
        self.session.connection.register("__items", wanted)
        found: dict[str, tuple[int, int]] = {}
        for number, part in enumerate(self.outputs[task.dataset].parts):
            relation = parquet([self.store.path(part.key)], row_number=True)
            query = f"select i.item, d.file_row_number from {relation} d join __items i on i.item = cast(d.{quote(task.key)} as varchar)"
            found |= {item: (number, row) for item, row in self.session.connection.execute(query).fetchall()}
        self.session.connection.unregister("__items")
        return found

    # -- tests

    def _test(self, node: Node, started: float) -> None:
        from teachkit.build.testing import CheckSurroundings, check_key
        from teachkit.checks import run_check, verdict

        key = check_key(self, node)
        meta = self.store.meta(key) if key and not self.options.full_refresh else None
        if meta is not None:
            status, message, failures = meta.extra["status"], meta.extra["message"], int(meta.extra["failures"])
        else:
            finding = run_check(CheckSurroundings(self, node))
            status, message, failures = verdict(node.spec, finding), finding.message, finding.failures
            if key:
                extra = {"status": status, "message": message, "failures": failures, "value": finding.value}
                self.put(key, finding.rows if finding.rows is not None else _no_rows(), node, 0, extra)
        if status == "failed":
            self.blocked |= set(node.inputs) if node.spec.check == "sql" else {node.spec.target}
            self._stop = self._stop or self.options.fail_fast
        self._finish(node, status, started=started, message=message, failures=failures)

    def _unit_test(self, node: Node, started: float) -> None:
        from teachkit.build.testing import run_unit_test

        voter = self.graph[node.inputs[0]]
        key = digest(["unit_test", node.own, voter.own])
        meta = None if self.options.full_refresh else self.store.meta(key)
        if meta is not None:
            failures, message = int(meta.extra["failures"]), str(meta.extra["message"])
        else:
            failures, message = run_unit_test(self, node, voter)
            self.put(key, _no_rows(), node, 0, {"failures": failures, "message": message})
        if failures:
            self.blocked.add(voter.id)
        self._finish(node, "failed" if failures else "passed", started=started, message=message, failures=failures)

    # -- the store

    def put(
        self, key: str, table: pa.Table, node: Node, part: int, extra: Mapping[str, Any] | None = None
    ) -> ObjectMeta:
        """Store an object; with --full-refresh, in place of one with other content."""
        from teachkit.store import combined_digest, table_digests

        if self.options.full_refresh:
            before = self.store.meta(key)
            if before is not None and before.digest != combined_digest(table.num_rows, table_digests(table)):
                self.store.discard(key)
        return self.store.write_table(key, table, node=node.id, part=part, extra=extra)

    def note(self, text: str) -> None:
        """Tell the user something while waiting."""
        self.report(Note(text))


def _votes_table(codes: Codes) -> pa.Table:
    from teachkit.engine.scan import votes_table

    return votes_table(codes)


def _no_rows() -> pa.Table:
    import pyarrow as pa

    return pa.table({"none": pa.array([], type=pa.int8())})


__all__ = ["BAD", "Executor"]
