"""Runs of the chain as OpenLineage events (spec 2-0-2): a START and an end for the run, and for each of its nodes.

Nodes are jobs and datasets of the namespace ``teachkit://PROJECT/TARGET``, named by their ids; what they read or write
outside is named by ``places``. Nothing is asked but the store, the project as compiled, git's address of its
origin and ``run_results.json``, and ids of runs are computed from the chain: the same run gives the same ids anywhere.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from teachkit.build.revisions.git import origin
from teachkit.graph.names import fold
from teachkit.lineage.forms.openlineage_columns import column_lineage
from teachkit.lineage.forms.openlineage_facets import PRODUCER, SPEC, facet
from teachkit.lineage.forms.places import Place, file_place, source_places
from teachkit.lineage.forms.runs import RanNode, RanProject, find_run, ran_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from teachkit.build import Workspace
    from teachkit.store import ObjectMeta

_RUNS = uuid.UUID("3f0a4c3e-6d0b-5c9c-8c66-2f6f4c0f7a11")
_ENDS = {"failed": "FAIL", "error": "FAIL", "skipped": "ABORT"}
_TESTS = ("test", "unit_test")
_LANGUAGES = {".py": "python", ".md": "markdown"}


def openlineage(work: Workspace, run_id: str | None = None) -> list[dict[str, Any]]:
    """The events of one run, in the order of what happened; without an id of the newest that published.

    Raises:
        UnknownRun: the chain has no such run.
        NoRun: nothing was published in this target yet.
    """
    run = find_run(work, run_id)
    return list(_Events(work, ran_project(work, run)).all())


def run_uuid(run_hash: str, node: str = "") -> str:
    """The id of a run, or of a node's part in it, as OpenLineage wants it: a UUID, computed from the run's hash."""
    return str(uuid.uuid5(_RUNS, f"{run_hash}/{node}"))


class _Events:
    """The events of one run."""

    def __init__(self, work: Workspace, ran: RanProject) -> None:
        self.work = work
        self.ran = ran
        self.known = ran.known
        self.record = ran.run.record
        self.namespace = f"teachkit://{work.files.config.name}/{quote(self.record['target'])}"
        self.start = datetime.fromisoformat(self.record["started"])
        self.end = self.start + timedelta(seconds=self.record["seconds"])
        self.url, self.prefix = origin(work.files.root)

    def all(self) -> Iterator[dict[str, Any]]:
        """The run's START, those of its nodes, the run's end."""
        job = {"namespace": self.namespace, "name": self.record["command"], "facets": self._run_job_facets()}
        run: dict[str, Any] = {"runId": run_uuid(self.ran.run.hash), "facets": self._run_facets()}
        yield self._event("START", self.start, run, job)
        before = 0.0
        for node in self.ran.nodes.values():
            yield from self._of_node(node, before)
            before += node.seconds or 0.0
        if self.ran.failed:
            failed = [n.id for n in self.ran.nodes.values() if n.status in ("failed", "error")]
            message = self.record["error"] or f"failed: {', '.join(failed)}"
            run = {**run, "facets": {**run["facets"], "errorMessage": _error(message)}}
        yield self._event("FAIL" if self.ran.failed else "COMPLETE", self.end, run, job)

    def _of_node(self, node: RanNode, before: float) -> Iterator[dict[str, Any]]:
        job = {"namespace": self.namespace, "name": node.id, "facets": self._job_facets(node)}
        facets = {"parent": self._parent(), "processing_engine": self._engine(), "teachkit_node": _about(node)}
        run = {"runId": run_uuid(self.ran.run.hash, node.id), "facets": facets}
        places = self._places(node)
        bare = [{"namespace": p.namespace, "name": p.name} for p in places]
        bare += [{"namespace": self.namespace, "name": i} for i in node.inputs]
        first, last = self._times(node, before)
        yield self._event("START", first, run, job, bare)
        end = _ENDS.get(node.status, "COMPLETE")
        if end == "FAIL":
            message = node.message or f"{node.id}: {node.status}"
            run = {**run, "facets": {**facets, "errorMessage": _error(message)}}
        inputs = [_outside(p) for p in places] + [self._input(i, node) for i in node.inputs]
        outputs = [self._output(node, places)] if end == "COMPLETE" and node.kind not in _TESTS else []
        yield self._event(end, last, run, job, inputs, outputs)

    def _event(
        self,
        kind: str,
        at: datetime,
        run: dict[str, Any],
        job: dict[str, Any],
        inputs: list[dict[str, Any]] | None = None,
        outputs: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        return {
            "eventType": kind,
            "eventTime": at.isoformat(timespec="milliseconds"),
            "run": run,
            "job": job,
            "inputs": inputs or [],
            "outputs": outputs or [],
            "producer": PRODUCER,
            "schemaURL": f"{SPEC}#/$defs/RunEvent",
        }

    def _times(self, node: RanNode, before: float) -> tuple[datetime, datetime]:
        """When a node began and ended: one after the other where their seconds are known, else with the run."""
        if node.seconds is None:
            return self.start, self.end
        first = min(self.start + timedelta(seconds=before), self.end)
        return first, min(first + timedelta(seconds=node.seconds), self.end)

    # -- facets of runs and jobs

    def _run_facets(self) -> dict[str, Any]:
        record, run = self.record, self.ran.run
        about = {k: record[k] for k in ("command", "target", "select", "exclude", "published", "commit", "versions")}
        dirty = None if record["changed"] is None else bool(record["changed"])
        chain = {"runId": run.run_id, "hash": run.hash, "previous": run.previous}
        return {
            "processing_engine": self._engine(),
            "teachkit_run": facet("teachkit_run", **about, **chain, dirty=dirty),
        }

    def _engine(self) -> dict[str, Any]:
        return facet("processing_engine", name="teachkit", version=self.record["versions"]["teachkit"])

    def _parent(self) -> dict[str, Any]:
        run, job = (
            {"runId": run_uuid(self.ran.run.hash)},
            {"namespace": self.namespace, "name": self.record["command"]},
        )
        return facet("parent", run=run, job=job, root={"run": run, "job": job})

    def _run_job_facets(self) -> dict[str, Any]:
        where = self._code("")
        return {"jobType": _job_type("RUN")} | ({"sourceCodeLocation": where} if where else {})

    def _job_facets(self, node: RanNode) -> dict[str, Any]:
        found = {"jobType": _job_type(node.kind.upper())}
        where = self._code(node.path) if node.path else None
        if where is not None:
            found["sourceCodeLocation"] = where
        if node.sql:
            found["sql"] = facet("sql", query=node.sql, dialect="duckdb")
        language = _LANGUAGES.get("." + (node.path or "").rpartition(".")[2])
        if language and node.text:
            found["sourceCode"] = facet("sourceCode", language=language, sourceCode=node.text)
        if node.description:
            found["documentation"] = facet("jobDocumentation", description=node.description)
        return found

    def _code(self, path: str) -> dict[str, Any] | None:
        """Where the run's code is in git; None outside git, and for a file that differed from the commit."""
        commit, changed = self.record["commit"], self.record["changed"]
        if commit is None or path in changed:
            return None
        inside = self.prefix + path
        if self.url is None:
            url = f"git:{commit}:{quote(inside)}"
            return facet("sourceCodeLocation", type="git", url=url, path=inside, version=commit)
        kind = ("-/" if "gitlab" in self.url else "") + ("blob" if path else "tree")
        url = f"{self.url}/{kind}/{commit}/{quote(inside)}".rstrip("/")
        return facet("sourceCodeLocation", type="git", url=url, repoUrl=f"{self.url}.git", path=inside, version=commit)

    # -- datasets

    def _places(self, node: RanNode) -> list[Place]:
        """What a node reads outside of teachkit."""
        root = self.work.files.root
        if node.kind == "annotations" and node.path:
            return [file_place(node.path, root)]
        if node.kind != "source":
            return []
        files = self.record["sources"].get(node.id, {})
        if node.known in ("store", "gone") or node.id not in self.work.graph.nodes:
            return [file_place(path, root, found) for path, found in sorted(files.items())]
        return source_places(self.work.graph[node.id].spec, files, root)

    def _input(self, node_id: str, reader: RanNode) -> dict[str, Any]:
        node = self.known.get(node_id)
        metas = self._metas(node)
        found: dict[str, Any] = {"namespace": self.namespace, "name": node_id, "facets": {}, "inputFacets": {}}
        if node is not None:
            found["facets"] = self._dataset_facets(node, metas)
        if node is not None and node.rows is not None:
            size = sum(m.bytes for m in metas) if metas else None
            found["inputFacets"]["inputStatistics"] = facet("inputStatistics", rowCount=node.rows, size=size)
        if reader.kind in _TESTS and reader.status in ("passed", "warned", "failed"):
            target = (reader.test or {}).get("target") or reader.inputs[0]
            if target == node_id:
                found["inputFacets"]["dataQualityAssertions"] = _assertion(reader)
        return found

    def _output(self, node: RanNode, places: list[Place]) -> dict[str, Any]:
        metas = self._metas(node)
        facets = self._dataset_facets(node, metas)
        columns = column_lineage(node, places, self.known, self.namespace)
        if columns is not None:
            facets["columnLineage"] = columns
        statistics = {}
        if node.rows is not None:
            size = sum(m.bytes for m in metas) if metas else None
            statistics["outputStatistics"] = facet(
                "outputStatistics", rowCount=node.rows, size=size, fileCount=len(metas) or None
            )
        place = self._export_place(node) or Place(self.namespace, node.id)
        return {"namespace": place.namespace, "name": place.name, "facets": facets, "outputFacets": statistics}

    def _export_place(self, node: RanNode) -> Place | None:
        there = self.work.graph.nodes.get(node.id)
        if node.kind != "export" or there is None:
            return None
        return file_place(there.spec.path, self.work.files.root)

    def _dataset_facets(self, node: RanNode, metas: list[ObjectMeta]) -> dict[str, Any]:
        found = {}
        types = {fold(c): t for m in metas[:1] for c, t in m.types.items()}
        columns = node.columns if node.columns is not None else tuple(types)
        if columns:
            fields = [{"name": c, **({"type": types[c]} if c in types else {})} for c in columns]
            found["schema"] = facet("schema", fields=fields)
        if node.digest:
            found["version"] = facet("version", datasetVersion=node.digest)
        if node.description:
            found["documentation"] = facet("datasetDocumentation", description=node.description)
        if node.kind == "label_set" and metas:
            found["dataQualityMetrics"] = _label_metrics(metas)
        return found

    def _metas(self, node: RanNode | None) -> list[ObjectMeta]:
        """What the store still knows of a node's objects: of all, or of none."""
        found = [self.work.store.meta(key) for key in (node.objects or ())] if node else []
        there = [m for m in found if m is not None]
        return there if len(there) == len(found) else []


