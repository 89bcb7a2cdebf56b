"""Batches that were bought: how far they are, their answers, and how to stop them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.build.asking.batching import api_of, batch_dict, batch_prices, way_of
from teachkit.build.asking.prompting import batch_folder, prices, response_store
from teachkit.build.execute import looking_at
from teachkit.build.run import quiet
from teachkit.errors import BadOption, TeachkitError, did_you_mean, listing
from teachkit.llm.errors import (
    BadBatchState,
    BatchMissing,
    BatchProviderGone,
    BatchRefused,
    BatchUnclear,
    LlmSetupError,
    ProviderError,
)

_OF_ONE = (BatchMissing, BatchRefused, BatchUnclear, BadBatchState, BatchProviderGone)
"""Errors that say nothing of other batches of the same provider."""

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from teachkit.build.execute import Executor
    from teachkit.build.run import Reporter
    from teachkit.build.workspace import Workspace
    from teachkit.llm.batch_api import BatchApi
    from teachkit.llm.batch_state import Batch


@dataclass(slots=True)
class Looked:
    """Batches as they are now, and what kept some from being looked at, stopped or collected.

    ``notes`` say what else should be known. Of ``dropped`` nothing is known here any more. ``first`` tells of a
    request without an answer, ``already`` counts answers that an earlier, broken-off collection had kept.
    """

    batches: list[Batch] = field(default_factory=list)
    errors: list[TeachkitError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    first: str = ""
    already: int = 0

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "batches": [batch_dict(batch) for batch in self.batches],
            "dropped": self.dropped,
            "notes": self.notes,
            "errors": [error.as_dict() for error in self.errors],
        }


def status(work: Workspace, names: Sequence[str] = (), *, report: Reporter = quiet) -> Looked:
    """Look at batches, those named by id or prompt or all; one that is collected is not looked at again."""
    from teachkit.llm.batches import refresh

    with looking_at(work, report=report) as run:
        found = Looked()
        folder = batch_folder(run)

        def look(batch: Batch, api: BatchApi) -> None:
            found.batches.append(refresh(folder, batch, api))

        _with_each(run, names, found, look, unless="collected")
        return found


def collect(work: Workspace, names: Sequence[str] = (), *, report: Reporter = quiet) -> Looked:
    """Keep the answers of batches that are at their end; one that is not is shown as it is."""
    from teachkit.llm import batches

    with looking_at(work, report=report) as run, response_store(run) as store:
        found = Looked()
        folder = batch_folder(run)
        known = prices(run)

        def take(batch: Batch, api: BatchApi) -> None:
            came = batches.collect(folder, batch, api, store=store, price=batch_prices(known))
            found.batches.append(came.batch)
            found.notes += [f"batch {batch.shown_id}: {note}" for note in came.notes]
            if came.outputs is not None:
                found.first = found.first or came.outputs.first
                found.already += came.outputs.already
                if came.outputs.unpriced and known is not None:
                    found.notes.append(f"batch {batch.shown_id}: {came.outputs.unpriced:,} answers have no price")

        _with_each(run, names, found, take)
        if store.recovery is not None:
            found.notes.append(str(store.recovery))
        return found


def cancel(work: Workspace, names: Sequence[str], *, forget: bool = False, report: Reporter = quiet) -> Looked:
    """Stop batches, named by id or prompt; ``forget``: know nothing of them here any more, whatever they are answered.

    Raises:
        BadOption: none is named.
    """
    from teachkit.llm import batches
    from teachkit.llm.batch_state import forget as forget_batch

    if not names:
        advice = "name a batch or a prompt: 'teachkit llm batch status' shows them"
        raise BadOption(None, option="NAMES", problem="which batches are to be cancelled is not said", advice=advice)
    with looking_at(work, report=report) as run:
        found = Looked()
        folder = batch_folder(run)

        def stop(batch: Batch, api: BatchApi) -> None:
            left = batches.cancel(folder, batch, api, forgetting=forget)
            if left is None:
                found.dropped.append(batch.shown_id)
            else:
                found.batches.append(left)

        def gone(batch: Batch) -> bool:
            if forget:
                forget_batch(folder, batch)
                found.dropped.append(batch.shown_id)
            return forget

        _with_each(run, names, found, stop, gone=gone)
        return found


def _with_each(
    run: Executor,
    names: Sequence[str],
    found: Looked,
    action: Callable[[Batch, BatchApi], None],
    *,
    unless: str | None = None,
    gone: Callable[[Batch], bool] = lambda batch: False,
) -> None:
    """Do something with each chosen batch that is not collected; a provider that cannot be asked is asked once."""
    from teachkit.llm.batch_state import load_batches
    from teachkit.llm.batches import working_on

    folder = batch_folder(run)
    if not load_batches(folder) and not names:
        return
    with ExitStack() as held:
        held.enter_context(working_on(folder, run.note))
        providers = _Providers(run, held)
        for batch in _chosen(load_batches(folder), names):
            if batch.phase == "collected":
                if unless:
                    found.batches.append(batch)
                continue
            try:
                action(batch, providers.of(batch))
            except (ProviderError, LlmSetupError) as error:
                if isinstance(error, BatchProviderGone) and gone(batch):
                    continue
                found.batches.append(batch)
                if error not in found.errors:
                    found.errors.append(error)
                if not isinstance(error, _OF_ONE):
                    providers.give_up(batch, error)


def _chosen(batches: Sequence[Batch], names: Sequence[str]) -> list[Batch]:
    chosen: dict[str, Batch] = {}
    for name in names:
        found = [batch for batch in batches if name in (batch.batch_id, batch.id) or _is_of(batch, name)]
        if not found:
            known = [batch.shown_id for batch in batches if batch.phase != "collected"]
            advice = f"known: {listing(known)}.{did_you_mean(name, known)}"
            raise BadOption(None, option="NAMES", problem=f"no batch is called '{name}', nor of it", advice=advice)
        chosen |= {batch.id: batch for batch in found}
    return [batch for batch in batches if batch.id in chosen] if names else list(batches)


def _is_of(batch: Batch, name: str) -> bool:
    """Whether a batch holds requests of a prompt, by its id, name, or task and name."""
    return any(node == name or node.endswith(f".{name}") for node in batch.names)


class _Providers:
    """The target's providers, each opened once; one that cannot be asked is not asked again."""

    def __init__(self, run: Executor, held: ExitStack) -> None:
        self._run, self._held = run, held
        self._known: dict[tuple[str, str | None], BatchApi | TeachkitError] = {}

    def of(self, batch: Batch) -> BatchApi:
        """The provider that has a batch.

        Raises:
            BatchProviderGone: the target has none at its address.
            LlmSetupError, ProviderError: why the provider cannot be asked.
        """
        way = batch.endpoint, batch.key_name
        if way not in self._known:
            try:
                self._known[way] = self._open(batch)
            except LlmSetupError as error:
                self._known[way] = error
        found = self._known[way]
        if isinstance(found, TeachkitError):
            raise found
        return found

    def give_up(self, batch: Batch, error: TeachkitError) -> None:
        """Ask a provider no more."""
        self._known[batch.endpoint, batch.key_name] = error

    def _open(self, batch: Batch) -> BatchApi:
        there = [said for said in self._run.files.target.llm.providers.values() if way_of(said)[0] == batch.endpoint]
        if not there:
            target = self._run.files.target_name
            raise BatchProviderGone(batch=batch.shown_id, endpoint=batch.endpoint, target=target)
        said = next((said for said in there if said.api_key_env == batch.key_name), there[0])
        return self._held.enter_context(api_of(said, self._run))
