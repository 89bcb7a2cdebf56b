"""What is known here of batches at providers: one small file each, written before anything is bought.

A folder (``<store>/llm/batches``) holds for each batch, under an id of its own that also goes into the provider's
metadata:

- ``<id>.jsonl``: what is uploaded, one request a line,
- ``<id>.rows``: beside it, a line for each request with its key, repetition and label,
- ``<id>.json``: the state. It is there before the upload, and says that a batch was asked for before it is.

So whatever dies in between, the state says whether the provider may have a batch, and its id finds it there. The first
two go when all answers are kept; the state stays as a record.
"""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from teachkit.llm.errors import BadBatchState
from teachkit.llm.request import Endpoint, Request
from teachkit.store.atomic import sync, write_bytes_atomic, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

STATE_VERSION: Final = 1

Phase = Literal[
    "prepared",  # nothing was bought
    "unclear",  # a batch was asked for, and it is not known whether the provider took it
    "sent",  # the provider has it
    "collected",  # all there is to have is in the store of answers
]

TERMINAL: Final = frozenset({"completed", "failed", "expired", "cancelled"})  # statuses that do not change any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch at a provider, as it was when it was last looked at.

    ``key_name`` is the variable whose key sees it, ``names`` counts its requests by who asked them. ``worst`` is the
    most that it can cost in micro-dollars, ``cost`` what its answers cost (``None``: not priced, or not known yet).
    ``status`` and what follows are the provider's own words and counts; times are Unix time in seconds. ``kept``
    counts the answers that came of it, ``failures`` the requests without one by kind.
    """

    id: str
    endpoint: str
    key_name: str | None
    model: str
    names: Mapping[str, int]
    requests: int
    worst: float | None
    made: float
    file_id: str | None = None
    tried: float | None = None
    batch_id: str | None = None
    status: str = ""
    completed: int = 0
    failed: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    created: float | None = None
    expires: float | None = None
    ended: float | None = None
    said: str = ""
    collected: float | None = None
    kept: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    cost: float | None = None

    @property
    def phase(self) -> Phase:
        """How far it is."""
        if self.collected is not None:
            return "collected"
        if self.batch_id is not None:
            return "sent"
        return "prepared" if self.tried is None else "unclear"

    @property
    def is_open(self) -> bool:
        """Whether answers that are paid for may still come of it."""
        return self.phase == "unclear" or (self.phase == "sent" and not self.is_empty)

    @property
    def is_empty(self) -> bool:
        """Whether the provider refused it as a whole, so that nothing was or will be bought."""
        return self.status == "failed" and self.output_file_id is None and self.error_file_id is None

    @property
    def shown_id(self) -> str:
        """How messages call it: the provider's id, or ours while there is none."""
        return self.batch_id or self.id

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One request of a batch: where its line starts in the upload and how long it is."""

    repetition: int
    label: str
    start: int
    size: int


def new_id() -> str:
    """An id that no other batch has, of this store or another."""
    return secrets.token_hex(16)


def upload_path(folder: Path, batch_id: str) -> Path:
    """Where the requests of a batch are, as they are uploaded."""
    return folder / f"{batch_id}.jsonl"


def rows_path(folder: Path, batch_id: str) -> Path:
    """Where keys, repetitions and labels of a batch's requests are."""
    return folder / f"{batch_id}.rows"


def load_batches(folder: Path) -> list[Batch]:
    """All batches, in the order in which they were made.

    Raises:
        BadBatchState: a state cannot be read, so nobody knows what was bought.
    """
    found = [_load(path) for path in folder.glob("*.json")] if folder.is_dir() else []
    return sorted(filter(None, found), key=lambda batch: (batch.made, batch.id))


def keep(folder: Path, batch: Batch, **changes: Any) -> Batch:
    """Write a state with some changes; it is on the disk when this returns.

    Raises:
        StoreUnwritable: it cannot be written; the one before stays.
    """
    changed = replace(batch, **changes)
    path = folder / f"{batch.id}.json"
    whole = {"version": STATE_VERSION, **changed.as_dict()}
    write_bytes_atomic(path, json.dumps(whole, indent=1).encode())
    with writing(path):
        sync(folder)
    return changed


