"""A document of PROV in the making; saying a thing twice says it once.

https://www.w3.org/submissions/prov-json/
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from teachkit.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_PREFIXES = {"tk": "urn:teachkit:"}


class Document:
    """Entities, activities, agents by name, and what holds between them. Methods take and give qualified names."""

    def __init__(self) -> None:
        self._sections: dict[str, dict[str, dict[str, Any]]] = {}

    def as_dict(self) -> dict[str, Any]:
        """The document as PROV-JSON."""
        return {"prefix": dict(_PREFIXES), **self._sections}

    def entity(self, name: str, *, kind: Sequence[str], **about: Any) -> str:
        """A thing; ``kind`` are qualified names of types, ``about`` attributes (None: not said)."""
        return self._thing("entity", name, kind, about)

    def agent(self, name: str, kind: str, **about: Any) -> str:
        """Someone or something that answers for what was done."""
        return self._thing("agent", name, [kind], about)

    def activity(self, name: str, start: datetime, end: datetime, *, kind: str, **about: Any) -> str:
        """Something that was done, and when."""
        found = self._thing("activity", name, [kind], about)
        times = {"prov:startTime": start.isoformat(), "prov:endTime": end.isoformat()}
        self._sections["activity"][found].update(times)
        return found

    def derived(self, entity: str, of: str) -> None:
        """An entity was made from another one."""
        self._relation("wasDerivedFrom", {"prov:generatedEntity": entity, "prov:usedEntity": of})

    def generated(self, entity: str, activity: str) -> None:
        """An activity made an entity."""
        self._relation("wasGeneratedBy", {"prov:entity": entity, "prov:activity": activity})

    def used(self, activity: str, entity: str) -> None:
        """An activity read an entity."""
        self._relation("used", {"prov:activity": activity, "prov:entity": entity})

    def associated(self, activity: str, agent: str, plan: str) -> None:
        """An agent did it, by a plan."""
        self._relation("wasAssociatedWith", {"prov:activity": activity, "prov:agent": agent, "prov:plan": plan})

    def attributed(self, entity: str, agent: str) -> None:
        """An agent answers for an entity."""
        self._relation("wasAttributedTo", {"prov:entity": entity, "prov:agent": agent})

    def influenced(self, entity: str, by: str) -> None:
        """An entity had another one before it."""
        self._relation("wasInfluencedBy", {"prov:influencee": entity, "prov:influencer": by})

    def member(self, collection: str, entity: str) -> None:
        """An entity is one of a collection."""
        self._relation("hadMember", {"prov:collection": collection, "prov:entity": entity})

    def _thing(self, section: str, name: str, kinds: Sequence[str], about: dict[str, Any]) -> str:
        named = qualified(name)
        types = [{"$": kind, "type": "prov:QUALIFIED_NAME"} for kind in kinds]
        attributes: dict[str, Any] = {"prov:type": types[0] if len(types) == 1 else types}
        for key, value in about.items():
            if value is None or value == [] or (isinstance(value, float) and not isfinite(value)):
                continue
            known = {"label": "prov:label", "value": "prov:value"}.get(key) if not isinstance(value, list) else None
            attributes[known or f"tk:{key}"] = value
        self._sections.setdefault(section, {}).setdefault(named, {}).update(attributes)
        return named

    def _relation(self, kind: str, about: dict[str, str]) -> None:
        self._sections.setdefault(kind, {}).setdefault(f"_:{kind}-{digest(about)[:12]}", dict(about))


def qualified(name: str) -> str:
    """A name of ours as a qualified name: what may not stand in one is written ``%XX``."""
    found = quote(name, safe="/").replace("~", "%7E")
    return "tk:" + (found[:-1] + "%2E" if found.endswith(".") else found)
