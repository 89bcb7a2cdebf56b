"""YAML with the place of every value, so that a message can point at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadYaml, Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The values of one YAML file and where each stands."""

    path: str
    value: Any
    keys: Mapping[Path, tuple[int, int, int]] = field(repr=False)
    values: Mapping[Path, tuple[int, int, int]] = field(repr=False)

    def where(self, path: Sequence[str | int] = (), *, key: bool = False) -> Where:
        """The place of the value (or of the key) at ``path``, or of the nearest thing around it."""
        found = tuple(path)
        while found:
            place = (self.keys if key else self.values).get(found) or self.keys.get(found)
            if place:
                return Where(self.path, *place)
            found = found[:-1]
        return Where(self.path, *self.values.get((), (1, 1, 1)))


def read_yaml(path: str, text: str) -> YamlFile:
    """Parse one YAML document with plain values (YAML 1.1 as PyYAML reads it; a key given twice is refused).

    Raises:
        BadYaml: with line and column, for anything that YAML does not allow.
    """
    import yaml

    keys: dict[Path, tuple[int, int, int]] = {}
    values: dict[Path, tuple[int, int, int]] = {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlFile(path, None, keys, values)
        _walk(root, (), keys, values, path)
        value = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(path, mark.line + 1, mark.column + 1) if mark else Where(path)
        raise BadYaml(where, problem=error.problem or str(error), advice=_advice(text, where)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise BadYaml(Where(path), problem=str(error).splitlines()[0], advice="check the file's syntax") from error
    finally:
        loader.dispose()
    return YamlFile(path, value, keys, values)


def _walk(node: Any, path: Path, keys: dict[Path, Any], values: dict[Path, Any], file: str) -> None:
    start, end = node.start_mark, node.end_mark
    values[path] = (start.line + 1, start.column + 1, end.column + 1 if end.line == start.line else start.column + 2)
    if node.id == "mapping":
        seen: set[str] = set()
        for key_node, value_node in node.value:
            name = str(key_node.value)
            mark = key_node.start_mark
            if name in seen and name != "<<":
                raise BadYaml(
                    Where(file, mark.line + 1, mark.column + 1),
                    problem=f"the key '{name}' stands twice",
                    advice="remove one of the two: the second would silently win",
                )
            seen.add(name)
            keys[(*path, name)] = (mark.line + 1, mark.column + 1, key_node.end_mark.column + 1)
            _walk(value_node, (*path, name), keys, values, file)
    elif node.id == "sequence":
        for index, child in enumerate(node.value):
            _walk(child, (*path, index), keys, values, file)


def _advice(text: str, where: Where) -> str:
    lines = text.splitlines()
    line = lines[where.line - 1] if where.line and where.line <= len(lines) else ""
    if "\t" in line:
        return "a tab stands in this line: YAML is indented with spaces only"
    if "{{" in line or "{%" in line:
        return 'put a value that starts with Jinja in quotes: "{{ ... }}"'
    if "%" in line or "@" in line or "`" in line:
        return "put a value that starts with %, @ or ` in quotes"
    return "check indentation, colons and quotes here"