def forget(folder: Path, batch: Batch) -> None:
    """Remove all that is known of a batch: of one that was never bought, or that the provider does not know."""
    with writing(folder):
        (folder / f"{batch.id}.json").unlink(missing_ok=True)
    forget_requests(folder, batch.id)


def forget_requests(folder: Path, batch_id: str) -> None:
    """Remove the requests of a batch; its state stays."""
    with writing(folder):
        for path in (upload_path(folder, batch_id), rows_path(folder, batch_id)):
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove requests that belong to no batch, or to one that is collected: what a killed process left."""
    needed = {batch.id for batch in load_batches(folder) if batch.phase != "collected"}
    for path in [*folder.glob("*.jsonl"), *folder.glob("*.rows")] if folder.is_dir() else []:
        if path.stem not in needed:
            forget_requests(folder, path.stem)
    for path in [*folder.glob("*.tmp"), *folder.glob(".*.tmp")]:
        with writing(path):
            path.unlink(missing_ok=True)


def open_keys(folder: Path) -> set[str]:
    """Keys of requests whose answers may still come of a batch: who asks them now pays twice.

    Raises:
        BadBatchState: a state cannot be read.
    """
    found: set[str] = set()
    for batch in load_batches(folder):
        if not batch.is_open:
            continue
        try:
            found.update(key for key, _ in read_rows(folder, batch.id))
        except BadBatchState:
            now = _load(folder / f"{batch.id}.json")
            if now is not None and now.is_open:  # else it was collected or dropped meanwhile
                raise
    return found


def read_rows(folder: Path, batch_id: str) -> Iterator[tuple[str, Row]]:
    """The requests of a batch in the order of the upload: key, and what is known beside it.

    Raises:
        BadBatchState: the file is not there or not whole.
    """
    path = rows_path(folder, batch_id)
    try:
        with path.open("rb") as file:
            for line in file:
                key, repetition, label, start, size = json.loads(line)
                yield str(key), Row(int(repetition), str(label), int(start), int(size))
    except OSError as error:
        raise BadBatchState(path=path, problem=error.strerror or str(error)) from error
    except (ValueError, TypeError) as error:
        raise BadBatchState(path=path, problem="a line of it cannot be read") from error


def read_request(file: BinaryIO, batch: Batch, row: Row) -> Request:
    """A request of a batch, from its open upload.

    Raises:
        BadBatchState: the upload is not what was written.
    """
    try:
        file.seek(row.start)
        body = json.loads(file.read(row.size))["body"]
    except (ValueError, TypeError, KeyError) as error:
        raise BadBatchState(path=file.name, problem="a line of it cannot be read") from error
    return Request(Endpoint.parse(batch.endpoint), body, repetition=row.repetition, label=row.label)


@contextmanager
def open_upload(folder: Path, batch: Batch) -> Iterator[BinaryIO]:
    """The upload of a batch, to read requests from.

    Raises:
        BadBatchState: it is not there.
    """
    path = upload_path(folder, batch.id)
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadBatchState(path=path, problem=error.strerror or str(error)) from error
    with file:
        yield file


def row_line(key: str, row: Row) -> bytes:
    """A line of the file beside the upload."""
    return json.dumps([key, row.repetition, row.label, row.start, row.size]).encode() + b"\n"


def _load(path: Path) -> Batch | None:
    try:
        whole: dict[str, Any] = json.loads(path.read_bytes())
        version = whole.pop("version")
        if version != STATE_VERSION:
            raise BadBatchState(path=path, problem=f"it has format {version}; this teachkit knows {STATE_VERSION}")
        known = {each.name for each in fields(Batch)}
        batch = Batch(**{name: value for name, value in whole.items() if name in known})
    except FileNotFoundError:  # forgotten by another process meanwhile
        return None
    except OSError as error:
        raise BadBatchState(path=path, problem=error.strerror or str(error)) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadBatchState(path=path, problem="it is not what was written") from error
    if path.stem != batch.id:
        raise BadBatchState(path=path, problem="its name is not its id")
    return batch
