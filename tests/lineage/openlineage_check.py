"""Checks events against the classes of OpenLineage's own client, which are made from the published JSON schemas."""

from __future__ import annotations

import importlib
import pkgutil
import re
import types
import typing
from enum import Enum
from typing import Any

import attr
from openlineage.client import generated
from openlineage.client.generated.base import BaseFacet, RunEvent
from openlineage.client.serde import Serde

_OURS = re.compile(r"^teachkit_[a-z]+$")


def _facets() -> dict[str, type]:
    """The class of each facet, by the last part of its schema's address."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, BaseFacet):
                found[value._get_schema()] = value
    return found


FACETS = _facets()


def check_event(event: dict[str, Any]) -> None:
    """Fail unless an event has all that the schema asks for, and nothing that it does not know."""
    built = _build(RunEvent, event)
    assert Serde.to_dict(built)["run"]["runId"] == event["run"]["runId"]
    assert event["schemaURL"] == RunEvent._get_schema()
    for dataset in [*event["inputs"], *event["outputs"]]:
        assert {"namespace", "name"} <= set(dataset)
    for facets in _all_facets(event):
        for name, facet in facets.items():
            _check_facet(name, facet)


def _all_facets(event: dict[str, Any]) -> list[dict[str, Any]]:
    datasets = [*event["inputs"], *event["outputs"]]
    found = [event["run"]["facets"], event["job"]["facets"]]
    return found + [d[k] for d in datasets for k in ("facets", "inputFacets", "outputFacets") if k in d]


def _check_facet(name: str, facet: dict[str, Any]) -> None:
    assert re.match(r"^urn:teachkit:\d", facet["_producer"]), name
    if _OURS.match(name):
        return
    about = {k: v for k, v in facet.items() if k not in ("_producer", "_schemaURL")}
    _build(FACETS[facet["_schemaURL"]], about)


def _build(wanted: Any, value: Any) -> Any:
    """A value as an instance of a class of the client, whose attributes and validators decide what it may be."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            assert type(None) in arguments
            return None
        return _build(next(a for a in arguments if a is not type(None)), value)
    if origin is list:
        return [_build(arguments[0], v) for v in value]
    if origin is dict:
        assert isinstance(value, dict)
        return value if _is_facet(arguments[1]) else {k: _build(arguments[1], v) for k, v in value.items()}
    if wanted is Any:
        return value
    if attr.has(wanted):
        hints = typing.get_type_hints(wanted)
        fixed = {f.name for f in attr.fields(wanted) if not f.init}
        return wanted(**{k: _build(hints[k], v) for k, v in value.items() if k not in fixed})
    if issubclass(wanted, Enum):
        return wanted(value)
    if wanted is float:
        assert isinstance(value, int | float)
    else:
        assert type(value) is wanted, f"{value!r} is no {wanted}"
    return value


def _is_facet(wanted: Any) -> bool:
    return isinstance(wanted, type) and issubclass(wanted, BaseFacet)
