"""Files that start with YAML between two lines of ``---``; above it may stand comments, ``<!-- … -->``, a line each."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadValue, Where

if TYPE_CHECKING:
    from collections.abc import Mapping

_COMMENT = re.compile(r"\s*<!--.*-->\s*")


def split_front_matter(path: str, text: str) -> tuple[str, str, int]:
    """Front matter (its lines keep their numbers), body, and the body's first line.

    Raises:
        BadValue: nothing ends the front matter.
    """
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if not _COMMENT.fullmatch(line)), 0)
    if lines[start].rstrip() != "---":
        return "{}", "\n".join(lines[start:]), start + 1
    end = next((i for i, line in enumerate(lines[start + 1 :], start + 1) if line.rstrip() == "---"), None)
    if end is None:
        problem, advice = "it begins here and has no end", "write a second line of --- between it and the text"
        raise BadValue(Where(path, start + 1), key="front matter", problem=problem, advice=advice)
    return "\n" * (start + 1) + "\n".join(lines[start + 1 : end]), "\n".join(lines[end + 1 :]), end + 2


def with_values(front: str, values: Mapping[str, Any]) -> str:
    """Front matter with other values at top-level keys; all else, comments too, stays as it is written.

    ``values`` are texts, numbers or booleans, and so is what they replace. A key that is not there yet is put in front.
    An alias to a value that is replaced points nowhere afterwards: whoever needs to know reads the outcome.
    """
    import yaml

    root = yaml.compose(front, Loader=yaml.SafeLoader)
    pairs = root.value if root is not None else []
    places = {key.value: value for key, value in pairs if key.value in values}
    for name, node in sorted(places.items(), key=lambda pair: -pair[1].start_mark.index):
        start, end = node.start_mark.index, node.end_mark.index
        before = "" if front[start - 1] in " \t\n" else " "
        after = "\n" if front[start:end].endswith("\n") else ""
        front = f"{front[:start]}{before}{json.dumps(values[name], ensure_ascii=False)}{after}{front[end:]}"
    new = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if name not in places]
    if root is not None and getattr(root, "flow_style", False):
        start = root.start_mark.index + 1
        return f"{front[:start]}{''.join(f'{line}, ' for line in new)}{front[start:]}"
    return "".join(f"{line}\n" for line in new) + front
