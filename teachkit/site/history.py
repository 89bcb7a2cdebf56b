"""How good the labels were, commit by commit, as ``teachkit.lock`` says in the history of git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from teachkit.build.revisions.git import commits_of, text_at
from teachkit.errors import BadLock, MergeConflict
from teachkit.store import parse_lock, read_lock

if TYPE_CHECKING:
    from pathlib import Path

    from teachkit.store import Lock

MOST = 50


def lock_history(root: Path, lock_path: Path) -> dict[str, Any]:
    """Each state of the lock that git knows, oldest first, then the present one if it is another.

    Returns:
        ``states``: mappings of ``commit`` (None: not committed), ``date``, ``subject`` and ``label_sets`` (from name to
        ``quality`` by split, ``rows``, ``labeled``, ``digest``); ``unreadable``: how many commits hold no lock that
        can be read.
    """
    name = lock_path.name
    states, unreadable = [], 0
    last: str | None = None
    for commit in reversed(commits_of(root, name, MOST)):
        text = text_at(root, commit.id, name)
        if text is None:
            last = None
            continue  # the commit that removed it
        try:
            states.append(_state(parse_lock(text), commit.id, commit.date, commit.subject))
        except (BadLock, MergeConflict):
            unreadable += 1
        last = text
    now = read_lock(lock_path)
    if now is not None and last != lock_path.read_text(encoding="utf-8"):
        states.append(_state(now, None, "", "not committed"))
    return {"states": states, "unreadable": unreadable}


def _state(lock: Lock, commit: str | None, date: str, subject: str) -> dict[str, Any]:
    label_sets = {
        name: {
            "quality": {split: dict(figures) for split, figures in labels.quality.items()},
            "rows": labels.rows,
            "labeled": labels.labeled,
            "digest": labels.digest,
        }
        for name, labels in lock.label_sets.items()
    }
    return {"commit": commit, "date": date, "subject": subject, "label_sets": label_sets}


def of_label_set(history: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The states in which a label set is there: ``commit``, ``date``, ``subject`` and its figures."""
    return [
        {"commit": s["commit"], "date": s["date"], "subject": s["subject"], **s["label_sets"][name]}
        for s in history["states"]
        if name in s["label_sets"]
    ]
