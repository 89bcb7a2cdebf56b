"""Batches: requests that a provider answers within a day, for less. Bought once, whatever dies when, and never lost.

The order of things, each on the disk before the next:

1. the requests and the state of a batch (``batch_input``): nothing is bought;
2. the upload, and the provider's id for the file: nothing is bought;
3. the word that a batch is asked for (``tried``), with our id in its metadata;
4. the batch, and the provider's id for it;
5. answers in the store of answers, flushed; then the word that the batch is collected.

A process that dies before 3 has bought nothing: the next submission drops what it prepared. Between 3 and 4 it is
unclear whether the provider has the batch: its list says so, by our id, once a call that was under way must have come
through. Answers are put into the store again by nobody, for they are compared with those that are there.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from teachkit.llm.batch_api import Unclear
from teachkit.llm.batch_output import Outputs, read_outputs
from teachkit.llm.batch_state import (
    TERMINAL,
    Batch,
    forget,
    forget_requests,
    keep,
    open_upload,
    read_request,
    read_rows,
    upload_path,
)
from teachkit.llm.errors import BatchMissing, BatchUnclear, ProviderError
from teachkit.llm.money import microdollars
from teachkit.llm.verdict import quotes
from teachkit.store.atomic import locked, would_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from teachkit.llm.batch_api import BatchApi
    from teachkit.llm.batch_reply import RemoteBatch
    from teachkit.llm.money import Price
    from teachkit.llm.request import Request
    from teachkit.llm.responses import ResponseStore

    Say = Callable[[str], None]

_CREATIONS: Final = 3  # times that a batch is asked for, if the list shows none of it
_SHOWN_ERRORS: Final = 3


@contextmanager
def working_on(folder: Path, say: Say) -> Iterator[None]:
    """One process at a time submits, looks, collects or cancels; a killed one holds up nobody."""
    lock = folder / "lock"
    if would_wait(lock):
        say("another teachkit is working on batches; this one waits for it")
    with locked(lock):
        yield


def send(folder: Path, batch: Batch, api: BatchApi) -> Batch:
    """Upload a prepared batch and buy it.

    Raises:
        ProviderError: the provider refuses it or is down; nothing was bought, and nothing of it is left.
        BatchUnclear: it may have been bought; the state says so.
        StoreUnwritable: the state cannot be written.
    """
    try:
        batch = keep(folder, batch, file_id=api.upload(upload_path(folder, batch.id), f"teachkit-{batch.id}.jsonl"))
        return _buy(folder, batch, api)
    except (BatchUnclear, BatchMissing):
        raise
    except ProviderError:
        forget(folder, batch)
        raise


def _buy(folder: Path, batch: Batch, api: BatchApi) -> Batch:
    said = ""

    def note_try() -> None:  # from here on it may be bought
        nonlocal batch
        batch = keep(folder, batch, tried=api.patience.clock())

    for _ in range(_CREATIONS):
        try:
            found = api.create(batch.file_id or "", batch.id, note_try)
            return _note(folder, batch, found)
        except Unclear as unclear:
            said = str(unclear)
        settled = settle(folder, batch, api, said)
        if settled is not None:
            return settled
    raise BatchUnclear(host=api.way.endpoint.netloc, batch=batch.id, said=said)


def settle(folder: Path, batch: Batch, api: BatchApi, said: str = "") -> Batch | None:
    """An unclear batch as the provider's list shows it; None if it is certain that there is none.

    Raises:
        BatchUnclear: the list cannot be read, so it stays unclear.
        BatchMissing: the file that it is of is not known with this key, so that the list may be another one.
    """
    try:
        found, seen = _found_or_waited(folder, batch, api, said), True
        if found is None and batch.file_id is not None:
            seen = api.sees(batch.file_id)
    except ProviderError as error:
        raise BatchUnclear(host=api.way.endpoint.netloc, batch=batch.id, said=error.message) from error
    if not seen:
        raise BatchMissing(host=api.way.endpoint.netloc, batch=batch.id)
    return found


def _found_or_waited(folder: Path, batch: Batch, api: BatchApi, said: str) -> Batch | None:
    """What a list shows that is read when all that was asked for must have come through."""
    found = look_for(folder, batch, api)
    wait = min(api.patience.settle, (batch.tried or 0.0) + api.patience.settle - api.patience.clock())
    if found is not None or wait <= 0:
        return found
    why = f" ({said})" if said else ""
    api.say(f"it is not known whether the provider took batch {batch.id}{why}: looking again in {wait:.0f} s")
    api.patience.sleep(wait)
    return look_for(folder, batch, api)


def look_for(folder: Path, batch: Batch, api: BatchApi) -> Batch | None:
    """An unclear batch as the provider's list shows it; None if it shows none now."""
    found = api.find(batch.id, batch.file_id)
    if not found:
        return None
    if len(found) > 1:
        others = ", ".join(other.id for other in found[1:])
        api.say(f"the provider has batch {found[0].id} more than once: cancel {others} there")
    return _note(folder, batch, found[0])


