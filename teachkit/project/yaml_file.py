"""YAML with the place of every value, so that a message can point at it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from teachkit.errors import BadYaml, Where

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Path = tuple[str | int, ...]
_DEEPEST = 100
_MOST_REPEATED = 10_000


@dataclass(frozen=True, slots=True)
class YamlFile:
    """The values of one YAML file and where each stands."""

    path: str
    value: Any
    keys: Mapping[Path, tuple[int, int, int]] = field(repr=False)
    values: Mapping[Path, tuple[int, int, int]] = field(repr=False)
    texts: Mapping[Path, tuple[int, int, int | None]] = field(default_factory=dict, repr=False)
    """Where the text inside a scalar starts: behind its quote, or below ``|`` (then without an end)."""
    base: Path = ()
    """What stands in front of every path that is asked for."""

    def inside(self, base: Sequence[str | int], value: Any) -> YamlFile:
        """The part of the file below a path, with ``value`` as its content."""
        return replace(self, value=value, base=(*self.base, *base))

    def where(self, path: Sequence[str | int] = (), *, key: bool = False) -> Where:
        """The place of the value (or of the key) at ``path``, or of the nearest thing around it."""
        found = (*self.base, *path)
        while found:
            place = (self.keys if key else self.values).get(found) or self.keys.get(found)
            if place:
                return Where(self.path, *place)
            found = found[:-1]
        return Where(self.path, *self.values.get((), (1, 1, 1)))

    def text(self, path: Sequence[str | int]) -> Where:
        """The place of the first character of a text. Without ``end_column`` all its lines start in that column."""
        place = self.texts.get((*self.base, *path))
        return Where(self.path, *place) if place else self.where(path)


def read_yaml(path: str, text: str) -> YamlFile:
    """Parse one YAML document with plain values (YAML 1.1 as PyYAML reads it; a key given twice is refused).

    Raises:
        BadYaml: with line and column, for anything that YAML does not allow.
    """
    import yaml

    found = YamlFile(path, None, {}, {}, {})
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    except yaml.reader.ReaderError as error:
        raise _bad_character(path, text, error) from error
    try:
        root = loader.get_single_node()
        if root is None:
            return found
        _Walk(found, text.split("\n"), loader).visit(root, ())
        value = loader.construct_document(root)
    except yaml.reader.ReaderError as error:
        raise _bad_character(path, text, error) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(path, mark.line + 1, mark.column + 1) if mark else Where(path)
        raise BadYaml(where, problem=error.problem or str(error), advice=_advice(text, where)) from error
    finally:
        loader.dispose()
    return YamlFile(path, value, found.keys, found.values, found.texts)


def _bad_character(path: str, text: str, error: Any) -> BadYaml:
    position = error.position
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return BadYaml(
        Where(path, line, column),
        problem=f"the character U+{error.character:04X} is not allowed",
        advice="remove it, or write it as an escape in double quotes",
    )


class _Walk:
    """Notes the place of every node."""

    def __init__(self, file: YamlFile, lines: Sequence[str], loader: Any) -> None:
        self.path = file.path
        self.keys: Any = file.keys
        self.values: Any = file.values
        self.texts: Any = file.texts
        self.lines = lines
        self.loader = loader
        self.open: set[int] = set()
        self.seen: set[int] = set()
        self.repeated = 0

    def visit(self, node: Any, path: Path) -> None:
        start, end = node.start_mark, node.end_mark
        self._check(node, path)
        same_line = end.line == start.line
        self.values[path] = (start.line + 1, start.column + 1, end.column + 1 if same_line else start.column + 2)
        self.open.add(id(node))
        if node.id == "mapping":
            self._mapping(node, path)
        elif node.id == "sequence":
            for index, child in enumerate(node.value):
                self.visit(child, (*path, index))
        elif node.style in ("|", ">"):
            self.texts[path] = (start.line + 2, self._indent(start.line + 1), None)
        elif node.style in ("'", '"'):
            self.texts[path] = (start.line + 1, start.column + 2, end.column if same_line else start.column + 3)
        else:
            self._scalar(node)
        self.open.discard(id(node))

    def _check(self, node: Any, path: Path) -> None:
        """Refuse what would not end: a value inside itself, or aliases of aliases of aliases."""
        self.repeated += id(node) in self.seen
        self.seen.add(id(node))
        if id(node) in self.open:
            problem = "this contains itself"
        elif len(path) > _DEEPEST:
            problem = "this is nested too deeply"
        elif self.repeated > _MOST_REPEATED:
            problem = "aliases (*) repeat too much here"
        else:
            return
        place = Where(self.path, node.start_mark.line + 1, node.start_mark.column + 1)
        raise BadYaml(place, problem=problem, advice="write it flat")

    def _scalar(self, node: Any) -> None:
        """Make the value now, while its place is known."""
        try:
            self.loader.construct_object(node)
        except (ValueError, AttributeError, OverflowError) as error:
            place = Where(self.path, node.start_mark.line + 1, node.start_mark.column + 1)
            problem = f"'{node.value}' is no {node.tag.rpartition(':')[2]}"
            raise BadYaml(place, problem=problem, advice="put it in quotes if it is meant as text") from error

    def _mapping(self, node: Any, path: Path) -> None:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            place = Where(self.path, mark.line + 1, mark.column + 1)
            if key_node.id != "scalar":
                advice = "quote it, or write the keys one a line (a value that starts with Jinja needs quotes)"
                raise BadYaml(place, problem="a key is a single word or text, not a list or mapping", advice=advice)
            name = str(key_node.value)
            if name in seen and key_node.tag != "tag:yaml.org,2002:merge":
                advice = f"remove one of the two (the other is in line {seen[name]}): the second would silently win"
                raise BadYaml(place, problem=f"the key '{name}' stands twice", advice=advice)
            seen[name] = mark.line + 1
            self.keys[(*path, name)] = (mark.line + 1, mark.column + 1, key_node.end_mark.column + 1)
            self.visit(value_node, (*path, name))
            is_word = key_node.tag.endswith((":str", ":merge"))
            made = name if is_word else self.loader.construct_object(key_node)
            if made != name:  # 0, true: that is how the value knows them
                self.keys[(*path, made)] = self.keys[(*path, name)]
                self.values[(*path, made)] = self.values[(*path, name)]

    def _indent(self, line: int) -> int:
        """The column in which the lines of a block scalar start."""
        first = next((text for text in self.lines[line:] if text.strip()), "")
        return len(first) - len(first.lstrip(" ")) + 1


def _advice(text: str, where: Where) -> str:
    lines = text.splitlines()
    near = lines[max(0, (where.line or 1) - 2) : where.line]
    line = near[-1] if near else ""
    if any(text.startswith(("<<<<<<<", ">>>>>>>")) for text in lines):
        return "resolve the conflict: the file holds markers of git"
    if any("\t" in text for text in near):
        return "a tab stands in this line: YAML is indented with spaces only"
    if "{{" in line or "{%" in line:
        return 'put a value that starts with Jinja in quotes: "{{ ... }}"'
    if any(f": {sign}" in line or f"- {sign}" in line for sign in "%@`*&!"):
        return "put a value that starts with %, @, `, *, & or ! in quotes"
    return "check indentation, colons and quotes here"
