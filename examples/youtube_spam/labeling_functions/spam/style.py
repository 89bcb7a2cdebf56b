"""Rules about how a comment is written, which are easier to say in Python than in SQL."""

import re

from teachkit import labeling_function

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_ASKS = frozenset(
    """add check checking click download earn follow help join like listen message please pls plz register share sign
    sub subscribe subscribed subscriber subscribers subscribing suscribe support tell thumbs try type visit vote watch
    win""".split()
)
_SELF = frozenset("i i'm i’m im ive i've me my mine we our us i'll ill".split())
_THIRD = frozenset("he he's hes him his she she's shes her they their this it its it's song video".split())


def _words(text):
    return [word.lower() for word in _WORD.findall(text)]


@labeling_function(label="spam", tags=["self"])
def asks_for_oneself(text: str) -> bool:
    """Several different requests, and the writer speaks of himself."""
    words = set(_words(text))
    return len(words & _ASKS) >= 2 and len(words & _SELF) >= 1


@labeling_function(label="ham", tags=["topic"])
def talks_about_others(text: str) -> bool:
    """Speaks of him, her, them or the song, and neither asks nor links."""
    words = set(_words(text))
    silent = _ASKS - {"like", "watch", "listen"} | {"my", "our", "channel", "http", "www", "com", "comment", "look"}
    return bool(words & _THIRD) and not words & silent


@labeling_function(label="ham", tags=["tone"])
def question(text: str) -> bool:
    """A question among viewers, such as "Is that Megan Fox?"."""
    words = set(_words(text))
    return text.rstrip(" !).:D").endswith("?") and not words & (_ASKS - {"like", "watch", "tell"} | {"http", "www", "com"})


@labeling_function(batch=True, tags=["tone"])
def plain_words(text):
    """Ham if a comment of at most 25 words holds no word of advertising; looks at a whole column at once."""
    import pyarrow.compute as pc

    commercial = (
        r"(?i)http|www|\.com|\.co\b|watch\?v|subs|suscri|chann?el|check|follow|click|visit|free|money|earn|playlist|share"
        r"|facebook|twitter|instagram|please|\bpl[sz]\b|\bvote|\bmy (new|own|video|music|song|page|cover)|\bour\b|@|#"
        r"|guys|everyone|rapper|\bcover|download|website|thumbs|\blike (this|if)|\bhelp\b|take a look|\bcomment\b|\b(net|org|info|de|pl|ru)\b|sucscri|\brap\b|\d{9}"
    )
    words = pc.count_substring_regex(text, r"\p{L}+")
    plain = pc.and_(pc.invert(pc.match_substring_regex(text, commercial)), pc.less_equal(words, 25))
    return pc.if_else(plain, "ham", None)
