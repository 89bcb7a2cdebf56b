"""The straight line: read, compile, plan, execute, publish."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from teachkit.build.artifacts import write_artifacts
from teachkit.build.execute import Executor
from teachkit.build.git import GitState, git_state
from teachkit.build.planning import Plan, make_plan
from teachkit.build.publish import check_locked, measured_lock, new_lock, publish
from teachkit.build.record import run_record
from teachkit.build.run import BuildOptions, Run, quiet
from teachkit.build.workspace import Workspace, known_state, open_workspace
from teachkit.errors import StoreDamaged, StoreUnwritable, TeachkitError
from teachkit.graph import select
from teachkit.store import read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.build.run import Reporter

_TESTS = ("test", "unit_test")


def build(root: Path, options: BuildOptions, report: Reporter = quiet) -> Run:
    """Bring every selected node up to date, test it, publish the result if no test of severity error failed."""
    with open_workspace(root, options) as work:
        return _build(work, options, report)


def plan(root: Path, options: BuildOptions) -> Plan:
    """What ``build`` would do; nothing runs."""
    with open_workspace(root, options) as work:
        run = Executor(work.files, work.graph, work.store, options, quiet)
        return make_plan(run, chosen(work, options))


def chosen(work: Workspace, options: BuildOptions) -> set[str]:
    """The ids of the nodes that a command is about."""
    found = select(work.graph, options.select, options.exclude, known_state(work))
    match options.command:
        case "run":
            return {i for i in found if work.graph[i].kind not in _TESTS}
        case "test":
            return {i for i in found if work.graph[i].kind in _TESTS}
    return found


def _build(work: Workspace, options: BuildOptions, report: Reporter) -> Run:
    started, clock = datetime.now(UTC), time.perf_counter()
    wanted = chosen(work, options)
    read_lock(work.files.lock_path)  # one that cannot be read is better known before the work than after it
    git = git_state(work.files.root)
    executor = Executor(work.files, work.graph, work.store, options, report)
    error: TeachkitError | None = None
    lock = None
    try:
        executor.run(wanted)
        publishable = options.command in ("build", "run") and options.sample is None
        if publishable and executor.passed:
            lock = new_lock(executor, wanted)
            if options.locked:
                check_locked(executor, lock, wanted)
        executor.export(wanted, held_back=False)
    except TeachkitError as found:
        error = found
        executor.export(wanted, held_back=True)
    finally:
        executor.close()
    lock = lock if error is None and executor.passed else None
    results = tuple(executor.results.values())
    seconds = time.perf_counter() - clock
    record = {
        **run_record(work, options, executor, git, (started, seconds), published=lock is not None, error=error),
        "lock": {} if lock is None else measured_lock(executor, lock, wanted),
    }
    run_id, _ = work.store.append_run(record)
    lock_changed = False
    if lock is not None:
        whole = not options.select and not options.exclude and options.command == "build"
        keep_lock = options.locked or options.command != "build"
        lock_changed = publish(executor, lock, wanted, run_id, whole=whole, keep_lock=keep_lock)
        _write_catalog(work, changed=any(r.status == "built" for r in results))
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
