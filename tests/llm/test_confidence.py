"""How likely each label is by the tokens of an answer."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm.chat import ChatReply, TokenChoice
from teachkit.llm.confidence import label_scores

if TYPE_CHECKING:
    from collections.abc import Sequence


def token(text: str, rivals: dict[str, float] | None = None, *, logprob: float = 0.0) -> TokenChoice:
    found = tuple((rival, math.log(p) if p else -9999.0) for rival, p in (rivals or {}).items())
    own = dict(found).get(text, logprob)
    return TokenChoice(text, own, found)


def reply(*tokens: TokenChoice, text: str | None = None) -> ChatReply:
    return ChatReply(text="".join(t.token for t in tokens) if text is None else text, tokens=tokens)


def scores(answer: ChatReply, *labels: str, name: str = "label") -> tuple[dict[str, float], float]:
    found = label_scores(answer, name, labels)
    assert found is not None
    return {k: round(p, 9) for k, p in found.probabilities.items()}, round(found.mass_seen, 9)


def test_one_token_for_each_label() -> None:
    said = reply(token('{"label": "'), token("spam", {"spam": 0.7, "ham": 0.2, "sp": 0.05, "Spam": 0.05}), token('"}'))
    # 'sp' fits spam alone; 'Spam' is no label
    assert scores(said, "spam", "ham") == ({"spam": round(0.75 / 0.95, 9), "ham": round(0.2 / 0.95, 9)}, 0.95)


def test_labels_that_begin_alike_part_later() -> None:
    said = reply(
        token('{"label":'),
        token(' "', {' "': 1.0}),
        token("spam", {"spam": 0.8, "ham": 0.2}),
        token(" bot", {" bot": 0.25, '"': 0.5, '"}': 0.25}),
        token('"}'),
    )
    assert scores(said, "spam", "spam bot", "ham") == ({"spam": 0.6, "spam bot": 0.2, "ham": 0.2}, 1.0)


def test_a_way_not_taken_that_leads_to_several_labels_is_not_seen() -> None:
    said = reply(token('{"label": "'), token("ham", {"ham": 0.6, "spam": 0.4}), token('"}'))
    assert scores(said, "spam", "spam bot", "ham") == ({"ham": 1.0}, 0.6)


def test_a_token_may_begin_before_the_value() -> None:
    said = reply(token('{"label":'), token(' "sp', {' "sp': 0.5, ' "ham"}': 0.3, '"h': 0.1, " [": 0.1}), token('am"}'))
    assert scores(said, "spam", "ham") == ({"spam": round(0.5 / 0.9, 9), "ham": round(0.4 / 0.9, 9)}, 0.9)


def test_the_label_is_found_behind_a_reason_that_speaks_of_one() -> None:
    start = '{"reason": "it says \\"label\\": \\"ham\\"", "n": [1, {"label": "ham"}], "label": "'
    said = reply(token(start), token("spam", {"spam": 0.9, "ham": 0.1}), token('"}'))
    assert scores(said, "spam", "ham") == ({"spam": 0.9, "ham": 0.1}, 1.0)


def test_a_label_may_be_written_with_escapes() -> None:
    for written in ("Gr\\u00f6\\u00dfe", "Größe"):
        said = reply(token('{"size": "'), token(written, {written: 0.9, "Preis": 0.1}), token('"}'))
        assert scores(said, "Größe", "Preis", name="size") == ({"Größe": 0.9, "Preis": 0.1}, 1.0)


def test_an_impossible_rival_has_no_mass() -> None:
    said = reply(token('{"label": "'), token("spam", {"spam": 1.0, "ham": 0.0}), token('"}'))
    assert scores(said, "spam", "ham") == ({"spam": 1.0}, 1.0)


def test_the_token_that_was_taken_counts_where_no_rivals_are_told() -> None:
    said = reply(token('{"label": "'), token("spam", logprob=math.log(0.8)), token('"}'))
    assert scores(said, "spam", "ham") == ({"spam": 1.0}, 0.8)


def test_an_answer_in_a_fence_is_found() -> None:
    said = reply(token('```json\n{"label": "'), token("ham", {"ham": 0.6, "spam": 0.4}), token('"}\n```'))
    assert scores(said, "spam", "ham")[0] == {"spam": 0.4, "ham": 0.6}


@pytest.mark.parametrize(
    "answer",
    [
        ChatReply(text='{"label": "spam"}'),
        reply(token("no JSON")),
        reply(token('{"other": "spam"}')),
        reply(token('{"label": 3}')),
        reply(token('{"label" "spam"}')),
        reply(token('{"label": "eggs"}')),
        reply(token('{"label": "spam"}'), text="something else"),
    ],
)
def test_without_tokens_of_a_label_there_is_no_score(answer: ChatReply) -> None:
    assert label_scores(answer, "label", ["spam", "ham"]) is None


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[str], list[float]]:
    names = draw(st.lists(st.text("abcd ", min_size=1, max_size=5), min_size=2, max_size=8, unique=True))
    weights = draw(st.lists(st.floats(0.01, 1), min_size=len(names), max_size=len(names)))
    return names, [weight / sum(weights) for weight in weights]


@given(trees(), st.integers(0, 7))
def test_written_letter_by_letter_the_shares_of_the_way_come_out(
    tree: tuple[list[str], list[float]], pick: int
) -> None:
    """A model that knows the true shares and writes label ``pick``: what its rivals show alone is exact."""
    names, share = tree
    written = [json.dumps(name, ensure_ascii=False) for name in names]
    chosen = written[pick % len(names)]
    tokens: list[TokenChoice] = [token('{"label": ')]
    expected = dict.fromkeys(names, 0.0)
    for at in range(len(chosen)):
        here = [i for i, form in enumerate(written) if form.startswith(chosen[:at])]
        total = sum(share[i] for i in here)
        rivals: dict[str, float] = {}
        for i in here:
            rivals[written[i][at]] = rivals.get(written[i][at], 0.0) + share[i] / total
        tokens.append(token(chosen[at], rivals))
        for letter in rivals:
            alone = [i for i in here if written[i][at] == letter]
            if len(alone) == 1 and len(here) > 1:
                expected[names[alone[0]]] += share[alone[0]]
    found = label_scores(reply(*tokens, token("}")), "label", names)
    assert found is not None
    seen = sum(expected.values())
    assert found.mass_seen == pytest.approx(seen)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    for name, mass in expected.items():
        assert found.probabilities.get(name, 0.0) == pytest.approx(mass / seen)


@given(
    st.lists(
        st.builds(
            TokenChoice,
            st.text('{"label": spam}\\u', max_size=12),
            st.floats(-10000, 1),
            st.lists(st.tuples(st.text(max_size=6), st.floats(-10000, 1)), max_size=3).map(tuple),
        ),
        max_size=6,
    )
)
def test_nothing_that_comes_is_too_odd(tokens: Sequence[Any]) -> None:
    found = label_scores(reply(*tokens), "label", ["spam", "ham"])
    if found is not None:
        assert 0 < found.mass_seen <= 1
        assert sum(found.probabilities.values()) == pytest.approx(1)
