"""``Project``: teachkit from Python. The command line is a view over it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from teachkit.build.run import BuildOptions, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from teachkit.build import Plan, Reporter, Run, Workspace
    from teachkit.build.asking.batching import Submission
    from teachkit.build.asking.collecting import Looked
    from teachkit.build.asking.improving import Candidate
    from teachkit.build.asking.spending import Spending
    from teachkit.build.asking.trying import Trial
    from teachkit.build.revisions.lock_conflicts import Resolution
    from teachkit.build.run import Event
    from teachkit.ci import Ci, Step
    from teachkit.diff import Diff
    from teachkit.graph import Graph, Node
    from teachkit.lineage import Explanation
    from teachkit.lineage.audit.audit_log import AuditLog
    from teachkit.lineage.audit.verify import Verification
    from teachkit.lineage.forms.mermaid import Diagram
    from teachkit.llm import Probe
    from teachkit.project.llm_models import LlmMode
    from teachkit.review import TaskAnalysis
    from teachkit.review.compare import Comparison
    from teachkit.review.debug import Point
    from teachkit.review.error_report import ErrorReport
    from teachkit.review.issues import Issues
    from teachkit.review.suggest import Suggestions
    from teachkit.review.trying import VoterTrial
    from teachkit.site.serve import DocsServer
    from teachkit.store import Lock

Selection = Any  # a selector, or several: each a text as after --select

_READABLE = ("source", "transform", "enrichment", "lf", "prompt", "annotations", "label_set", "test")


class Project:
    """A project on disk. Each call reads its files as they are then, so edits count at once.

    Every method raises ``teachkit.errors.TeachkitError`` (several at once: ``ProjectErrors``) for a user's mistake.
    """

    def __init__(self, root: Path, options: BuildOptions) -> None:
        """Use ``load``."""
        self.root = root
        self._options = options

    def __repr__(self) -> str:
        target = "" if self._options.target is None else f" target={self._options.target!r}"
        return f"<Project {str(self.root)!r}{target}>"

    @classmethod
    def load(
        cls,
        path: str | Path = ".",
        *,
        target: str | None = None,
        vars: Mapping[str, Any] | None = None,
        profiles_dir: str | Path | None = None,
        threads: int | None = None,
    ) -> Self:
        """Find the project at or above ``path``; the options are those of the command line."""
        from teachkit.project import find_root

        profiles = Path(profiles_dir) if profiles_dir is not None else None
        options = BuildOptions(target=target, profiles_dir=profiles, variables=dict(vars or {}), threads=threads)
        return cls(find_root(Path(path)), options)

    # -- running

    def build(
        self, select: Selection = (), exclude: Selection = (), *, report: Reporter = quiet, **options: Any
    ) -> Run:
        """Run and test the selected nodes in order, then publish.

        ``options`` are those of the command line:

        * ``full_refresh=False``: run everything anew, as if the store were empty.
        * ``fail_fast=False``: stop at the first failure.
        * ``locked=False``: fail if the labels differ from ``teachkit.lock``.
        * ``store_failures=False``: keep the rows that fail a test.
        * ``sample=None``: use the first so many rows of each source (0: none), and publish nothing.
        * ``llm=None``: how prompts are answered, ``live``, ``record`` or ``replay``; None: as the target says.
        * ``state=None``: what ``state:`` compares with; None: what is published.
        * ``base=None``: what tests mean by ``against: base``; None: what the surroundings say.

        ``report`` is called with events while it runs.
        """
        return self._run("build", select, exclude, report, options)

    def run(self, select: Selection = (), exclude: Selection = (), *, report: Reporter = quiet, **options: Any) -> Run:
        """Run the selected nodes, no tests; ``options`` are those of ``build``."""
        return self._run("run", select, exclude, report, options)

    def test(self, select: Selection = (), exclude: Selection = (), *, report: Reporter = quiet, **options: Any) -> Run:
        """Test what was built; ``options`` are those of ``build``."""
        return self._run("test", select, exclude, report, options)

    def retry(self, *, report: Reporter = quiet, **options: Any) -> Run:
        """Run again what failed or was skipped in the last run, with its options but ``options``, then publish all.

        ``options`` are those of ``build``.
        The run that is returned has no id if nothing was left to do.
        """
        from teachkit.build import retry

        own = self._options
        project = {"target": own.target, "profiles_dir": own.profiles_dir, "threads": own.threads}
        given: dict[str, Any] = {name: value for name, value in project.items() if value is not None}
        if own.variables:
            given["variables"] = own.variables
        return retry(self.root, {**given, **options}, report)

    def plan(self, select: Selection = (), exclude: Selection = (), *, command: str = "build", **options: Any) -> Plan:
        """What ``build`` (or ``command``: ``run``, ``test``) would do; ``options`` are those of ``build``."""
        from teachkit.build import plan

        return plan(self.root, self._with(command, select, exclude, options))

    # -- the project as compiled

    def workspace(self) -> Workspace:
        """The compiled project with its store; close it, or use it in ``with``."""
        from teachkit.build import open_workspace

        return open_workspace(self.root, self._options, create=False)

    def _compiled(self) -> Workspace:
        from teachkit.build import open_workspace

        return open_workspace(self.root, self._options)

    def graph(self) -> Graph:
        """All nodes with their fingerprints."""
        with self.workspace() as work:
            return work.graph

    def ls(self, select: Selection = (), exclude: Selection = (), *, state: str | None = None) -> list[Node]:
        """The selected nodes in topological order; ``state`` is what ``state:`` compares with."""
        with self.workspace() as work:
            found = self._selected(work, select, exclude, state)
            return [n for n in work.graph if n.id in found]

    def parse(self) -> dict[str, Any]:
        """Check the whole project and write ``target/manifest.json``; its content."""
        import json

        from teachkit.build.partial_parse import Watch, remembered_manifest

        kept = remembered_manifest(self.root, self._options)
        if kept is not None:
            return dict(json.loads(kept))
        watch = Watch(self.root, self._options)
        with self._compiled() as work:
            from teachkit.build.artifacts import manifest, write_json

            found = manifest(work.files, work.graph)
            write_json(work.files.target_path / "manifest.json", found)
            watch.remember(work)
            return found

    def compile(self, select: Selection = (), exclude: Selection = (), *, state: str | None = None) -> dict[str, str]:
        """Write readable SQL to ``target/compiled/``; the compiled text of the selected nodes by id."""
        from teachkit.build.artifacts import write_compiled

        with self._compiled() as work:
            found = self._selected(work, select, exclude, state)
            texts = write_compiled(work.files, work.graph)
            return {i: texts[i] for i in texts if i in found}

    def requests(
        self, item: str, select: Selection = (), exclude: Selection = (), *, state: str | None = None
    ) -> list[dict[str, Any]]:
        """The exact request that each selected prompt makes about an item: id, endpoint, key of its answer, body."""
        from teachkit.build.asking.spending import requests_about

        with self.workspace() as work:
            found = self._selected(work, select, exclude, state)
            return requests_about(work, [n for n in work.graph.of("prompt", "enrichment") if n.id in found], str(item))

    def check_up(self) -> Iterator[Point]:
        """What ``teachkit debug`` looks at."""
        from teachkit.review.debug import check_up

        return check_up(self.root, self._options)

    def probe(self, provider: str | None = None) -> tuple[Probe, float | None]:
        """What finds out what a provider can do, and its cost in USD at most; nothing is sent before its ``run``."""
        from teachkit.review.probing import prepare_probe

        return prepare_probe(self.root, self._options, provider)

    def target_path(self) -> Path:
        """The folder of compiled files and artefacts, which ``clean`` removes."""
        from teachkit.project import read_config

        return self.root / read_config(self.root).paths.target

    # -- prompts

    def llm_plan(self, select: Selection = (), exclude: Selection = (), *, state: str | None = None) -> list[Spending]:
        """What the selected prompts would ask and cost, worked out offline."""
        from teachkit.build.asking.spending import plan_spending

        with self.workspace() as work:
            found = self._selected(work, select, exclude, state)
            return plan_spending(work, [n for n in work.graph.of("prompt", "enrichment") if n.id in found])

    def llm_compare(self, select: Selection = (), *, gold: str | None = None, state: str | None = None) -> Comparison:
        """Prompts of one task side by side on items with gold, by the votes that are there."""
        from teachkit.review.compare import compare

        with self.workspace() as work:
            found = self._selected(work, select, state=state)
            return compare(work, [n for n in work.graph.of("prompt") if n.id in found], gold)

    def try_prompt(self, prompt: str | Path, *, limit: int = 20, mode: LlmMode | None = None) -> list[Trial]:
        """Ask a prompt about a few items outside the test split; its answers are kept for the next build.

        ``prompt`` is its file, switched on or not, or its name. A file with several voters gives a trial of each.
        """
        from teachkit.build.asking.prompt_files import open_prompt
        from teachkit.build.asking.trying import try_prompt

        with open_prompt(self.root, self._options, str(prompt)) as (work, nodes):
            return [try_prompt(work, node, limit, mode) for node in nodes]

    def try_voter(
        self,
        *,
        task: str | None = None,
        label: str | None = None,
        any_of: Sequence[str] = (),
        all_of: Sequence[str] = (),
        none_of: Sequence[str] = (),
        regex: str | None = None,
        column: str | None = None,
        min_hits: int | None = None,
        case_sensitive: bool = False,
        word_boundaries: bool = True,
        sql: str | None = None,
        file: str | None = None,
        voter: str | None = None,
        save: str | None = None,
        label_set: str | None = None,
        gold: str | None = None,
        examples: int = 10,
    ) -> list[VoterTrial]:
        """Try a labeling function on all items: a rule, a ``file`` or a ``voter`` that is there; a file gives several.

        A rule is a ``label`` with words (``any_of``, ``all_of``, ``none_of``), a ``regex`` or ``sql``; its keys are
        those of ``labeling_functions/<task>/*.yml``. ``task`` may be left out where there is one. ``save`` writes a
        rule under this name to a file. It is measured on ``gold`` (``train``, ``tune``, ``test``, ``all``; default: all
        but test) and beside the posterior of ``label_set`` (default: the first of the task), with so many ``examples``
        of hits and misses.
        """
        from teachkit.review.tried import Wanted
        from teachkit.review.trying import Asked, try_voters

        wanted = Wanted(
            task=task,
            label=label,
            any_of=any_of,
            all_of=all_of,
            none_of=none_of,
            regex=regex,
            column=column,
            min_hits=min_hits,
            case_sensitive=case_sensitive,
            word_boundaries=word_boundaries,
            sql=sql,
            file=file,
            voter=voter,
            save=save,
        )
        return try_voters(self.root, self._options, wanted, Asked(label_set, gold, examples))

    def improve_prompt(
        self,
        prompt: str | Path,
        *,
        model: str | None = None,
        provider: str | None = None,
        errors: int = 20,
        mode: LlmMode | None = None,
    ) -> Candidate:
        """Let a model write another version of a prompt from its wrong answers on the tune split, as a file of its own.

        ``prompt`` is as for ``try_prompt``; of a file with several voters name the one whose answers count.
        """
        from teachkit.build.asking.improving import Wish, improve_prompt, the_voter
        from teachkit.build.asking.prompt_files import open_prompt

        with open_prompt(self.root, self._options, str(prompt)) as (work, nodes):
            return improve_prompt(work, the_voter(nodes), Wish(model, provider, errors), mode)

    def llm_batch_submit(
        self,
        select: Selection = (),
        exclude: Selection = (),
        *,
        max_cost: float | None = None,
        state: str | None = None,
        dry_run: bool = False,
        report: Reporter = quiet,
    ) -> Submission:
        """Buy, in batches, what the selected prompts would ask; ``max_cost`` in USD, ``dry_run`` sends nothing."""
        from teachkit.build.asking.batching import submit

        with self._compiled() as work:
            found = self._selected(work, select, exclude, state)
            nodes = [n for n in work.graph.of("prompt", "enrichment") if n.id in found]
            return submit(work, nodes, max_cost=max_cost, dry_run=dry_run, report=report)

    def llm_batch_status(self, names: Sequence[str] = (), *, report: Reporter = quiet) -> Looked:
        """How far batches are, those named by id or prompt, or all."""
        from teachkit.build.asking.collecting import status

        with self.workspace() as work:
            return status(work, names, report=report)

    def llm_batch_collect(self, names: Sequence[str] = (), *, report: Reporter = quiet) -> Looked:
        """Keep the answers of batches that are done, those named by id or prompt, or all."""
        from teachkit.build.asking.collecting import collect

        with self.workspace() as work:
            return collect(work, names, report=report)

    def llm_batch_cancel(self, names: Sequence[str], *, forget: bool = False, report: Reporter = quiet) -> Looked:
        """Stop batches; what they have answered can be collected, unless they are to be forgotten here."""
        from teachkit.build.asking.collecting import cancel

        with self.workspace() as work:
            return cancel(work, names, forget=forget, report=report)

    # -- results

    def labels(self, name: str) -> pa.Table:
        """A label set: key, label, confidence, posterior, decided_by, votes, model_label."""
        return self.show(f"label_set.{name.removeprefix('label_set.')}")

    def show(self, node: str, *, limit: int | None = None, report: Reporter = quiet) -> pa.Table:
        """Rows of a node, ``limit`` at most (None or below 0: all).

        Of a voter they are its votes, of a test the failures that were kept. ``report`` hears of labels that are not
        the published ones.
        """
        from teachkit.review import show

        with self.workspace() as work:
            return show(work, _find(work.graph, node, _READABLE), limit, report)

    def sql(self, query: str) -> pa.Table:
        """One SELECT over ``data.*``, ``votes.*``, ``labels.*`` and ``audit.*`` of the target's environment."""
        from teachkit.review import query as run_query

        with self.workspace() as work:
            return run_query(work, query)

    def analyze(
        self,
        task: str,
        *,
        label_set: str | None = None,
        gold: str | None = None,
        slice: str | None = None,
        sections: Collection[str] = (),
    ) -> TaskAnalysis:
        """Coverage, overlaps, conflicts and accuracy of a task's voters, in one slice of its items or in all.

        ``sections`` asks for more: ``pairs``, ``agreement``, ``annotators``, ``marginal``, ``slices``.
        """
        from teachkit.review.analyze import Ask, analyze_task

        with self.workspace() as work:
            return analyze_task(work, task, Ask(label_set, gold, slice, sections))

    def errors(
        self, name: str, *, gold: str | None = None, cell: str | None = None, fault: str | None = None, limit: int = 20
    ) -> ErrorReport:
        """Where a label set (or a task's first one) differs from gold, and whose fault that is.

        With a ``cell`` or a ``fault``, up to ``limit`` of its items are listed.
        """
        from teachkit.review.errors import Wish, find_errors

        with self.workspace() as work:
            return find_errors(work, name, Wish(gold, cell, fault, limit))

    def suggest(
        self,
        task: str,
        *,
        labels: Sequence[str] = (),
        columns: Sequence[str] = (),
        limit: int = 10,
        min_precision: float = 0.7,
        from_errors: bool = False,
        evidence: str | None = None,
        label_set: str | None = None,
        save: str | None = None,
    ) -> Suggestions:
        """Labeling functions worth having: up to ``limit``, for some ``labels`` (none: all) of a task.

        They are searched in ``columns`` (none: the longest text that is shown); those are left out whose expected
        precision is below ``min_precision``. ``from_errors``: only what mends labels that are wrong by gold.
        ``evidence`` is ``gold`` or ``posterior`` (default: gold, if enough items have it), ``label_set`` whose
        posterior and errors count (default: the first of the task). ``save`` writes them to this file.
        """
        from teachkit.review.suggest import Wish, suggest

        wish = Wish(labels, columns, limit, min_precision, from_errors, evidence, label_set, save)
        with self.workspace() as work:
            return suggest(work, task, wish)

    def issues(
        self,
        task: str,
        *,
        of: str = "gold",
        features: str = "votes",
        gold: str | None = None,
        label_set: str | None = None,
        limit: int = 20,
    ) -> Issues:
        """What is likely wrong: ``of`` a task's ``gold`` or its ``annotations``, up to ``limit`` items.

        Judged by ``features``: ``votes`` or ``text``; by the votes of ``label_set`` (default: the first of the task).
        ``gold`` is ``train``, ``tune``, ``test`` or ``all``; default: all but test.
        """
        from teachkit.review.issues import Wish, find_issues

        with self.workspace() as work:
            return find_issues(work, task, Wish(of, features, gold, label_set, limit))

    def lineage(self, label_set: str, item: str) -> Explanation:
        """Why an item has its label."""
        from teachkit.lineage import explain

        with self.workspace() as work:
            return explain(work, _find(work.graph, label_set, ("label_set",)), str(item))

    def diff(
        self,
        base: str | None = None,
        head: str | None = None,
        *,
        label_sets: Sequence[str] = (),
        examples: int = 10,
        splits: Sequence[str] = ("tune", "test"),
        report: Reporter = quiet,
    ) -> Diff:
        """What ``head`` (default: the working tree) does to the labels of ``base`` (default: as of a pull request)."""
        from teachkit.diff import Shown, diff

        shown = Shown(label_sets, examples, splits)
        return diff(self.root, self._options, base, head, shown, report=report)

    def ci(
        self,
        base: str | None = None,
        *,
        locked: bool | None = None,
        report: Callable[[Event | Step], None] | None = None,
    ) -> Ci:
        """Parse, build with all tests, compare with ``base``; ``locked`` None: if there is a ``teachkit.lock``."""
        from teachkit.ci import ci

        return ci(self.root, self._options, base, locked=locked, report=report)

    def upstream(self, node: str) -> dict[str, Any]:
        """What a node is made of."""
        from teachkit.lineage import upstream

        with self.workspace() as work:
            return upstream(work, _find(work.graph, node, None))

    # -- the lock

    def lock(self) -> Lock | None:
        """What ``teachkit.lock`` says, None if there is none; no other file is read."""
        from teachkit.store import read_lock

        return read_lock(self.root / "teachkit.lock")

    def resolve_lock(self) -> Resolution:
        """Resolve a merge conflict in ``teachkit.lock`` and write the file; no other file is read."""
        from teachkit.build.revisions.lock_conflicts import resolve_lock

        return resolve_lock(self.root)

    # -- audit

    def audit_log(self, *, limit: int | None = None) -> AuditLog:
        """The newest ``limit`` runs (None: all) as a hash chain, and whether it holds; needs no graph."""
        from teachkit.build.workspace import open_store
        from teachkit.lineage.audit.audit_log import audit_log

        files, store = open_store(self.root, self._options)
        with store:
            return audit_log(files, store, limit)

    def verify(
        self,
        label_sets: Selection = (),
        *,
        sample: int | None = None,
        everything: bool = False,
        commit: str | None = None,
        from_sources: bool = False,
    ) -> Verification:
        """Check the record from the chain of runs and the lock down, and derive the labels again; changes nothing.

        ``sample``: only so many objects and rows of each label set. ``everything``: also objects that no label set
        needs. ``commit``: the lock of a revision. ``from_sources``: make all again from the sources, too.
        """
        from teachkit.build.workspace import open_store
        from teachkit.lineage.audit.verify import Wish, verify

        files, store = open_store(self.root, self._options)
        with store:
            return verify(
                files, store, Wish(_texts(label_sets), sample, everything, commit, from_sources, self._options)
            )

    def openlineage(self, run: str | None = None) -> list[dict[str, Any]]:
        """The OpenLineage events of a run of the chain, by id or number; default: the newest that published."""
        from teachkit.lineage.forms.openlineage import openlineage

        with self.workspace() as work:
            return openlineage(work, run)

    def prov(self, label_set: str, item: str | None = None) -> dict[str, Any]:
        """Where a label set comes from, or the label of one item, as a document of W3C PROV (PROV-JSON)."""
        from teachkit.lineage.forms.prov import prov

        with self.workspace() as work:
            return prov(work, _find(work.graph, label_set, None), None if item is None else str(item))

    def mermaid(
        self, node: str | None = None, select: Selection = (), exclude: Selection = (), *, state: str | None = None
    ) -> Diagram:
        """A Mermaid flowchart of what a node is made of; without a node, of the selected nodes."""
        from teachkit.lineage.forms.mermaid import mermaid

        with self.workspace() as work:
            if node is None:
                found = self._selected(work, select, exclude, state)
            else:
                end = _find(work.graph, node, None).id
                found = {end, *work.graph.upstream(end)}
            return mermaid([n for n in work.graph if n.id in found])

    # -- the site

    def generate_docs(self, *, items: int = 200, changes: Diff | None = None) -> Path:
        """Write the project's site to ``docs/`` in the target folder; ``items`` of each label set get a page.

        ``changes`` get a page as well: the ``diff`` of two revisions, by default none.
        """
        from teachkit.site import changes_page, generate

        with self.workspace() as work:
            return generate(work, items=items, extra_pages=[changes_page(changes)] if changes is not None else [])

    def docs_server(self, host: str = "127.0.0.1", port: int = 0) -> DocsServer:
        """What serves the site that ``generate_docs`` writes; it listens, and serves once ``serve_forever`` runs."""
        from teachkit.site.serve import DocsServer

        return DocsServer(self.target_path() / "docs", host, port)

    # -- inside

    def _run(
        self, command: str, select: Selection, exclude: Selection, report: Reporter, options: Mapping[str, Any]
    ) -> Run:
        from teachkit.build import build

        return build(self.root, self._with(command, select, exclude, options), report)

    def _selected(
        self, work: Workspace, select: Selection, exclude: Selection = (), state: str | None = None
    ) -> set[str]:
        from teachkit.build import chosen

        return chosen(work, self._with("build", select, exclude, {"state": state}))

    def _with(self, command: str, select: Selection, exclude: Selection, options: Mapping[str, Any]) -> BuildOptions:
        import dataclasses

        chosen: dict[str, Any] = {"command": command, "select": _texts(select), "exclude": _texts(exclude)}
        return dataclasses.replace(self._options, **chosen, **options)


def _find(graph: Graph, name: str, kinds: Sequence[str] | None) -> Node:
    from teachkit.graph import find_node

    return find_node(graph, name, kinds)


def _texts(selection: Selection) -> tuple[str, ...]:
    return (selection,) if isinstance(selection, str) else tuple(selection)
