"""Embeddings: from a text to a body; from a reply to a vector.

One text a request: an edit of one row then asks for one vector, and equal texts share one.
"""

from __future__ import annotations

import base64
import struct
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal

from teachkit.llm.errors import BadRequestBody
from teachkit.llm.replies import ModelReply, Usage, count, read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OURS: Final = frozenset({"model", "input", "dimensions", "encoding_format", "stream"})
_BYTES: Final = 4  # of a float32


def embedding_body(
    *,
    model: str,
    text: str,
    dimensions: int | None = None,
    encoding_format: Literal["base64", "float"] = "base64",
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the body of a request for the vector of a text.

    Args:
        model: as the provider calls it.
        text: what the vector is of; white space alone has none.
        dimensions: how many numbers it should have, for models that can shorten it; checked when the reply is read.
        encoding_format: how the numbers come. base64 is exact and takes a third of the place, as decimals are long; a
            reply is read whichever it uses.
        parameters: more of the body, passed on as they are.

    Raises:
        BadRequestBody: the text is empty, or ``parameters`` names what is set here.
    """
    given = dict(parameters or {})
    if taken := sorted(_OURS & set(given)):
        problem = f"'{taken[0]}' is not a parameter of one's own"
        raise BadRequestBody(label=f"to '{model}'", problem=problem, advice="leave it out")
    if not text.strip():
        problem, advice = "an empty text has no vector", "ask for vectors of texts alone"
        raise BadRequestBody(label=f"to '{model}'", problem=problem, advice=advice)
    size = {} if dimensions is None else {"dimensions": dimensions}
    return {"model": model, "input": text, "encoding_format": encoding_format, **size, **given}


def parse_embedding(body: Mapping[str, Any], raw: bytes) -> ModelReply:
    """Read the reply to a body, of status 200. Never raises: what is wrong stands in ``problem``."""

    def parse(whole: Any) -> ModelReply:
        (entry,) = whole["data"]
        usage = whole.get("usage")
        vector, problem = _vector(entry["embedding"], body.get("dimensions"))
        return ModelReply(
            vector=vector,
            usage=Usage(count(usage.get("prompt_tokens")), 0) if isinstance(usage, dict) else None,
            model=str(whole.get("model") or ""),
            problem=problem,
        )

    return read_reply(raw, parse, "the embedding of one text", holder="data")


def _vector(given: Any, dimensions: object) -> tuple[bytes, str | None]:
    """The numbers as float32; or what is wrong with them."""
    if isinstance(given, str):
        packed = base64.b64decode(given, validate=True)
        if len(packed) % _BYTES:
            raise ValueError("no float32 numbers")
        numbers: Sequence[float] = struct.unpack(f"<{len(packed) // _BYTES}f", packed)
    else:
        if not isinstance(given, list) or any(type(number) not in (int, float) for number in given):
            raise TypeError("no numbers")
        numbers = given
    if not numbers:
        return b"", "the vector is empty"
    try:
        vector = struct.pack(f"<{len(numbers)}f", *map(float, numbers))
    except OverflowError:
        return b"", "the vector holds a number that is too large"
    if not all(map(isfinite, numbers)):
        return b"", "the vector holds a number that is not finite"
    if dimensions is not None and len(numbers) != dimensions:
        return b"", f"the vector has {len(numbers)} numbers, not {dimensions}"
    return vector, None
