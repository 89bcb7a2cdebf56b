"""What a provider says of files and batches, read: words that fit into a message or a path, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from teachkit.llm.replies import count

METADATA: Final = "teachkit"  # the key of our id in a batch's metadata

_WORD: Final = re.compile(r"[\w.:\-]{1,100}", re.ASCII)
_LONGEST: Final = 300  # characters of a provider's message


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """A batch as a provider describes it. ``errors``: code, message, and line of the upload if it is about one."""

    id: str
    status: str
    run_id: str | None
    input_file_id: str | None
    output_file_id: str | None
    error_file_id: str | None
    total: int
    completed: int
    failed: int
    created: float | None
    expires: float | None
    ended: float | None
    errors: tuple[tuple[str, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some batches of a list; ``last`` is where the next page goes on, if there are ``more``."""

    batches: list[RemoteBatch]
    last: str | None
    more: bool


def read_batch(body: bytes) -> RemoteBatch:
    """Read a batch.

    Raises:
        ValueError: it is none.
    """
    return _batch(_object(body))


def _batch(found: dict[str, Any]) -> RemoteBatch:
    counts, metadata = found.get("request_counts"), found.get("metadata")
    counts = counts if isinstance(counts, dict) else {}
    metadata = metadata if isinstance(metadata, dict) else {}
    ended = [found.get(f"{status}_at") for status in ("completed", "expired", "cancelled", "failed")]
    return RemoteBatch(
        id=read_word(found.get("id")) or _raise("it has no id"),
        status=read_word(found.get("status")) or _raise("it has no status"),
        run_id=read_word(metadata.get(METADATA)),
        input_file_id=read_word(found.get("input_file_id")),
        output_file_id=read_word(found.get("output_file_id")),
        error_file_id=read_word(found.get("error_file_id")),
        total=count(counts.get("total")),
        completed=count(counts.get("completed")),
        failed=count(counts.get("failed")),
        created=_time(found.get("created_at")),
        expires=_time(found.get("expires_at")),
        ended=next((_time(at) for at in ended if at is not None), None),
        errors=_errors(found.get("errors")),
    )


def read_page(body: bytes) -> Page:
    """Read a page of a list of batches.

    Raises:
        ValueError: it is none.
    """
    found = _object(body)
    data = found.get("data")
    if not isinstance(data, list):
        raise ValueError("it is no list")
    batches = [_batch(each) for each in data if isinstance(each, dict)]
    last = read_word(found.get("last_id")) or (batches[-1].id if batches else None)
    return Page(batches, last, found.get("has_more") is True)


def _errors(found: object) -> tuple[tuple[str, str, int | None], ...]:
    data = found.get("data") if isinstance(found, dict) else None
    return tuple(
        (
            read_word(each.get("code")) or "error",
            str(each.get("message") or "")[:_LONGEST],
            line if isinstance(line := each.get("line"), int) else None,
        )
        for each in (data if isinstance(data, list) else [])
        if isinstance(each, dict)
    )


def read_id(body: bytes) -> str:
    """Read the id of a file.

    Raises:
        ValueError: there is none.
    """
    return read_word(_object(body).get("id")) or _raise("it has no id")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _raise(problem: str) -> str:
    raise ValueError(problem)


def read_word(value: object) -> str | None:
    """An id, a status or a code: nothing that a message or a path could not take."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < 2**40 else None
