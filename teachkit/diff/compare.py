"""``diff``: what one revision does to the labels of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.build.keys import output_of
from teachkit.build.revisions.base import base_of
from teachkit.build.revisions.git import commit_of
from teachkit.build.revisions.revision import WORKING_TREE
from teachkit.build.run import quiet
from teachkit.diff.changes import changed_nodes
from teachkit.diff.data import compare_data
from teachkit.diff.label_sets import compare_label_set
from teachkit.diff.result import Diff, End, Shown
from teachkit.diff.sides import both_sides
from teachkit.diff.voters import compare_voters
from teachkit.errors import BadOption, NotAProject, UnknownRevision, did_you_mean, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from teachkit.build.run import BuildOptions, Reporter
    from teachkit.diff.result import LabelSetDiff
    from teachkit.diff.sides import Side


_ALL = Shown()


def diff(
    root: Path,
    options: BuildOptions,
    base: str | None = None,
    head: str | None = None,
    shown: Shown = _ALL,
    *,
    report: Reporter = quiet,
) -> Diff:
    """Compare the labels of two git revisions.

    Labels come from the store. What it lacks is built into it, from the files of the revision, with the answers of
    models that are kept: no money is spent. Work tree, environments and locks stay as they are.

    Args:
        root: The project's folder.
        options: Target, profile, variables.
        base: A revision; None for the one that a change is compared with, see ``base_of``.
        head: A revision; None for the working tree.
        shown: What to look at.
        report: Hears what is built.

    Raises:
        GitError: git does not have a revision, or there is none before the first.
        BadOption: no side has a label set of that name.
        TeachkitError: the head does not compile.
    """
    with both_sides(root, options, base or _base(root), head, report) as (before, after):
        names = _chosen(before, after, shown.label_sets)
        compared = [compare_label_set(before, after, name, shown) for name in names]
        return Diff(
            _end(before),
            _end(after),
            compared,
            changed_nodes(before, after),
            compare_voters(before, after),
            compare_data(before, after),
            list(_notes(before, after, compared)),
        )


def _base(root: Path) -> str:
    found = base_of(root)
    if found is None:
        commit_of(root, "HEAD")  # which says if nothing is committed yet
        advice = "commit a change, or name what to compare: --base REF"
        raise UnknownRevision(None, revision="HEAD^1", source=" (this is the first commit)", advice=advice)
    return found


def _chosen(before: Side, after: Side, wanted: Sequence[str]) -> list[str]:
    there = list({**after.label_sets(), **before.label_sets()})
    names = [name.removeprefix("label_set.") for name in wanted]
    for name in names:
        if name not in there:
            problem = f"neither side has a label set '{name}'"
            advice = f"write one of: {listing(there)}.{did_you_mean(name, there)}"
            raise BadOption(None, option="--label-set", problem=problem, advice=advice)
    return names or there


def _end(side: Side) -> End:
    revision = side.revision
    problem = str(revision.problem) if revision.problem is not None else None
    missing = isinstance(revision.problem, NotAProject)
    return End(revision.name, revision.commit, revision.git.dirty, problem, missing)


def _notes(before: Side, after: Side, compared: Sequence[LabelSetDiff]) -> Iterator[str]:
    if before.revision.problem is not None and not isinstance(before.revision.problem, NotAProject):
        yield (
            "the base does not compile, so only labels that its teachkit.lock names are compared: "
            "nothing is said of voters, data and causes"
        )
    for side, which in ((before, "base"), (after, "head")):
        revision = side.revision
        if revision.lock_problem is not None:
            yield f"{which}: {revision.lock_problem.message}"
        elif revision.lock is None and not isinstance(revision.problem, NotAProject):
            yield f"the {which} has no teachkit.lock"
        elif side.run is not None:
            yield from _stale(side, which, [s.name for s in compared])


def _stale(side: Side, which: str, names: Sequence[str]) -> Iterator[str]:
    """Where the lock of a side names other labels than its files give, or none."""
    lock = side.revision.lock
    missing, other = [], []
    for name in names:
        entry, output = lock.label_sets.get(name) if lock else None, side.output(f"label_set.{name}")
        if output is not None and entry is None:
            missing.append(name)
        elif output is not None and entry is not None and entry.digest != output_of(output.parts).digest:
            other.append(name)
    mend = ": 'teachkit build' brings it up to date" if side.revision.name == WORKING_TREE else ""
    if missing:
        yield f"teachkit.lock of the {which} does not name {listing(missing)}{mend}"
    if other:
        compared = mend or "; what the files give is compared"
        yield f"teachkit.lock of the {which} names other labels of {listing(other)} than its files give{compared}"