def refresh(folder: Path, batch: Batch, api: BatchApi) -> Batch:
    """Look at a batch at the provider. One that is unclear stays so where the list does not show it.

    Raises:
        BatchMissing: the provider does not know it.
        ProviderError: the provider cannot be asked.
    """
    if batch.phase == "unclear":
        return look_for(folder, batch, api) or batch
    if batch.phase != "sent" or batch.status in TERMINAL:
        return batch
    return _look(folder, batch, api)


def cancel(folder: Path, batch: Batch, api: BatchApi, *, forgetting: bool) -> Batch | None:
    """Stop a batch; what it has answered by then can be collected. None: nothing is known of it here any more.

    That is so for one that was never bought. ``forgetting`` also drops one that the provider has, or does not know.

    Raises:
        BatchMissing: the provider does not know it, and ``forgetting`` is not given.
        ProviderError: the provider cannot be asked; nothing is dropped.
    """
    try:
        if batch.phase == "unclear":
            batch = settle(folder, batch, api) or replace(batch, tried=None)
        if batch.phase == "sent":
            batch = _look(folder, batch, api)
            if batch.status not in TERMINAL and batch.status != "cancelling":
                batch = _note(folder, batch, _there(batch, api, api.cancel(batch.batch_id or "")))
            if not forgetting:
                return batch
    except BatchMissing:
        if not forgetting:
            raise
    forget(folder, batch)
    return None


@dataclass(slots=True)
class Collected:
    """What came of one batch; ``outputs`` is None while it is not at its end."""

    batch: Batch
    outputs: Outputs | None = None
    notes: list[str] = field(default_factory=list)


def collect(
    folder: Path, batch: Batch, api: BatchApi, *, store: ResponseStore, price: Callable[[Request], Price | None]
) -> Collected:
    """Keep what a batch at its end was answered, whatever that end is; a second time adds nothing.

    Raises:
        BatchMissing: the provider does not know it.
        ProviderError: the provider cannot be asked; what is kept stays.
        StoreUnwritable: answers cannot be kept; the batch can be collected again.
    """
    batch = _look(folder, batch, api) if batch.phase == "sent" else refresh(folder, batch, api)
    if batch.phase != "sent" or batch.status not in TERMINAL:
        return Collected(batch)
    if batch.status == "completed" and batch.completed and batch.output_file_id is None:
        return Collected(batch, notes=["the provider has not named the file with its answers yet: collect it later"])
    notes: list[str] = []
    files: list[Path] = []
    for file_id, ending in ((batch.output_file_id, "output"), (batch.error_file_id, "errors")):
        if file_id is None:
            continue
        path = folder / f"{batch.id}.{ending}"
        if api.download(file_id, path):
            files.append(path)
        else:
            notes.append(f"the provider does not have the file {file_id} with its {ending} any more")
    found = read_outputs(folder, batch, files, store=store, price=price)
    store.flush()
    if found.odd:
        said = ", ".join(f"{count} {what}" for what, count in sorted(found.odd.items()))
        left = " and ".join(str(path) for path in files)
        notes.append(f"not all that the provider sent could be used: {said}. It is left in {left}")
    else:
        for path in files:
            path.unlink(missing_ok=True)
    batch = keep(
        folder,
        batch,
        collected=api.patience.clock(),
        kept=found.answers,
        failures=dict(sorted(found.failures.items())),
        cost=None if found.picos is None else microdollars(found.picos),
    )
    forget_requests(folder, batch.id)
    return Collected(batch, found, notes)


# ---------------------------------------------------------------------------- the provider's word


def _look(folder: Path, batch: Batch, api: BatchApi) -> Batch:
    return _note(folder, batch, _there(batch, api, api.get(batch.batch_id or "")))


def _there(batch: Batch, api: BatchApi, found: RemoteBatch | None) -> RemoteBatch:
    if found is None:
        raise BatchMissing(host=api.way.endpoint.netloc, batch=batch.shown_id)
    return found


def _note(folder: Path, batch: Batch, found: RemoteBatch) -> Batch:
    """Write what the provider says of a batch, if it says something new."""
    news: dict[str, Any] = {
        "batch_id": found.id,
        "status": found.status,
        "completed": found.completed,
        "failed": found.failed,
        "output_file_id": found.output_file_id,
        "error_file_id": found.error_file_id,
        "created": found.created,
        "expires": found.expires,
        "ended": found.ended,
        "said": _what_it_says(folder, batch, found),
    }
    if all(getattr(batch, name) == value for name, value in news.items()):
        return batch
    return keep(folder, batch, **news)


def _what_it_says(folder: Path, batch: Batch, found: RemoteBatch) -> str:
    """Why a batch failed as a whole; no message that quotes a request."""
    said = []
    for code, message, line in found.errors[:_SHOWN_ERRORS]:
        if line is not None and message and _quotes_line(folder, batch, line, message):
            message = "(its message quotes the request)"
        place = f" (line {line})" if line is not None else ""
        said.append(f"{code}: {message}{place}" if message else f"{code}{place}")
    more = len(found.errors) - len(said)
    return "; ".join(said) + (f"; and {more} more" if more > 0 else "")


def _quotes_line(folder: Path, batch: Batch, line: int, message: str) -> bool:
    row = next((row for number, (_, row) in enumerate(read_rows(folder, batch.id), 1) if number == line), None)
    if row is None:
        return False
    with open_upload(folder, batch) as upload:
        return quotes(message, read_request(upload, batch, row))
