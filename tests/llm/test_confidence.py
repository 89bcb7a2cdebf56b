"""Log-probabilities grouped by label: against trees of tokens whose distribution is known, and by hand."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.llm import ABSTAIN, ModelReply, TokenChoice, label_scores, parse_chat, repeat_scores

LABELS = ["ham", "spam", "spam bot", "spit", ABSTAIN]


def said(*tokens: str | tuple[str, dict[str, float]], text: str | None = None) -> ModelReply:
    """A reply of tokens, each sure, or with the probabilities of itself and its rivals."""
    choices = []
    for each in tokens:
        token, shares = each if isinstance(each, tuple) else (each, {each: 1.0})
        top = tuple((name, math.log(share) if share else -9999.0) for name, share in shares.items())
        choices.append(TokenChoice(token, dict(top)[token], top))
    return ModelReply(text="".join(c.token for c in choices) if text is None else text, tokens=tuple(choices))


def shares(reply: ModelReply, labels: list[str] = LABELS, name: str = "label") -> tuple[dict[str, float], float]:
    """Probabilities above 0, rounded, and the mass seen."""
    found = label_scores(reply, name, labels)
    assert found is not None
    return {k: round(v, 6) for k, v in found.probabilities.items() if v}, round(found.mass_seen, 6)


def test_alternatives_are_grouped_by_the_label_that_they_begin() -> None:
    reply = said('{"label": "', ("ham", {"ham": 0.5, "h": 0.1, "hamm": 0.1, "AB": 0.2, "Ham": 0.05}), '"}')
    assert shares(reply) == ({"ham": 0.75, ABSTAIN: 0.25}, 0.8)
    assert label_scores(reply, "label", LABELS).probabilities["spit"] == 0.0  # type: ignore[union-attr]


def test_a_token_that_labels_share_is_followed_on_the_way_that_was_taken() -> None:
    reply = said('{"label": "', ("sp", {"sp": 0.8, "ham": 0.2}), ("it", {"it": 0.75, "am": 0.25}), '"}')
    labels = ["ham", "spam", "spit"]
    assert shares(reply, labels) == ({"ham": 0.2, "spam": 0.2, "spit": 0.6}, 1.0)


def test_what_followed_a_shared_token_that_was_not_taken_is_not_seen() -> None:
    reply = said('{"label": "', ("ham", {"ham": 0.5, "sp": 0.3, "spit": 0.2}), '"}')
    assert shares(reply, ["ham", "spam", "spit"]) == ({"ham": 0.714286, "spit": 0.285714}, 0.7)


def test_a_label_may_be_the_beginning_of_another() -> None:
    longer = said('{"label": "', ("spam", {"spam": 0.9, "ham": 0.1}), (" bot", {'"': 0.3, " bot": 0.7}), '"}')
    assert shares(longer) == ({"ham": 0.1, "spam": 0.27, "spam bot": 0.63}, 1.0)
    shorter = said('{"label": "', "spam", ('"}', {'"}': 0.5, '",': 0.2, " bot": 0.25, " bots": 0.05}))
    assert shares(shorter) == ({"spam": 0.736842, "spam bot": 0.263158}, 0.95)


def test_a_token_may_hold_the_quotation_mark_and_more() -> None:
    reply = said(
        '{"label"', (': "sp', {': "sp': 0.5, ':"ham': 0.25, ' :\n "spit"}': 0.125, ': "': 0.1, ";": 0.025}), 'am"}'
    )
    assert shares(reply, ["ham", "spam", "spit"]) == ({"ham": 0.285714, "spam": 0.571429, "spit": 0.142857}, 0.875)
    whole = said(('{"label":"ham"}', {'{"label":"ham"}': 0.6, '{"label": "spit"}': 0.2, '{"reason": "': 0.2}))
    assert shares(whole) == ({"ham": 0.75, "spit": 0.25}, 0.8)


def test_white_space_before_a_label_says_nothing_about_it() -> None:
    plain = said('{"label":', (' "', {' "': 0.6, '"': 0.3, "\n": 0.1}), ("ham", {"ham": 0.5, "spit": 0.5}), '"}')
    assert shares(plain) == ({"ham": 0.5, "spit": 0.5}, 1.0)
    mixed = said('{"label":', (' "', {' "': 0.6, '"': 0.1, ' "spit': 0.2, '"Ham': 0.2}), "ham", '"}')
    assert shares(mixed) == ({"ham": 0.75, "spit": 0.25}, 0.8)


def test_the_property_is_found_as_json_is_read() -> None:
    reason = json.dumps('they say "label": "spit", so \\')
    text = f'{{"reason": {reason}, "more": {{"label": "ham"}}, "lab\\u0065l" : "'
    reply = said(*text, ("spam", {"spam": 0.75, "ham": 0.25}), '" }')
    assert shares(reply) == ({"ham": 0.25, "spam": 0.75}, 1.0)
    assert json.loads(reply.text)["label"] == "spam"


def test_of_a_property_that_comes_twice_the_last_counts() -> None:
    reply = said(
        '{"label": "', ("ham", {"ham": 0.9, "spit": 0.1}), '", "label": "', ("spit", {"spit": 0.6, "ham": 0.4}), '"}'
    )
    assert shares(reply) == ({"ham": 0.4, "spit": 0.6}, 1.0)


def test_several_questions_have_their_own_scores() -> None:
    first, second = ("ham", {"ham": 0.9, "spit": 0.1}), ("yes", {"yes": 0.6, "no": 0.4})
    reply = said('{"kind": "', first, '", "toxic": "', second, '"}')
    assert shares(reply, LABELS, "kind") == ({"ham": 0.9, "spit": 0.1}, 1.0)
    assert shares(reply, ["no", "yes"], "toxic") == ({"no": 0.4, "yes": 0.6}, 1.0)


@pytest.mark.parametrize(
    ("before", "after"),
    [("\n\n ", ""), ("```json\n", "\n```"), ("Here it is:\n```\n", "\n```\nBye"), ("", "\n"), ("", "<|im_end|>")],
)
def test_the_object_is_found_where_models_write_it(before: str, after: str) -> None:
    tokens = ['{"label": "', ("ham", {"ham": 0.75, "spit": 0.25}), '"}', after]
    reply = said(before, *tokens)  # type: ignore[arg-type]
    if "<" in after:
        reply = said(before, *tokens, text=reply.text.removesuffix(after))  # type: ignore[arg-type]
    assert shares(reply) == ({"ham": 0.75, "spit": 0.25}, 1.0)


def test_white_space_that_the_server_stripped_is_no_difference() -> None:
    tokens: Any = ["\n\n", '{"label": "', ("ham", {"ham": 0.75, "spit": 0.25}), '"}', "</s>"]
    assert shares(said(*tokens, text='{"label": "ham"}')) == ({"ham": 0.75, "spit": 0.25}, 1.0)


def test_labels_may_hold_anything_in_any_spelling() -> None:
    labels = ["caf\u00e9", "cafe", 'a "b"', "a/b", "\U0001f600"]
    ways = {
        "caf\u00e9": 0.1,
        "caf\\u00e9": 0.1,
        "caf\\u00E9": 0.1,
        "cafe": 0.2,
        'a \\"': 0.1,
        "a\\/": 0.1,
        "\\uD83d\\u": 0.1,
    }
    reply = said('{"label": "', ("a/b", ways | {"a/b": 0.2}), '"}')
    expected = {"caf\u00e9": 0.3, "cafe": 0.2, 'a "b"': 0.1, "a/b": 0.3, "\U0001f600": 0.1}
    assert shares(reply, labels) == (expected, 1.0)
    escaped = said('{"label": "caf', ("\\u00", {"\\u00": 0.5, "e": 0.25, "\\U00": 0.125, "\\t": 0.125}), 'e9"}')
    assert shares(escaped, labels) == ({"caf\u00e9": 0.666667, "cafe": 0.333333}, 0.75)


def test_a_character_in_several_tokens_is_put_together_from_bytes() -> None:
    smile, frown = "\U0001f600".encode(), "\U0001f641".encode()
    pieces = [(b'{"label": "', [(b'{"label": "', 1.0)]), (smile[:2], [(smile[:2], 1.0)])]
    pieces += [(smile[2:], [(smile[2:], 0.75), (frown[2:], 0.25)]), (b'"}', [(b'"}', 1.0)])]

    def shown(token: bytes, share: float) -> dict[str, Any]:
        return {"token": token.decode(errors="replace"), "logprob": math.log(share), "bytes": list(token)}

    content = [
        {**shown(token, dict(top)[token]), "top_logprobs": [shown(*each) for each in top]} for token, top in pieces
    ]
    message = {"content": '{"label": "\U0001f600"}'}
    body = {"choices": [{"message": message, "finish_reason": "stop", "logprobs": {"content": content}}]}
    reply = parse_chat(json.dumps(body).encode())
    assert shares(reply, ["\U0001f600", "\U0001f641"]) == ({"\U0001f600": 0.75, "\U0001f641": 0.25}, 1.0)
    for each in content:
        del each["bytes"]
    assert label_scores(parse_chat(json.dumps(body).encode()), "label", ["\U0001f600", "\U0001f641"]) is None


@pytest.mark.parametrize("content", [[{"token": "a", "logprob": None}], [{"bytes": [300], "logprob": 0}], [1], 1, [{}]])
def test_an_answer_whose_tokens_cannot_be_read_is_an_answer(content: Any) -> None:
    choice = {"message": {"content": '{"label": "ham"}'}, "finish_reason": "stop", "logprobs": {"content": content}}
    reply = parse_chat(json.dumps({"choices": [choice]}).encode())
    assert (reply.data, reply.tokens, reply.problem) == ({"label": "ham"}, (), None)


def test_the_floor_is_nothing_and_equal_tokens_are_one() -> None:
    top = (("ham", math.log(0.5)), ("spit", -9999.0), ("AB", math.log(0.25)), ("AB", -9999.0))
    choice = TokenChoice("ham", math.log(0.5), top)
    reply = ModelReply(text='{"label": "ham"}', tokens=(*said('{"label": "').tokens, choice, *said('"}').tokens))
    assert shares(reply) == ({"ham": 0.666667, ABSTAIN: 0.333333}, 0.75)


def test_what_sums_to_more_than_one_by_rounding_is_one() -> None:
    choice = TokenChoice("ham", 1e9, (("ham", 1e9), ("spit", math.log(0.25))))
    reply = ModelReply(text='{"label": "ham"}', tokens=(*said('{"label": "').tokens, choice, *said('"}').tokens))
    assert shares(reply) == ({"ham": 0.8, "spit": 0.2}, 1.0)


def test_what_cannot_stand_in_json_is_no_label() -> None:
    reply = said('{"label": "', ("ham", {"ham": 0.5, 'spit"x': 0.1, "caf\\U00e9": 0.1, 'a"b': 0.1, "t\tb": 0.2}), '"}')
    assert shares(reply, ["ham", "spit", "caf\u00e9", 'a"b', "t\tb"]) == ({"ham": 1.0}, 0.5)


def test_a_token_that_was_taken_counts_though_it_is_not_among_the_best() -> None:
    choice = TokenChoice("ham", math.log(0.25), (("spit", math.log(0.75)),))
    reply = ModelReply(text='{"label": "ham"}', tokens=(*said('{"label": "').tokens, choice, *said('"}').tokens))
    assert shares(reply) == ({"ham": 0.25, "spit": 0.75}, 1.0)


def sure(label: str = "ham") -> tuple[TokenChoice, ...]:
    return said('{"label": "', (label, {label: 0.9, "spit": 0.1}), '"}').tokens


@pytest.mark.parametrize(
    "reply",
    [
        ModelReply(text='{"label": "ham"}'),
        ModelReply(text='{"label": "ham" }', tokens=sure()),
        ModelReply(text='{"label": "ham', tokens=sure()),
        ModelReply(text=' {"label": "ham"}', tokens=sure()),
        ModelReply(text='{"label": "Ham"}', tokens=sure("Ham")),
        ModelReply(text="{}", tokens=said("{}").tokens),
        ModelReply(text='["label", "ham"]', tokens=said('["label", "ham"]').tokens),
        ModelReply(text='{"label": ["ham"]}', tokens=said('{"label": ["', "ham", '"]}').tokens),
        ModelReply(text='{"label": "ham', tokens=said('{"label": "', "ham").tokens),
        ModelReply(text='{"label": "ham"}', tokens=tuple(TokenChoice(c.token, c.logprob, ()) for c in sure())),
        ModelReply(text='{"label": "ham"}', tokens=tuple(TokenChoice(c.token, math.nan, c.top) for c in sure())),
        ModelReply(text='{"label": "ham"}', tokens=said('{"label": "', ("ham", {"ham": 0.0, "x": 1.0}), '"}').tokens),
        ModelReply(text='{"label": "ham"}\ud83d', tokens=(*sure(), TokenChoice("\ud83d", 0.0, ()))),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_no_score(reply: ModelReply) -> None:
    assert label_scores(reply, "label", LABELS) is None


def test_an_alternative_that_is_no_text_is_not_seen() -> None:
    choice = TokenChoice("ham", math.log(0.5), (("ham", math.log(0.5)), ("\ud83d", math.log(0.5))))
    reply = ModelReply(text='{"label": "ham"}', tokens=(*said('{"label": "').tokens, choice, *said('"}').tokens))
    assert shares(reply) == ({"ham": 1.0}, 0.5)


TEXTS = st.text(st.sampled_from('ab" \\/\u00e9\u00e8\U0001f600\U0001f641\n') | st.characters(codec="utf-8"), max_size=6)


@st.composite
def trees(draw: st.DrawFn, *, spellings: int) -> tuple[list[str], dict[tuple[bytes, ...], tuple[str, int]], str]:
    """Labels; the ways in which a model may write the rest of its answer, each with a label and a weight; what it wrote
    before.
    """
    labels = draw(st.lists(TEXTS, min_size=2, max_size=6, unique=True))
    ascii_only = draw(st.booleans())
    before = draw(
        st.sampled_from(['{"label":', '{"reason": "\u00e9 \\"label\\": \\"a\\"", "label" : ', ' \n{ "label":'])
    )
    apart = draw(st.booleans())
    ways: dict[tuple[bytes, ...], tuple[str, int]] = {}
    for label in labels:
        for number in range(draw(st.integers(1, 3))):
            escape = ascii_only if spellings == 1 else bool(number % 2)
            raw = f"{json.dumps(label, ensure_ascii=escape)[1:]}}}".encode()
            cuts = sorted(draw(st.sets(st.integers(1, len(raw)), max_size=4)) | {len(raw)})
            pieces = [raw[a:b] for a, b in zip([0, *cuts], cuts, strict=False)]
            tokens = (b' "', *pieces) if apart else (b' "' + pieces[0], *pieces[1:])
            ways[tokens] = (label, draw(st.integers(1, 20)))
    return labels, ways, before


def greedy(ways: dict[tuple[bytes, ...], tuple[str, int]], before: str) -> tuple[ModelReply, tuple[bytes, ...]]:
    """The reply that takes the most probable token each time, and shows all alternatives."""
    taken: tuple[bytes, ...] = ()
    choices = [*said(before).tokens]
    while taken not in ways:
        masses: dict[bytes, int] = defaultdict(int)
        for tokens, (_, weight) in ways.items():
            if tokens[: len(taken)] == taken:
                masses[tokens[len(taken)]] += weight
        total = sum(masses.values())
        top = [(t.decode(errors="surrogateescape"), math.log(w / total)) for t, w in masses.items()]
        best = max(top, key=lambda each: each[1])
        choices.append(TokenChoice(*best, tuple(top)))
        taken = (*taken, best[0].encode(errors="surrogateescape"))
    return ModelReply(text=before + b"".join(taken).decode(), tokens=tuple(choices)), taken


def may_begin(shown: bytes, label: str) -> bool:
    """Whether a string of JSON that starts with ``shown``, opening quotation mark included, can be the label."""
    for closed in (shown, shown.removesuffix(b"}")):
        with contextlib.suppress(ValueError):
            return bool(json.loads(closed) == label)
    for cut in range(1, len(shown) + 1):
        try:
            text = json.loads(shown[:cut].decode() + '"')
        except ValueError:
            continue
        follows, rest = label[len(text) :][:1], shown[cut:]
        if label.startswith(text) and (not rest or any(way.startswith(rest) for way in ways_to_write(follows))):
            return True
    return False


def ways_to_write(character: str) -> list[bytes]:
    units = character.encode("utf-16-be")
    escaped = "".join(f"\\u{unit:04x}" for unit in struct.unpack(f">{len(units) // 2}H", units))
    plain = [json.dumps(character, ensure_ascii=each)[1:-1] for each in (True, False)]
    return [way.encode() for way in [*plain, *([escaped] if character else [])]]


@given(trees(spellings=1))
def test_scores_are_those_of_the_tree(tree: Any) -> None:
    labels, ways, before = tree
    reply, taken = greedy(ways, before)
    mass: dict[str, float] = defaultdict(float)
    total = sum(weight for _, weight in ways.values())
    for tokens, (label, weight) in ways.items():
        same = next((n for n, (a, b) in enumerate(zip(tokens, taken, strict=False)) if a != b), None)
        shown = b"".join(taken if same is None else tokens[: same + 1])
        if sum(may_begin(shown[1:], each) for each in labels) == 1:
            mass[label] += weight / total
    found = label_scores(reply, "label", labels)
    assert found is not None
    assert found.mass_seen == pytest.approx(sum(mass.values()))
    assert list(found.probabilities) == labels
    for label in labels:
        assert found.probabilities[label] * found.mass_seen == pytest.approx(mass[label])


@given(trees(spellings=2), st.integers(1, 4))
def test_no_label_gets_more_than_its_own(tree: Any, best: int) -> None:
    labels, ways, before = tree
    reply, taken = greedy(ways, before)
    tokens = [TokenChoice(c.token, c.logprob, tuple(sorted(c.top, key=lambda t: -t[1])[:best])) for c in reply.tokens]
    found = label_scores(ModelReply(text=reply.text, tokens=tuple(tokens)), "label", labels)
    assert found is not None
    total = sum(weight for _, weight in ways.values())
    assert 0 < found.mass_seen <= 1
    assert math.fsum(found.probabilities.values()) == pytest.approx(1)
    for label in labels:
        own = sum(weight for name, weight in ways.values() if name == label) / total
        assert found.probabilities[label] * found.mass_seen <= own + 1e-9
    assert found.probabilities[ways[taken][0]] * found.mass_seen >= ways[taken][1] / total - 1e-9


PIECES = st.sampled_from(
    ['{"label"', ": ", '"', "ham", "spam", "}", "\\", "\\u00", "\ud83d", "\udcff", "{", "```\n", "label"]
)
NUMBERS = st.floats() | st.sampled_from([0.0, -0.1, -9999.0])


@given(
    st.lists(st.tuples(PIECES | st.text(), NUMBERS, st.lists(st.tuples(PIECES | st.text(), NUMBERS)))),
    st.none() | st.text(),
    st.lists(st.text() | st.sampled_from(["ham", "spam", "\ud83d"])),
)
def test_no_reply_makes_it_fail(tokens: Any, text: str | None, labels: list[str]) -> None:
    choices = [TokenChoice(token, logprob, tuple(top)) for token, logprob, top in tokens]
    for lead in ([], list(said('{"label": "', "h").tokens)):
        whole = "".join(c.token for c in [*lead, *choices]) if text is None else text
        found = label_scores(ModelReply(text=whole, tokens=(*lead, *choices)), "label", labels)
        assert found is None or sum(found.probabilities.values()) == pytest.approx(1)


def test_text_that_nests_without_end_is_no_score() -> None:
    for text in ('{"label":' * 100_000, f'{{"a": {"[" * 900}{"]" * 900}, "label": "ham"}}'):
        label_scores(said(text), "label", LABELS)


def test_repeats_are_shares_of_those_answered() -> None:
    assert repeat_scores(["ham", None, "ham", "spam", "Ham"], ["spam", "ham", ABSTAIN]) == {
        "spam": 1 / 3, "ham": 2 / 3, ABSTAIN: 0.0,
    }  # fmt: skip
    assert repeat_scores(["ham"], ["ham", "ham"]) == {"ham": 1.0}
    assert repeat_scores([None, "x"], ["ham"]) == repeat_scores([], ["ham"]) == {}


@given(st.lists(st.none() | st.sampled_from(["a", "b", "c"])))
def test_repeats_sum_to_one_whatever_their_order(values: list[str | None]) -> None:
    found = repeat_scores(values, "ab")
    assert found == repeat_scores(values[::-1], "ab")
    assert not found or sum(found.values()) == pytest.approx(1)
