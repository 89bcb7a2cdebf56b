"""Which commit a change is compared with, on a server or a laptop."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from teachkit.build.revisions.git import base_revision, commit_before, commit_of, git_state, has_no_commit, merge_base

if TYPE_CHECKING:
    from pathlib import Path


def base_of(root: Path, asked: str | None = None) -> str | None:
    """The revision to compare with; None for a first commit, or before it: there is nothing earlier.

    It is what is asked for, or ``TEACHKIT_BASE``. Else what the target branch had where HEAD left it: what others did
    to the branch since then is none of this change. On the main branch itself it is the commit before; on a laptop,
    whose files are not all committed, HEAD.

    Raises:
        NoGit, UnknownRevision, ShallowClone: git does not have it.
    """
    if asked is not None or os.environ.get("TEACHKIT_BASE", "").strip():
        found = asked if asked is not None else base_revision(root)
        commit_of(root, found)
        return found
    if has_no_commit(root):
        return None
    name = os.environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "").strip() or base_revision(root)
    commit = merge_base(root, name) or commit_of(root, name)
    if commit != commit_of(root, "HEAD"):
        return name if commit == commit_of(root, name) else commit
    if not os.environ.get("CI") and git_state(root).dirty:
        return "HEAD"
    return commit_before(root)
