"""What a retry takes up: the last run as ``target/run_results.json`` tells it, and what of it is still to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teachkit.build.run import BAD, BuildOptions
from teachkit.build.state import of_command
from teachkit.build.testing import test_key, unit_test_key
from teachkit.errors import NoLastRun

if TYPE_CHECKING:
    from teachkit.build.execute import Executor
    from teachkit.graph import Graph, Node

_SCHEMA = 1
_OPTIONS = ("full_refresh", "fail_fast", "locked", "store_failures", "sample", "threads", "llm", "state")


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run that was asked for some nodes: ``done`` are those that it, or a run that it took up, finished."""

    run_id: str
    options: BuildOptions
    passed: bool
    done: frozenset[str]
    left: frozenset[str]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.passed and not self.left

    def wanted(self, graph: Graph) -> set[str]:
        """The nodes that it was asked for; of a run of everything, as the project is now."""
        if not self.options.select and not self.options.exclude:
            return of_command(graph, set(graph.nodes), self.options.command)
        return {i for i in self.done | self.left if i in graph.nodes}


def arguments(options: BuildOptions, target: str, **more: Any) -> dict[str, Any]:
    """What a retry needs to know of a run, as ``args`` in ``run_results.json``."""
    profiles = options.profiles_dir
    return {
        "command": options.command,
        "select": list(options.select),
        "exclude": list(options.exclude),
        **{name: getattr(options, name) for name in _OPTIONS},
        "target": target,
        "profiles_dir": None if profiles is None else str(profiles.resolve()),
        "vars": _plain(options.variables),
        **more,
    }


def last_run(path: Path) -> LastRun:
    """Read what the last run left.

    Raises:
        NoLastRun: there was none, or its record cannot be used.
    """
    try:
        found = json.loads(path.read_bytes())
        if found["schema_version"] != _SCHEMA:
            raise ValueError(found["schema_version"])
        return _read(found)
    except FileNotFoundError as error:
        raise NoLastRun(None, problem=f"there is no {path.name} in {path.parent.name}/") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NoLastRun(None, problem=f"{path.name} is not that of a run of this teachkit") from error


def unfinished(run: Executor, wanted: set[str], last: LastRun) -> set[str]:
    """What of the wanted nodes is to run; the outputs of the others are made known to the executor.

    It is what did not succeed and what is new; of the rest what is not in the store as it would come out now, because
    a definition or its data were changed since.
    """
    todo: set[str] = set()
    needed = wanted | {up for node in wanted for up in run.graph.upstream(node)}
    for node in run.graph:
        if node.id not in needed:
            continue
        known = run.outputs.keys() >= set(node.inputs)  # what is to run has no output yet
        if node.id not in wanted:
            if known:
                run.resolve(node)
        elif node.id not in last.done or not known or not _is_there(run, node):
            todo.add(node.id)
    return todo


def _is_there(run: Executor, node: Node) -> bool:
    """Whether a node that once succeeded stands; its inputs' outputs are known."""
    if node.kind == "export":
        return True
    if node.kind in ("test", "unit_test"):
        return _still_passes(run, node)
    found = run.find(node)
    if found is not None:
        run.outputs[node.id] = found
    return found is not None


def _still_passes(run: Executor, node: Node) -> bool:
    """Whether a test's outcome on what is there now is known, and good; one that looks at more is not asked again."""
    keys = (
        [unit_test_key(run, node)] if node.kind == "unit_test" else [test_key(run, node, keep=k) for k in (False, True)]
    )
    metas = [run.store.meta(key) for key in keys if key]
    return None in keys or any(meta is not None and meta.extra["status"] not in BAD for meta in metas)


def _read(found: Mapping[str, Any]) -> LastRun:
    args, target = found["args"], found["target"]
    options = BuildOptions(
        command=args["command"],
        select=tuple(args["select"]),
        exclude=tuple(args["exclude"]),
        target=target,
        profiles_dir=None if args["profiles_dir"] is None else Path(args["profiles_dir"]),
        variables=dict(args["vars"]),
        **{name: args[name] for name in _OPTIONS},
    )
    bad = {str(r["id"]) for r in found["results"] if r["status"] in BAD | {"skipped"}}
    good = {str(r["id"]) for r in found["results"]} - bad
    return LastRun(
        run_id=str(found["run_id"]),
        options=options,
        passed=bool(found["passed"]),
        done=frozenset({*good, *args["kept"]}),
        left=frozenset({*bad, *args["not_reached"]}),
    )


def _plain(value: Any) -> Any:
    """A variable as JSON has it; what JSON does not have, as a template writes it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    return str(value)