def _outside(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"namespace": place.namespace, "name": place.name}
    return found | ({"facets": {"version": facet("version", datasetVersion=place.version)}} if place.version else {})


def _about(node: RanNode) -> dict[str, Any]:
    """What teachkit knows of a node's part in the run beyond what OpenLineage has a word for."""
    return facet(
        "teachkit_node",
        status=node.status,
        definition=node.definition,
        definitionFrom=node.known,
        path=node.path,
        line=node.line,
        seconds=node.seconds,
        cost=node.cost or None,
        message=node.message or None,
    )


def _assertion(test: RanNode) -> dict[str, Any]:
    about = test.test or {}
    said = {
        "assertion": about.get("check") or test.kind,
        "success": test.status == "passed",
        "column": about.get("column"),
        "severity": about.get("severity"),
        "name": test.id,
        "description": test.description or None,
    }
    return facet("dataQualityAssertions", assertions=[{k: v for k, v in said.items() if v is not None}])


def _label_metrics(metas: list[ObjectMeta]) -> dict[str, Any]:
    rows, labeled = sum(m.rows for m in metas), sum(m.extra["labeled"] for m in metas)
    classes = {label for m in metas for label, count in m.extra["classes"].items() if count}
    about = {"count": labeled, "nullCount": rows - labeled, "distinctCount": len(classes)}
    return facet("dataQualityMetrics", rowCount=rows, columnMetrics={"label": about})


def _job_type(kind: str) -> dict[str, Any]:
    return facet("jobType", processingType="BATCH", integration="TEACHKIT", jobType=kind)


def _error(message: str) -> dict[str, Any]:
    return facet("errorMessage", message=message, programmingLanguage="python")
