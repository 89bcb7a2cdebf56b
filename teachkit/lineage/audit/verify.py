"""Is the record intact, do the labels come out again: from the chain of runs over the lock down to the sources."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.revisions.checkout import checked_out
from teachkit.build.revisions.git import commit_of, show_file
from teachkit.build.run import BuildOptions
from teachkit.build.workspace import compile_files
from teachkit.errors import (
    BadLock,
    BadOption,
    NotBuilt,
    NothingBuilt,
    StoreDamaged,
    UnknownNode,
    Where,
    did_you_mean,
    listing,
)
from teachkit.lineage.audit.chain import Broken, Chain, DoesNotHold
from teachkit.lineage.audit.stored_labels import Origins, find_labels
from teachkit.lineage.audit.verify_labels import check_labels, chosen_rows
from teachkit.lineage.audit.verify_lock import check_entry
from teachkit.lineage.audit.verify_objects import ObjectCheck
from teachkit.lineage.audit.verify_sources import check_sources
from teachkit.project import read_project
from teachkit.store import parse_lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from teachkit.lineage.audit.stored_labels import StoredLabels
    from teachkit.project import ProjectFiles
    from teachkit.store import Environment, Lock, Store


@dataclass(frozen=True, slots=True)
class Wish:
    """What to verify: some label sets (none: all), ``sample`` objects and rows of each, or ``everything`` in the store.

    ``commit``: a revision of git whose ``teachkit.lock``, and with ``from_sources`` whose files, count instead of those
    of the work tree; ``options`` say how to read these files.
    """

    label_sets: Sequence[str] = ()
    sample: int | None = None
    everything: bool = False
    commit: str | None = None
    from_sources: bool = False
    options: BuildOptions = field(default_factory=BuildOptions)


@dataclass(slots=True)
class Verification:
    """What was checked, in numbers, and the first thing that does not hold, if there is one.

    ``checked``: from ``runs``, ``environments``, ``locked`` (label sets held against the lock), ``objects``,
    ``definitions``, ``rows`` (derived again) and ``nodes`` (made again from the sources) to how many. ``commit`` is the
    revision whose lock counted, None for that of the work tree. ``notes``: what was not checked, and why.
    """

    target: str
    commit: str | None
    label_sets: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    broken: Broken | None = None

    @property
    def holds(self) -> bool:
        """Whether all that was checked holds."""
        return self.broken is None

    def as_dict(self) -> dict[str, Any]:
        """As plain values: the documented JSON of ``teachkit audit verify``."""
        return {"schema_version": 1, "holds": self.holds, **asdict(self)}


def verify(files: ProjectFiles, store: Store, wish: Wish) -> Verification:
    """Check from the chain of runs down, and end at the first thing that does not hold.

    Raises:
        NothingBuilt, NotBuilt: the store is empty.
        BadLock: the lock cannot be read.
        BadOption: git has no such commit, or no lock there; options that do not go together.
        UnknownNode: there is no such label set.
    """
    _check_wish(wish)
    found = Verification(files.target_name, None)
    text = _lock_text(files, wish, found)
    lock = None if text is None else parse_lock(text)
    try:
        _verify(files, store, wish, found, lock, text or "")
    except DoesNotHold as stop:
        found.broken = stop.broken
    except StoreDamaged as error:
        found.broken = _damaged(files, str(error.facts["path"]), str(error.facts["problem"]))
    except Exception as error:
        torn = re.search(r"'([^']+\.parquet)'", str(error))
        if torn is None or type(error).__module__.partition(".")[0].strip("_") != "duckdb":
            raise
        found.broken = _damaged(files, torn[1], "DuckDB cannot read it")
    return found


def _damaged(files: ProjectFiles, path: str, problem: str) -> Broken:
    shown = path.removeprefix(f"{files.root.as_posix()}/")
    return Broken(step="objects", path=shown, problem=f"{shown} is damaged: {problem}")


def _check_wish(wish: Wish) -> None:
    if wish.sample is not None and wish.everything:
        raise BadOption(None, option="--sample", problem="it does not go with --all", advice="leave one of the two out")


def _lock_text(files: ProjectFiles, wish: Wish, found: Verification) -> str | None:
    if wish.commit is None:
        try:
            return files.lock_path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BadLock(Where(files.lock_path.name), problem=str(error)) from error
    found.commit = commit_of(files.root, wish.commit)
    data = show_file(files.root, found.commit, files.lock_path.name)
    if data is None:
        problem = f"there is no teachkit.lock in '{wish.commit}'"
        raise BadOption(None, option="--commit", problem=problem, advice="name a commit that has one")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadLock(Where(files.lock_path.name), problem=str(error)) from error


def _verify(files: ProjectFiles, store: Store, wish: Wish, found: Verification, lock: Lock | None, text: str) -> None:
    chain = Chain(store, files)
    if not chain.runs:
        if not wish.label_sets:
            raise NothingBuilt(None, target=files.target_name)
        name = wish.label_sets[0].removeprefix("label_set.")
        raise NotBuilt(None, node=f"label_set.{name}", target=files.target_name, name=name)
    environments = {t: chain.check_environment(t) for t in dict.fromkeys([files.target_name, *chain.targets])}
    environment = environments[files.target_name]
    found.label_sets = _names(files, lock, environment, wish)
    found.checked = {"runs": len(chain.runs), "environments": sum(e["run"] is not None for e in environments.values())}
    origins = Origins(chain, lambda: compile_files(files, store))
    if lock is None:
        found.notes.append("there is no teachkit.lock: nothing was held against it")
    entries = {} if lock is None else lock.label_sets
    found.checked["locked"] = 0
    all_labels, check = [], ObjectCheck(chain, sampling=wish.sample is not None)
    for name in found.label_sets:
        labels = find_labels(chain, environment, name, entries.get(name))
        check_entry(check, origins, labels, text, found.notes)
        found.checked["locked"] += labels.entry is not None
        all_labels.append(labels)
        published = environment["nodes"].get(labels.id)
        if wish.commit is None and published is not None and published["digest"] != labels.output.digest:
            found.notes.append(f"{name}: target '{files.target_name}' has other labels published than the lock names")
    _verify_below(check, origins, wish, found, all_labels)
    if wish.from_sources:
        now = environment["nodes"] if found.commit is None else {}  # what is published is another commit's
        with _project(files, found.commit, wish.options) as project:
            found.checked["nodes"] = check_sources(chain, project, all_labels, now)


@contextmanager
def _project(files: ProjectFiles, commit: str | None, options: BuildOptions) -> Iterator[ProjectFiles]:
    """The project's files: those of the work tree, or of the commit whose lock counts."""
    if commit is None:
        yield files
        return
    with checked_out(files.root, commit, leave_out=(files.store_path, files.target_path)) as folder:
        yield read_project(folder, options)


