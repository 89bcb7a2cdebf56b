"""Examples for prompts: items of the tune split with their gold, chosen for each item, never the item itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from hashlib import md5
from typing import TYPE_CHECKING, Any

from teachkit.build.gold import gold_files, read_gold, rows_with_gold
from teachkit.build.keys import content
from teachkit.errors import NodeFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from teachkit.build.execute import Executor
    from teachkit.graph import Node, TaskInfo
    from teachkit.project.llm_models import PromptExamples

    Choose = Callable[[str, Mapping[str, Any]], Sequence[Mapping[str, Any]]]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Example:
    """An item with its gold: the columns that the prompt shows, and ``label``."""

    key: str
    values: Mapping[str, Any]
    rank: bytes
    """Its place in an order that looks like chance and is the same everywhere."""


def choice_of_examples(run: Executor, node: Node, task: TaskInfo) -> Choose:
    """From an item's key and columns to its examples, as the prompt's front matter asks.

    Raises:
        NodeFailed: the tune split has fewer items with gold than are asked for.
    """
    wanted = node.spec.config.examples
    if isinstance(wanted, list):
        return lambda key, item: wanted
    if node.spec.vectors is not None:
        from teachkit.build.asking.vectors import nearest_of

        return nearest_of(run, node, task).choose
    return run.once("examples", node, lambda: _choice(pool_of(run, node, task), wanted, coded=task.coded))


def _choice(pool: Sequence[Example], wanted: PromptExamples, *, coded: bool) -> Choose:
    if wanted.select != "random":
        return NearestInWords(pool, wanted.k).choose
    return _stratified(pool, wanted.k, by_label=coded)


def gold_content(run: Executor, node: Node, task: TaskInfo) -> Any:
    """The gold that a prompt's votes depend on, for their key: it validates them, and examples are chosen from it."""
    chooses = not isinstance(node.spec.config.examples, list)
    validates = node.kind == "prompt" and (node.spec.config.unvalidated == "refuse" or node.spec.scored)
    if not chooses and not validates:
        return None
    columns = [
        *((node.reads[task.dataset] or ()) if chooses else ()),
        task.key,
        *task.secret_columns,
        *([task.split_column] if task.split_column else []),
    ]
    splits = task.hash_splits.model_dump() if task.hash_splits else None
    files = [n.own for n in gold_files(run.graph, task)]
    return [content(run.outputs[task.dataset], columns), files, splits]


def gold_of(run: Executor, task: TaskInfo) -> Any:
    """All gold of a task, files of annotations included, whether or not these were built already."""
    from teachkit.build.voting import find_annotations, make_annotations

    files = gold_files(run.graph, task)
    for file in files:
        if file.id not in run.outputs:
            run.outputs[file.id] = find_annotations(run, file) or make_annotations(run, file)
    return read_gold(run, task, [file.id for file in files])


def pool_of(run: Executor, node: Node, task: TaskInfo) -> list[Example]:
    """What examples are chosen from, by rank.

    Raises:
        NodeFailed: the tune split has fewer items with gold than are asked for.
    """
    from teachkit.build.asking.prompting import items, shown_rows
    from teachkit.engine.session import parquet

    gold = gold_of(run, task)
    chosen = rows_with_gold(gold, "tune")
    relation = parquet([run.store.path(p.key) for p in run.outputs[task.dataset].parts])
    table = shown_rows(run, node, relation, task).take(chosen)
    keys, item_of = table.column("__key").to_pylist(), items(run, node, table)
    found = []
    for index, row in enumerate(chosen):
        key, values = keys[index], item_of(index)
        label = _label(gold, int(row), task, values)
        rank = md5(f"{node.spec.config.examples.seed}:{key}".encode(), usedforsecurity=False).digest()
        found.append(Example(key, {**values, "label": label}, rank))
    k = node.spec.config.examples.k
    if len(found) <= k:
        problem = f"prompt '{node.name}' wants {k} examples, and the tune split has {len(found)} items with gold"
        advice = f"label more, or ask for at most {len(found) - 1}" if len(found) > 1 else f"label {k + 1} or more"
        raise NodeFailed(node.where, problem=problem, advice=advice)
    return sorted(found, key=lambda example: example.rank)


def _label(gold: Any, row: int, task: TaskInfo, shown: Mapping[str, Any]) -> Any:
    import numpy as np

    if not task.coded:
        return task.answers.as_reply(gold.values[row], shown.get(task.text) if task.text else None)
    codes = gold.codes[row]
    return [task.labels[c] for c in np.flatnonzero(codes == 1)] if task.multi else task.labels[codes]


def _stratified(pool: Sequence[Example], k: int, *, by_label: bool) -> Choose:
    """The labels in turn, within a label by rank; one order for all items, from which each leaves itself out.

    Where answers are values there is one group alone.
    """
    groups: dict[str, list[Example]] = {}
    for example in pool:
        groups.setdefault(str(example.values["label"]) if by_label else "", []).append(example)
    columns = [groups[label] for label in sorted(groups)]
    rounds = range(max(map(len, columns)))
    order = [column[i] for i in rounds for column in columns if i < len(column)][: k + 1]
    return lambda key, item: [e.values for e in order if e.key != key][:k]


class NearestInWords:
    """Cosine of TF-IDF over the words of the columns that a prompt shows (Salton & Buckley, 1988)."""

    def __init__(self, pool: Sequence[Example], k: int) -> None:
        self._pool, self._k = pool, k
        counts = [Counter(_words(example.values)) for example in pool]
        held = Counter(word for words in counts for word in words)
        self._weight = {word: math.log((1 + len(pool)) / (1 + n)) + 1 for word, n in held.items()}
        self._holds: dict[str, list[tuple[int, float]]] = {}
        for index, words in enumerate(counts):
            for word, value in self._vector(words).items():
                self._holds.setdefault(word, []).append((index, value))

    def _vector(self, words: Mapping[str, int]) -> dict[str, float]:
        raw = {word: count * self._weight[word] for word, count in words.items() if word in self._weight}
        length = math.sqrt(math.fsum(value * value for value in raw.values()))
        return {word: value / length for word, value in sorted(raw.items())} if length else {}

    def choose(self, key: str, item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The nearest last, next to the question; those that share no word by rank."""
        score = [0.0] * len(self._pool)
        for word, value in self._vector(Counter(_words(item))).items():
            for index, held in self._holds[word]:
                score[index] += value * held
        order = sorted(range(len(self._pool)), key=lambda i: (-score[i], i))
        near = [self._pool[i] for i in order[: self._k + 1] if self._pool[i].key != key][: self._k]
        return [example.values for example in reversed(near)]


def _words(values: Mapping[str, Any]) -> Iterable[str]:
    return _WORD.findall(" ".join(str(v) for k, v in sorted(values.items()) if k != "label" and v is not None).lower())
