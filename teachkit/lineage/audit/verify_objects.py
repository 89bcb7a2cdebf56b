"""Whether every object that a label set rests on is what it was, and every definition says what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teachkit.build.keys import beside, description_digest, output_of
from teachkit.build.label_sets import label_keys
from teachkit.lineage.audit.chain import Broken, DoesNotHold
from teachkit.lineage.audit.stored_labels import missing, node_and_task, objects_of
from teachkit.store import definition_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from teachkit.lineage.audit.chain import Chain
    from teachkit.lineage.audit.stored_labels import Origins, StoredLabels
    from teachkit.store import ObjectMeta


class ObjectCheck:
    """Checks objects and definitions, each once for all label sets; ``checked`` and ``definitions`` are those seen."""

    def __init__(self, chain: Chain, *, sampling: bool = False) -> None:
        """Nothing is checked yet; with ``sampling`` no object is that is not chosen."""
        self.chain = chain
        self.sampling = sampling
        self.checked: set[str] = set()
        self.definitions: set[str] = set()
        self.unrecorded: set[str] = set()

    def check(self, labels: StoredLabels, origins: Origins, sampled: Sequence[str] | None) -> None:
        """Check what a label set rests on; of ``sampled`` objects alone the content.

        Raises:
            DoesNotHold: an object or a definition is missing, or is another one.
        """
        for node_id, keys in objects_of(labels):
            metas = [self._there(labels, node_id, key) for key in keys]
            others = [self._there(labels, node_id, key) for key in beside(metas)]
            for meta in [*metas, *others]:
                if sampled is None or meta.key in sampled:
                    self._content(labels.name, node_id, meta.key)
            self._as_recorded(labels, node_id, metas, others)
        self._keys(labels, origins)
        for node_id, about in {**labels.inputs, labels.id: {"definition": labels.definition}}.items():
            self._definition(labels.name, node_id, about["definition"])

    def contents(self, labels: StoredLabels, node_id: str, keys: Iterable[str]) -> None:
        """Check the content of some objects before something is read from them; raises as ``check``."""
        for key in keys:
            self._there(labels, node_id, key)
            if not self.sampling:
                self._content(labels.name, node_id, key)

    def check_all(self) -> None:
        """Check every object of the store."""
        for key in list(self.chain.store.keys()):
            meta = self.chain.store.meta(key)
            self._content(None, meta.node if meta is not None else None, key)

    def keys(self, labels: StoredLabels) -> list[str]:
        """The keys of all objects that a label set rests on."""
        found: dict[str, None] = {}
        for node_id, keys in objects_of(labels):
            metas = [self._there(labels, node_id, key) for key in keys]
            found |= dict.fromkeys([*keys, *beside(metas)])
        return list(found)

    def _there(self, labels: StoredLabels, node_id: str, key: str) -> ObjectMeta:
        meta = self.chain.store.meta(key)
        if meta is None:
            raise DoesNotHold(missing(self.chain, labels.name, node_id, key))
        return meta

    def _content(self, label_set: str | None, node_id: str | None, key: str) -> None:
        """The digest of an object, computed anew."""
        if key in self.checked:
            return
        self.checked.add(key)
        problem = self.chain.store.verify_object(key)
        if problem is not None:
            self._object(label_set, node_id, key, problem.replace(f"{self.chain.files.root.as_posix()}/", ""))

    def _object(self, label_set: str | None, node_id: str | None, key: str, problem: str) -> None:
        path = self.chain.name(self.chain.store.path(key))
        raise DoesNotHold(
            Broken(step="objects", label_set=label_set, node=node_id, object=key, path=path, problem=problem)
        )

    def _as_recorded(
        self, labels: StoredLabels, node_id: str, metas: Sequence[ObjectMeta], others: Sequence[ObjectMeta]
    ) -> None:
        """Hold a node's objects against what runs say of them, and what the label set keeps of those that it read.

        The label set is asked as well, since a build that was killed may have replaced what an earlier run had made.
        """
        keys = [m.key for m in metas]
        known = [*self.chain.described(node_id, keys), labels.inputs.get(node_id, {}).get("described", [])]
        for at, meta in enumerate([*metas, *others]):
            digests = {one[at] for one in known if at < len(one)} - {None}
            if digests and description_digest(meta) not in digests:
                problem = f"object {meta.key[:12]}… of {node_id} is described otherwise than when it was made"
                self._object(labels.name, node_id, meta.key, problem)
        made = self.chain.made(node_id, keys) if metas else None
        if made is not None and not any(known) and output_of(metas).digest != made.digest:
            problem = f"the objects of {node_id} hold other content than run {made.run.run_id} made"
            self._object(labels.name, node_id, metas[0].key, problem)

    def _keys(self, labels: StoredLabels, origins: Origins) -> None:
        """Compute the keys of a label set anew: they name its definition and the content of all that it reads."""
        graph = origins.graph(labels)
        if graph is None:
            return
        node, _ = node_and_task(graph, labels)
        run = origins.executor(graph, labels)
        wanted = [*(p.key for p in labels.output.parts), labels.parameters.key]
        if label_keys(run, node) == wanted:
            return
        problem = (
            f"the key of {labels.id} is not that of what it was made of: its definition, or the content of one of "
            f"{', '.join(labels.inputs)}, is another one"
        )
        self._object(labels.name, labels.id, wanted[0], problem)

    # ------------------------------------------------------------------ definitions

    def _definition(self, label_set: str, node_id: str, fingerprint: str) -> None:
        if fingerprint in self.definitions:
            return
        self.definitions.add(fingerprint)
        found = self.chain.store.definition(fingerprint)
        if found is None:
            self._text(label_set, node_id, fingerprint, f"definition {fingerprint[:12]}… of {node_id} is missing")
            return
        digest = definition_digest(found)
        recorded = self.chain.definitions.get(fingerprint)
        if recorded is not None and digest != recorded[0]:
            problem = f"definition {fingerprint[:12]}… of {node_id} is not what run {recorded[1].run_id} kept"
            self._text(label_set, node_id, fingerprint, problem)
        elif recorded is None and digest != found.get("digest", digest):
            problem = f"definition {fingerprint[:12]}… of {node_id} is not what its own digest says"
            self._text(label_set, node_id, fingerprint, problem)
        if recorded is None and "digest" not in found:
            self.unrecorded.add(fingerprint)

    def _text(self, label_set: str, node_id: str, fingerprint: str, problem: str) -> None:
        path = self.chain.name(self.chain.store.definition_path(fingerprint))
        raise DoesNotHold(
            Broken(
                step="definitions", label_set=label_set, node=node_id, object=fingerprint, path=path, problem=problem
            )
        )