def _verify_below(
    check: ObjectCheck, origins: Origins, wish: Wish, found: Verification, all_labels: Sequence[StoredLabels]
) -> None:
    """Objects and definitions, then the labels."""
    try:
        for labels in all_labels:
            check.check(labels, origins, _sampled(check, labels, wish.sample))
        if wish.everything:
            check.check_all()
    finally:
        found.checked |= {"objects": len(check.checked), "definitions": len(check.definitions)}
    if check.unrecorded:
        found.notes.append(f"{len(check.unrecorded)} definitions have no recorded digest: their text is not checked")
    if wish.sample is not None:
        found.notes.append(f"a sample: of each label set {wish.sample} objects and rows, chosen by its digest")
    found.checked["rows"] = 0
    for labels in all_labels:
        found.checked["rows"] += check_labels(origins, labels, wish.sample, found.notes)


def _sampled(check: ObjectCheck, labels: StoredLabels, sample: int | None) -> list[str] | None:
    if sample is None:
        return None
    keys = check.keys(labels)
    return [keys[at] for at in chosen_rows(labels.output.digest, len(keys), sample)]


def _names(files: ProjectFiles, lock: Lock | None, environment: Environment, wish: Wish) -> list[str]:
    """The label sets to verify."""
    nodes: Mapping[str, Any] = environment["nodes"]
    published = [i.partition(".")[2] for i in nodes if i.startswith("label_set.")]
    there = sorted(lock.label_sets if lock is not None else published)
    wanted = [name.removeprefix("label_set.") for name in wish.label_sets]
    unknown = next((name for name in wanted if name not in there), None)
    if unknown is not None and there:
        hint = did_you_mean(unknown, there)
        raise UnknownNode(None, kind="label set", name=unknown, known=listing(there, 30), hint=hint)
    if not there:
        raise NothingBuilt(None, target=files.target_name)
    return wanted or there
