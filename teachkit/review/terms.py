"""The words, phrases and patterns of texts that a rule can look for, and the items that hold each.

A text is split exactly where ``any_of`` of a rule sees a word begin and end (``teachkit.voters.rules``): words are runs
of letters, marks, digits and underscores of the text in lower case; words of a phrase have nothing but white space
between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teachkit.voters.rules import SPACE, WORD, Rule, is_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from teachkit.build.execute import Executor
    from teachkit.graph import TaskInfo

MOST_CHARACTERS = 60_000_000
"""So many characters are read at most, of so many items as that are; the others are left out of the search."""
LONGEST_TEXT = 4_000
_LONGEST_WORD = 40
_LEAST = 3  # a term that fewer items hold is none
_STEM = 4  # characters that words of one stem share, at least
_ENDING = 4  # characters after them, at most
_FAMILY = 8  # words of one stem, at most
_BEFORE, _AFTER = f"(?:^|[^{WORD}])", f"(?:$|[^{WORD}])"
SHAPES = {
    "url": r"(?i)https?://|www\.",
    "email": r"[\w.+-]+@[\w-]+\.\w",
    "number": rf"{_BEFORE}\d+{_AFTER}",
    "money": r"[$€£¥]\s?\d",
    "percent": r"\d\s?%",
    "capitals": rf"{_BEFORE}\p{{Lu}}{{3,}}{_AFTER}",
    "marks": r"[!?]{2,}",
    "question": r"\?",
    "exclamation": "!",
    "emoji": r"[\x{1F300}-\x{1FAFF}\x{2600}-\x{27BF}]",
}
"""Patterns that are always tried."""


@dataclass(frozen=True, slots=True)
class Term:
    """What a rule looks for: ``kind`` is ``word``, ``phrase``, ``stem`` or ``regex``."""

    kind: str
    name: str
    rule: Rule

    @property
    def keys(self) -> dict[str, Any]:
        """Its keys in a file of labeling functions."""
        column = {} if self.rule.column == "text" else {"column": self.rule.column}
        if self.rule.regex is not None:
            return {**column, "regex": self.rule.regex}
        return {**column, "any_of": list(self.rule.any_of)}


@dataclass(frozen=True, slots=True)
class Found:
    """T terms and the items that hold each: those of term t are ``items[indptr[t]:indptr[t + 1]]``, in order."""

    terms: Sequence[Term]
    indptr: Any
    items: Any

    def joined(self, other: Found) -> Found:
        """The terms of both."""
        import numpy as np

        indptr = np.concatenate([self.indptr, other.indptr[1:] + self.indptr[-1]])
        return Found([*self.terms, *other.terms], indptr, np.concatenate([self.items, other.items]))


def nothing() -> Found:
    """No terms."""
    import numpy as np

    return Found([], np.zeros(1, np.int64), np.zeros(0, np.int64))


def terms_of(run: Executor, task: TaskInfo, column: str, rows: Any) -> Found:
    """The terms of a text column that at least 3 of the items ``rows`` (in order) hold."""
    import numpy as np

    if not len(rows):
        return nothing()
    table = _tokens(run, task, column, rows)
    least = max(_LEAST, len(rows) // 20_000)
    place, split = table.column("row").to_numpy(), table.column("tokens").combine_chunks()
    texts = _Split(split, place)
    found = nothing()
    for part in (texts.phrases(column, least), texts.families(column, least), _shapes(table, place, column, least)):
        found = found.joined(part)
    order = np.lexsort((found.items, np.repeat(np.arange(len(found.terms)), np.diff(found.indptr))))
    return Found(found.terms, found.indptr, found.items[order])


def rows_to_read(run: Executor, task: TaskInfo, columns: Sequence[str], first: Any, order: Any) -> Any:
    """Which items are searched [M], in order: all, or as many as may be, those that are ``first`` [N] before others."""
    import numpy as np

    from teachkit.engine.session import parquet
    from teachkit.graph import quote

    items = len(order)
    if not items:
        return np.zeros(0, np.int64)
    relation = parquet([run.store.path(p.key) for p in run.outputs[task.dataset].parts])
    lengths = " + ".join(f"least({LONGEST_TEXT}, coalesce(length(cast({quote(c)} as varchar)), 0))" for c in columns)
    ((mean,),) = run.session.rows(f"select avg({lengths}) from {relation}")
    most = int(MOST_CHARACTERS / max(1.0, mean or 0.0))
    if items <= most:
        return np.arange(items)
    return np.sort(np.lexsort((order, ~first))[:most])


def _tokens(run: Executor, task: TaskInfo, column: str, rows: Any) -> pa.Table:
    import pyarrow as pa

    from teachkit.engine.session import parquet
    from teachkit.graph import literal, quote

    text = f"left(cast({quote(column)} as varchar), {LONGEST_TEXT})"
    token = f"[{WORD}]+|[^{WORD}{SPACE[1:-2]}]+"
    shapes = ", ".join(f"regexp_matches(t, {literal(regex)}) as {name}" for name, regex in SHAPES.items())
    tables, start = [], 0
    for part in run.outputs[task.dataset].parts:
        relation = parquet([run.store.path(part.key)], row_number=True)
        here = rows[(rows >= start) & (rows < start + part.rows)] - start
        chosen = ""
        if len(here) < part.rows:
            run.session.connection.register("__rows", pa.table({"row": here}))
            chosen = "where file_row_number in (select row from __rows)"
        texts = f"select file_row_number + {start} as row, {text} as t from {relation} {chosen}"
        sql = f"select row, regexp_extract_all(lower(t), {literal(token)}) as tokens, {shapes} from ({texts})"
        tables.append(run.session.table(f"{sql} where t is not null"))
        if chosen:
            run.session.connection.unregister("__rows")
        start += part.rows
    return pa.concat_tables(tables)


class _Split:
    """Texts as tokens, one after another: the ``code`` and the ``item`` of each; ``words`` says what a code is."""

    def __init__(self, split: Any, place: Any) -> None:
        import numpy as np
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(split.flatten())
        self.code = encoded.indices.to_numpy().astype(np.int64)
        self.words: list[str] = encoded.dictionary.to_pylist()
        self.item = np.repeat(place, pc.list_value_length(split).to_numpy())
        self.size = int(place.max(initial=0)) + 1
        usable = (bool(w) and is_word(w[0]) and len(w) <= _LONGEST_WORD for w in self.words)
        self.is_word = np.fromiter(usable, bool, len(self.words))

    def phrases(self, column: str, least: int) -> Found:
        """Words, and phrases of two and three of them that are frequent themselves."""
        import numpy as np

        ids = np.where(self.is_word[self.code], self.code, -1) if len(self.code) else self.code
        names: list[tuple[int, ...]] = [(code,) for code in range(len(self.words))]
        found = nothing()
        for length in (1, 2, 3):
            kept, indptr, items, ids = self._frequent(ids, len(names), least)
            names = [names[number] for number in kept]
            texts = [" ".join(self.words[code] for code in name) for name in names]
            kind = "word" if length == 1 else "phrase"
            terms = [Term(kind, text, Rule(column, any_of=(text,))) for text in texts]
            found = found.joined(Found(terms, indptr, items))
            if length == 3 or len(ids) < 2:
                break
            names, ids = self._longer(ids, names)
        return found

    def _frequent(self, ids: Any, size: int, least: int) -> tuple[Any, Any, Any, Any]:
        """Of the terms that start at each token (-1: none) those that enough items hold: which, where, new ``ids``."""
        import numpy as np

        there = ids >= 0
        pairs = np.unique(ids[there] * self.size + self.item[there])
        term, item = pairs // self.size, pairs % self.size
        counts = np.bincount(term, minlength=size)
        kept = np.flatnonzero(counts >= least)
        new = np.full(size + 1, -1, dtype=np.int64)
        new[kept] = np.arange(len(kept))
        indptr = np.concatenate([[0], np.cumsum(counts[kept])])
        return kept, indptr, item[new[term] >= 0], new[ids]

    def _longer(self, ids: Any, names: Sequence[tuple[int, ...]]) -> tuple[list[tuple[int, ...]], Any]:
        """Terms of one word more, where two frequent ones follow each other, all but one word of them the same."""
        import numpy as np

        size = max(1, len(names))
        both = (ids[:-1] >= 0) & (ids[1:] >= 0) & (self.item[:-1] == self.item[1:])
        pairs = np.where(both, ids[:-1] * size + ids[1:], -1)
        distinct, numbers = np.unique(pairs, return_inverse=True)
        shift = 1 if len(distinct) and distinct[0] < 0 else 0
        longer = [(*names[p // size], names[p % size][-1]) for p in distinct[shift:].tolist()]
        return longer, np.concatenate([numbers - shift, [-1]])

    def families(self, column: str, least: int) -> Found:
        """Words of one stem together, and words that differ in their digits alone."""
        import numpy as np

        terms, members = [], []
        counts = np.bincount(self.code, minlength=len(self.words))
        frequent = [w for w, yes, n in zip(self.words, self.is_word, counts, strict=True) if yes and n >= 2]
        index = {word: code for code, word in enumerate(self.words)}
        for words in _stems(frequent):
            terms.append(Term("stem", words[0], Rule(column, any_of=tuple(words))))
            members.append([index[w] for w in words])
        for shape, codes in self._numbered().items():
            regex = f"(?i){_BEFORE}{shape}{_AFTER}"
            terms.append(Term("regex", shape.replace(r"\d+", "0"), Rule(column, regex=regex)))
            members.append(codes)
        pairs = [(code, family) for family, codes in enumerate(members) for code in codes]
        family = np.full(len(self.words) + 1, -1, dtype=np.int64)
        for kind in ("stem", "regex"):  # a word may be of both
            for code, number in pairs:
                if terms[number].kind == kind:
                    family[code] = number
            if kind == "stem":
                stems = self._frequent(family[self.code], len(terms), least) if len(terms) else None
                family[:] = -1
        if not terms or stems is None:
            return nothing()
        found = nothing()
        for kept, indptr, items, _ in (stems, self._frequent(family[self.code], len(terms), least)):
            found = found.joined(Found([terms[number] for number in kept], indptr, items))
        return found

    def _numbered(self) -> dict[str, list[int]]:
        shapes: dict[str, list[int]] = {}
        for code in self.is_word.nonzero()[0].tolist():
            shape = re.sub("[0-9]+", r"\\d+", self.words[code])
            if shape not in (r"\d+", self.words[code]):
                shapes.setdefault(shape, []).append(code)
        return {shape: codes for shape, codes in shapes.items() if len(codes) > 1}


def _stems(words: Sequence[str]) -> Iterator[list[str]]:
    """Words that begin alike, and end with a few letters of their own."""
    group: list[str] = []
    for word in sorted(w for w in words if len(w) >= _STEM and w.isalpha()):
        stem = _common([*group, word])
        if group and len(stem) >= _STEM and all(len(w) - len(stem) <= _ENDING for w in (*group, word)):
            group.append(word)
            continue
        if 1 < len(group) <= _FAMILY:
            yield group
        group = [word]
    if 1 < len(group) <= _FAMILY:
        yield group


def _common(words: Sequence[str]) -> str:
    first, last = min(words), max(words)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def _shapes(table: pa.Table, place: Any, column: str, least: int) -> Found:
    import numpy as np

    found = nothing()
    for name, regex in SHAPES.items():
        items = place[table.column(name).to_numpy()]
        if len(items) >= least:
            term = Term("regex", name, Rule(column, regex=regex))
            found = found.joined(Found([term], np.array([0, len(items)]), items))
    return found
