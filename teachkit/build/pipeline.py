"""The straight line: read, compile, plan, execute, publish."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from teachkit.build.artifacts import write_artifacts
from teachkit.build.execute import Executor
from teachkit.build.planning import Plan, make_plan
from teachkit.build.publish import check_locked, measured_lock, new_lock, publish
from teachkit.build.record import run_record
from teachkit.build.retrying import arguments, last_run, unfinished
from teachkit.build.revisions.git import GitState, git_state
from teachkit.build.run import BuildOptions, Note, Run, quiet
from teachkit.build.state import chosen
from teachkit.build.workspace import Workspace, open_workspace
from teachkit.errors import StoreDamaged, StoreUnwritable, TeachkitError
from teachkit.project import read_config
from teachkit.store import read_lock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from teachkit.build.retrying import LastRun
    from teachkit.build.run import Reporter


def build(root: Path, options: BuildOptions, report: Reporter = quiet) -> Run:
    """Bring every selected node up to date, test it, publish the result if no test of severity error failed."""
    with open_workspace(root, options) as work:
        return _build(work, options, report)


def retry(root: Path, given: Mapping[str, Any], report: Reporter = quiet) -> Run:
    """Run again what failed or was skipped in the last run, as that was asked for; then publish all of it.

    Args:
        root: the project's folder.
        given: fields of ``BuildOptions`` that are to be others than in that run.
        report: hears what happens.

    Returns:
        The run; one without an id if nothing was left to do.

    Raises:
        NoLastRun: nothing has run yet.
    """
    last = last_run(root / read_config(root).paths.target / "run_results.json")
    options = replace(last.options, **given)
    if last.finished:
        args = arguments(options, options.target or "", retry_of=last.run_id, kept=[], not_reached=[])
        return Run(None, options.command, None, None, options.target or "", 0.0, 0.0, (), args=args)
    with open_workspace(root, options) as work:
        for node_id in sorted(last.left - work.graph.nodes.keys()):
            report(Note(f"{node_id} is no longer in the project"))
        return _build(work, options, report, last)


def plan(root: Path, options: BuildOptions) -> Plan:
    """What ``build`` would do; nothing runs."""
    with open_workspace(root, options) as work:
        run = Executor(work.files, work.graph, work.store, options, quiet)
        return make_plan(run, chosen(work, options))


def _build(work: Workspace, options: BuildOptions, report: Reporter, last: LastRun | None = None) -> Run:
    """Run what is wanted, of a ``last`` run what it left to do; what is published is all that is wanted."""
    started, clock = datetime.now(UTC), time.perf_counter()
    wanted = chosen(work, options) if last is None else last.wanted(work.graph)
    todo = wanted if last is None else wanted - last.done
    read_lock(work.files.lock_path)  # one that cannot be read is better known before the work than after it
    git = git_state(work.files.root)
    executor = Executor(work.files, work.graph, work.store, options, report)
    error: TeachkitError | None = None
    lock = None
    try:
        if last is not None:
            todo = unfinished(executor, wanted, last)
        executor.run(todo)
        publishable = options.command in ("build", "run") and options.sample is None
        if publishable and executor.passed:
            lock = new_lock(executor, wanted)
            if options.locked:
                check_locked(executor, lock, wanted)
        executor.export(todo, held_back=False)
    except TeachkitError as found:
        error = found
        executor.export(todo, held_back=True)
    finally:
        executor.close()
    lock = lock if error is None and executor.passed else None
    results = tuple(executor.results.values())
    seconds = time.perf_counter() - clock
    record = {
        **run_record(work, options, executor, git, (started, seconds), published=lock is not None, error=error),
        "lock": {} if lock is None else measured_lock(executor, lock, wanted),
    }
    retry_of = None if last is None else last.run_id
    if retry_of is not None:
        record["retry_of"] = retry_of
    run_id, _ = work.store.append_run(record)
    lock_changed = False
    if lock is not None:
        whole = not options.select and not options.exclude and options.command == "build"
        keep_lock = options.locked or options.command != "build"
        moved, lock_changed = publish(executor, lock, wanted, run_id, whole=whole, keep_lock=keep_lock)
        _write_catalog(work, changed=moved or any(r.status == "built" for r in results))
    left_out = {"kept": sorted(wanted - todo), "not_reached": sorted(todo - executor.results.keys())}
    run = Run(
        run_id=run_id,
        command=options.command,
        commit=git.commit,
        dirty=git.dirty,
        target=work.files.target_name,
        seconds=seconds,
        cost=sum(r.cost for r in results),
        results=results,
        outputs=executor.outputs,
        published=lock is not None,
        lock_changed=lock_changed,
        error=error,
        args=arguments(options, work.files.target_name, retry_of=retry_of, **left_out),
    )
    write_artifacts(work.files, work.graph, run)
    return run


def bring_about(work: Workspace, ids: set[str], git: GitState, report: Reporter = quiet) -> Executor:
    """Make nodes for who compares them: prompts are answered by what is kept, no money is spent, nothing is published.

    What the store has is taken from there. What is made is kept, with a record in the chain of runs. Outputs and
    results are in the executor; close it.
    """
    options = BuildOptions(llm="kept", command="diff")
    started, clock = datetime.now(UTC), time.perf_counter()
    executor = Executor(work.files, work.graph, work.store, options, report)
    try:
        executor.run(ids)
    except BaseException:
        executor.close()
        raise
    made = [i for i, r in executor.results.items() if r.status == "built" and work.graph[i].kind != "source"]
    if made:
        seconds = time.perf_counter() - clock
        record = run_record(work, options, executor, git, (started, seconds), published=False, error=None)
        work.store.append_run(record)
    return executor


def _write_catalog(work: Workspace, *, changed: bool) -> None:
    import duckdb

    from teachkit.engine.catalog import catalog_path, write_catalog

    path = catalog_path(work.store)
    if not changed and path.is_file():
        return
    try:
        write_catalog(work.store, work.graph, work.files)
    except duckdb.Error as error:
        torn = re.search(r"'([^']+\.parquet)'", str(error))
        if torn and not isinstance(error, duckdb.IOException):
            raise StoreDamaged(path=torn[1], problem="DuckDB cannot read it") from error
        problem = str(error).split("\n", 1)[0]
        raise StoreUnwritable(path=path, problem=problem, advice="check the disk, then build again") from error
